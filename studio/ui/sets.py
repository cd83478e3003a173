"""Data sets that a page can offer: those of the person's home, and uploaded zips."""

import hashlib
import threading
import time
from pathlib import Path
from typing import Any

from studio import paths
from studio.data import celeba
from studio.data.folder import PICTURES, TABLE, DataSet, FolderSource, open_set
from studio.errors import DataError, ImageError
from studio.ui.context import Context
from studio.ui.guard import uploaded

# Rendered by this program, so that tabs are alive where nobody has data yet.
EXAMPLE = paths.ASSETS / "heads.zip"
EXAMPLE_NAME = "Rendered heads"
# In a list of sets; no file has such a name there.
EXAMPLE_KEY = "example:heads"
# Suffix of a set that is being made.
PART = ".part"
# Seconds for which it counts what was seen of a folder, and folders of which that is kept.
COUNTS = 5.0
_MOST_SEEN = 32
_seen: dict[Path, tuple[str, float]] = {}
_noting = threading.Lock()
NO_FILE = "No zip was received; upload a .zip with pictures, their labels in an attributes.csv."


def sets(*, labelled: bool) -> list[str]:
    """Name the data sets of the home; unfinished ones are none.

    Args:
        labelled: Whether only those that may have attributes are wanted.
    """
    folder = paths.data()
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path.name for path in found if _may_be_set(path, labelled=labelled)]


def _may_be_set(path: Path, *, labelled: bool) -> bool:
    if path.name.startswith(".") or path.suffix == PART:
        return False
    if not path.is_dir():
        return path.suffix.lower() == ".zip"
    if (path / TABLE).is_file() or celeba.is_celeba(path):
        return True
    return not labelled and any(file.suffix.lower() in PICTURES for file in path.rglob("*"))


def find_set(name: str, *, labelled: bool) -> str:
    """Return where a data set of the home is.

    Raises:
        DataError: There is none of that name.
    """
    if name not in sets(labelled=labelled):
        raise DataError(f"There is no data set {name!r} any more; choose another one.")
    return str(paths.data() / name)


def opened(context: Context, path: Path, version: str = "") -> DataSet:
    """Open a data set, once as long as it does not change.

    Args:
        context: The shared context.
        path: Where it is.
        version: As :func:`version_of` returns it, where a picture that was exchanged inside a
            folder matters.

    Raises:
        DataError: It cannot be read.
    """
    # A zip may have its table beside it.
    files = (path, path / TABLE, path.with_suffix(".csv"))
    stamps = [file.stat().st_mtime_ns for file in files if file.exists()]
    return context.memory.get(
        ("set", str(path), version, *stamps), lambda: _open(path), lambda data: 200 * len(data)
    )


def version_of(path: Path) -> str:
    """Return a text that changes with any file of a folder; empty for a zip, whose date does.

    A large folder takes seconds to look through, so what was seen counts for some seconds.
    """
    if not path.is_dir():
        return ""
    version, until = _seen.get(path, ("", 0.0))
    if time.monotonic() >= until:
        version = hashlib.sha256(FolderSource(path).fingerprint().encode()).hexdigest()[:16]
        _note(path, version)
    return version


def _note(path: Path, version: str) -> None:
    with _noting:
        _seen.pop(path, None)
        while len(_seen) >= _MOST_SEEN:
            _seen.pop(next(iter(_seen)))
        _seen[path] = version, time.monotonic() + COUNTS


def changed(path: Path) -> None:
    """Look through a folder anew: it was just made, changed or deleted here."""
    with _noting:
        _seen.pop(path, None)


def _open(path: Path) -> DataSet:
    try:
        return open_set(path)
    except DataError as error:
        # Visitors have no use for the folders of the machine.
        raise DataError(str(error).replace(f"{path.parent}/", "")) from error


def own_name(location: str) -> str:
    """Return the name of a data set of the home; empty for any other."""
    path = Path(location)
    return path.name if location and path == paths.data() / path.name else ""


def received_set(file: Any) -> Path:
    """Return where an uploaded zip is.

    Raises:
        DataError: It is no upload or no zip.
    """
    try:
        place = Path(uploaded(file))
    except ImageError as error:
        raise DataError(NO_FILE) from error
    if place.suffix.lower() != ".zip":
        raise DataError(NO_FILE)
    return place
