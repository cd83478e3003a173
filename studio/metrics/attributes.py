"""What a classifier says about edited pictures, and how well it says it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float


class Threshold(NamedTuple):
    """A limit on one number that tells two groups apart.

    Attributes:
        value: At or above it, the attribute is taken to be there.
        balanced_accuracy: Mean of the shares that are right in the two groups.
    """

    value: float
    balanced_accuracy: float


def recognized(logits: Array) -> float:
    """Return the share of pictures in which the attribute is seen.

    Args:
        logits: (N,), above 0 where the classifier sees the attribute.
    """
    return float(np.mean(logits > 0))


def swap_success(swapped: Array, real: Array) -> float:
    """Return how often a swapped object is recognized, relative to real ones.

    Args:
        swapped: (N,) logits of the object in edited pictures.
        real: (M,) logits of the object in photographs that have it.

    Returns:
        A ratio, at or above 0 and above 1 where the edit is clearer than reality; NaN if the
        classifier does not recognize a single real object.
    """
    rate = recognized(real)
    return recognized(swapped) / rate if rate else float("nan")


def removed(logits: Array) -> float:
    """Return the share of pictures in which the attribute is not seen any more.

    Args:
        logits: (N,) logits of the removed object.
    """
    return 1.0 - recognized(logits)


def monotonic(logits: Array) -> npt.NDArray[np.bool_]:
    """Say for which pairs a stronger edit shows more of the object, at each step.

    Args:
        logits: (S, N), rows in order of strength.

    Returns:
        (N,); equality is not enough, or a model that does nothing would pass.
    """
    rises: npt.NDArray[np.bool_] = np.logical_and.reduce(np.diff(logits, axis=0) > 0, axis=0)
    return rises


def kept(logits: Array, reference: Array, changed: int) -> Floats:
    """Return which share of the other attributes keeps its label, per picture.

    Args:
        logits: (N, A) of the edited pictures.
        reference: (N, A) of what they were made from.
        changed: Column of the attribute that was meant to change; it does not count.

    Returns:
        (N,) in [0, 1].
    """
    same = (logits > 0) == (reference > 0)
    return np.delete(same, changed, axis=1).mean(axis=1)


def balanced_accuracy(logits: Array, labels: Array) -> float:
    """Return the mean of the shares that are right among positives and among negatives.

    Args:
        logits: (N,).
        labels: (N,) in {0, 1}.

    Returns:
        In [0, 1], 0.5 for guessing; NaN where one of the two groups is empty.
    """
    groups = [(logits > 0)[labels == 1], (logits <= 0)[labels == 0]]
    if not all(map(len, groups)):
        return float("nan")
    return float(np.mean([group.mean() for group in groups]))


def best_threshold(values: Array, present: Array) -> Threshold:
    """Find the limit on a number that best tells pictures with an attribute from those without.

    Args:
        values: (N,), larger where the attribute is there.
        present: (N,) bool; both groups have members.

    Returns:
        The threshold halfway between the two neighbouring values that it separates.
    """
    order = np.argsort(values, kind="stable")
    ordered, labels = values[order].astype(np.float64), present[order]
    # After k values lie below the limit: k counts from 0 to N.
    misses = np.concatenate([[0], np.cumsum(labels)]) / labels.sum()
    rejections = np.concatenate([[0], np.cumsum(~labels)]) / (~labels).sum()
    accuracy = (1 - misses + rejections) / 2
    limits = np.concatenate(
        [ordered[:1], (ordered[:-1] + ordered[1:]) / 2, np.nextafter(ordered[-1:], np.inf)]
    )
    # Between two equal values there is no limit.
    accuracy[1:-1][np.diff(ordered) == 0] = -1
    best = int(np.argmax(accuracy))
    return Threshold(float(limits[best]), float(accuracy[best]))


def separation(positive: Array, negative: Array) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative.

    Args:
        positive: (N,) scores that should be high.
        negative: (M,) scores that should be low.

    Returns:
        In [0, 1], 0.5 for guessing; ties count half.
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    up_to = np.searchsorted(ordered, positive, side="right")
    return float((below + up_to).mean() / 2 / len(negative))


def wilson(share: float, count: int) -> Interval:
    """Return the interval of a share of independent yes-or-no outcomes (Wilson 1927).

    Args:
        share: In [0, 1].
        count: Number of outcomes, at least 1.
    """
    z = 1.959964
    middle = share + z**2 / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return Interval(float((middle - half) / scale), float((middle + half) / scale))


def pair_bootstrap(
    statistic: Callable[[Floats, Floats], float],
    donors: npt.NDArray[np.intp],
    receivers: npt.NDArray[np.intp],
    counts: tuple[int, int],
    *,
    rounds: int = 500,
    seed: int = 0,
) -> Interval:
    """Return a statistic's interval when pictures serve in several pairs (Owen 2007).

    Donors and receivers are resampled separately, so that two pairs with a common donor do not
    count as two independent findings.

    Args:
        statistic: Takes the weights of the pairs, (N,), and of the donors, (D,).
        donors: (N,) donor of each pair, counted from 0.
        receivers: (N,) receiver of each pair, counted from 0.
        counts: D and R, all donors and receivers, of which some may be in no pair.
        rounds: Resamplings.
        seed: Of the resampling.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rounds):
        donor_weights, receiver_weights = (
            rng.multinomial(count, np.full(count, 1 / count)).astype(np.float64) for count in counts
        )
        weights = donor_weights[donors] * receiver_weights[receivers]
        if weights.any():
            found.append(statistic(weights, donor_weights))
    return Interval(*(float(value) for value in np.percentile(found, (2.5, 97.5))))
