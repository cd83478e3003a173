"""CelebA's official layout: img_align_celeba, list_attr_celeba.txt and its companions."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from studio.data.folder import DataSet, FolderSource, Source, ZipSource, from_rows
from studio.data.reading import open_picture
from studio.errors import DataError

ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
IDENTITY = "identity_CelebA.txt"
# The square of the official 178x218 crops that keeps the whole face.
CROP = (0, 20, 178, 198)


def is_celeba(folder: Path) -> bool:
    """Say whether a folder has CelebA's attribute list."""
    return (folder / ATTRIBUTES).is_file()


def open_celeba(folder: Path) -> DataSet:
    """Open a folder in CelebA's official layout.

    Args:
        folder: Holds ``list_attr_celeba.txt``, ``list_eval_partition.txt``, optionally
            ``identity_CelebA.txt``, and ``img_align_celeba`` as a folder or zip.

    Returns:
        The data set, pictures cropped to (0, 20, 178, 198) and resized.

    Raises:
        DataError: A needed file is missing or damaged.
    """
    source, rows = read_celeba(folder)
    return from_rows(folder, source, rows, decode=decode_official)


def read_celeba(folder: Path) -> tuple[Source, list[dict[str, str]]]:
    """Return where the pictures are, and the lists as the rows of one table.

    Raises:
        DataError: A needed file is missing or damaged.
    """
    source, prefix = _source(folder)
    lines = _read(folder / ATTRIBUTES).splitlines()
    if len(lines) < 3:
        raise DataError(f"{folder / ATTRIBUTES} is damaged: it lists no pictures.")
    names = lines[1].split()
    columns = {"partition": _pairs(folder / PARTITION)}
    if (folder / IDENTITY).is_file():
        columns["identity"] = _pairs(folder / IDENTITY)
    rows = []
    for line in lines[2:]:
        file, *values = line.split()
        lacking = [name for name, column in columns.items() if file not in column]
        if len(values) != len(names) or lacking:
            raise DataError(
                f"{folder / ATTRIBUTES}: the line of {file} is damaged or has no "
                f"{' or '.join(lacking or names)}."
            )
        row = {"file": prefix + file, **{name: column[file] for name, column in columns.items()}}
        row.update(zip(names, ("1" if value == "1" else "0" for value in values), strict=True))
        rows.append(row)
    return source, rows


def decode_official(content: bytes, size: int) -> NDArray[np.uint8]:
    """Decode an official 178x218 crop and resize its face square to (size, size, 3)."""
    picture = open_picture(content)
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=CROP))


def _source(folder: Path) -> tuple[Source, str]:
    if (folder / "img_align_celeba").is_dir():
        return FolderSource(folder / "img_align_celeba"), ""
    if (folder / "img_align_celeba.zip").is_file():
        return ZipSource(folder / "img_align_celeba.zip"), "img_align_celeba/"
    raise DataError(f"{folder} has no img_align_celeba folder or zip beside its lists.")


def _pairs(path: Path) -> dict[str, str]:
    """Read a list of a file name and one value per line."""
    pairs = [line.split() for line in _read(path).splitlines() if line]
    if any(len(pair) != 2 for pair in pairs):
        raise DataError(f"{path} is damaged: every line has a file name and one value.")
    return dict(pairs)


def _read(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path} is missing; CelebA's official layout has it.")
    return path.read_text()
