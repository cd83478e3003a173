"""Marks of a person on pictures: with something, without it. They wait on the disk to be saved.

What was marked is kept by the files' names for each set, so that paging, reloading the page and
restarting the program lose nothing.
"""

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio import intake, paths
from studio.data.folder import DataSet, close_archives
from studio.errors import ConfigError, DataError
from studio.images import Picture
from studio.training.status import write_json
from studio.ui.components import contact_sheet, data_uri, sheet_columns
from studio.ui.context import Context
from studio.ui.sets import changed
from studio.ui.workshop import sources

MOST_ROWS = 120
WITH, WITHOUT, OPEN = "1", "0", "?"
_writing = threading.Lock()


def file_of(key: str) -> Path:
    """Return where the marks on a data set wait."""
    digest = hashlib.sha256(str(sources.place(key)).encode()).hexdigest()[:16]
    return paths.cache() / "marks" / f"{digest}.json"


def kept(key: str) -> dict[str, str]:
    """Return the marks on a data set by file; a damaged record counts as none."""
    try:
        values = json.loads(file_of(key).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {str(name): mark for name, mark in values.items() if mark in (WITH, WITHOUT)}


def shown(context: Context, key: str) -> dict[str, Any]:
    """Describe a data set for ``labels.js``: its pictures' marks, one letter each.

    Raises:
        StudioError: The set is not there or cannot be read.
    """
    data, marks = sources.data_of(context, key), kept(key)
    return {
        "set": key,
        "count": len(data),
        "marks": "".join(marks.get(name, OPEN) for name in data.files),
        "attributes": list(data.attributes),
    }


def page(context: Context, key: str, rows: Sequence[int], size: int) -> dict[str, Any]:
    """Return pictures on one sheet, and their names.

    Raises:
        StudioError: The set cannot be read, or so many cannot be shown at once.
    """
    data = sources.data_of(context, key)
    chosen = [_row(data, row) for row in rows]
    if not 1 <= len(chosen) <= MOST_ROWS or not 16 <= size <= 256:
        raise ConfigError(f"A page shows 1 to {MOST_ROWS} pictures of 16 to 256 pixels.")
    sheet = contact_sheet(chosen, size, lambda row: _picture(data, row, size))
    names = [data.files[row] for row in chosen]
    columns = sheet_columns(len(chosen))
    return {"src": data_uri(sheet, 85), "columns": columns, "size": size, "names": names}


def _picture(data: DataSet, row: int, size: int) -> Picture:
    return data.decoded(data.files[row], data.source.read(data.files[row]), size)


def _row(data: DataSet, row: int) -> int:
    if not 0 <= row < len(data):
        raise ConfigError(f"{data.name} has {len(data)} pictures and none of number {row}.")
    return row


def mark(context: Context, key: str, changes: Mapping[int, str]) -> None:
    """Keep marks on pictures.

    Args:
        context: The shared context.
        key: Of the data set.
        changes: By row: ``1`` with it, ``0`` without it, ``?`` not marked.

    Raises:
        StudioError: There is no such picture or mark, or no room.
    """
    data = sources.data_of(context, key)
    named = {data.files[_row(data, row)]: value for row, value in changes.items()}
    if not set(named.values()) <= {WITH, WITHOUT, OPEN}:
        raise ConfigError("A mark is 1, 0 or ?.")
    with _writing:
        _write(key, {**kept(key), **named})


def begin_with(context: Context, key: str, attribute: str) -> None:
    """Begin with the labels of an attribute that the set has.

    Raises:
        StudioError: It has none of that name.
    """
    data = sources.data_of(context, key)
    signs = [{1: WITH, 0: WITHOUT}.get(int(one), OPEN) for one in data.attribute(attribute)]
    with _writing:
        _write(key, dict(zip(data.files, signs, strict=True)))


def clear(key: str) -> None:
    """Forget all marks on a data set."""
    file_of(key).unlink(missing_ok=True)


def delete(key: str) -> str:
    """Delete a data set of the home and the marks on it.

    Returns:
        Its key, which is free now.

    Raises:
        StudioError: It is not there, or a job that is not done learns from it.
    """
    there, file = sources.place(key), file_of(key)
    gone = intake.delete(key)
    file.unlink(missing_ok=True)
    changed(there)
    close_archives()
    return gone


def _write(key: str, marks: Mapping[str, str]) -> None:
    file = file_of(key)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {name: value for name, value in marks.items() if value != OPEN})
    except OSError as error:
        raise DataError(
            f"The marks cannot be kept in {paths.cache()}: {error.strerror or error}. Make room "
            "and mark the last ones again."
        ) from error


def save(context: Context, key: str, attribute: str, name: str) -> str:
    """Save the marks as an attribute of a data set.

    Args:
        context: The shared context.
        key: Of the marked set.
        attribute: What is marked.
        name: Of the set that gets the marks; the marked one's own name changes it.

    Returns:
        The key of that set.

    Raises:
        StudioError: A name cannot be used, nothing is marked, or there is no room.
    """
    if not attribute:
        raise ConfigError("Say first what you marked, such as Hat.")
    data, marks = sources.data_of(context, key), kept(key)
    there = [file for file in data.files if file in marks]
    made = intake.label(
        sources.place(key),
        name or sources.free_name(f"{data.name}-{attribute}"),
        attribute,
        [file for file in there if marks[file] == WITH],
        [file for file in there if marks[file] == WITHOUT],
    )
    clear(key)
    changed(made)
    return made.name
