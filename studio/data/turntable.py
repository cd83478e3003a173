"""Objects on a turntable: COIL-100's own files, or a table with the columns object and angle."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from studio.data.folder import PARTITIONS, DataSet, Source, from_rows

_COIL = re.compile(r"obj(\d+)__(\d+)")


def rows_of_coil(pictures: Iterable[str]) -> list[dict[str, str]]:
    """Label pictures that are named as COIL-100 names its own, ``obj14__35.png``.

    Returns:
        Rows with ``file``, ``object`` and ``angle``, by object and angle; none if any name differs.
    """
    rows = []
    for name in pictures:
        match = _COIL.fullmatch(PurePosixPath(name).stem)
        if match is None:
            return []
        rows.append({"file": name, "object": match[1], "angle": match[2]})
    return sorted(rows, key=lambda row: (int(row["object"]), int(row["angle"])))


def is_turntable(rows: list[dict[str, str]]) -> bool:
    """Say whether a table has an object and an angle in every row."""
    return {"object", "angle"} <= rows[0].keys()


def open_turntable(location: Path, source: Source, rows: list[dict[str, str]]) -> DataSet:
    """Build a data set of objects and angles.

    Args:
        location: Of the data set.
        source: Where the files are read.
        rows: One per picture, with ``file``, ``object`` and ``angle``.

    Returns:
        The data set: a class ``object``, a factor ``factor_angle``, and, unless a column
        ``partition`` says otherwise, a fifth of each object's views held out as the test.

    Raises:
        DataError: An angle is no number.
    """
    objects = np.array([row["object"] or "" for row in rows], np.str_)
    renamed = [
        {"factor_angle" if name == "angle" else name: value for name, value in row.items()}
        for row in rows
    ]
    # An object's number may look like an attribute: few objects, named 0 and 1.
    data = from_rows(location, source, [_without_object(row) for row in renamed])
    split = "partition" in rows[0]
    return replace(
        data,
        classes={"object": objects, **data.classes},
        partition=data.partition if split else hold_out(objects, data.factors["factor_angle"]),
        alignment="none",
    )


def _without_object(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if name != "object"}


def hold_out(objects: NDArray[np.str_], angles: NDArray[np.float64]) -> NDArray[np.int8]:
    """Hold out a fifth of each object's views, by a hash of object and angle.

    Args:
        objects: N names.
        angles: N degrees.

    Returns:
        (N,) 0 train, 2 test; the same views in every layout of the same pictures.
    """
    parts = np.zeros(len(objects), np.int8)
    drawn = np.array(
        [
            hashlib.sha256(f"{name}/{angle:g}".encode()).hexdigest()
            for name, angle in zip(objects.tolist(), angles.tolist(), strict=True)
        ]
    )
    for name in np.unique(objects):
        views = np.flatnonzero(objects == name)
        order = views[np.argsort(drawn[views], kind="stable")]
        parts[order[: round(len(views) / 5)]] = PARTITIONS["test"]
    return parts
