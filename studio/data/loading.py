"""Endless seeded batches whose position is one number, so that a run resumes exactly."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from studio.data.batch import Batch
from studio.data.folder import Labelled
from studio.errors import DataError

Indices = NDArray[np.intp]
Sampling = Callable[[Labelled, str, int, int], Callable[[int], Indices]]


def uniform(data: Labelled, attribute: str, batch_size: int, seed: int) -> Callable[[int], Indices]:
    """Draw every picture once per epoch.

    Args:
        data: The pictures to draw from.
        attribute: Not used; all samplings are called alike.
        batch_size: Pictures per batch.
        seed: Of the shuffling.

    Returns:
        A function from a batch's position, counted from 0, to its (batch_size,) row numbers.
    """
    del attribute
    return _stream(np.arange(len(data)), batch_size, seed)


def contrast(
    data: Labelled, attribute: str, batch_size: int, seed: int
) -> Callable[[int], Indices]:
    """Draw unpaired halves: the first has the attribute, the second lacks it.

    Args:
        data: The pictures to draw from.
        attribute: The attribute that tells the halves apart.
        batch_size: Pictures per batch, even.
        seed: Of the shuffling.

    Returns:
        As :func:`uniform`.

    Raises:
        DataError: The attribute is unknown, or one side has fewer than two pictures.
    """
    values = data.attribute(attribute)
    sides = [np.flatnonzero(values == 1), np.flatnonzero(values == 0)]
    if min(map(len, sides)) < 2:
        raise DataError(
            f"{data.name} has {len(sides[0])} training pictures with {attribute} and "
            f"{len(sides[1])} without; at least 2 of each are needed."
        )
    streams = [_stream(side, batch_size // 2, seed + k) for k, side in enumerate(sides)]
    return lambda position: np.concatenate([stream(position) for stream in streams])


def in_order(count: int, batch_size: int) -> Callable[[int], Indices]:
    """Read rows one after another, once; the last batch may be smaller.

    Args:
        count: Rows 0 to ``count`` - 1 are read.
        batch_size: Pictures per batch.

    Returns:
        As :func:`uniform`.
    """
    return lambda position: np.arange(count)[position * batch_size : (position + 1) * batch_size]


def _stream(rows: Indices, batch_size: int, seed: int) -> Callable[[int], Indices]:
    """Deal seeded permutations of ``rows`` one after another, in batches."""
    count = len(rows)
    permutations: dict[int, Indices] = {}

    def permutation(epoch: int) -> Indices:
        if epoch not in permutations:
            # A batch spans few epochs; the two newest suffice and memory stays bounded.
            for old in [key for key in permutations if key < epoch - 1]:
                del permutations[old]
            permutations[epoch] = np.random.default_rng([seed, epoch]).permutation(rows)
        return permutations[epoch]

    def batch(position: int) -> Indices:
        places = np.arange(position * batch_size, (position + 1) * batch_size)
        return np.array([permutation(int(place) // count)[place % count] for place in places])

    return batch


class Batches(Iterator[Batch]):
    """An endless iterator of batches; ``position`` is its whole state."""

    def __init__(
        self,
        data: Labelled,
        size: int,
        attributes: tuple[str, ...],
        rows: Callable[[int], Indices],
        *,
        seed: int,
        flip: bool = True,
    ) -> None:
        """Prepare to read batches.

        Args:
            data: The pictures.
            size: Of the pictures in pixels.
            attributes: The columns of ``Batch.attributes``.
            rows: From a sampling function.
            seed: Of the mirroring.
            flip: Mirror each picture left to right with probability one half.
        """
        self.position = 0
        self._pictures = data.pictures(size)
        self._attributes = torch.from_numpy(data.attribute_matrix(attributes).astype(np.int64))
        self._identity = torch.from_numpy(data.identity())
        self._eyes = torch.from_numpy(data.eyes())
        self._rows = rows
        self._seed = seed
        self._flip = flip

    def __next__(self) -> Batch:
        rows = self._rows(self.position)
        pictures = self._pictures[rows]
        eyes = self._eyes[rows].clone()
        if self._flip:
            mirrored = np.random.default_rng([self._seed, 7, self.position]).random(len(rows)) < 0.5
            pictures[mirrored] = pictures[mirrored][:, :, ::-1]
            chosen = torch.from_numpy(mirrored)
            # A mirrored face's left eye is the one that was on the right.
            eyes[chosen] = eyes[chosen].flip(1)
            eyes[chosen, :, 0] = 1 - eyes[chosen, :, 0]
        self.position += 1
        # Channels stay last in memory: the permuted view is what fast convolutions want.
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        return Batch(images, self._attributes[rows], self._identity[rows], eyes)
