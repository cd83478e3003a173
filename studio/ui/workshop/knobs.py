"""A method's own settings, described without knowing the method: from its configuration's fields.

``settings.js`` draws them; its value says which were changed.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from studio import methods
from studio.checkpoints import CheckpointStore
from studio.methods.base import Method

# Settings that have a place of their own in the form.
ATTRIBUTE, FEW_PICTURES = "attribute", "adaptive_augmentation"
# A setting that decides on others.
RECIPE = "recipe"
# What training from scratch begins with on the page, where a method's own settings are the paper's,
# for a large graphics card and hundreds of thousands of pictures.
MODEST: Mapping[str, Mapping[str, Any]] = {
    "genegan": {"recipe": "hinge", "width": 32},
    "attribute-mapping": {
        **{"width": 16, "blocks": 1, "classifier_width": 16, "critic_width": 16},
        **{"critic_units": 256, "autoencoder_lr": 1e-3, "classifier_lr": 1e-3},
        **{"mapping_lr": 5e-4, "k_rate": 0.01},
    },
}
_KINDS = {bool: "switch", int: "whole", float: "number", str: "text"}


def has(method: str, field: str) -> bool:
    """Say whether a method has a setting of that name."""
    return any(entry.name == field for entry in fields(methods.find(method).config))


def shown(method: str) -> set[str]:
    """Name the settings of a method that ``settings.js`` draws."""
    defaults = methods.find(method).config().to_dict()
    return {name for name, value in defaults.items() if _is_shown(name, value)}


def _is_shown(name: str, value: Any) -> bool:
    return name not in (ATTRIBUTE, FEW_PICTURES) and type(value) in _KINDS


def start(
    store: CheckpointStore, method: str, parent: str, *, modest: bool = True
) -> dict[str, Any]:
    """Return the settings that a training begins with: the parent's, or modest ones.

    Args:
        store: Of the parent.
        method: Key in ``METHODS``.
        parent: Checkpoint to start from, or empty.
        modest: Whether training from scratch begins with settings for a small machine.

    Raises:
        StudioError: The parent is not there, or its card is damaged.
    """
    if parent:
        return dict(store.card(parent).config)
    return dict(MODEST.get(method, {})) if modest else {}


def describe(
    store: CheckpointStore,
    method: str,
    parent: str,
    changed: Mapping[str, Any],
    *,
    modest: bool = True,
) -> dict[str, Any]:
    """Describe a method's settings for ``settings.js``.

    Args:
        store: Of the parent.
        method: Key in ``METHODS``.
        parent: Checkpoint to start from, or empty.
        changed: The settings that are changed.
        modest: As for :func:`start`.

    Raises:
        StudioError: The parent is not there, or its card is damaged.
    """
    entry, begun = methods.find(method), start(store, method, parent, modest=modest)
    told = _sentences(entry)
    recipe = {RECIPE: changed[RECIPE]} if RECIPE in changed else {}
    # Another recipe brings other values with it, which are shown at once.
    values = entry.config.from_dict({**begun, **recipe}).to_dict()
    if recipe:
        values[RECIPE] = entry.config.from_dict(begun).to_dict()[RECIPE]
    items = [
        {
            "name": name,
            "label": name.replace("_", " "),
            "kind": _KINDS[type(value)],
            "base": value,
            "help": told.get(name, ""),
        }
        for name, value in values.items()
        if _is_shown(name, value)
    ]
    known = {item["name"]: item["base"] for item in items}
    return {
        "items": items,
        "changed": {
            name: value for name, value in changed.items() if name in known and value != known[name]
        },
    }


def changed(value: Any) -> dict[str, Any]:
    """Return what the page says was changed."""
    given = value.get("changed") if isinstance(value, dict) else None
    return dict(given) if isinstance(given, dict) else {}


def _sentences(method: Method) -> dict[str, str]:
    """Read what each setting does out of the documentation of the configuration's classes."""
    told: dict[str, str] = {}
    for kind in reversed(method.config.__mro__):
        _, _, listed = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
        for name, text in re.findall(r"^    (\w+): ((?:.+\n?(?:      +.+\n?)*))", listed, re.M):
            told[name] = " ".join(text.split())
    return told
