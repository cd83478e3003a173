"""A house and a lighthouse."""

import torch
from torch import Tensor

from studio.render import sdf
from studio.render.paint import mixed, plain
from studio.render.sdf import Points
from studio.render.toys.palette import (
    BLUE,
    BROWN,
    CREAM,
    GREEN,
    GREY,
    INK,
    PINK,
    RED,
    SKY,
    STONE,
    TEAL,
    WHITE,
    YELLOW,
    Part,
    around,
    band,
    inside,
    solid,
    spot,
    stripes,
)

_FLOOR = -0.66


def _pane(across: Tensor, up: Tensor, half: tuple[float, float]) -> Tensor:
    return sdf.rounded_rectangle(across, up, half, 0.02)


def _walls(points: Points) -> Tensor:
    x, y, z = points
    walls = sdf.box(points, (0.0, -0.3, 0.0), (0.62, 0.36, 0.5), 0.02)
    slope = (y - 0.02 + 0.95 * (z.abs() - 0.5)) * 0.72
    gable = torch.maximum(slope, torch.maximum(x.abs() - 0.62, z.abs() - 0.5))
    return torch.minimum(walls, torch.maximum(gable, -0.3 - y))


def _roof(points: Points) -> Tensor:
    x, y, z = points
    slope = (y - 0.1 + 0.95 * (z.abs() - 0.5)) * 0.72
    roof = torch.maximum(slope.abs() - 0.05, torch.maximum(x.abs() - 0.74, z.abs() - 0.66))
    return torch.maximum(roof, -0.2 - y)


def _chimney(points: Points) -> Tensor:
    return sdf.box(points, (0.34, 0.56, 0.2), (0.1, 0.3, 0.1), 0.01)


def _lawn(points: Points) -> Tensor:
    lawn = sdf.cylinder(points, (0.0, _FLOOR - 0.05, 0.0), 0.98, 0.05, 0.04)
    bush = sdf.sphere(points, (0.66, _FLOOR + 0.14, 0.44), 0.2)
    lawn = sdf.smooth_union(lawn, bush, 0.05)
    tree = sdf.cone(points, (-0.76, _FLOOR + 0.2, -0.34), (-0.76, 0.16, -0.34), 0.22, 0.03)
    return sdf.smooth_union(lawn, tree, 0.04)


def _wall_paint(points: Points) -> Tensor:
    x, y, z = points
    colours = plain(CREAM, len(y))
    front, back = inside(0.47 - z), inside(0.47 + z)
    right, left = inside(0.59 - x), inside(0.59 + x)
    colours = mixed(mixed(colours, PINK, back), SKY, left)
    colours = mixed(colours, YELLOW, right)
    low = y + 0.3
    for frame, colour in ((0.035, WHITE), (0.0, BLUE)):
        pane = (0.11 + frame, 0.13 + frame)
        windows = [
            front * inside(_pane(x - 0.34, low, pane)),
            back * inside(_pane(x.abs() - 0.32, low, pane)),
            right * inside(_pane(z, low, pane)),
            left * inside(_pane(z.abs() - 0.24, low, pane)),
        ]
        colours = mixed(colours, colour, torch.stack(windows).amax(0))
    gable = torch.maximum(right, left) * inside((z * z + (y - 0.16).square()).sqrt() - 0.1)
    colours = mixed(colours, BROWN, gable)
    door = front * inside(_pane(x + 0.22, y + 0.42, (0.14, 0.25)))
    colours = mixed(colours, TEAL, door)
    return mixed(colours, YELLOW, spot(points, (-0.14, -0.42, 0.5), 0.035))


def _roof_paint(points: Points) -> Tensor:
    x, y, z = points
    rows = y * 9
    shift = torch.remainder(torch.floor(rows), 2) * torch.pi
    tiles = stripes(16 * x + shift, 0.8)
    warm = mixed(plain(RED, len(y)), BROWN, 0.45 * tiles)
    cool = mixed(plain(STONE, len(y)), INK, 0.5 * tiles)
    colours = torch.where(z > 0, warm, cool)
    hatch = inside(_pane(x + 0.3, y - 0.3, (0.12, 0.09))) * inside(-z)
    return mixed(colours, SKY, hatch)


def _chimney_paint(points: Points) -> Tensor:
    colours = mixed(plain(STONE, len(points[0])), WHITE, band(points[1], 0.76, 0.82))
    return mixed(colours, INK, inside(0.85 - points[1]))


def _lawn_paint(points: Points) -> Tensor:
    x, y, z = points
    colours = mixed(plain(GREEN, len(y)), STONE, inside(y + 0.745))
    path = inside((x + 0.22 - 0.3 * (z - 0.5)).abs() - 0.12) * inside(0.5 - z) * inside(y + 0.62)
    colours = mixed(colours, CREAM, path)
    flowers = spot(points, (0.6, -0.4, 0.62), 0.06) + spot(points, (0.84, -0.44, 0.5), 0.06)
    return mixed(colours, PINK, flowers)


HOUSE = (
    Part(_walls, _wall_paint, 0.05),
    Part(_roof, _roof_paint, 0.1),
    Part(_chimney, _chimney_paint, 0.05),
    Part(_lawn, _lawn_paint, 0.02),
)

_TOWER_TOP = 0.4


def _tower(points: Points) -> Tensor:
    return sdf.cone(points, (0.0, -0.6, 0.0), (0.0, _TOWER_TOP - 0.2, 0.0), 0.34, 0.2)


def _gallery(points: Points) -> Tensor:
    floor = sdf.cylinder(points, (0.0, _TOWER_TOP, 0.0), 0.32, 0.04, 0.02)
    x, y, z = points
    rail = sdf.torus((x, z, y - _TOWER_TOP - 0.13), (0.0, 0.0, 0.0), 0.3, 0.025)
    return torch.minimum(floor, rail)


def _lantern(points: Points) -> Tensor:
    return sdf.cylinder(points, (0.0, _TOWER_TOP + 0.2, 0.0), 0.18, 0.2, 0.02)


def _cap(points: Points) -> Tensor:
    cap = sdf.cone(points, (0.0, _TOWER_TOP + 0.4, 0.0), (0.0, 0.98, 0.0), 0.24, 0.03)
    return sdf.smooth_intersection(cap, _TOWER_TOP + 0.34 - points[1], 0.03)


def _rock(points: Points) -> Tensor:
    x, y, z = points
    rough = 0.02 * torch.sin(9 * x) * torch.sin(11 * z + 1) * torch.sin(7 * y)
    rock = sdf.ellipsoid(points, (0.0, -0.72, 0.0), (0.92, 0.24, 0.8))
    side = sdf.ellipsoid(points, (-0.56, -0.6, 0.3), (0.3, 0.22, 0.26))
    return sdf.smooth_union(rock, side, 0.12) - rough


def _hut(points: Points) -> Tensor:
    return sdf.box(points, (0.46, -0.5, 0.1), (0.24, 0.2, 0.22), 0.02)


def _hut_roof(points: Points) -> Tensor:
    x, y, z = points
    slope = (y + 0.3 + 0.7 * ((z - 0.1).abs() - 0.26)) * 0.8
    roof = torch.maximum(slope.abs() - 0.04, torch.maximum((x - 0.46).abs(), (z - 0.1).abs()) - 0.3)
    return torch.maximum(roof, -0.4 - y)


def _tower_paint(points: Points) -> Tensor:
    x, y, z = points
    turn = around(x, z)
    colours = mixed(plain(WHITE, len(y)), RED, stripes(2 * turn + 9 * y, 0.25))
    door = inside(_pane(x, y + 0.46, (0.1, 0.17))) * inside(-z)
    colours = mixed(colours, BROWN, door)
    slit = inside(_pane(x, y - 0.1, (0.06, 0.1)))
    colours = mixed(colours, INK, slit * inside(-z))
    return mixed(colours, BLUE, inside(_pane(x, y + 0.1, (0.06, 0.1))) * inside(z))


def _lantern_paint(points: Points) -> Tensor:
    bars = stripes(6 * around(points[0], points[2]), 0.2)
    return mixed(plain(YELLOW, len(bars)), INK, bars * 0.7)


def _rock_paint(points: Points) -> Tensor:
    x, y, z = points
    colours = mixed(plain(STONE, len(y)), GREEN, 0.8 * inside(-0.58 - y) * inside(x + 0.1))
    surf = inside(y + 0.8 + 0.03 * torch.sin(14 * around(x, z)))
    return mixed(colours, TEAL, surf)


def _hut_paint(points: Points) -> Tensor:
    _, y, z = points
    sides = inside((z - 0.1).abs() - 0.19)
    panes = inside(_pane(z - 0.1, y + 0.48, (0.08, 0.08))) * sides
    return mixed(mixed(plain(CREAM, len(y)), BLUE, panes), GREY, inside(y + 0.64))


LIGHTHOUSE = (
    Part(_tower, _tower_paint, 0.2),
    Part(_gallery, solid(GREY), 0.4),
    Part(_cap, solid(BLUE), 0.4),
    Part(_lantern, _lantern_paint, 0.6),
    Part(_rock, _rock_paint, 0.02),
    Part(_hut, _hut_paint, 0.05),
    Part(_hut_roof, solid(TEAL), 0.1),
)
