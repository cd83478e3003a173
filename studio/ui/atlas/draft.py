"""What a visitor of the explorer has set up, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from studio.explore.charting import MapRequest
from studio.ui.draft import Seat, Timeline

OWN = "own"


@dataclass(frozen=True)
class View:
    """Everything a visitor can set.

    Attributes:
        location: Where the data set is; empty for the rendered example.
        request: What decides where the points lie; without a checkpoint there is no map.
        colour: Key of what colours the points.
        photo: The visitor's own photograph, or None.
        version: Of the data set when its map was asked for.
        upload: Where the zip is that was uploaded last; it stays on offer.
    """

    location: str = ""
    request: MapRequest = field(default_factory=lambda: MapRequest(""))
    colour: str = ""
    photo: Seat | None = None
    version: str = ""
    upload: str = ""

    @property
    def seats(self) -> Mapping[str, Seat]:
        """The photograph in the role that the places for photographs know."""
        return {} if self.photo is None else {OWN: self.photo}

    def seat(self, role: str, seat: Seat | None) -> "View":
        """Return a view with another photograph, or with none."""
        del role
        return replace(self, photo=seat)

    @property
    def charted(self) -> tuple[str, str, MapRequest]:
        """What the places of the points depend on."""
        return self.location, self.version, self.request


@dataclass(frozen=True)
class Views(Timeline[View]):
    """The timeline of an exploration."""

    present: View = field(default_factory=View)
