"""Plotly figures from numbers. Their colours and text read well on light and on dark pages."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

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
