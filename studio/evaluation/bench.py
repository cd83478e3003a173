"""What every measurement shares: models run over many pictures, a batch at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from studio import images, latents
from studio.data.folder import DataSet
from studio.errors import DataError
from studio.images import Picture
from studio.latents import Latents
from studio.methods.base import Evaluator, LatentModel
from studio.metrics import reconstruction

BATCH = 128

Array = npt.NDArray[Any]
Reading = Callable[[Tensor], Tensor]


def rows(count: int) -> Iterator[slice]:
    """Cut a number of rows into batches."""
    return (slice(first, first + BATCH) for first in range(0, count, BATCH))


def held_out(data: DataSet, part: str) -> DataSet:
    """Return a partition of a data set.

    Raises:
        DataError: It has fewer than two pictures.
    """
    chosen = data.part(part)
    if len(chosen) < 2:
        raise DataError(f"The {part} part of {data.name} has {len(chosen)} pictures; 2 are needed.")
    return chosen


@dataclass(frozen=True, eq=False)
class Bench:
    """A model that makes pictures, on its device.

    Attributes:
        model: In ``eval``, without gradients.
        size: Of its pictures in pixels.
        device: Where it is.
    """

    model: LatentModel
    size: int
    device: torch.device

    def encode(self, pictures: Picture) -> Latents:
        """Encode (N, S, S, 3) pictures; the codes stay on the device."""
        return latents.cat(
            [
                self.model.encode(to_device(pictures[some], self.device))
                for some in rows(len(pictures))
            ]
        )

    def decode(self, codes: Latents) -> Tensor:
        """Decode to (N, 3, S, S) images on the CPU."""
        decoded = [self.model.decode(codes[some]).cpu() for some in rows(len(codes))]
        return torch.cat(decoded)

    def object_norms(self, codes: Latents) -> npt.NDArray[np.float64]:
        """Return (N,) mean absolute values of the part that a swap moves."""
        part = codes.parts[self.model.swap_part]
        return part.abs().flatten(1).mean(1).double().cpu().numpy()


def to_device(pictures: Picture, device: torch.device) -> Tensor:
    """Convert (B, S, S, 3) pictures to images on a device."""
    # Pictures of a data set are mapped from a file and read-only, which torch does not accept.
    return images.to_images(np.array(pictures)).to(device)


def read(instrument: Evaluator | Reading, made: Tensor, size: int, device: torch.device) -> Array:
    """Run an evaluator.

    Args:
        instrument: Maps images to (B, D) numbers.
        made: (N, 3, S, S) images in [-1, 1] of any size.
        size: Of the pictures that the instrument knows, in pixels.
        device: Where the instrument is.

    Returns:
        (N, D).
    """
    numbers = []
    for some in rows(len(made)):
        batch = images.sized(made[some].to(device), size)
        numbers.append(instrument(batch).cpu())
    return torch.cat(numbers).numpy()


def reconstruction_numbers(bench: Bench, data: DataSet) -> dict[str, float]:
    """Measure how well pictures are reproduced.

    Returns:
        ``psnr`` (decibels, mean over pictures) and ``ssim``.
    """
    pictures = data.pictures(bench.size)
    ratios, similarities = [], []
    for some in rows(len(pictures)):
        original = to_device(pictures[some], torch.device("cpu"))
        made = bench.decode(bench.encode(pictures[some]))
        ratios.append(reconstruction.psnr(made, original))
        similarities.append(reconstruction.ssim(made, original))
    return {
        "psnr": float(torch.cat(ratios).mean()),
        "ssim": float(np.concatenate(similarities).mean()),
    }
