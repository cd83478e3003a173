"""Whether vectors form groups, and whether the groups are those of given labels.

Distances are Euclidean. Labels are whole numbers, of which those below 0 mean unknown. What cannot
be computed is NaN.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.manifold import trustworthiness as neighbours_kept
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

# Below these, the statistic of Hopkins says more about its seed than about the points.
_FEWEST_POINTS = 10
_FEWEST_PROBES = 5
# Points that somebody drew with the same seed must not turn up as the random places.
_PROBING = 1954


class Purity(NamedTuple):
    """How much nearest neighbours agree in their label.

    Attributes:
        value: In [0, 1], the mean share of neighbours with a point's own label.
        chance: In [0, 1], what is expected of the same labels dealt out at random.
    """

    value: float
    chance: float


def hopkins(points: Array, *, seed: int = 0, most: int = 500, exponent: float = 1.0) -> float:
    """Return the statistic of Hopkins and Skellam (1954): do points clump together?

    ``H = sum_i u_i^d / (sum_i u_i^d + sum_i w_i^d)``, where u_i is how far a random place in the
    bounding box of the points is from the nearest of them, and w_i how far one of the points is
    from the nearest other one, for i = 1 ... m. m is a tenth of the points, at least 5 and at most
    ``most``.

    The exponent d is 1 as in common code. The original has the number of columns, D, with which H
    is distributed as Beta(m, m) for uniform points; in many dimensions a few of the largest
    distances then decide everything. 0.5 is right for uniform points with either.

    A point that is there twice has w_i = 0: copies are the narrowest groups, and H says so.

    Args:
        points: (N, D), all columns in the same unit.
        seed: Of the random places and of the points that are looked at.
        most: Upper limit of m.
        exponent: d, above 0.

    Returns:
        In [0, 1]: about 0.5 for uniform points, towards 1 for groups, towards 0 for points on a
        grid; to be read against :func:`hopkins_baseline`. NaN for fewer than 10 points, or if all
        points are equal.
    """
    count, width = points.shape
    if not _has_extent(points):
        return float("nan")
    rng = np.random.default_rng((_PROBING, seed))
    probes = min(max(count // 10, _FEWEST_PROBES), most)
    centred = _centred(points)
    low, high = centred.min(axis=0), centred.max(axis=0)
    places = low + (high - low) * rng.random((probes, width))
    chosen = centred[rng.choice(count, probes, replace=False)]
    search = NearestNeighbors().fit(centred)
    to_points = search.kneighbors(places, 1)[0][:, 0]
    # The nearest of all is the point itself, or a copy at the same distance.
    to_others = search.kneighbors(chosen, 2)[0][:, 1]
    # The ratio has no unit, and powers of numbers up to 1 do not overflow.
    largest = max(to_points.max(), to_others.max())
    empty, full = (((far / largest) ** exponent).sum() for far in (to_points, to_others))
    return float(empty / (empty + full))


def hopkins_baseline(
    points: Array, *, seed: int = 0, repeats: int = 5, most: int = 500, exponent: float = 1.0
) -> float:
    """Return the statistic of Hopkins for one Gaussian blob of the same extent.

    A Gaussian leaves most of its bounding box empty, the more so the more its columns go together,
    and is therefore above 0.5 without having any groups. Only what exceeds this number is
    structure. Groups in one line along a diagonal need not exceed it.

    Args:
        points: (N, D).
        seed: Of the draws.
        repeats: Number of draws, each of N points with the mean and covariance of ``points``.
        most: As for :func:`hopkins`.
        exponent: As for :func:`hopkins`.

    Returns:
        In [0, 1], the mean over the draws; NaN where :func:`hopkins` is.
    """
    if not _has_extent(points):
        return float("nan")
    rng = np.random.default_rng(seed)
    centred = _centred(points)
    covariance = np.atleast_2d(np.cov(centred, rowvar=False))
    nowhere = np.zeros(len(covariance))
    # Unused columns make a covariance singular: eigenvalues allow it, Cholesky does not.
    draws = (
        rng.multivariate_normal(
            nowhere, covariance, len(points), check_valid="ignore", method="eigh"
        )
        for _ in range(repeats)
    )
    values = [
        hopkins(draw, seed=seed + number, most=most, exponent=exponent)
        for number, draw in enumerate(draws)
    ]
    return float(np.mean(values))


def silhouette(points: Array, labels: Array, *, most: int = 2000, seed: int = 0) -> float:
    """Return how far labels lie apart: the mean silhouette (Rousseeuw 1987).

    Args:
        points: (N, D).
        labels: (N,) whole numbers, below 0 where unknown; unknown ones are left out.
        most: Labelled rows that are looked at, a random sample of them if there are more.
        seed: Of the sample.

    Returns:
        In [-1, 1]: 1 for tight groups that are far apart, 0 for groups that overlap, below 0 for
        labels that contradict the groups. NaN for fewer than two labels, or if no two rows of the
        sample share one.
    """
    known = np.flatnonzero(labels >= 0)
    rows = known[_sample(len(known), most, seed)]
    groups = len(np.unique(labels[rows]))
    if groups < 2 or groups == len(rows):
        return float("nan")
    return float(silhouette_score(_centred(points[rows]), labels[rows]))


def trustworthiness(
    latents: Array, points: Array, *, neighbours: int = 12, most: int = 2000, seed: int = 0
) -> float:
    """Return whether neighbours on a map are neighbours in what it maps (Venna and Kaski 2001).

    Args:
        latents: (N, D), what is mapped.
        points: (N, 2), or of another width: the map.
        neighbours: How many a point has; fewer if this is not below half of the rows.
        most: Rows that are looked at, a random sample of them if there are more.
        seed: Of the sample.

    Returns:
        In [0, 1]: 1 if no stranger comes near, about 0.5 for a map that is random. NaN for fewer
        than three rows.
    """
    rows = _sample(len(latents), most, seed)
    nearest = min(neighbours, (len(rows) - 1) // 2)
    if nearest < 1:
        return float("nan")
    kept = neighbours_kept(_centred(latents[rows]), _centred(points[rows]), n_neighbors=nearest)
    return float(kept)


def purity(
    points: Array, labels: Array, *, neighbours: int = 10, most: int = 2000, seed: int = 0
) -> Purity:
    """Return how often the nearest labelled points carry the same label.

    Args:
        points: (N, D).
        labels: (N,) whole numbers, below 0 where unknown; unknown ones are left out.
        neighbours: How many are asked; fewer if there are not so many others.
        most: Rows whose neighbours are looked up, a random sample of them if there are more. The
            neighbours come from all labelled rows.
        seed: Of the sample.

    Returns:
        The value, and its chance level: the sum over labels of their share of the rows times their
        share of the other rows. Both NaN for fewer than two labels.
    """
    known = np.flatnonzero(labels >= 0)
    _, codes, sizes = np.unique(labels[known], return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return Purity(float("nan"), float("nan"))
    rows = _sample(len(known), most, seed)
    nearest = _nearest_others(_centred(points[known]), rows, min(neighbours, len(known) - 1))
    agreement = codes[nearest] == codes[rows, None]
    chance = (sizes * (sizes - 1)).sum() / (len(known) * (len(known) - 1))
    return Purity(float(agreement.mean()), float(chance))


def _has_extent(points: Array) -> bool:
    """Say whether the statistic of Hopkins exists: enough points, not all of them equal."""
    return len(points) >= _FEWEST_POINTS and bool(np.ptp(points, axis=0).any())


def _centred(points: Array) -> Floats:
    """Move points around 0, where differences of large squares lose no digits."""
    precise = points.astype(np.float64)
    moved: Floats = precise - precise.mean(axis=0)
    return moved


def _sample(count: int, most: int, seed: int) -> Rows:
    """Choose at most so many of the rows, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _nearest_others(points: Floats, rows: Rows, count: int) -> Rows:
    """Return the (R, ``count``) rows that are nearest to (R,) rows, themselves left out."""
    search = NearestNeighbors().fit(points)
    found: Rows = search.kneighbors(points[rows], count + 1, return_distance=False)
    others = found != rows[:, None]
    # Among many copies of a point, the point itself need not be found.
    others[others.all(axis=1), -1] = False
    return found[others].reshape(len(rows), count)
