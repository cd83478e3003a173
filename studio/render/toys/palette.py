"""What toys are made of: parts, colours in linear light, and soft masks for painting."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from studio.render import sdf
from studio.render.paint import edge, linear, plain
from studio.render.sdf import Field, Points, Vector

Paint: TypeAlias = Callable[[Points], Tensor]

CREAM = linear((0.97, 0.92, 0.80))
WHITE = linear((0.95, 0.95, 0.93))
INK = linear((0.12, 0.12, 0.14))
GREY = linear((0.62, 0.64, 0.67))
STONE = linear((0.50, 0.47, 0.44))
RED = linear((0.87, 0.22, 0.18))
ORANGE = linear((0.97, 0.53, 0.13))
YELLOW = linear((1.00, 0.82, 0.18))
GOLD = linear((0.90, 0.66, 0.20))
GREEN = linear((0.36, 0.66, 0.30))
TEAL = linear((0.10, 0.55, 0.58))
SKY = linear((0.52, 0.77, 0.95))
BLUE = linear((0.16, 0.36, 0.78))
VIOLET = linear((0.52, 0.32, 0.68))
PINK = linear((0.96, 0.60, 0.66))
BROWN = linear((0.48, 0.29, 0.17))
COFFEE = linear((0.26, 0.15, 0.09))

SEAM = 0.03


@dataclass(frozen=True)
class Part:
    """A piece of a toy, of one material.

    Attributes:
        field: Signed distance to it.
        paint: Linear colours (3, N) of its surface, before light.
        shine: Strength of its mirrored light.
    """

    field: Field
    paint: Paint
    shine: float = 0.25


def solid(colour: Vector) -> Paint:
    """Return the paint that has one colour everywhere."""
    return lambda points: plain(colour, len(points[0]))


def lying(points: Points) -> Points:
    """Exchange y and z, so that what stands upright lies along z."""
    return points[0], points[2], points[1]


def both_sides(points: Points) -> Points:
    """Fold z, so that what is at its positive side is at both."""
    return points[0], points[1], points[2].abs()


def around(x: Tensor, z: Tensor) -> Tensor:
    """Return the angle about the y axis in radians, 0 at z, growing towards x, (N,)."""
    return torch.atan2(x, z)


def disc(x: Tensor, y: Tensor, radius: Tensor | float) -> Tensor:
    """Return the planar distance to a disc around the origin, (N,)."""
    return (x * x + y * y).sqrt() - radius


def inside(distance: Tensor) -> Tensor:
    """Return a mask of what a planar outline encloses, with a seam as soft as all others, (N,)."""
    return edge(distance, SEAM)


def spot(points: Points, centre: Vector, radius: float) -> Tensor:
    """Return a mask of what lies within a ball, (N,)."""
    return inside(sdf.sphere(points, centre, radius))


def band(value: Tensor, low: float, high: float) -> Tensor:
    """Return a mask of values between two limits, (N,)."""
    return inside((value - (low + high) / 2).abs() - (high - low) / 2)


def stripes(phase: Tensor, softness: float) -> Tensor:
    """Return a mask of equal stripes, (N,); one and its gap take 2 pi of the phase."""
    return edge(-torch.sin(phase), softness)
