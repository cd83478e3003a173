"""Data sets on disk: a folder, a zip, or a zip with a table beside it, as one ``DataSet``."""

import csv
import hashlib
import io
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice, repeat
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from studio import paths
from studio.data.reading import (
    ZIP_DAMAGE,
    check_members,
    open_picture,
    read_file,
    read_member,
)
from studio.errors import DataError, ImageError

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
TABLE = "attributes.csv"
PARTITIONS = {"train": 0, "validation": 1, "test": 2}
UNKNOWN = -1
# A column of 0 and 1 in which at most this share is something else was meant as an attribute.
_ODD_SHARE = 0.05
_EYES = ("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y")
# Files that are decoded together; their bytes are held at once.
_AT_ONCE = 64
CELEBA_EYES = ((50 / 128, 66 / 128), (78 / 128, 66 / 128))


# Names of columns of classes, each with the values that are told apart.
Classes = tuple[tuple[str, tuple[str, ...]], ...]


class Source(Protocol):
    """Where the bytes of a data set's files come from."""

    @property
    def place(self) -> Path:
        """The folder or the zip."""
        ...

    def names(self) -> list[str]:
        """List the files, sorted, with forward slashes."""
        ...

    def read(self, name: str) -> bytes:
        """Return one file's bytes."""
        ...

    def fingerprint(self) -> str:
        """Return a text that changes when the files do."""
        ...


class Labelled(Protocol):
    """Labelled pictures as training reads them."""

    @property
    def name(self) -> str:
        """Shown to people."""
        ...

    def __len__(self) -> int: ...

    def attribute(self, name: str) -> NDArray[np.int8]:
        """Return an attribute's (N,) column in {0, 1}, -1 where unknown."""
        ...

    def attribute_matrix(self, names: Sequence[str]) -> NDArray[np.int8]:
        """Return (N, len(names)) attributes."""
        ...

    def class_matrix(self, classes: Classes) -> NDArray[np.int64]:
        """Return (N, len(classes)) places among the values, -1 where a picture has none of them."""
        ...

    def identity(self) -> NDArray[np.int64]:
        """Return (N,) identity numbers, -1 where unknown."""
        ...

    def eyes(self) -> NDArray[np.float32]:
        """Return (N, 2, 2) eye positions as fractions of the picture."""
        ...

    def pictures(self, size: int) -> NDArray[np.uint8]:
        """Return (N, size, size, 3) pictures."""
        ...


def is_picture(name: str) -> bool:
    """Say whether a file is a picture of a set, by its name.

    Hidden files are none: a Mac packs one beside each picture, with the same ending.
    """
    path = PurePosixPath(name)
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")


def is_table(name: str) -> bool:
    """Say whether a file may be the table of a set, by its name."""
    return PurePosixPath(name).name == TABLE


def attempted(read: Callable[[str], bytes], name: str) -> bytes | DataError:
    """Return a file's bytes, or why it cannot be read."""
    try:
        return read(name)
    except DataError as error:
        return error


@dataclass(frozen=True)
class FolderSource:
    """Files below a folder; links that lead out of it are refused."""

    root: Path

    @property
    def place(self) -> Path:
        """The folder."""
        return self.root

    def names(self) -> list[str]:
        """List the files below the folder."""
        found = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def locate(self, name: str) -> Path:
        """Return where one file is.

        Raises:
            DataError: The name leads out of the folder, or there is no such file.
        """
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise DataError(
                f"{name} lies outside {self.root}; a data set names only its own files."
            )
        if not path.is_file():
            raise DataError(f"{self.root} has no file {name}, which its table names.")
        return path

    def read(self, name: str) -> bytes:
        """Return one file's bytes.

        Raises:
            DataError: The name leads out of the folder, or there is no such file, or it is too
                large or cannot be read.
        """
        return read_file(self.locate(name))

    def fingerprint(self) -> str:
        """Describe every file's name, size and time of change."""
        stats = ((name, (self.root / name).stat()) for name in self.names())
        return repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])


@lru_cache(maxsize=4)
def _archive(path: Path, fingerprint: str) -> zipfile.ZipFile:
    """Open a zip once for many single files: each opening reads the whole directory."""
    del fingerprint
    return zipfile.ZipFile(path)


def close_archives() -> None:
    """Hold no zip open any more: what was deleted keeps its room on the disk until then."""
    _archive.cache_clear()


@dataclass(frozen=True)
class ZipSource:
    """Files inside a zip, read in place: nothing is ever unpacked to the disk."""

    path: Path

    def __post_init__(self) -> None:
        try:
            with self._open() as archive:
                members = archive.infolist()
        except ZIP_DAMAGE as error:
            raise DataError(f"{self.path} is not a readable zip file: {error}.") from error
        if not members:
            raise DataError(
                f"{self.path.name} is an empty zip; pack pictures and their {TABLE} into it."
            )
        for member in members:
            self._check_name(member.filename)
        # Whatever else was packed is never read.
        wanted = [one for one in members if is_picture(one.filename) or is_table(one.filename)]
        check_members(self.path.name, wanted)

    def _check_name(self, name: str) -> None:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts:
            raise DataError(
                f"{self.path.name} holds a file named {name}, which leads out of the zip; "
                "pack it again with plain names."
            )

    @property
    def place(self) -> Path:
        """The zip."""
        return self.path

    def _open(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)

    def names(self) -> list[str]:
        """List the files in the zip."""
        with self._open() as archive:
            return sorted(info.filename for info in archive.infolist() if not info.is_dir())

    def read(self, name: str) -> bytes:
        """Return one file's bytes.

        Raises:
            DataError: There is no such file in the zip, or it is damaged.
        """
        try:
            archive = _archive(self.path, self.fingerprint())
        except ZIP_DAMAGE as error:
            raise DataError(f"{self.path.name} cannot be read any more: {error}.") from error
        return self._member(archive, name)

    def attempt_all(self, names: Sequence[str]) -> Iterator[bytes | DataError]:
        """Yield the bytes of many files, or what is wrong with them; the zip is opened once."""
        with self._open() as archive:
            for name in names:
                yield attempted(lambda name: self._member(archive, name), name)

    def _member(self, archive: zipfile.ZipFile, name: str) -> bytes:
        try:
            return read_member(archive, name)
        except KeyError as error:
            raise DataError(f"{self.path.name} has no file {name}.") from error
        except ZIP_DAMAGE as error:
            raise DataError(
                f"{name} in {self.path.name} is damaged ({error}); pack it again."
            ) from error

    def fingerprint(self) -> str:
        """Describe the zip's size and time of change."""
        stat = self.path.stat()
        return repr((self.path.name, stat.st_size, stat.st_mtime_ns))


@dataclass(frozen=True, eq=False)
class DataSet:
    """Labelled pictures, known by their labels and decoded on demand.

    Attributes:
        name: Shown to people; the folder's or zip's name.
        source: Where the bytes come from.
        files: N file names.
        attributes: Name to (N,) int8 in {0, 1}, -1 where unknown.
        classes: Name to N texts, empty where unknown.
        factors: Name to (N,) float64 true values, NaN where unknown.
        partition: (N,) int8: 0 train, 1 validation, 2 test.
        decode: File bytes and size to a (size, size, 3) uint8 picture.
        alignment: As in :class:`studio.data.batch.DataSpec`.
    """

    name: str
    source: Source
    files: tuple[str, ...]
    attributes: Mapping[str, NDArray[np.int8]]
    classes: Mapping[str, NDArray[np.str_]]
    factors: Mapping[str, NDArray[np.float64]]
    partition: NDArray[np.int8]
    decode: Callable[[bytes, int], NDArray[np.uint8]]
    alignment: str = "celeba"
    digest: str = field(default="", kw_only=True)

    def __len__(self) -> int:
        return len(self.files)

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "DataSet":
        """Return the rows that a mask or index array picks."""
        index = np.arange(len(self))[chosen]
        return replace(
            self,
            files=tuple(self.files[i] for i in index),
            attributes={name: column[index] for name, column in self.attributes.items()},
            classes={name: column[index] for name, column in self.classes.items()},
            factors={name: column[index] for name, column in self.factors.items()},
            partition=self.partition[index],
        )

    def part(self, name: str) -> "DataSet":
        """Return one partition: ``train``, ``validation`` or ``test``."""
        return self.select(self.partition == PARTITIONS[name])

    def where(self, column: str, values: Sequence[str]) -> "DataSet":
        """Return the rows whose class is one of some texts, such as one object of many.

        Raises:
            DataError: There is no such column of classes, or none of its rows has a value.
        """
        if column not in self.classes:
            raise DataError(
                f"The data set {self.name} has no classes {column!r}; "
                f"it has {', '.join(sorted(self.classes)) or 'none'}."
            )
        there = self.classes[column]
        for value in values:
            if value not in there:
                raise DataError(
                    f"The data set {self.name} has no {column} {value!r}; {_choice(there)}."
                )
        return self.select(np.isin(there, values))

    def attribute(self, name: str) -> NDArray[np.int8]:
        """Return an attribute's column.

        Raises:
            DataError: The data set has no such attribute.
        """
        if name not in self.attributes:
            raise DataError(
                f"The data set {self.name} has no attribute {name!r}; "
                f"it has {', '.join(sorted(self.attributes)) or 'none'}."
            )
        return self.attributes[name]

    def attribute_matrix(self, names: Sequence[str]) -> NDArray[np.int8]:
        """Return (N, len(names)) attributes, -1 where the data set does not know one."""
        unknown = np.full(len(self), UNKNOWN, np.int8)
        columns = [self.attributes.get(name, unknown) for name in names]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self), 0), np.int8)

    def values(self, name: str) -> tuple[str, ...]:
        """Return the different values of a column of classes, or of an attribute as words.

        Attributes are classes of two values, ``without`` and ``with``. Sorted, so that equal sets
        give equal answers; empty where there is no such column.
        """
        return tuple(sorted(set(self._texts(name).tolist()) - {""}))

    def class_matrix(self, classes: Classes) -> NDArray[np.int64]:
        """Return (N, len(classes)) places among the values, -1 where a picture has none of them."""
        columns = []
        for name, values in classes:
            places = {value: place for place, value in enumerate(values)}
            found = [places.get(text, UNKNOWN) for text in self._texts(name).tolist()]
            columns.append(np.array(found, np.int64))
        return np.stack(columns, axis=1) if columns else np.zeros((len(self), 0), np.int64)

    def _texts(self, name: str) -> NDArray[np.str_]:
        if name in self.attributes:
            return np.array(["without", "with", ""])[self.attributes[name]]
        return self.classes.get(name, np.full(len(self), ""))

    def identity(self) -> NDArray[np.int64]:
        """Return (N,) identity numbers counted from 0, -1 where there is no such column."""
        if "identity" not in self.classes:
            return np.full(len(self), UNKNOWN, np.int64)
        return np.unique(self.classes["identity"], return_inverse=True)[1].astype(np.int64)

    @property
    def knows_eyes(self) -> bool:
        """Whether the table says where the eyes are."""
        return all(name in self.factors for name in (*_EYES, "size"))

    def eyes(self) -> NDArray[np.float32]:
        """Return (N, 2, 2) eye positions (left, right; x, y) as fractions of the picture."""
        if self.knows_eyes:
            pixels = np.stack([self.factors[name] for name in _EYES], axis=1).reshape(-1, 2, 2)
            return (pixels / self.factors["size"][:, None, None]).astype(np.float32)
        usual = CELEBA_EYES if self.alignment == "celeba" else ((np.nan,) * 2,) * 2
        return np.tile(np.asarray(usual, np.float32), (len(self), 1, 1))

    def pictures(self, size: int) -> NDArray[np.uint8]:
        """Decode all pictures, or read them from the cache of an earlier call.

        Args:
            size: Height and width in pixels.

        Returns:
            (N, size, size, 3), memory-mapped from the cache folder.

        Raises:
            DataError: A picture cannot be read; the message names it.
        """
        key = hashlib.sha256(f"{self.digest}|{self.files}|{size}".encode()).hexdigest()[:24]
        file = paths.cache() / "pictures" / f"{key}.npy"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            # Two processes, or two threads, may decode the same pictures at once.
            partial = file.with_suffix(f".{uuid.uuid4().hex}.part")
            try:
                self._write_pictures(partial, size)
                partial.replace(file)
            finally:
                partial.unlink(missing_ok=True)
        return np.load(file, mmap_mode="r")

    def contents(self) -> Iterator[bytes]:
        """Yield the bytes of every file, in order.

        Raises:
            DataError: A file is missing, or damaged inside its zip.
        """
        for content in self.attempts():
            if isinstance(content, DataError):
                raise content
            yield content

    def attempts(self) -> Iterator[bytes | DataError]:
        """Yield the bytes of every file, or why it cannot be read, in order."""
        # Opening a zip reads its whole directory, so it is opened once.
        if isinstance(self.source, ZipSource):
            return self.source.attempt_all(self.files)
        return (attempted(self.source.read, name) for name in self.files)

    def _write_pictures(self, file: Path, size: int) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(self), size, size, 3)}
        with file.open("wb") as out:
            np.lib.format.write_array_header_1_0(out, header)
            for picture in self.decode_each(size):
                out.write(picture.tobytes())

    def decode_each(self, size: int) -> Iterator[NDArray[np.uint8]]:
        """Decode all pictures in order, a few at a time: many do not fit into memory.

        Raises:
            DataError: A picture cannot be read; the message names it.
        """
        contents = zip(self.files, self.contents(), strict=True)
        with ThreadPoolExecutor() as pool:
            while some := list(islice(contents, _AT_ONCE)):
                yield from pool.map(self.decoded, *zip(*some, strict=True), repeat(size))

    def decoded(self, name: str, content: bytes, size: int) -> NDArray[np.uint8]:
        """Decode one file's bytes to (size, size, 3).

        Raises:
            DataError: They are no picture; the message names the file.
        """
        try:
            return self.decode(content, size)
        except ImageError as error:
            raise DataError(
                f"{name} in {self.name} cannot be read as a picture ({error}); "
                "remove it or run `latent-studio data check` to list all such files."
            ) from error


def _choice(values: NDArray[np.str_], most: int = 12) -> str:
    """Say which texts there are, or the first of them."""
    known = list(dict.fromkeys(value for value in values.tolist() if value))
    return f"it has {', '.join(known[:most])}" + (", ..." if len(known) > most else "")


def decode_square(content: bytes, size: int) -> NDArray[np.uint8]:
    """Decode a picture, crop its middle square and resize it to (size, size, 3)."""
    picture = open_picture(content)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=box))


def open_set(location: Path) -> DataSet:
    """Open a data set: a folder or zip with ``attributes.csv``, a zip with X.csv, CelebA or COIL.

    Args:
        location: A folder, a zip file, or the stem of X.zip and X.csv.

    Returns:
        The data set, labels read, pictures not yet decoded.

    Raises:
        DataError: There is no such data set, or its table is damaged.
    """
    from studio.data import celeba  # the layout builds on this module

    location = locate_set(location)
    return celeba.open_celeba(location) if _is_celeba(location) else _open_plain(location)


def read_rows(location: Path) -> list[dict[str, str]]:
    """Return the rows of a data set's table, or those that its layout stands for.

    Args:
        location: As for :func:`open_set`.

    Returns:
        One row per picture, in the order of the data set, every column as it is written.

    Raises:
        DataError: As for :func:`open_set`.
    """
    from studio.data import celeba  # the layout builds on this module

    location = locate_set(location)
    read = celeba.read_celeba if _is_celeba(location) else _read_plain
    return read(location)[1]


def locate_set(location: Path) -> Path:
    """Return the folder or the zip that a location stands for.

    Raises:
        DataError: There is none.
    """
    if not location.exists() and location.with_suffix(".zip").is_file():
        location = location.with_suffix(".zip")
    if not location.exists():
        raise DataError(f"{location} does not exist; give a folder or a zip file of pictures.")
    return location


def _is_celeba(location: Path) -> bool:
    from studio.data import celeba  # the layout builds on this module

    return location.is_dir() and celeba.is_celeba(location)


def _open_plain(location: Path) -> DataSet:
    from studio.data import turntable  # the layout builds on this module

    source, rows = _read_plain(location)
    if turntable.is_turntable(rows):
        return turntable.open_turntable(location, source, rows)
    return from_rows(location, source, rows)


def _read_plain(location: Path) -> tuple[Source, list[dict[str, str]]]:
    from studio.data import turntable  # the layout builds on this module

    source = FolderSource(location) if location.is_dir() else ZipSource(location)
    names = source.names()
    table = _table(location, source, names)
    pictures = [name for name in names if is_picture(name)]
    if not pictures:
        raise DataError(_without_pictures(location, names))
    if table is not None:
        return source, _resolve_files(table, pictures, location)
    return source, turntable.rows_of_coil(pictures) or _rows_from_folders(pictures)


def _without_pictures(location: Path, names: list[str]) -> str:
    message = f"{location} holds no pictures; expected {', '.join(sorted(PICTURES))} files."
    packed = [name for name in names if name.lower().endswith(".zip")]
    if packed:
        message += f" Zips inside are not opened: unpack {packed[0]} and pack its pictures."
    return message


def _table(location: Path, source: Source, names: list[str]) -> list[dict[str, str]] | None:
    beside = location.with_suffix(".csv")
    inside = find_table(names)
    if location.is_file() and beside.is_file():
        content = read_file(beside)
    elif inside:
        content = source.read(inside)
    else:
        return None
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), restval=""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The table of {location} is not readable as CSV: {error}.") from error
    if not rows or "file" not in rows[0]:
        raise DataError(f"The table of {location} needs a first column named `file` and rows.")
    return rows


def find_table(names: Sequence[str]) -> str:
    """Return the table among a set's files; empty where there is none.

    It stands at the top, or in the only folder there: whoever packs a folder gets that.
    """
    tops = {PurePosixPath(name).parts[0] for name in names if is_picture(name) or is_table(name)}
    inside = f"{min(tops)}/{TABLE}" if len(tops) == 1 else TABLE
    return next((name for name in (TABLE, inside) if name in names), "")


def _rows_from_folders(pictures: list[str]) -> list[dict[str, str]]:
    """Label pictures without a table by the folder they stand in, if there are several."""
    folders = {PurePosixPath(name).parent.name for name in pictures}
    if len(folders) < 2:
        return [{"file": name} for name in pictures]
    return [{"file": name, "class": PurePosixPath(name).parent.name} for name in pictures]


def _resolve_files(
    rows: list[dict[str, str]], pictures: list[str], location: Path
) -> list[dict[str, str]]:
    """Match the table's file column to files, which may stand one folder deeper."""
    known = set(pictures)
    by_name: dict[str, str] = {}
    for name in pictures:
        by_name.setdefault(PurePosixPath(name).name, name)
    there = known | by_name.keys()
    missing = [row["file"] for row in rows if row["file"] not in there]
    if missing:
        named = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise DataError(
            f"The table of {location} names {len(missing)} files that are not there: {named}."
        )
    for row in rows:
        if row["file"] not in known:
            row["file"] = by_name[row["file"]]
    return rows


def from_rows(
    location: Path,
    source: Source,
    rows: list[dict[str, str]],
    decode: Callable[[bytes, int], NDArray[np.uint8]] = decode_square,
) -> DataSet:
    """Build a data set from the rows of a table.

    Columns named ``factor_*``, eye positions and ``size`` are floats; columns that hold only 0, 1
    and nothing are attributes; ``partition`` splits; ``alignment`` says how all pictures are
    aligned; all others are classes.

    Args:
        location: Of the data set; its stem becomes the name.
        source: Where the files are read.
        rows: One per picture, with ``file``.
        decode: File bytes and size to a picture.

    Returns:
        The data set.

    Raises:
        DataError: A number cannot be read, a partition is none of 0, 1 and 2, a column of 0 and 1
            has a few other values, or the pictures are not all aligned alike.
    """
    columns = {name: [row.get(name) or "" for row in rows] for name in rows[0] if name}
    files = tuple(columns.pop("file"))
    partition = columns.pop("partition", None)
    alignment = _alignment(columns.pop("alignment", ["celeba"]))
    attributes, classes, factors = {}, {}, {}
    for name, values in columns.items():
        if is_factor(name):
            factors[name] = _floats(name, values)
        elif name != "identity" and set(values) <= {"0", "1", ""}:
            attributes[name] = np.array([int(v) if v else UNKNOWN for v in values], np.int8)
        else:
            _refuse_odd(name, values, files)
            classes[name] = np.array(values, np.str_)
    digest = hashlib.sha256(source.fingerprint().encode()).hexdigest()
    return DataSet(
        name=location.stem,
        source=source,
        files=files,
        attributes=attributes,
        classes=classes,
        factors=factors,
        partition=(
            split(classes["identity"] if "identity" in classes else np.array(files))
            if partition is None
            else _partitions(partition)
        ),
        decode=decode,
        alignment=alignment,
        digest=digest,
    )


def is_factor(column: str) -> bool:
    """Say whether a column holds true values of what the pictures show, such as where eyes are."""
    return column.startswith("factor_") or is_measure(column)


def is_measure(column: str) -> bool:
    """Say whether a column holds pixels of the pictures, which another crop makes wrong."""
    return column.endswith(("_eye_x", "_eye_y")) or column == "size"


def _refuse_odd(name: str, values: list[str], files: Sequence[str]) -> None:
    """Refuse a column that is an attribute but for a few values.

    Raises:
        DataError: It is; the message names the first picture.
    """
    odd = [row for row, value in enumerate(values) if value not in {"0", "1", ""}]
    if {"0", "1"} <= set(values) and len(odd) <= _ODD_SHARE * len(values):
        raise DataError(
            f"The column {name} holds 0 and 1, but {values[odd[0]]!r} for {files[odd[0]]}"
            f"{f' and {len(odd) - 1} others' if len(odd) > 1 else ''}; an attribute is 0, 1 or "
            "empty. If these are classes, write them as words."
        )


def _partitions(values: list[str]) -> NDArray[np.int8]:
    known = {str(number) for number in PARTITIONS.values()}
    wrong = sorted(set(values) - known)
    if wrong:
        raise DataError(
            f"The column partition holds 0 (train), 1 (validation) or 2 (test), not {wrong[0]!r}."
        )
    return np.array([int(value) for value in values], np.int8)


def _alignment(values: list[str]) -> str:
    if set(values) not in ({"celeba"}, {"none"}):
        raise DataError(
            "The column alignment holds celeba or none, the same for all pictures, "
            f"not {', '.join(sorted(set(values)))}."
        )
    return values[0]


def _floats(name: str, values: list[str]) -> NDArray[np.float64]:
    try:
        return np.array([float(value) if value else np.nan for value in values])
    except ValueError as error:
        raise DataError(f"The column {name} must hold numbers: {error}.") from error


def write_table(file: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write a table, whole or not at all.

    Args:
        file: A ``.csv`` file.
        rows: At least one; the first has the columns of all.
    """
    beside = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with beside.open("w", newline="", encoding="utf-8") as out:
            columns = [name for name in rows[0] if name]
            writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def split(keys: NDArray[np.str_]) -> NDArray[np.int8]:
    """Split 80/10/10 by a hash of each key, so that equal keys (one person) stay together.

    Args:
        keys: N texts: identities where known, else file names.

    Returns:
        (N,) 0 train, 1 validation, 2 test; the same for the same key in any data set.
    """
    hashed = [int(hashlib.sha256(str(key).encode()).hexdigest()[:8], 16) % 10 for key in keys]
    return np.array([{8: 1, 9: 2}.get(value, 0) for value in hashed], np.int8)
