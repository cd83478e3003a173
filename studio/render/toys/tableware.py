"""A mug and a teapot."""

import torch
from torch import Tensor

from studio.render import sdf
from studio.render.paint import mixed, plain
from studio.render.sdf import Points
from studio.render.toys.palette import (
    BLUE,
    COFFEE,
    CREAM,
    GOLD,
    ORANGE,
    PINK,
    RED,
    SKY,
    TEAL,
    VIOLET,
    WHITE,
    YELLOW,
    Part,
    around,
    band,
    disc,
    inside,
    solid,
    spot,
    stripes,
)

# The mug stands a little aside, so that the handle does not leave the picture.
_ASIDE = -0.14
_LEAVES = 6


def _mug_body(points: Points) -> Tensor:
    body = sdf.cylinder(points, (_ASIDE, 0.0, 0.0), 0.62, 0.72, 0.06)
    handle = sdf.torus(points, (0.5, 0.02, 0.0), 0.32, 0.095)
    body = sdf.smooth_union(body, handle, 0.08)
    hollow = sdf.cylinder(points, (_ASIDE, 0.25, 0.0), 0.54, 0.84, 0.1)
    return sdf.smooth_difference(body, hollow, 0.05)


def _coffee(points: Points) -> Tensor:
    return sdf.cylinder(points, (_ASIDE, 0.1, 0.0), 0.56, 0.36, 0.01)


def _mug_paint(points: Points) -> Tensor:
    x, y, z = points[0] - _ASIDE, points[1], points[2]
    radial = (x * x + z * z).sqrt()
    wall = band(radial, 0.58, 0.66)
    colours = mixed(plain(CREAM, len(y)), TEAL, inside(0.64 - radial))
    spiral = stripes(5 * around(x, z) + 7 * y, 0.3) * band(y, -0.72, -0.3)
    colours = mixed(colours, ORANGE, spiral * wall)
    colours = mixed(colours, TEAL, (band(y, -0.34, -0.27) + band(y, 0.55, 0.64)) * wall)
    lobes = disc(x.abs() - 0.105, y - 0.22, 0.14)
    tip = torch.maximum((x.abs() + (y - 0.16).abs() - 0.28) * 0.7, y - 0.2)
    heart = inside(torch.minimum(lobes, tip)) * inside(-z)
    colours = mixed(colours, RED, heart * wall)
    petals = 0.2 + 0.07 * torch.cos(_LEAVES * torch.atan2(x, y - 0.13))
    flower = inside(disc(x, y - 0.13, petals)) * inside(z)
    colours = mixed(colours, BLUE, flower * wall)
    colours = mixed(colours, YELLOW, inside(disc(x, y - 0.13, 0.08)) * inside(z) * wall)
    beams = 0.17 + 0.06 * torch.cos(9 * torch.atan2(z, y - 0.14))
    sun = inside(disc(z, y - 0.14, beams)) * inside(x)
    return mixed(colours, GOLD, sun * wall)


MUG = (Part(_mug_body, _mug_paint, 0.4), Part(_coffee, solid(COFFEE), 0.5))


def _pot(points: Points) -> Tensor:
    body = sdf.ellipsoid(points, (0.0, -0.16, 0.0), (0.62, 0.5, 0.62))
    foot = sdf.cylinder(points, (0.0, -0.62, 0.0), 0.36, 0.06, 0.03)
    body = sdf.smooth_union(body, foot, 0.08)
    low = sdf.cone(points, (0.45, -0.28, 0.0), (0.78, -0.02, 0.0), 0.17, 0.1)
    high = sdf.cone(points, (0.78, -0.02, 0.0), (0.98, 0.26, 0.0), 0.1, 0.075)
    body = sdf.smooth_union(body, sdf.smooth_union(low, high, 0.1), 0.1)
    handle = sdf.torus(points, (-0.62, -0.06, 0.0), 0.29, 0.075)
    return sdf.smooth_union(body, handle, 0.07)


def _lid(points: Points) -> Tensor:
    lid = sdf.ellipsoid(points, (0.0, 0.26, 0.0), (0.4, 0.16, 0.4))
    neck = sdf.cylinder(points, (0.0, 0.4, 0.0), 0.06, 0.08, 0.02)
    knob = sdf.sphere(points, (0.0, 0.54, 0.0), 0.11)
    return sdf.smooth_union(sdf.smooth_union(lid, neck, 0.06), knob, 0.05)


def _pot_paint(points: Points) -> Tensor:
    x, y, z = points
    belly = inside((x * x + z * z).sqrt() - 0.66)
    turn = around(x, z)
    ground = mixed(plain(WHITE, len(y)), SKY, inside(z))
    colours = plain(VIOLET, len(y))
    colours = colours + (ground - colours) * band(y, -0.38, 0.06) * belly
    # A garland of flowers around the belly, each in a colour of its own.
    for number, colour in enumerate((YELLOW, PINK, RED, BLUE, ORANGE, TEAL)):
        off = torch.remainder(turn - number * torch.pi / 3 + torch.pi, 2 * torch.pi) - torch.pi
        across, up = off * 0.6, y + 0.16
        petals = 0.12 + 0.04 * torch.cos(5 * torch.atan2(across, up))
        colours = mixed(colours, colour, inside(disc(across, up, petals)) * belly)
    colours = mixed(colours, GOLD, (band(y, -0.43, -0.37) + band(y, 0.05, 0.11)) * belly)
    return mixed(colours, GOLD, spot(points, (1.01, 0.31, 0.0), 0.12))


def _lid_paint(points: Points) -> Tensor:
    x, y, z = points
    rays = stripes(8 * around(x, z), 0.4) * inside(y - 0.44)
    colours = mixed(plain(VIOLET, len(y)), PINK, rays)
    return mixed(colours, GOLD, inside(0.45 - y))


TEAPOT = (Part(_pot, _pot_paint, 0.45), Part(_lid, _lid_paint, 0.45))
