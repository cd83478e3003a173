import csv
from collections import Counter

import pytest
import torch
from PIL import Image

from studio.data.folder import open_set
from studio.data.inspect import inspect
from studio.errors import ConfigError
from studio.render import pole
from studio.render.pole import Pole

SIZE = 48


def shadow(azimuth, altitude, size=SIZE):
    """Return where the plane is darker than the same light leaves it elsewhere, (H, W) bool."""
    picture = pole.render([Pole(azimuth, altitude)], size)[0]
    plane = picture[:, 0, 0][:, None, None]
    red_pole = picture[0] - picture[2] > plane[0] - plane[2] + 0.25
    return ((plane - picture).amin(0) > 0.1) & ~red_pole


def middle(mask):
    """Return the mean place of a mask from the middle of the picture: right, down."""
    rows, columns = mask.nonzero().double().unbind(1)
    half = (len(mask) - 1) / 2
    return (columns.mean() - half).item(), (rows.mean() - half).item()


def reach(mask):
    """Return the largest distance of a mask's pixels from the pole's column."""
    return (mask.nonzero()[:, 1] - (len(mask) - 1) / 2).abs().max().item()


def test_the_same_light_gives_the_same_picture_in_any_batch():
    lights = [Pole(15, 50), Pole(200, 75), Pole(123.4, 61.7)]
    together = pole.render(lights, 33)
    assert together.shape == (3, 3, 33, 33)
    assert together.min() >= -1
    assert together.max() <= 1
    for light, image in zip(lights, together, strict=True):
        assert torch.equal(pole.render([light], 33)[0], image)
    assert torch.equal(pole.render([Pole(15 + 360, 50), Pole(-160, 75)], 33), together[:2])
    assert pole.render([], 33).shape == (0, 3, 33, 33)


def test_the_shadow_falls_away_from_the_light():
    # Light from the viewer, the right, behind, the left.
    ahead, left, before, right = (middle(shadow(azimuth, 45)) for azimuth in (0, 90, 180, 270))
    assert left[0] < -7
    assert right[0] > 7
    assert left[0] == pytest.approx(-right[0], abs=0.5)
    assert ahead[1] < -7
    assert before[1] > 7
    assert ahead[0] == pytest.approx(0, abs=0.5)
    assert before[0] == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("azimuth", [90, 270])
def test_the_shadow_is_longer_when_the_light_is_lower(azimuth):
    lengths = [reach(shadow(azimuth, altitude)) for altitude in (45, 55, 65, 75)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 1.7 * lengths[2]
    # The tip of a unit pole throws its shadow as far as the cotangent of the altitude.
    ratio = (lengths[0] - lengths[2]) / (SIZE / 2.28)
    assert ratio == pytest.approx((1 - 0.1) * (1 - 0.466), abs=0.1)


def test_light_from_the_zenith_has_no_direction():
    first, second = pole.render([Pole(0, 90), Pole(137, 90)], 32)
    assert torch.allclose(first, second, atol=1e-4)
    assert torch.allclose(first, first.flip(2), atol=0.05)


@pytest.mark.parametrize("altitude", [45, 60, 80])
def test_neighbours_on_the_papers_grid_differ_and_look_most_alike(altitude):
    images = pole.render([Pole(azimuth, altitude) for azimuth in pole.AZIMUTHS], 32)
    change = (images - images.roll(1, 0)).abs().amax((1, 2, 3))
    # More than a few of the 255 levels of a PNG.
    assert change.min() > 8 / 127.5
    distances = torch.cdist(images.flatten(1), images.flatten(1))
    distances.fill_diagonal_(torch.inf)
    for number, nearest in enumerate(distances.argmin(1).tolist()):
        assert min((number - nearest) % 72, (nearest - number) % 72) <= 2
    lower = pole.render([Pole(azimuth, altitude - 5) for azimuth in (0, 90, 180)], 32)
    assert (lower - images[[0, 18, 36]]).abs().amax((1, 2, 3)).min() > 8 / 127.5


@pytest.mark.parametrize(("azimuth", "altitude"), [(30, 45), (118, 60), (355, 80)])
@pytest.mark.parametrize(("around", "up"), [(1, 0), (0, 1)])
def test_pictures_are_continuous_in_both_angles(azimuth, altitude, around, up):
    def changed(degrees):
        moved = Pole(azimuth + degrees * around, altitude + degrees * up)
        images = pole.render([Pole(azimuth, altitude), moved], 32)
        return (images[1] - images[0]).abs()

    whole, half, tiny = changed(2), changed(1), changed(0.01)
    assert tiny.max() < 0.01
    assert whole.mean() > half.mean() > tiny.mean() > 0
    assert half.mean().item() == pytest.approx(whole.mean().item() / 2, rel=0.35)


def test_random_lights_continue_a_shorter_list_and_stay_in_the_papers_range():
    lights = pole.sample_poles(50, 3)
    assert pole.sample_poles(5, 3) == lights[:5]
    assert pole.sample_poles(5, 4) != lights[:5]
    assert all(0 <= light.azimuth < 360 for light in lights)
    assert all(45 <= light.altitude <= 80 for light in lights)


@pytest.mark.parametrize(
    ("azimuth", "altitude", "message"),
    [
        (float("nan"), 50, "azimuth is nan"),
        (0, 10, "altitude is 10; give degrees from 20 to 90"),
        (0, float("nan"), "altitude is nan"),
    ],
)
def test_lights_that_make_no_sense_are_refused(azimuth, altitude, message):
    with pytest.raises(ConfigError, match=message):
        Pole(azimuth, altitude)


def test_a_written_set_has_the_papers_grid_and_a_fifth_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr(pole, "render", lambda poles, size: torch.zeros(len(poles), 3, size, size))
    calls = []
    folder = tmp_path / "pole"
    assert pole.write_set(folder, 8, progress=lambda *done: calls.append(done)) == 576
    with (folder / "attributes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "partition", "alignment", "factor_azimuth", "factor_altitude"]
    assert Counter(row["partition"] for row in rows) == {"0": 461, "2": 115}
    assert Counter(row["factor_altitude"] for row in rows) == dict.fromkeys(
        (str(degrees) for degrees in range(45, 81, 5)), 72
    )
    assert calls[-1] == (576, 576)
    data = open_set(folder)
    assert data.alignment == "none"
    assert sorted(data.factors) == ["factor_altitude", "factor_azimuth"]
    assert [len(data.part(name)) for name in ("train", "validation", "test")] == [461, 0, 115]
    assert (data.attributes, data.classes) == ({}, {})


def test_the_seed_decides_the_held_out_part_and_random_lights(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert pole.write_set(tmp_path / name, 32, seed, count=20) == 20
    one, same, other = ((tmp_path / name / "attributes.csv").read_text() for name in "abc")
    assert one == same
    assert one != other
    light = pole.sample_poles(20, 1)[7]
    expected = pole.render([light], 32)[0].add(1).mul(127.5).round().byte()
    with Image.open(tmp_path / "a" / "000007.png") as picture:
        assert picture.tobytes() == expected.permute(1, 2, 0).contiguous().numpy().tobytes()
    data = open_set(tmp_path / "a")
    assert data.factors["factor_azimuth"][7] == light.azimuth
    report = inspect(tmp_path / "a")
    assert report.partitions == {"train": 16, "validation": 0, "test": 4}
    assert report.unusable == {}


def test_wrong_requests_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="4 pixels"):
        pole.render([Pole(0, 50)], 4)
    with pytest.raises(ConfigError, match="-1 poles"):
        pole.write_set(tmp_path, 16, count=-1)
    (tmp_path / "attributes.csv").write_text("file\n")
    with pytest.raises(ConfigError, match="has a data set already"):
        pole.write_set(tmp_path, 16)
