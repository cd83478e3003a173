"""What a visitor has set up around one face, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from studio.recipes import Step
from studio.ui.draft import RECEIVER, Draft, Seat, Timeline, without

Mode = Literal["photo", "compose"]
MOST_SHEET = 25


@dataclass(frozen=True)
class Portrait:
    """Everything a visitor can set.

    Attributes:
        photo: The photograph, or None.
        checkpoint: Whose sliders these are; empty where there is none.
        applied: Steps that are done; each worked on the photograph as the one before left it.
        mode: A ``photo`` is edited, or faces are made from attributes alone (``compose``).
        values: Probability by attribute: in a photo of the sliders that were moved, in a composed
            face of those that were asked for.
        held: Attributes that must stay.
        moves: Steps by name of one's own sliders.
        last: Name of the slider that was moved last.
        seed: Of the first composed face.
        variation: How much composed faces of equal attributes differ, in [0, 2].
        count: Composed faces.
        chosen: Index of the composed face on the stage.
    """

    photo: Seat | None = None
    checkpoint: str = ""
    applied: tuple[Step, ...] = ()
    mode: Mode = "photo"
    values: Mapping[str, float] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    moves: Mapping[str, float] = field(default_factory=dict)
    last: str = ""
    seed: int = 0
    variation: float = 1.0
    count: int = 9
    chosen: int = 0

    @property
    def ready(self) -> bool:
        """Whether there is a face whose sliders can be moved."""
        return bool(self.checkpoint and self.photo and not self.photo.doubt)

    @property
    def moved(self) -> bool:
        """Whether any slider stands elsewhere than where it began."""
        return bool(self.values or any(self.moves.values()))

    @property
    def seats(self) -> Mapping[str, Seat]:
        """The photograph in the role that the places for photographs know."""
        return {} if self.photo is None else {RECEIVER: self.photo}

    @property
    def draft(self) -> Draft:
        """The photograph with what was applied, as pictures are made from."""
        return Draft(seats=self.seats, checkpoint=self.checkpoint, applied=self.applied)

    def slide(self, name: str, value: float, *, own: bool = False) -> "Portrait":
        """Move one slider: an attribute's, or one of one's own."""
        if own:
            return replace(self, moves={**self.moves, name: value}, last=name)
        return replace(self, values={**self.values, name: value}, last=name)

    def put_back(self, name: str = "") -> "Portrait":
        """Put one slider back to where it began, or all."""
        if not name:
            return replace(self, values={}, moves={}, last="")
        return replace(
            self, values=without(self.values, name), moves=without(self.moves, name), last=""
        )

    def hold(self, name: str) -> "Portrait":
        """Hold an attribute, or let it go again."""
        if name in self.held:
            return replace(self, held=tuple(one for one in self.held if one != name))
        return replace(self, held=(*self.held, name))

    def seat(self, role: str, seat: Seat | None) -> "Portrait":
        """Return a portrait with another photograph, or with none; what was done goes with it."""
        del role
        same = self.photo is not None and seat is not None and self.photo.path == seat.path
        begun = replace(self, photo=seat)
        return begun if same else replace(begun, applied=(), values={}, moves={}, last="")


@dataclass(frozen=True)
class Portraits(Timeline[Portrait]):
    """The timeline of a face."""

    present: Portrait = field(default_factory=Portrait)
