"""What training consumes: a batch, and the description of the pictures a model expects."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from studio.errors import ConfigError


@dataclass(frozen=True)
class DataSpec:
    """What a checkpoint's pictures look like.

    Attributes:
        size: Height and width in pixels.
        alignment: ``celeba`` for faces whose eyes stand at CelebA's positions, ``none`` otherwise.
        attributes: Names of the attributes that the model knows, in the order of its outputs.
        classes: What the model knows that has more than two values: each name with its values.
    """

    size: int
    alignment: str = "celeba"
    attributes: tuple[str, ...] = ()
    classes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def shows_faces(self) -> bool:
        """Whether a photograph has to be aligned by its eyes first."""
        return self.alignment == "celeba"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        classes = {name: list(values) for name, values in self.classes}
        told = {**asdict(self), "attributes": list(self.attributes), "classes": classes}
        # Most models know none.
        return told if classes else {key: one for key, one in told.items() if key != "classes"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DataSpec":
        """Rebuild from :meth:`to_dict`.

        Raises:
            ConfigError: A key is missing or unknown.
        """
        try:
            classes = tuple(
                (name, tuple(known)) for name, known in values.get("classes", {}).items()
            )
            attributes = tuple(values["attributes"])
            return cls(**{**values, "attributes": attributes, "classes": classes})
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"The card's data description is not usable: {error}.") from error


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch of labelled pictures.

    Attributes:
        images: (B, 3, H, W) in [-1, 1].
        attributes: (B, A) int64 in {0, 1}, -1 where unknown; columns as in ``DataSpec``.
        identity: (B,) int64, -1 where unknown.
        eyes: (B, 2, 2) x and y of the left and the right eye as fractions of the picture, NaN
            where unknown.
        classes: (B, K) int64, the place of each picture's value among those of
            ``DataSpec.classes``, -1 where it has none of them; None where no model asks.
    """

    images: Tensor
    attributes: Tensor
    identity: Tensor
    eyes: Tensor
    classes: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: Tensor) -> "Batch":
        """Return the pictures of (N,) row numbers."""
        return self._map(lambda own: own[rows.to(own.device)])

    def to(self, device: torch.device) -> "Batch":
        """Move to a device, pictures with their channels last in memory."""
        if device.type == "cpu":
            return self
        moved = self._map(lambda own: own.to(device))
        return replace(moved, images=moved.images.contiguous(memory_format=torch.channels_last))

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return Batch(
            change(self.images),
            change(self.attributes),
            change(self.identity),
            change(self.eyes),
            None if self.classes is None else change(self.classes),
        )
