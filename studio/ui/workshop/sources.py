"""The data sets that can be learnt from: where they are, and what their labels allow."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from studio import intake, jobs, paths
from studio.data.folder import DataSet
from studio.data.inspect import FEWEST, FEWEST_OF_EACH
from studio.errors import DataError, StudioError
from studio.ui.context import Context
from studio.ui.sets import (
    EXAMPLE,
    EXAMPLE_KEY,
    EXAMPLE_NAME,
    find_set,
    opened,
    received_set,
    sets,
    version_of,
)

# Before the name of a job whose data is not in the home.
OF_JOB = "job:"
NO_SET = "Choose a data set first, or drop a zip of pictures on the left."


@dataclass(frozen=True)
class Facts:
    """What the labels of a data set allow.

    Attributes:
        name: Shown to people.
        pictures: In all partitions.
        train: To learn from.
        validation: Held out, looked at while training.
        attributes: How many training pictures have each attribute, and how many lack it.
        rendered: Whether these are rendered heads: their true factors are known.
    """

    name: str
    pictures: int
    train: int
    validation: int
    attributes: Mapping[str, tuple[int, int]]
    rendered: bool

    @property
    def learnable(self) -> list[str]:
        """The attributes that can be learnt, those with most pictures on both sides first."""
        able = [name for name, sides in self.attributes.items() if min(sides) >= FEWEST_OF_EACH]
        return sorted(able, key=lambda name: -min(self.attributes[name]))

    def refusal(self) -> str:
        """Say why nothing can be learnt from so few pictures; empty where something can."""
        if self.train >= FEWEST:
            return ""
        return (
            f"{self.name} has {self.train} pictures to learn from; at least {FEWEST} are needed, "
            "and some hundreds for a good result."
        )


def choices(chosen: str = "") -> list[tuple[str, str]]:
    """List labels and keys of the data sets that can be chosen."""
    others = [(f"Data of {chosen.removeprefix(OF_JOB)}", chosen)]
    return [
        *((name, name) for name in sets(labelled=False)),
        (EXAMPLE_NAME, EXAMPLE_KEY),
        *(others if chosen.startswith(OF_JOB) else []),
    ]


def place(key: str) -> Path:
    """Return where the data set of a key is.

    Raises:
        StudioError: There is none any more.
    """
    if not key:
        raise DataError(NO_SET)
    if key == EXAMPLE_KEY:
        return EXAMPLE
    if key.startswith(OF_JOB):
        request = jobs.read(key.removeprefix(OF_JOB)).request
        if request is None:
            raise DataError(f"The request of {key.removeprefix(OF_JOB)} is damaged.")
        return Path(request.data)
    return Path(find_set(key, labelled=False))


def key_of(job: str, data: str) -> str:
    """Return the key of a job's data set."""
    # A set of the home may be a link to where it is.
    there = Path(data).resolve()
    if there == EXAMPLE.resolve():
        return EXAMPLE_KEY
    own = (name for name in sets(labelled=False) if (paths.data() / name).resolve() == there)
    return next(own, f"{OF_JOB}{job}")


def first(context: Context) -> str:
    """Return the set to begin with: the newest of the home that opens, or the example."""
    folder = paths.data()
    newest = sorted(
        sets(labelled=False), key=lambda name: (folder / name).stat().st_mtime, reverse=True
    )
    for name in newest:
        try:
            data_of(context, name)
        except StudioError:
            continue
        return name
    return EXAMPLE_KEY if EXAMPLE.is_file() else ""


def data_of(context: Context, key: str) -> DataSet:
    """Open the data set of a key.

    Raises:
        StudioError: It is not there or cannot be read.
    """
    return opened(context, place(key), version_of(place(key)))


def facts_of(context: Context, key: str) -> Facts:
    """Count what the labels of a data set allow.

    Raises:
        StudioError: It is not there or cannot be read.
    """
    data = data_of(context, key)
    return context.memory.get(("facts", *stamp(key)), lambda: _facts(data), lambda _: 4096)


def stamp(key: str) -> tuple[str, ...]:
    """Return where a data set is, and what changes with any of its files.

    Raises:
        StudioError: It is not there.
    """
    there = place(key)
    files = [file for file in (there, there.with_suffix(".csv")) if file.is_file()]
    return (str(there), version_of(there), *(str(file.stat().st_mtime_ns) for file in files))


def _facts(data: DataSet) -> Facts:
    train, held_out = data.part("train"), data.part("validation")
    return Facts(
        data.name,
        len(data),
        len(train),
        len(held_out),
        {
            name: (int((values == 1).sum()), int((values == 0).sum()))
            for name, values in train.attributes.items()
        },
        rendered="factor_yaw" in data.factors,
    )


def take(file: object) -> str:
    """Keep an uploaded zip as a set of the home.

    Args:
        file: Where Gradio put it.

    Returns:
        The key of the new set.

    Raises:
        StudioError: It is no upload or no data set, or there is no room for it.
    """
    source = received_set(file)
    return intake.take_in(source, free_name(source.stem)).name


def free_name(wish: str) -> str:
    """Return a name for a new set like the given one that no other has."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", wish).strip("-")[: intake.MOST_LETTERS - 4] or "set"
    taken = {Path(name).stem for name in sets(labelled=False)}
    names = (f"{stem}{f'-{number}' if number > 1 else ''}" for number in range(1, 1000))
    return next(name for name in names if name not in taken)
