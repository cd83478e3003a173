"""Check a data set before an hour is spent on it."""

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from studio.data import celeba, turntable
from studio.data.folder import (
    PARTITIONS,
    PICTURES,
    TABLE,
    UNKNOWN,
    DataSet,
    open_set,
)
from studio.errors import DataError

SMALLEST = 32
# What Pillow raises on damaged pictures and on bombs; it has no common base for them.
_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass
class Report:
    """What a data set holds, and what is wrong with it.

    Attributes:
        name: Of the data set.
        layout: How it was recognized.
        pictures: Rows of the table.
        partitions: Pictures by partition.
        attributes: Pictures with each attribute, by partition; ``unknown`` counts empty cells.
        classes: Number of different texts by class column.
        factors: Names of the columns with true factors.
        unusable: Reason by file, for pictures that cannot be used as they are.
        problems: One sentence each about the table and the set as a whole.
    """

    name: str
    layout: str
    pictures: int
    partitions: dict[str, int]
    attributes: dict[str, dict[str, int]]
    classes: dict[str, int]
    factors: list[str]
    unusable: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def text(self) -> str:
        """Return lines for a person."""
        parts = ", ".join(f"{count} {name}" for name, count in self.partitions.items())
        lines = [f"{self.name}: {self.layout}, {self.pictures} pictures ({parts})."]
        for name, counts in self.attributes.items():
            shown = ", ".join(f"{count} {part}" for part, count in counts.items())
            lines.append(f"  {name}: {shown}")
        lines += [f"  {name}: {count} classes" for name, count in self.classes.items()]
        if self.factors:
            lines.append(f"  True factors: {', '.join(self.factors)}")
        lines += self.problems
        lines += [f"{name}: {reason}" for name, reason in self.unusable.items()]
        if not self.problems and not self.unusable:
            lines.append("No problems were found.")
        return "\n".join(lines)


def inspect(location: Path) -> Report:
    """Read every label and decode every picture of a data set.

    Args:
        location: As for :func:`studio.data.folder.open_set`.

    Returns:
        The report.

    Raises:
        DataError: The data set cannot be opened at all: no such place, a table that names files
            that are not there, a zip with names that lead out of it.
    """
    data = open_set(location)
    report = Report(
        name=data.name,
        layout=_layout(location, data),
        pictures=len(data),
        partitions={name: int((data.partition == k).sum()) for name, k in PARTITIONS.items()},
        attributes={name: _counts(data, name) for name in data.attributes},
        classes={name: len(set(column.tolist()) - {""}) for name, column in data.classes.items()},
        factors=sorted(data.factors),
    )
    report.problems += _table_problems(data)
    report.unusable.update(_picture_problems(data))
    return report


def _layout(location: Path, data: DataSet) -> str:
    if location.is_dir() and celeba.is_celeba(location):
        return "CelebA's official layout"
    packed = location if location.is_file() else location.with_suffix(".zip")
    kind = "a folder" if location.is_dir() else "a zip"
    if packed.is_file() and packed.with_suffix(".csv").is_file() and not location.is_dir():
        return f"a zip with {packed.with_suffix('.csv').name} beside it"
    if TABLE in data.source.names():
        return f"{kind} with {TABLE}"
    if turntable.rows_of_coil(data.files):
        return f"{kind} in COIL-100's own layout"
    return f"{kind} with one folder per class" if data.classes else f"{kind} without labels"


def _counts(data: DataSet, name: str) -> dict[str, int]:
    values = data.attributes[name]
    counts = {
        part: int(((values == 1) & (data.partition == number)).sum())
        for part, number in PARTITIONS.items()
    }
    unknown = int((values == UNKNOWN).sum())
    return {**counts, **({"unknown": unknown} if unknown else {})}


def _table_problems(data: DataSet) -> list[str]:
    """Say what will surprise whoever trains on these labels."""
    problems = []
    repeated = len(data.files) - len(set(data.files))
    if repeated:
        problems.append(f"The table names {repeated} files more than once.")
    pictures = {n for n in data.source.names() if PurePosixPath(n).suffix.lower() in PICTURES}
    unnamed = len(pictures - set(data.files))
    if unnamed:
        problems.append(f"{unnamed} pictures are not in the table and will not be used.")
    for name, number in PARTITIONS.items():
        if not (data.partition == number).any():
            problems.append(f"The {name} partition is empty.")
    for name, values in data.attributes.items():
        if len(set(values[values != UNKNOWN].tolist())) < 2:
            problems.append(f"{name} has the same value in all pictures: nothing can be learnt.")
    return problems + _shared_persons(data)


def _shared_persons(data: DataSet) -> list[str]:
    """Name persons whose pictures stand in several partitions: held-out would not be held out."""
    if "identity" not in data.classes:
        return []
    persons = data.identity()
    pairs = np.unique(np.stack([persons, data.partition.astype(np.int64)]), axis=1)
    counts = np.unique(pairs[0], return_counts=True)[1]
    shared = int((counts > 1).sum())
    return [f"{shared} persons are in several partitions."] if shared else []


def _picture_problems(data: DataSet) -> Mapping[str, str]:
    """Decode every picture; name those that are corrupt, tiny or there twice."""
    problems: dict[str, str] = {}
    first: dict[bytes, str] = {}
    for name, content in zip(data.files, data.attempts(), strict=True):
        if isinstance(content, DataError):
            problems[name] = str(content)
            continue
        reason = _damage(content)
        digest = hashlib.sha256(content).digest()
        if reason:
            problems[name] = reason
        elif first.get(digest, name) != name:
            problems[name] = f"It is the same picture as {first[digest]}."
        first.setdefault(digest, name)
    return problems


def _damage(content: bytes) -> str:
    """Say why a picture cannot be used, or nothing."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            width, height = opened.size
            opened.convert("RGB")
    except _DAMAGE as error:
        return f"It cannot be decoded ({error})."
    if min(width, height) < SMALLEST:
        return f"It has only {width} x {height} pixels; at least {SMALLEST} x {SMALLEST} are used."
    return ""


def write_splits(data: DataSet, output: Path) -> dict[str, int]:
    """Write a table of ``file`` and ``partition``, so that others repeat the same split.

    Args:
        data: Split by its table or by the names of its persons.
        output: A CSV file; its folder is made if it does not exist.

    Returns:
        Pictures by partition.

    Raises:
        DataError: The output is no ``.csv`` file.
    """
    if output.suffix != ".csv":
        raise DataError(f"The list of a split is a .csv file, not {output.name}.")
    names = {number: name for name, number in PARTITIONS.items()}
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "partition"])
        for name, number in zip(data.files, data.partition.tolist(), strict=True):
            writer.writerow([name, names[number]])
    return {name: int((data.partition == number).sum()) for name, number in PARTITIONS.items()}
