import csv
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from studio.data import flaws, reading
from studio.data import inspect as inspect_module
from studio.data.flaws import FaceVerdict
from studio.data.folder import open_set
from studio.data.inspect import Faces, Pair, inspect, write_splits
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
    assert "decoded" in problems["000000.png"].reason
    assert "300 x 8" in problems["000001.png"].reason
    assert "000002.png" in problems["000005.png"].reason
    kinds = [problems[name].kind for name in sorted(problems)]
    assert kinds == ["corrupt", "tiny", "duplicate", "corrupt"]


def test_a_picture_of_absurd_size_is_listed_and_not_decoded(folder, monkeypatch):
    monkeypatch.setattr(reading, "MOST_PIXELS", 40 * 40)
    Image.new("RGB", (50, 50)).save(folder / "000003.png")
    report = inspect(folder)
    assert report.unusable["000003.png"].kind == "huge"
    assert "50 x 50 pixels" in report.unusable["000003.png"].reason
    assert any("cannot be decoded: 1." in line for line in report.blocking)


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


def test_counts_how_attributes_go_together(folder):
    def change(rows):
        marks = [("1", "1"), ("1", "0"), ("1", "0"), ("0", "1"), ("0", "0"), ("", "1"), ("0", "")]
        for row, (hat, scarf) in zip(rows, marks + [("0", "0")] * (len(rows) - 7), strict=True):
            row.update(Hat=hat, Scarf=scarf)
        return rows

    rewrite(folder, change)
    report = inspect(folder)
    found = {(pair.first, pair.second): pair for pair in report.pairs}
    assert found["Hat", "Scarf"] == Pair("Hat", "Scarf", 1, 2, 1, 34)
    count = len(report.attributes)
    assert len(report.pairs) == count * (count - 1) // 2
    assert "Hat and Scarf: 1 both, 2 only the first" in report.text()
    assert not any("commonest" in line for line in report.notes)


def test_pairs_of_many_attributes_are_those_of_the_commonest(folder):
    def change(rows):
        # The later ones are the commoner ones.
        marks = {f"A{n:02}": n for n in range(30)}
        return [
            {"file": row["file"], **{name: int(k < n) for name, n in marks.items()}}
            for k, row in enumerate(rows)
        ]

    rewrite(folder, change)
    report = inspect(folder)
    assert len(report.pairs) == 190
    assert {pair.first for pair in report.pairs} == {f"A{n:02}" for n in range(10, 29)}
    assert "Pairs are counted of the 20 commonest of 30 attributes." in report.notes


@pytest.mark.parametrize(("odd", "counts"), [("1", "0 lack it"), ("0", "0 training pictures have")])
def test_names_attributes_of_which_one_side_is_not_there_to_train(folder, odd, counts):
    def change(rows):
        # The other side stands in the test part only.
        other = {"1": "0", "0": "1"}[odd]
        return [{**row, "Hat": other if row["partition"] == "2" else odd} for row in rows]

    rewrite(folder, change)
    report = inspect(folder)
    assert counts in report.one_sided["Hat"]
    assert "at least 2 of each are needed. Add such pictures, mark" in report.one_sided["Hat"]
    assert report.one_sided["Hat"] in report.problems
    assert report.blocking == []


def test_a_set_whose_only_attribute_has_one_side_cannot_be_trained(folder):
    rewrite(folder, lambda rows: [{"file": row["file"], "Hat": "1"} for row in rows])
    report = inspect(folder)
    assert report.blocking == [report.one_sided["Hat"]]
    assert report.blocking[0] not in report.problems
    assert f"Cannot be trained: {report.blocking[0]}" in report.text()


def test_names_classes_of_which_none_is_for_training(folder):
    def change(rows):
        kinds = {"0": "cat", "1": "cat", "2": "dog"}
        return [{**row, "animal": kinds[row["partition"]]} for row in rows]

    rewrite(folder, change)
    assert any("the animal 'dog', though" in line for line in inspect(folder).problems)


def test_a_handful_of_pictures_is_too_few(folder):
    rewrite(folder, lambda rows: [{"file": row["file"], "partition": 0} for row in rows[:3]])
    (sentence,) = inspect(folder).blocking
    assert sentence.startswith("3 of 3 pictures are for training; at least 20 are needed")
    rewrite(folder, lambda rows: [{**rows[0], "partition": 2}])
    assert inspect(folder).blocking[0].startswith("0 of 1 pictures are for training")


def test_damaged_pictures_stop_training(folder):
    (folder / "000004.png").write_bytes(b"this is no picture")
    (sentence,) = inspect(folder).blocking
    assert sentence.startswith("Pictures that cannot be decoded: 1. Training stops")


def test_a_set_without_labels_says_what_it_is_good_for(folder):
    (folder / "attributes.csv").unlink()
    assert any("No attribute is labelled" in line for line in inspect(folder).notes)


def test_a_great_set_says_what_decoding_costs(heads_folder, monkeypatch):
    small = inspect(heads_folder)
    assert not any("to decode" in line for line in small.problems)
    assert small.cache_bytes == 40 * 64 * 64 * 3
    monkeypatch.setattr(inspect_module, "MANY", 39)
    report = inspect(heads_folder, size=128)
    assert report.decode_seconds > 0
    assert report.cache_bytes == 40 * 128 * 128 * 3
    (sentence,) = [line for line in report.problems if "to decode" in line]
    assert "40 pictures take about 0 seconds to decode once, and 0.0 GB" in sentence
    assert "at 128 pixels" in sentence


def test_times_are_said_as_people_do():
    assert inspect_module._duration(89) == "89 seconds"
    assert inspect_module._duration(3 * 60) == "3 minutes"


def test_tells_how_far_it_is_and_stops_when_asked(folder):
    seen = []
    report = inspect(folder, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 40) for done in range(1, 41)]
    assert report.checked == 40
    (folder / "000030.png").write_bytes(b"this is no picture")
    seen.clear()
    stopped = inspect(
        folder,
        progress=lambda done, total: seen.append(done),
        stopped=lambda: len(seen) == 7,
    )
    assert stopped.checked == 7
    assert stopped.unusable == {}
    assert any("only 7 of 40 pictures were looked at" in line for line in stopped.problems)


def without_eyes(rows):
    """Drop what tells a rendered set from photographs."""
    known = ("factor_", "left_eye", "right_eye", "size")
    return [{k: v for k, v in row.items() if not k.startswith(known)} for row in rows]


def places(*names):
    """Return a judge that says one place after another."""
    verdicts = iter(names)
    return lambda pixels: FaceVerdict(next(verdicts), "No face.")


def test_says_whether_faces_are_aligned(folder):
    rewrite(folder, without_eyes)
    report = inspect(folder, find_face=places(*["aligned"] * 40))
    assert report.faces == Faces(40, 40, 0, 0)
    assert "40 of 40 checked pictures are aligned as the models expect faces." in report.notes
    assert not any("alignment" in line for line in report.problems)
    report = inspect(
        folder, find_face=places(*["aligned"] * 30, *["elsewhere"] * 8, "none", "none")
    )
    assert report.faces == Faces(40, 30, 8, 2)
    assert any(
        "8 of 40 checked pictures show a face that is not aligned; alignment is offered" in line
        for line in report.problems
    )
    assert [flaw.kind for flaw in report.unusable.values()] == ["faceless"] * 2


def test_a_set_of_other_things_may_say_so(folder):
    rewrite(folder, without_eyes)
    report = inspect(folder, find_face=places(*["none"] * 39, "elsewhere"))
    assert any(
        "39 of 40 checked pictures show no face that can be aligned; if the set" in line
        for line in report.problems
    )
    rewrite(folder, lambda rows: [{**row, "alignment": "none"} for row in rows])
    report = inspect(folder, find_face=lambda pixels: pytest.fail("a face was searched"))
    assert report.faces is None


def test_faces_are_searched_in_a_few_pictures_only(folder, monkeypatch):
    rewrite(folder, without_eyes)
    monkeypatch.setattr(flaws, "MOST_FACES", 9)
    assert inspect(folder, find_face=places(*["aligned"] * 9)).faces == Faces(9, 9, 0, 0)


def test_no_face_is_searched_where_the_table_knows_the_eyes(folder):
    def search(pixels):
        pytest.fail("a face was searched")

    report = inspect(folder, find_face=search)
    assert report.faces == Faces(40, 40, 0, 0)
    assert any("by the eyes in the table" in line for line in report.notes)
    rewrite(folder, lambda rows: [{**row, "left_eye_x": "2"} for row in rows])
    assert inspect(folder, find_face=search).faces == Faces(40, 0, 40, 0)


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
    assert "a.png in faces.zip is damaged" in report.unusable["a.png"].reason
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
