import io

import numpy as np
import pytest
from PIL import Image

from studio.data.flaws import FaceVerdict, PictureCheck, spread
from studio.data.folder import open_set


def encoded(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, options.pop("format", "PNG"), **options)
    return buffer.getvalue()


@pytest.fixture
def make_set(tmp_path):
    """Return a function that writes files as a set without labels and opens it."""

    def make(files, table=""):
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        if table:
            (tmp_path / "attributes.csv").write_text(table)
        return open_set(tmp_path)

    return make


def flaws_of(data, find_face=None):
    check = PictureCheck(data, find_face)
    contents = zip(data.files, data.attempts(), strict=True)
    found = {name: check.look(name, content) for name, content in contents}
    return {name: flaw for name, flaw in found.items() if flaw}, check


@pytest.mark.parametrize("quality", [70, 95])
def test_a_picture_that_was_saved_again_is_named(make_set, photograph, quality):
    one, other = (photograph(seed, 240, 320) for seed in range(2))
    again = encoded(one, format="JPEG", quality=quality)
    found, _ = flaws_of(make_set({"a.png": encoded(one), "b.png": encoded(other), "c.jpg": again}))
    assert found.keys() == {"c.jpg"}
    assert found["c.jpg"].kind == "similar"
    assert "looks the same as a.png" in found["c.jpg"].reason


def test_a_picture_that_differs_somewhere_is_another_one(make_set, photograph):
    one = photograph(0)
    other = one.copy()
    other[20:26, 30:38] = 255 - other[20:26, 30:38]
    assert flaws_of(make_set({"a.png": encoded(one), "b.png": encoded(other)}))[0] == {}


def test_flat_pictures_of_different_levels_are_different(make_set):
    levels = {f"{n}.png": encoded(np.full((40, 40, 3), 40 * n, np.uint8)) for n in range(5)}
    assert flaws_of(make_set(levels))[0] == {}


def test_sets_whose_factors_are_known_hold_neighbours_on_purpose(make_set, photograph):
    pixels = photograph(0, 240, 320)
    files = {"a.png": encoded(pixels), "b.jpg": encoded(pixels, format="JPEG")}
    table = "file,factor_angle\na.png,0\nb.jpg,5\n"
    assert flaws_of(make_set(files, table))[0] == {}
    assert flaws_of(make_set(files, table.replace("factor_", "")))[0].keys() == {"b.jpg"}


def test_pictures_without_a_face_are_listed_with_the_reason(make_set, photograph):
    def find_face(pixels):
        assert pixels.shape == (60, 80, 3)
        if pixels.mean() > means[1]:
            return FaceVerdict("none", "Too bright.")
        return FaceVerdict("aligned")

    files = {f"{n}.png": encoded(photograph(n)) for n in range(3)}
    means = sorted(photograph(n).mean() for n in range(3))
    found, check = flaws_of(make_set(files), find_face)
    assert [(flaw.kind, flaw.reason) for flaw in found.values()] == [("faceless", "Too bright.")]
    assert check.faces == {"aligned": 2, "none": 1}


def test_rows_are_spread_over_the_whole_set():
    assert spread(3, 200) == [0, 1, 2]
    assert spread(0, 200) == []
    rows = spread(19_376, 200)
    assert len(rows) == 200
    assert (rows[0], rows[-1]) == (0, 19_375)
    assert set(np.diff(rows)) <= {97, 98}
