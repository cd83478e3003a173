"""What a visitor has set up, as plain data: the photographs' seats, the settings, the history.

A draft holds paths and numbers only. Everything that can be seen is computed from it (``bench``),
so that undo is a list of drafts and a session keeps no photograph.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, Self, TypeVar

from studio.faces.align import Alignment
from studio.recipes import Step

RECEIVER, DONOR = "receiver", "donor"
EXEMPLARS = ("donor", "donor2", "donor3", "donor4")
ROLES = ("receiver", *EXEMPLARS)
MOST_DRAFTS = 100

Mode = Literal["swap", "blend"]


@dataclass(frozen=True)
class Seat:
    """A photograph in its role.

    Attributes:
        path: The uploaded file.
        name: Its name without suffix, for the results' names.
        width: Of the upright photograph, pixels.
        height: Of the same.
        alignment: Where the face is, in the photograph's pixels.
        doubt: Why the crop has to be looked at before an edit; empty once that is settled.
        face: Index among the faces found, or -1 for a crop that was set otherwise.
        detected: Whether faces were looked for; not in pictures that are known to be crops.
    """

    path: str
    name: str
    width: int
    height: int
    alignment: Alignment
    doubt: str = ""
    face: int = -1
    detected: bool = True


@dataclass(frozen=True)
class Child:
    """One of the pictures that a pair of photographs can become.

    Attributes:
        base: Role of the photograph that is edited.
        donor: Role of the one that gives its object; empty where the object is removed.
    """

    base: str
    donor: str


CHILDREN: Mapping[str, Child] = {
    "receives": Child(RECEIVER, DONOR),
    "gives": Child(DONOR, RECEIVER),
    "without": Child(RECEIVER, ""),
    "donor-without": Child(DONOR, ""),
}


@dataclass(frozen=True)
class Draft:
    """Everything a visitor can set.

    Attributes:
        seats: By role; also the donors of the steps that were applied.
        checkpoint: Name, or empty where there is none.
        applied: Steps that are done; each worked on the receiver as the one before left it.
        mode: ``swap`` of a pair, or ``blend`` of four exemplars.
        child: Key in ``CHILDREN`` of what is on the stage in a swap.
        strength: In [-1, 2].
        side: Cells along a side of the blend's grid.
        cell: Index of the cell on the stage, row by row.
        moves: Steps of one's own sliders by name, in deviations.
    """

    seats: Mapping[str, Seat] = field(default_factory=dict)
    checkpoint: str = ""
    applied: tuple[Step, ...] = ()
    mode: Mode = "swap"
    child: str = "receives"
    strength: float = 1.0
    side: int = 5
    cell: int = 12
    moves: Mapping[str, float] = field(default_factory=dict)

    def ready(self, *roles: str) -> bool:
        """Say whether these roles have a photograph whose crop is settled."""
        return all(role in self.seats and not self.seats[role].doubt for role in roles)

    def seat(self, role: str, seat: Seat | None) -> "Draft":
        """Return a draft with another photograph in a role, or with none."""
        seats = {name: other for name, other in self.seats.items() if name != role}
        if seat is not None:
            seats[role] = seat
        # What was done to a receiver belongs to that photograph.
        same = role != RECEIVER or (seat is not None and _path(self, role) == seat.path)
        return replace(self, seats=seats, applied=self.applied if same else ())

    def children(self) -> list[str]:
        """List the children that the seated photographs can have."""
        return [
            key
            for key, child in CHILDREN.items()
            if self.ready(*(role for role in (child.base, child.donor) if role))
        ]

    @property
    def shown(self) -> str:
        """The child on the stage: the chosen one, or another where a photograph is missing.

        Empty where there is none, or where a crop has to be settled first.
        """
        possible, chosen = self.children(), CHILDREN[self.child]
        if self.child in possible:
            return self.child
        seated = [self.seats[role] for role in (chosen.base, chosen.donor) if role in self.seats]
        return "" if any(seat.doubt for seat in seated) else next(iter(possible), "")

    @property
    def place(self) -> tuple[float, float]:
        """Where the chosen cell lies in the unit square of the four exemplars, x and y."""
        row, column = divmod(min(self.cell, self.side**2 - 1), self.side)
        return column / (self.side - 1), row / (self.side - 1)


def without(values: Mapping[str, float], name: str) -> dict[str, float]:
    """Return the values of all other names."""
    return {key: value for key, value in values.items() if key != name}


def _path(draft: Draft, role: str) -> str:
    return draft.seats[role].path if role in draft.seats else ""


U = TypeVar("U")


@dataclass(frozen=True)
class Timeline(Generic[U]):
    """The present draft between those that undo and redo lead to.

    Attributes:
        present: What is shown.
        past: What undo leads to, the nearest last.
        future: What redo leads to, the nearest first.
        drag: The control whose move made the present draft; empty where it was something else.
    """

    present: U
    past: tuple[U, ...] = ()
    future: tuple[U, ...] = ()
    drag: str = ""

    def then(self, draft: U, drag: str = "") -> Self:
        """Go on with another draft.

        Args:
            draft: What is shown next.
            drag: The control that is dragged, if one is: its moves in a row are undone as one.
        """
        if draft == self.present:
            return self
        if drag and drag == self.drag:
            return replace(self, present=draft, future=())
        past = (*self.past, self.present)[-MOST_DRAFTS:]
        return replace(self, present=draft, past=past, future=(), drag=drag)

    def undo(self) -> Self:
        """Go one draft back, if there is one."""
        if not self.past:
            return self
        future = (self.present, *self.future)
        return replace(self, present=self.past[-1], past=self.past[:-1], future=future, drag="")

    def mended(self, heal: Callable[[U], U]) -> Self:
        """Return a timeline of drafts that can be shown: the present healed, the others sound."""
        past, future = (
            tuple(draft for draft in drafts if heal(draft) == draft)
            for drafts in (self.past, self.future)
        )
        mended = replace(self, present=heal(self.present), past=past, future=future)
        return self if mended == self else mended

    def redo(self) -> Self:
        """Take an undo back, if there was one."""
        if not self.future:
            return self
        past = (*self.past, self.present)
        return replace(self, present=self.future[0], past=past, future=self.future[1:], drag="")


@dataclass(frozen=True)
class History(Timeline[Draft]):
    """The timeline of a swap."""

    present: Draft = field(default_factory=Draft)
