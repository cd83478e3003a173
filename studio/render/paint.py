"""Colours of surface points: linear light, (3, N), blended by soft masks."""

import torch
from torch import Tensor

from studio.render.sdf import Vector


def linear(colour: Vector) -> Vector:
    """Return a colour as displays have it, in [0, 1], in linear light."""
    return colour[0] ** 2.2, colour[1] ** 2.2, colour[2] ** 2.2


def between(a: Vector, b: Vector, share: float) -> Vector:
    """Return the colour at a share of the way from one to the other."""
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )


def plain(colour: Vector, count: int) -> Tensor:
    """Return one colour for many points, (3, count); not to be written into."""
    return torch.tensor(colour).unsqueeze(1).expand(3, count)


def mixed(base: Tensor, colour: Vector, weight: Tensor) -> Tensor:
    """Blend a colour into (3, N) colours, by weights (N,) in [0, 1]."""
    target = torch.tensor(colour, dtype=base.dtype).unsqueeze(1)
    return base + (target - base) * weight


def edge(distance: Tensor, width: float) -> Tensor:
    """Return 1 inside a boundary and 0 outside, with a soft edge of a width, (N,)."""
    return (0.5 - distance * (1 / width)).clamp_(0, 1)
