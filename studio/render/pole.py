"""A pole on a plane whose shadow tells where the light is: the synthetic set of the AEAI paper.

Coordinates: x to the picture's right, y up, z towards the viewer; the pole stands on the origin and
is one unit high. The view never changes and looks down at a slant. The paper renders with a game
engine and names no measures; here a picture is a smooth function of both angles, so that every
picture between two others exists.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from studio.errors import ConfigError
from studio.render import sdf, sets, tracing
from studio.render.paint import linear, mixed, plain
from studio.render.sdf import Points

AZIMUTHS = tuple(range(0, 360, 5))
ALTITUDES = tuple(range(45, 81, 5))
LOWEST, HIGHEST = 20.0, 90.0

_RADIUS = 0.1
_TIP = (0.0, 1.0 - _RADIUS, 0.0)
_VIEW = tracing.looking_from(0, 62)
_WIDTH = 2.28
_LIFT = 0.07
_NEAR, _FAR = 3.0, 8.0
# Half the angle under which the light is seen: what gives the shadow its soft rim.
_SPREAD = 0.035
_GROUND = linear((0.90, 0.83, 0.71))
_POLE = linear((0.83, 0.33, 0.22))
_SUN = (1.06, 0.98, 0.88)
_SKY = (0.68, 0.92, 1.34)


@dataclass(frozen=True)
class Pole:
    """Where the light stands.

    Attributes:
        azimuth: Degrees around the pole, from the viewer towards the picture's right; a full turn
            changes nothing.
        altitude: Degrees above the plane.
    """

    azimuth: float
    altitude: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.azimuth):
            raise ConfigError(f"azimuth is {self.azimuth!r}; give a number of degrees.")
        if not LOWEST <= self.altitude <= HIGHEST:
            raise ConfigError(
                f"altitude is {self.altitude!r}; give degrees from {LOWEST:g} to {HIGHEST:g}."
            )


def grid() -> list[Pole]:
    """Return the paper's 576 lights: 72 azimuths at each of 8 altitudes."""
    return [Pole(azimuth, altitude) for altitude in ALTITUDES for azimuth in AZIMUTHS]


def sample_poles(count: int, seed: int) -> list[Pole]:
    """Draw lights from the range of the paper's; a larger ``count`` continues the list.

    Raises:
        ConfigError: ``count`` is negative.
    """
    if count < 0:
        raise ConfigError(f"{count} poles were asked for; give 0 or more.")
    around, above = sets.stream(seed, "azimuth"), sets.stream(seed, "altitude")
    limits = float(ALTITUDES[0]), float(ALTITUDES[-1])
    return [Pole(around.uniform(0, 360), above.uniform(*limits)) for _ in range(count)]


class _Scene:
    """The pole, the plane and one light."""

    ahead = _VIEW.ahead
    width = _WIDTH
    far = _FAR
    gains = (1.0, 1.0, 1.0)

    def __init__(self, pole: Pole) -> None:
        self.light = tracing.direction(pole.azimuth % 360, pole.altitude)

    def rays(self, across: Tensor, down: Tensor) -> Points:
        """Return where the rays of picture fractions (N,) start."""
        return _VIEW.rays((across - 0.5) * _WIDTH, (0.5 - down) * _WIDTH + _LIFT, _NEAR)

    def distance(self, points: Points) -> Tensor:
        """Return the distance to the pole or the plane, (N,)."""
        return torch.minimum(_to_pole(points), points[1])

    def backdrop(self, across: Tensor, down: Tensor) -> Tensor:
        """Return the colour of the plane, which fills the picture, (3, N)."""
        del down
        return plain(_GROUND, len(across)).clone()

    def shade(self, points: Points) -> Tensor:
        """Return the light that surface points send to the camera, (3, N) linear."""
        normal = sdf.normals(self.distance, points)
        gap = _to_pole(points)
        on_pole = (gap < points[1]).to(gap.dtype)
        colours = mixed(plain(_GROUND, len(gap)), _POLE, on_pole)
        # A surface that turns away from the light hides it by itself; the plane is hidden from it.
        key = sdf.projected(normal, self.light).clamp(min=0)
        key = key * torch.maximum(on_pole, self._lit(points))
        # Near its foot the pole takes some of the sky's light.
        open_sky = 1 - 0.45 * torch.exp(-gap.clamp(min=0) * 9) * (1 - on_pole)
        ambient = (0.24 + 0.06 * normal[1] + 0.10 * normal[2] * on_pole) * open_sky
        sun, sky = (torch.tensor(colour).unsqueeze(1) for colour in (_SUN, _SKY))
        return colours * (0.80 * key * sun + ambient * sky) + self._gleam(normal, on_pole)

    def _lit(self, points: Points) -> Tensor:
        """Return how much of the light reaches points of the plane, (N,) in [0, 1].

        The shortest way from the ray to the pole's axis decides, in closed form, so that the
        shadow's rim is as smooth as the angles.
        """
        x, _, z = points
        light = self.light
        flat = light[0] ** 2 + light[2] ** 2
        # Height on the axis that is nearest to the line towards the light, kept on the axis.
        along = -(x * light[0] + z * light[2])
        height = (along * (light[1] / max(flat, 1e-9))).clamp(0, _TIP[1])
        travelled = (along + height * light[1]).clamp(min=0)
        gap = sdf.length(
            (x + travelled * light[0], travelled * light[1] - height, z + travelled * light[2])
        )
        rim = 0.012 + _SPREAD * travelled
        share = (0.5 + (gap - _RADIUS) / (2 * rim)).clamp_(0, 1)
        return share * share * (3 - 2 * share)

    def _gleam(self, normal: Points, on_pole: Tensor) -> Tensor:
        """Return the mirror-like part of the light, (N,)."""
        back = _VIEW.back
        half = (self.light[0] + back[0], self.light[1] + back[1], self.light[2] + back[2])
        facing = sdf.projected(normal, sdf.normalized(half)).clamp(min=0)
        return 0.22 * facing**40 * on_pole


def _to_pole(points: Points) -> Tensor:
    return sdf.capsule(points, (0.0, 0.0, 0.0), _TIP, _RADIUS)


def render(poles: Sequence[Pole], size: int = 64) -> Tensor:
    """Render the scene under each light.

    Args:
        poles: One light per picture.
        size: Height and width of the pictures in pixels, at least 8.

    Returns:
        (B, 3, size, size) in [-1, 1].

    Raises:
        ConfigError: The size is too small.
    """
    return tracing.pictures([_Scene(pole) for pole in poles], size)


def write_set(
    folder: Path,
    size: int,
    seed: int = 0,
    *,
    count: int | None = None,
    progress: sets.Progress | None = None,
) -> int:
    """Write a data set of poles: PNG files and ``attributes.csv``; a fifth is held out.

    Args:
        folder: Where to write; created if missing.
        size: Height and width of the pictures in pixels.
        seed: Seed of the held-out fifth, and of the lights where ``count`` is given.
        count: Number of random lights instead of the paper's 576.
        progress: Called with the pictures done and their number, now and then.

    Returns:
        The number of pictures.

    Raises:
        ConfigError: The folder has a data set already, or a number is not allowed.
    """
    poles = grid() if count is None else sample_poles(count, seed)
    parts = sets.held_out(len(poles), seed, "poles")
    rows = [
        {
            "file": f"{number:06d}.png",
            "partition": part,
            "alignment": "none",
            "factor_azimuth": pole.azimuth,
            "factor_altitude": pole.altitude,
        }
        for number, (pole, part) in enumerate(zip(poles, parts, strict=True))
    ]
    sets.write_set(folder, rows, lambda part: render(poles[part], size), progress)
    return len(poles)
