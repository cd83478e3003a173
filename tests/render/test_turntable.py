import csv
from collections import Counter

import pytest
import torch
from PIL import Image

from studio.data.folder import open_set
from studio.errors import ConfigError
from studio.render import sets, turntable
from studio.render.turntable import OBJECTS, View, full_turn


@pytest.fixture(scope="module")
def turns():
    """Return 12 views around every object, tiny."""
    return {name: turntable.render(full_turn(name, 12), 16) for name in OBJECTS}


def test_there_are_objects_enough():
    assert len(OBJECTS) >= 6
    assert [view.angle for view in full_turn("mug")[:3]] == [0, 5, 10]


@pytest.mark.parametrize("name", OBJECTS)
def test_the_same_view_gives_the_same_picture_in_any_batch(name, turns):
    assert torch.equal(turntable.render([View(name, 30)], 16)[0], turns[name][1])
    assert torch.equal(turntable.render([View(name, 30 - 360)], 16)[0], turns[name][1])


def test_pictures_have_their_shape_and_range(turns):
    for images in turns.values():
        assert images.shape == (12, 3, 16, 16)
        assert images.min() >= -1
        assert images.max() <= 1
    assert turntable.render([], 16).shape == (0, 3, 16, 16)


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_fill_the_middle_of_a_dark_picture(name, turns):
    dark = turns[name][:, :, 0, 0]
    assert dark.max() < -0.8
    assert (dark == dark[0]).all()
    covered = ((turns[name] - dark[0][:, None, None]).abs() > 0.1).any(1)
    # Something is there from every side, and leaves room at the sides.
    shares = covered.float().mean((1, 2))
    assert shares.min() > 0.15
    assert shares.max() < 0.75


def distances(images):
    """Return the root mean square difference of every two views, infinite on the diagonal."""
    flat = images.flatten(1)
    return (torch.cdist(flat, flat) / flat.shape[1] ** 0.5).fill_diagonal_(torch.inf)


@pytest.mark.parametrize("name", OBJECTS)
def test_no_two_views_look_alike(name, turns):
    assert distances(turns[name]).min() > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTS)
def test_every_view_looks_most_like_its_neighbours(name):
    apart = distances(turntable.render(full_turn(name), 32))
    assert apart.min() > 0.03
    steps = (apart.argmin(1) - torch.arange(72)) % 72
    assert set(torch.minimum(steps, 72 - steps).tolist()) == {1}


def test_objects_differ_more_than_their_views():
    images = turntable.render([View(name, angle) for name in OBJECTS for angle in (0, 5)], 16)
    flat = images.flatten(1)
    distances = torch.cdist(flat, flat)
    for first in range(0, len(flat), 2):
        others = [row for row in range(len(flat)) if row // 2 != first // 2]
        assert distances[first, first + 1] < distances[first, others].min()


@pytest.mark.parametrize("name", OBJECTS)
def test_turning_is_continuous(name):
    start, near, far = turntable.render([View(name, a) for a in (50, 50.02, 52)], 24)
    assert (near - start).abs().mean() < 0.01
    assert (near - start).abs().mean() < 0.2 * (far - start).abs().mean()


@pytest.mark.parametrize("name", ["car", "duck"])
@pytest.mark.parametrize("angle", [90, 270])
def test_the_light_stays_on_the_left_when_the_table_turns(name, angle):
    # From ahead and from behind these two are the same on both sides.
    image = turntable.render([View(name, angle)], 32)[0]
    assert image[:, :, :16].mean() > image[:, :, 16:].mean() + 0.02


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: View("sofa", 0), "object is 'sofa'; choose one of car, duck, .*teapot"),
        (lambda: View("mug", float("inf")), "angle is inf"),
        (lambda: full_turn("mug", 0), "0 views of mug"),
        (lambda: turntable.render([View("mug", 0)], 7), "7 pixels"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_written_set_holds_out_a_fifth_of_each_objects_views(tmp_path):
    calls = []
    folder = tmp_path / "turntable"
    count = turntable.write_set(
        folder, 8, 1, objects=("mug", "car"), count=24, progress=lambda *done: calls.append(done)
    )
    assert count == 48
    assert calls[-1] == (48, 48)
    with (folder / "attributes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "partition", "alignment", "object", "factor_angle"]
    parts = Counter((row["object"], row["partition"]) for row in rows)
    assert parts == {("mug", "0"): 19, ("mug", "2"): 5, ("car", "0"): 19, ("car", "2"): 5}
    assert rows[31]["file"] == "car_007.png"
    assert float(rows[31]["factor_angle"]) == 105
    expected = turntable.render([View("car", 105)], 8)[0].add(1).mul(127.5).round().byte()
    with Image.open(folder / "car_007.png") as picture:
        assert picture.tobytes() == expected.permute(1, 2, 0).contiguous().numpy().tobytes()
    data = open_set(folder)
    assert data.alignment == "none"
    assert list(data.factors) == ["factor_angle"]
    mug = data.where("object", ["mug"])
    assert [len(mug.part(name)) for name in ("train", "validation", "test")] == [19, 0, 5]
    # Each object has a draw of its own.
    test = data.part("test")
    held = [set(test.where("object", [name]).factors["factor_angle"]) for name in ("mug", "car")]
    assert held[0] != held[1]


def test_the_seed_decides_the_held_out_views(tmp_path):
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        assert turntable.write_set(folder, 8, seed, objects=("mug",), count=20) == 20
        parts = open_set(folder).partition.tolist()
        assert parts == sets.held_out(20, seed, "mug")
    assert sets.held_out(20, 1, "mug") != sets.held_out(20, 2, "mug")


def test_sets_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="named twice"):
        turntable.write_set(tmp_path, 8, objects=("mug", "mug"))
    with pytest.raises(ConfigError, match="'sofa'"):
        turntable.write_set(tmp_path, 8, objects=("sofa",))
    (tmp_path / "attributes.csv").write_text("file\n")
    with pytest.raises(ConfigError, match="has a data set already"):
        turntable.write_set(tmp_path, 8, objects=("mug",))
