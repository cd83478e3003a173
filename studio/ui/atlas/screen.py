"""What the explorer shows of a view, as plain values for its components."""

import base64
import html
import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.checkpoints import Card
from studio.explore import labels
from studio.explore.labels import Column
from studio.explore.maps import Map
from studio.explore.measures import Measure
from studio.methods.base import Operation
from studio.ui import bench as photos
from studio.ui import figures
from studio.ui import screen as photo_screen
from studio.ui.atlas import bench
from studio.ui.atlas.draft import OWN, View
from studio.ui.components import data_uri, method_label, sheet_columns, trained_on
from studio.ui.context import Context
from studio.ui.draft import Draft

NO_CHECKPOINT = (
    "There is no checkpoint that encodes pictures yet. Train one with `latent-studio train "
    "--method genegan`, or copy its folder into checkpoints/ and reload the page."
)
PART_WORDS = {"": "All of it", "z": "Code"}
NEVER = "—"


def plotly_file() -> Path:
    """Return the script of the installed plotly package, which the map is drawn with."""
    found = find_spec("plotly")
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places or [""]))) / "package_data" / "plotly.min.js"


def about(card: Card) -> str:
    """Say in one line what a checkpoint sees."""
    return f"Sees a picture as {card.spec.size} × {card.spec.size} pixels.{trained_on(card)}"  # noqa: RUF001


def part_choices(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return labels and names of the parts that can be drawn."""
    return [(PART_WORDS.get(name, name.capitalize()), name) for name in ["", *names]]


def drop(context: Context, view: View) -> dict[str, Any]:
    """Describe the place of the visitor's own photograph."""
    value: dict[str, Any] = {"title": "Your photo", "hint": "finds its place on the map"}
    if view.photo is None:
        return value
    place = photos.ground(context, Draft(seats=view.seats), OWN)
    return value | photo_screen.seated(context, view.photo, place)


def atlas(context: Context, view: View) -> dict[str, Any]:
    """Describe the map: points, colours, what can be done with a point."""
    drawn, column = bench.found(context, view), bench.column(context, view)
    card = context.store.card(view.request.checkpoint)
    return {
        "token": bench.remember(context, view),
        # Maps of the same pictures turn into each other.
        "pictures": drawn.codes.key,
        "script": f"gradio_api/file={plotly_file()}",
        "count": len(drawn),
        "dimensions": drawn.dimensions,
        "points": _packed(drawn.points.astype(np.float32)),
        "axes": list(drawn.axes),
        "flat": drawn.method == "pca",
        "colour": {
            "label": column.label,
            "values": list(column.values),
            "colours": figures.colours(column),
            "unknown": figures.UNKNOWN_COLOUR,
            "codes": _packed(column.codes),
        },
        "opens": opens(card),
        "own": _own(context, view),
        "note": " ".join([*drawn.notes, *_missing(column)]),
        "name": drawn.codes.data.name,
        "title": f"{method_label(card)}{f', {drawn.part}' if drawn.part else ''}",
        "part": drawn.part,
    }


def _missing(column: Column) -> list[str]:
    """Say that labels are missing, or nothing."""
    if not column.unknown:
        return []
    some = f"{column.unknown:,} pictures have" if column.unknown > 1 else "One picture has"
    return [f"{some} no value for “{column.label}”."]


def opens(card: Card) -> list[list[str]]:
    """List the tabs that a picture can go on to with a checkpoint, each with its title."""
    able = card.entry.operations
    tabs = [
        ("attributes", "Attributes", card.spec.shows_faces),
        ("swap", "Swap", Operation.SWAP in able),
        ("interpolate", "Interpolate", Operation.INTERPOLATE in able),
    ]
    return [[key, title] for key, title, usable in tabs if usable]


def _own(context: Context, view: View) -> dict[str, Any] | None:
    placed = bench.own_place(context, view)
    if placed is None or view.photo is None:
        return None
    point, near = placed
    place = photos.ground(context, Draft(seats=view.seats), OWN)
    return {
        "point": point,
        "rows": near.rows.tolist(),
        "src": data_uri(photos.face_crop(place, 160)),
        "name": view.photo.name,
    }


def _packed(numbers: npt.NDArray[Any]) -> str:
    """Return numbers as base64 of their bytes, little end first."""
    little = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(np.ascontiguousarray(little).tobytes()).decode("ascii")


def seen(drawn: Map, rows: Sequence[int], size: int) -> dict[str, Any]:
    """Describe pictures of points: a sheet, and what each is called."""
    sheet = bench.thumbnails(drawn, rows, size)
    files = drawn.codes.data.files
    return {
        "src": data_uri(sheet, 85),
        "columns": sheet_columns(len(rows)),
        "size": size,
        "names": [files[row] for row in rows],
    }


def told(drawn: Map, row: int, size: int) -> dict[str, Any]:
    """Describe one point: its picture, large, and what is known of it."""
    return seen(drawn, [row], size) | {"lines": labels.told(drawn.codes.data, row)}


def numbers(measures: Sequence[Measure]) -> str:
    """Return the numbers beside a map as HTML, each with how to read it."""
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(one.label)}</th><td>{_text(one.value, one.unit)}"
        f"{_beside(one)}</td><td>{html.escape(one.reading)}</td></tr>"
        for one in measures
    )
    return (
        '<table class="ls-numbers"><thead><tr><th scope="col">Number</th><th scope="col">Value</th>'
        f'<th scope="col">How to read it</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _beside(one: Measure) -> str:
    told = ", ".join(f"{name} {_text(value, one.unit)}" for name, value in one.beside)
    return f"<small>{html.escape(told)}</small>" if told else ""


def _text(value: float, unit: str) -> str:
    if math.isnan(value):
        return NEVER
    return f"{value:.1%}" if unit == "share" else f"{value:.3f}"
