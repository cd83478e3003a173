"""How neatly the dimensions of latents separate the factors that made the pictures.

Factors with fewer than two distinct finite values, or fewer than ten rows, are left out: they are
NaN among the values by factor, and the means are over the others. A row counts for a factor where
this factor and all latents are finite. A factor is discrete if it has at most ten distinct values.
With one dimension there is nothing to compare, and every number is NaN.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_MOST_VALUES = 10
_FEWEST_ROWS = 10
# Of every so many rows, one is held out.
_HELD_OUT = 5
_TREES = 40
# Leaves of single rows would fit noise and spread importance over all dimensions.
_LEAF = 3


class Gaps(NamedTuple):
    """By how much the best dimension surpasses the second.

    Attributes:
        value: In [0, 1], the mean over the factors.
        by_factor: (F,) in [0, 1], NaN for factors that are left out.
    """

    value: float
    by_factor: Floats


class DCI(NamedTuple):
    """What predicting factors from latents shows (Eastwood and Williams 2018).

    Attributes:
        disentanglement: In [0, 1]: 1 if each dimension serves one factor; NaN for one factor.
        completeness: In [0, 1]: 1 if each factor is served by one dimension.
        informativeness: At most 1, the mean over the factors.
        by_factor: (F,) informativeness on held-out rows: R², which is 0 or less if nothing is
            learnt, or the accuracy for a discrete factor. NaN for factors that are left out.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    by_factor: Floats


def mig(latents: Array, factors: Array, bins: int = 20) -> Gaps:
    """Return the mutual information gap (Chen et al. 2018, section 4).

    ``(I(z_first; v) - I(z_second; v)) / H(v)``, with the two dimensions that say most about the
    factor v. Continuous numbers are cut into bins of equal count, so that no monotonic change of
    scale matters; equal ones share a bin. Values of a discrete factor, or of a dimension that has
    as few, are their own bins.

    From few rows, information is overestimated, of the second dimension most: with 20 bins, a
    perfect model reaches about 0.9 at N = 1000.

    Args:
        latents: (N, D).
        factors: (N, F), NaN where unknown.
        bins: At least 2.
    """

    def gap(columns: Floats, factor: Floats) -> float:
        codes = _binned(factor, bins)
        shared = [_information(_binned(column, bins), codes) for column in columns.T]
        return _lead(np.array(shared)) / _information(codes, codes)

    return _gaps(latents, factors, gap)


def sap(latents: Array, factors: Array) -> Gaps:
    """Return the separated attribute predictability (Kumar et al. 2018, section 3).

    A dimension's score is R² of a straight line for a continuous factor. For a discrete one of K
    values it is the best balanced accuracy that K - 1 thresholds reach, on the same rows: guessing
    has 1 / K and a little more, so that a perfect gap is 1 - 1 / K at most.

    Args:
        latents: (N, D).
        factors: (N, F), NaN where unknown.
    """

    def gap(columns: Floats, factor: Floats) -> float:
        if _is_discrete(factor):
            return _lead(_threshold_accuracy(columns, _values(factor)))
        return _lead(_explained(columns, factor))

    return _gaps(latents, factors, gap)


def dci(latents: Array, factors: Array, seed: int = 0) -> DCI:
    """Return disentanglement, completeness and informativeness (Eastwood and Williams 2018).

    A random forest predicts each factor from all latents. P_ij is the importance of dimension i for
    factor j, and sums to 1 over i. Disentanglement is 1 minus the entropy of a dimension's share
    of each factor, in base F; completeness is 1 minus the entropy of a factor's importances, in
    base D. Dimensions count as much as they matter, and factors equally.

    Args:
        latents: (N, D).
        factors: (N, F), NaN where unknown.
        seed: Of the forests and of the fifth of the rows that is held out.
    """
    importances = []
    by_factor = np.full(factors.shape[1], np.nan)
    for place, columns, factor in _usable(latents, factors):
        importance, by_factor[place] = _forest(columns, factor, seed)
        # A forest that found nothing to split has no opinion.
        if importance.any():
            importances.append(importance)
    if not importances:
        return DCI(float("nan"), float("nan"), _mean(by_factor), by_factor)
    matrix = np.stack(importances, axis=1)
    disentanglement = float("nan")
    if matrix.shape[1] > 1:
        disentanglement = float(matrix.sum(axis=1) @ _concentration(matrix) / matrix.sum())
    completeness = float(_concentration(matrix.T).mean())
    return DCI(disentanglement, completeness, _mean(by_factor), by_factor)


def _usable(latents: Array, factors: Array) -> list[tuple[int, Floats, Floats]]:
    """Return the place of each factor that counts, with the latents and values of its rows."""
    columns, targets = latents.astype(np.float64), factors.astype(np.float64)
    if columns.shape[1] < 2:
        return []
    complete = np.isfinite(columns).all(axis=1)
    usable = []
    for place, factor in enumerate(targets.T):
        rows = complete & np.isfinite(factor)
        if rows.sum() >= _FEWEST_ROWS and np.ptp(factor[rows]) > 0:
            usable.append((place, columns[rows], factor[rows]))
    return usable


def _gaps(latents: Array, factors: Array, gap: Callable[[Floats, Floats], float]) -> Gaps:
    """Measure the gap of every factor that counts."""
    by_factor = np.full(factors.shape[1], np.nan)
    for place, columns, factor in _usable(latents, factors):
        by_factor[place] = gap(columns, factor)
    return Gaps(_mean(by_factor), by_factor)


def _mean(by_factor: Floats) -> float:
    """Return the mean of what is known; NaN if nothing is."""
    known = by_factor[~np.isnan(by_factor)]
    return float(known.mean()) if len(known) else float("nan")


def _lead(scores: Floats) -> float:
    """Return how far the best of (D,) scores is ahead of the second."""
    second, first = np.sort(scores)[-2:]
    return float(first - second)


def _is_discrete(values: Floats) -> bool:
    return len(np.unique(values)) <= _MOST_VALUES


def _values(values: Floats) -> Codes:
    """Number distinct values from 0."""
    codes: Codes = np.unique(values, return_inverse=True)[1]
    return codes


def _binned(values: Floats, bins: int) -> Codes:
    """Number bins of equal count from 0; equal values share the bin of their middle rank.

    At least two bins are in use, for values that differ. Discrete ones are numbered as they are.
    """
    if _is_discrete(values):
        return _values(values)
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    numbers: Codes = (middle * bins / len(values)).astype(np.intp)[codes]
    return numbers


def _information(codes: Codes, others: Codes) -> float:
    """Return the mutual information of two columns of codes, in nats."""
    joint = np.zeros((codes.max() + 1, others.max() + 1))
    np.add.at(joint, (codes, others), 1 / len(codes))
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    met = joint > 0
    return float((joint[met] * np.log(joint[met] / apart[met])).sum())


def _explained(columns: Floats, factor: Floats) -> Floats:
    """Return the squared correlation of each column with a factor, 0 for a column at rest."""
    moved, wanted = columns - columns.mean(axis=0), factor - factor.mean()
    scale = np.square(moved).sum(axis=0) * np.square(wanted).sum()
    explained = np.zeros(len(scale))
    np.divide(np.square(wanted @ moved), scale, out=explained, where=np.ptp(columns, axis=0) > 0)
    return explained


def _threshold_accuracy(columns: Floats, codes: Codes) -> Floats:
    """Return the best balanced accuracy of K - 1 thresholds on each column, for K codes.

    Walks up all columns at once and keeps the best sum of right answers, by how many thresholds
    may have been passed and by the answer given since the last one.

    Args:
        columns: (N, D).
        codes: (N,) from 0 to K - 1, all of which occur.

    Returns:
        (D,) from 1 / K to 1.
    """
    sizes = np.bincount(codes)
    count = len(sizes)
    order = np.argsort(columns, axis=0, kind="stable")
    ordered = np.take_along_axis(columns, order, axis=0)
    gains = np.eye(count) / (sizes * count)
    best = np.repeat(gains[codes[order[0]]][:, None], count, axis=1)
    # Between two equal values there is no threshold.
    apart = np.where(np.diff(ordered, axis=0) > 0, 0.0, -np.inf)
    for row, allowed in zip(order[1:], apart, strict=True):
        passed = best[:, :-1].max(axis=2, keepdims=True) + allowed[:, None, None]
        best[:, 1:] = np.maximum(best[:, 1:], passed)
        best += gains[codes[row]][:, None]
    accuracy: Floats = best[:, -1].max(axis=1)
    return accuracy


def _forest(columns: Floats, factor: Floats, seed: int) -> tuple[Floats, float]:
    """Fit a forest to a factor: its importances (D,), and its score on held-out rows."""
    discrete = _is_discrete(factor)
    kind = RandomForestClassifier if discrete else RandomForestRegressor
    # A split that sees some dimensions only would have to make do with the wrong ones.
    forest = kind(_TREES, min_samples_leaf=_LEAF, max_features=None, random_state=seed)
    targets = _values(factor) if discrete else factor
    order = np.random.default_rng(seed).permutation(len(factor))
    held, fitted = np.split(order, [max(len(order) // _HELD_OUT, 2)])
    forest.fit(columns[fitted], targets[fitted])
    score = float("nan")
    if discrete or np.ptp(targets[held]) > 0:
        score = float(forest.score(columns[held], targets[held]))
    return forest.feature_importances_, score


def _concentration(weights: Floats) -> Floats:
    """Return 1 minus the entropy of each row of (A, B) weights in base B; 0 for a row of zeros."""
    totals = weights.sum(axis=1, keepdims=True)
    shares = weights / np.where(totals > 0, totals, 1)
    logs = np.log(np.where(shares > 0, shares, 1)) / np.log(weights.shape[1])
    concentration: Floats = np.where(totals[:, 0] > 0, 1 + (shares * logs).sum(axis=1), 0.0)
    return concentration
