"""Plotly figures from numbers. Their colours and text read well on light and on dark pages."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from studio.explore.labels import UNKNOWN, Column
from studio.explore.maps import Map

# Of the theme: neutral, accent, and one that differs from both in brightness too.
_COLOURS = ("#9b9ba5", "#d97706", "#0d9488")
_MARKS = ("circle", "diamond", "circle")
# A grey that has enough contrast on white and on black.
_TEXT = "#7b7b84"
_LINE = "rgba(127, 127, 136, 0.25)"
_ROW, _LINE_HEIGHT, _FRAME = 5, 13, 112


def tails(
    names: Sequence[str],
    series: Mapping[str, Sequence[int]],
    *,
    kind: str,
    unit: str,
    gap: int | None = None,
) -> go.Figure:
    """Draw counts of things, one row for each: the first series as bars, the others as marks.

    Args:
        names: Of the things, from the top down; may have several lines.
        series: Counts by what they are called in the legend; at most three.
        kind: What the things are; names the upright axis.
        unit: What is counted; names the other one.
        gap: Row above which a dashed line is drawn.

    Returns:
        A figure as wide as its place, transparent, that neither zooms nor pans.
    """
    rows = list(range(len(names)))
    figure = go.Figure()
    for number, (label, counts) in enumerate(series.items()):
        colour = _COLOURS[number]
        shown: dict[str, Any] = {
            "name": label,
            "x": list(counts),
            "y": rows,
            "customdata": [name.replace("\n", " ") for name in names],
            "hovertemplate": f"%{{customdata}}: %{{x:,}} {unit}<extra>{label}</extra>",
        }
        if number:
            mark = {"color": colour, "size": 8, "symbol": _MARKS[number]}
            figure.add_trace(go.Scatter(**shown, mode="markers", marker=mark, cliponaxis=False))
        else:
            figure.add_trace(go.Bar(**shown, orientation="h", marker={"color": colour}))
    _lay_out(figure, names, kind, unit)
    if gap is not None:
        figure.add_hline(y=gap - 0.5, line={"color": _TEXT, "width": 1, "dash": "dash"})
    return figure


def _lay_out(figure: go.Figure, names: Sequence[str], kind: str, unit: str) -> None:
    lines = 1 + max((name.count("\n") for name in names), default=0)
    figure.update_layout(
        height=_FRAME + (_ROW + _LINE_HEIGHT * lines) * len(names),
        margin={"l": 8, "r": 12, "t": 40, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _TEXT, "size": 12, "family": "system-ui, sans-serif"},
        legend={
            **{"orientation": "h", "x": 0, "xref": "container", "xanchor": "left"},
            **{"y": 1, "yref": "container", "yanchor": "top"},
        },
        bargap=0.35,
        dragmode=False,
        showlegend=True,
    )
    figure.update_xaxes(
        title={"text": unit, "font": {"size": 12}},
        rangemode="tozero",
        fixedrange=True,
        gridcolor=_LINE,
        zerolinecolor=_LINE,
    )
    figure.update_yaxes(
        title={"text": kind, "font": {"size": 12}, "standoff": 4},
        tickmode="array",
        tickvals=list(range(len(names))),
        ticktext=[name.replace("\n", "<br>") for name in names],
        tickfont={"size": 11},
        ticks="outside",
        ticklen=4,
        tickcolor="rgba(0,0,0,0)",
        range=[len(names) - 0.5, -0.5],
        automargin=True,
        fixedrange=True,
        showgrid=False,
        zeroline=False,
    )


# Ten that differ in hue and brightness and read on light and on dark pages, in this order.
PALETTE = (
    *("#0d9488", "#d97706", "#6366f1", "#db2777", "#65a30d"),
    *("#0284c7", "#b91c1c", "#a855f7", "#a16207", "#64748b"),
)
# From less to more.
SCALE = ("#4338ca", "#2f7fc1", "#0d9488", "#84b026", "#f59e0b")
OTHERS_COLOUR = "#9b9ba5"
# It hints at points without drawing the eye.
UNKNOWN_COLOUR = "rgba(155, 155, 165, 0.35)"


def colours(column: Column) -> list[str]:
    """Return a colour for each value of a column."""
    count = len(column.values)
    if column.ordered and count > 1:
        return sample_colorscale(list(SCALE), [number / (count - 1) for number in range(count)])
    if column.values == ("Without", "With"):
        return [PALETTE[-1], PALETTE[0]]
    return [OTHERS_COLOUR if number >= len(PALETTE) else PALETTE[number] for number in range(count)]


def map_page(found: Map, column: Column) -> str:
    """Return a map as a page of its own that needs nothing but itself.

    Args:
        found: With its points in 2 or 3 dimensions.
        column: What the points are coloured by; its values are the legend.
    """
    figure = go.Figure()
    files, flat = found.codes.data.files, found.dimensions == 2
    named = [*zip(range(len(column.values)), column.values, colours(column), strict=True)]
    if column.unknown:
        named.append((UNKNOWN, "Unknown", UNKNOWN_COLOUR))
    for code, name, colour in named:
        rows = (column.codes == code).nonzero()[0]
        axes = dict(zip(("x", "y", "z"), found.points[rows].T.tolist(), strict=False))
        shown = {
            **axes,
            "name": f"{name} ({len(rows):,})",
            "mode": "markers",
            "marker": {"color": colour, "size": 5 if flat else 3},
            "text": [files[row] for row in rows],
            "hovertemplate": f"%{{text}}<extra>{name}</extra>",
        }
        figure.add_trace(go.Scattergl(**shown) if flat else go.Scatter3d(**shown))
    titles = dict(zip(("xaxis", "yaxis", "zaxis"), found.axes, strict=False))
    axes = {name: {"title": {"text": title}} for name, title in titles.items()}
    figure.update_layout(
        title=f"{found.codes.data.name}: {found.codes.checkpoint}, coloured by {column.label}",
        legend={"itemsizing": "constant"},
        template="plotly_white",
        **(axes if flat else {"scene": axes}),
    )
    if flat:
        figure.update_yaxes(scaleanchor="x")
    page: str = figure.to_html(include_plotlyjs=True, full_html=True)
    return page
