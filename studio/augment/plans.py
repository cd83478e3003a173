"""Plans: which labels new pictures are to have, and from which pictures these labels come."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from studio.data.folder import UNKNOWN
from studio.errors import ConfigError

# Uses of chance whose streams must not meet.
FLIPS, ORDER, NOISE = range(3)

Labels = npt.NDArray[np.int8]
Counts = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Plan:
    """New pictures to make.

    Attributes:
        sources: (M,) rows of the pictures whose labels were changed.
        targets: (M, A) int8 in {0, 1}, -1 where unknown; the labels of the new pictures.
    """

    sources: Indices
    targets: Labels

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True)
class Spread:
    """How unequal the attributes' counts are.

    Attributes:
        deviation: Standard deviation of the counts, in pictures.
        least: Count of the rarest attribute.
        most: Count of the commonest.
    """

    deviation: float
    least: int
    most: int

    @classmethod
    def of(cls, counts: Sequence[int] | Counts) -> "Spread":
        """Measure (A,) counts."""
        return cls(float(np.std(counts)), int(np.min(counts)), int(np.max(counts)))


@dataclass(frozen=True)
class Balance:
    """How many pictures have each attribute, before an augmentation and with its new pictures.

    Attributes:
        names: Of the attributes.
        counts_before: Pictures that have each.
        counts_after: The same with the new pictures.
        pictures_before: Number of pictures.
        pictures_after: Number with the new ones.
    """

    names: tuple[str, ...]
    counts_before: tuple[int, ...]
    counts_after: tuple[int, ...]
    pictures_before: int
    pictures_after: int

    @classmethod
    def of(cls, names: Sequence[str], labels: Labels, added: Labels) -> "Balance":
        """Count (N, A) labels, and (M, A) labels of new pictures on top of them."""
        before = class_counts(labels)
        after = before + class_counts(added)
        return cls(
            tuple(names),
            tuple(before.tolist()),
            tuple(after.tolist()),
            len(labels),
            len(labels) + len(added),
        )

    @property
    def before(self) -> Spread:
        """The spread of the counts before."""
        return Spread.of(self.counts_before)

    @property
    def after(self) -> Spread:
        """The spread of the counts after."""
        return Spread.of(self.counts_after)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "attributes": {
                name: {"before": before, "after": after}
                for name, before, after in zip(
                    self.names, self.counts_before, self.counts_after, strict=True
                )
            },
            "pictures": {"before": self.pictures_before, "after": self.pictures_after},
            "spread": {"before": asdict(self.before), "after": asdict(self.after)},
        }


def class_counts(labels: Labels) -> Counts:
    """Return (A,) numbers of pictures that have each attribute of (N, A) labels."""
    return (labels == 1).sum(axis=0, dtype=np.int64)


def joint_counts(labels: Labels) -> Counts:
    """Return (A, A) numbers of pictures that have both attributes; each one's own count inside."""
    there = (labels == 1).astype(np.float64)
    return np.rint(there.T @ there).astype(np.int64)


def random_doubling(labels: Labels, seed: int) -> Plan:
    """Plan one new picture for each picture, with one label flipped (section IV-A).

    Args:
        labels: (N, A) int8 in {0, 1}, -1 where unknown; unknown labels are never flipped.
        seed: Of the choice of labels.

    Returns:
        N new pictures, in the order of the sources.

    Raises:
        ConfigError: There are no pictures, or one of them has no known label.
    """
    _check_pictures(labels)
    known = labels != UNKNOWN
    unlabelled = int((~known.any(axis=1)).sum())
    if unlabelled:
        raise ConfigError(
            f"{unlabelled} of {len(labels)} training pictures have none of the planned attributes "
            "labelled, but doubling flips a label of each: label them or leave them out."
        )
    lots = np.random.default_rng([seed, FLIPS]).random(labels.shape)
    chosen = np.where(known, lots, -1).argmax(axis=1)
    targets, rows = labels.copy(), np.arange(len(labels))
    targets[rows, chosen] = 1 - targets[rows, chosen]
    return Plan(rows, targets)


def dynamic_balancing(labels: Labels, count: int, seed: int, most: int = 8) -> Plan:
    """Plan new pictures that have the rarest attributes and lack the commonest (section IV-B).

    Pictures are gone through in random orders. Each gives its labels, of which the commonest
    attributes are set to 0 and the rarest to 1; the counts from which the rank follows include all
    new pictures before it. Where counts are equal, the first columns are taken for rarer.

    Args:
        labels: (N, A) int8 in {0, 1}, -1 where unknown; unknown labels stay unless they are set.
        count: Number of new pictures.
        seed: Of the orders.
        most: How many attributes are set to 0, and how many to 1.

    Returns:
        ``count`` new pictures in the order in which they count.

    Raises:
        ConfigError: There are no pictures, or the numbers make no plan.
    """
    return Balancing(labels, count, seed, most).plan(0, count, class_counts(labels))


class Planner(Protocol):
    """A plan that is asked for piece by piece."""

    total: int

    def left(self, made: int, accepted: int) -> int:
        """Return how many pictures are still to be made."""
        ...

    def plan(self, first: int, size: int, counts: Counts) -> Plan:
        """Plan pictures number ``first`` and the next ones, when attributes have these counts."""
        ...


class Doubling:
    """Each picture once; those that are refused are not replaced."""

    def __init__(self, labels: Labels, seed: int) -> None:
        self._whole = random_doubling(labels, seed)
        self.total = len(labels)

    def left(self, made: int, accepted: int) -> int:
        """Return the pictures that are still to be made."""
        del accepted
        return self.total - made

    def plan(self, first: int, size: int, counts: Counts) -> Plan:
        """Take the next pictures of the whole plan."""
        del counts
        some = slice(first, first + size)
        return Plan(self._whole.sources[some], self._whole.targets[some])


class Balancing:
    """Pictures until enough are accepted."""

    def __init__(self, labels: Labels, count: int, seed: int, most: int) -> None:
        _check_pictures(labels)
        if count < 1:
            raise ConfigError(
                f"Balancing was asked for {count} new pictures; ask for at least 1, such as with "
                "an amount of 1 for as many as there are."
            )
        _check_most(labels.shape[1], most)
        self.total = count
        self._labels, self._seed, self._most = labels, seed, most

    def left(self, made: int, accepted: int) -> int:
        """Return the pictures that are still to be accepted."""
        del made
        return self.total - accepted

    def plan(self, first: int, size: int, counts: Counts) -> Plan:
        """Rank the attributes anew for every picture."""
        counts = counts.copy()
        sources = self._sources(first, size)
        targets = self._labels[sources]
        for row in targets:
            order = np.argsort(counts, kind="stable")
            row[order[-self._most :]] = 0
            row[order[: self._most]] = 1
            counts += row == 1
        return Plan(sources, targets)

    def _sources(self, first: int, size: int) -> Indices:
        """Return places ``first`` and on of random orders of all pictures, one after another."""
        count = len(self._labels)
        rounds, places = np.divmod(np.arange(first, first + size), count)
        dealt = [
            np.random.default_rng([self._seed, ORDER, number]).permutation(count)[
                places[rounds == number]
            ]
            for number in np.unique(rounds).tolist()
        ]
        return np.concatenate(dealt)


def _check_pictures(labels: Labels) -> None:
    if not len(labels):
        raise ConfigError(
            "There are no training pictures to start from; give a data set in which the partition "
            "of some pictures is train."
        )
    if not labels.shape[1]:
        raise ConfigError("There are no attributes to plan with; give a data set that has some.")


def _check_most(attributes: int, most: int) -> None:
    if most < 1 or 2 * most > attributes:
        advice = (
            f"set `most` to a number from 1 to {attributes // 2}"
            if attributes >= 2
            else "choose data and checkpoints that share 2 attributes or more"
        )
        raise ConfigError(
            f"Balancing sets the {most} commonest attributes to 0 and the {most} rarest to 1, but "
            f"there are {attributes} attributes to plan with; {advice}."
        )
