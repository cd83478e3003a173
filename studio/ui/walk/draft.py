"""What a visitor has set up between pictures, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from studio.interpolation import BILINEAR, MOST_MODELS, Place
from studio.ui.draft import Seat, Timeline

CORNERS = ("a", "b", "c", "d")

Mode = Literal["strip", "grid"]


@dataclass(frozen=True)
class Walk:
    """Everything a visitor can set.

    Attributes:
        seats: The pictures, by corner.
        checkpoint: Whose picture is on the stage, and whose grid; empty where there is none.
        rows: Checkpoints of the strip, in order; the one on the stage among them.
        mode: A ``strip`` through the pictures, or a ``grid`` between four.
        path: One of ``latents.PATHS``.
        frames: Pictures of the strip.
        side: Pictures along a side of the grid.
        place: Where the dot is, x and y in [0, 1]; in a strip y means nothing.
        last: Corner that got its picture last.
        moves: Steps of one's own sliders by name, in deviations; they move all pictures.
    """

    seats: Mapping[str, Seat] = field(default_factory=dict)
    checkpoint: str = ""
    rows: tuple[str, ...] = ()
    mode: Mode = "strip"
    path: str = "linear"
    frames: int = 9
    side: int = 9
    place: Place = (0.5, 0.5)
    last: str = "d"
    moves: Mapping[str, float] = field(default_factory=dict)

    @property
    def turn(self) -> str:
        """The corner that the next sample takes: the first empty one, or one after another."""
        empty = [corner for corner in CORNERS if corner not in self.seats]
        following = CORNERS[(CORNERS.index(self.last) + 1) % len(CORNERS)]
        return empty[0] if empty else following

    @property
    def seated(self) -> list[str]:
        """The corners that have a picture, in order."""
        return [corner for corner in CORNERS if corner in self.seats]

    @property
    def doubtful(self) -> list[str]:
        """The corners whose crop has to be looked at first."""
        return [corner for corner in self.seated if self.seats[corner].doubt]

    @property
    def ready(self) -> bool:
        """Whether there is something to interpolate between."""
        enough = len(self.seated) == 4 if self.mode == "grid" else len(self.seated) >= 2
        return bool(self.checkpoint) and enough and not self.doubtful

    @property
    def kind(self) -> str:
        """The kind that ``interpolation.decode`` takes."""
        return BILINEAR if self.mode == "grid" else self.path

    def seat(self, corner: str, seat: Seat | None) -> "Walk":
        """Return a walk with another picture at a corner, or with none."""
        seats = {name: other for name, other in self.seats.items() if name != corner}
        if seat is not None:
            seats[corner] = seat
        return replace(self, seats=seats, last=corner)

    def show(self, checkpoint: str) -> "Walk":
        """Put a checkpoint on the stage; one that is no row takes the place of the one before."""
        rows = self.rows
        if checkpoint not in rows:
            rows = tuple(checkpoint if name == self.checkpoint else name for name in rows)
        if checkpoint not in rows:
            rows = (checkpoint, *rows)[:MOST_MODELS]
        # One's own sliders belong to one checkpoint.
        moves = self.moves if checkpoint == self.checkpoint else {}
        return replace(self, checkpoint=checkpoint, rows=rows, moves=moves)

    def compare(self, others: list[str]) -> "Walk":
        """Choose the rows beside the checkpoint on the stage; those that stay keep their place."""
        wanted = {self.checkpoint, *others}
        stay = [name for name in self.rows if name in wanted]
        rows = [*stay, *(name for name in others if name not in stay)]
        return replace(self, rows=tuple(rows[:MOST_MODELS]))


@dataclass(frozen=True)
class Walks(Timeline[Walk]):
    """The timeline of an interpolation."""

    present: Walk = field(default_factory=Walk)
