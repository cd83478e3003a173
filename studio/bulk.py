"""One edit on many photographs: reading them, pairing them up, naming the results."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio import editing, images
from studio.checkpoints import ModelCache
from studio.editing import Subject
from studio.errors import ConfigError, FaceError, StudioError
from studio.faces.align import Alignment
from studio.faces.detect import EyeRefiner, find_faces, misalignment
from studio.images import Picture, read_photo
from studio.recipes import Choice, donor_role, donors_of

PHOTOGRAPHS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"})
HINT = "Give a crop as X,Y,SIDE,ANGLE, or --aligned if it is one already."

Box = tuple[float, float, float, float]
"""A crop that a person gave: x, y and side in pixels, angle in degrees."""


def list_photographs(given: Sequence[Path]) -> list[Path]:
    """Return files as given and the photographs in folders, sorted by name.

    Raises:
        ConfigError: A path does not exist, or a folder holds no photographs.
    """
    found = []
    for path in given:
        if not path.exists():
            raise ConfigError(f"{path} does not exist; give a picture or a folder of pictures.")
        inside = [path] if path.is_file() else _in_folder(path)
        if not inside:
            raise ConfigError(f"{path} holds no photographs ({', '.join(sorted(PHOTOGRAPHS))}).")
        found += inside
    return found


def _in_folder(folder: Path) -> list[Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in PHOTOGRAPHS and entry.name[0] != "."
    )


class Reader:
    """Reads photographs and finds the face in each; the latest ones stay in memory."""

    def __init__(
        self,
        refine: EyeRefiner | None,
        *,
        aligned: bool,
        note: Callable[[str], None],
        keep: int = 4,
    ) -> None:
        """Start empty.

        Args:
            refine: Our eye regressor, or None where it is not there.
            aligned: Whether the pictures are aligned crops already.
            note: Gets a sentence about what the person should know, such as a second face.
            keep: Photographs that stay in memory.
        """
        self._refine = refine
        self._aligned = aligned
        self._note = note
        self._keep = keep
        self._subjects: dict[Path, Subject] = {}
        self._failures: dict[Path, StudioError] = {}

    def read(self, path: Path, box: Box | None = None) -> Subject:
        """Return a photograph with its face.

        Args:
            path: Of the photograph.
            box: The crop, if the person gave it.

        Raises:
            StudioError: It cannot be read, or shows no face whose crop can be trusted.
        """
        # Another attempt would cost the same time and say the same.
        if path in self._failures:
            raise self._failures[path]
        subject = self._subjects.pop(path, None)
        if subject is None:
            try:
                subject = self._open(path, box)
            except StudioError as error:
                self._failures[path] = error
                raise
            while len(self._subjects) >= self._keep:
                self._subjects.pop(next(iter(self._subjects)))
        # What was asked for last is kept longest: donors that go with every picture stay.
        self._subjects[path] = subject
        return subject

    def _open(self, path: Path, box: Box | None) -> Subject:
        try:
            photo = read_photo(path)
            if box is None and not self._aligned:
                return Subject(photo, self._find(photo.pixels, path.name))
            height, width = photo.pixels.shape[:2]
            given = Alignment.whole(width, height) if box is None else Alignment.from_box(*box)
        except StudioError as error:
            # In a folder of many, the sentence has to say whose it is.
            raise type(error)(f"{path.name}: {error}") from error
        if self._refine is not None:
            doubt = misalignment(photo.pixels, given, self._refine)
            if doubt:
                self._note(f"{path.name}: {doubt}")
        return Subject(photo, given)

    def _find(self, pixels: Picture, name: str) -> Alignment:
        faces = find_faces(pixels, self._refine)
        if not faces:
            raise FaceError(f"No face was found. {HINT}")
        if not faces[0].trusted:
            raise FaceError(f"{faces[0].reason} {HINT}")
        if len(faces) > 1:
            self._note(f"{name} shows {len(faces)} faces; the largest is taken.")
        return faces[0].alignment


def reader_for(
    models: ModelCache,
    checkpoint: str,
    *,
    aligned: bool,
    note: Callable[[str], None],
    keep: int = 4,
) -> Reader:
    """Return a reader of pictures for a checkpoint: one of other things looks for no faces."""
    faces = models.store.card(checkpoint).spec.shows_faces
    refine = editing.eye_refiner(models) if faces else None
    return Reader(refine, aligned=aligned or not faces, note=note, keep=keep)


def read_each(
    reader: Reader, files: Sequence[Path], skipped: dict[str, str]
) -> Iterator[tuple[Path, Subject]]:
    """Yield pictures one by one; note in ``skipped`` why others cannot be used."""
    for path in files:
        try:
            yield path, reader.read(path)
        except StudioError as error:
            skipped[str(path)] = str(error)


@dataclass(frozen=True)
class Task:
    """One result.

    Attributes:
        receiver: Its file.
        donors: One file for all models or one per model; empty for a removal.
        output: Where the result goes.
    """

    receiver: Path
    donors: tuple[Path, ...]
    output: Path

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "output": str(self.output),
            "receiver": str(self.receiver),
            "donors": [str(donor) for donor in self.donors],
        }


def pair_up(
    receivers: Sequence[Path], groups: Sequence[Sequence[Path]], *, every: bool, output: Path
) -> list[Task]:
    """Pair receivers with donors and name the results.

    Args:
        receivers: Files.
        groups: Files of donors, one list for all models or one per model; none for a removal.
        every: Whether each receiver meets each donor; otherwise they pair up in order, and a
            single file goes with all of another list.
        output: A folder, or a ``.png`` file for a single result.

    Returns:
        Tasks whose results are called ``receiver__donor.png``.

    Raises:
        ConfigError: The pictures do not pair up, or two results would have one name.
    """
    pairs = _all_pairs(receivers, groups) if every else _in_order([receivers, *groups])
    if output.suffix.lower() != ".png" or output.is_dir():
        return _named(pairs, output)
    if len(pairs) > 1:
        raise ConfigError(f"{len(pairs)} results do not fit into one file; give a folder.")
    return [Task(*pairs[0], output)]


Pair = tuple[Path, tuple[Path, ...]]
"""A receiver and its donors."""


def _all_pairs(receivers: Sequence[Path], groups: Sequence[Sequence[Path]]) -> list[Pair]:
    if len(groups) != 1:
        raise ConfigError("--pair all goes with one list of donors, given once.")
    return [(receiver, (donor,)) for receiver in receivers for donor in groups[0]]


def _in_order(lists: Sequence[Sequence[Path]]) -> list[Pair]:
    count = max(map(len, lists))
    odd = [len(files) for files in lists if len(files) not in (1, count)]
    if odd:
        raise ConfigError(
            f"{odd[0]} pictures cannot be paired with {count} in order; give as many of each, a "
            "single one, or --pair all."
        )
    columns = [list(files) * (count // len(files)) for files in lists]
    return [(row[0], tuple(row[1:])) for row in zip(*columns, strict=True)]


def _named(pairs: Sequence[Pair], folder: Path) -> list[Task]:
    tasks: dict[Path, Task] = {}
    for receiver, donors in pairs:
        file = folder / ("__".join(path.stem for path in (receiver, *donors)) + ".png")
        if file in tasks:
            raise ConfigError(
                f"Two results would be called {file.name}, of {tasks[file].receiver} and of "
                f"{receiver}; rename one of them."
            )
        tasks[file] = Task(receiver, donors, file)
    return list(tasks.values())


@dataclass(frozen=True)
class Edit:
    """What is done to every receiver.

    Attributes:
        checkpoints: In order; each works on the picture that the one before it made.
        remove: Take the object away instead of swapping it in.
        strength: Of a swap, in [-1, 2]; of parts, in [0, 2].
        output: As in :class:`studio.recipes.Recipe`.
        boxes: Crops by ``receiver`` and ``donor``, where the person gave them.
        parts: What is taken from the donor; by default what the checkpoint swaps.
    """

    checkpoints: tuple[str, ...]
    remove: bool
    strength: float
    output: str
    boxes: Mapping[str, Box | None]
    parts: tuple[str, ...] = ()

    def steps(self, donors: int) -> list[dict[str, Any]]:
        """Return a recipe's steps for a number of donors."""
        if self.remove:
            return [{"checkpoint": name, "kind": "remove"} for name in self.checkpoints]
        return [
            self._step(name, donor_role(min(number, donors)))
            for number, name in enumerate(self.checkpoints, 1)
        ]

    def _step(self, checkpoint: str, donor: str) -> dict[str, Any]:
        step: dict[str, Any] = {"checkpoint": checkpoint, "donors": (donor,)}
        if self.parts:
            return {**step, "kind": "transfer", "parts": self.choices(donor)}
        return {**step, "kind": "swap", "strength": self.strength}

    def choices(self, donor: str) -> dict[str, Choice]:
        """Return what a transfer takes from a donor."""
        return {part: Choice.take(donor, self.strength) for part in self.parts}


@dataclass(frozen=True)
class Sliders:
    """Attributes and one's own directions that are moved in every receiver.

    Attributes:
        checkpoint: What moves them.
        values: Wanted probability by attribute.
        held: Attributes that must stay.
        moves: Steps by name of one's own directions.
        output: As in :class:`studio.recipes.Recipe`.
        boxes: As for :class:`Edit`.
    """

    checkpoint: str
    values: Mapping[str, float]
    held: tuple[str, ...]
    moves: Mapping[str, float]
    output: str
    boxes: Mapping[str, Box | None]

    def steps(self, donors: int) -> list[dict[str, Any]]:
        """Return the one step of a recipe; there are no donors."""
        del donors
        step = {"values": self.values, "held": self.held, "moves": self.moves}
        return [{"checkpoint": self.checkpoint, "kind": "edit", **step}]


@dataclass(frozen=True)
class Parts:
    """Parts of other pictures that every receiver gets.

    Attributes:
        checkpoint: What takes them.
        choices: By part.
        moves: Steps by name of one's own directions.
        output: As in :class:`studio.recipes.Recipe`.
        boxes: As for :class:`Edit`.
    """

    checkpoint: str
    choices: Mapping[str, Choice]
    moves: Mapping[str, float]
    output: str
    boxes: Mapping[str, Box | None]

    def steps(self, donors: int) -> list[dict[str, Any]]:
        """Return the one step of a recipe."""
        del donors
        step = {"donors": donors_of(self.choices), "parts": self.choices, "moves": self.moves}
        return [{"checkpoint": self.checkpoint, "kind": "transfer", **step}]


AnyEdit = Edit | Sliders | Parts


def carry_out(task: Task, edit: AnyEdit, models: ModelCache, reader: Reader) -> None:
    """Make one result and write it, with its recipe in the PNG's text.

    Raises:
        StudioError: A picture cannot be used, or a checkpoint cannot do this.
    """
    subjects = {"receiver": reader.read(task.receiver, edit.boxes.get("receiver"))}
    for number, donor in enumerate(task.donors, 1):
        subjects[donor_role(number)] = reader.read(donor, edit.boxes.get("donor"))
    recipe = editing.record(models, subjects, edit.steps(len(task.donors)), edit.output)
    result = editing.replay(models, recipe, subjects)
    task.output.parent.mkdir(parents=True, exist_ok=True)
    images.save_png(
        task.output, result.pixels, alpha=result.alpha, icc=result.icc, text=result.text
    )


def carry_out_all(
    tasks: Sequence[Task], edit: AnyEdit, models: ModelCache, reader: Reader
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Make many results.

    Returns:
        Those that were written, as plain values, and reasons by name of those that were not.

    Raises:
        StudioError: The only one cannot be made.
    """
    done, skipped = [], {}
    for task in tasks:
        try:
            carry_out(task, edit, models, reader)
        except StudioError as error:
            if len(tasks) == 1:
                raise
            skipped[task.output.name] = str(error)
        else:
            done.append(task.to_dict())
    return done, skipped
