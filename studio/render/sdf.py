"""Signed distance fields in torch: primitives, smooth blends, ray marching and shadows.

Points are three tensors of N coordinates rather than one (N, 3) tensor: every operation is then
elementwise and contiguous, which is what a CPU does fastest, and involves no reduction, so that a
ray's result depends on nothing but the ray.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Points: TypeAlias = tuple[Tensor, Tensor, Tensor]
Vector: TypeAlias = tuple[float, float, float]
Field: TypeAlias = Callable[[Points], Tensor]

_TINY = 1e-6
_STEPS_PER_ROUND = 3


def dot(a: Vector, b: Vector) -> float:
    """Return the scalar product of two vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """Return the vector product of two vectors, right-handed."""
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def normalized(a: Vector) -> Vector:
    """Return the vector scaled to length 1; it must not be zero."""
    length = math.sqrt(dot(a, a))
    return a[0] / length, a[1] / length, a[2] / length


def length(points: Points) -> Tensor:
    """Return the distance of each point from the origin, (N,)."""
    x, y, z = points
    return (x * x + y * y + z * z).sqrt_()


def projected(points: Points, axis: Vector) -> Tensor:
    """Return the scalar product of each point with an axis, (N,)."""
    x, y, z = points
    return x * axis[0] + y * axis[1] + z * axis[2]


def moved(points: Points, direction: Points | Vector, distance: Tensor | float) -> Points:
    """Return the points moved along a direction.

    Args:
        points: Three (N,) coordinates.
        direction: One vector for all points, or one each.
        distance: How far, in lengths of the direction; (N,) or one number.
    """
    return (
        points[0] + direction[0] * distance,
        points[1] + direction[1] * distance,
        points[2] + direction[2] * distance,
    )


def chosen(points: Points, index: Tensor) -> Points:
    """Return the points at the given positions."""
    return points[0][index], points[1][index], points[2][index]


def sphere(points: Points, centre: Vector, radius: float) -> Tensor:
    """Return the exact distance to a sphere, (N,)."""
    x, y, z = points
    return length((x - centre[0], y - centre[1], z - centre[2])) - radius


def ellipsoid(points: Points, centre: Vector, radii: Vector) -> Tensor:
    """Return the distance to an axis-aligned ellipsoid to first order, (N,).

    The zero set is exact and the value is the implicit function over its gradient's length, which
    near the surface is the distance. Inside it falls to 0 at the centre instead of growing.
    """
    x, y, z = ((p - c) * (1 / r) for p, c, r in zip(points, centre, radii, strict=True))
    value = length((x, y, z))
    gradient = length((x * (1 / radii[0]), y * (1 / radii[1]), z * (1 / radii[2])))
    return value * (value - 1) / gradient.clamp_(min=_TINY)


def capsule(points: Points, start: Vector, end: Vector, radius: float) -> Tensor:
    """Return the exact distance to a segment thickened by a radius, (N,)."""
    return cone(points, start, end, radius, radius)


def cone(
    points: Points, start: Vector, end: Vector, start_radius: float, end_radius: float
) -> Tensor:
    """Return the distance to a segment whose thickness changes linearly, (N,).

    Exact for equal radii; otherwise too far by the slope's second order, which is too little for
    marching to step through a surface.
    """
    axis = (end[0] - start[0], end[1] - start[1], end[2] - start[2])
    squared = dot(axis, axis)
    x, y, z = (p - s for p, s in zip(points, start, strict=True))
    share = projected((x, y, z), (axis[0] / squared, axis[1] / squared, axis[2] / squared))
    share = share.clamp_(0, 1)
    gap = length((x - share * axis[0], y - share * axis[1], z - share * axis[2]))
    return gap - (start_radius + share * (end_radius - start_radius))


def rounded_rectangle(x: Tensor, y: Tensor, half: tuple[float, float], corner: float) -> Tensor:
    """Return the exact planar distance to a rectangle with rounded corners, (N,).

    Args:
        x: (N,) offsets from the centre.
        y: (N,) offsets from the centre.
        half: Half width and half height, corners included.
        corner: Corner radius, at most the smaller half.
    """
    across = x.abs() - (half[0] - corner)
    along = y.abs() - (half[1] - corner)
    inside = torch.maximum(across, along).clamp_(max=0)
    across, along = across.clamp_(min=0), along.clamp_(min=0)
    return (across * across + along * along).sqrt_() + inside - corner


def box(points: Points, centre: Vector, half: Vector, corner: float) -> Tensor:
    """Return the exact distance to a box with rounded edges, (N,).

    Args:
        points: Three (N,) coordinates.
        centre: Of the box.
        half: Half lengths along the axes, edges included.
        corner: Radius of the edges, at most the smallest half.
    """
    x, y, z = ((p - c).abs_() - (h - corner) for p, c, h in zip(points, centre, half, strict=True))
    inside = torch.maximum(torch.maximum(x, y), z).clamp_(max=0)
    return length((x.clamp(min=0), y.clamp(min=0), z.clamp(min=0))) + inside - corner


def cylinder(points: Points, centre: Vector, radius: float, half: float, corner: float) -> Tensor:
    """Return the exact distance to an upright cylinder with rounded rims, (N,).

    Args:
        points: Three (N,) coordinates.
        centre: Of the cylinder.
        radius: Around the y axis, rims included.
        half: Half height, rims included.
        corner: Radius of the rims, at most the smaller of both.
    """
    x, y, z = points[0] - centre[0], points[1] - centre[1], points[2] - centre[2]
    return rounded_rectangle((x * x + z * z).sqrt_(), y, (radius, half), corner)


def torus(points: Points, centre: Vector, radius: float, thickness: float) -> Tensor:
    """Return the exact distance to a ring around an axis along z, (N,).

    Args:
        points: Three (N,) coordinates.
        centre: Of the ring.
        radius: From the centre to the middle of the ring.
        thickness: Radius of the ring's own section.
    """
    x, y, z = points[0] - centre[0], points[1] - centre[1], points[2] - centre[2]
    off = (x * x + y * y).sqrt_() - radius
    return (off * off + z * z).sqrt_() - thickness


def smooth_union(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Return the union of two fields with the crease between them filled, (N,).

    Never above the sharp union and never more than a quarter of ``width`` below it.
    """
    blend = (width - (a - b).abs_()).clamp_(min=0)
    return torch.minimum(a, b) - blend * blend * (0.25 / width)


def smooth_intersection(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Return the intersection of two fields with a rounded edge, (N,)."""
    return -smooth_union(-a, -b, width)


def smooth_difference(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Return the first field without the second, with a rounded edge, (N,)."""
    return -smooth_union(-a, b, width)


def approach(
    field: Field,
    origins: Points,
    direction: Vector,
    far: float,
    *,
    clearance: float,
    steps: int = 10,
) -> Tensor:
    """Follow thick parallel rays as far as they surely touch nothing.

    A few of these spare the many thin rays inside them most of their way.

    Args:
        field: Maps N points to N signed distances.
        origins: Three (N,) coordinates, outside every surface.
        direction: Unit vector common to all rays.
        far: Distance after which a ray has left the scene.
        clearance: Radius of the rays.
        steps: Number of steps.

    Returns:
        (N,) distances that are free of surfaces, infinity where the whole ray is.
    """
    travelled = torch.zeros_like(origins[0])
    for _ in range(steps):
        gap = field(moved(origins, direction, travelled)) - clearance
        travelled = travelled + gap.clamp_(min=0)
    return travelled.masked_fill(travelled > far, math.inf)


def march(
    field: Field,
    origins: Points,
    direction: Vector,
    far: float,
    starts: Tensor,
    *,
    steps: int = 24,
    tolerance: float = 0.003,
) -> Tensor:
    """Follow parallel rays to the first surface.

    Rays that hit or leave are dropped every few steps; a ray that still moves after the last step
    counts as a hit if it is close to a surface, so that silhouettes have no holes.

    Args:
        field: Maps N points to N signed distances.
        origins: Three (N,) coordinates.
        direction: Unit vector common to all rays.
        far: Distance after which a ray has left the scene.
        starts: (N,) distances known to be free, as ``approach`` finds them.
        steps: Largest number of steps.
        tolerance: Distance at which a ray has arrived.

    Returns:
        (N,) distances along the rays, infinity where nothing was hit.
    """
    depth = torch.full_like(starts, math.inf)
    active = (starts < far).nonzero().squeeze(1)
    origins, travelled = chosen(origins, active), starts[active]
    gap = torch.zeros_like(travelled)
    for _ in range(0, steps, _STEPS_PER_ROUND):
        for _ in range(_STEPS_PER_ROUND):
            gap = field(moved(origins, direction, travelled))
            travelled = travelled + gap
        arrived = gap < tolerance
        depth[active[arrived]] = travelled[arrived]
        keep = (~arrived & (travelled < far)).nonzero().squeeze(1)
        origins = chosen(origins, keep)
        active, travelled, gap = active[keep], travelled[keep], gap[keep]
    close = gap < 16 * tolerance
    depth[active[close]] = travelled[close]
    return depth


def normals(field: Field, points: Points, step: float = 0.004) -> Points:
    """Return unit surface normals, from differences at the corners of a tetrahedron.

    Args:
        field: Maps N points to N signed distances.
        points: Three (N,) coordinates on or near the surface.
        step: Offset of the differences; details below it are smoothed away.
    """
    total_x, total_y, total_z = (torch.zeros_like(points[0]) for _ in range(3))
    for sign in ((1.0, -1.0, -1.0), (-1.0, -1.0, 1.0), (-1.0, 1.0, -1.0), (1.0, 1.0, 1.0)):
        value = field(moved(points, sign, step))
        total_x += sign[0] * value
        total_y += sign[1] * value
        total_z += sign[2] * value
    norm = length((total_x, total_y, total_z)).clamp_(min=_TINY * step)
    return total_x / norm, total_y / norm, total_z / norm


def soft_shadow(
    field: Field,
    points: Points,
    light: Vector,
    *,
    sharpness: float = 12.0,
    far: float = 1.5,
    steps: int = 9,
) -> Tensor:
    """Return how much of a far, slightly extended light reaches each point.

    The penumbra comes from the smallest angle between the ray to the light and what it passes.

    Args:
        field: Maps N points to N signed distances.
        points: Three (N,) coordinates, a little above their surfaces.
        light: Unit vector towards the light.
        sharpness: Distance over gap at which the penumbra begins; larger is harder.
        far: Distance beyond which nothing casts a shadow.
        steps: Number of steps, of growing size.

    Returns:
        (N,) in [0, 1]; 0 in full shadow.
    """
    lit = torch.ones_like(points[0])
    active = torch.arange(len(lit), device=lit.device)
    share, travelled = lit, torch.full_like(lit, 0.03)
    for _ in range(0, steps, _STEPS_PER_ROUND):
        for _ in range(_STEPS_PER_ROUND):
            gap = field(moved(points, light, travelled))
            share = torch.minimum(share, sharpness * gap / travelled)
            travelled = travelled + gap.clamp(0.04, 0.25)
        lit[active] = share
        keep = ((share > 0) & (travelled < far)).nonzero().squeeze(1)
        points = chosen(points, keep)
        active, share, travelled = active[keep], share[keep], travelled[keep]
    lit = lit.clamp_(0, 1)
    return lit * lit * (3 - 2 * lit)
