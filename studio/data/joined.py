"""Several sets of training pictures as one, such as a set and what augments it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.data.folder import UNKNOWN, Classes, DataSet
from studio.errors import DataError


@dataclass(frozen=True, eq=False)
class JoinedSet:
    """Rows of several sets, one set after another; what one does not know is unknown in its rows.

    Attributes:
        sets: At least one; what they are called and how they are aligned is the first one's.
    """

    sets: tuple[DataSet, ...]

    def __post_init__(self) -> None:
        first = self.sets[0]
        for other in self.sets[1:]:
            if other.alignment != first.alignment:
                raise DataError(
                    f"{other.name} is aligned as {other.alignment!r} and {first.name} as "
                    f"{first.alignment!r}; only sets of one alignment can be joined."
                )
            if not set(other.attributes) & set(first.attributes):
                raise DataError(f"{other.name} shares no attribute with {first.name}.")

    @property
    def name(self) -> str:
        """All names."""
        return " and ".join(one.name for one in self.sets)

    def __len__(self) -> int:
        return sum(map(len, self.sets))

    def attribute(self, name: str) -> NDArray[np.int8]:
        """Return an attribute's column, -1 in the rows of sets that do not know it.

        Raises:
            DataError: The first set has no such attribute.
        """
        self.sets[0].attribute(name)
        column: NDArray[np.int8] = self.attribute_matrix([name])[:, 0]
        return column

    def attribute_matrix(self, names: Sequence[str]) -> NDArray[np.int8]:
        """Return (N, len(names)) attributes, -1 where a set does not know one."""
        return np.concatenate([one.attribute_matrix(names) for one in self.sets])

    def class_matrix(self, classes: Classes) -> NDArray[np.int64]:
        """Return (N, len(classes)) places among the values, -1 where a picture has none of them."""
        return np.concatenate([one.class_matrix(classes) for one in self.sets])

    def identity(self) -> NDArray[np.int64]:
        """Return (N,) identity numbers of the first set; pictures of others show nobody known."""
        others = sum(map(len, self.sets[1:]))
        return np.concatenate([self.sets[0].identity(), np.full(others, UNKNOWN, np.int64)])

    def eyes(self) -> NDArray[np.float32]:
        """Return (N, 2, 2) eye positions as fractions of the picture."""
        return np.concatenate([one.eyes() for one in self.sets])

    def pictures(self, size: int) -> NDArray[np.uint8]:
        """Return all pictures, (N, size, size, 3)."""
        return np.concatenate([one.pictures(size) for one in self.sets])
