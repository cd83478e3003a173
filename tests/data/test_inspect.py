import csv
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from studio.data.folder import open_set
from studio.data.inspect import inspect, write_splits
from studio.errors import DataError


@pytest.fixture
def folder(heads_folder, tmp_path):
    """Return a copy of the rendered set that a test may damage."""
    copy = tmp_path / "faces"
    shutil.copytree(heads_folder, copy)
    return copy


def rewrite(folder, change):
    """Change the rows of a set's table."""
    table = folder / "attributes.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = change(rows)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_counts_what_a_sound_set_holds(heads_folder):
    report = inspect(heads_folder)
    data = open_set(heads_folder)
    assert report.pictures == 40
    assert report.layout == "a folder with attributes.csv"
    assert sum(report.partitions.values()) == 40
    assert report.unusable == {}
    glasses = report.attributes["Eyeglasses"]
    assert sum(glasses.values()) == int((data.attribute("Eyeglasses") == 1).sum())
    train = data.part("train").attribute("Eyeglasses")
    assert glasses["train"] == int((train == 1).sum())
    # Light between frontal and from the side is labelled neither.
    unknown = int((data.attribute("Side_Light") == -1).sum())
    assert report.attributes["Side_Light"]["unknown"] == unknown > 0
    assert "factor_smile" in report.factors


def test_lists_corrupt_tiny_and_repeated_pictures(folder):
    first, second, third = (folder / f"{number:06d}.png" for number in range(3))
    content = first.read_bytes()
    first.write_bytes(content[: len(content) // 2])
    Image.fromarray(np.zeros((8, 300, 3), np.uint8)).save(second)
    shutil.copy(third, folder / "000005.png")
    (folder / "000006.png").write_bytes(b"this is no picture")
    problems = inspect(folder).unusable
    assert set(problems) == {"000000.png", "000001.png", "000005.png", "000006.png"}
    assert "decoded" in problems["000000.png"]
    assert "300 x 8" in problems["000001.png"]
    assert "000002.png" in problems["000005.png"]


def test_names_a_table_that_repeats_or_forgets_pictures(folder):
    rewrite(folder, lambda rows: [*rows[:-3], rows[0]])
    problems = inspect(folder).problems
    assert "The table names 1 files more than once." in problems
    assert any(line.startswith("3 pictures are not in the table") for line in problems)


def test_names_persons_who_are_on_both_sides_of_a_split(folder):
    def change(rows):
        rows[0]["identity"] = rows[1]["identity"] = "4711"
        rows[0]["partition"], rows[1]["partition"] = "0", "2"
        return rows

    rewrite(folder, change)
    assert "1 persons are in several partitions." in inspect(folder).problems


def test_names_attributes_that_never_change(folder):
    rewrite(folder, lambda rows: [{**row, "Bald": "0"} for row in rows])
    assert any(line.startswith("Bald has the same value") for line in inspect(folder).problems)


def test_refuses_tables_that_cannot_be_used(folder):
    rewrite(folder, lambda rows: [{**row, "partition": "often"} for row in rows])
    with pytest.raises(DataError, match=r"0 \(train\), 1 \(validation\)"):
        inspect(folder)
    rewrite(folder, lambda rows: [{**row, "partition": "0", "file": "x.png"} for row in rows])
    with pytest.raises(DataError, match="40 files that are not there"):
        inspect(folder)


def test_refuses_a_zip_that_leads_out_of_itself(folder):
    packed = folder.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(folder / "000000.png", "../000000.png")
    with pytest.raises(DataError, match="leads out of the zip"):
        inspect(packed)


def test_names_every_file_that_is_damaged_inside_its_zip(folder):
    packed = folder.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(folder / "000000.png", "a.png")
        archive.write(folder / "000001.png", "b.png")
    content = bytearray(packed.read_bytes())
    content[200] ^= 255
    packed.write_bytes(content)
    report = inspect(packed)
    assert report.unusable.keys() == {"a.png"}
    assert "a.png in faces.zip is damaged" in report.unusable["a.png"]
    with pytest.raises(DataError, match=r"a\.png in faces\.zip is damaged"):
        list(open_set(packed).contents())


def test_recognizes_the_layouts(folder, tmp_path):
    classes = tmp_path / "classes"
    for name in ("cats", "dogs"):
        (classes / name).mkdir(parents=True)
    shutil.copy(folder / "000000.png", classes / "cats" / "a.png")
    shutil.copy(folder / "000001.png", classes / "dogs" / "b.png")
    report = inspect(classes)
    assert report.layout == "a folder with one folder per class"
    assert report.classes == {"class": 2}
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("000000.png", "000001.png"):
            archive.write(folder / name, name)
    assert inspect(packed).layout == "a zip without labels"
    (tmp_path / "packed.csv").write_text("file,Hat\n000000.png,1\n000001.png,0\n")
    assert inspect(packed).layout == "a zip with packed.csv beside it"


def test_a_written_split_gives_the_same_parts_again(heads_set, tmp_path):
    output = tmp_path / "splits" / "heads.csv"
    counts = write_splits(heads_set, output)
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(counts.values()) == len(rows) == 40
    for name, count in counts.items():
        named = [row["file"] for row in rows if row["partition"] == name]
        assert tuple(named) == heads_set.part(name).files
        assert len(named) == count
    with pytest.raises(DataError, match=r"\.csv"):
        write_splits(heads_set, tmp_path / "split.txt")
