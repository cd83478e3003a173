"""Check a data set before an hour is spent on it."""

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np

from studio.data import celeba, turntable
from studio.data.flaws import DAMAGED, FindFace, Flaw, PictureCheck
from studio.data.folder import (
    CELEBA_EYES,
    PARTITIONS,
    TABLE,
    UNKNOWN,
    DataSet,
    find_table,
    is_picture,
    open_set,
)
from studio.errors import DataError

# Fewer training pictures teach a model nothing but themselves.
FEWEST = 20
# Of each side of an attribute, as drawing batches of both needs.
FEWEST_OF_EACH = 2
# Attributes whose pairs are counted: forty would make 780 pairs.
MOST_PAIRED = 20
# Pictures from which on a person should know beforehand what decoding costs.
MANY = 100_000
# Pictures by which the speed of decoding is measured.
_TIMED = 200
# Different texts up to which a column of classes may say what a picture shows.
_MOST_CLASSES = 20
# Eye distances by which an eye may be off its place in an aligned picture.
_MOST_OFFSET = 0.25


@dataclass(frozen=True)
class Pair:
    """How often two attributes go together, over all pictures in which both are known."""

    first: str
    second: str
    both: int
    only_first: int
    only_second: int
    neither: int


@dataclass(frozen=True)
class Faces:
    """Where the checked pictures show a face.

    Attributes:
        checked: Pictures that were looked at.
        aligned: Where the models expect it.
        elsewhere: Anywhere else.
        none: Not at all.
    """

    checked: int
    aligned: int
    elsewhere: int
    none: int


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
        pairs: Counts of two attributes each, of the 20 commonest attributes at most.
        one_sided: A sentence by attribute that cannot be trained: too few training pictures have
            it or lack it.
        checked: Pictures that were decoded; fewer than all where the check was stopped.
        faces: What was seen of faces; None where none were searched.
        decode_seconds: About how long training will decode, the first time.
        cache_bytes: What the decoded pictures will take on the disk.
        unusable: What is wrong by file, for pictures that should not be used as they are.
        blocking: One sentence each that says why nothing can be trained with this set.
        problems: One sentence each about what may surprise.
        notes: One sentence each about what was seen or left out.
    """

    name: str
    layout: str
    pictures: int
    partitions: dict[str, int]
    attributes: dict[str, dict[str, int]]
    classes: dict[str, int]
    factors: list[str]
    pairs: list[Pair] = field(default_factory=list)
    one_sided: dict[str, str] = field(default_factory=dict)
    checked: int = 0
    faces: Faces | None = None
    decode_seconds: float = 0.0
    cache_bytes: int = 0
    unusable: dict[str, Flaw] = field(default_factory=dict)
    blocking: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

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
        lines += [
            f"  {pair.first} and {pair.second}: {pair.both} both, {pair.only_first} only the "
            f"first, {pair.only_second} only the second, {pair.neither} neither"
            for pair in self.pairs
        ]
        lines += self.notes
        lines += [f"Cannot be trained: {sentence}" for sentence in self.blocking]
        lines += self.problems
        lines += [f"{name}: {flaw.reason}" for name, flaw in self.unusable.items()]
        if not (self.blocking or self.problems or self.unusable):
            lines.append("No problems were found.")
        return "\n".join(lines)


def inspect(
    location: Path,
    *,
    find_face: FindFace | None = None,
    size: int = 64,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """Read every label and decode every picture of a data set.

    Args:
        location: As for :func:`studio.data.folder.open_set`.
        find_face: Judges faces; None searches none. At most 200 pictures, evenly spread, are
            judged, and none of a set that says itself where eyes are or that it shows no faces.
        size: Of the pictures in training, in pixels, for what decoding will cost.
        progress: Gets the pictures that are done and their number.
        stopped: Asked before each picture; whether to stop there.

    Returns:
        The report, on the pictures before the stop.

    Raises:
        DataError: The data set cannot be opened at all: no such place, a table that names files
            that are not there, a zip with names that lead out of it or that unpacks to too much.
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
        pairs=list(_pairs(data)),
        one_sided=dict(_one_sided(data.part("train"))),
        cache_bytes=3 * size * size * len(data),
    )
    searched = data.alignment == "celeba" and not data.knows_eyes
    check = PictureCheck(data, find_face if searched else None)
    for name, content in zip(data.files, data.attempts(), strict=True):
        if stopped():
            break
        flaw = check.look(name, content)
        if flaw is not None:
            report.unusable[name] = flaw
        report.checked += 1
        progress(report.checked, len(data))
    report.decode_seconds = _pace(data, report, size) * len(data)
    report.faces = _faces(data, check)
    report.blocking += _blocking(report)
    report.problems += [*_table_problems(data), *_surprises(data, report, size)]
    report.notes += _notes(data, report)
    return report


def _pace(data: DataSet, report: Report, size: int) -> float:
    """Measure how many seconds training will take to decode one picture, on the first of them."""
    damaged = {name for name, flaw in report.unusable.items() if flaw.kind in DAMAGED}
    seen = enumerate(data.files[: report.checked])
    rows = list(islice((row for row, name in seen if name not in damaged), _TIMED))
    # Opening the set, which comes before the first picture, does not grow with their number.
    times = [time.perf_counter() for _ in data.select(np.array(rows, int)).decode_each(size)]
    return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0


def _faces(data: DataSet, check: PictureCheck) -> Faces | None:
    """Sum the verdicts up, or take the table's word where it knows the eyes."""
    if data.alignment == "celeba" and data.knows_eyes:
        usual = np.array(CELEBA_EYES)
        off = np.hypot(*np.moveaxis(data.eyes() - usual, -1, 0)).max(axis=1)
        aligned = int((off <= _MOST_OFFSET * np.hypot(*(usual[1] - usual[0]))).sum())
        return Faces(len(data), aligned, len(data) - aligned, 0)
    if not check.faces:
        return None
    counts = [check.faces[place] for place in ("aligned", "elsewhere", "none")]
    return Faces(sum(counts), *counts)


def _pairs(data: DataSet) -> Iterator[Pair]:
    """Count pairs of the commonest attributes, in the order of the table."""
    shown = {name: int((values == 1).sum()) for name, values in data.attributes.items()}
    common = set(sorted(shown, key=lambda name: -shown[name])[:MOST_PAIRED])
    for first, second in combinations([name for name in shown if name in common], 2):
        one, other = data.attributes[first], data.attributes[second]
        counts = [int(((one == a) & (other == b)).sum()) for a in (1, 0) for b in (1, 0)]
        yield Pair(first, second, *counts)


def _one_sided(train: DataSet) -> Iterator[tuple[str, str]]:
    """Name attributes of which one side is hardly there, with a sentence each."""
    for name, values in train.attributes.items():
        counts = [int((values == value).sum()) for value in (1, 0)]
        if min(counts) < FEWEST_OF_EACH:
            yield (
                name,
                f"{name}: {counts[0]} training pictures have it and {counts[1]} lack it; at least "
                f"{FEWEST_OF_EACH} of each are needed. Add such pictures, mark more of them or "
                "train another attribute.",
            )


def _blocking(report: Report) -> list[str]:
    """Say why nothing can be trained."""
    sentences = []
    count = report.partitions["train"]
    if count < FEWEST:
        sentences.append(
            f"{count} of {report.pictures} pictures are for training; at least {FEWEST} are "
            "needed, and some hundreds for a good result. Add pictures, or move some to part 0 in "
            "the column partition."
        )
    damaged = sum(flaw.kind in DAMAGED for flaw in report.unusable.values())
    if damaged:
        sentences.append(
            f"Pictures that cannot be decoded: {damaged}. Training stops at the first of them; "
            "remove them from the set."
        )
    if report.one_sided and len(report.one_sided) == len(report.attributes):
        sentences += report.one_sided.values()
    return sentences


def _surprises(data: DataSet, report: Report, size: int) -> list[str]:
    """Say what a person may not expect of a set that can be trained."""
    sentences = []
    if report.checked < len(data):
        sentences.append(
            f"The check was stopped: only {report.checked} of {len(data)} pictures were looked at."
        )
    if len(report.one_sided) < len(report.attributes):
        sentences += report.one_sided.values()
    if len(data) > MANY:
        sentences.append(
            f"{len(data):,} pictures take about {_duration(report.decode_seconds)} to decode once, "
            f"and {report.cache_bytes / 1e9:.1f} GB of the disk at {size} pixels."
        )
    faces = report.faces
    if faces and 2 * faces.none > faces.checked:
        sentences.append(
            f"{faces.none} of {faces.checked} checked pictures show no face that can be aligned; "
            "if the set is of other things, add a column alignment that holds none to its table."
        )
    elif faces and faces.elsewhere:
        sentences.append(
            f"{faces.elsewhere} of {faces.checked} checked pictures show a face that is not "
            "aligned; alignment is offered, and makes an aligned copy of the set."
        )
    return sentences


def _notes(data: DataSet, report: Report) -> list[str]:
    """Say what was seen or left out."""
    sentences = []
    faces = report.faces
    if faces and faces.aligned:
        sentences.append(
            f"{faces.aligned} of {faces.checked} checked pictures are aligned as the models expect "
            f"faces{', by the eyes in the table' if data.knows_eyes else ''}."
        )
    if len(data.attributes) > MOST_PAIRED:
        sentences.append(
            f"Pairs are counted of the {MOST_PAIRED} commonest of {len(data.attributes)} "
            "attributes."
        )
    if not data.attributes:
        sentences.append(
            "No attribute is labelled: only methods that need none can be trained until some "
            "pictures are marked."
        )
    return sentences


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def _layout(location: Path, data: DataSet) -> str:
    if location.is_dir() and celeba.is_celeba(location):
        return "CelebA's official layout"
    packed = location if location.is_file() else location.with_suffix(".zip")
    kind = "a folder" if location.is_dir() else "a zip"
    if packed.is_file() and packed.with_suffix(".csv").is_file() and not location.is_dir():
        return f"a zip with {packed.with_suffix('.csv').name} beside it"
    if find_table(data.source.names()):
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
    pictures = {name for name in data.source.names() if is_picture(name)}
    unnamed = len(pictures - set(data.files))
    if unnamed:
        problems.append(f"{unnamed} pictures are not in the table and will not be used.")
    for name, number in PARTITIONS.items():
        if not (data.partition == number).any():
            problems.append(f"The {name} partition is empty.")
    return problems + _untrained_classes(data) + _shared_persons(data)


def _untrained_classes(data: DataSet) -> list[str]:
    """Name classes of which no picture is for training."""
    problems = []
    training = data.partition == PARTITIONS["train"]
    for column, values in data.classes.items():
        known = {text for text, count in Counter(values.tolist()).items() if text and count > 1}
        missing = sorted(known - set(values[training].tolist()))
        # Persons stand in one partition each, and many texts are sources or other notes.
        if missing and column != "identity" and len(known) <= _MOST_CLASSES:
            problems.append(
                f"No training picture has the {column} {missing[0]!r}, though "
                f"{(values == missing[0]).sum()} others have; add some, or move them to part 0 in "
                "the column partition."
            )
    return problems


def _shared_persons(data: DataSet) -> list[str]:
    """Name persons whose pictures stand in several partitions: held-out would not be held out."""
    if "identity" not in data.classes:
        return []
    persons = data.identity()
    pairs = np.unique(np.stack([persons, data.partition.astype(np.int64)]), axis=1)
    counts = np.unique(pairs[0], return_counts=True)[1]
    shared = int((counts > 1).sum())
    return [f"{shared} persons are in several partitions."] if shared else []


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
