"""A map as a table, and as plain values."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.explore.labels import Column
from studio.explore.maps import Map
from studio.explore.measures import Measure
from studio.latents import Latents

_AXES = ("x", "y", "z")


def write_table(path: Path, found: Map, column: Column) -> None:
    """Write a line for each point: file, partition, coordinates, and what it is coloured by."""
    data = found.codes.data
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "partition", *_AXES[: found.dimensions], column.label])
        for row, name in enumerate(data.files):
            code = int(column.codes[row])
            value = column.values[code] if code >= 0 else ""
            place = (f"{number:.6g}" for number in found.points[row])
            writer.writerow([name, int(data.partition[row]), *place, value])


def facts(found: Map, column: Column, measures: Sequence[Measure]) -> dict[str, Any]:
    """Return what was drawn and the numbers beside it, as plain JSON values."""
    return {
        "pictures": len(found),
        "total": found.total,
        "method": found.method,
        "axes": list(found.axes),
        "coloured_by": column.key,
        "notes": list(found.notes),
        "numbers": [one.to_dict() for one in measures],
    }


def placed(found: Map, latents: Latents) -> dict[str, Any]:
    """Return where a new picture lies, and its neighbours, as plain JSON values."""
    point, near = found.place(latents)
    return {
        "point": point.tolist(),
        "neighbours": [found.codes.data.files[row] for row in near.rows],
        "distances": near.distances.tolist(),
    }
