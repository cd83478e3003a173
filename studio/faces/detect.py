"""Find the faces in a photograph and say how sure their eyes are.

OpenCV's bundled cascades propose upright boxes; where they show no convincing face, the photograph
is searched again turned. Each proposal becomes several starting alignments (the box's usual eye
positions, the same tilted, the eyes that the eye cascades see). A regressor of our own moves each
start until its crop has the eyes where training had them; the start with the least expected error
wins, and slightly moved crops of it must agree, or the face is marked as not to be trusted.
Coordinates are those of ``align``.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import cv2.data
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from studio.faces.align import Alignment, centre_based, crop, invert
from studio.images import Picture, fit, resize, to_images

CROP_SIZE = 64
"""Side of the crops that an ``EyeRefiner`` gets."""

Floats = npt.NDArray[np.floating[Any]]
EyeRefiner = Callable[[Picture], tuple[Floats, Floats]]
"""Estimates eyes: (B, 64, 64, 3) uint8 crops to (B, 2, 2) eyes and (B,) expected errors.

Eyes are left then right, (x, y) in fractions of the crop; the expected error is the distance, in
the same fractions, by which the estimate is off on average.
"""

MOST_OFFSET = 0.25
"""Eye distances by which an eye may be off its place before a crop counts as not aligned."""

# Small faces need the pixels of the work picture, the cascades are fast on the search picture.
_WORK_SIDE = 1600
_SEARCH_SIDE = 800
_SMALLEST_FACE = 28
# Small photographs are enlarged up to this side, at most twofold, or their faces are too small.
_ENLARGED_SIDE = 480
_MOST = 12

# Where the eyes lie in a box of the frontal cascade, medians over CelebA's training crops.
_BOX_EYE_HEIGHT = 0.38
_BOX_EYE_DISTANCE = 0.37

_START_TILTS = (0.0, -18.0, 18.0)
_PASSES = 3
# (zoom, degrees, shift in eye distances): crops that must lead to the same eyes.
_VIEWS = (
    (1.0, 0.0, 0.0, 0.0),
    (0.87, 5.0, 0.0, 0.0),
    (1.15, -5.0, 0.0, 0.0),
    (1.0, 0.0, 0.2, 0.12),
    (1.0, 0.0, -0.2, -0.12),
)
# Limits for trust, in eye distances: what the regressor expects, and how far its views differ.
_MOST_ERROR = 0.07
_MOST_SPREAD = 0.07
# A guess with a larger error than this is most likely no face at all.
_MOST_GUESS = 0.35


@dataclass(frozen=True)
class Face:
    """One face in a photograph.

    Attributes:
        alignment: Where its crop lies.
        box: (x0, y0, x1, y1) upright bounding box of the crop, pixels; may leave the photograph.
        eyes_found: Whether the eyes were seen; otherwise their place is guessed from the face.
        error: How far the eyes are expected to be off, in eye distances; 1.0 for a guess.
        trusted: Whether the alignment may be edited without asking.
        reason: One sentence that says why not; empty for a trusted face.
    """

    alignment: Alignment
    eyes_found: bool
    error: float
    trusted: bool
    reason: str = ""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Upright bounding box of the crop."""
        return self.alignment.box()


@dataclass(frozen=True)
class _Proposal:
    """A face that a cascade saw: starting alignments, the box's own first, in work pixels."""

    starts: tuple[Alignment, ...]
    eyes_found: bool


@dataclass(frozen=True)
class _Search:
    """One attempt to find a face.

    Attributes:
        turns: Degrees by which the faces looked for are turned clockwise.
        cascade: OpenCV's name of the classifier.
        side: Longest side of the picture that is searched.
    """

    turns: tuple[float, ...]
    cascade: str = "frontalface_alt2"
    side: int = _SEARCH_SIDE


# In order, until a face can be trusted; the last ones see more and mistake more.
_SEARCHES = (
    _Search((0.0,)),
    _Search((-20.0, 20.0)),
    _Search((-40.0, 40.0)),
    _Search((0.0,), side=_WORK_SIDE),
    _Search((0.0, -20.0, 20.0), cascade="frontalface_default"),
)


class _Cascades(threading.local):
    """OpenCV's classifiers, one set per thread because detection changes their state."""

    def __init__(self) -> None:
        self._loaded: dict[str, cv2.CascadeClassifier] = {}

    def detect(
        self, name: str, grey: Picture, smallest: int, neighbours: int
    ) -> list[tuple[float, float, float, float]]:
        """Return boxes (x, y, width, height), the most certain first."""
        if name not in self._loaded:
            path = Path(cv2.data.haarcascades) / f"haarcascade_{name}.xml"
            self._loaded[name] = cv2.CascadeClassifier(str(path))
        boxes, _, weights = self._loaded[name].detectMultiScale3(
            grey,
            scaleFactor=1.1,
            minNeighbors=neighbours,
            minSize=(smallest, smallest),
            outputRejectLevels=True,
        )
        order = np.argsort(-np.asarray(weights).ravel(), kind="stable")
        x, y, width, height = (np.asarray(boxes, float).reshape(-1, 4)[order]).T
        return list(zip(x, y, width, height, strict=True))


_cascades = _Cascades()


def module_refiner(model: nn.Module) -> EyeRefiner:
    """Use a trained eye regressor.

    Args:
        model: In evaluation mode; (B, 3, 64, 64) images to (B, 5): x and y of the left and the
            right eye, then the logarithm of the expected error, as fractions of the crop.
    """
    device = next(model.parameters()).device

    def refine(crops: Picture) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            outputs = model(to_images(crops).to(device)).detach().float().cpu()
        return outputs[:, :4].reshape(-1, 2, 2).numpy(), outputs[:, 4].exp().numpy()

    return refine


def find_faces(pixels: Picture, refine: EyeRefiner | None = None) -> list[Face]:
    """Find faces, the largest first.

    Trusted faces are returned alone where there are any; otherwise the best guesses are, so that
    the person can look at them.

    Args:
        pixels: (H, W, 3) uint8.
        refine: Our eye regressor; without it the eye cascades decide.

    Returns:
        Faces in pixels of the photograph; empty where none was seen.
    """
    work = fit(pixels, _WORK_SIDE)
    faces: list[Face] = []
    for search in _SEARCHES:
        for proposal in _propose(work, search):
            faces.append(_judge(work, proposal, refine))
        if any(face.trusted for face in faces):
            break
    scale = max(pixels.shape[:2]) / max(work.shape[:2])
    return [_scaled(face, scale) for face in _select(faces)]


def misalignment(pixels: Picture, alignment: Alignment, refine: EyeRefiner) -> str:
    """Say in one sentence what is wrong with a crop that a person set or called aligned already.

    Args:
        pixels: (H, W, 3) uint8.
        alignment: The crop in question.
        refine: Our eye regressor.

    Returns:
        Empty where the eyes are within ``MOST_OFFSET`` eye distances of their place.
    """
    found, error, spread = _consensus(pixels, alignment, refine)
    if max(error, spread) > _MOST_ERROR:
        return "No pair of eyes can be made out in this crop; set it by hand or check the picture."
    offsets = np.hypot(*(found.eyes() - alignment.eyes()).T) / found.eye_distance
    if offsets.max() > MOST_OFFSET:
        return "The eyes are not where the models expect them; let the face be found, or move it."
    return ""


def _propose(work: Picture, search: _Search) -> list[_Proposal]:
    """Let a cascade look for faces, at each of the search's turns."""
    longest = max(work.shape[:2])
    if search.side > _SEARCH_SIDE >= longest:
        # The first searches have seen every pixel.
        return []
    scale = min(search.side, max(longest, min(_ENLARGED_SIDE, 2 * longest))) / longest
    width, height = (round(side * scale) for side in work.shape[1::-1])
    search_picture = cv2.cvtColor(resize(work, (width, height)), cv2.COLOR_RGB2GRAY)
    grey = np.asarray(cv2.equalizeHist(search_picture), np.uint8)
    proposals = []
    for turn in search.turns:
        turned, to_turned = _turned(grey, turn)
        back = invert(to_turned)
        for x, y, side, _ in _cascades.detect(search.cascade, turned, _SMALLEST_FACE, 3)[:_MOST]:
            guess = _from_turned(_box_eyes(x, y, side), back)
            seen = _cascade_eyes(turned, x, y, side)
            starts = [_tilted(guess, tilt).scaled(1 / scale) for tilt in _START_TILTS]
            if seen is not None:
                starts.append(_from_turned(seen, back).scaled(1 / scale))
            proposals.append(_Proposal(tuple(starts), seen is not None))
    return proposals


def _turned(grey: Picture, turn: float) -> tuple[Picture, npt.NDArray[np.float64]]:
    """Turn a picture counter-clockwise onto a canvas that holds all of it.

    Returns:
        The turned picture and the (2, 3) matrix from the given picture to it.
    """
    height, width = grey.shape
    cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    wide = math.ceil(abs(cosine) * width + abs(sine) * height)
    high = math.ceil(abs(sine) * width + abs(cosine) * height)
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    offset = np.array([wide / 2, high / 2]) - rotation @ np.array([width / 2, height / 2])
    matrix = np.column_stack([rotation, offset])
    if turn == 0:
        return grey, matrix
    turned = cv2.warpAffine(
        grey, centre_based(matrix), (wide, high), borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(turned, np.uint8), matrix


def _box_eyes(x: float, y: float, side: float) -> Floats:
    """Return the (2, 2) eyes where a frontal cascade's box usually has them."""
    half = _BOX_EYE_DISTANCE * side / 2
    middle = x + side / 2
    height = y + _BOX_EYE_HEIGHT * side
    return np.array([(middle - half, height), (middle + half, height)])


def _cascade_eyes(grey: Picture, x: float, y: float, side: float) -> Floats | None:
    """Look for both eyes in the upper part of a face's box.

    Returns:
        (2, 2) eyes, left then right, in pixels of ``grey``; None where no plausible pair is seen.
    """
    left, upper = int(x), int(y + 0.12 * side)
    region = grey[upper : int(y + 0.6 * side), left : int(x + side)]
    for name in ("eye_tree_eyeglasses", "eye"):
        boxes = _cascades.detect(name, region, max(6, int(0.1 * side)), 2)
        points = np.array([(left + bx + w / 2, upper + by + h / 2) for bx, by, w, h in boxes])
        for first in range(len(points)):
            for second in range(first + 1, len(points)):
                pair = points[[first, second]]
                pair = pair[np.argsort(pair[:, 0])]
                if _plausible(pair, x, side):
                    return pair
    return None


def _plausible(pair: Floats, x: float, side: float) -> bool:
    """Say whether two points can be the eyes of a face whose box starts at x."""
    dx, dy = pair[1] - pair[0]
    apart = 0.25 * side < math.hypot(dx, dy) < 0.6 * side
    astride = abs(pair[:, 0].mean() - (x + side / 2)) < 0.15 * side
    return bool(apart and astride and abs(dy) < 0.45 * dx)


def _from_turned(eyes: Floats, back: npt.NDArray[np.float64]) -> Alignment:
    """Align by eyes found in the turned picture."""
    left, right = eyes @ back[:, :2].T + back[:, 2]
    return Alignment.from_eyes((left[0], left[1]), (right[0], right[1]))


def _tilted(alignment: Alignment, degrees: float) -> Alignment:
    """Turn an alignment about a point below its eyes, where the nose is."""
    radians = math.radians(alignment.angle)
    down = 0.6 * alignment.eye_distance
    nose_x = alignment.centre_x - down * math.sin(radians)
    nose_y = alignment.centre_y + down * math.cos(radians)
    turned = math.radians(alignment.angle + degrees)
    return Alignment(
        nose_x + down * math.sin(turned),
        nose_y - down * math.cos(turned),
        alignment.eye_distance,
        alignment.angle + degrees,
    )


def _judge(work: Picture, proposal: _Proposal, refine: EyeRefiner | None) -> Face:
    """Turn a proposal into a face with its best alignment."""
    if refine is None:
        if proposal.eyes_found:
            return Face(proposal.starts[-1], True, 0.05, True)
        reason = "The eyes were not found, so the crop is a guess; check it or set it by hand."
        return Face(proposal.starts[0], False, 1.0, False, reason)
    alignments = list(proposal.starts)
    for _ in range(_PASSES):
        alignments, errors = _step(work, alignments, refine)
    best = alignments[int(np.argmin(errors))]
    alignment, error, spread = _consensus(work, best, refine)
    reason = _doubt(proposal.starts[0], alignment, error, spread)
    return Face(alignment, not reason, max(error, spread), not reason, reason)


def _step(
    work: Picture, alignments: Sequence[Alignment], refine: EyeRefiner
) -> tuple[list[Alignment], Floats]:
    """Move each alignment to the eyes that the regressor sees in its crop.

    Returns:
        The new alignments and the (B,) errors that the regressor expects, in eye distances.
    """
    moved, errors = [], []
    crops = np.stack([_view(work, alignment) for alignment in alignments])
    for alignment, eyes, error in zip(alignments, *refine(crops), strict=True):
        left, right = alignment.to_photo(np.asarray(eyes, np.float64))
        # A regressor never gives two equal points, but a hopeless crop may give nearly that.
        apart = math.hypot(*(right - left))
        if apart < 0.3 * alignment.eye_distance:
            moved.append(alignment)
            errors.append(math.inf)
            continue
        moved.append(Alignment.from_eyes((left[0], left[1]), (right[0], right[1])))
        errors.append(float(error) * alignment.side / apart)
    return moved, np.array(errors)


def _view(work: Picture, alignment: Alignment) -> Picture:
    """Crop for the regressor; mid-grey where the crop left the photograph."""
    x0, y0, x1, y1 = alignment.box()
    height, width = work.shape[:2]
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        return np.full((CROP_SIZE, CROP_SIZE, 3), 127, np.uint8)
    return crop(work, alignment, CROP_SIZE)


def _consensus(
    work: Picture, alignment: Alignment, refine: EyeRefiner
) -> tuple[Alignment, float, float]:
    """Average what the regressor sees in slightly moved crops.

    Returns:
        The alignment, the expected error and how far the views differ, both in eye distances.
    """
    views = [
        Alignment(
            alignment.centre_x + dx * alignment.eye_distance,
            alignment.centre_y + dy * alignment.eye_distance,
            alignment.eye_distance * zoom,
            alignment.angle + degrees,
        )
        for zoom, degrees, dx, dy in _VIEWS
    ]
    moved, errors = _step(work, views, refine)
    eyes = np.stack([view.eyes() for view in moved])
    left, right = np.median(eyes, axis=0)
    result = Alignment.from_eyes((left[0], left[1]), (right[0], right[1]))
    off = np.hypot(*np.moveaxis(eyes - (left, right), -1, 0)).max(axis=1)
    return result, float(np.median(errors)), float(np.median(off)) / result.eye_distance


def _doubt(guess: Alignment, found: Alignment, error: float, spread: float) -> str:
    """Say in one sentence why an alignment may be wrong; empty where nothing speaks against it."""
    advice = "check the crop or set it by hand."
    if error > _MOST_ERROR:
        return f"The eyes are hard to make out (hidden, turned away or blurred); {advice}"
    if spread > _MOST_SPREAD:
        return f"The eyes seem to be in different places when looked at again; {advice}"
    distance = math.hypot(found.centre_x - guess.centre_x, found.centre_y - guess.centre_y)
    ratio = found.eye_distance / guess.eye_distance
    if distance > guess.eye_distance or not 0.5 < ratio < 1.8:
        return f"The eyes do not fit the face that was found; {advice}"
    return ""


def _select(faces: list[Face]) -> list[Face]:
    """Keep one face per place, trusted ones alone if there are any, the largest first."""
    kept: list[Face] = []
    trusted = [face for face in faces if face.trusted]
    guesses = [face for face in faces if not face.eyes_found or face.error < _MOST_GUESS]
    for face in sorted(trusted or guesses, key=lambda face: face.error):
        if not any(_same_place(face.alignment, other.alignment) for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -face.alignment.eye_distance)


def _same_place(one: Alignment, other: Alignment) -> bool:
    """Say whether two alignments are of one face."""
    apart = math.hypot(one.centre_x - other.centre_x, one.centre_y - other.centre_y)
    return apart < 0.8 * max(one.eye_distance, other.eye_distance)


def _scaled(face: Face, factor: float) -> Face:
    """Return the same face in a photograph that is ``factor`` times as large."""
    alignment = face.alignment.scaled(factor)
    return Face(alignment, face.eyes_found, face.error, face.trusted, face.reason)
