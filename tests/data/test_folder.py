import csv
import io
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from studio.data import folder as folder_module
from studio.data.folder import CELEBA_EYES, open_set, read_rows, split, write_table
from studio.errors import DataError


def picture(level, width=20, height=20):
    """Return the bytes of a PNG of one grey level."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


def table(rows):
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


ROWS = [
    {"file": "a.png", "Smiling": "1", "kind": "round", "factor_yaw": "1.5", "partition": "0"},
    {"file": "b.png", "Smiling": "0", "kind": "", "factor_yaw": "", "partition": "1"},
    {"file": "c.png", "Smiling": "", "kind": "square", "factor_yaw": "-2", "partition": "2"},
]
FILES = {f"{row['file']}": picture(60 * k) for k, row in enumerate(ROWS)}


def write_folder(root, files, rows=None):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    if rows:
        (root / "attributes.csv").write_text(table(rows))
    return root


def write_zip(path, files, rows=None):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if rows:
            archive.writestr("attributes.csv", table(rows))
    return path


@pytest.fixture(params=["folder", "zip", "zip and csv", "stem"])
def labelled(request, tmp_path):
    """Return the same data set in each of its layouts."""
    if request.param == "folder":
        return write_folder(tmp_path / "set", FILES, ROWS)
    if request.param == "zip":
        return write_zip(tmp_path / "set.zip", FILES, ROWS)
    location = write_zip(tmp_path / "set.zip", FILES)
    (tmp_path / "set.csv").write_text(table(ROWS))
    return location if request.param == "zip and csv" else tmp_path / "set"


def test_every_layout_gives_the_same_set(labelled):
    data = open_set(labelled)
    assert data.name == "set"
    assert data.files == ("a.png", "b.png", "c.png")
    assert data.attributes["Smiling"].tolist() == [1, 0, -1]
    assert data.classes["kind"].tolist() == ["round", "", "square"]
    assert data.factors["factor_yaw"].tolist()[::2] == [1.5, -2.0]
    assert np.isnan(data.factors["factor_yaw"][1])
    assert [data.part(p).files for p in ("train", "validation", "test")] == [
        ("a.png",),
        ("b.png",),
        ("c.png",),
    ]
    assert data.pictures(8)[:, 4, 4, 0].tolist() == [0, 60, 120]


def test_unknown_attributes_read_as_unknown(labelled):
    data = open_set(labelled)
    matrix = data.attribute_matrix(["Smiling", "Eyeglasses"])
    assert matrix.tolist() == [[1, -1], [0, -1], [-1, -1]]
    assert data.identity().tolist() == [-1, -1, -1]
    with pytest.raises(DataError, match="no attribute 'Eyeglasses'; it has Smiling"):
        data.attribute("Eyeglasses")


@pytest.mark.parametrize(("given", "read"), [({}, "celeba"), ({"alignment": "none"}, "none")])
def test_the_table_may_say_that_nothing_is_aligned(tmp_path, given, read):
    data = open_set(write_folder(tmp_path / "set", FILES, [{**row, **given} for row in ROWS]))
    assert data.alignment == read
    assert np.isnan(data.eyes()).all() == (read == "none")
    assert list(data.classes) == ["kind"]


def test_rows_are_chosen_by_class(labelled):
    data = open_set(labelled)
    assert data.where("kind", ["square", "round"]).files == ("a.png", "c.png")
    with pytest.raises(DataError, match="no kind 'oval'; it has round, square"):
        data.where("kind", ["oval"])
    with pytest.raises(DataError, match="no classes 'Smiling'; it has kind"):
        data.where("Smiling", ["1"])


def test_a_folder_per_class_labels_by_folder(tmp_path):
    files = {f"{kind}/{k}.png": picture(k) for kind in ("cat", "dog") for k in range(2)}
    data = open_set(write_folder(tmp_path / "pets", files))
    assert data.files == ("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")
    assert data.classes["class"].tolist() == ["cat", "cat", "dog", "dog"]


def test_pictures_without_any_labels_are_a_set_too(tmp_path):
    data = open_set(write_folder(tmp_path / "plain", {"x.png": picture(1), "notes.txt": b"no"}))
    assert data.files == ("x.png",)
    assert data.classes == {}
    assert data.attributes == {}


def test_the_table_may_name_files_that_stand_deeper(tmp_path):
    deep = {f"pictures/{name}": content for name, content in FILES.items()}
    data = open_set(write_folder(tmp_path / "set", deep, ROWS))
    assert data.files[0] == "pictures/a.png"


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png", "..\\evil.png"])
def test_a_zip_whose_names_lead_out_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="leads out of the zip"):
        open_set(write_zip(tmp_path / "set.zip", {**FILES, name: picture(0)}))


@pytest.mark.parametrize("name", ["../secret.png", "/etc/secret.png"])
def test_a_table_cannot_name_files_outside(tmp_path, name):
    (tmp_path / "secret.png").write_bytes(picture(9))
    root = write_folder(tmp_path / "set", FILES, [{"file": name, "Smiling": "1"}])
    with pytest.raises(DataError, match="not there"):
        open_set(root)


def test_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "secret.png").write_bytes(picture(9))
    root = write_folder(tmp_path / "set", FILES)
    (root / "d.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="lies outside"):
        open_set(root).pictures(8)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda root: root / "nothing", "does not exist"),
        (lambda root: write_folder(root / "empty", {"readme.txt": b"hi"}), "holds no pictures"),
        (lambda root: write_folder(root / "set", FILES, [{"name": "a.png"}]), "named `file`"),
        (
            lambda root: write_folder(root / "set", FILES, [{"file": "z.png"}]),
            r"not there: z\.png",
        ),
        (
            lambda root: write_folder(root / "set", FILES, [{**ROWS[0], "factor_yaw": "left"}]),
            "factor_yaw must hold numbers",
        ),
        (
            lambda root: write_folder(root / "set", FILES, [{**ROWS[0], "partition": "train"}]),
            "partition",
        ),
        (
            lambda root: write_folder(root / "set", FILES, [{**ROWS[0], "partition": "3"}]),
            "partition",
        ),
        (
            lambda root: write_folder(root / "set", FILES, [{**ROWS[0], "alignment": "mine"}]),
            "alignment holds celeba or none, .* not mine",
        ),
    ],
    ids=[
        *("absent", "empty", "no file column", "missing file", "no number", "text"),
        *("no partition", "no alignment"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, write, message):
    with pytest.raises(DataError, match=message):
        open_set(write(tmp_path))


def test_what_only_looks_like_a_zip_is_refused(tmp_path):
    (tmp_path / "set.zip").write_bytes(b"PK\x03\x04 nothing more")
    with pytest.raises(DataError, match="not a readable zip"):
        open_set(tmp_path / "set.zip")


def test_an_unreadable_picture_is_named(tmp_path):
    data = open_set(write_folder(tmp_path / "set", {**FILES, "bad.png": b"\x89PNG but no more"}))
    with pytest.raises(DataError, match=r"bad\.png in set cannot be read"):
        data.pictures(8)


def test_pictures_are_cropped_to_their_middle_square(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "PNG")
    data = open_set(write_folder(tmp_path / "set", {"wide.png": buffer.getvalue()}))
    assert (data.pictures(10) == 200).all()


def test_decoded_pictures_are_cached_until_the_files_change(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "set", FILES)
    first = open_set(root).pictures(8)
    with monkeypatch.context() as patch:
        patch.setattr(folder_module.FolderSource, "read", lambda self, name: pytest.fail(name))
        assert np.array_equal(open_set(root).pictures(8), first)
    (root / "a.png").write_bytes(picture(250))
    os.utime(root / "a.png", ns=(1, 1))
    assert open_set(root).pictures(8)[0].min() == 250


def test_splits_keep_a_persons_pictures_together():
    persons = np.array([f"person {k // 3}" for k in range(3000)])
    parts = split(persons)
    assert (parts.reshape(-1, 3) == parts[::3, None]).all()
    shares = np.bincount(parts, minlength=3) / len(parts)
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.03)
    assert np.array_equal(split(persons[::-1]), parts[::-1])


def test_a_set_with_identities_is_split_by_them(tmp_path):
    files = {f"{k}.png": picture(k) for k in range(40)}
    rows = [{"file": name, "identity": str(k // 4)} for k, name in enumerate(files)]
    data = open_set(write_folder(tmp_path / "set", files, rows))
    by_person = data.partition.reshape(10, 4)
    assert (by_person == by_person[:, :1]).all()
    assert data.identity().tolist() == [k // 4 for k in range(40)]


def test_eyes_come_from_the_table_or_from_the_alignment(heads_set, tmp_path):
    assert np.allclose(heads_set.eyes(), np.array(CELEBA_EYES))
    eyes = {"left_eye_x": 5, "left_eye_y": 6, "right_eye_x": 15, "right_eye_y": 6, "size": 20}
    root = write_folder(tmp_path / "set", FILES, [{"file": "a.png", **eyes}])
    assert np.allclose(open_set(root).eyes()[0], [[0.25, 0.3], [0.75, 0.3]])


CELEBA = "2\nEyeglasses Smiling\n000001.png -1 1\n000002.png  1 -1\n"


def write_celeba(root, zipped=False, **changes):
    """Write two pictures in CelebA's official layout; ``changes`` replace or drop lists."""
    root.mkdir()
    texts = {
        "list_attr_celeba.txt": CELEBA,
        "list_eval_partition.txt": "000001.png 0\n000002.png 2\n",
        "identity_CelebA.txt": "000001.png 2880\n000002.png 2937\n",
        **{f"{name}.txt": text for name, text in changes.items()},
    }
    for name, text in texts.items():
        if text is not None:
            (root / name).write_text(text)
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[20:198] = 180
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    files = {f"00000{k}.png": buffer.getvalue() for k in (1, 2)}
    if zipped:
        named = {f"img_align_celeba/{name}": content for name, content in files.items()}
        write_zip(root / "img_align_celeba.zip", named)
    else:
        write_folder(root / "img_align_celeba", files)
    return root


@pytest.mark.parametrize("zipped", [False, True])
def test_celebas_official_layout_is_read(tmp_path, zipped):
    data = open_set(write_celeba(tmp_path / "celeba", zipped))
    assert data.attributes["Eyeglasses"].tolist() == [0, 1]
    assert data.attributes["Smiling"].tolist() == [1, 0]
    assert data.partition.tolist() == [0, 2]
    assert data.classes["identity"].tolist() == ["2880", "2937"]
    # The face square is cut out of the 178 x 218 picture, but for what the filter reaches.
    assert (data.pictures(16)[:, 3:-3] == 180).all()


def test_celeba_without_identities_is_usable(tmp_path):
    data = open_set(write_celeba(tmp_path / "celeba", identity_CelebA=None))
    assert data.identity().tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"list_eval_partition": None}, r"list_eval_partition\.txt is missing"),
        ({"list_eval_partition": "000001.png 0\n"}, "000002.png is damaged or has no partition"),
        ({"list_attr_celeba": CELEBA.replace("-1 1", "-1")}, "000001.png is damaged"),
        ({"list_attr_celeba": ""}, "damaged"),
        ({"identity_CelebA": "000001.png 2880\n"}, "000002.png is damaged or has no identity"),
        ({"identity_CelebA": "000001.png\n"}, "damaged"),
    ],
)
def test_damaged_lists_of_celeba_are_named(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        open_set(write_celeba(tmp_path / "celeba", **changes))


@pytest.mark.parametrize("value", ["2", "yes", "-1"])
def test_a_few_odd_values_among_attributes_are_named(tmp_path, value):
    files = {f"{number:02d}.png": picture(number) for number in range(40)}
    rows = [{"file": name, "Smiling": number % 2} for number, name in enumerate(files)]
    rows[7]["Smiling"] = value
    root = write_folder(tmp_path / "set", files, rows)
    with pytest.raises(DataError, match=rf"Smiling holds 0 and 1, but '{value}' for 07\.png; an"):
        open_set(root)


def test_numbers_of_several_classes_are_classes(tmp_path):
    files = {f"{number:02d}.png": picture(number) for number in range(30)}
    rows = [{"file": name, "mood": number % 3} for number, name in enumerate(files)]
    data = open_set(write_folder(tmp_path / "set", files, rows))
    assert set(data.classes["mood"]) == {"0", "1", "2"}


def test_a_zipped_folder_brings_its_table_and_a_mac_its_leavings(tmp_path):
    files = {f"faces/{name}": content for name, content in FILES.items()}
    files["faces/attributes.csv"] = table(ROWS).encode()
    files["__MACOSX/faces/._a.png"] = b"not a picture"
    data = open_set(write_zip(tmp_path / "set.zip", files))
    assert data.files == ("faces/a.png", "faces/b.png", "faces/c.png")
    assert data.attributes["Smiling"].tolist() == [1, 0, -1]


def test_rows_are_those_of_the_set_with_every_column_as_it_is_written(labelled, tmp_path):
    rows = read_rows(labelled)
    assert rows == ROWS
    assert tuple(row["file"] for row in rows) == open_set(labelled).files
    (tmp_path / "again").mkdir()
    written = tmp_path / "again" / "attributes.csv"
    write_table(written, rows)
    write_folder(tmp_path / "again", FILES)
    assert read_rows(tmp_path / "again") == ROWS
    assert sorted(path.name for path in written.parent.iterdir()) == sorted([*FILES, written.name])


@pytest.mark.parametrize("zipped", [False, True])
def test_rows_of_celeba_join_its_lists(tmp_path, zipped):
    first = read_rows(write_celeba(tmp_path / "celeba", zipped))[0]
    file = "img_align_celeba/000001.jpg" if zipped else "000001.jpg"
    assert first["file"].replace(".png", ".jpg") == file
    assert (first["identity"], first["partition"]) == ("2880", "0")
    assert (first["Eyeglasses"], first["Smiling"]) == ("0", "1")


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path):
    written = tmp_path / "attributes.csv"
    write_table(written, ROWS)
    with pytest.raises(UnicodeEncodeError):
        write_table(written, [{"file": "\ud800"}])
    assert [path.name for path in tmp_path.iterdir()] == ["attributes.csv"]
    assert written.read_text() == table(ROWS).replace("\r\n", "\n")


def test_a_row_that_ends_early_lacks_its_last_cells(tmp_path):
    root = write_folder(tmp_path / "set", FILES)
    (root / "attributes.csv").write_text("Smiling,file\n1,a.png\n0\n")
    with pytest.raises(DataError, match="names 1 files that are not there"):
        open_set(root)
    (root / "attributes.csv").write_text("file,Smiling\na.png,1\nb.png\n")
    assert open_set(root).attributes["Smiling"].tolist() == [1, -1]


def test_decoding_holds_the_bytes_of_a_few_files_only(tmp_path):
    files = {f"{number:03}.png": picture(number) for number in range(200)}
    data = open_set(write_folder(tmp_path / "set", files))
    read, ahead = [], []

    class Counted(folder_module.FolderSource):
        def read(self, name):
            read.append(name)
            return super().read(name)

    def decode(content, size):
        ahead.append(len(read) - len(ahead))
        return folder_module.decode_square(content, size)

    decoded = replace(data, source=Counted(data.source.root), decode=decode).pictures(8)
    assert decoded[:, 0, 0, 0].tolist() == list(range(200))
    assert max(ahead) <= 64


def test_a_failed_decoding_leaves_nothing_in_the_cache(tmp_path, home):
    data = open_set(write_folder(tmp_path / "set", {**FILES, "bad.png": b"\x89PNG but no more"}))
    with pytest.raises(DataError, match=r"bad\.png"):
        data.pictures(8)
    assert list((home / "cache" / "pictures").iterdir()) == []
