"""How admissible a path between two pictures is (AEAI, section 2), and how true its in-betweens.

A path is N pictures x̂(α) at equal steps of α from 0 to 1, between the pictures x_i and x_j. Where
no other distance d is given, it is the root of the mean squared difference of pixels.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]

# Rounding must not count as a step back.
_ROUNDING = 1e-6
# Rows that are compared with all candidates at once.
_ROWS = 512


class Conditions(NamedTuple):
    """The four conditions of an admissible path; 0 is best, of the step ratio 1.

    Attributes:
        boundary_error: From :func:`boundary_error`.
        monotonicity_violations: From :func:`monotonicity_violations`.
        step_ratio: From :func:`step_ratio`.
        credibility: Mean of :func:`credibility`; NaN where no features are given.
    """

    boundary_error: float
    monotonicity_violations: float
    step_ratio: float
    credibility: float


class Nearest(NamedTuple):
    """What retrieval finds.

    Attributes:
        row: (N,) of the candidates.
        error: (N,) mean squared differences to them.
    """

    row: Tensor
    error: Tensor


def squared_error(images: Tensor, others: Tensor) -> Tensor:
    """Return the mean squared difference of each pair of pictures.

    Args:
        images: (..., 3, H, W).
        others: As ``images``, or of a shape that broadcasts to it.
    """
    return (images - others).square().mean((-3, -2, -1))


def pixel_distance(images: Tensor, others: Tensor) -> Tensor:
    """Return the root of :func:`squared_error`."""
    return squared_error(images, others).sqrt()


def boundary_error(path: Tensor, start: Tensor, end: Tensor) -> float:
    """Return how far the path's ends are from its two pictures (condition 1).

    Args:
        path: (N, 3, H, W) in [-1, 1].
        start: (3, H, W), x_i.
        end: (3, H, W), x_j.

    Returns:
        Mean absolute difference, in [0, 2].
    """
    ends = torch.stack([path[0] - start, path[-1] - end])
    return float(ends.abs().mean())


def monotonicity_violations(
    path: Tensor, start: Tensor, end: Tensor, distance: Distance = pixel_distance
) -> float:
    """Return how often the path turns back (condition 2).

    Args:
        path: (N, 3, H, W), N at least 2.
        start: (3, H, W), x_i.
        end: (3, H, W), x_j.
        distance: Maps (N, 3, H, W) and as many pictures, or one, to (N,); d.

    Returns:
        Of the 2 (N - 1) comparisons of neighbours the share in which the later picture is nearer to
        x_i, or farther from x_j; in [0, 1].
    """
    left = distance(path, start).diff()
    right = -distance(path, end).diff()
    return float((torch.cat([left, right]) < -_ROUNDING).double().mean())


def step_ratio(path: Tensor, distance: Distance = pixel_distance) -> float:
    """Return the longest step over the mean step (condition 3).

    Args:
        path: (N, 3, H, W), N at least 2.
        distance: As for :func:`monotonicity_violations`.

    Returns:
        From 1, an even pace, to N - 1, one jump; 1 for a path that does not move at all.
    """
    steps = distance(path[1:], path[:-1])
    mean = steps.mean()
    return float(steps.max() / mean) if mean > _ROUNDING else 1.0


def credibility(features: Tensor, real: Tensor) -> Tensor:
    """Return how far pictures are from the nearest real one (condition 4).

    Args:
        features: (N, D) of the pictures.
        real: (M, D) of real pictures.

    Returns:
        (N,) Euclidean distances.
    """
    return (nearest(features, real).error * real.shape[1]).sqrt()


def conditions(
    path: Tensor,
    start: Tensor,
    end: Tensor,
    features: Tensor | None = None,
    real: Tensor | None = None,
) -> Conditions:
    """Measure all four conditions of one path.

    Args:
        path: (N, 3, H, W) in [-1, 1], N at least 2.
        start: (3, H, W), x_i.
        end: (3, H, W), x_j.
        features: (N, D) of the path's pictures.
        real: (M, D) of real pictures.
    """
    far = float("nan")
    if features is not None and real is not None:
        far = float(credibility(features, real).mean())
    return Conditions(
        boundary_error(path, start, end),
        monotonicity_violations(path, start, end),
        step_ratio(path),
        far,
    )


def nearest(images: Tensor, candidates: Tensor) -> Nearest:
    """Find the candidate that is nearest to each picture, or vector of features.

    Args:
        images: (N, ...).
        candidates: (M, ...), of the same shape.
    """
    # Around their mean the numbers are small, and differences of large squares lose no digits.
    mean = candidates.flatten(1).mean(0)
    rows, others = images.flatten(1) - mean, candidates.flatten(1) - mean
    norms = others.square().sum(1)
    found, errors = [], []
    for some in rows.split(_ROWS):
        index = (norms - 2 * some @ others.T).argmin(1)
        found.append(index)
        errors.append((some - others[index]).square().mean(1))
    return Nearest(torch.cat(found), torch.cat(errors))


def wrapped(degrees: Tensor) -> Tensor:
    """Return angles of a full turn as the same directions in [-180, 180)."""
    return (degrees + 180) % 360 - 180


def retrieved_alpha(found: Tensor, start: Tensor, span: float) -> Tensor:
    """Read α off the angle of a retrieved picture.

    Args:
        found: (...) degrees of the pictures.
        start: As ``found``, where α is 0.
        span: Degrees from there to where α is 1.

    Returns:
        As ``found``: below 0 and above 1 beyond the two ends, at most half a turn from the middle.
    """
    return wrapped(found - start - span / 2) / span + 0.5


def parameter_distance(azimuth: Tensor, altitude: Tensor) -> Tensor:
    """Return the length of differences in azimuth and altitude (AEAI, Fig. 8).

    Args:
        azimuth: (...) degrees, of which full turns do not count.
        altitude: (...) degrees.
    """
    return torch.hypot(wrapped(azimuth), altitude)


def spread(values: Tensor, chosen: Tensor) -> dict[str, float]:
    """Describe the chosen ones of some numbers.

    Args:
        values: (...).
        chosen: Bool, as ``values``; at least one is true.

    Returns:
        ``count``, ``mean``, ``std`` (of these numbers, not of a larger population), ``q25``,
        ``median`` and ``q75``.
    """
    some = values[chosen].double()
    low, middle, high = some.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=some.dtype)).tolist()
    return {
        "count": float(len(some)),
        "mean": float(some.mean()),
        "std": float(some.std(correction=0)),
        "q25": low,
        "median": middle,
        "q75": high,
    }
