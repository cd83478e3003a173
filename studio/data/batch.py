"""What training consumes: a batch, and the description of the pictures a model expects."""

from dataclasses import asdict, dataclass
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
    """

    size: int
    alignment: str = "celeba"
    attributes: tuple[str, ...] = ()

    @property
    def shows_faces(self) -> bool:
        """Whether a photograph has to be aligned by its eyes first."""
        return self.alignment == "celeba"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "attributes": list(self.attributes)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DataSpec":
        """Rebuild from :meth:`to_dict`.

        Raises:
            ConfigError: A key is missing or unknown.
        """
        try:
            return cls(**{**values, "attributes": tuple(values["attributes"])})
        except (KeyError, TypeError) as error:
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
    """

    images: Tensor
    attributes: Tensor
    identity: Tensor
    eyes: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: Tensor) -> "Batch":
        """Return the pictures of (N,) row numbers."""
        own = (self.images, self.attributes, self.identity, self.eyes)
        return Batch(*(one[rows.to(one.device)] for one in own))

    def to(self, device: torch.device) -> "Batch":
        """Move to a device, pictures with their channels last in memory."""
        if device.type == "cpu":
            return self
        return Batch(
            self.images.to(device, memory_format=torch.channels_last),
            self.attributes.to(device),
            self.identity.to(device),
            self.eyes.to(device),
        )
