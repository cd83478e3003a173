"""Pictures of a checkpoint's own kind that a click takes, and finished settings of them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from studio import images, paths
from studio.checkpoints import Card
from studio.errors import CheckpointError
from studio.faces.align import Alignment
from studio.images import Picture
from studio.interpolation import MOST_MODELS
from studio.latents import Latents
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


def names(context: Context, kind: str) -> list[str]:
    """List the samples of a kind: rendered, or decoded from what a checkpoint carries."""
    if kind == FACES:
        return [*_HEADS, examples.ASTRONAUT, "mean_glasses", "mean_bangs"]
    if kind == POLE:
        return [f"{angle:03d}-{altitude}" for altitude in _ALTITUDES for angle in _ANGLES[::2]]
    if kind in turntable.OBJECTS:
        return [f"{angle:03d}" for angle in _ANGLES]
    carrier = _carrier(context, kind)
    return [f"view-{number:02d}" for number in range(len(carrier[1]))] if carrier else []


def _carrier(context: Context, kind: str) -> tuple[str, Latents] | None:
    """Find a checkpoint of a kind that carries the latents of samples, and these."""
    for card in interpolators(context):
        if kind_of(card) == kind and (codes := context.store.codes(card.name)) is not None:
            return card.name, codes
    return None


def seat(context: Context, kind: str, name: str, size: int) -> Seat:
    """Seat a sample.

    Args:
        context: The shared context.
        kind: Of the pictures.
        name: One of ``names(context, kind)``.
        size: Pixels of a rendered sample's side.
    """
    if kind == FACES:
        return examples.seat(context, name)
    words, folder = _words(kind), _place() / f"{_words(kind)}-{size}"
    if not (folder / f"{name}.png").is_file():
        _render(context, kind, size, folder)
    path, whole = str(folder / f"{name}.png"), Alignment.whole(size, size)
    return Seat(path, f"{words}-{name}", size, size, whole, detected=False)


def suits(card: Card, seats: Iterable[Seat]) -> bool:
    """Say whether a checkpoint is for pictures of the kind that is seated."""
    for one in seats:
        folder = Path(one.path).parent
        known = folder.name.rpartition("-")[0] if folder.parent == _place() else FACES
        if known != _words(kind_of(card)):
            return False
    return True


def _place() -> Path:
    return paths.cache() / "samples"


def _words(kind: str) -> str:
    return "-".join(re.findall("[a-z0-9]+", kind.lower()))


def _render(context: Context, kind: str, size: int, folder: Path) -> None:
    """Render all samples of a kind into the cache, each by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    every = names(context, kind)
    if kind in (POLE, *turntable.OBJECTS):
        pictures = images.to_pictures(_RENDERERS.get(kind, _render_toy)(kind, every, size))
    else:
        pictures = _decode(context, kind, size)
    for name, picture in zip(every, pictures, strict=True):
        part = folder / f".{name}.part"
        images.save_png(part, picture)
        part.replace(folder / f"{name}.png")


@torch.inference_mode()
def _decode(context: Context, kind: str, size: int) -> Picture:
    """Decode the samples that a checkpoint carries, in the asked-for size."""
    carrier = _carrier(context, kind)
    if carrier is None:
        raise CheckpointError(f"There are no samples of {kind}; upload pictures instead.")
    checkpoint, codes = carrier
    model = context.models.get(checkpoint).model
    made = images.to_pictures(model.decode(codes.to(context.models.device)).cpu())
    return np.stack([images.resize(one, size) for one in made])


def _render_pole(kind: str, every: list[str], size: int) -> Tensor:
    del kind
    lights = [map(float, name.split("-")) for name in every]
    return pole.render([pole.Pole(*light) for light in lights], size)


def _render_toy(kind: str, every: list[str], size: int) -> Tensor:
    return turntable.render([turntable.View(kind, float(name)) for name in every], size)


_RENDERERS: Mapping[str, Callable[[str, list[str], int], Tensor]] = {POLE: _render_pole}
# Corners of a grid; a strip takes the first two.
_CHOSEN: Mapping[str, tuple[str, ...]] = {
    POLE: ("000-45", "120-45", "000-75", "120-75"),
    FACES: ("anna", "carla", "felix", "edith"),
}


def available(context: Context) -> list[Example]:
    """List the examples for which there are checkpoints: a grid and a strip of every kind."""
    found = []
    for kind, checkpoints in _by_kind(context).items():
        every = names(context, kind)
        if len(every) < 4:
            continue
        spread = tuple(every[place * len(every) // 12] for place in (0, 2, 6, 8))
        four = _CHOSEN.get(kind, spread)
        title = re.sub(r" \(\w+=(.*)\)", r" \1", kind).capitalize()
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
