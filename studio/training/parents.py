"""Starting from another checkpoint: its configuration, its weights, and what it knew of attributes.

A child may learn other attributes than its parent. What a network has for each attribute, such as a
row of a classifier's last layer, is then carried over by name, and begins anew where the parent did
not know the name.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from studio import together
from studio.checkpoints import CheckpointStore, load_strict
from studio.data.batch import DataSpec
from studio.errors import ConfigError
from studio.methods.base import Config, GradientStage, Method, Objective
from studio.training.request import TrainRequest
from studio.training.status import write_json

ORIGIN = "origin.json"
_MODEL = "model."


def config_of(store: CheckpointStore, request: TrainRequest) -> dict[str, Any]:
    """Return the configuration that a parent's weights fit; empty where there is no parent.

    Args:
        store: Where the parent is.
        request: Of the child.

    Raises:
        CheckpointError: There is no such checkpoint.
        ConfigError: It is of another method, or works on pictures of another size.
    """
    if not request.parent:
        return {}
    card = store.card(request.parent)
    if card.method != request.method:
        raise ConfigError(f"{card.name} is a {card.method} checkpoint, not {request.method}.")
    if card.spec.size != request.size:
        raise ConfigError(
            f"{card.name} works on pictures of {card.spec.size} pixels, and so will what starts "
            f"from it; set size to {card.spec.size}, not to {request.size}."
        )
    return card.config


@dataclass(frozen=True)
class Origin:
    """What a run needs to know of its parent after its first save, when that may be gone.

    Attributes:
        config: The configuration that the parent's weights fit; empty where there is no parent.
        steps: That were taken of it and of all its ancestors.
        minutes: That these took.
    """

    config: dict[str, Any]
    steps: int = 0
    minutes: float = 0.0

    @classmethod
    def of(cls, request: TrainRequest, root: Path, folder: Path | None = None) -> "Origin":
        """Read it from a run folder, or from the parent's card and keep it there.

        Args:
            request: Of the child.
            root: Where its checkpoint will stand.
            folder: The run folder; nothing is kept without one.

        Raises:
            StudioError: There is no such parent, or it does not suit.
        """
        kept = folder / ORIGIN if folder else None
        with suppress(OSError, ValueError, TypeError):
            if kept:
                return cls(**json.loads(kept.read_text(encoding="utf-8")))
        store = CheckpointStore(root, *CheckpointStore().roots)
        found = cls(config_of(store, request))
        if request.parent:
            card = store.card(request.parent)
            minutes = card.training.get("minutes", 0)
            found = replace(
                found,
                steps=int(card.training.get("total_steps", card.step)),
                minutes=float(card.training.get("total_minutes", minutes)),
            )
        if kept and together.rank() == 0:
            write_json(kept, asdict(found))
        return found


class Parent:
    """A checkpoint that training starts from."""

    def __init__(
        self, store: CheckpointStore, name: str, method: Method, config: Config, spec: DataSpec
    ) -> None:
        """Read it.

        Args:
            store: Where it is.
            name: Of the checkpoint.
            method: Of parent and child.
            config: Of the child.
            spec: Of the child's pictures.

        Raises:
            CheckpointError: It is missing or damaged.
        """
        self.name = name
        model, card = store.load(name)
        self.known, self.wanted = card.spec.attributes, spec.attributes
        # Names as an objective has them, its model's below one prefix.
        self._state = {f"{_MODEL}{key}": value for key, value in model.state_dict().items()}
        self._state |= store.critics(name)
        self._axes = {}
        if self.known != self.wanted:
            self._axes = attribute_axes(method, config, spec)
            self._offsets = method.attribute_offsets

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Attributes that the child does not learn."""
        return tuple(name for name in self.known if name not in self.wanted) if self._axes else ()

    @property
    def new(self) -> tuple[str, ...]:
        """Attributes that the parent did not know."""
        return tuple(name for name in self.wanted if name not in self.known) if self._axes else ()

    def raise_model(self, model: nn.Module) -> None:
        """Give a child's model the parent's weights.

        Raises:
            CheckpointError: They do not fit.
        """
        own = {f"{_MODEL}{key}": value for key, value in model.state_dict().items()}
        there = {key: value for key, value in self._state.items() if key.startswith(_MODEL)}
        state = self._carried(there, own)
        load_strict(model, {k.removeprefix(_MODEL): v for k, v in state.items()}, self.name)

    def raise_critics(self, objective: Objective, left: Mapping[str, Tensor]) -> None:
        """Give a child's objective what its parent's run left beside the model.

        Args:
            objective: Whose model has its weights.
            left: The critics as they are now, some of other stages.

        Raises:
            CheckpointError: They do not fit.
        """
        own = objective.state_dict()
        model = {key: value for key, value in own.items() if key.startswith(_MODEL)}
        critics = {key: value for key, value in left.items() if key in own}
        # What an algorithm counts begins anew where the parent did not count it.
        counted = {key: value for key, value in own.items() if value.dim() == 0}
        load_strict(objective, {**counted, **model, **self._carried(critics, own)}, self.name)

    @property
    def critics(self) -> dict[str, Tensor]:
        """What the parent's run left beside its model."""
        return {key: value for key, value in self._state.items() if not key.startswith(_MODEL)}

    def _carried(self, there: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the parent's tensors with the child's attributes in the child's order."""
        state = dict(there)
        for key in self._axes.keys() & there.keys() & own.keys():
            state[key] = self._carry(key, there[key], own[key].detach().clone())
        return state

    def _carry(self, key: str, there: Tensor, own: Tensor) -> Tensor:
        axis, begin = self._axes[key], self._offset(key)
        if there.shape[axis] - len(self.known) != own.shape[axis] - len(self.wanted):
            # It was carried over before, or belongs to another configuration.
            return there
        theirs, ours = there.movedim(axis, 0), own.movedim(axis, 0)
        ours[:begin] = theirs[:begin]
        ours[begin + len(self.wanted) :] = theirs[begin + len(self.known) :]
        for column, name in enumerate(self.wanted):
            if name in self.known:
                ours[begin + column] = theirs[begin + self.known.index(name)]
        return own

    def _offset(self, key: str) -> int:
        return next((at for part, at in self._offsets.items() if key.startswith(part)), 0)


def attribute_axes(method: Method, config: Config, spec: DataSpec) -> dict[str, int]:
    """Find the tensors of a method that have something for each attribute.

    Args:
        method: Of the tensors.
        config: Of the method.
        spec: Whose attributes are counted.

    Returns:
        The axis that attributes are counted along, by the name that an objective gives a tensor.
    """
    some = _shapes(method, config, spec)
    another = replace(spec, attributes=(*spec.attributes, "one more attribute"))
    more = _shapes(method, config, another)
    return {
        key: next(axis for axis, size in enumerate(shape) if size != more[key][axis])
        for key, shape in some.items()
        if shape != more[key]
    }


def _shapes(method: Method, config: Config, spec: DataSpec) -> dict[str, torch.Size]:
    # Tensors without memory: only their shapes are wanted.
    with torch.device("meta"):
        objectives = [
            stage.objective(method.model(config, spec))
            for stage in method.stages(config, spec)
            if isinstance(stage, GradientStage)
        ]
    return {key: one.shape for each in objectives for key, one in each.state_dict().items()}
