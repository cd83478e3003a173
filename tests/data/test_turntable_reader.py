import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from studio.data.folder import open_set
from studio.data.inspect import inspect
from studio.data.turntable import hold_out
from studio.errors import DataError


def picture(level):
    """Return the bytes of a PNG of one grey level."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def views():
    """Return pictures of objects 1, 2 and 14, 72 views each, by object and angle."""
    pairs = [(name, angle) for name in (1, 2, 14) for angle in range(0, 360, 5)]
    return {pair: picture(level) for level, pair in enumerate(pairs)}


def write_coil(root, views, below=""):
    (root / below).mkdir(parents=True)
    for (name, angle), content in views.items():
        (root / below / f"obj{name}__{angle}.png").write_bytes(content)
    return root


def write_shared(folder, views, **extra):
    """Write X.zip with X.csv beside it."""
    rows = [
        {"file": f"obj{name:03d}_{angle:03d}.png", "object": name, "angle": angle, **extra}
        for name, angle in views
    ]
    with zipfile.ZipFile(folder / "coil.zip", "w") as archive:
        for row, content in zip(rows, views.values(), strict=True):
            archive.writestr(row["file"], content)
    with (folder / "coil.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "coil.zip"


@pytest.fixture(params=["own", "own, deeper", "shared"])
def coil(request, tmp_path, views):
    """Return the same objects in COIL's own layout and as a zip with a table."""
    if request.param == "shared":
        return write_shared(tmp_path, views)
    return write_coil(tmp_path / "coil", views, "coil-100" if "deeper" in request.param else "")


def test_every_layout_gives_objects_angles_and_the_same_split(coil, views):
    data = open_set(coil)
    objects, angles = data.classes["object"].tolist(), data.factors["factor_angle"].tolist()
    assert list(zip(objects, angles, strict=True)) == [(str(name), angle) for name, angle in views]
    assert (list(data.classes), list(data.factors), data.attributes) == (
        ["object"],
        ["factor_angle"],
        {},
    )
    assert data.alignment == "none"
    assert np.isnan(data.eyes()).all()
    assert data.pictures(8)[:, 4, 4, 0].tolist() == list(range(len(views)))
    expected = hold_out(data.classes["object"], data.factors["factor_angle"])
    assert np.array_equal(data.partition, expected)


def test_a_fifth_of_each_objects_views_is_held_out(coil):
    data = open_set(coil)
    assert [len(data.part(name)) for name in ("train", "validation", "test")] == [174, 0, 42]
    held = []
    for name in ("1", "2", "14"):
        one = data.where("object", [name])
        assert (len(one.part("train")), len(one.part("test"))) == (58, 14)
        held.append(one.part("test").factors["factor_angle"].tolist())
    assert held[0] != held[1] != held[2]


def test_the_split_does_not_depend_on_the_order_or_on_other_objects():
    objects, angles = np.array(["7"] * 20 + ["8"] * 20), np.tile(np.arange(20.0), 2)
    parts = hold_out(objects, angles)
    assert np.bincount(parts).tolist() == [32, 0, 8]
    assert np.array_equal(hold_out(objects[::-1], angles[::-1]), parts[::-1])
    assert np.array_equal(hold_out(objects[:20], angles[:20]), parts[:20])


def test_a_single_object_named_one_is_no_attribute(tmp_path, views):
    first = {pair: content for pair, content in views.items() if pair[0] == 1}
    data = open_set(write_coil(tmp_path / "coil", first))
    assert set(data.classes["object"]) == {"1"}
    assert data.attributes == {}


def test_a_table_with_a_partition_keeps_it(tmp_path, views):
    data = open_set(write_shared(tmp_path, views, partition=1))
    assert set(data.partition.tolist()) == {1}


def test_one_differently_named_picture_makes_it_a_plain_folder(tmp_path, views):
    root = write_coil(tmp_path / "coil", views)
    (root / "logo.png").write_bytes(picture(250))
    assert open_set(root).classes == {}


def test_an_angle_that_is_no_number_is_named(tmp_path, views):
    location = write_shared(tmp_path, views)
    table = location.with_suffix(".csv")
    table.write_text(table.read_text().replace("obj014_000.png,14,0", "obj014_000.png,14,front"))
    with pytest.raises(DataError, match="angle must hold numbers"):
        open_set(location)


def test_objects_are_chosen_by_name(coil):
    data = open_set(coil)
    some = data.where("object", ["14", "1"])
    assert len(some) == 144
    assert set(some.classes["object"].tolist()) == {"1", "14"}
    with pytest.raises(DataError, match="no object '3'; it has 1, 2, 14"):
        data.where("object", ["1", "3"])
    with pytest.raises(DataError, match="no classes 'shape'; it has object"):
        data.where("shape", ["1"])


def test_a_check_tells_the_layout(coil):
    report = inspect(coil)
    assert report.layout in {"a folder in COIL-100's own layout", "a zip with coil.csv beside it"}
    assert report.classes == {"object": 3}
    assert report.unusable == {}
