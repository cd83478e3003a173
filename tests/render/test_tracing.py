import pytest

from studio.render import sdf, tracing


@pytest.mark.parametrize(
    ("azimuth", "elevation", "expected"),
    [(0, 0, (0, 0, 1)), (90, 0, (1, 0, 0)), (180, 0, (0, 0, -1)), (0, 90, (0, 1, 0))],
)
def test_directions_count_from_the_viewer_to_the_right_and_up(azimuth, elevation, expected):
    assert tracing.direction(azimuth, elevation) == pytest.approx(expected, abs=1e-9)


def test_a_camera_has_three_unit_axes_and_keeps_the_vertical():
    camera = tracing.looking_from(35, 24)
    axes = (camera.right, camera.up, camera.back)
    for number, axis in enumerate(axes):
        for other, second in enumerate(axes):
            assert sdf.dot(axis, second) == pytest.approx(float(number == other), abs=1e-9)
    assert camera.right[1] == 0
    assert camera.up[1] > 0
    assert sdf.cross(camera.right, camera.up) == pytest.approx(camera.back)
    assert camera.ahead == pytest.approx([-part for part in camera.back])


def test_vectors_return_from_the_scene():
    camera = tracing.looking_from(-70, 10)
    assert camera.from_scene(camera.to_scene((0.3, -2.0, 0.7))) == pytest.approx((0.3, -2.0, 0.7))
