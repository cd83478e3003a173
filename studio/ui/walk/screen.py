"""What the interpolation tab shows for a walk, as plain values for its components."""

import math
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from studio import editing, images
from studio.checkpoints import Card
from studio.errors import UnsupportedError
from studio.images import Picture
from studio.interpolation import CROSS_FADE, Place
from studio.ui import bench as photos
from studio.ui import screen as photo_screen
from studio.ui.components import data_uri, method_label, sharp_uri, trained_on
from studio.ui.context import Context
from studio.ui.walk import bench, samples
from studio.ui.walk.draft import CORNERS, Walk

NO_CHECKPOINT = (
    "There is no checkpoint that can interpolate yet. Train one with `latent-studio train --method "
    "aeai`, or copy its folder into checkpoints/ and reload the page."
)
EMPTY = "Add pictures A and B, choose two samples on the left, or click one of the examples."
FADE_LABEL = "Pixel cross-fade"
_ALL_CORNERS = ("upper left", "upper right", "lower left", "lower right")
_FRAME_SIDE = 96


class Column(NamedTuple):
    """A number beside a row.

    Attributes:
        name: Field of ``Quality``.
        head: Over the column.
        help: How to read it.
        text: Writes the number.
        best: Chooses the best one of several.
    """

    name: str
    head: str
    help: str
    text: Callable[[float], str]
    best: Callable[[Sequence[float]], float]


COLUMNS = (
    Column(
        "boundary_error", "Ends off",
        "How far the path's first and last picture are from yours: mean difference of a pixel, of "
        "the whole range from black to white. Below 2 % is good. (Boundary error)",
        lambda value: f"{value / 2:.1%}", min,
    ),
    Column(
        "monotonicity_violations", "Turns back",
        "How many steps lead away from the goal instead of towards it. 0 % is good. "
        "(Monotonicity violations)",
        lambda value: f"{value:.0%}", min,
    ),
    Column(
        "step_ratio", "Longest step",
        "The largest change from one picture to the next, compared with the mean. 1 is an even "
        "pace, up to 1.5 is good; much more is a jump. (Step ratio)",
        lambda value: f"{value:.1f} x", min,
    ),
    Column(
        "realness", "Looks real",
        "How many of the pictures in between a separately trained network takes for real. 90 % or "
        "more is good; a dash means that these pictures have no such network. (Credibility)",
        lambda value: f"{value:.0%}", max,
    ),
)  # fmt: skip


def about(card: Card) -> str:
    """Say in one line what a checkpoint does."""
    size = card.spec.size
    return f"{card.entry.summary} Draws {size} × {size} pixels.{trained_on(card)}"  # noqa: RUF001


def drop(context: Context, walk: Walk, corner: str) -> dict[str, Any]:
    """Describe a corner's place: the picture, its crop, and what is to be said about it."""
    value: dict[str, Any] = {
        "title": f"Picture {corner.upper()}",
        "hint": _hint(walk, corner),
        "compact": True,
    }
    seat = walk.seats.get(corner)
    if seat is None:
        return value
    place = bench.ground(context, walk, corner)
    value |= photo_screen.seated(context, seat, place)
    if walk.checkpoint and not seat.doubt:
        card = context.store.card(walk.checkpoint)
        verdict = editing.verdict(card, photos.encoded(context, walk.checkpoint, place))
        value |= {"level": verdict.level, "verdict": verdict.sentence}
    return value


def _hint(walk: Walk, corner: str) -> str:
    if walk.mode == "grid":
        return _ALL_CORNERS[CORNERS.index(corner)]
    if corner not in walk.seats:
        return "" if corner in CORNERS[:2] else "if you like"
    if corner == walk.seated[0]:
        return "the start"
    return "the end" if corner == walk.seated[-1] else "on the way"


def sample_row(context: Context, walk: Walk) -> dict[str, Any]:
    """Describe the pictures that a click takes."""
    if not walk.checkpoint:
        return {"items": []}
    card = context.store.card(walk.checkpoint)
    kind = samples.kind_of(card)
    items = []
    for name in samples.names(context, kind):
        seat = samples.seat(context, kind, name, card.spec.size)
        place = bench.ground(context, Walk(seats={"a": seat}), "a")
        items.append({"src": data_uri(photos.face_crop(place, 72)), "label": seat.name})
    return {"items": items, "chosen": -1, "columns": 6, "grid": True}


def stage(context: Context, walk: Walk) -> dict[str, Any]:
    """Describe the stage: the picture under the dot, the pad, and what the cross-fade needs."""
    missing = _missing(walk)
    if missing:
        return {"caption": missing}
    card = context.store.card(walk.checkpoint)
    own = bench.corners(context, walk, walk.checkpoint)
    value = {
        "token": remember(context, walk),
        "mode": walk.mode,
        "place": list(walk.place),
        "size": card.spec.size,
        "label": method_label(card),
        "fade": FADE_LABEL,
        "corners": [
            {"src": sharp_uri(one.crop), "label": corner.upper()}
            for one, corner in zip(own, walk.seated, strict=True)
        ],
        "picture": sharp_uri(bench.under_dot(context, walk)),
        "note": _sizes(walk, card.spec.size),
    }
    if walk.mode == "grid":
        value |= {"side": walk.side, "map": data_uri(bench.grid(context, walk), 88)}
    return value


def _missing(walk: Walk) -> str:
    """Say what is missing, or nothing."""
    if not walk.checkpoint:
        return NO_CHECKPOINT
    if walk.doubtful:
        named = photo_screen.listed([f"Picture {corner.upper()}" for corner in walk.doubtful])
        return f"Check the crop of {named} on the left, then the path appears here."
    if walk.ready:
        return ""
    if not walk.seated:
        return EMPTY
    needed = CORNERS if walk.mode == "grid" else CORNERS[:2]
    absent = [f"Picture {corner.upper()}" for corner in needed if corner not in walk.seats]
    named = photo_screen.listed(absent)
    if walk.mode == "grid":
        return f"A grid lies between four pictures: add {named}, or make a strip of those there."
    return f"Add {named} to see what lies between."


def _sizes(walk: Walk, size: int) -> str:
    """Say that pictures of several sizes were brought to one; nothing where they are alike."""
    sides = {min(seat.width, seat.height) for seat in walk.seats.values()}
    if len(sides) < 2:
        return ""
    return f"Your pictures differ in size; the model sees each at {size} × {size} pixels."  # noqa: RUF001


def remember(context: Context, walk: Walk) -> str:
    """Keep a walk for the dot, which moves beside the queue, under a name nobody can guess."""
    token = uuid.uuid4().hex
    context.memory.get(("walk", token), lambda: walk, lambda _: 4096)
    return token


def recall(context: Context, token: str) -> Walk:
    """Return a walk that was kept.

    Raises:
        UnsupportedError: It was not, or too long ago.
    """

    def lost() -> Walk:
        raise UnsupportedError("The pictures were set up too long ago; move on to set them again.")

    return context.memory.get(("walk", token), lost, lambda _: 0)


def rows(context: Context, walk: Walk) -> dict[str, Any]:
    """Describe the rows: a strip of each checkpoint and of the cross-fade, with their numbers."""
    if _missing(walk):
        return {"rows": []}
    names = [*(walk.rows if walk.mode == "strip" else [walk.checkpoint]), CROSS_FADE]
    found = [bench.quality(context, walk, name) for name in names]
    numbers = [
        [getattr(quality, column.name) for column in COLUMNS] for quality in found
    ]  # rows of four
    best = [_best(column, numbers[:-1], k) for k, column in enumerate(COLUMNS)]
    return {
        "heads": [[column.head, column.help] for column in COLUMNS],
        "chosen": _chosen(walk, names),
        "rows": [
            _row(context, walk, name, values, best)
            for name, values in zip(names, numbers, strict=True)
        ],
    }


def _row(
    context: Context, walk: Walk, name: str, values: Sequence[float], best: Sequence[float]
) -> dict[str, Any]:
    fade = name == CROSS_FADE
    return {
        "label": FADE_LABEL if fade else method_label(context.store.card(name)),
        "fade": fade,
        "stage": name == walk.checkpoint,
        "frames": _frames(bench.strip(context, walk, name)) if walk.mode == "strip" else [],
        "numbers": [
            ["—" if math.isnan(value) else column.text(value), value == top and not fade]
            for value, column, top in zip(values, COLUMNS, best, strict=True)
        ],
    }


def _best(column: Column, numbers: Sequence[Sequence[float]], k: int) -> float:
    """Return the best number of a column; NaN, which equals nothing, where there is no contest."""
    known = [values[k] for values in numbers if not math.isnan(values[k])]
    return column.best(known) if len(set(known)) > 1 else math.nan


def _chosen(walk: Walk, names: Sequence[str]) -> list[int]:
    """Return row and column of the frame on the stage, or nothing where the dot lies between."""
    column = walk.place[0] * (walk.frames - 1)
    if walk.mode == "grid" or abs(column - round(column)) > 1e-3:
        return []
    return [names.index(walk.checkpoint), round(column)]


def _frames(pictures: Picture) -> list[str]:
    side = max(_FRAME_SIDE, pictures.shape[1])
    return [data_uri(images.resize(one, side)) for one in pictures]


def place_of(walk: Walk, column: int) -> Place:
    """Return where a frame of the strip lies."""
    return float(np.linspace(0, 1, walk.frames)[column]), walk.place[1]


def example_row(context: Context) -> dict[str, Any]:
    """Describe the examples: each by its corners, in halves or in quarters."""
    items = []
    for example in samples.available(context):
        walk = samples.walk(context, example)
        crops = [
            photos.face_crop(bench.ground(context, walk, corner), 112) for corner in walk.seated
        ]
        items.append({"src": data_uri(_joined(crops)), "label": example.label})
    return {"items": items, "chosen": -1}


def _joined(crops: Sequence[Picture]) -> Picture:
    """Show the left half of the first picture beside the right one of the second; four likewise."""
    half = crops[0].shape[0] // 2
    joined = crops[0].copy()
    joined[:, half:] = crops[1][:, half:]
    if len(crops) == 4:
        joined[half:, :half], joined[half:, half:] = crops[2][half:, :half], crops[3][half:, half:]
        joined[half - 1 : half + 1] = 255
    joined[:, half - 1 : half + 1] = 255
    return joined
