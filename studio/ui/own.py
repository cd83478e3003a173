"""One's own sliders on a page: what they show, what their events say, which of them still exist."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from studio import directions
from studio.errors import ConfigError
from studio.ui.draft import Draft, without
from studio.ui.walk.draft import Walk

# How far one's own sliders go, in deviations.
REACH = 3.0

T = TypeVar("T", Draft, Walk)


def entries(checkpoint: str, moves: Mapping[str, float]) -> list[dict[str, Any]]:
    """Describe the sliders of a checkpoint for ``sliders.js``."""
    return [
        {"name": name, "label": name, "value": moves.get(name, 0.0), "origin": 0.0}
        for name in directions.names(checkpoint)
    ]


def alone(checkpoint: str, moves: Mapping[str, float]) -> dict[str, Any]:
    """Return the value of sliders that are nothing but one's own; empty without a checkpoint."""
    return {"groups": [], "own": entries(checkpoint, moves) if checkpoint else [], "reach": REACH}


def living(checkpoint: str, moves: Mapping[str, float]) -> dict[str, float]:
    """Return the moves that move something: a slider may have been deleted in the meantime."""
    return {
        name: steps
        for name, steps in moves.items()
        if steps and directions.belongs(name, checkpoint)
    }


def asked(event: Mapping[str, Any]) -> tuple[str, float]:
    """Read which slider went where.

    Raises:
        ConfigError: It does not go there.
    """
    name, steps = str(event["name"]), float(event["value"])
    if not -REACH <= steps <= REACH:
        raise ConfigError(f"{name} goes from {-REACH:g} to {REACH:g}, not to {steps:g}.")
    return name, steps


def slid(draft: T, event: Mapping[str, Any]) -> T:
    """Return a draft in which one of one's own sliders was moved."""
    name, steps = asked(event)
    return replace(draft, moves={**draft.moves, name: steps})


def put_back(draft: T, event: Mapping[str, Any]) -> T:
    """Return a draft in which one of one's own sliders, or all, stand where they began."""
    name = str(event.get("name") or "")
    return replace(draft, moves=without(draft.moves, name) if name else {})


def words(moves: Mapping[str, float]) -> list[str]:
    """Say how far each slider was moved, for captions."""
    return [f"{name} {steps:+.1f}" for name, steps in moves.items() if steps]
