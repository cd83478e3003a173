"""What is wrong with single pictures of a data set."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from studio.data.folder import DataSet
from studio.data.reading import OversizedError, open_picture
from studio.errors import DataError, ImageError

Picture = NDArray[np.uint8]
Kind = Literal["corrupt", "huge", "tiny", "duplicate", "similar", "faceless"]

# Kinds that cannot be decoded.
DAMAGED: tuple[Kind, ...] = ("corrupt", "huge")
SMALLEST = 32
# Pictures in which faces are searched; more would take minutes and say the same.
MOST_FACES = 200
# Limits for one picture that was saved twice, in grey levels of small copies: far below what
# another expression changes, above what a JPEG of quality 60 does.
_MOST_MEAN = 2.0
_MOST_LEVEL = 20
_COMPARED_SIDE = 32


@dataclass(frozen=True)
class Flaw:
    """Why a picture should not be used as it is.

    Attributes:
        kind: ``corrupt`` and ``huge`` ones cannot be decoded, ``tiny`` ones are smaller than 32
            pixels, ``duplicate`` ones are another file's bytes, ``similar`` ones most likely
            another file saved again, ``faceless`` ones show no face that can be aligned.
        reason: One sentence.
    """

    kind: Kind
    reason: str


@dataclass(frozen=True)
class FaceVerdict:
    """Where a picture shows a face.

    Attributes:
        place: ``aligned`` where the models expect it, ``elsewhere``, or ``none``.
        reason: One sentence that says why there is none.
    """

    place: Literal["aligned", "elsewhere", "none"]
    reason: str = ""


FindFace = Callable[[Picture], FaceVerdict]
"""Judges a whole picture, (H, W, 3); its middle square is what training sees."""


def spread(count: int, most: int) -> list[int]:
    """Return at most so many of ``count`` rows, evenly spread, first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()


@dataclass
class PictureCheck:
    """Looks at the pictures of a data set, one after another.

    It keeps a few dozen bytes of each, so that a hundred thousand are no matter.

    Attributes:
        data: The data set.
        find_face: Judges where a face is; None where faces are not searched.
        faces: Verdicts by place.
    """

    data: DataSet
    find_face: FindFace | None
    faces: Counter[str] = field(default_factory=Counter)
    _by_bytes: dict[bytes, str] = field(default_factory=dict)
    _by_look: dict[bytes, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chosen = spread(len(self.data), MOST_FACES) if self.find_face else []
        self._searched = {self.data.files[row] for row in chosen}
        # Neighbours of a rendered set or of a turntable differ by little, and on purpose.
        self._compares = not self.data.factors

    def look(self, name: str, content: bytes | DataError) -> Flaw | None:
        """Return what is wrong with a picture, if anything is.

        Args:
            name: Of the file.
            content: Its bytes, or why they cannot be read.
        """
        if isinstance(content, DataError):
            return Flaw("corrupt", str(content))
        try:
            picture = open_picture(content)
        except ImageError as error:
            kind: Kind = "huge" if isinstance(error, OversizedError) else "corrupt"
            return Flaw(kind, f"It cannot be decoded ({error}).")
        if min(picture.size) < SMALLEST:
            width, height = picture.size
            reason = f"It has only {width} x {height} pixels; at least {SMALLEST} x {SMALLEST} are"
            return Flaw("tiny", f"{reason} used.")
        return self._repeated(name, content, picture) or self._faceless(name, picture)

    def _repeated(self, name: str, content: bytes, picture: Image.Image) -> Flaw | None:
        digest = hashlib.sha256(content).digest()
        first = self._by_bytes.setdefault(digest, name)
        if first != name:
            return Flaw("duplicate", f"It is the same picture as {first}.")
        if not self._compares:
            return None
        met = {self._by_look.setdefault(half, name) for half in _look(picture)} - {name}
        for other in sorted(met):
            if _alike(picture, open_picture(self.data.source.read(other))):
                return Flaw("similar", f"It looks the same as {other}, perhaps saved again.")
        return None

    def _faceless(self, name: str, picture: Image.Image) -> Flaw | None:
        if self.find_face is None or name not in self._searched:
            return None
        verdict = self.find_face(np.array(picture))
        self.faces[verdict.place] += 1
        return Flaw("faceless", verdict.reason) if verdict.place == "none" else None


def _look(picture: Image.Image) -> tuple[bytes, bytes]:
    """Hash a picture by which of its 8 x 8 places are brighter than their left neighbours.

    Returns:
        The upper and the lower half: saving a picture again changes a place now and then, mostly
        in one of them, so that both are the same for three of five and one for nearly all.
    """
    grey = picture.resize((9, 8), Image.Resampling.BOX, reducing_gap=2).convert("L")
    levels = np.asarray(grey, np.int16)
    places = np.packbits(levels[:, 1:] > levels[:, :-1]).tobytes()
    return b"upper" + places[:4], b"lower" + places[4:]


def _alike(one: Image.Image, other: Image.Image) -> bool:
    side = (_COMPARED_SIDE, _COMPARED_SIDE)
    small: Sequence[NDArray[np.int16]] = [
        np.asarray(picture.resize(side, Image.Resampling.BOX), np.int16) for picture in (one, other)
    ]
    difference = np.abs(small[0] - small[1])
    return bool(difference.mean() <= _MOST_MEAN and difference.max() <= _MOST_LEVEL)
