import csv
import errno
import io
import json
import os
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from studio import images, intake, paths
from studio.data.folder import open_set, read_rows
from studio.errors import ConfigError, DataError
from studio.faces.align import Alignment, crop
from studio.faces.detect import Face
from studio.intake import align, check, judge_face, label, take_in

# The pupils, read off the picture.
EYES = Alignment.from_eyes((203.8, 101.0), (246.5, 103.1))


@pytest.fixture(scope="module")
def photo():
    """Return the astronaut, without what a search need not look at."""
    return astronaut()[:256, 96:352].copy()


@pytest.fixture(scope="module")
def aligned():
    return crop(astronaut(), EYES, 128)


def encode(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


TABLE = (
    "file,Hat,mood,partition,left_eye_x,alignment,factor_age\n"
    "people/a.jpg,1,calm,2,9,none,40.5\n"
    "people/b.png,,calm,0,9,none,\n"
    "c.png,0,,0,9,none,3\n"
)


@pytest.fixture
def photographs(photo, tmp_path):
    """Return a set of one photograph, a grey picture and a damaged one."""
    folder = tmp_path / "given"
    (folder / "people").mkdir(parents=True)
    (folder / "people" / "a.jpg").write_bytes(encode(photo, "JPEG"))
    (folder / "people" / "b.png").write_bytes(encode(np.full((64, 64, 3), 128, np.uint8)))
    (folder / "c.png").write_bytes(b"this is no picture")
    (folder / "attributes.csv").write_text(TABLE)
    return folder


@pytest.fixture
def zipped(tmp_path):
    """Return a zip of three small pictures, without labels."""
    path = tmp_path / "given.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for level, name in enumerate(("a.png", "b.png", "c.png")):
            archive.writestr(name, encode(np.full((40, 40, 3), 60 * level, np.uint8)))
    return path


def own():
    """List what stands among the person's own sets, hidden and unfinished things too."""
    return sorted(path.name for path in paths.data().iterdir()) if paths.data().is_dir() else []


def ignore(done, total):
    """Take progress."""


def never():
    return False


def full(*arguments, **options):
    """Stand in for what writes, on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_zip_becomes_a_set_of_the_home(zipped):
    place = take_in(zipped, "mine")
    assert place == paths.data() / "mine.zip"
    assert place.read_bytes() == zipped.read_bytes()
    assert own() == ["mine.zip"]
    assert open_set(place).files == ("a.png", "b.png", "c.png")


def test_the_table_beside_a_zip_comes_with_it(zipped):
    zipped.with_suffix(".csv").write_text("file,Hat\na.png,1\n")
    assert open_set(take_in(zipped.with_suffix(""), "mine")).attributes["Hat"].tolist() == [1]
    assert own() == ["mine.csv", "mine.zip"]


@pytest.mark.parametrize("name", ["", " mine", "a/b", "..", "a.b", "x" * 41, "a\nb"])
def test_names_that_no_file_should_have_are_refused(zipped, name):
    with pytest.raises(ConfigError, match="is no name for a data set; give 1 to 40 letters"):
        take_in(zipped, name)
    assert own() == []


@pytest.mark.parametrize("there", ["mine", "mine.zip", "mine.csv", "mine.part"])
def test_a_name_that_is_taken_is_refused(zipped, photographs, there):
    (paths.data() / there).mkdir(parents=True)
    for make in (
        lambda: take_in(zipped, "mine"),
        lambda: align(photographs, "mine", ignore, never),
        lambda: label(zipped, "mine", "Hat", ["a.png"], []),
    ):
        with pytest.raises(ConfigError, match="There is a data set mine already; choose another"):
            make()
    assert own() == [there]


def test_what_is_no_set_is_not_kept(tmp_path, photographs):
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 nothing more")
    with pytest.raises(DataError, match="not a readable zip"):
        take_in(tmp_path / "bad.zip", "mine")
    with pytest.raises(DataError, match="given is no zip; pack the pictures"):
        take_in(photographs, "mine")
    assert own() == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing(zipped, photographs, monkeypatch):
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(DataError, match="no space left for mine among your data sets; make room"):
        take_in(zipped, "mine")
    monkeypatch.setattr(images, "save_png", full)
    with pytest.raises(DataError, match="There is no space left for mine"):
        align(photographs, "mine", ignore, never)
    monkeypatch.setattr(intake, "write_table", full)
    with pytest.raises(DataError, match="There is no space left for mine"):
        label(zipped, "mine", "Hat", ["a.png"], [])
    assert own() == []


def test_another_refusal_of_the_disk_is_a_sentence_too(zipped, monkeypatch):
    def broken(*arguments):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(shutil, "copyfile", broken)
    with pytest.raises(DataError, match=r"mine cannot be written among .*: Input/output error"):
        take_in(zipped, "mine")


def test_a_face_is_judged_by_where_it_is(photo, aligned):
    assert judge_face(aligned, None).place == "aligned"
    assert judge_face(photo, None).place == "elsewhere"
    verdict = judge_face(np.full((64, 64, 3), 128, np.uint8), None)
    assert (verdict.place, verdict.reason) == ("none", "No face was found in it.")


def test_a_crop_whose_eyes_stand_right_needs_no_search(aligned, monkeypatch):
    monkeypatch.setattr(intake, "find_faces", lambda *given: pytest.fail("a face was searched"))
    # Wherever a crop is moved to, the eyes stay where they are in the picture.
    monkeypatch.setattr(intake, "misalignment", lambda *given: "")
    assert judge_face(aligned, lambda crops: None).place == "aligned"


def test_a_face_whose_eyes_cannot_be_told_is_used_where_it_is_aligned(aligned, monkeypatch):
    whole = Alignment.whole(128, 128)
    near = replace(whole, centre_x=whole.centre_x + 0.2 * whole.eye_distance)
    far = replace(whole, centre_x=whole.centre_x + 0.3 * whole.eye_distance)
    for place, verdict in ((near, "aligned"), (far, "none")):
        doubtful = [Face(place, True, 0.3, False, "Sunglasses.")]
        monkeypatch.setattr(intake, "find_faces", lambda *given, found=doubtful: found)
        assert judge_face(aligned, None).place == verdict
    assert "eyes cannot be made out" in judge_face(aligned, None).reason


def test_a_check_tells_that_photographs_can_be_aligned(photographs):
    (photographs / "attributes.csv").write_text(TABLE.replace(",none", ",celeba"))
    report = check(photographs, None)
    assert (report.faces.checked, report.faces.elsewhere, report.faces.none) == (2, 1, 1)
    assert report.unusable["people/b.png"].kind == "faceless"
    assert check(photographs, None, stopped=lambda: True).checked == 0


def test_an_aligned_copy_has_the_faces_in_their_place_and_all_labels(photographs):
    seen = []
    report = align(photographs, "mine", lambda done, total: seen.append((done, total)), never)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert (report.finished, report.total, report.written) == (True, 3, 1)
    assert report.output == paths.data() / "mine"
    assert report.left_out.keys() == {"people/b.png", "c.png"}
    assert report.left_out["people/b.png"] == "No face was found in it."
    assert report.left_out["c.png"].startswith("It cannot be decoded (no picture of a kind")
    assert report.crowded == []
    assert own() == ["mine"]
    labels = {"Hat": "1", "mood": "calm", "partition": "2", "factor_age": "40.5"}
    assert read_rows(report.output) == [{"file": "people/a.png", **labels}]
    data = open_set(report.output)
    assert data.alignment == "celeba"
    written = images.read_photo(report.output / "people" / "a.png").pixels
    assert written.shape == (128, 128, 3)
    assert judge_face(written, None).place == "aligned"


def test_an_aligned_copy_stays_split_as_the_pictures_were(photo, tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    # Both would be called alike as PNG files.
    (folder / "a.jpg").write_bytes(encode(photo, "JPEG"))
    (folder / "a.png").write_bytes(encode(photo[:, ::-1].copy()))
    before = open_set(folder)
    data = open_set(align(folder, "mine", ignore, never).output)
    assert data.files == ("a.jpg.png", "a.png.png")
    assert data.partition.tolist() == before.partition.tolist()
    left, right = data.pictures(128).mean(axis=(1, 3))
    assert np.abs(left - right[::-1]).mean() < np.abs(left - right).mean()


def test_the_largest_of_several_faces_is_taken(photo, tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    small = np.array(Image.fromarray(photo).resize((192, 192)))
    both = np.full((256, 448, 3), 127, np.uint8)
    both[:, :256] = photo
    both[:192, 256:] = small
    (folder / "two.png").write_bytes(encode(both))
    report = align(folder, "mine", ignore, never)
    assert report.crowded == ["two.png"]
    written = images.read_photo(report.output / "two.png").pixels
    alone = crop(both, Alignment.from_eyes((107.8, 101.0), (150.5, 103.1)), 128)
    assert np.abs(written.astype(int) - alone).mean() < 25


def test_a_stopped_alignment_leaves_nothing(photographs):
    steps = []
    report = align(
        photographs, "mine", lambda done, total: steps.append(done), lambda: len(steps) == 1
    )
    assert not report.finished
    assert report.total == 3
    assert own() == []
    assert align(photographs, "mine", ignore, never).finished


def test_a_set_that_shows_nobody_is_not_aligned(zipped):
    with pytest.raises(DataError, match="None of the 3 pictures of given shows a face that can"):
        align(zipped, "mine", ignore, never)
    assert own() == []


def test_marks_on_a_folder_become_a_set_that_shares_its_pictures(photographs):
    given = photographs / "attributes.csv"
    place = label(photographs, "mine", "Beard", ["people/a.jpg"], ["c.png"])
    assert place == paths.data() / "mine"
    assert own() == ["mine"]
    data = open_set(place)
    assert data.attributes["Beard"].tolist() == [1, -1, 0]
    assert data.attributes["Hat"].tolist() == [1, -1, 0]
    assert data.classes["mood"].tolist() == ["calm", "calm", ""]
    assert (data.partition.tolist(), data.alignment) == ([2, 0, 0], "none")
    assert given.read_text() == TABLE
    assert (place / "people" / "a.jpg").samefile(photographs / "people" / "a.jpg")


def test_marks_on_a_zip_stand_beside_it(zipped):
    before = open_set(zipped).partition.tolist()
    place = label(zipped, "mine", "Hat", ["a.png"], ["b.png"])
    assert own() == ["mine.csv", "mine.zip"]
    assert place == paths.data() / "mine.zip"
    assert place.samefile(zipped)
    data = open_set(place)
    assert data.attributes["Hat"].tolist() == [1, 0, -1]
    assert data.partition.tolist() == before


def test_pictures_are_copied_where_the_disk_cannot_share_them(zipped, monkeypatch):
    def refused(self, target):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr("pathlib.Path.hardlink_to", refused)
    place = label(zipped, "mine", "Hat", ["a.png"], ["b.png"])
    assert not place.samefile(zipped)
    assert place.read_bytes() == zipped.read_bytes()


@pytest.mark.parametrize("packed", [False, True])
def test_a_set_of_the_home_gets_further_marks_itself(packed, zipped, photographs):
    given = zipped if packed else photographs
    first, second, third = open_set(given).files
    place = label(given, "mine", "Hat", [first], [second])
    inodes = [path.stat().st_ino for path in sorted(paths.data().rglob("*.*g"))]
    assert label(place, "mine", "Hat", [second], []) == place
    assert label(place, "mine", "Scarf", [], [third]) == place
    data = open_set(place)
    known = 0 if not packed else -1
    assert data.attributes["Hat"].tolist() == [1, 1, known]
    assert data.attributes["Scarf"].tolist() == [-1, -1, 0]
    assert own() == (["mine.csv", "mine.zip"] if packed else ["mine"])
    assert [path.stat().st_ino for path in sorted(paths.data().rglob("*.*g"))] == inodes


def test_marks_that_cannot_be_written_leave_the_others(zipped, monkeypatch):
    place = label(zipped, "mine", "Hat", ["a.png"], ["b.png"])
    monkeypatch.setattr(intake, "write_table", full)
    with pytest.raises(DataError, match="There is no space left for mine"):
        label(place, "mine", "Hat", ["c.png"], [])
    assert open_set(place).attributes["Hat"].tolist() == [1, 0, -1]


@pytest.mark.parametrize("packed", [False, True])
def test_marks_never_go_into_a_set_that_is_not_of_the_home(packed, zipped, photographs):
    given, file = (zipped, "a.png") if packed else (photographs, "c.png")
    paths.data().mkdir(parents=True)
    up = "../" * len(paths.data().parts)
    for name in (str(given.with_suffix("")), f"{up}{str(given.with_suffix(''))[1:]}", "../given"):
        with pytest.raises(ConfigError, match="is no name for a data set"):
            label(given, name, "Hat", [file], [])
    assert not zipped.with_suffix(".csv").exists()
    assert (photographs / "attributes.csv").read_text() == TABLE
    # A link in the home has a name there; what it leads to has none.
    (paths.data() / given.name).symlink_to(given)
    with pytest.raises(ConfigError, match="There is a data set given already"):
        label(given, "given", "Hat", [file], [])
    assert own() == [given.name]


def test_a_set_is_deleted_with_its_table_and_a_link_without_what_it_leads_to(zipped, photographs):
    label(zipped, "mine", "Hat", ["a.png"], [])
    label(photographs, "people", "Hat", ["c.png"], [])
    (paths.data() / "link").symlink_to(photographs)
    assert intake.delete("mine") == "mine.zip"
    assert intake.delete("people") == "people"
    assert intake.delete("link") == "link"
    assert own() == []
    assert len(open_set(zipped)) == len(open_set(photographs)) == 3
    beside = paths.data().parent / "beside.zip"
    shutil.copy(zipped, beside)
    for name in ("", ".", "..", "mine", "../beside.zip", "../beside", str(zipped), "a/b"):
        with pytest.raises(ConfigError, match="There is no data set"):
            intake.delete(name)
    assert beside.exists()


@pytest.mark.parametrize("role", ["data", "also"])
def test_a_set_that_a_job_learns_from_stays(role, zipped, put):
    place = take_in(zipped, "mine")
    job = paths.runs() / "20260101-x"
    job.mkdir(parents=True)
    (job / "request.json").write_text(json.dumps({"data": "x", role: str(place)}))
    for state in ("queued", "running", "paused"):
        put(job, state)
        with pytest.raises(ConfigError, match=r"The job 20260101-x learns from mine\.zip"):
            intake.delete("mine.zip")
    put(job, "failed")
    (paths.runs() / "damaged").mkdir()
    (paths.runs() / "damaged" / "request.json").write_text("[]")
    intake.delete("mine.zip")
    assert own() == []


def test_folders_of_classes_keep_them_when_they_are_marked(photo, tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        (tmp_path / "pets" / kind / "0.png").write_bytes(encode(photo))
    data = open_set(label(tmp_path / "pets", "mine", "Hat", ["cat/0.png"], []))
    assert data.classes["class"].tolist() == ["cat", "dog"]
    assert data.attributes["Hat"].tolist() == [1, -1]


def test_celebas_layout_is_marked_in_a_copy_only(tmp_path, photo):
    lists = {
        "list_attr_celeba.txt": "1\nYoung\n000001.png 1\n",
        "list_eval_partition.txt": "000001.png 1\n",
    }
    folder = paths.data() / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    (folder / "img_align_celeba" / "000001.png").write_bytes(encode(photo[:218, :178].copy()))
    for name, text in lists.items():
        (folder / name).write_text(text)
    with pytest.raises(DataError, match="CelebA's official layout, whose lists stay"):
        label(folder, "celeba", "Hat", ["000001.png"], [])
    data = open_set(label(folder, "mine", "Hat", ["000001.png"], []))
    assert {name: values.tolist() for name, values in data.attributes.items()} == {
        "Young": [1],
        "Hat": [1],
    }
    assert data.partition.tolist() == [1]
    assert np.array_equal(data.pictures(32), open_set(folder).pictures(32))


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("", "'' is no name for an attribute; give 1 to 40 letters"),
        ("  ", "is no name for an attribute"),
        ("a=b", "is no name for an attribute"),
        ("a,b\n", "is no name for an attribute"),
        *((name, f"A column {name} has a meaning") for name in ("file", "partition", "Identity")),
        *((name, f"A column {name} has a meaning") for name in ("size", "alignment", "object")),
        *((name, f"A column {name} has a meaning") for name in ("factor_age", "left_eye_x")),
        ("mood", "given has classes in a column mood"),
    ],
)
def test_attributes_that_a_table_cannot_hold_are_refused(photographs, attribute, message):
    with pytest.raises(ConfigError, match=message):
        label(photographs, "mine", attribute, ["c.png"], [])
    assert own() == []


def test_marks_that_make_no_sense_are_refused(photographs):
    with pytest.raises(DataError, match="No picture is marked; name some that show it"):
        label(photographs, "mine", "Hat", [], [])
    with pytest.raises(DataError, match=r"c\.png is marked as showing it and as lacking it"):
        label(photographs, "mine", "Hat", ["c.png"], ["c.png"])
    with pytest.raises(DataError, match=r"given has no picture d\.png; .* such as people/a\.jpg"):
        label(photographs, "mine", "Hat", ["d.png"], [])
    with pytest.raises(DataError, match=r"no picture \.\./x\.png and 1 others that are named"):
        label(photographs, "mine", "Hat", ["../x.png"], ["e.png"])
    assert own() == []


def test_a_link_that_leads_out_is_not_shared(photographs, tmp_path):
    (tmp_path / "secret.png").write_bytes(encode(np.zeros((40, 40, 3), np.uint8)))
    (photographs / "c.png").unlink()
    (photographs / "c.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="lies outside"):
        label(photographs, "mine", "Hat", ["c.png"], [])
    assert own() == []


def test_a_table_with_more_cells_than_columns_can_be_marked(zipped):
    zipped.with_suffix(".csv").write_text("file,Hat\na.png,1,more\nb.png\n")
    place = label(zipped, "mine", "Scarf", ["b.png"], [])
    with place.with_suffix(".csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "Hat", "Scarf"],
            ["a.png", "1", ""],
            ["b.png", "", "1"],
        ]
