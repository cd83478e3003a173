"""Put an edit of the small crop back into the full-size photograph.

The reconstruction itself is never pasted. What is added is the difference between the edited and
the plain reconstruction, after its broad colour drift is taken out, under a soft mask made from its
own size, faded out at the crop's border. Where the edit flattens a structure (glasses taken off),
the photograph's fine detail of that structure has to go too: there a local regression of the
difference on the plain reconstruction says how much of the detail the edit keeps, and the result
moves towards the enlarged edited reconstruction.

Per pixel the result is ``photo * (1 + gain) + offset`` with gain and offset found at crop size and
enlarged; both are exactly 0 where the edit does nothing, so those pixels stay what they are.

An edit that may be broad, such as another light or colour, is no drift where it is everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from studio.faces.align import Alignment, Points, centre_based, compose, crop, invert
from studio.images import PREVIEW_SIDE, Picture, fit

Floats = npt.NDArray[np.float32]
Crop = Tensor | npt.NDArray[np.floating[Any]]
"""A reconstruction: (3, S, S) tensor or (S, S, 3) array, in [-1, 1]."""

# Lengths are fractions of the crop's side.
_BORDER_FADE = 0.09
_DRIFT_BLUR = 0.14
# A blurred edge of the edit must not count as drift.
_DRIFT_MARGIN = 0.03
_BASE_BLUR = 0.06
_WINDOW = 0.06
_SPREAD = 0.014
_MASK_BLUR = 0.014
# A difference counts from this many times its own background level, or this part of its peak.
_NOISE_FACTOR = 3.0
_PEAK_PART = 0.12
# From "counts a little" to "counts fully".
_RAMP = 2.0
# An edit is everywhere from this share of its peak in its quieter parts, and fully so from that.
_BROAD = (0.15, 0.3)
# Variance below which the plain reconstruction has no structure that an edit could remove.
_FLAT = 0.0015
# From "keeps the detail" to "takes it away": slope of the regression, and size of the change.
_FLATTENED = (0.2, 0.7)
_OPAQUE = (0.22, 0.6)
# Part of the largest change from which on a flattened structure counts.
_CHANGED = (0.12, 0.35)
_MOST_GAIN = 0.3
# The coefficients are smoothly enlarged by this factor before the linear warp.
_SMOOTH_FACTOR = 4
# A place counts from this share of the strongest place's usual change, and fully from that.
_SUPPORTED = (0.08, 0.25)
_STRIP_ROWS = 256
_LEVELS = 127.5


@dataclass(frozen=True, eq=False)
class Patch:
    """A changed part of a photograph.

    Attributes:
        x: Left column of the part.
        y: Upper row.
        pixels: (h, w, 3) uint8, its new pixels; empty if nothing changes.
    """

    x: int
    y: int
    pixels: Picture


class Compositor:
    """Puts edits of one face back into its photograph.

    Holds what depends on photograph and crop only, so that following a slider costs one small
    computation and one pass over the changed pixels.

    Args:
        pixels: (H, W, 3) uint8, the photograph; kept, not copied, never changed.
        alignment: The crop that was encoded.
        size: Side of the reconstructions, pixels.
        support: Rows of how strongly edits of this kind change each place of the crop on average,
            1 at the strongest place; elsewhere a change is the model's error and is left out.
            Empty where that is not known.
        broad: Whether a change of everything may be meant; otherwise it is the model's drift.

    Raises:
        FaceError: The crop lies outside the photograph.
    """

    def __init__(
        self,
        pixels: Picture,
        alignment: Alignment,
        size: int,
        support: Sequence[Sequence[float]] = (),
        *,
        broad: bool = False,
    ) -> None:
        self._pixels = pixels
        self._broad = broad
        self._size = size
        self._to_photo = invert(alignment.matrix(size))
        self._small_photo = _unit(crop(pixels, alignment, size))
        self._fade = _border_fade(size) * _support_weight(support, size)

    @classmethod
    def preview(
        cls,
        pixels: Picture,
        alignment: Alignment,
        size: int,
        longest: int = PREVIEW_SIDE,
        support: Sequence[Sequence[float]] = (),
        *,
        broad: bool = False,
    ) -> "Compositor":
        """Build one for the photograph reduced to ``longest`` pixels on its longest side."""
        reduced = fit(pixels, longest)
        factor = max(reduced.shape[:2]) / max(pixels.shape[:2])
        return cls(reduced, alignment.scaled(factor), size, support, broad=broad)

    def apply(self, plain: Crop, edited: Crop) -> Picture:
        """Return the photograph with the edit in it, a new (H, W, 3) uint8 array.

        Args:
            plain: Reconstruction of the crop.
            edited: The same, edited; equal to ``plain`` gives the photograph bit for bit.
        """
        result = self._pixels.copy()
        patch = self.patch(plain, edited)
        height, width = patch.pixels.shape[:2]
        result[patch.y : patch.y + height, patch.x : patch.x + width] = patch.pixels
        return result

    def patch(self, plain: Crop, edited: Crop) -> Patch:
        """Return the changed part only; arguments as of ``apply``."""
        coefficients = self._coefficients(_array(plain), _array(edited))
        x0, y0, x1, y1 = self._changed_box(coefficients)
        pixels = self._pixels[y0:y1, x0:x1].copy()
        smooth = cv2.resize(
            coefficients,
            None,
            fx=_SMOOTH_FACTOR,
            fy=_SMOOTH_FACTOR,
            interpolation=cv2.INTER_CUBIC,
        )
        for top in range(0, y1 - y0, _STRIP_ROWS):
            strip = pixels[top : top + _STRIP_ROWS]
            strip[:] = self._blend(strip, np.asarray(smooth, np.float32), x0, y0 + top)
        return Patch(x0, y0, pixels)

    def _coefficients(self, plain: Floats, edited: Floats) -> Floats:
        """Return (S, S, 4): the offset's three channels in levels, then the gain."""
        difference = edited - plain
        if not difference.any():
            return np.zeros((self._size, self._size, 4), np.float32)
        breadth = _breadth(difference, self._size) if self._broad else 0.0
        difference, mask = _meant(difference, self._size, breadth)
        mask *= self._fade
        gain = _detail_gain(plain, difference, self._size) * mask
        # The reconstruction's broad colour error is not detail: blending must not bring it in.
        base = plain + _blur(self._small_photo - plain, _BASE_BLUR * self._size)
        offset = difference * mask[..., None] - gain[..., None] * base
        # From [-1, 1] to levels: gain * (level / 127.5 - 1) + offset.
        levels = _LEVELS * (offset - gain[..., None])
        return np.concatenate([levels, gain[..., None]], axis=2)

    def _changed_box(self, coefficients: Floats) -> tuple[int, int, int, int]:
        """Return the photograph's box around everything that is not exactly 0."""
        rows, columns = np.nonzero(coefficients.any(axis=2))
        if not len(rows):
            return 0, 0, 0, 0
        # Two pixels more: as far as the cubic and the linear kernel reach.
        low = np.array([columns.min(), rows.min()]) - 2.5
        high = np.array([columns.max(), rows.max()]) + 3.5
        corners: Points = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
        around = corners @ self._to_photo[:, :2].T + self._to_photo[:, 2]
        height, width = self._pixels.shape[:2]
        x0, y0 = np.maximum(np.floor(around.min(axis=0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(around.max(axis=0)).astype(int), (width, height))
        return int(x0), int(y0), max(int(x0), int(x1)), max(int(y0), int(y1))

    def _blend(self, strip: Picture, smooth: Floats, x: int, y: int) -> Picture:
        """Apply enlarged coefficients to the photograph's pixels that start at (x, y)."""
        height, width = strip.shape[:2]
        enlarge = np.array([[1 / _SMOOTH_FACTOR, 0, 0], [0, 1 / _SMOOTH_FACTOR, 0]])
        matrix = compose(self._to_photo, enlarge)
        matrix[:, 2] -= (x, y)
        full = cv2.warpAffine(smooth, centre_based(matrix), (width, height), flags=cv2.INTER_LINEAR)
        values = strip.astype(np.float32)
        values += values * full[..., 3:]
        values += full[..., :3]
        np.rint(values, out=values)
        return np.clip(values, 0, 255, out=values).astype(np.uint8)


def composite(pixels: Picture, alignment: Alignment, plain: Crop, edited: Crop) -> Picture:
    """Return the photograph with one edit in it, a new (H, W, 3) uint8 array.

    Args:
        pixels: (H, W, 3) uint8, the photograph.
        alignment: The crop that was encoded.
        plain: Reconstruction of the crop.
        edited: The same, edited; equal to ``plain`` gives the photograph bit for bit.

    Raises:
        FaceError: The crop lies outside the photograph.
    """
    return Compositor(pixels, alignment, plain.shape[1]).apply(plain, edited)


def _array(image: Crop) -> Floats:
    """Return a reconstruction as an (S, S, 3) float32 array."""
    if isinstance(image, Tensor):
        channels_last = image.detach().float().permute(1, 2, 0).contiguous()
        return np.asarray(channels_last.cpu().numpy(), np.float32)
    return np.ascontiguousarray(image, np.float32)


def _unit(picture: Picture) -> Floats:
    """Scale a picture to [-1, 1]."""
    return picture.astype(np.float32) / np.float32(_LEVELS) - np.float32(1)


def _border_fade(size: int) -> Floats:
    """Return the (S, S) weight that falls smoothly to exactly 0 at the outermost pixels."""
    steps = np.arange(size)
    from_border = (np.minimum(steps, size - 1 - steps) / size).astype(np.float32)
    smooth = _smooth_step(from_border, 0, _BORDER_FADE)
    return smooth[:, None] * smooth[None, :]


def _support_weight(support: Sequence[Sequence[float]], size: int) -> Floats:
    """Return the (S, S) weight of the places that edits of a kind usually change."""
    if not len(support):
        return np.ones((size, size), np.float32)
    weight = _smooth_step(np.array(support, np.float32), *_SUPPORTED)
    enlarged = cv2.resize(weight, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.float32)


def _breadth(difference: Floats, size: int) -> float:
    """Say how much an edit is everywhere, in [0, 1]; the same at every strength."""
    magnitude = _magnitude(difference, size)
    quiet, peak = np.quantile(magnitude, [0.3, 0.99])
    return float(_smooth_step(np.array(quiet / max(peak, 1e-9), np.float32), *_BROAD))


def _meant(difference: Floats, size: int, breadth: float) -> tuple[Floats, Floats]:
    """Separate what an edit means from what the model drifted by.

    All thresholds are relative to the difference itself, so that the mask does not jump while a
    strength grows from 0.

    Args:
        difference: (S, S, 3).
        size: S.
        breadth: How much of the difference is meant wherever it is.

    Returns:
        The (S, S, 3) difference without its broad drift, and the (S, S) mask in [0, 1].
    """
    typical = np.median(difference, axis=(0, 1)).astype(np.float32)
    reach = 2 * round(_DRIFT_MARGIN * size) + 1
    inside = cv2.dilate(_mask(difference - typical, size), np.ones((reach, reach), np.uint8))
    outside = 1 - np.asarray(inside, np.float32)
    sigma = _DRIFT_BLUR * size
    # The small constant lets the drift fade to 0 deep inside a large edit.
    drift = _blur(difference * outside[..., None], sigma)
    drift /= (_blur(outside, sigma) + 0.05)[..., None]
    settled = difference - (1 - breadth) * drift
    return settled, np.maximum(_mask(settled, size), np.float32(breadth))


def _magnitude(difference: Floats, size: int) -> Floats:
    """Return the (S, S) size of a difference without its finest noise."""
    return np.asarray(np.abs(_blur(difference, _MASK_BLUR * size)).max(axis=2), np.float32)


def _mask(difference: Floats, size: int) -> Floats:
    """Return the (S, S) soft mask of where a difference stands out."""
    magnitude = _magnitude(difference, size)
    # The quieter part of the crop shows the model's noise even if the edit covers half of it.
    noise = float(np.quantile(magnitude, 0.3))
    peak = float(np.quantile(magnitude, 0.99))
    threshold = max(_NOISE_FACTOR * noise, _PEAK_PART * peak)
    if threshold == 0:
        return np.zeros((size, size), np.float32)
    ramp = np.clip((magnitude / threshold - 1) / (_RAMP - 1), 0, 1)
    reach = 2 * max(1, round(_MASK_BLUR * size)) + 1
    spread = np.asarray(cv2.dilate(ramp, np.ones((reach, reach), np.uint8)), np.float32)
    return _blur(spread, _MASK_BLUR * size)


def _detail_gain(plain: Floats, difference: Floats, size: int) -> Floats:
    """Say how the photograph's own detail changes where the edit does something.

    Detail goes where the edit flattens what was there (a local regression of the difference on the
    plain reconstruction has a negative slope that explains it), and where it changes the colours
    so much that something opaque must be in front. It grows slightly where the edit adds contrast.

    Returns:
        (S, S) gain: -1 takes all detail away, 0 leaves it.
    """
    window = 2 * max(1, round(_WINDOW * size / 2)) + 1
    guide, target = plain.mean(axis=2), difference.mean(axis=2)
    products = np.stack([guide, target, guide * guide, guide * target, target * target], axis=2)
    means = cv2.boxFilter(products, -1, (window, window), borderType=cv2.BORDER_REFLECT)
    mean_guide, mean_target, squares, cross, target_squares = np.moveaxis(means, 2, 0)
    guide_variance = np.maximum(squares - mean_guide**2, 0) + _FLAT
    target_variance = np.maximum(target_squares - mean_target**2, 0) + 1e-9
    covariance = cross - mean_guide * mean_target
    correlation = np.abs(covariance) / np.sqrt(guide_variance * target_variance)
    slope = covariance / guide_variance * np.clip(correlation, 0, 1)
    magnitude = np.abs(difference).max(axis=2)
    # The window reaches beyond the structure: eyes behind glasses keep their detail.
    changed = _smooth_step(magnitude / (float(np.quantile(magnitude, 0.99)) + 1e-9), *_CHANGED)
    flattened = changed * _smooth_step(-slope, *_FLATTENED)
    loss = np.maximum(flattened, _smooth_step(magnitude, *_OPAQUE))
    # A sharp structure of the photograph is wider than its blurred core in the reconstruction.
    reach = 2 * max(1, round(_SPREAD * size)) + 1
    loss = np.asarray(cv2.dilate(loss, np.ones((reach, reach), np.uint8)), np.float32)
    gain = np.clip(slope, 0, _MOST_GAIN) * (1 - loss) - loss
    return _blur(gain, _MASK_BLUR * size)


def _smooth_step(values: Floats, low: float, high: float) -> Floats:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``."""
    ramp = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def _blur(values: Floats, sigma: float) -> Floats:
    """Blur by a Gaussian of ``sigma`` pixels."""
    return np.asarray(
        cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32
    )
