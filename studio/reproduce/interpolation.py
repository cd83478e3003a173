"""AEAI's curves: errors of in-betweens, the α that retrieval finds, and what each loss adds."""

from collections.abc import Sequence

from studio.images import Picture, sheet, stack
from studio.reproduce import charts, curves, strips
from studio.reproduce.charts import Chart
from studio.reproduce.contest import (
    AEAI,
    CONTESTANTS,
    SPLITS,
    Contest,
    Contestant,
    open_contest,
)
from studio.reproduce.curves import Measure, Row
from studio.reproduce.options import ReproduceOptions, write_results

CHARTS_A_ROW = 4

ABLATION = (
    AEAI,
    Contestant("No discriminator", "aeai", "no-discriminator", {"adversarial_weight": 0.0}),
    Contestant("No cycle", "aeai", "no-cycle", {"cycle_weight": 0.0}),
    Contestant("No smoothness", "aeai", "no-smoothness", {"smoothness_weight": 0.0}),
)
ERRORS = {"mse": curves.mean_of("mean"), "mse_std": curves.mean_of("std")}
ALPHAS = {"quartile_range": curves.quartile_range, "off_linear": curves.off_linear}


def mse(options: ReproduceOptions) -> dict[str, object]:
    """Compare errors against α at 80 degrees, 14 in-betweens (Fig. 6, left and middle)."""
    contest, rows = _measured(options, CONTESTANTS, curves.error_rows)
    figure = _lines([_error_charts(rows, split) for split in _splits(rows)])
    summary = {**_counted(contest, curves.LENGTH), **curves.summarize(rows, ERRORS)}
    return write_results(options, "aeai-mse", rows, figure, summary)


def interval(options: ReproduceOptions) -> dict[str, object]:
    """Compare errors of in-betweens at intervals of 15 to 80 degrees (Fig. 6, right)."""
    contest, rows = _measured(options, CONTESTANTS, curves.length_rows)
    figure = _lines([[_length_chart(rows, split) for split in _splits(rows)]])
    by_length = {
        f"{length:g}": curves.summarize([r for r in rows if r["length"] == length], ERRORS)
        for length in sorted({row["length"] for row in rows})
    }
    summary = {"steps": contest.steps, "by_length": by_length}
    return write_results(options, "aeai-interval", rows, figure, summary)


def alpha(options: ReproduceOptions) -> dict[str, object]:
    """Compare the α read off the nearest picture, at 70 degrees (Fig. 7)."""
    contest, rows = _measured(options, CONTESTANTS, curves.alpha_rows)
    summary = {**_counted(contest, curves.ALPHA_LENGTH), **curves.summarize(rows, ALPHAS)}
    figure = _lines(_quartile_charts(rows))
    return write_results(options, "aeai-alpha", rows, figure, summary)


def ablation(options: ReproduceOptions) -> dict[str, object]:
    """Leave out one loss of AEAI at a time: the same curves and grids (Fig. 12 to 15)."""
    measures: dict[str, Measure] = {
        "error": curves.error_rows,
        "length": curves.length_rows,
        "alpha": curves.alpha_rows,
    }
    contest = open_contest(options)
    found: dict[str, list[Row]] = {name: [] for name in measures}
    grid, *_ = strips.choose_grids(contest)
    blocks: dict[str, Picture] = {}
    for run in contest.runs(ABLATION):
        for name, measure in measures.items():
            found[name] += measure(contest, run)
        # The figure shows the first seed.
        blocks.setdefault(run.label, strips.block(strips.decode_grid(run, grid)))
    errors, lengths, alphas = found.values()
    split = _splits(errors)[0]
    charted = _lines([[*_error_charts(errors, split), _length_chart(lengths, split)]])
    drawn = _lines(_quartile_charts(alphas)[:2])
    shown = strips.blocks_sheet(list(blocks.values()), list(blocks))
    rows = [{"curve": name, **row} for name, some in found.items() for row in some]
    summary = {
        **_counted(contest, curves.LENGTH),
        "error": curves.summarize(errors, ERRORS),
        "alpha": curves.summarize(alphas, ALPHAS),
    }
    figure = stack([charted, drawn, shown])
    return write_results(options, "aeai-ablation", rows, figure, summary)


def _measured(
    options: ReproduceOptions, contestants: Sequence[Contestant], measure: Measure
) -> tuple[Contest, list[Row]]:
    contest = open_contest(options)
    return contest, [row for run in contest.runs(contestants) for row in measure(contest, run)]


def _counted(contest: Contest, length: float) -> dict[str, object]:
    """Say what is counted."""
    turns = contest.turns
    return {
        "steps": contest.steps,
        "length": length,
        "pictures_of_an_interval": turns.pictures(length),
        "degrees_between_the_ends": turns.span(length),
        "intervals": len(turns.intervals(length)),
    }


def _splits(rows: Sequence[Row]) -> list[str]:
    """Return the splits of which there are in-betweens, the held-out ones first."""
    there = {row["split"] for row in curves.between(rows)}
    return [split for split in SPLITS if split in there]


def _error_charts(rows: Sequence[Row], split: str) -> list[Chart]:
    titles = {"mean": "Mean of the MSE", "std": "Deviation of the MSE"}
    return [curves.compare(rows, title, name, split=split) for name, title in titles.items()]


def _length_chart(rows: Sequence[Row], split: str) -> Chart:
    return curves.compare(rows, "MSE by degrees", "mean", "length", split)


def _quartile_charts(rows: Sequence[Row]) -> list[list[Chart]]:
    every = curves.labels(rows)
    every_split = [
        [curves.quartiles(rows, name, split) for name in every] for split in _splits(rows)
    ]
    return [
        some[first : first + CHARTS_A_ROW]
        for some in every_split
        for first in range(0, len(some), CHARTS_A_ROW)
    ]


def _lines(lines: Sequence[Sequence[Chart]]) -> Picture:
    return sheet([[charts.draw(chart) for chart in line] for line in lines])
