"""Pictures of a checkpoint's own kind that a click takes, and finished settings of them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from studio import images, paths
from studio.checkpoints import Card
from studio.faces.align import Alignment
from studio.interpolation import MOST_MODELS
from studio.methods.base import Operation
from studio.render import pole, turntable
from studio.ui import examples
from studio.ui.context import Context
from studio.ui.draft import Seat
from studio.ui.walk.draft import CORNERS, Mode, Walk

FACES, POLE = "faces", "pole"
# Methods in the order of the rows; others come after them.
_METHODS = ("aeai", "autoencoder", "aae", "acai", "beta_vae", "amr", "gaia")
_HEADS = ("anna", "carla", "felix", "ben", "edith", "gina", "david")
_ANGLES = tuple(range(0, 360, 30))
_ALTITUDES = (45, 75)


@dataclass(frozen=True)
class Example:
    """A finished setting.

    Attributes:
        label: For the thumbnail.
        kind: Of its pictures.
        pictures: Names of samples, by corner.
        checkpoints: The first one is on the stage, all are rows.
        mode: As in the walk.
    """

    label: str
    kind: str
    pictures: tuple[str, ...]
    checkpoints: tuple[str, ...]
    mode: Mode


def kind_of(card: Card) -> str:
    """Say what a checkpoint's pictures show; checkpoints of one kind can be compared."""
    if card.spec.shows_faces:
        return FACES
    told = re.findall("[a-z]+", f"{card.name.partition('.')[2]} {card.data_set}".lower())
    known = [name for name in (POLE, *turntable.OBJECTS) if name in told]
    return known[0] if known else card.data_set.partition(",")[0] or card.name


def interpolators(context: Context) -> list[Card]:
    """Return the cards of the checkpoints that interpolate, the autoencoders first."""
    cards = [c for c in context.store.cards() if Operation.INTERPOLATE in c.entry.operations]
    return sorted(cards, key=_order)


def _order(card: Card) -> tuple[int, float]:
    place = _METHODS.index(card.method) if card.method in _METHODS else len(_METHODS)
    return place, -card.metrics.get("psnr", 0.0)


def rivals(context: Context, checkpoint: str) -> list[Card]:
    """Return the cards of all checkpoints for pictures of the same kind."""
    kind = kind_of(context.store.card(checkpoint))
    return [card for card in interpolators(context) if kind_of(card) == kind]


def names(kind: str) -> list[str]:
    """List the samples of a kind."""
    if kind == FACES:
        return [*_HEADS, examples.ASTRONAUT, "mean_glasses", "mean_bangs"]
    if kind == POLE:
        return [f"{angle:03d}-{altitude}" for altitude in _ALTITUDES for angle in _ANGLES[::2]]
    return [f"{angle:03d}" for angle in _ANGLES] if kind in turntable.OBJECTS else []


def seat(context: Context, kind: str, name: str, size: int) -> Seat:
    """Seat a sample.

    Args:
        context: The shared context.
        kind: Of the pictures.
        name: One of ``names(kind)``.
        size: Pixels of a rendered sample's side.
    """
    if kind == FACES:
        return examples.seat(context, name)
    path = paths.cache() / "samples" / f"{kind}-{size}" / f"{name}.png"
    if not path.is_file():
        _render(kind, size)
    return Seat(
        str(path), f"{kind}-{name}", size, size, Alignment.whole(size, size), detected=False
    )


def _render(kind: str, size: int) -> None:
    """Render all samples of a kind into the cache, each by its name."""
    folder = paths.cache() / "samples" / f"{kind}-{size}"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = images.to_pictures(_RENDERERS.get(kind, _render_toy)(kind, size))
    for name, picture in zip(names(kind), pictures, strict=True):
        part = folder / f".{name}.part"
        images.save_png(part, picture)
        part.replace(folder / f"{name}.png")


def _render_pole(kind: str, size: int) -> Tensor:
    lights = [map(float, name.split("-")) for name in names(kind)]
    return pole.render([pole.Pole(*light) for light in lights], size)


def _render_toy(kind: str, size: int) -> Tensor:
    return turntable.render([turntable.View(kind, float(name)) for name in names(kind)], size)


_RENDERERS: Mapping[str, Callable[[str, int], Tensor]] = {POLE: _render_pole}
# Corners of a grid; a strip takes the first two.
_CHOSEN: Mapping[str, tuple[str, ...]] = {
    POLE: ("000-45", "120-45", "000-75", "120-75"),
    FACES: ("anna", "carla", "felix", "edith"),
}


def available(context: Context) -> list[Example]:
    """List the examples for which there are checkpoints: a grid and a strip of every kind."""
    found = []
    for kind, checkpoints in _by_kind(context).items():
        if not names(kind):
            continue
        four = _CHOSEN.get(kind, ("000", "060", "180", "240"))
        title = kind.capitalize()
        found.append(Example(f"{title}, grid", kind, four, checkpoints[:1], "grid"))
        found.append(Example(f"{title}, strip", kind, four[:2], checkpoints[:MOST_MODELS], "strip"))
    # People come with photographs of faces.
    return sorted(found, key=lambda example: example.kind != FACES)


def _by_kind(context: Context) -> dict[str, tuple[str, ...]]:
    """Group the checkpoints by kind, of each method one."""
    groups: dict[str, dict[str, str]] = {}
    for card in interpolators(context):
        groups.setdefault(kind_of(card), {}).setdefault(card.method, card.name)
    return {kind: tuple(group.values()) for kind, group in groups.items()}


def walk(context: Context, example: Example) -> Walk:
    """Set an example up.

    Raises:
        ImageError: A picture of it is missing.
    """
    checkpoint = example.checkpoints[0]
    size = context.store.card(checkpoint).spec.size
    seats = {
        corner: seat(context, example.kind, name, size)
        for corner, name in zip(CORNERS, example.pictures, strict=False)
    }
    return Walk(seats, checkpoint, example.checkpoints, example.mode)
