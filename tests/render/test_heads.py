import csv
from dataclasses import replace

import pytest
import torch
from PIL import Image

from studio.errors import ConfigError
from studio.render import heads
from studio.render.heads import Head

# A person with short hair, no fringe and a light skin, chosen by looking.
PLAIN = Head(identity=9, light_azimuth=0.0)


@pytest.fixture(scope="module")
def plain():
    return heads.render([PLAIN], 64)[0]


def region(image, left, top, right, bottom):
    """Cut fractions of a picture out of (3, H, W)."""
    size = image.shape[-1]
    rows = slice(round(top * size), round(bottom * size))
    return image[:, rows, round(left * size) : round(right * size)]


def test_rendering_does_not_depend_on_the_batch():
    crowd = heads.sample_heads(4, 7)
    together = heads.render(crowd, 48)
    assert together.shape == (4, 3, 48, 48)
    assert together.min() >= -1
    assert together.max() <= 1
    for head, image in zip(crowd, together, strict=True):
        assert torch.equal(heads.render([head], 48)[0], image)


def test_no_heads_make_an_empty_batch():
    assert heads.render([], 32).shape == (0, 3, 32, 32)
    assert heads.eye_positions([], 32).shape == (0, 2, 2)
    assert heads.sample_heads(0, 1) == []


@pytest.mark.parametrize("size", [33, 50])
def test_sizes_that_are_no_multiple_of_a_block_work(size):
    image = heads.render([PLAIN], size)[0]
    assert image.shape == (3, size, size)
    assert image.isfinite().all()


def test_sampling_repeats_and_a_longer_list_continues_a_shorter():
    assert heads.sample_heads(20, 3)[:5] == heads.sample_heads(5, 3)
    assert heads.sample_heads(20, 3) != heads.sample_heads(20, 4)


@pytest.mark.parametrize(
    ("name", "value"), [("yaw", 12.0), ("eyeglasses", "round"), ("identity", 5), ("blink", 0.5)]
)
def test_fixing_a_factor_changes_no_other(name, value):
    free, fixed = heads.sample_heads(30, 3), heads.sample_heads(30, 3, fixed={name: value})
    assert {getattr(head, name) for head in fixed} == {value}
    assert [replace(head, **{name: value}) for head in free] == fixed


def test_a_new_factor_would_change_no_old_one(monkeypatch):
    before = heads.sample_heads(10, 3)
    fewer = {name: draw for name, draw in heads._DRAWS.items() if name != "gaze_yaw"}
    monkeypatch.setattr(heads, "_DRAWS", fewer)
    assert [replace(head, gaze_yaw=0.0) for head in before] == heads.sample_heads(10, 3)


def test_attributes_are_balanced():
    crowd = heads.sample_heads(2000, 0)
    table = [heads.labels(head) for head in crowd]

    def share(name):
        return sum(row[name] == 1 for row in table) / len(table)

    assert share("Eyeglasses") == pytest.approx(0.5, abs=0.05)
    assert share("Sunglasses") == pytest.approx(1 / 6, abs=0.04)
    assert share("Smiling") == pytest.approx(0.32, abs=0.05)
    assert share("Bangs") == pytest.approx(0.35, abs=0.06)
    assert 0.05 < share("Wearing_Hat") < 0.15
    assert 0.25 < share("Side_Light") < 0.5


@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (25.0, 0.0), (-25.0, 10.0), (0.0, -15.0)])
def test_eyes_are_where_they_are_said_to_be(yaw, pitch):
    awake = replace(PLAIN, yaw=yaw, pitch=pitch)
    size = 128
    opened, closed = heads.render([awake, replace(awake, blink=1.0)], size).mean(1)
    change = (opened - closed).abs()
    for x, y in heads.eye_positions([awake], size)[0].tolist():
        left, top = round(x) - 12, round(y) - 9
        around = change[top : top + 18, left : left + 24]
        rows, columns = (torch.arange(count) + 0.5 for count in around.shape)
        assert left + (around.sum(0) @ columns / around.sum()).item() == pytest.approx(x, abs=2)
        assert top + (around.sum(1) @ rows / around.sum()).item() == pytest.approx(y, abs=2)


def test_eyes_stand_where_celeba_has_them():
    assert heads.eye_positions([PLAIN], 128).tolist() == [[[50.0, 66.0], [78.0, 66.0]]]
    assert heads.eye_positions([PLAIN] * 2, 64)[1].tolist() == [[25.0, 33.0], [39.0, 33.0]]


@pytest.mark.parametrize("kind", ["round", "square", "sunglasses"])
def test_glasses_change_the_region_of_the_eyes_only(plain, kind):
    worn = heads.render([replace(PLAIN, eyeglasses=kind)], 64)[0]
    changed = (worn - plain).abs().amax(0) > 0.05
    assert changed.float().mean() > 0.02
    rows, columns = changed.nonzero().unbind(1)
    # The shadows of the frames fall on the cheeks, not below the nose.
    assert rows.min() >= 0.38 * 64
    assert rows.max() <= 0.74 * 64
    assert columns.min() >= 0.12 * 64
    assert columns.max() <= 0.88 * 64


def test_sunglasses_are_dark(plain):
    worn = heads.render([replace(PLAIN, eyeglasses="sunglasses")], 64)[0]
    lens = (0.34, 0.48, 0.44, 0.55)
    assert region(worn, *lens).mean() < region(plain, *lens).mean() - 0.3


@pytest.mark.parametrize("side", [-1, 1])
def test_the_lit_cheek_is_the_brighter_one(side):
    image = heads.render([replace(PLAIN, light_azimuth=side * 60.0)], 64)[0]
    left = region(image, 0.30, 0.58, 0.40, 0.72).mean()
    right = region(image, 0.60, 0.58, 0.70, 0.72).mean()
    assert (right - left) * side > 0.15


def test_a_smile_widens_the_mouth_steadily():
    ramp = [replace(PLAIN, expression="smile", intensity=step / 4) for step in range(5)]
    images = heads.render(ramp, 64)
    change = [(image - images[0]).abs().mean().item() for image in images]
    assert change == sorted(change)
    assert change[-1] > 0.01
    # What moves is the lower half of the face; the eyes narrow a little, hair and hat stay.
    below = (images[-1] - images[0])[:, 40:60].abs().mean()
    above = (images[-1] - images[0])[:, :20].abs().mean()
    assert below > 10 * above


@pytest.mark.parametrize(
    "change",
    [
        {"blink": 1.0},
        {"mouth_open": 1.0},
        {"gaze_yaw": 25.0},
        {"gaze_pitch": 12.0},
        {"hat": True},
        {"yaw": 10.0},
        {"pitch": 8.0},
        {"light_elevation": 60.0},
        {"background": 1},
        {"expression": "scream", "intensity": 1.0},
        {"expression": "squint", "intensity": 1.0},
        {"identity": 10},
        {"colour_cast": (1.3, 1.0, 0.7)},
    ],
)
def test_every_factor_shows(plain, change):
    image = heads.render([replace(PLAIN, **change)], 64)[0]
    assert ((image - plain).abs() > 0.1).any()


def test_an_expression_of_no_intensity_is_neutral(plain):
    assert torch.equal(heads.render([replace(PLAIN, expression="scream")], 64)[0], plain)


def test_labels_say_what_the_factors_are():
    head = replace(PLAIN, expression="smile", intensity=0.75, eyeglasses="sunglasses", hat=True)
    row = heads.labels(replace(head, light_azimuth=-50.0, mouth_open=0.9))
    expected = {
        "Eyeglasses": 1,
        "Sunglasses": 1,
        "Smiling": 1,
        "Wearing_Hat": 1,
        "Mouth_Open": 1,
        "Side_Light": 1,
        "identity": 9,
        "expression": "smile",
        "eyeglasses_kind": "sunglasses",
        "factor_smile": 0.75,
        "factor_glasses_kind": 3.0,
        "factor_light_azimuth": -50.0,
    }
    assert {name: row[name] for name in expected} == expected
    neutral = heads.labels(PLAIN)
    zero = ("Eyeglasses", "Sunglasses", "Smiling", "Wearing_Hat", "Mouth_Open", "Side_Light")
    assert [neutral[name] for name in zero] == [0] * len(zero)
    assert heads.labels(replace(PLAIN, light_azimuth=25.0))["Side_Light"] == ""
    assert heads.labels(replace(head, expression="scream"))["Smiling"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eyeglasses": "monocle"}, "none, round, square, sunglasses"),
        ({"expression": "angry"}, "neutral, smile, scream, surprise, squint"),
        ({"blink": 1.5}, "blink is 1.5; give a number from 0 to 1"),
        ({"yaw": float("nan")}, "yaw"),
        ({"pitch": "up"}, "pitch is 'up'"),
        ({"colour_cast": (0.0, 1.0, 1.0)}, "colour_cast"),
    ],
)
def test_wrong_factors_are_refused_by_name(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(PLAIN, **change)


def test_wrong_requests_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="'beard'"):
        heads.sample_heads(1, 0, fixed={"beard": 1})
    with pytest.raises(ConfigError, match="-1 heads"):
        heads.sample_heads(-1, 0)
    with pytest.raises(ConfigError, match="4 pixels"):
        heads.render([PLAIN], 4)
    (tmp_path / "attributes.csv").write_text("file\n")
    with pytest.raises(ConfigError, match="has a data set already"):
        heads.write_set(tmp_path, 1, 16, 0)


def test_a_written_set_has_its_pictures_and_its_table(tmp_path):
    calls = []
    folder = tmp_path / "set"
    heads.write_set(
        folder, 6, 32, 5, fixed={"hat": True}, progress=lambda *done: calls.append(done)
    )
    with (folder / "attributes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:2] == ["file", "partition"]
    assert [row["file"] for row in rows] == [f"{number:06d}.png" for number in range(6)]
    assert {row["Wearing_Hat"] for row in rows} == {"1"}
    assert (float(rows[0]["left_eye_x"]), float(rows[0]["right_eye_y"])) == (12.5, 16.5)
    assert calls[-1] == (6, 6)
    head = heads.sample_heads(6, 5, fixed={"hat": True})[4]
    expected = heads.render([head], 32)[0].add(1).mul(127.5).round().byte()
    with Image.open(folder / "000004.png") as picture:
        assert picture.size == (32, 32)
        assert picture.tobytes() == expected.permute(1, 2, 0).contiguous().numpy().tobytes()


def test_no_identity_is_in_two_partitions_and_all_three_are_used():
    table = [heads.labels(head) for head in heads.sample_heads(3000, 2)]
    places = {}
    for row in table:
        assert places.setdefault(row["identity"], row["partition"]) == row["partition"]
    shares = [sum(place == part for place in places.values()) / len(places) for part in range(3)]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.04)
