"""Latents of two and three dimensions, on and off the manifold of the pictures (AEAI, Fig. 2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from studio.data.folder import PARTITIONS
from studio.data.turns import NOBODY, Rows
from studio.images import resize, sheet, to_pictures
from studio.latents import Latents
from studio.metrics import interpolation as metrics
from studio.reproduce import charts
from studio.reproduce.charts import COLOURS, Chart, Line, Mark
from studio.reproduce.contest import AEAI, PLAIN, Contest, Contestant, Run, open_contest
from studio.reproduce.curves import Row
from studio.reproduce.options import ReproduceOptions, write_results

DIMENSIONS = (2, 3)
# Pairs whose midpoints are looked at for a point off the manifold.
MIDPOINTS = 512
# Gridlines of constant azimuth, one in so many places.
EVERY = 6
ENLARGED = 160
_THIN = (190, 190, 190)
# How three dimensions are seen: turned and tilted, in degrees.
_TURNED, _TILTED = 35.0, 25.0


@dataclass(frozen=True, eq=False)
class Point:
    """A latent and what it decodes to.

    Attributes:
        z: (D,).
        images: (1, 3, S, S).
        error: Mean squared difference to the nearest picture of the data set.
        distance: To the nearest picture's latent, over the mean distance of neighbours.
    """

    z: Tensor
    images: Tensor
    error: float
    distance: float


def manifold(options: ReproduceOptions) -> dict[str, object]:
    """Draw the latents of a plain autoencoder and of AEAI, with gridlines (Fig. 2).

    ``A`` is a held-out picture's latent; ``B`` is the point halfway between two pictures that is
    farthest from all latents. Rows are the pictures; the summary tells how far the decodes of
    points on the manifold and of random midpoints are from any picture.
    """
    contest = open_contest(options)
    rows: list[Row] = []
    lines, summary = [], {}
    for contestant in _contestants():
        (run,) = contest.trained(contestant, seeds=1)
        z = run.codes.flatten().cpu()
        rows += _rows(contest, contestant, z)
        on, off, numbers = examine(contest, run, z)
        summary[contestant.label] = numbers
        cells = [resize(to_pictures(point.images)[0], ENLARGED) for point in (on, off)]
        decoded = sheet([cells], column_labels=["A, on", "B, off"])
        chart = _chart(contest, contestant.label, z, [(on, "A"), (off, "B")])
        lines.append([charts.draw(chart), decoded])
    figure = sheet(lines)
    return write_results(options, "aeai-manifold", rows, figure, summary)


def _contestants() -> list[Contestant]:
    return [
        replace(one, label=f"{one.label}, {size}-D", tag=f"latent{size}", fields={"latent": size})
        for one in (PLAIN, AEAI)
        for size in DIMENSIONS
    ]


def _rows(contest: Contest, contestant: Contestant, z: Tensor) -> Iterator[Row]:
    factors = contest.data.factors
    for number, values in enumerate(z.tolist()):
        known = {name: float(column[number]) for name, column in sorted(factors.items())}
        padded = [*values, *[""] * (max(DIMENSIONS) - len(values))]
        latent = {f"z{place}": value for place, value in enumerate(padded)}
        yield {"method": contestant.label, **known, **latent}


def examine(contest: Contest, run: Run, z: Tensor) -> tuple[Point, Point, dict[str, float]]:
    """Decode on and off the manifold.

    Args:
        contest: With the pictures.
        run: The model.
        z: (N, D) latents of all pictures.

    Returns:
        The points A and B, and mean errors of held-out pictures' latents, ``on_mse``, and of random
        midpoints, ``off_mse``, each to the nearest picture of the data set.
    """
    held_out = np.flatnonzero(contest.data.partition != PARTITIONS["train"])
    neighbours = torch.cdist(z, z).fill_diagonal_(torch.inf).amin(1).mean()
    rng = np.random.default_rng(0)
    ends = torch.from_numpy(rng.integers(len(z), size=(MIDPOINTS, 2)))
    places = {"on": z[held_out], "off": z[ends].mean(1)}
    points, numbers = [], {}
    for kind, some in places.items():
        images = run.bench.decode(Latents({"z": some.to(run.bench.device)}))
        errors = metrics.nearest(images, contest.images).error
        apart = torch.cdist(some, z).amin(1) / neighbours
        place = 0 if kind == "on" else int(apart.argmax())
        shown = images[place : place + 1]
        points.append(Point(some[place], shown, float(errors[place]), float(apart[place])))
        numbers[f"{kind}_mse"] = float(errors.mean())
        numbers[f"{kind}_point_mse"] = float(errors[place])
        numbers[f"{kind}_point_distance"] = float(apart[place])
    return points[0], points[1], numbers


def _chart(contest: Contest, label: str, z: Tensor, marks: Sequence[tuple[Point, str]]) -> Chart:
    """Draw gridlines of the turn, one per group, and across the groups."""
    flat = project(z, z)
    rows = contest.turns.rows
    across = [_line(flat, column, _THIN) for column in rows.T[::EVERY]] if len(rows) > 1 else []
    around = [
        _line(flat, np.append(row, row[0]), COLOURS[number % len(COLOURS)])
        for number, row in enumerate(rows)
    ]
    places = [(*project(point.z[None], z)[0].tolist(), name) for point, name in marks]
    named = [Mark(name, x, y) for x, y, name in places]
    return Chart(label, [*across, *around], marks=named, size=(460, 400))


def _line(flat: Tensor, rows: Rows, colour: tuple[int, int, int]) -> Line:
    x, y = flat[torch.from_numpy(rows[rows != NOBODY])].T.tolist()
    return Line("", x, y, colour)


def project(z: Tensor, every: Tensor) -> Tensor:
    """Show points of two or three dimensions on paper, (M, 2).

    Args:
        z: (M, D).
        every: (N, D), whose middle is the centre of the turn.
    """
    if z.shape[1] == 2:
        return z
    centred = z - every.mean(0)
    turned, tilted = torch.deg2rad(torch.tensor([_TURNED, _TILTED]))
    x = turned.cos() * centred[:, 0] + turned.sin() * centred[:, 1]
    depth = turned.cos() * centred[:, 1] - turned.sin() * centred[:, 0]
    return torch.stack([x, tilted.cos() * centred[:, 2] + tilted.sin() * depth], dim=1)
