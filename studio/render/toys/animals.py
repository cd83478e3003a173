"""A rubber duck and a snail."""

import math

import torch
from torch import Tensor

from studio.render import sdf
from studio.render.paint import edge, mixed, plain
from studio.render.sdf import Points
from studio.render.toys.palette import (
    BLUE,
    BROWN,
    CREAM,
    GOLD,
    GREEN,
    INK,
    ORANGE,
    PINK,
    RED,
    TEAL,
    WHITE,
    YELLOW,
    Part,
    around,
    band,
    both_sides,
    disc,
    inside,
    solid,
    spot,
    stripes,
)

_SCARF_CENTRE = 0.3


def _duck(points: Points) -> Tensor:
    body = sdf.ellipsoid(points, (-0.06, -0.32, 0.0), (0.78, 0.48, 0.58))
    tail = sdf.cone(points, (-0.55, -0.2, 0.0), (-0.92, 0.14, 0.0), 0.26, 0.05)
    body = sdf.smooth_union(body, tail, 0.2)
    wing = sdf.ellipsoid(both_sides(points), (-0.16, -0.22, 0.54), (0.4, 0.24, 0.13))
    body = sdf.smooth_union(body, wing, 0.05)
    return sdf.smooth_union(body, sdf.sphere(points, (0.36, 0.42, 0.0), 0.42), 0.12)


def _beak(points: Points) -> Tensor:
    upper = sdf.ellipsoid(points, (0.82, 0.41, 0.0), (0.24, 0.075, 0.2))
    lower = sdf.ellipsoid(points, (0.76, 0.32, 0.0), (0.2, 0.06, 0.16))
    return sdf.smooth_union(upper, lower, 0.02)


def _scarf(points: Points) -> Tensor:
    x, y, z = points
    lean = y - 0.06 + 0.25 * (x - _SCARF_CENTRE)
    ring = sdf.torus((x - _SCARF_CENTRE, z, lean), (0.0, 0.0, 0.0), 0.34, 0.1)
    end = sdf.cone(points, (0.42, 0.02, 0.36), (0.3, -0.38, 0.64), 0.07, 0.12)
    return sdf.smooth_union(ring, end, 0.06)


def _duck_paint(points: Points) -> Tensor:
    x, y, z = points
    folded = both_sides(points)
    colours = mixed(plain(YELLOW, len(y)), GOLD, 0.6 * edge(y + 0.62, 0.3))
    feathers = stripes(18 * x - 10 * y, 0.6) * band(y, -0.42, -0.06) * inside(x + 0.12)
    colours = mixed(colours, ORANGE, 0.8 * feathers * inside(0.58 - z.abs()))
    colours = mixed(colours, WHITE, spot(folded, (0.62, 0.54, 0.3), 0.14))
    colours = mixed(colours, INK, spot(folded, (0.69, 0.54, 0.3), 0.1))
    return mixed(colours, PINK, 0.7 * spot(folded, (0.6, 0.3, 0.36), 0.1))


def _scarf_paint(points: Points) -> Tensor:
    checks = stripes(9 * around(points[0] - _SCARF_CENTRE, points[2]), 0.4)
    return mixed(plain(BLUE, len(checks)), WHITE, checks)


DUCK = (
    Part(_duck, _duck_paint, 0.4),
    Part(_beak, solid(ORANGE), 0.4),
    Part(_scarf, _scarf_paint, 0.05),
)

_SHELL = (-0.18, 0.12, 0.0)


def _slug(points: Points) -> Tensor:
    foot = sdf.cone(points, (-0.9, -0.62, 0.0), (0.5, -0.56, 0.0), 0.08, 0.2)
    neck = sdf.cone(points, (0.45, -0.52, 0.0), (0.72, -0.02, 0.0), 0.2, 0.17)
    body = sdf.smooth_union(foot, neck, 0.16)
    body = sdf.smooth_union(body, sdf.sphere(points, (0.74, 0.04, 0.0), 0.21), 0.06)
    folded = both_sides(points)
    stalk = sdf.capsule(folded, (0.76, 0.15, 0.08), (0.88, 0.48, 0.2), 0.04)
    return sdf.smooth_union(body, stalk, 0.05)


def _eyes(points: Points) -> Tensor:
    return sdf.sphere(both_sides(points), (0.88, 0.52, 0.2), 0.1)


def _shell(points: Points) -> Tensor:
    x, y, z = points
    body = sdf.ellipsoid(points, _SHELL, (0.68, 0.66, 0.42))
    # The whorls stand out a little, following the painted spiral.
    return body - 0.025 * torch.cos(_whorl(x, y)) * inside(-z.abs() + 0.02)


def _whorl(x: Tensor, y: Tensor) -> Tensor:
    """Return the phase of a spiral in the shell's plane, (N,)."""
    across, up = x - _SHELL[0], y - _SHELL[1]
    return torch.atan2(up, across) + 2 * math.pi * 3.2 * (across * across + up * up + 0.01).sqrt()


def _shell_paint(points: Points) -> Tensor:
    x, y, z = points
    winding = stripes(_whorl(x, y), 0.35)
    sides = mixed(plain(ORANGE, len(y)), CREAM, winding)
    backs = mixed(plain(TEAL, len(y)), CREAM, winding)
    colours = torch.where(z > 0, sides, backs)
    spokes = stripes(10 * torch.atan2(y - _SHELL[1], x - _SHELL[0]), 0.4)
    rim = inside(z.abs() - 0.1)
    colours = mixed(colours, RED, rim)
    return mixed(colours, YELLOW, rim * spokes)


def _slug_paint(points: Points) -> Tensor:
    x, y, z = points
    colours = mixed(plain(GREEN, len(y)), YELLOW, 0.7 * inside(y + 0.68))
    dots = stripes(20 * x, 0.6) * band(y, -0.6, -0.5) * inside(0.1 - z.abs())
    colours = mixed(colours, BROWN, 0.8 * dots)
    folded = both_sides(points)
    colours = mixed(colours, PINK, spot(folded, (0.84, -0.02, 0.18), 0.09))
    smile = disc(folded[2], y - 0.06, 0.12).abs() - 0.02
    return mixed(colours, INK, inside(smile) * inside(y + 0.0) * inside(0.8 - x))


def _eye_paint(points: Points) -> Tensor:
    pupil = spot(both_sides(points), (0.97, 0.54, 0.21), 0.07)
    return mixed(plain(WHITE, len(pupil)), INK, pupil)


SNAIL = (
    Part(_shell, _shell_paint, 0.4),
    Part(_slug, _slug_paint, 0.3),
    Part(_eyes, _eye_paint, 0.4),
)
