"""Pictures around a full turn in equal steps: which of them lie between which.

The pole's azimuth and the turntable's angle go around 360 degrees. Pictures that agree in every
other factor and class are one group; on the pole a group has one altitude.

A length in degrees counts pictures, as the AEAI paper does: at steps of 5 degrees 80 degrees are 16
pictures, the two ends and 14 in-betweens, which lie 75 degrees apart; 15 degrees are 3 pictures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.data.folder import DataSet
from studio.errors import DataError

NAMES = ("factor_azimuth", "factor_angle")
NOBODY = -1

Rows = NDArray[np.intp]
_STEPS_PER_DEGREE = 1000


@dataclass(frozen=True, eq=False)
class Turns:
    """The pictures of a data set by group and place on the turn.

    Attributes:
        factor: The column of the angle.
        step: Degrees from place to place.
        rows: (G, T) rows of the data set, -1 where it has no picture; groups in the order of their
            other factors.
    """

    factor: str
    step: float
    rows: Rows

    def pictures(self, length: float) -> int:
        """Return how many pictures a length in degrees counts, both ends among them."""
        return round(length / self.step)

    def span(self, length: float) -> float:
        """Return the degrees between the two ends of a length."""
        return (self.pictures(length) - 1) * self.step

    def intervals(self, length: float) -> Rows:
        """List all intervals of a length, around the turn and in every group.

        Args:
            length: In degrees, counted as the module says.

        Returns:
            (P, K) rows of the data set at equal steps; both ends are there, and -1 stands where an
            in-between is not.

        Raises:
            DataError: The length has no in-betweens, or is longer than the turn.
        """
        count, places = self.pictures(length), self.rows.shape[1]
        if not 3 <= count <= places:
            raise DataError(
                f"An interval has from {3 * self.step:g} to {places * self.step:g} degrees at "
                f"steps of {self.step:g}, not {length:g}."
            )
        around = (np.arange(places)[:, None] + np.arange(count)) % places
        every = self.rows[:, around].reshape(-1, count)
        return every[(every[:, [0, -1]] != NOBODY).all(axis=1)]


def find_turns(data: DataSet) -> Turns | None:
    """Order a data set's pictures around the turn.

    Returns:
        None where it has no such factor, or its angles are not at equal steps of a full turn.
    """
    names = [name for name in NAMES if name in data.factors]
    if not names:
        return None
    angles = data.factors[names[0]]
    known = np.flatnonzero(np.isfinite(angles))
    # Whole thousandths of a degree: a step of 360 / 72 must not depend on rounding.
    ticks = np.round(angles[known] * _STEPS_PER_DEGREE).astype(np.int64) % _full_turn()
    step = _step(np.unique(ticks))
    if step is None:
        return None
    groups = _groups(data.select(known), names[0])
    rows = np.full((groups.max() + 1, _full_turn() // step), NOBODY, np.intp)
    rows[groups, ticks // step] = known
    return Turns(names[0], step / _STEPS_PER_DEGREE, rows)


def require_turns(data: DataSet) -> Turns:
    """Order a data set's pictures around the turn.

    Raises:
        DataError: It has no full turn in equal steps.
    """
    turns = find_turns(data)
    if turns is None:
        raise DataError(
            f"{data.name} has no full turn in equal steps: give a set with a column "
            f"{' or '.join(NAMES)}, such as the rendered pole or a turntable."
        )
    return turns


def _full_turn() -> int:
    return 360 * _STEPS_PER_DEGREE


def _step(ticks: NDArray[np.int64]) -> int | None:
    """Return the step of which all places are multiples, if there is one."""
    if len(ticks) < 3:
        return None
    step = int(np.diff(ticks).min())
    even = _full_turn() % step == 0 and not (ticks % step).any()
    return step if even else None


def _groups(data: DataSet, turn: str) -> Rows:
    """Number the groups of pictures that agree in all but the angle, in the order of factors."""
    columns: list[NDArray[np.str_] | NDArray[np.float64]] = [
        *(data.classes[name] for name in sorted(data.classes)),
        *(data.factors[name] for name in sorted(data.factors) if name != turn),
    ]
    groups = np.zeros(len(data), np.intp)
    for column in columns:
        values = np.unique(column, return_inverse=True)[1]
        groups = np.unique(groups * (values.max() + 1) + values, return_inverse=True)[1]
    return groups
