"""From a scene to its picture: the camera, blocks of rays, hits, smooth edges of pixels."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.errors import ConfigError
from studio.render import sdf
from studio.render.sdf import Points, Vector

SMALLEST = 8
_SAMPLES = 2
_BLOCK = 4
_RAYS_AT_ONCE = 16384
_THREADS = 2


@dataclass(frozen=True)
class Camera:
    """Axes of the picture in the scene's coordinates; there is no perspective."""

    right: Vector
    up: Vector
    back: Vector

    @property
    def ahead(self) -> Vector:
        """The direction of all rays."""
        return self.to_scene((0.0, 0.0, -1.0))

    def to_scene(self, vector: Vector) -> Vector:
        """Return a vector of camera coordinates in the scene's."""
        return (
            vector[0] * self.right[0] + vector[1] * self.up[0] + vector[2] * self.back[0],
            vector[0] * self.right[1] + vector[1] * self.up[1] + vector[2] * self.back[1],
            vector[0] * self.right[2] + vector[1] * self.up[2] + vector[2] * self.back[2],
        )

    def from_scene(self, vector: Vector) -> Vector:
        """Return a vector of the scene's coordinates in the camera's."""
        return sdf.dot(vector, self.right), sdf.dot(vector, self.up), sdf.dot(vector, self.back)

    def rays(self, x: Tensor, y: Tensor, near: float) -> Points:
        """Return where rays start.

        Args:
            x: (N,) offsets to the right of the scene's origin as it is seen.
            y: (N,) offsets upwards.
            near: How far before the scene's origin the rays start.
        """
        start = tuple(torch.full_like(x, part * near) for part in self.back)
        return sdf.moved(sdf.moved((start[0], start[1], start[2]), self.right, x), self.up, y)


def direction(azimuth: float, elevation: float) -> Vector:
    """Return a unit vector; degrees from z towards x, and from the plane of both towards y."""
    around, above = math.radians(azimuth), math.radians(elevation)
    return (
        math.sin(around) * math.cos(above),
        math.sin(above),
        math.cos(around) * math.cos(above),
    )


def looking_from(azimuth: float, elevation: float) -> Camera:
    """Return the upright camera that looks at the origin; degrees as for ``direction``."""
    back = direction(azimuth, elevation)
    right = direction(azimuth + 90, 0)
    return Camera(right, sdf.cross(back, right), back)


class Scene(Protocol):
    """What can be traced: surfaces, their light, and what is behind them."""

    @property
    def ahead(self) -> Vector:
        """Unit direction of all rays."""
        ...

    @property
    def width(self) -> float:
        """Width of the picture in the scene's units."""
        ...

    @property
    def far(self) -> float:
        """Distance after which a ray has left the scene."""
        ...

    @property
    def gains(self) -> Vector:
        """Factors of red, green and blue light."""
        ...

    def rays(self, across: Tensor, down: Tensor) -> Points:
        """Return where the rays start of picture fractions (N,) in [0, 1]."""
        ...

    def distance(self, points: Points) -> Tensor:
        """Return the distance to the nearest surface, (N,)."""
        ...

    def shade(self, points: Points) -> Tensor:
        """Return the light that surface points send to the camera, (3, N) linear."""
        ...

    def backdrop(self, across: Tensor, down: Tensor) -> Tensor:
        """Return the light at picture fractions (N,) where no surface is, (3, N) linear."""
        ...


@torch.no_grad()
def pictures(scenes: Sequence[Scene], size: int) -> Tensor:
    """Trace scenes.

    A picture depends on its scene and the size alone, not on the others of the batch: each is
    marched by itself, vectorised over its rays, with its measures as plain numbers.

    Args:
        scenes: One per picture.
        size: Height and width of the pictures in pixels, at least 8.

    Returns:
        (B, 3, size, size) in [-1, 1].

    Raises:
        ConfigError: The size is too small.
    """
    if size < SMALLEST:
        raise ConfigError(f"Pictures of {size} pixels were asked for; give {SMALLEST} or more.")
    if not scenes:
        return torch.empty(0, 3, size, size)
    with ThreadPoolExecutor(_THREADS) as pool:
        return torch.stack(list(pool.map(lambda scene: _picture(scene, size), scenes)))


@torch.no_grad()
def _picture(scene: Scene, size: int) -> Tensor:
    """Return one picture, (3, size, size) in [-1, 1]."""
    wide = size * _SAMPLES
    free = _free_depths(scene, wide)
    nearest_block = torch.arange(wide) // _BLOCK
    strip = max(1, _RAYS_AT_ONCE // wide)
    bands = []
    for first in range(0, wide, strip):
        rows = slice(first, min(first + strip, wide))
        starts = free[nearest_block[rows]][:, nearest_block].reshape(-1)
        colours = _trace(scene, *_grid(wide, rows, 1 / wide), starts)
        bands.append(colours.reshape(3, -1, wide))
    picture = torch.cat(bands, dim=1)
    gains = torch.tensor(scene.gains)[:, None, None]
    picture = (picture * gains).clamp_(0, 1) ** (1 / 2.2)
    return F.avg_pool2d(picture, _SAMPLES) * 2 - 1


def _grid(count: int, rows: slice, step: float) -> tuple[Tensor, Tensor]:
    """Return the fractions across and down of a grid's points, row by row, (N,) each."""
    places = (torch.arange(count) + 0.5) * step
    down, across = torch.meshgrid(places[rows], places, indexing="ij")
    return across.reshape(-1), down.reshape(-1)


def _free_depths(scene: Scene, wide: int) -> Tensor:
    """Return how far the rays of each block of samples surely meet nothing, (blocks, blocks)."""
    blocks = -(-wide // _BLOCK)
    origins = scene.rays(*_grid(blocks, slice(None), _BLOCK / wide))
    depths = sdf.approach(
        scene.distance,
        origins,
        scene.ahead,
        scene.far,
        clearance=_BLOCK * (scene.width / wide) * math.sqrt(0.5),
    )
    return depths.reshape(blocks, blocks)


def _trace(scene: Scene, across: Tensor, down: Tensor, starts: Tensor) -> Tensor:
    """Return linear colours seen at picture fractions.

    Args:
        scene: What to look at.
        across: (N,) in [0, 1] from the left edge.
        down: (N,) in [0, 1] from the upper edge.
        starts: (N,) depths known to be free.

    Returns:
        (3, N), at least 0.
    """
    origins = scene.rays(across, down)
    depth = sdf.march(scene.distance, origins, scene.ahead, scene.far, starts)
    colours = scene.backdrop(across, down)
    hit = depth.isfinite().nonzero().squeeze(1)
    seen = sdf.moved(sdf.chosen(origins, hit), scene.ahead, depth[hit])
    colours[:, hit] = scene.shade(seen)
    return colours
