import json
import math

import numpy as np
import pytest

from studio.errors import ConfigError, FaceError
from studio.faces.align import Alignment, compose, crop, invert

ALIGNMENT = Alignment(310.5, 220.25, 63.0, 17.0)


def smooth_photo(height=480, width=640):
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x / 4, y / 3, 120 + 60 * np.sin(x / 40)], axis=2).round().astype(np.uint8)


def test_eyes_fall_on_celebas_positions():
    matrix = ALIGNMENT.matrix(128)
    eyes = ALIGNMENT.eyes() @ matrix[:, :2].T + matrix[:, 2]
    assert eyes == pytest.approx(np.array([(50, 66), (78, 66)]))


def test_from_eyes_inverts_eyes():
    left, right = ALIGNMENT.eyes()
    again = Alignment.from_eyes(tuple(left), tuple(right))
    assert again.to_dict() == pytest.approx(ALIGNMENT.to_dict())
    json.dumps(again.to_dict())


def test_equal_eyes_are_refused():
    with pytest.raises(FaceError, match="one point"):
        Alignment.from_eyes((5, 5), (5, 5))


def test_lower_right_eye_is_a_positive_angle():
    assert Alignment.from_eyes((0, 0), (10, 10)).angle == pytest.approx(45)


def test_box_turns_about_its_own_middle():
    alignment = Alignment.from_box(100, 50, 80, 30)
    assert alignment.corners().mean(axis=0) == pytest.approx([140, 90])
    assert alignment.side == pytest.approx(80)
    upright = Alignment.from_box(100, 50, 80)
    assert upright.corners()[0] == pytest.approx([100, 50])
    assert upright.box() == (100, 50, 180, 130)


def test_box_without_size_is_refused():
    with pytest.raises(FaceError, match="larger box"):
        Alignment.from_box(0, 0, 0)


def test_dictionary_round_trip_and_its_mistakes():
    assert Alignment.from_dict(ALIGNMENT.to_dict()) == ALIGNMENT
    with pytest.raises(ConfigError):
        Alignment.from_dict({"centre_x": 1})
    with pytest.raises(ConfigError, match="angle"):
        Alignment.from_dict(ALIGNMENT.to_dict() | {"angle": math.nan})
    with pytest.raises(ConfigError, match="eye_distance"):
        Alignment.from_dict(ALIGNMENT.to_dict() | {"eye_distance": -3.0})


def test_matrices_invert_each_other():
    matrix = ALIGNMENT.matrix(64)
    assert compose(matrix, invert(matrix)) == pytest.approx(np.eye(2, 3), abs=1e-9)


@pytest.mark.parametrize("size", [37, 64, 128, 178])
def test_whole_crop_of_its_own_size_is_the_picture(size):
    pixels = np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)
    result = crop(pixels, Alignment.whole(size, size), size)
    assert np.array_equal(result, pixels)
    result[:] = 0
    assert pixels.any()


def test_whole_takes_the_middle_square_as_celeba_does():
    pixels = np.random.default_rng(0).integers(0, 255, (218, 178, 3), dtype=np.uint8)
    assert np.array_equal(crop(pixels, Alignment.whole(178, 218), 178), pixels[20:198])


def test_reduction_averages_blocks():
    pixels = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    means = pixels.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    small = crop(pixels, Alignment.whole(128, 128), 32)
    assert np.abs(small - means).max() <= 1.5


@pytest.mark.parametrize("size", [32, 64, 200])
def test_crop_shows_the_photo_at_the_mapped_places(size):
    shown = crop(smooth_photo(), ALIGNMENT, size).astype(float)
    rows, columns = np.mgrid[:size, :size]
    centres = np.stack([columns + 0.5, rows + 0.5], axis=2)
    x, y = np.moveaxis(ALIGNMENT.to_photo(centres / size), 2, 0)
    assert np.abs(shown[..., 0] - x / 4).mean() < 0.5
    assert np.abs(shown[..., 1] - y / 3).mean() < 0.5


def test_scaled_crop_of_a_scaled_photo_shows_the_same():
    photo = smooth_photo()
    double = np.repeat(np.repeat(photo, 2, 0), 2, 1)
    difference = crop(photo, ALIGNMENT, 64) - crop(double, ALIGNMENT.scaled(2), 64).astype(int)
    assert np.abs(difference).max() <= 3


def test_edges_repeat_outside_the_photo():
    shown = crop(smooth_photo(), Alignment.from_box(-100, -100, 200), 100)
    assert (shown[:40, :40] == shown[0, 0]).all()


def test_crop_outside_the_photo_is_refused():
    with pytest.raises(FaceError, match="outside"):
        crop(smooth_photo(), Alignment.from_box(5000, 0, 100), 64)
