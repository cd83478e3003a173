"""What the scripts of the tab Train ask beside the queue; each gets and returns a dictionary."""

from collections.abc import Mapping
from typing import Any

from studio.ui.context import Context
from studio.ui.workshop import board, marks

look, sheet, act = board.look, board.sheet, board.act


def pictures(context: Context, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return pictures of a set: ``set``, ``rows`` and ``size``."""
    rows = [int(row) for row in data["rows"]]
    return marks.page(context, str(data["set"]), rows, int(data["size"]))


def mark(context: Context, data: Mapping[str, Any]) -> dict[str, Any]:
    """Keep marks: ``set``, and ``marks`` by row."""
    changes = {int(row): str(value) for row, value in dict(data["marks"]).items()}
    marks.mark(context, str(data["set"]), changes)
    return {}


def begin_with(context: Context, data: Mapping[str, Any]) -> dict[str, Any]:
    """Begin with the labels of an ``attribute`` of a ``set``."""
    marks.begin_with(context, str(data["set"]), str(data["attribute"]))
    return marks.shown(context, str(data["set"]))


def forget(context: Context, data: Mapping[str, Any]) -> dict[str, Any]:
    """Forget all marks on a ``set``."""
    marks.clear(str(data["set"]))
    return marks.shown(context, str(data["set"]))
