"""Endless seeded batches whose position is one number, so that a run resumes exactly."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from studio import together
from studio.data.batch import Batch
from studio.data.folder import Classes, Labelled
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
    """An endless iterator of batches; ``position`` is its whole state.

    For a graphics card the next batch is read while the present one trains, and pictures travel as
    bytes from pinned memory; they become numbers, and are mirrored, where they are used.
    """

    def __init__(
        self,
        data: Labelled,
        size: int,
        attributes: tuple[str, ...],
        rows: Callable[[int], Indices],
        *,
        seed: int,
        classes: Classes = (),
        flip: bool = True,
        shared: bool = False,
        device: torch.device | str = "cpu",
        ahead: bool | None = None,
    ) -> None:
        """Prepare to read batches.

        Args:
            data: The pictures.
            size: Of the pictures in pixels.
            attributes: The columns of ``Batch.attributes``.
            rows: From a sampling function.
            seed: Of the mirroring.
            classes: The columns of ``Batch.classes``.
            flip: Mirror each picture left to right with probability one half.
            shared: Whether ``rows`` gives the batch of all processes, each of which takes a share.
            device: Where the batches are wanted.
            ahead: Whether to read the next batch in a thread; by default where the device is not
                the processor, which has nothing to wait for.
        """
        self.position = 0
        self._pictures = data.pictures(size)
        self._attributes = torch.from_numpy(data.attribute_matrix(attributes).astype(np.int64))
        self._classes = torch.from_numpy(data.class_matrix(classes)) if classes else None
        self._identity = torch.from_numpy(data.identity())
        self._eyes = torch.from_numpy(data.eyes())
        self._rows = rows
        self._seed = seed
        self._flip = flip
        self._share: Callable[[Any], Any] = together.share if shared else lambda whole: whole
        self._device = torch.device(device)
        if ahead is None:
            ahead = self._device.type != "cpu"
        self._reader = ThreadPoolExecutor(1) if ahead else None
        self._next: tuple[int, Future[_Read]] | None = None

    def __next__(self) -> Batch:
        read = self._expected()
        self.position += 1
        if self._reader:
            self._next = self.position, self._reader.submit(self._read, self.position)
        return self._placed(read)

    def _expected(self) -> "_Read":
        """Return what belongs to the position, which may have been set since the last batch."""
        if self._next is None or self._next[0] != self.position:
            return self._read(self.position)
        return self._next[1].result()

    def _read(self, position: int) -> "_Read":
        """Read a batch from the disk; chance falls on the whole one, however many share it."""
        whole = self._rows(position)
        chances = np.random.default_rng([self._seed, 7, position]).random(len(whole))
        rows, mirrored = self._share(whole), self._share(chances < 0.5) & self._flip
        pictures = torch.from_numpy(self._pictures[rows])
        if self._device.type == "cuda":
            pictures = pictures.pin_memory()
        return _Read(rows, pictures, torch.from_numpy(mirrored))

    def _placed(self, read: "_Read") -> Batch:
        chosen, eyes = read.mirrored, self._eyes[read.rows].clone()
        # A mirrored face's left eye is the one that was on the right.
        eyes[chosen] = eyes[chosen].flip(1)
        eyes[chosen, :, 0] = 1 - eyes[chosen, :, 0]
        pictures = read.pictures.to(self._device, non_blocking=True)
        there = chosen.to(self._device)
        pictures[there] = pictures[there].flip(2)
        # Channels stay last in memory: the permuted view is what fast convolutions want.
        images = pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        classes = None if self._classes is None else self._classes[read.rows]
        known = self._attributes[read.rows], self._identity[read.rows]
        return Batch(images, *known, eyes, classes).to(self._device)


class _Read(NamedTuple):
    """A batch as it is read: row numbers, (B, S, S, 3) bytes, and which are to be mirrored."""

    rows: Indices
    pictures: Tensor
    mirrored: Tensor
