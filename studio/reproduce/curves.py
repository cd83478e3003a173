"""What autoencoders make of in-betweens whose truth is known: rows of tables, and their curves.

A row describes pictures of one run at one place: the mean, deviation and quartiles of their mean
squared error, of images in [-1, 1], or of the α that is read off the nearest picture of the data
set. Pictures held out of training and pictures seen in it never share a row. Lengths in degrees
count pictures as ``studio/data/turns.py`` says; ``span`` is what lies between the two ends.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any

import torch
from torch import Tensor

from studio.data.turns import Rows
from studio.evaluation.interpolation import drawn, true_errors, walk
from studio.metrics import interpolation as metrics
from studio.reproduce.charts import COLOURS, GREY, RED, Chart, Line
from studio.reproduce.contest import FADE, SPLITS, Contest, Run

LENGTH = 80.0
ALPHA_LENGTH = 70.0
SHORTEST = 15.0
# Intervals of each length; all of them would take an hour, and these are the same for everyone.
MOST_PER_LENGTH = 192

Row = Mapping[str, Any]
Measure = Callable[[Contest, Run], Iterator[Row]]


def error_rows(contest: Contest, run: Run) -> Iterator[Row]:
    """Describe errors at every α of all intervals of ``LENGTH`` degrees (AEAI, Fig. 6, 14)."""
    rows = contest.turns.intervals(LENGTH)
    errors = true_errors(run.bench, run.codes, contest.images, rows)
    yield from _by_alpha(contest, run, rows, errors, LENGTH)


def length_rows(contest: Contest, run: Run) -> Iterator[Row]:
    """Describe errors of in-betweens, by the interval's length (Fig. 6, right, and 14)."""
    turns = contest.turns
    first, last = (turns.pictures(length) for length in (SHORTEST, LENGTH))
    for count in range(max(first, 3), last + 1):
        length = count * turns.step
        rows = drawn(turns.intervals(length), MOST_PER_LENGTH, seed=0)
        errors = true_errors(run.bench, run.codes, contest.images, rows)
        for split, chosen in contest.splits(rows).items():
            chosen[:, [0, -1]] = False
            if chosen.any():
                place = _place(contest, run, split, length)
                yield {**place, **metrics.spread(errors, chosen)}


def alpha_rows(contest: Contest, run: Run) -> Iterator[Row]:
    """Describe the α of the nearest pictures at every α, at 70 degrees (Fig. 7, 15)."""
    rows = contest.turns.intervals(ALPHA_LENGTH)
    alpha = torch.linspace(0, 1, rows.shape[1])
    starts = contest.angles[torch.from_numpy(rows[:, 0])][:, None]
    span = contest.turns.span(ALPHA_LENGTH)
    found = torch.cat(
        [
            metrics.nearest(paths.flatten(0, 1), contest.images).row.unflatten(0, paths.shape[:2])
            for _, paths in walk(run.bench, run.codes, rows[:, [0, -1]], alpha)
        ]
    )
    retrieved = metrics.retrieved_alpha(contest.angles[found], starts, span)
    yield from _by_alpha(contest, run, rows, retrieved, ALPHA_LENGTH)


def _by_alpha(
    contest: Contest, run: Run, rows: Rows, values: Tensor, length: float
) -> Iterator[Row]:
    """Describe (P, K) numbers column by column."""
    last = rows.shape[1] - 1
    for split, chosen in contest.splits(rows).items():
        place = _place(contest, run, split, length)
        for column in range(last + 1):
            if chosen[:, column].any():
                numbers = metrics.spread(values[:, column], chosen[:, column])
                yield {**place, "alpha": column / last, **numbers}


def _place(contest: Contest, run: Run, split: str, length: float) -> dict[str, Any]:
    span = contest.turns.span(length)
    run_place = {"method": run.label, "seed": run.seed, "split": split}
    # Not every table has an alpha, but all have the same columns.
    return {**run_place, "length": length, "span": span, "alpha": ""}


# Means over runs, and curves.


def labels(rows: Sequence[Row]) -> list[str]:
    """Return the contestants in the order of the table."""
    return list(dict.fromkeys(row["method"] for row in rows))


def over_seeds(rows: Sequence[Row], number: Callable[[Sequence[Row]], float]) -> dict[str, float]:
    """Return a number's mean and spread over the seeds of one contestant's rows."""
    seeds = sorted({row["seed"] for row in rows})
    values = [number([row for row in rows if row["seed"] == seed]) for seed in seeds]
    return {"mean": fmean(values), "std_over_seeds": pstdev(values)}


def summarize(
    rows: Sequence[Row], numbers: Mapping[str, Callable[[Sequence[Row]], float]]
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Return numbers of in-betweens by split, contestant and name: means over seeds, and spread."""
    summary: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    inner = between(rows)
    for split in dict.fromkeys(row["split"] for row in inner):
        own = [row for row in inner if row["split"] == split]
        summary[split] = {
            label: {
                name: over_seeds([row for row in own if row["method"] == label], number)
                for name, number in numbers.items()
            }
            for label in labels(own)
        }
    return summary


def between(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of in-betweens: neither end, where rows have an α."""
    return [row for row in rows if row["alpha"] == "" or 0 < row["alpha"] < 1]


def mean_of(column: str) -> Callable[[Sequence[Row]], float]:
    """Return a function from rows to the mean of a column."""
    return lambda rows: fmean(row[column] for row in rows)


def quartile_range(rows: Sequence[Row]) -> float:
    """Return the mean distance of the quartiles."""
    return fmean(row["q75"] - row["q25"] for row in rows)


def off_linear(rows: Sequence[Row]) -> float:
    """Return how far the median of the retrieved α is from α on average."""
    return fmean(abs(row["median"] - row["alpha"]) for row in rows)


def colour_of(label: str, every: Sequence[str]) -> tuple[int, int, int]:
    """Return a contestant's colour, the same in all charts of a table."""
    others = [name for name in every if name != FADE]
    return GREY if label == FADE else COLOURS[others.index(label) % len(COLOURS)]


def compare(
    rows: Sequence[Row], title: str, column: str, x: str = "alpha", split: str = SPLITS[0]
) -> Chart:
    """Draw a column of one split, a curve for each contestant, with its spread over the seeds."""
    every = labels(rows)
    lines = []
    for label in every:
        own = [row for row in rows if row["method"] == label and row["split"] == split]
        places = sorted({row[x] for row in own})
        at = [[row[column] for row in own if row[x] == place] for place in places]
        middle, wide = [fmean(values) for values in at], [pstdev(values) for values in at]
        lines.append(
            Line(
                label,
                places,
                middle,
                colour_of(label, every),
                low=[m - w for m, w in zip(middle, wide, strict=True)] if any(wide) else (),
                high=[m + w for m, w in zip(middle, wide, strict=True)] if any(wide) else (),
                dashed=label == FADE,
            )
        )
    return Chart(f"{title}, {split}", lines, x)


def quartiles(rows: Sequence[Row], label: str, split: str = SPLITS[0]) -> Chart:
    """Draw one contestant's median of retrieved α with its quartiles, and the straight line."""
    own = [row for row in rows if row["method"] == label and row["split"] == split]
    places = sorted({row["alpha"] for row in own})

    def middle(column: str) -> list[float]:
        return [fmean(row[column] for row in own if row["alpha"] == place) for place in places]

    bounds = middle("q25"), middle("q75")
    curve = Line("", places, middle("median"), COLOURS[0], *bounds, dots=True)
    straight = Line("", (0, 1), (0, 1), RED, dashed=True)
    return Chart(f"{label}, {split}", [straight, curve], "alpha", "retrieved", size=(300, 260))
