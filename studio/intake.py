"""A person's own pictures as data sets of the home: taken in, checked, aligned and labelled."""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from studio import images, paths
from studio.data.celeba import is_celeba
from studio.data.flaws import FaceVerdict
from studio.data.folder import (
    TABLE,
    DataSet,
    FolderSource,
    is_factor,
    is_measure,
    locate_set,
    open_set,
    read_rows,
    write_table,
)
from studio.data.inspect import Report, inspect
from studio.data.reading import open_picture
from studio.errors import ConfigError, DataError, FaceError, ImageError, is_full
from studio.faces.align import Alignment, crop
from studio.faces.detect import MOST_OFFSET, EyeRefiner, find_faces, misalignment
from studio.images import Picture
from studio.training.status import CANCELLED, FAILED, REQUEST, SUCCEEDED, read_status

# Side of aligned copies: twice what most models are trained at, as the sets of CelebA's crops.
SIZE = 128
MOST_LETTERS = 40
# Columns that mean something of their own in a table.
RESERVED = frozenset({"file", "partition", "identity", "alignment", "object", "angle", "class"})

Progress = Callable[[int, int], None]
Stopped = Callable[[], bool]


@dataclass
class AlignReport:
    """What became of a set whose faces were aligned.

    Attributes:
        output: The new set's folder.
        finished: Whether it is there; a stopped run leaves nothing.
        total: Pictures of the given set.
        written: Pictures of the new one.
        left_out: Reason by file, for pictures without a face that can be aligned.
        crowded: Files that show several faces, of which the largest was taken.
    """

    output: Path
    finished: bool
    total: int
    written: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    crowded: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "output": str(self.output)}


def check(
    location: Path,
    refine: EyeRefiner | None,
    *,
    size: int = 64,
    progress: Progress = lambda done, total: None,
    stopped: Stopped = lambda: False,
) -> Report:
    """Check a data set as :func:`studio.data.inspect.inspect` does, its faces included.

    Args:
        location: As for :func:`studio.data.folder.open_set`.
        refine: Our eye regressor, or None where it is not there.
        size: Of the pictures in training, in pixels.
        progress: Gets the pictures that are done and their number.
        stopped: Asked before each picture; whether to stop there.

    Raises:
        DataError: The data set cannot be opened.
    """
    judge = partial(judge_face, refine=refine)
    return inspect(location, find_face=judge, size=size, progress=progress, stopped=stopped)


def judge_face(pixels: Picture, refine: EyeRefiner | None) -> FaceVerdict:
    """Say whether a picture shows a face, and whether training would find it in its place.

    Args:
        pixels: (H, W, 3) uint8, the whole picture.
        refine: Our eye regressor, or None where it is not there.
    """
    whole = Alignment.whole(pixels.shape[1], pixels.shape[0])
    # Looking at one crop is far faster than looking for faces.
    if refine is not None and not misalignment(pixels, whole, refine):
        return FaceVerdict("aligned")
    try:
        alignment, _ = _find_face(pixels, refine)
    except FaceError as error:
        return FaceVerdict("none", str(error))
    return FaceVerdict("aligned" if _is_near(alignment, whole) else "elsewhere")


def _find_face(pixels: Picture, refine: EyeRefiner | None) -> tuple[Alignment, bool]:
    """Return where the largest face of a picture is, and whether it shows several.

    Raises:
        FaceError: It shows none, or only one whose eyes cannot be told.
    """
    faces = find_faces(pixels, refine)
    if not faces:
        raise FaceError("No face was found in it.")
    if faces[0].trusted:
        return faces[0].alignment, len(faces) > 1
    # A face that wears sunglasses in an aligned picture is where it should be.
    whole = Alignment.whole(pixels.shape[1], pixels.shape[0])
    if any(_is_near(face.alignment, whole) for face in faces):
        return whole, False
    raise FaceError("Its eyes cannot be made out well enough to align it.")


def _is_near(alignment: Alignment, expected: Alignment) -> bool:
    off = np.hypot(*(alignment.eyes() - expected.eyes()).T).max()
    return bool(off <= MOST_OFFSET * expected.eye_distance)


def take_in(source: Path, name: str) -> Path:
    """Keep a zip, and the table beside it if there is one, as a data set of the home.

    Args:
        source: A zip file.
        name: Of the new set.

    Returns:
        The new set's zip.

    Raises:
        ConfigError: The name cannot be used or is taken.
        DataError: The zip is no data set, or there is no room for it.
    """
    target, place = _free(name), locate_set(source)
    if place.suffix.lower() != ".zip":
        raise DataError(f"{place.name} is no zip; pack the pictures and their {TABLE} as one.")
    open_set(place)
    beside = place.with_suffix(".csv")
    with _workshop(name) as shop:
        shutil.copyfile(place, shop / "set.zip")
        if beside.is_file():
            shutil.copyfile(beside, shop / "set.csv")
        return _settle_zip(shop, target)


def align(
    location: Path,
    name: str,
    progress: Progress,
    stopped: Stopped,
    refine: EyeRefiner | None = None,
) -> AlignReport:
    """Make a copy of a set of photographs in which every face is where the models expect it.

    Args:
        location: As for :func:`studio.data.folder.open_set`.
        name: Of the new set, a folder of 128 x 128 pictures in the home with all labels.
        progress: Gets the pictures that are done and their number.
        stopped: Asked before each picture; whether to stop, with nothing left behind.
        refine: Our eye regressor, or None where it is not there.

    Returns:
        What was made, and which pictures were left out.

    Raises:
        ConfigError: The name cannot be used or is taken.
        DataError: The set cannot be opened, shows no faces, or there is no room for the copy.
    """
    target = _free(name)
    data, rows = open_set(location), read_rows(location)
    names = _png_names(data.files)
    report = AlignReport(target, finished=False, total=len(data))
    table = []
    with _workshop(name) as shop:
        folder = shop / target.name
        folder.mkdir()
        parts = data.partition.tolist()
        for row, part, content in zip(rows, parts, data.attempts(), strict=True):
            if stopped():
                return report
            file = folder / names[row["file"]]
            if _write_aligned(file, row["file"], content, report, refine):
                table.append(_aligned_row(row, names[row["file"]], part))
            report.written = len(table)
            progress(report.written + len(report.left_out), len(data))
        if not table:
            raise DataError(
                f"None of the {len(data)} pictures of {data.name} shows a face that can be "
                "aligned; a set of other things is trained as it is, with a column alignment that "
                "holds none."
            )
        write_table(folder / TABLE, table)
        folder.rename(target)
    report.finished = True
    return report


def _write_aligned(
    file: Path,
    name: str,
    content: bytes | DataError,
    report: AlignReport,
    refine: EyeRefiner | None,
) -> bool:
    """Write the face of a picture, or note why it is left out; say whether it was written."""
    try:
        if isinstance(content, DataError):
            raise content
        pixels = np.array(open_picture(content))
        alignment, several = _find_face(pixels, refine)
        picture = crop(pixels, alignment, SIZE)
    except (DataError, FaceError) as error:
        report.left_out[name] = str(error)
        return False
    except ImageError as error:
        report.left_out[name] = f"It cannot be decoded ({error})."
        return False
    if several:
        report.crowded.append(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    images.save_png(file, picture)
    return True


def _png_names(files: Sequence[str]) -> dict[str, str]:
    """Name copies after their pictures; keep the old endings where two would be called alike."""
    names = {name: PurePosixPath(name).with_suffix(".png").as_posix() for name in files}
    alike = len(set(names.values())) < len(names)
    return {name: f"{name}.png" for name in files} if alike else names


def _aligned_row(row: Mapping[str, str], file: str, part: int) -> dict[str, str]:
    """Keep a picture's labels; its part of the set, too, which its new name would change."""
    kept = {
        column: value
        for column, value in row.items()
        if column and not is_measure(column) and column not in ("alignment", "partition")
    }
    return {**kept, "file": file, "partition": str(part)}


def label(
    location: Path, name: str, attribute: str, shown: Sequence[str], absent: Sequence[str]
) -> Path:
    """Mark which pictures show something, as an attribute of a data set of the home.

    The pictures are linked or copied, all other columns kept; pictures that were not named keep
    their mark, or are unknown. A set of the home gets the marks itself where it is given its own
    name.

    Args:
        location: As for :func:`studio.data.folder.open_set`.
        name: Of the set that has the marks.
        attribute: What is marked.
        shown: Files of pictures that show it, named as in the set.
        absent: Files of pictures that lack it.

    Returns:
        The set that has the marks.

    Raises:
        ConfigError: The name or the attribute cannot be used, or the name is another set's.
        DataError: The set cannot be opened or has no such files, nothing is marked, or there is no
            room.
    """
    _check_name(name)
    place = locate_set(location)
    data, rows = open_set(place), read_rows(place)
    _check_attribute(data, attribute)
    marks = _marks(data, shown, absent)
    for row in rows:
        row[attribute] = marks.get(row["file"], row.get(attribute, ""))
    own = paths.data() / f"{name}{place.suffix if place.is_file() else ''}"
    if place.parent.resolve() == paths.data().resolve() and place.name == own.name:
        return _relabel(own, rows)
    target = _free(name)
    pictures = data.source.place
    with _workshop(name) as shop:
        if pictures.is_file():
            _link(pictures, shop / "set.zip")
            write_table(shop / "set.csv", rows)
            return _settle_zip(shop, target)
        folder = shop / target.name
        for file in dict.fromkeys(data.files):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            _link(FolderSource(pictures).locate(file), folder / file)
        write_table(folder / TABLE, rows)
        return folder.rename(target)


def _check_attribute(data: DataSet, attribute: str) -> None:
    """Refuse an attribute that a table could not hold as one.

    Raises:
        ConfigError: Its name is empty, odd, or means something else already.
    """
    if attribute in data.attributes:
        return
    if not _is_plain(attribute):
        raise ConfigError(
            f"{attribute!r} is no name for an attribute; give 1 to {MOST_LETTERS} letters, digits, "
            "spaces, - and _."
        )
    if attribute.lower() in RESERVED or is_factor(attribute):
        raise ConfigError(
            f"A column {attribute} has a meaning of its own in a table; name the attribute "
            "otherwise."
        )
    if attribute in data.classes:
        raise ConfigError(
            f"{data.name} has classes in a column {attribute}; name the attribute otherwise."
        )


def _marks(data: DataSet, shown: Sequence[str], absent: Sequence[str]) -> dict[str, str]:
    """Return 1 or 0 by file.

    Raises:
        DataError: Nothing is marked, a file twice in different ways, or one that is not there.
    """
    marks = {**dict.fromkeys(shown, "1"), **dict.fromkeys(absent, "0")}
    if not marks:
        raise DataError("No picture is marked; name some that show it or some that lack it.")
    unclear = sorted(set(shown) & set(absent))
    if unclear:
        raise DataError(f"{unclear[0]} is marked as showing it and as lacking it; choose one.")
    strange = sorted(marks.keys() - set(data.files))
    if strange:
        raise DataError(
            f"{data.name} has no picture {strange[0]}"
            f"{f' and {len(strange) - 1} others that are named' if len(strange) > 1 else ''}; "
            f"name files as the set does, such as {data.files[0]}."
        )
    return marks


def _relabel(own: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Exchange the table of a set of the home.

    Raises:
        DataError: It is in CelebA's layout, whose lists would go first, or there is no room.
    """
    if own.is_dir() and is_celeba(own):
        raise DataError(
            f"{own.name} is in CelebA's official layout, whose lists stay as they are; give the "
            "marked set another name."
        )
    try:
        write_table(own / TABLE if own.is_dir() else own.with_suffix(".csv"), rows)
    except OSError as error:
        raise _refusal(own.stem, error) from error
    return own


def delete(name: str) -> str:
    """Delete a data set of the home: a folder, or a zip with its table; of a link, the link.

    Args:
        name: Of the set; a zip's ending may be left out.

    Returns:
        The name of the folder or the zip that is gone.

    Raises:
        ConfigError: There is none of that name, or a job that is not done learns from it.
        DataError: The disk refuses.
    """
    own = _own(name)
    if job := _learner(own):
        raise ConfigError(
            f"The job {job} learns from {own.name}; let it end or delete the job first."
        )
    # Out of sight at once, however long it takes to delete.
    grave = own.with_name(f"{own.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        own.rename(grave)
        if grave.is_dir() and not grave.is_symlink():
            shutil.rmtree(grave)
        else:
            grave.unlink()
            own.with_suffix(".csv").unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{own.name} cannot be deleted: {error.strerror or error}.") from error
    return own.name


def _own(name: str) -> Path:
    """Return where a data set of the home is.

    Raises:
        ConfigError: There is none of that name.
    """
    stem = name.removesuffix(".zip")
    there = [paths.data() / one for one in (name, f"{stem}.zip")]
    found = [one for one in there if one.exists() or one.is_symlink()]
    is_name = stem and Path(stem).name == stem and not stem.startswith(".")
    if not is_name or not found or found[0].suffix in (".csv", ".part"):
        raise ConfigError(f"There is no data set {name!r} among your own.")
    return found[0]


def _learner(place: Path) -> str:
    """Name a job of the home that is not done and learns from a set; empty where none does."""
    for folder in sorted(paths.runs().glob("[!.]*")):
        if read_status(folder)["state"] in (SUCCEEDED, FAILED, CANCELLED):
            continue
        try:
            asked = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
            used = [Path(asked[name]).resolve() for name in ("data", "also") if asked.get(name)]
        except (OSError, ValueError, TypeError, AttributeError):
            # Whatever cannot be read cannot be trained either.
            continue
        if place.resolve() in used:
            return folder.name
    return ""


def _link(source: Path, target: Path) -> None:
    """Share a file with another place, or copy it where the disk cannot share."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _is_plain(name: str) -> bool:
    plain = all(letter.isalnum() or letter in " -_" for letter in name)
    return plain and name == name.strip() and 0 < len(name) <= MOST_LETTERS


def _check_name(name: str) -> None:
    """Refuse what would be no plain file of its own among the sets.

    Raises:
        ConfigError: The name cannot be used.
    """
    if not _is_plain(name):
        raise ConfigError(
            f"{name!r} is no name for a data set; give 1 to {MOST_LETTERS} letters, digits, "
            "spaces, - and _."
        )


def _free(name: str) -> Path:
    """Return where a new set of the home will be, without the ending of a zip.

    Raises:
        ConfigError: The name cannot be used or is taken.
    """
    _check_name(name)
    # A table would join a zip of its name, a part is being made by somebody else.
    if any((paths.data() / f"{name}{ending}").exists() for ending in ("", ".zip", ".csv", ".part")):
        raise ConfigError(f"There is a data set {name} already; choose another name or delete it.")
    return paths.data() / name


@contextmanager
def _workshop(name: str) -> Iterator[Path]:
    """Give a folder beside the sets in which one is made; it is gone afterwards.

    Raises:
        DataError: The disk refuses.
    """
    folder = paths.data() / f"{name}.{uuid.uuid4().hex[:8]}.part"
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise _refusal(name, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refusal(name: str, error: OSError) -> DataError:
    # Visitors have no use for the folders of the machine.
    if is_full(error):
        return DataError(
            f"There is no space left for {name} among your data sets; make room and try again."
        )
    return DataError(f"{name} cannot be written among your data sets: {error.strerror or error}.")


def _settle_zip(shop: Path, target: Path) -> Path:
    """Give a finished zip its place: its table first, so that it is never seen without."""
    if (shop / "set.csv").is_file():
        (shop / "set.csv").rename(target.with_name(f"{target.name}.csv"))
    return (shop / "set.zip").rename(target.with_name(f"{target.name}.zip"))
