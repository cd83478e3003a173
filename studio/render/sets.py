"""What all rendered sets share: streams of chance, the held-out part, files and table."""

import csv
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from PIL import Image
from torch import Tensor

from studio.errors import ConfigError

Progress: TypeAlias = Callable[[int, int], None]

TABLE = "attributes.csv"
TRAIN, TEST = 0, 2
_PICTURES_AT_ONCE = 64


def stream(seed: int, name: str) -> random.Random:
    """Return a source of chance of its own for a name, so that a new one disturbs no other."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def held_out(count: int, seed: int, name: str) -> list[int]:
    """Draw a fifth of a set for the test.

    Args:
        count: Number of pictures.
        seed: Seed of the draw.
        name: Of what is split; each name has a draw of its own.

    Returns:
        For each picture 0 (train) or 2 (test), as in the column ``partition``.
    """
    chosen = set(stream(seed, f"test/{name}").sample(range(count), round(count / 5)))
    return [TEST if number in chosen else TRAIN for number in range(count)]


def check_free(folder: Path) -> None:
    """Check that a folder has no data set.

    Raises:
        ConfigError: It has one.
    """
    if (folder / TABLE).exists():
        raise ConfigError(f"{folder} has a data set already; name another folder or remove it.")


def write_set(
    folder: Path,
    rows: Sequence[Mapping[str, object]],
    draw: Callable[[slice], Tensor],
    progress: Progress | None = None,
) -> None:
    """Write a data set: PNG files and ``attributes.csv``.

    The table is written last, so that a folder with one is complete.

    Args:
        folder: Where to write; created if missing.
        rows: The table, one row per picture, with ``file``.
        draw: Renders the pictures of a range of rows, (B, 3, H, W) in [-1, 1].
        progress: Called with the pictures done and their number, now and then.

    Raises:
        ConfigError: The folder has a data set already.
    """
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(rows), _PICTURES_AT_ONCE):
        part = slice(first, min(first + _PICTURES_AT_ONCE, len(rows)))
        images = draw(part).add(1).mul(127.5).round().to(torch.uint8)
        for row, image in zip(rows[part], images, strict=True):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / str(row["file"]))
        if progress is not None:
            progress(part.stop, len(rows))
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["file"])
        writer.writeheader()
        writer.writerows(rows)
