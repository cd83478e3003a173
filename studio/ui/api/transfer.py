"""Endpoints that join parts of several pictures, and those of the object bank."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from studio import bank, editing
from studio.errors import ConfigError
from studio.recipes import Choice, donor_role, donors_of
from studio.ui.api.base import (
    corners,
    listed,
    mapping,
    number,
    register,
    replayed,
    subject,
)
from studio.ui.context import Context
from studio.ui.guard import guarded


def build(context: Context) -> None:
    """Register ``/transfer``, ``/bank``, ``/bank_save`` and ``/bank_delete``."""

    def transfer(
        receiver: gr.FileData,
        sources: list[gr.FileData],
        choices: dict[str, Any],
        checkpoint: str,
        moves: dict[str, float] | None = None,
        aligned: bool = False,
        output: str = "full",
    ) -> gr.FileData:
        """Give a photograph parts of others; returns a PNG with its recipe.

        ``choices`` say by part where it comes from: ``{"from": "donor"}``,
        ``{"mix": {"donor": 0.5, "donor2": 0.5}}``, ``{"between": ["donor", "donor2"], "alpha":
        0.4}``, ``{"class": "scream"}`` or ``{"bank": "My smile"}``, each with a ``strength`` from 0
        to 2 if it is not 1. The sources are ``donor``, ``donor2`` and so on, in their order.
        """
        return transferred(receiver, sources, choices, checkpoint, moves, aligned, output)

    def bank(checkpoint: str = "", part: str = "") -> list[dict[str, Any]]:
        """List the saved parts, each with its picture, a PNG in base64."""
        return shown(checkpoint, part)

    def bank_save(
        picture: gr.FileData, checkpoint: str, part: str, name: str, aligned: bool = False
    ) -> dict[str, Any]:
        """Save a part of a picture under a name."""
        return saved(picture, checkpoint, part, name, aligned)

    def bank_delete(name: str) -> str:
        """Delete a saved part; returns its name."""
        return deleted(name)

    transferred, shown = guarded(context, on_transfer), guarded(context, on_bank)
    saved, deleted = guarded(context, on_save), guarded(context, on_delete)
    register(transfer, bank, bank_save, bank_delete)


def on_transfer(
    context: Context,
    receiver: Any,
    sources: Any,
    choices: Any,
    checkpoint: str,
    moves: Any,
    aligned: bool,
    output: str,
) -> dict[str, Any]:
    """Carry out a transfer between uploads."""
    parts, steps = read_choices(choices), mapping("moves", moves)
    uploads = {
        donor_role(place): upload for place, upload in enumerate(listed(sources or []), start=1)
    }
    editing.check_transfer(context.models, checkpoint, uploads, parts)
    editing.check_edit(context.models, checkpoint, {}, (), steps)
    donors = donors_of(parts)
    subjects = {
        role: subject(context, upload, aligned)
        for role, upload in {"receiver": receiver, **uploads}.items()
        if role == "receiver" or role in donors
    }
    step: dict[str, Any] = {"checkpoint": checkpoint, "kind": "transfer", "donors": donors}
    return replayed(context, subjects, {**step, "parts": parts, "moves": steps}, output)


def read_choices(given: Any) -> dict[str, Choice]:
    """Read the choices of a request.

    Raises:
        ConfigError: They are none.
        RecipeError: One makes no sense.
    """
    if not isinstance(given, dict) or not given:
        raise ConfigError(
            "choices say by part where it comes from, such as {'expression': {'from': 'donor'}}, "
            f"not {given!r}."
        )
    return {str(part): _choice(str(part), one) for part, one in given.items()}


def _choice(part: str, given: Any) -> Choice:
    told = dict(given) if isinstance(given, dict) else {}
    strength = number(f"The strength of {part}", told.pop("strength", 1.0))
    kinds = [kind for kind in told if kind in _READINGS]
    if len(kinds) != 1:
        raise ConfigError(
            f"{part} needs one of {', '.join(_READINGS)} to say where it comes from, not {given!r}."
        )
    strange = told.keys() - {kinds[0], "alpha"}
    if strange:
        raise ConfigError(f"{part} has {', '.join(sorted(strange))}, which means nothing here.")
    return _READINGS[kinds[0]](part, told, strength)


def _mixed(part: str, given: Mapping[str, Any], strength: float) -> Choice:
    weights = {
        str(role): number(f"The weight of {role} in {part}", weight)
        for role, weight in mapping(f"mix of {part}", given["mix"]).items()
    }
    return Choice(weights, strength=strength)


def _between(part: str, given: Mapping[str, Any], strength: float) -> Choice:
    pair = given["between"]
    if not isinstance(pair, list) or len(pair) != 2:
        raise ConfigError(f"{part} lies between two sources, not {pair!r}.")
    alpha = number(f"The alpha of {part}", given.get("alpha"))
    return Choice.between(str(pair[0]), str(pair[1]), alpha, strength)


# How a choice is read, by the key that it has.
_READINGS: Mapping[str, Callable[[str, Mapping[str, Any], float], Choice]] = {
    "from": lambda part, given, strength: Choice.take(str(given["from"]), strength),
    "mix": _mixed,
    "between": _between,
    "class": lambda part, given, strength: Choice(label=str(given["class"]), strength=strength),
    "bank": lambda part, given, strength: Choice(saved=str(given["bank"]), strength=strength),
}


def on_bank(context: Context, checkpoint: str, part: str) -> list[dict[str, Any]]:
    """Describe the saved parts."""
    del context
    found = [bank.load(name) for name in bank.names(str(checkpoint), str(part))]
    return [
        {**one.facts(), "picture": base64.b64encode(one.thumbnail).decode("ascii")} for one in found
    ]


def on_save(
    context: Context, picture: Any, checkpoint: str, part: str, name: str, aligned: bool
) -> dict[str, Any]:
    """Save a part of an upload."""
    bank.check_label(str(name))
    editing.check_part(context.models, checkpoint, str(part))
    (encoded,) = corners(context, checkpoint, [picture], aligned)
    return editing.save_part(context.models, str(name), encoded, str(part)).facts()


def on_delete(context: Context, name: str) -> str:
    """Delete a saved part."""
    del context
    bank.delete(str(name))
    return str(name)
