"""A racing car and a rocket."""

import math

import torch
from torch import Tensor

from studio.render import sdf
from studio.render.paint import edge, mixed, plain
from studio.render.sdf import Points
from studio.render.toys.palette import (
    BLUE,
    CREAM,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RED,
    SKY,
    WHITE,
    YELLOW,
    Part,
    around,
    band,
    both_sides,
    disc,
    inside,
    lying,
    solid,
    spot,
    stripes,
)

_AXLE, _AXLE_HEIGHT = 0.58, -0.32


def _chassis(points: Points) -> Tensor:
    x, _, _ = points
    body = sdf.box(points, (0.0, -0.14, 0.0), (1.0, 0.22, 0.44), 0.16)
    cabin = sdf.ellipsoid(points, (-0.14, 0.08, 0.0), (0.56, 0.42, 0.36))
    body = sdf.smooth_union(body, cabin, 0.14)
    folded = both_sides(points)
    arch = sdf.cylinder(lying((x.abs(), *folded[1:])), (_AXLE, 0.46, _AXLE_HEIGHT), 0.27, 0.2, 0.02)
    return sdf.smooth_difference(body, arch, 0.04)


def _wheels(points: Points) -> Tensor:
    _, y, z = both_sides(points)
    return sdf.cylinder(
        lying((points[0].abs(), y, z)), (_AXLE, 0.38, _AXLE_HEIGHT), 0.22, 0.1, 0.04
    )


def _wing(points: Points) -> Tensor:
    blade = sdf.box(points, (-0.9, 0.28, 0.0), (0.14, 0.04, 0.42), 0.03)
    post = sdf.box(both_sides(points), (-0.86, 0.15, 0.26), (0.05, 0.14, 0.03), 0.02)
    return torch.minimum(blade, post)


def _chassis_paint(points: Points) -> Tensor:
    x, y, z = points
    folded = both_sides(points)
    colours = mixed(plain(RED, len(y)), WHITE, band(folded[2], 0.05, 0.15))
    left = spot(points, (0.12, -0.14, 0.44), 0.19)
    right = spot(points, (0.12, -0.14, -0.44), 0.19)
    colours = mixed(mixed(colours, WHITE, left), YELLOW, right)
    colours = mixed(colours, BLUE, spot(points, (0.12, -0.14, 0.44), 0.11))
    colours = mixed(colours, INK, (band(x, 0.07, 0.17) * inside((y + 0.14).abs() - 0.13)) * right)
    colours = mixed(colours, CREAM, spot(folded, (0.98, -0.08, 0.26), 0.12))
    colours = mixed(colours, ORANGE, spot(folded, (-1.0, -0.1, 0.28), 0.11))
    colours = mixed(colours, INK, band(y, -0.24, -0.16) * inside(z.abs() - 0.16) * inside(0.9 - x))
    glass = band(y, 0.13, 0.37) * inside((x + 0.14).abs() - 0.6)
    pillar = torch.minimum((x + 0.16).abs(), torch.minimum((x - 0.2).abs(), (x + 0.5).abs()))
    beside = torch.maximum(0.035 - pillar, 0.16 - folded[2])
    return mixed(colours, SKY, glass * torch.maximum(inside(beside), inside(folded[2] - 0.2)))


def _wheel_paint(points: Points) -> Tensor:
    x, y, z = points
    hub = inside(disc(x.abs() - _AXLE, y - _AXLE_HEIGHT, 0.12)) * inside(0.4 - z.abs())
    return mixed(plain(INK, len(y)), GREY, hub)


CAR = (
    Part(_chassis, _chassis_paint, 0.5),
    Part(_wheels, _wheel_paint, 0.1),
    Part(_wing, solid(BLUE), 0.4),
)

_FINS = 3
_FIN_COLOURS = (RED, BLUE, YELLOW)
_PORTHOLES = ((0.0, 0.22), (2.4, 0.0))


def _hull(points: Points) -> Tensor:
    hull = sdf.ellipsoid(points, (0.0, 0.06, 0.0), (0.4, 0.98, 0.4))
    return sdf.smooth_intersection(hull, -0.62 - points[1], 0.05)


def _turned(points: Points, angle: float) -> Points:
    """Turn about the y axis, so that what looks along z looks along the angle."""
    x, y, z = points
    cos, sin = math.cos(angle), math.sin(angle)
    return x * cos - z * sin, y, x * sin + z * cos


def _fins(points: Points) -> Tensor:
    nearest = None
    for number in range(_FINS):
        x, y, z = _turned(points, 2 * math.pi * number / _FINS + math.pi / _FINS)
        slope = torch.maximum(
            (y + 0.16 + 0.9 * (z - 0.3)) * 0.74, -(y + 0.92 - 0.35 * (z - 0.3)) * 0.94
        )
        blade = torch.maximum(slope, torch.maximum(z - 0.72, 0.1 - z))
        fin = sdf.smooth_intersection(blade, x.abs() - 0.045, 0.04)
        nearest = fin if nearest is None else torch.minimum(nearest, fin)
    return nearest if nearest is not None else points[0]


def _nozzle(points: Points) -> Tensor:
    return sdf.cylinder(points, (0.0, -0.68, 0.0), 0.2, 0.12, 0.04)


def _rims(points: Points) -> Tensor:
    rims = [
        sdf.torus((x, y - up, z - 0.37), (0.0, 0.0, 0.0), 0.16, 0.045)
        for turn, up in _PORTHOLES
        for x, y, z in [_turned(points, turn)]
    ]
    return torch.minimum(*rims)


def _hull_paint(points: Points) -> Tensor:
    x, y, z = points
    turn = around(x, z)
    colours = mixed(plain(WHITE, len(y)), RED, inside(0.55 - y))
    checks = stripes(6 * turn, 0.4)
    checks = checks + band(y, -0.36, -0.27) * (1 - 2 * checks)
    colours = mixed(colours, INK, checks * band(y, -0.45, -0.27))
    stripe = band(torch.remainder(turn + 1.6, 2 * math.pi) * 0.4, 0.0, 0.16)
    colours = mixed(colours, BLUE, stripe * band(y, -0.27, 0.55))
    other = band(torch.remainder(turn - 1.0, 2 * math.pi) * 0.4, 0.0, 0.16)
    colours = mixed(colours, GREEN, other * band(y, -0.27, 0.55))
    for angle, up in _PORTHOLES:
        across, _, ahead = _turned(points, angle)
        glass = inside(disc(across, y - up, 0.16)) * inside(-ahead)
        colours = mixed(colours, SKY, glass)
    return colours


def _fin_paint(points: Points) -> Tensor:
    colours = plain(_FIN_COLOURS[0], len(points[0]))
    for number, colour in enumerate(_FIN_COLOURS):
        x, _, z = _turned(points, 2 * math.pi * number / _FINS + math.pi / _FINS)
        colours = mixed(colours, colour, edge(x.abs() - z, 0.02))
    return colours


ROCKET = (
    Part(_hull, _hull_paint, 0.45),
    Part(_fins, _fin_paint, 0.3),
    Part(_nozzle, solid(INK), 0.3),
    Part(_rims, solid(GREY), 0.5),
)
