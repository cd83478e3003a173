"""The one aligner: the similarity transform between a photograph and CelebA's face crop.

Coordinates, here and in all of ``faces``: x runs right, y down, and pixel (i, j) covers the square
[i, i + 1) x [j, j + 1), so that its centre is at (i + 0.5, j + 0.5) and a picture of width W spans
exactly [0, W]. A crop of side s has the eyes at the fixed fractions ``LEFT_EYE`` and ``RIGHT_EYE``
of s, whatever s is. Left and right are those of the picture.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from studio.errors import ConfigError, FaceError
from studio.images import Picture

LEFT_EYE = (50 / 128, 66 / 128)
RIGHT_EYE = (78 / 128, 66 / 128)
EYE_HEIGHT = LEFT_EYE[1]
EYE_DISTANCE = RIGHT_EYE[0] - LEFT_EYE[0]

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]

# Crops are warped at twice their size and averaged, which a slanted edge needs.
_OVERSAMPLING = 2


@dataclass(frozen=True)
class Alignment:
    """Where a face lies in a photograph.

    Attributes:
        centre_x: Middle between the eyes, pixels from the left edge.
        centre_y: The same, pixels from the upper edge.
        eye_distance: Pixels between the eyes, positive.
        angle: Degrees from the x axis to the line from the left to the right eye, positive when
            the right eye is lower.
    """

    centre_x: float
    centre_y: float
    eye_distance: float
    angle: float = 0.0

    @classmethod
    def from_eyes(cls, left: tuple[float, float], right: tuple[float, float]) -> "Alignment":
        """Align by the two eyes, (x, y) in pixels.

        Raises:
            FaceError: The eyes fall together.
        """
        # NumPy's scalars would not survive a recipe's JSON.
        (left_x, left_y), (right_x, right_y) = map(float, left), map(float, right)
        dx, dy = right_x - left_x, right_y - left_y
        distance = math.hypot(dx, dy)
        if not distance > 0:
            raise FaceError("Both eyes are at one point; mark two different points.")
        centre = ((left_x + right_x) / 2, (left_y + right_y) / 2)
        return cls(*centre, distance, math.degrees(math.atan2(dy, dx)))

    @classmethod
    def from_box(cls, x: float, y: float, side: float, angle: float = 0.0) -> "Alignment":
        """Align by a square that a person drew.

        Args:
            x: Left edge before turning, pixels.
            y: Upper edge before turning, pixels.
            side: Side of the square, pixels.
            angle: Degrees by which the square is turned clockwise about its own middle.

        Raises:
            FaceError: The square has no size.
        """
        if not side > 0:
            raise FaceError(f"The crop has a side of {side:g} pixels; draw a larger box.")
        radians = math.radians(angle)
        below = (EYE_HEIGHT - 0.5) * side  # from the square's middle to the eyes' middle
        return cls(
            x + side / 2 - math.sin(radians) * below,
            y + side / 2 + math.cos(radians) * below,
            side * EYE_DISTANCE,
            angle,
        )

    @classmethod
    def whole(cls, width: int, height: int) -> "Alignment":
        """Take a picture as aligned already: its middle square, in whole pixels, is the crop."""
        side = min(width, height)
        return cls.from_box((width - side) // 2, (height - side) // 2, side)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "Alignment":
        """Read what ``to_dict`` wrote.

        Raises:
            ConfigError: A missing or unknown name, or a value that is no usable number.
        """
        names = list(cls.__dataclass_fields__)
        if set(values) != set(names):
            raise ConfigError(f"A crop has the values {names}, not {sorted(values)}.")
        numbers = [_number(name, values[name]) for name in names]
        alignment = cls(*numbers)
        if alignment.eye_distance <= 0:
            raise ConfigError("A crop's eye_distance must be above 0.")
        return alignment

    def to_dict(self) -> dict[str, float]:
        """Return the four numbers, for a recipe."""
        return asdict(self)

    @property
    def side(self) -> float:
        """Side of the crop's square in the photograph, pixels."""
        return self.eye_distance / EYE_DISTANCE

    def eyes(self) -> Points:
        """Return the (2, 2) eyes, left then right, as (x, y) pixels of the photograph."""
        return self.to_photo(np.array([LEFT_EYE, RIGHT_EYE]))

    def corners(self) -> Points:
        """Return the (4, 2) corners of the crop, clockwise from its upper left, in pixels."""
        return self.to_photo(np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]))

    def box(self) -> tuple[int, int, int, int]:
        """Return (x0, y0, x1, y1), the upright box of whole pixels around the crop.

        It may reach outside the photograph; x1 and y1 are exclusive.
        """
        corners = self.corners()
        # What rounding adds to a corner on a pixel's edge must not add a pixel.
        low = np.floor(corners.min(axis=0) + 1e-6).astype(int)
        high = np.ceil(corners.max(axis=0) - 1e-6).astype(int)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def matrix(self, size: float) -> Matrix:
        """Return the (2, 3) matrix from photograph to crop coordinates.

        Args:
            size: Side of the crop, pixels.
        """
        scale = size / self.side
        cosine, sine = self._turn()
        rotation = np.array([[cosine, sine], [-sine, cosine]]) * scale
        middle = np.array([0.5 * size, EYE_HEIGHT * size])
        offset = middle - rotation @ np.array([self.centre_x, self.centre_y])
        return np.column_stack([rotation, offset])

    def to_photo(self, points: Points) -> Points:
        """Map (..., 2) points from fractions of the crop to pixels of the photograph."""
        cosine, sine = self._turn()
        rotation = np.array([[cosine, -sine], [sine, cosine]]) * self.side
        middle = np.array([0.5, EYE_HEIGHT])
        return (points - middle) @ rotation.T + np.array([self.centre_x, self.centre_y])

    def scaled(self, factor: float) -> "Alignment":
        """Return the same crop in a photograph that was resized by ``factor``."""
        return Alignment(
            self.centre_x * factor, self.centre_y * factor, self.eye_distance * factor, self.angle
        )

    def _turn(self) -> tuple[float, float]:
        """Return cosine and sine of the angle, exact for an upright crop."""
        radians = math.radians(self.angle)
        return math.cos(radians), math.sin(radians)


def crop(pixels: Picture, alignment: Alignment, size: int) -> Picture:
    """Cut an aligned face out of a photograph.

    A reduction averages all pixels that fall into one; beyond the photograph its edge pixels
    repeat, as in CelebA's own aligned pictures. A crop of the size that the face has, upright and
    on whole pixels, is the photograph's pixels themselves.

    Args:
        pixels: (H, W, 3) uint8.
        alignment: Where the face is.
        size: Side of the result.

    Returns:
        (size, size, 3) uint8, a new array.

    Raises:
        FaceError: The crop lies outside the photograph.
    """
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = alignment.box()
    if _is_pixel_square(alignment, size) and x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return pixels[y0:y1, x0:x1].copy()
    # Two more pixels for the interpolation at the border.
    x0, x1 = max(x0 - 2, 0), min(x1 + 2, width)
    y0, y1 = max(y0 - 2, 0), min(y1 + 2, height)
    if x1 - x0 < 1 or y1 - y0 < 1:
        raise FaceError("The crop lies outside the photograph; move it onto the face.")
    patch = pixels[y0:y1, x0:x1]
    rendered = size * _OVERSAMPLING
    reduction = max(1.0, alignment.side / rendered)
    reduced = (max(1, round((x1 - x0) / reduction)), max(1, round((y1 - y0) / reduction)))
    if reduction > 1:
        patch = _picture(cv2.resize(patch, reduced, interpolation=cv2.INTER_AREA))
    scale_x, scale_y = reduced[0] / (x1 - x0), reduced[1] / (y1 - y0)
    to_patch = np.array([[scale_x, 0, -x0 * scale_x], [0, scale_y, -y0 * scale_y]])
    warp = compose(alignment.matrix(rendered), invert(to_patch))
    warped = cv2.warpAffine(
        patch,
        centre_based(warp),
        (rendered, rendered),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return _picture(cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA))


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """Return the (2, 3) matrix that applies ``inner``, then ``outer``."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def invert(matrix: Matrix) -> Matrix:
    """Return the inverse of a (2, 3) matrix."""
    inverse = np.linalg.inv(matrix[:, :2])
    return np.column_stack([inverse, -inverse @ matrix[:, 2]])


def centre_based(matrix: Matrix) -> Matrix:
    """Convert a (2, 3) matrix to OpenCV's convention, where a pixel's centre is a whole number."""
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return shifted


def _picture(array: npt.NDArray[Any]) -> Picture:
    """Return OpenCV's result, whose type its stubs leave open, as the picture that it is."""
    return np.asarray(array, np.uint8)


def _is_pixel_square(alignment: Alignment, size: int) -> bool:
    """Say whether the crop is ``size`` whole, upright pixels of the photograph."""
    x0, y0, x1, y1 = alignment.box()
    square = np.array([(x0, y0), (x0 + size, y0), (x0 + size, y0 + size), (x0, y0 + size)])
    return x1 - x0 == y1 - y0 == size and bool(np.abs(alignment.corners() - square).max() < 1e-6)


def _number(name: str, value: object) -> float:
    """Return a finite number.

    Raises:
        ConfigError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"A crop's {name} must be a number, not {value!r}.")
    return float(value)
