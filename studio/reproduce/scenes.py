"""Rendered scenes whose swaps have a known truth: the same head with other eyeglasses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from studio.errors import ConfigError
from studio.metrics import reconstruction
from studio.render import heads
from studio.render.heads import EYEGLASSES, Head

WORN = EYEGLASSES[1:]
# Rows and columns, as fractions of the picture, that eyeglasses cover on an aligned face.
EYE_ROWS, EYE_COLUMNS = (0.40, 0.66), (0.22, 0.78)
# Hats hide eyeglasses' temples and are no part of the question.
FIXED = {"hat": False}
HELD_OUT = 2


@dataclass(frozen=True, eq=False)
class Scenes:
    """Pairs of a receiver without eyeglasses and a donor with them.

    Attributes:
        kinds: (N,) the donor's kind as an index of ``EYEGLASSES``.
        on_receiver: (N, K, 3, S, S) the receiver rendered with every kind, the donor's frames.
        on_donor: (N, K, 3, S, S) the donor rendered with every kind.
    """

    kinds: Tensor
    on_receiver: Tensor
    on_donor: Tensor

    @property
    def receivers(self) -> Tensor:
        """The receivers as they are, (N, 3, S, S)."""
        return self.on_receiver[:, 0]

    @property
    def donors(self) -> Tensor:
        """The donors as they are, (N, 3, S, S)."""
        return self.on_donor[torch.arange(len(self.kinds)), self.kinds]

    @property
    def truth(self) -> Tensor:
        """The receivers with their donors' eyeglasses, (N, 3, S, S)."""
        return self.on_receiver[torch.arange(len(self.kinds)), self.kinds]


def training_set(folder: Path, count: int, size: int) -> Path:
    """Render the training pictures unless they are there."""
    if not (folder / "attributes.csv").is_file():
        heads.write_set(folder, count, size, seed=0, fixed=FIXED)
    return folder


def make_scenes(count: int, size: int, seed: int = 1) -> Scenes:
    """Render pairs of held-out persons, all kinds of eyeglasses in turn.

    Args:
        count: Number of pairs.
        size: Of the pictures.
        seed: Of the heads; another one than the training set's.
    """
    pool = held_out(60 * count, seed)
    bare = [head for head in pool if head.eyeglasses == "none"][:count]
    by_kind = [[head for head in pool if head.eyeglasses == kind] for kind in WORN]
    donors = [by_kind[k % len(WORN)][k // len(WORN)] for k in range(count)]
    # The style decides a frame's colour, so the receiver shares it with the donor.
    receivers = [replace(a, style=b.style) for a, b in zip(bare, donors, strict=True)]
    return Scenes(
        kinds=torch.tensor([EYEGLASSES.index(head.eyeglasses) for head in donors]),
        on_receiver=_with_every_kind(receivers, size),
        on_donor=_with_every_kind(donors, size),
    )


def held_out(count: int, seed: int) -> list[Head]:
    """Draw ``count`` heads and keep those of persons that no training set shows."""
    drawn = heads.sample_heads(count, seed, fixed=FIXED)
    return [head for head in drawn if heads.partition(head.identity) == HELD_OUT]


def by_attribute(attribute: str, count: int, seed: int = 2) -> tuple[list[Head], list[Head]]:
    """Return held-out heads with and without an attribute, at most ``count`` each.

    Raises:
        ConfigError: Renders know no such attribute.
    """
    pool = [(head, heads.labels(head)) for head in held_out(200 * count, seed)]
    if attribute not in pool[0][1]:
        raise ConfigError(f"Rendered heads have no attribute {attribute!r}; give --data.")
    sides = ([head for head, labels in pool if labels[attribute] == value] for value in (1, 0))
    with_it, without = (side[:count] for side in sides)
    return with_it, without


def render(chosen: Sequence[Head], size: int) -> Tensor:
    """Render as (B, 3, size, size), rounded to 8 bits as every stored picture is."""
    return as_stored(heads.render(chosen, size))


def as_stored(images: Tensor) -> Tensor:
    """Round images to what an 8-bit file keeps of them; no smaller trace can be hidden there."""
    levels = ((images + 1) * 127.5).round().clamp(0, 255)
    return levels / 127.5 - 1


def _with_every_kind(chosen: Sequence[Head], size: int) -> Tensor:
    every = [replace(head, eyeglasses=kind) for head in chosen for kind in EYEGLASSES]
    return render(every, size).reshape(len(chosen), len(EYEGLASSES), 3, size, size)


def eye_region(images: Tensor) -> Tensor:
    """Cut the part around the eyes out of (..., H, W) images."""
    size = images.shape[-1]
    rows, columns = (
        slice(round(low * size), round(high * size)) for low, high in (EYE_ROWS, EYE_COLUMNS)
    )
    return images[..., rows, columns]


def nearest_kind(images: Tensor, candidates: Tensor) -> Tensor:
    """Read the kind of eyeglasses off images.

    Args:
        images: (N, 3, S, S).
        candidates: (N, K, 3, S, S), the same head rendered with every kind.

    Returns:
        (N,) the index of the candidate that is nearest in pixels around the eyes.
    """
    difference = eye_region(images)[:, None] - eye_region(candidates)
    return difference.abs().flatten(2).mean(2).argmin(1)


def kind_numbers(images: Tensor, candidates: Tensor, kinds: Tensor) -> dict[str, float]:
    """Compare eyeglasses with the rendered truth.

    Args:
        images: (N, 3, S, S), what a model made.
        candidates: (N, K, 3, S, S), the same heads rendered with every kind.
        kinds: (N,) the kinds that the images should show.

    Returns:
        ``kind_accuracy``, ``sunglasses_kept`` (the same, of sunglasses only), ``eye_error`` (mean
        difference to the truth around the eyes, in levels of 255) and ``psnr`` of the picture.
    """
    truth = candidates[torch.arange(len(kinds)), kinds]
    right = (nearest_kind(images, candidates) == kinds).float()
    error = (eye_region(images) - eye_region(truth)).abs().mean() * 127.5
    return {
        "kind_accuracy": float(right.mean()),
        "sunglasses_kept": float(right[kinds == EYEGLASSES.index("sunglasses")].mean()),
        "eye_error": float(error),
        "psnr": float(reconstruction.psnr(images, truth).mean()),
    }
