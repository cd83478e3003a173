"""What the attributes tab shows for a portrait, as plain values for its components."""

import hashlib
import math
from typing import Any

from studio import editing, images, traits
from studio.checkpoints import Card
from studio.errors import StudioError
from studio.methods.base import Operation
from studio.ui import bench as photo_bench
from studio.ui import own, screen
from studio.ui.components import data_uri, sharp_uri, trained_on
from studio.ui.context import Context
from studio.ui.draft import RECEIVER, Draft
from studio.ui.portrait import bench
from studio.ui.portrait.draft import Portrait

# Changes below this are the judge's own noise.
_NOTABLE = 0.05
_STAGE_SIDE = 512
EMPTY = "Add a photo, or click one of the examples: its sliders appear on the right."
NO_CHECKPOINT = (
    "There is no checkpoint with attribute sliders yet. Train one with `latent-studio train "
    "--method attribute-mapping`, or copy its folder into checkpoints/ and reload the page."
)
NO_SLIDERS = "This model has no sliders yet: make your own below, from examples."
_MOVE = "Move a slider: the face follows."


def about(card: Card) -> str:
    """Say in one line what a checkpoint with sliders does."""
    knows = "has the sliders that you make of it"
    if {Operation.EDIT, Operation.GENERATE} & card.entry.operations:
        knows = f"knows {len(card.spec.attributes)} attributes"
    return (
        f"{card.entry.title}: {knows}, sees a face as {card.spec.size} × "  # noqa: RUF001
        f"{card.spec.size} pixels.{trained_on(card)}"
    )


def drop(context: Context, portrait: Portrait) -> dict[str, Any]:
    """Describe the photograph's place."""
    value: dict[str, Any] = {"title": "Your photo", "hint": "the face to change"}
    if portrait.photo is None:
        return value
    place = photo_bench.ground(context, Draft(seats=portrait.seats), RECEIVER)
    value |= screen.seated(context, portrait.photo, place)
    if portrait.checkpoint and not portrait.photo.doubt:
        card = context.store.card(portrait.checkpoint)
        own = photo_bench.encoded(context, portrait.checkpoint, place)
        verdict = editing.verdict(card, own)
        value |= {"level": verdict.level, "verdict": verdict.sentence, "warning": ""}
    return value


def stage(context: Context, portrait: Portrait, *, with_base: bool = True) -> dict[str, Any]:
    """Describe the stage; arguments as for :func:`studio.ui.screen.stage`."""
    if not portrait.checkpoint:
        return {"caption": NO_CHECKPOINT}
    if portrait.mode == "compose":
        return _composed(context, portrait)
    if portrait.photo is None:
        return {"caption": EMPTY}
    if portrait.photo.doubt:
        place = bench.ground(context, portrait)
        return screen.unedited(place, "Check the crop on the left first.", "doubt")
    made = bench.edit(context, portrait)
    return screen.edited(context, made, caption(portrait), serial(portrait), with_base=with_base)


def serial(portrait: Portrait) -> str:
    """Tell what the slider that moved last shows; the page says which one it has painted."""
    value = portrait.values.get(portrait.last, portrait.moves.get(portrait.last))
    return "begun" if value is None else f"{portrait.last} {value:.3f}"


def caption(portrait: Portrait) -> str:
    """Say what the edit on the stage is."""
    moved = [f"{traits.label(name)} {value:.0%}" for name, value in portrait.values.items()]
    moved += own.words(portrait.moves)
    return ", ".join(moved) if moved else _MOVE


def _composed(context: Context, portrait: Portrait) -> dict[str, Any]:
    """Show the chosen face of the sheet, enlarged, and say how large it is."""
    faces = bench.sheet(context, portrait)
    picture = faces[min(portrait.chosen, len(faces) - 1)]
    size = picture.shape[0]
    words = f"Seed {portrait.seed + portrait.chosen}"
    return {
        "key": hashlib.sha256(picture.tobytes()).hexdigest()[:16],
        "base": data_uri(images.resize(picture, _STAGE_SIDE)),
        "ratio": 1,
        "face": None,
        "caption": f"{words}; drawn by the model at {size} × {size} pixels, enlarged",  # noqa: RUF001
        "serial": serial(portrait),
    }


def strip(context: Context, portrait: Portrait) -> dict[str, Any]:
    """Describe the pictures under the stage: composed faces, or the edit by other checkpoints."""
    if not portrait.checkpoint:
        return {"items": []}
    if portrait.mode == "compose":
        faces = bench.sheet(context, portrait)
        items = [
            {"src": sharp_uri(images.resize(one, 128)), "label": f"Seed {portrait.seed + number}"}
            for number, one in enumerate(faces)
        ]
        columns = max(3, math.ceil(math.sqrt(len(items))))
        return {
            "items": items,
            "chosen": min(portrait.chosen, len(items) - 1),
            "columns": columns,
            "grid": True,
        }
    if not portrait.ready or not portrait.moved:
        return {"items": []}
    made = bench.rivals(context, portrait)
    if len(made) < 2:
        return {"items": []}
    items = [
        {
            "src": data_uri(photo_bench.thumbnail(context, one)),
            "label": context.store.card(name).entry.title + f" · {name.partition('.')[2]}",
        }
        for name, one in made
    ]
    return {"items": items, "chosen": 0, "columns": max(4, len(items))}


def sliders(context: Context, portrait: Portrait) -> dict[str, Any]:
    """Describe the sliders: where each stands and where it began, in groups."""
    composing = portrait.mode == "compose"
    if not portrait.checkpoint or not (composing or portrait.ready):
        return {"groups": [], "hint": EMPTY if portrait.checkpoint else NO_CHECKPOINT}
    begun = (
        bench.asked(context, _plain(portrait)) if composing else bench.measured(context, portrait)
    )
    now = bench.asked(context, portrait) if composing else {**begun, **portrait.values}
    groups = [
        {
            "name": group,
            "sliders": [
                {
                    "name": name,
                    "label": traits.label(name),
                    "value": round(now[name], 4),
                    "origin": round(begun[name], 4),
                    "moved": name in portrait.values,
                    "held": name in portrait.held,
                }
                for name in names
            ],
        }
        for group, names in traits.grouped(list(begun)).items()
    ]
    mine = [] if composing else own.entries(portrait.checkpoint, portrait.moves)
    return {
        "groups": groups,
        "hint": "" if groups or mine else NO_SLIDERS,
        "composing": composing,
        "own": mine,
        "reach": own.REACH,
        "presets": [one.label for one in traits.PRESETS if set(one.values) <= set(begun)],
        "notes": traits.contradictions(now) if composing else [],
    }


def _plain(portrait: Portrait) -> Portrait:
    """The same portrait with nothing asked for."""
    return portrait.put_back()


def leaks(context: Context, portrait: Portrait) -> dict[str, Any]:
    """Describe what else the edit changed; empty where nothing was edited."""
    if portrait.mode == "compose" or not portrait.ready or not portrait.moved:
        return {}
    try:
        found = bench.leakage(context, portrait)
    except StudioError:
        return {}
    wanted = list(portrait.values)
    most = [(name, change) for name, change in found.most(wanted) if abs(change) >= _NOTABLE]
    return {
        "changes": {name: round(change, 3) for name, change in found.changes.items()},
        "most": [
            f"{traits.label(name)} {'more' if change > 0 else 'less'} likely by {abs(change):.0%}"
            for name, change in most
        ],
        "identity": None if math.isnan(found.identity) else round(found.identity, 3),
        "same": same_person(found.identity),
        "judged": bool(found.changes),
    }


def same_person(cosine: float) -> str:
    """Say what the cosine of two embeddings means."""
    if math.isnan(cosine):
        return ""
    words = "the same person" if cosine >= 0.75 else "alike" if cosine >= 0.5 else "someone else"
    return f"Identity {cosine:.2f} of 1: {words}"
