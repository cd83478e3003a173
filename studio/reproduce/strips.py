"""AEAI's pictures: paths between two held-out ones, and grids between four (Fig. 1, 5, 9 to 13)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from studio import editing
from studio.data.turns import NOBODY, Rows
from studio.errors import DataError
from studio.evaluation.interpolation import in_part, walk
from studio.images import Picture, sheet, to_pictures
from studio.latents import bilinear
from studio.metrics import interpolation as metrics
from studio.reproduce.contest import CONTESTANTS, SPLITS, Contest, Run, open_contest
from studio.reproduce.curves import LENGTH, Row
from studio.reproduce.options import ReproduceOptions, write_results

STRIPS, GRIDS = 3, 2
# Cells along a side of a grid, and places of the turn from cell to cell.
SIDE, STRIDE = 8, 2
# Where there is one group only, four views stand at this share of a turn from each other.
APART = 9
BLOCKS_A_ROW = 3


def strips(options: ReproduceOptions) -> dict[str, object]:
    """Show paths of all methods beside the true pictures (Fig. 1, 5).

    Rows tell the error of each picture, and whether the true one was held out of training.
    """
    contest = open_contest(options)
    intervals = _shown_intervals(contest)
    alpha = torch.linspace(0, 1, intervals.shape[1])
    masks = contest.splits(intervals)
    lines = [_truths(contest, interval) for interval in intervals]
    sheets, labels, rows = [[line] for line in lines], ["truth"], []
    for run in contest.runs(CONTESTANTS, seeds=1):
        labels.append(run.label)
        ((_, paths),) = walk(run.bench, run.codes, intervals[:, [0, -1]], alpha)
        for number, (path, interval) in enumerate(zip(paths, intervals, strict=True)):
            sheets[number].append(list(to_pictures(path)))
            errors = _errors(contest, path, interval)
            for column, error in enumerate(errors):
                (split, *_) = [s for s in SPLITS if masks[s][number, column]] or [""]
                place = {"method": run.label, "strip": number, "alpha": float(alpha[column])}
                rows.append({**place, "split": split, "mse": error})
    columns = [f"{value:.2f}" for value in alpha.tolist()]
    parts = [[sheet(one, row_labels=labels, column_labels=columns)] for one in sheets]
    return write_results(options, "aeai-strips", rows, sheet(parts))


def _truths(contest: Contest, rows: Rows) -> list[Picture | None]:
    return [None if row == NOBODY else contest.pictures[row] for row in rows]


def _errors(contest: Contest, images: Tensor, rows: Rows) -> list[float | str]:
    """Return mean squared errors; an empty text where the truth is not known."""
    errors = metrics.squared_error(images, contest.images[torch.from_numpy(rows)]).tolist()
    return ["" if row == NOBODY else error for row, error in zip(rows, errors, strict=True)]


def _shown_intervals(contest: Contest) -> Rows:
    """Draw intervals of ``LENGTH`` degrees, those first whose two ends were held out."""
    intervals = contest.turns.intervals(LENGTH)
    held_out = in_part(contest.data, intervals[:, [0, -1]], "test").sum(axis=1) == 2
    order = np.random.default_rng(0).permutation(len(intervals))
    chosen = np.concatenate([order[held_out[order]], order[~held_out[order]]])[:STRIPS]
    return intervals[chosen]


# Grids.


@dataclass(frozen=True, eq=False)
class Grid:
    """Four pictures to interpolate between, and what is known to lie there.

    Attributes:
        corners: Rows of the upper left, upper right, lower left and lower right picture.
        truth: (``SIDE`` squared,) rows of the pictures that belong into the cells, or -1.
    """

    corners: Rows
    truth: Rows


def grids(options: ReproduceOptions) -> dict[str, object]:
    """Show grids of all methods and of the cross-fade (Fig. 9 to 11).

    Rows tell each cell's error where its true picture is known, as on the pole, and its distance to
    the nearest picture of the data set.
    """
    contest = open_contest(options)
    places = choose_grids(contest)
    rows: list[Row] = []
    blocks: list[list[Picture]] = [[] for _ in places]
    labels = []
    for run in contest.runs(CONTESTANTS, seeds=1):
        labels.append(run.label)
        for number, grid in enumerate(places):
            images = decode_grid(run, grid)
            blocks[number].append(block(images))
            rows += _cells(contest, run, number, grid, images)
    figure = sheet([[blocks_sheet(one, labels)] for one in blocks])
    return write_results(options, "aeai-grids", rows, figure)


def _cells(contest: Contest, run: Run, number: int, grid: Grid, images: Tensor) -> Iterator[Row]:
    errors = _errors(contest, images, grid.truth)
    near = metrics.nearest(images, contest.images).error.tolist()
    place: dict[str, Any] = {"method": run.label, "grid": number}
    for cell, (error, distance) in enumerate(zip(errors, near, strict=True)):
        where = {"row": cell // SIDE, "column": cell % SIDE}
        yield {**place, **where, "mse": error, "nearest_mse": distance}


def choose_grids(contest: Contest) -> list[Grid]:
    """Choose the corners of grids, spread over the turn.

    With several groups the columns go around the turn and the rows from the first to the last
    group: on the pole azimuth and altitude, every cell's truth known where the altitudes fit. A
    single group gives four views, one after another.

    Raises:
        DataError: No four pictures stand so.
    """
    rows = contest.turns.rows
    groups, places = rows.shape
    found = []
    for start in range(0, places, max(1, places // (8 * GRIDS))):
        around = (start + STRIDE * np.arange(SIDE)) % places
        if groups > 1:
            down = np.linspace(0, groups - 1, SIDE)
            truth = np.where(
                (down % 1 == 0)[:, None], rows[down.round().astype(int)][:, around], NOBODY
            )
        else:
            truth = np.full((SIDE, SIDE), NOBODY, np.intp)
            views = (start + places // APART * np.arange(4)) % places
            truth[[0, 0, -1, -1], [0, -1, 0, -1]] = rows[0, views]
        corners = truth[[0, 0, -1, -1], [0, -1, 0, -1]]
        if (corners != NOBODY).all():
            found.append(Grid(corners, truth.ravel()))
    if not found:
        raise DataError(
            f"{contest.data.name} lacks too many views for a grid between four of them."
        )
    spread = np.linspace(0, len(found) - 1, GRIDS).round().astype(int)
    return [found[place] for place in spread]


def decode_grid(run: Run, grid: Grid) -> Tensor:
    """Decode the cells between four corners, row by row, (``SIDE`` squared, 3, S, S)."""
    x, y = torch.tensor(editing.grid_places(SIDE)).unbind(1)
    every = torch.from_numpy(grid.corners)[:, None].expand(-1, len(x))
    return run.bench.decode(bilinear([run.codes[corner] for corner in every], x, y))


def block(images: Tensor) -> Picture:
    """Lay a grid's cells out without gaps."""
    cells = list(to_pictures(images))
    return sheet([cells[SIDE * row : SIDE * (row + 1)] for row in range(SIDE)], gap=1)


def blocks_sheet(blocks: Sequence[Picture], labels: Sequence[str]) -> Picture:
    """Lay named blocks out in lines."""
    lines = []
    for first in range(0, len(blocks), BLOCKS_A_ROW):
        some = slice(first, first + BLOCKS_A_ROW)
        lines.append([sheet([blocks[some]], column_labels=labels[some])])
    return sheet(lines)
