"""A turntable of our own: toys on a dark ground, seen from every side, as COIL-100 shows objects.

The camera and the light stand still and look down a little; the toy turns under them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from studio.errors import ConfigError
from studio.render import sdf, sets, tracing
from studio.render.paint import plain
from studio.render.sdf import Points
from studio.render.toys import TOYS

OBJECTS = tuple(TOYS)
VIEWS = 72

_ELEVATION = 24.0
_WIDTH = 2.24
_NEAR, _FAR = 2.0, 4.0
_LIGHT_AZIMUTH, _LIGHT_ELEVATION = -38.0, 48.0
_GLOSS = 28.0
_DARK = (0.0022, 0.0022, 0.0026)
_SUN = (1.05, 1.0, 0.93)


@dataclass(frozen=True)
class View:
    """One picture of the turntable.

    Attributes:
        object: One of ``OBJECTS``.
        angle: Degrees by which the table has turned; a full turn changes nothing.
    """

    object: str
    angle: float

    def __post_init__(self) -> None:
        if self.object not in TOYS:
            raise ConfigError(f"object is {self.object!r}; choose one of {', '.join(OBJECTS)}.")
        if not math.isfinite(self.angle):
            raise ConfigError(f"angle is {self.angle!r}; give a number of degrees.")


def full_turn(name: str, count: int = VIEWS) -> list[View]:
    """Return views of one object at equal steps around it.

    Raises:
        ConfigError: There is no such object, or ``count`` is below 1.
    """
    if count < 1:
        raise ConfigError(f"{count} views of {name} were asked for; give 1 or more.")
    return [View(name, number * 360 / count) for number in range(count)]


class _Scene:
    """A toy under the light, in the toy's own coordinates."""

    width = _WIDTH
    far = _FAR
    gains = (1.0, 1.0, 1.0)

    def __init__(self, view: View) -> None:
        self.toy = TOYS[view.object]
        self.camera = tracing.looking_from(view.angle % 360, _ELEVATION)
        self.ahead = self.camera.ahead
        self.light = tracing.direction(view.angle % 360 + _LIGHT_AZIMUTH, _LIGHT_ELEVATION)

    def rays(self, across: Tensor, down: Tensor) -> Points:
        """Return where the rays of picture fractions (N,) start."""
        return self.camera.rays((across - 0.5) * _WIDTH, (0.5 - down) * _WIDTH, _NEAR)

    def distance(self, points: Points) -> Tensor:
        """Return the distance to the nearest part, (N,)."""
        nearest, *others = (part.field(points) for part in self.toy)
        for other in others:
            nearest = torch.minimum(nearest, other)
        return nearest

    def backdrop(self, across: Tensor, down: Tensor) -> Tensor:
        """Return the dark ground, (3, N)."""
        del down
        return plain(_DARK, len(across)).clone()

    def shade(self, points: Points) -> Tensor:
        """Return the light that surface points send to the camera, (3, N) linear."""
        normal = sdf.normals(self.distance, points)
        colours, shine = self._painted(points)
        key = sdf.projected(normal, self.light).clamp(min=0)
        bright = (key > 0).nonzero().squeeze(1)
        above = sdf.chosen(sdf.moved(points, normal, 0.02), bright)
        key[bright] *= sdf.soft_shadow(self.distance, above, self.light)
        open_sky = (self.distance(sdf.moved(points, normal, 0.12)) * (1 / 0.12)).clamp_(0.2, 1)
        ambient = (0.20 + 0.08 * normal[1]) * open_sky
        fill = 0.16 * sdf.projected(normal, self.camera.back).clamp(min=0) * (0.4 + 0.6 * open_sky)
        back, light = self.camera.back, self.light
        half = sdf.normalized((light[0] + back[0], light[1] + back[1], light[2] + back[2]))
        gleam = sdf.projected(normal, half).clamp(min=0) ** _GLOSS * shine * key.clamp(max=1)
        return colours * (0.95 * key * torch.tensor(_SUN).unsqueeze(1) + ambient + fill) + gleam

    def _painted(self, points: Points) -> tuple[Tensor, Tensor]:
        """Return the colours (3, N) of surface points and how much they shine, (N,)."""
        nearest = torch.stack([part.field(points) for part in self.toy]).argmin(0)
        colours, shine = torch.zeros(3, len(nearest)), torch.zeros(len(nearest))
        for number, part in enumerate(self.toy):
            chosen = (nearest == number).nonzero().squeeze(1)
            if len(chosen):
                colours[:, chosen] = part.paint(sdf.chosen(points, chosen))
                shine[chosen] = part.shine
        return colours, shine


def render(views: Sequence[View], size: int = 64) -> Tensor:
    """Render objects on the turntable.

    Args:
        views: One per picture.
        size: Height and width of the pictures in pixels, at least 8.

    Returns:
        (B, 3, size, size) in [-1, 1].

    Raises:
        ConfigError: The size is too small.
    """
    return tracing.pictures([_Scene(view) for view in views], size)


def write_set(
    folder: Path,
    size: int,
    seed: int = 0,
    *,
    objects: Sequence[str] = OBJECTS,
    count: int = VIEWS,
    progress: sets.Progress | None = None,
) -> int:
    """Write a data set of the turntable: PNG files and ``attributes.csv``.

    A fifth of each object's views is held out.

    Args:
        folder: Where to write; created if missing.
        size: Height and width of the pictures in pixels.
        seed: Seed of the held-out fifth.
        objects: Which objects.
        count: Views of each.
        progress: Called with the pictures done and their number, now and then.

    Returns:
        The number of pictures.

    Raises:
        ConfigError: The folder has a data set already, or a name or number is not allowed.
    """
    if len(set(objects)) < len(objects):
        raise ConfigError(f"An object is named twice among {', '.join(objects)}; name each once.")
    views = [view for name in objects for view in full_turn(name, count)]
    parts = [part for name in objects for part in sets.held_out(count, seed, name)]
    rows = [
        {
            "file": f"{view.object}_{number % count:03d}.png",
            "partition": part,
            "alignment": "none",
            "object": view.object,
            "factor_angle": view.angle,
        }
        for number, (view, part) in enumerate(zip(views, parts, strict=True))
    ]
    sets.write_set(folder, rows, lambda part: render(views[part], size), progress)
    return len(rows)
