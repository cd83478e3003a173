"""What the swap tab shows for a draft, as plain values for its components."""

import hashlib
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from studio import editing, images
from studio.checkpoints import Card
from studio.images import Picture
from studio.ui import bench, own
from studio.ui.bench import Edit, Ground
from studio.ui.components import bare_object, data_uri, sharp_uri
from studio.ui.context import Context
from studio.ui.draft import CHILDREN, DONOR, EXEMPLARS, RECEIVER, ROLES, Draft, Seat

_PHOTO_SIDE = 560
_CROP_SIDE = 144
# The frame of the close-up is wider than the crop by this factor.
_CLOSE_UP = 1.3
_TITLES = {
    "receiver": "Photo A",
    "donor": "Photo B",
    "donor2": "Photo C",
    "donor3": "Photo D",
    "donor4": "Photo E",
}
_CORNERS = ("upper left", "upper right", "lower left", "lower right")

EMPTY = "Add photo A and photo B, or click one of the examples."
NO_CHECKPOINT = (
    "There is no checkpoint that can swap yet. Train one with `latent-studio train`, or copy its "
    "folder into checkpoints/ and reload the page."
)


@dataclass(frozen=True, eq=False)
class Screen:
    """All that depends on the draft.

    Attributes:
        drops: Value of each role's place, by role.
        stage: Value of the stage.
        strip: Value of the pictures under it.
        subject: What the checkpoint swaps, without an article.
        has_strength: Whether the strength changes what is on the stage.
        steps: What was applied so far, one sentence each.
    """

    drops: dict[str, dict[str, Any]]
    stage: dict[str, Any]
    strip: dict[str, Any]
    subject: str
    has_strength: bool
    steps: list[str]


def screen(context: Context, draft: Draft) -> Screen:
    """Compute everything that a draft shows.

    Raises:
        StudioError: A checkpoint cannot be used, or a photograph is gone.
    """
    card = context.store.card(draft.checkpoint) if draft.checkpoint else None
    return Screen(
        drops={role: drop(context, draft, role, card) for role in ROLES},
        stage=stage(context, draft),
        strip=strip(context, draft),
        subject=bare_object(card) if card else "object",
        has_strength=draft.mode == "blend" or bool(draft.shown and CHILDREN[draft.shown].donor),
        steps=[_step_sentence(context, draft, index) for index in range(len(draft.applied))],
    )


def drop(context: Context, draft: Draft, role: str, card: Card | None) -> dict[str, Any]:
    """Describe a role's place: the photograph, its crop, and what is to be said about it."""
    value: dict[str, Any] = {
        "title": _TITLES[role],
        "hint": _hint(draft, role, card),
        "compact": role != RECEIVER and draft.mode == "blend",
    }
    seat = draft.seats.get(role)
    if seat is None:
        return value
    place = bench.ground(context, Draft(seats={role: seat}), role)
    value |= seated(context, seat, place)
    if card and not seat.doubt:
        value |= _judgement(context, draft, role, card, place)
    return value


def seated(context: Context, seat: Seat, place: Ground) -> dict[str, Any]:
    """Describe a photograph that is there, and its crop."""
    return {
        "photo": data_uri(images.fit(place.photo.visible(), _PHOTO_SIDE), 85),
        "ratio": place.photo.pixels.shape[0] / place.photo.pixels.shape[1],
        "frame": frame(seat),
        "crop": data_uri(bench.face_crop(place, _CROP_SIDE)),
        "doubt": seat.doubt,
        **_faces(context, seat),
    }


def _hint(draft: Draft, role: str, card: Card | None) -> str:
    if role == RECEIVER:
        return "the one to change"
    if card is None or draft.mode == "swap":
        return f"gives its {bare_object(card)}" if card else ""
    return _CORNERS[EXEMPLARS.index(role)]


def _judgement(
    context: Context, draft: Draft, role: str, card: Card, place: Ground
) -> dict[str, str]:
    own = bench.encoded(context, draft.checkpoint, place)
    verdict = editing.verdict(card, own)
    warning = editing.donor_warning(card, own) if role != RECEIVER else ""
    return {"level": verdict.level, "verdict": verdict.sentence, "warning": warning}


def _faces(context: Context, seat: Seat) -> dict[str, Any]:
    """Describe the faces to choose from, where there are several."""
    if not seat.detected:
        return {}
    found = bench.faces(context, seat.path)
    if len(found) < 2:
        return {}
    photo = bench.preview(context, seat.path)
    places = [Ground(photo, face.alignment, None) for face in found]
    return {"faces": [data_uri(bench.face_crop(one, 64)) for one in places], "chosen": seat.face}


def frame(seat: Seat) -> dict[str, float]:
    """Return a crop's middle, side and angle; lengths as parts of the photograph's width."""
    (x0, y0), _, (x1, y1), _ = seat.alignment.corners() / seat.width
    return {
        "x": float(x0 + x1) / 2,
        "y": float(y0 + y1) / 2,
        "side": seat.alignment.side / seat.width,
        "angle": seat.alignment.angle,
    }


def stage(context: Context, draft: Draft, *, with_base: bool = True) -> dict[str, Any]:
    """Describe the stage.

    Args:
        context: The shared context.
        draft: What is set.
        with_base: Whether to send the photograph too; the stage keeps the one that it has.
    """
    made = _made(context, draft)
    if made is None:
        return _unedited_stage(context, draft)
    serial = " ".join([f"{draft.strength:.2f}", *own.words(draft.moves)])
    return edited(context, made, caption(context, draft), serial, with_base=with_base)


def edited(
    context: Context, made: Edit, words: str, serial: str, *, with_base: bool
) -> dict[str, Any]:
    """Describe a stage with an edit on it.

    Args:
        context: The shared context.
        made: The edit.
        words: The caption.
        serial: Tells this picture from others; the stage says which one it has painted.
        with_base: As for :func:`stage`.
    """
    place = made.ground
    changed = bench.patch(context, made)
    height, width = place.photo.pixels.shape[:2]
    tall, wide = changed.pixels.shape[:2]
    value = {
        "key": _ground_key(place),
        "base": data_uri(place.photo.visible()) if with_base else "",
        "ratio": width / height,
        "face": _close_up(place),
        "caption": words,
        "model": model_output(made.edited),
        "serial": serial,
    }
    if changed.pixels.size:
        value["patch"] = {
            "src": data_uri(changed.pixels),
            "left": changed.x / width,
            "top": changed.y / height,
            "width": wide / width,
            "height": tall / height,
        }
    return value


def _made(context: Context, draft: Draft) -> Edit | None:
    """Return the edit on the stage, or None where something is missing."""
    if not draft.checkpoint:
        return None
    if draft.mode == "blend":
        if not draft.ready(RECEIVER, *EXEMPLARS):
            return None
        return bench.blend(context, draft, [draft.place])[0]
    return bench.edit(context, draft, draft.shown) if draft.shown else None


def _unedited_stage(context: Context, draft: Draft) -> dict[str, Any]:
    """Show the photograph that is there, and say what is missing."""
    sentence = _missing(draft)
    present = [role for role in (RECEIVER, DONOR) if role in draft.seats]
    # A crop that needs a look is best judged on a large picture.
    present.sort(key=lambda role: not draft.seats[role].doubt)
    role = next(iter(present), None)
    if role is None:
        return {"caption": sentence}
    place = bench.ground(context, draft, role)
    return unedited(place, sentence, f"{draft.strength:.2f}")


def unedited(place: Ground, words: str, serial: str) -> dict[str, Any]:
    """Describe a stage with a photograph as it is; arguments as for :func:`edited`."""
    height, width = place.photo.pixels.shape[:2]
    return {
        "key": _ground_key(place),
        "base": data_uri(place.photo.visible()),
        "ratio": width / height,
        "face": _close_up(place),
        "caption": words,
        "serial": serial,
    }


def _missing(draft: Draft) -> str:
    if not draft.checkpoint:
        return NO_CHECKPOINT
    needed = (RECEIVER, *EXEMPLARS) if draft.mode == "blend" else (RECEIVER, DONOR)
    doubtful = [_TITLES[role] for role in needed if role in draft.seats and draft.seats[role].doubt]
    if doubtful:
        return f"Check the crop of {listed(doubtful)} on the left, then the edit appears here."
    absent = [_TITLES[role] for role in needed if role not in draft.seats]
    if draft.mode == "swap" and len(absent) == 2:
        return EMPTY
    return f"Add {listed(absent)} to see the result."


def listed(titles: list[str]) -> str:
    """Name things in a sentence: the first, the second and the third."""
    *most, last = [title[0].lower() + title[1:] for title in titles]
    return f"{', '.join(most)} and {last}" if most else last


def _ground_key(place: Ground) -> str:
    return hashlib.sha256(repr(place.key).encode()).hexdigest()[:16]


def _close_up(place: Ground) -> dict[str, float]:
    """Return the box around the face that the close-up shows, as parts of the photograph."""
    height, width = place.photo.pixels.shape[:2]
    x0, y0, x1, y1 = place.alignment.box()
    wide, tall = (x1 - x0) * _CLOSE_UP / width, (y1 - y0) * _CLOSE_UP / height
    return {
        "x": (x0 + x1) / 2 / width - wide / 2,
        "y": (y0 + y1) / 2 / height - tall / 2,
        "width": wide,
        "height": tall,
    }


def model_output(made: Tensor) -> dict[str, str]:
    """Describe a (1, 3, S, S) picture as the model draws it."""
    picture: Picture = images.to_pictures(made.cpu())[0]
    size = picture.shape[0]
    return {
        "src": sharp_uri(picture),
        "caption": f"Model output, {size} × {size} pixels, enlarged",  # noqa: RUF001
    }


def caption(context: Context, draft: Draft) -> str:
    """Say what is on the stage."""
    card = context.store.card(draft.checkpoint)
    if draft.mode == "blend":
        x, y = draft.place
        words = [f"A with a blend of four ({bare_object(card)}): {x:.0%} right, {y:.0%} down"]
    else:
        words = [child_label(draft.shown, editing.object_name(card))]
        if CHILDREN[draft.shown].donor:
            words.append(f"strength {draft.strength:.2f}")
    return ", ".join([*words, *own.words(own.living(draft.checkpoint, draft.moves))])


def child_label(key: str, subject: str) -> str:
    """Name a child of a pair."""
    bare = subject.removeprefix("a ")
    return {
        "receives": f"A with B's {bare}",
        "gives": f"B with A's {bare}",
        "without": f"A without {subject}",
        "donor-without": f"B without {subject}",
    }[key]


def strip(context: Context, draft: Draft) -> dict[str, Any]:
    """Describe the pictures under the stage: the children of a pair, or the cells of a blend."""
    if not draft.checkpoint:
        return {"items": []}
    if draft.mode == "blend":
        return _cells(context, draft)
    subject = editing.object_name(context.store.card(draft.checkpoint))
    keys = draft.children()
    items = [
        {
            "src": data_uri(bench.thumbnail(context, bench.edit(context, draft, key))),
            "label": child_label(key, subject),
        }
        for key in keys
    ]
    chosen = keys.index(draft.shown) if draft.shown else -1
    return {"items": items, "chosen": chosen, "columns": len(CHILDREN)}


def _cells(context: Context, draft: Draft) -> dict[str, Any]:
    if not draft.ready(RECEIVER, *EXEMPLARS):
        return {"items": []}
    pictures = bench.cell_thumbnails(context, draft)
    items = [
        {
            "src": data_uri(picture),
            "label": f"Row {index // draft.side + 1}, column {index % draft.side + 1}",
        }
        for index, picture in enumerate(pictures)
    ]
    chosen = min(draft.cell, draft.side**2 - 1)
    return {"items": items, "chosen": chosen, "columns": draft.side, "grid": True}


def _step_sentence(context: Context, draft: Draft, index: int) -> str:
    step = draft.applied[index]
    subject = bare_object(context.store.card(step.checkpoint))
    if step.kind == "remove":
        words = [f"{subject.capitalize()} removed"]
    else:
        blended = step.kind == "blend"
        what = "a blend of four" if blended else draft.seats[step.donors[0]].name
        words = [f"{subject.capitalize()} of {what}", f"strength {step.strength:.2f}"]
    return ", ".join([*words, *own.words(step.moves)])
