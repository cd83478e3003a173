"""The object bank: parts of pictures, kept under names to be given to other pictures later."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from studio import paths
from studio.named import Shelf

_LATENT, _THUMBNAIL = "latent", "thumbnail"
_FACTS = {"name", "part", "checkpoint", "checkpoint_hash"}
_SHELF = Shelf(
    "saved part",
    "bank",
    paths.bank,
    lambda facts: facts.keys() - {"parts"} == _FACTS and facts["parts"] == [_LATENT, _THUMBNAIL],
)


@dataclass(frozen=True, eq=False)
class SavedPart:
    """A part of a picture.

    Attributes:
        name: What the person calls it.
        part: Which part it is.
        checkpoint: Whose latents it belongs to.
        checkpoint_hash: SHA-256 of that checkpoint's weights.
        latent: Batch of 1.
        thumbnail: A PNG of the picture that it was taken from, as the checkpoint shows it.
    """

    name: str
    part: str
    checkpoint: str
    checkpoint_hash: str
    latent: Tensor
    thumbnail: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the latent."""
        return hashlib.sha256(self.latent.cpu().contiguous().numpy().data).hexdigest()

    def facts(self) -> dict[str, Any]:
        """Return everything but latent and thumbnail, as plain values."""
        return {
            "name": self.name,
            "part": self.part,
            "checkpoint": self.checkpoint,
            "checkpoint_hash": self.checkpoint_hash,
        }


def check_label(name: str) -> None:
    """Refuse names that cannot be shown or kept.

    Raises:
        ConfigError: It is empty, too long, or has other characters than letters, digits and spaces.
    """
    _SHELF.check(name)


def names(checkpoint: str = "", part: str = "") -> list[str]:
    """List the saved parts, of one checkpoint or kind if asked; damaged files are left out."""
    listed = _SHELF.listing(checkpoint)
    return [str(facts["name"]) for facts in listed if part in ("", facts["part"])]


def load(name: str) -> SavedPart:
    """Read a saved part.

    Raises:
        DataError: There is none of that name, or its file is damaged.
    """
    facts, tensors = _SHELF.load(name)
    thumbnail = tensors[_THUMBNAIL].numpy().tobytes()
    return SavedPart(**facts, latent=tensors[_LATENT], thumbnail=thumbnail)


def save(saved: SavedPart) -> Path:
    """Write a part into the person's home.

    Raises:
        ConfigError: There is one of that name already, or the name is none.
    """
    thumbnail = torch.from_numpy(np.frombuffer(saved.thumbnail, np.uint8).copy())
    return _SHELF.save(saved.facts(), {_LATENT: saved.latent, _THUMBNAIL: thumbnail})


def rename(name: str, new: str) -> None:
    """Give a saved part another name.

    Raises:
        ConfigError: There is one of the new name already, or the new name is none.
        DataError: There is none of the old name.
    """
    _SHELF.rename(name, new)


def follow(checkpoint: str, renamed: str) -> None:
    """Let the saved parts of a checkpoint belong to its new name."""
    _SHELF.follow(checkpoint, renamed)


def delete(name: str) -> None:
    """Delete a saved part.

    Raises:
        DataError: There is none of that name.
    """
    _SHELF.delete(name)
