import math

import pytest
import torch

from studio.render import sdf


def points(*rows):
    return tuple(torch.tensor(rows, dtype=torch.float32).unbind(1))


def unit_sphere(spots):
    return sdf.sphere(spots, (0.0, 0.0, 0.0), 1.0)


def test_sphere_measures_from_its_surface():
    spots = points((4, 2, 3), (1, 2, 3), (1, 2, 5))
    assert sdf.sphere(spots, (1.0, 2.0, 3.0), 2.0).tolist() == [1.0, -2.0, 0.0]


def test_ellipsoid_is_zero_on_its_surface_and_exact_for_a_sphere():
    on_surface = points((2, 0, 0), (0, 3, 0), (0, 0, 0.5))
    assert sdf.ellipsoid(on_surface, (0.0, 0.0, 0.0), (2.0, 3.0, 0.5)).abs().max() < 1e-6
    outside = points((3, 4, 0))
    assert sdf.ellipsoid(outside, (0.0, 0.0, 0.0), (2.0, 2.0, 2.0)).item() == pytest.approx(3)


def test_ellipsoid_has_a_value_at_its_centre():
    assert sdf.ellipsoid(points((0, 0, 0)), (0.0, 0.0, 0.0), (1.0, 2.0, 3.0)).isfinite().all()


def test_capsule_measures_from_its_segment_and_its_ends():
    spots = points((1, 2, 0), (5, 0, 0), (-1, 0, 0))
    distance = sdf.capsule(spots, (0.0, 0.0, 0.0), (2.0, 0.0, 0.0), 0.5)
    assert distance.tolist() == pytest.approx([1.5, 2.5, 0.5])


def test_box_measures_from_its_faces_edges_and_corners():
    spots = points((2, 0, 0), (2, 3, 0), (2, 3, 5), (0, 0, 0))
    distance = sdf.box(spots, (0.0, 0.0, 0.0), (1.0, 2.0, 3.0), 0.0)
    assert distance.tolist() == pytest.approx([1, math.sqrt(2), math.sqrt(6), -1])
    rounded = sdf.box(points((2, 3, 5)), (0.0, 0.0, 0.0), (1.0, 2.0, 3.0), 0.5)
    assert rounded.item() == pytest.approx(math.sqrt(1.5**2 + 1.5**2 + 2.5**2) - 0.5)


def test_cylinder_stands_upright():
    spots = points((3, 1, 0), (0, 4, 0), (0, 1, 3), (1, 1, 0))
    distance = sdf.cylinder(spots, (1.0, 1.0, 0.0), 1.0, 2.0, 0.0)
    assert distance.tolist() == pytest.approx([1, 1, math.sqrt(10) - 1, -1])


def test_torus_lies_around_the_axis_along_z():
    spots = points((2, 0, 0), (0, 2, 0), (0, 2, 1), (0, 0, 0))
    distance = sdf.torus(spots, (0.0, 0.0, 0.0), 2.0, 0.25)
    assert distance.tolist() == pytest.approx([-0.25, -0.25, 0.75, 1.75])


def test_cone_interpolates_its_radius():
    spots = points((0, 3, 0), (1, 3, 0), (2, 3, 0))
    distance = sdf.cone(spots, (0.0, 0.0, 0.0), (2.0, 0.0, 0.0), 1.0, 0.5)
    assert distance.tolist() == pytest.approx([2.0, 2.25, 2.5])


def test_rounded_rectangle_measures_sides_corners_and_inside():
    x, y, _ = points((3, 0, 0), (0, -2, 0), (5, 5, 0), (0, 0, 0))
    distance = sdf.rounded_rectangle(x, y, (2.0, 1.0), 0.0)
    assert distance.tolist() == pytest.approx([1.0, 1.0, 5.0, -1.0])
    corner = sdf.rounded_rectangle(*points((2, 1, 0))[:2], (2.0, 1.0), 0.5)
    assert corner.item() == pytest.approx(0.5 * math.sqrt(2) - 0.5)


def test_smooth_union_lies_within_a_quarter_width_below_the_sharp_one():
    a, b = torch.rand(2, 1000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    sharp, smooth = torch.minimum(a, b), sdf.smooth_union(a, b, 0.4)
    assert (smooth <= sharp).all()
    assert (smooth >= sharp - 0.1 - 1e-6).all()
    far = (a - b).abs() > 0.4
    assert torch.equal(smooth[far], sharp[far])
    assert torch.allclose(sdf.smooth_union(a, a, 0.4), a - 0.1, atol=1e-6)


def test_smooth_intersection_and_difference_follow_the_union():
    a, b = torch.rand(2, 100, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert torch.equal(sdf.smooth_intersection(a, b, 0.2), -sdf.smooth_union(-a, -b, 0.2))
    assert torch.equal(sdf.smooth_difference(a, b, 0.2), sdf.smooth_intersection(a, -b, 0.2))
    assert (sdf.smooth_difference(a, b, 0.2) >= torch.maximum(a, -b)).all()


def test_blends_leave_their_arguments_alone():
    a, b = torch.rand(2, 50, generator=torch.Generator().manual_seed(2))
    before = a.clone(), b.clone()
    sdf.smooth_union(a, b, 0.3)
    sdf.smooth_difference(a, b, 0.3)
    assert torch.equal(a, before[0])
    assert torch.equal(b, before[1])


def test_march_finds_the_sphere_and_misses_beside_it():
    origins = points((0, 0, 3), (0.6, 0, 3), (1.5, 0, 3))
    depth = sdf.march(unit_sphere, origins, (0.0, 0.0, -1.0), 6.0, torch.zeros(3))
    assert depth[:2].tolist() == pytest.approx([2.0, 2.2], abs=0.005)
    assert depth[2] == math.inf


def test_march_skips_rays_known_to_hit_nothing():
    origins = points((0, 0, 3), (0, 0, 3))
    starts = torch.tensor([math.inf, 1.5])
    depth = sdf.march(unit_sphere, origins, (0.0, 0.0, -1.0), 6.0, starts)
    assert depth[0] == math.inf
    assert depth[1].item() == pytest.approx(2.0, abs=0.005)


def test_approach_keeps_clear_of_the_surface():
    origins = points((0, 0, 3), (0.9, 0, 3), (2.5, 0, 3))
    depth = sdf.approach(unit_sphere, origins, (0.0, 0.0, -1.0), 6.0, clearance=0.25, steps=40)
    assert depth[:2].tolist() == pytest.approx([1.75, 3 - math.sqrt(1.25**2 - 0.81)], abs=0.005)
    assert depth[2] == math.inf


def test_normals_of_a_sphere_point_outwards():
    spots = points((0.6, 0, 0.8), (0, -1, 0))
    normal = torch.stack(sdf.normals(unit_sphere, spots), dim=1)
    assert torch.allclose(normal, torch.stack(spots, dim=1), atol=3e-3)


def test_shadow_is_full_behind_a_sphere_and_absent_beside_it():
    spots = points((0, 0, -1.3), (2, 0, -1.3))
    lit = sdf.soft_shadow(unit_sphere, spots, (0.0, 0.0, 1.0), far=4.0, steps=24)
    assert lit.tolist() == pytest.approx([0.0, 1.0], abs=1e-3)


def test_vectors():
    assert sdf.cross((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)) == (0.0, 0.0, 1.0)
    assert sdf.dot((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)) == 32
    assert sdf.normalized((0.0, 3.0, 4.0)) == pytest.approx((0.0, 0.6, 0.8))
