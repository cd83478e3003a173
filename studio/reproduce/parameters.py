"""The way of interpolated pictures through the pole's azimuth and altitude (AEAI, Fig. 8)."""

from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from studio.data.turns import NOBODY, Rows
from studio.errors import DataError
from studio.evaluation.interpolation import walk
from studio.images import sheet
from studio.metrics import interpolation as metrics
from studio.reproduce import charts, curves
from studio.reproduce.charts import COLOURS, RED, Chart, Line
from studio.reproduce.contest import CONTESTANTS, Contest, Run, open_contest
from studio.reproduce.curves import Row
from studio.reproduce.options import ReproduceOptions, write_results

ALTITUDE = "factor_altitude"
PAIRS, FRAMES = 256, 16
CHARTS_A_ROW = 4
# Places of the turn between source and target: 10 to 75 degrees of azimuth on the pole.
NEAR, FAR = 2, 15
SIDES = ("source", "target")


def parameters(options: ReproduceOptions) -> dict[str, object]:
    """Measure how far along azimuth and altitude the nearest pictures lie (Fig. 8).

    Source and target are random pictures up to 75 degrees of azimuth and any altitudes apart. Of
    each interpolated picture the nearest picture of the data set tells where it is.

    Raises:
        DataError: The pictures have no altitude.
    """
    contest = open_contest(options)
    if ALTITUDE not in contest.data.factors:
        raise DataError(f"aeai-parameters needs {ALTITUDE}, as the rendered pole has it.")
    pairs = random_lights(contest)
    rows = [row for run in contest.runs(CONTESTANTS) for row in _rows(contest, run, pairs)]
    every = [_chart(rows, label) for label in curves.labels(rows)]
    lines = [every[first : first + CHARTS_A_ROW] for first in range(0, len(every), CHARTS_A_ROW)]
    figure = sheet([[charts.draw(chart) for chart in line] for line in lines])
    off = {
        label: curves.over_seeds(
            [row for row in rows if row["method"] == label],
            lambda some: fmean(row["off_linear"] for row in some),
        )
        for label in curves.labels(rows)
    }
    summary = {"steps": contest.steps, "pairs": len(pairs), "off_linear": off}
    return write_results(options, "aeai-parameters", rows, figure, summary)


def random_lights(contest: Contest, seed: int = 0) -> Rows:
    """Draw sources and targets, (P, 2) rows, at most ``PAIRS``."""
    rows = contest.turns.rows
    groups, places = rows.shape
    rng = np.random.default_rng(seed)
    above = rng.integers(groups, size=(PAIRS, 2))
    first = rng.integers(places, size=PAIRS)
    apart = rng.integers(NEAR, FAR + 1, size=PAIRS) * rng.choice([-1, 1], PAIRS)
    around = np.stack([first, first + apart], axis=1) % places
    pairs: Rows = rows[above, around]
    return pairs[(pairs != NOBODY).all(axis=1)]


def _rows(contest: Contest, run: Run, pairs: Rows) -> Iterator[Row]:
    alpha = torch.linspace(0, 1, FRAMES)
    found = [
        metrics.nearest(paths.flatten(0, 1), contest.images).row.unflatten(0, paths.shape[:2])
        for _, paths in walk(run.bench, run.codes, pairs, alpha)
    ]
    values = _distances(contest, torch.cat(found), torch.from_numpy(pairs), alpha)
    for column, at in enumerate(alpha.tolist()):
        numbers = {name: float(some[:, column].mean()) for name, some in values.items()}
        yield {"method": run.label, "seed": run.seed, "alpha": at, **numbers}


def _distances(contest: Contest, found: Tensor, pairs: Tensor, alpha: Tensor) -> dict[str, Tensor]:
    """Return (P, N) distances of retrieved pictures to source and target, in degrees."""
    azimuth, altitude = contest.angles, contest.factor(ALTITUDE)
    length = _apart(azimuth, altitude, pairs[:, :1], pairs[:, 1:])["distance"]
    values: dict[str, Tensor] = {}
    off = []
    for column, (side, share) in enumerate(zip(SIDES, (alpha, 1 - alpha), strict=True)):
        apart = _apart(azimuth, altitude, found, pairs[:, column : column + 1])
        values |= {f"{name}_to_{side}": value for name, value in apart.items()}
        values[f"linear_to_{side}"] = length * share
        off.append((apart["distance"] - length * share).abs())
    return {**values, "off_linear": (off[0] + off[1]) / 2}


def _apart(azimuth: Tensor, altitude: Tensor, one: Tensor, other: Tensor) -> dict[str, Tensor]:
    """Compare the lights of two broadcasting sets of rows."""
    around, above = azimuth[one] - azimuth[other], altitude[one] - altitude[other]
    return {
        "azimuth": metrics.wrapped(around).abs(),
        "altitude": above.abs(),
        "distance": metrics.parameter_distance(around, above),
    }


def _chart(rows: Sequence[Row], label: str) -> Chart:
    own = [row for row in rows if row["method"] == label]
    places = sorted({row["alpha"] for row in own})

    def mean(column: str) -> list[float]:
        return [fmean(row[column] for row in own if row["alpha"] == place) for place in places]

    lines: list[Line] = []
    for side, colour in zip(SIDES, COLOURS[:2], strict=True):
        lines.append(Line("", places, mean(f"linear_to_{side}"), RED, dashed=True))
        lines.append(Line(f"to {side}", places, mean(f"distance_to_{side}"), colour))
    return Chart(label, lines, "alpha", "degrees", size=(360, 260))
