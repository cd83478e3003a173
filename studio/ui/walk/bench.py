"""From a walk to pictures: encoded corners, strips, grids, the picture under the dot, files.

As in ``studio.ui.bench``, what is derived is kept in the context's memory, so that following the
dot costs one decode.
"""

from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from studio import editing, images, interpolation
from studio.editing import Encoded
from studio.errors import ImageError, UnsupportedError
from studio.images import Photo, Picture
from studio.interpolation import CROSS_FADE, Place, Quality, Style
from studio.ui import bench, own
from studio.ui.bench import Ground
from studio.ui.context import Context
from studio.ui.draft import Draft, Seat
from studio.ui.seats import kept, whole_seat
from studio.ui.walk.draft import CORNERS, Walk


def ground(context: Context, walk: Walk, corner: str) -> Ground:
    """Return a corner's photograph at screen size."""
    return bench.ground(context, Draft(seats={corner: walk.seats[corner]}), corner)


def corners(context: Context, walk: Walk, checkpoint: str) -> list[Encoded]:
    """Encode the pictures once per checkpoint; the cross-fade takes the stage's.

    One's own sliders of the checkpoint on the stage move its pictures, and nobody else's.
    """
    name = walk.checkpoint if checkpoint == CROSS_FADE else checkpoint
    places = [ground(context, walk, corner) for corner in walk.seated]
    found = [bench.encoded(context, name, place) for place in places]
    moves = own.living(name, walk.moves) if name == walk.checkpoint else {}
    if not moves:
        return found
    return [
        context.memory.get(
            ("moved", name, place.key, tuple(sorted(moves.items()))),
            partial(editing.moved, context.models, one, moves),
            bench.encoded_bytes,
        )
        for place, one in zip(places, found, strict=True)
    ]


def _key(context: Context, walk: Walk, checkpoint: str) -> Hashable:
    """Return all that a path depends on, but for the places on it."""
    grounds = tuple(ground(context, walk, corner).key for corner in walk.seated)
    size = context.store.card(walk.checkpoint).spec.size if checkpoint == CROSS_FADE else 0
    stage = checkpoint in (walk.checkpoint, CROSS_FADE)
    moves = tuple(sorted(own.living(walk.checkpoint, walk.moves).items())) if stage else ()
    return checkpoint, size, grounds, walk.kind, moves


def pictures(context: Context, walk: Walk, checkpoint: str, places: Sequence[Place]) -> Picture:
    """Decode pictures at places, (N, S, S, 3)."""
    own = corners(context, walk, checkpoint)
    return images.to_pictures(
        interpolation.decode(context.models, checkpoint, own, places, walk.kind)
    )


def under_dot(context: Context, walk: Walk) -> Picture:
    """Decode the picture at the dot's place, (S, S, 3)."""
    made: Picture = pictures(context, walk, walk.checkpoint, [walk.place])[0]
    return made


def strip(context: Context, walk: Walk, checkpoint: str) -> Picture:
    """Return the pictures of a row, (frames, S, S, 3)."""
    places = [(float(alpha), 0.0) for alpha in np.linspace(0, 1, walk.frames)]
    return context.memory.get(
        ("strip", _key(context, walk, checkpoint), walk.frames),
        lambda: pictures(context, walk, checkpoint, places),
        lambda made: made.nbytes,
    )


def grid(context: Context, walk: Walk) -> Picture:
    """Return the whole grid without gaps, one picture."""

    def make() -> Picture:
        cells = pictures(context, walk, walk.checkpoint, editing.grid_places(walk.side))
        count, size = walk.side, cells.shape[1]
        rows = cells.reshape(count, count, size, size, 3).transpose(0, 2, 1, 3, 4)
        return np.ascontiguousarray(rows.reshape(count * size, count * size, 3))

    key = ("grid", _key(context, walk, walk.checkpoint), walk.side)
    return context.memory.get(key, make, lambda made: made.nbytes)


def quality(context: Context, walk: Walk, checkpoint: str) -> Quality:
    """Measure a row's path, or the sides of the grid."""

    def make() -> Quality:
        name = walk.checkpoint if checkpoint == CROSS_FADE else checkpoint
        judge = interpolation.judge_of(context.models, name)
        own = corners(context, walk, checkpoint)
        return interpolation.measure(context.models, checkpoint, own, walk.kind, judge)

    key = ("quality", _key(context, walk, checkpoint), walk.checkpoint)
    return context.memory.get(key, make, lambda _: 256)


def seat_picture(context: Context, walk: Walk, path: str) -> Seat:
    """Seat an uploaded picture: on its face where the checkpoint knows faces, whole otherwise.

    Raises:
        ImageError: The file is no usable picture.
    """
    photo = images.read_photo(Path(path))
    if walk.checkpoint and context.store.card(walk.checkpoint).spec.shows_faces:
        return bench.seat_photo(context, path, photo)
    return whole_seat(path, photo, Path(path).stem)


def keep_dot(context: Context, walk: Walk) -> Seat:
    """Seat the picture under the dot, so that it can be a corner.

    Raises:
        UnsupportedError: There is no picture yet.
    """
    need(walk)
    photo = Photo(under_dot(context, walk))
    name = f"{walk.checkpoint.partition('.')[0]}-{walk.place[0]:.2f}-{walk.place[1]:.2f}"
    return whole_seat(str(kept(photo, name)), photo, name)


def need(walk: Walk) -> None:
    """Refuse to work on a walk that lacks something.

    Raises:
        UnsupportedError: Pictures or the checkpoint are missing.
        ImageError: A crop has to be settled first.
    """
    if walk.doubtful:
        raise ImageError("Check the crops on the left first; one of them is in doubt.")
    if walk.mode == "grid" and walk.checkpoint:
        interpolation.check_corners(len(walk.seated))
    if not walk.ready:
        raise UnsupportedError(
            "There is nothing between the pictures yet: add two of them, or click an example."
        )


def save(context: Context, walk: Walk, style: Style, target: Path, *, every: bool) -> None:
    """Write what is set up to a file.

    Args:
        context: The shared context.
        walk: What is set up.
        style: How it is written.
        target: Its suffix says the format.
        every: Whether all rows of a strip are in it and the cross-fade, or the stage's alone.

    Raises:
        StudioError: Something is missing, or the result would be too large.
    """
    need(walk)
    names = [*walk.rows, CROSS_FADE] if every and not style.grid else [walk.checkpoint]
    rows = {name: corners(context, walk, name) for name in names}
    interpolation.write(context.models, rows, style, target)


def file_name(walk: Walk) -> str:
    """Name a result after its pictures, without suffix."""
    return "__".join(walk.seats[corner].name for corner in CORNERS if corner in walk.seats)
