"""From a view to its map: data sets, maps in memory, pictures of points, places between them."""

import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from studio import images, paths
from studio.checkpoints import Card
from studio.data.folder import DataSet
from studio.editing import Encoded
from studio.errors import UnsupportedError
from studio.explore import labels, maps
from studio.explore.charting import MapRequest, chart
from studio.explore.labels import Column
from studio.explore.maps import Map
from studio.images import Picture
from studio.methods.base import Operation
from studio.ui import bench as photos
from studio.ui.atlas.draft import OWN, View
from studio.ui.components import contact_sheet
from studio.ui.context import Context
from studio.ui.draft import Draft, Seat
from studio.ui.seats import seat_row
from studio.ui.sets import EXAMPLE, opened, sets, version_of

_ENCODE = frozenset({Operation.SWAP, Operation.EDIT, Operation.INTERPOLATE})
_PAUSE = 0.25
# A map that is there already appears without a word in between.
_AT_ONCE = 0.6


def encoders(context: Context) -> list[Card]:
    """List the checkpoints that encode, those for faces first."""
    cards = [card for card in context.store.cards() if card.entry.operations & _ENCODE]
    return sorted(cards, key=lambda card: (not card.spec.shows_faces, "heads" not in card.name))


def _place(view: View) -> Path:
    return Path(view.location) if view.location else EXAMPLE


def open_data(context: Context, view: View) -> DataSet:
    """Open a view's data set.

    Raises:
        DataError: It cannot be read.
    """
    return opened(context, _place(view), view.version)


def first_view(context: Context, view: View) -> View:
    """Return the view with what is missing in it: a checkpoint, a colour."""
    if not view.request.checkpoint:
        cards = encoders(context)
        name = cards[0].name if cards else ""
        view = replace(view, request=replace(view.request, checkpoint=name))
    if not view.location and not EXAMPLE.is_file():
        names = sets(labelled=False)
        view = replace(view, location=str(paths.data() / names[0]) if names else "")
    return settle(context, view)


def parts(context: Context, checkpoint: str) -> list[str]:
    """List the parts of a checkpoint's latents; none where there is only one."""
    names = context.memory.get(
        ("parts", checkpoint), lambda: _parts(context, checkpoint), lambda _: 256
    )
    return list(names) if len(names) > 1 else []


def _parts(context: Context, checkpoint: str) -> tuple[str, ...]:
    loaded = context.models.get(checkpoint)
    size = loaded.card.spec.size
    grey = images.to_images(np.full((1, size, size, 3), 127, np.uint8))
    return tuple(loaded.model.encode(grey.to(context.models.device)))


def settle(context: Context, view: View) -> View:
    """Look what the data is now; leave a part that the checkpoint has, and a colour it has."""
    view = replace(view, version=version_of(_place(view)))
    request = view.request
    if request.part and request.part not in parts(context, request.checkpoint):
        view = replace(view, request=replace(request, part=""))
    return replace(view, colour=labels.first(open_data(context, view), view.colour))


# Maps.


@dataclass(eq=False)
class Drawing:
    """One map that is being drawn for one visitor; a handle, not to be copied.

    Attributes:
        view: What is drawn.
        stop: Set by whoever wants it to end.
        done: Whether the map is there.
        state: What is done, how much of it, and how much there is.
    """

    view: View
    stop: threading.Event = field(default_factory=threading.Event)
    done: bool = False
    state: tuple[str, int, int] = ("", 0, 0)
    _first: tuple[str, float, int] = ("", 0.0, 0)

    def progress(self, what: str, done: int, total: int) -> None:
        """Take how far it is."""
        if what != self._first[0]:
            self._first = what, time.monotonic(), done
        self.state = what, done, total

    def status(self) -> str:
        """Say how far it is, and how long this part of it takes."""
        what, done, total = self.state
        if not what:
            return "Loading the model and the pictures."
        if not total:
            return f"{what}."
        _, began, before = self._first
        far, seconds = f"{what}: {done:,} of {total:,}", time.monotonic() - began
        if done <= before or seconds < 1:
            return f"{far}."
        return f"{far}, about {math.ceil((total - done) * seconds / (done - before))} s left."


def carry_out(context: Context, drawing: Drawing) -> Iterator[str]:
    """Draw in a thread of its own, and say several times a second how far it is.

    Whoever closes this iterator stops the drawing.

    Raises:
        StudioError: The map cannot be drawn, or was stopped.
    """
    with ThreadPoolExecutor(1, "explore") as pool:
        # The thread works for whoever asked.
        work: Future[Map] = pool.submit(
            copy_context().run, found, context, drawing.view, drawing.progress, drawing.stop.is_set
        )
        try:
            pause = _AT_ONCE
            while wait([work], pause).not_done:
                pause = _PAUSE
                yield drawing.status()
        except GeneratorExit:
            drawing.stop.set()
            raise
    work.result()


def found(
    context: Context,
    view: View,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Map:
    """Return the map of a view, drawing it if it was not drawn yet.

    Raises:
        StudioError: It cannot be drawn, or was stopped.
    """
    data = open_data(context, view)
    return context.memory.get(
        ("map", *view.charted),
        lambda: chart(context.models, view.request, data, progress, stopped),
        lambda made: made.points.nbytes + made.scores.nbytes + made.pca.axes.nbytes,
    )


def column(context: Context, view: View) -> Column:
    """Return what colours the points of a view's map."""
    drawn = found(context, view)
    return context.memory.get(
        ("colour", *view.charted, drawn.codes.key, view.colour),
        lambda: labels.column(drawn.codes.data, view.colour, drawn.scores, drawn.seed),
        lambda made: made.codes.nbytes,
    )


def remember(context: Context, view: View) -> str:
    """Keep what a map was drawn from under a name that nobody can guess."""
    token: str = context.memory.get(
        ("atlas", *view.charted), lambda: uuid.uuid4().hex, lambda _: 128
    )
    context.memory.get(("atlas", token), lambda: view, lambda _: 4096)
    return token


def recall(context: Context, token: str) -> Map:
    """Return the map of a name.

    Raises:
        UnsupportedError: It was forgotten.
        StudioError: It cannot be drawn any more.
    """

    def lost() -> View:
        raise UnsupportedError("This map was drawn too long ago; choose a setting to draw it anew.")

    return found(context, context.memory.get(("atlas", token), lost, lambda _: 0))


# Pictures.


def thumbnails(drawn: Map, rows: Sequence[int], size: int) -> Picture:
    """Return the points' pictures on one sheet; one that cannot be read any more is grey."""
    return contact_sheet(rows, size, lambda row: maps.picture(drawn, row, size))


def spot(context: Context, drawn: Map, x: float, y: float, rest: int) -> tuple[maps.Spot, Picture]:
    """Return what lives at a place, and the (S, S, 3) picture of it."""
    there = drawn.at(x, y, rest)
    picture: Picture = maps.decode(context.models, drawn, there.latents)[0]
    return there, picture


def own_place(context: Context, view: View) -> tuple[list[float], maps.Neighbours] | None:
    """Return where the visitor's photograph lies, and its neighbours; None without one."""
    if view.photo is None or view.photo.doubt:
        return None
    drawn = found(context, view)
    point, near = drawn.place(own_encoded(context, view).latents)
    return [float(number) for number in point], near


def own_encoded(context: Context, view: View) -> Encoded:
    """Return the visitor's photograph as the map's checkpoint sees it."""
    place = photos.ground(context, Draft(seats=view.seats), OWN)
    return photos.encoded(context, view.request.checkpoint, place)


# On to other tabs.


def seat_point(drawn: Map, row: int) -> Seat:
    """Seat a point's own picture as the crop that it is.

    Raises:
        DataError: It cannot be read any more.
    """
    return seat_row(drawn.codes.data, drawn.check_row(row))


def request_of(view: View, **changes: Any) -> View:
    """Return a view whose map is drawn otherwise."""
    request: MapRequest = replace(view.request, **changes)
    return replace(view, request=request)
