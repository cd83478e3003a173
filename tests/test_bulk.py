import numpy as np
import pytest
from PIL import Image

from studio import bulk
from studio.bulk import Reader, pair_up
from studio.errors import ConfigError, FaceError, ImageError
from studio.images import read_photo


def write(path, seed=0, size=(40, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return path


def names(tasks):
    return [task.output.name for task in tasks]


def test_folders_give_their_photographs_in_order(tmp_path):
    for name in ("b.png", "a.jpg", ".hidden.png", "notes.txt", "c.webp"):
        write(tmp_path / "x.png")
        (tmp_path / "x.png").rename(tmp_path / name)
    found = bulk.list_photographs([tmp_path])
    assert [path.name for path in found] == ["a.jpg", "b.png", "c.webp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no photographs"):
        bulk.list_photographs([tmp_path / "empty"])
    with pytest.raises(ConfigError, match="does not exist"):
        bulk.list_photographs([tmp_path / "gone.jpg"])


def test_pairs_in_order_with_single_files_for_all(tmp_path):
    receivers = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    donors = [tmp_path / "c.jpg", tmp_path / "d.jpg"]
    out = tmp_path / "out"
    assert names(pair_up(receivers, [donors], every=False, output=out)) == ["a__c.png", "b__d.png"]
    assert names(pair_up(receivers, [donors[:1]], every=False, output=out)) == [
        "a__c.png",
        "b__c.png",
    ]
    two = pair_up(receivers[:1], [donors, donors[:1]], every=False, output=out)
    assert names(two) == ["a__c__c.png", "a__d__c.png"]
    assert names(pair_up(receivers, [], every=False, output=out)) == ["a.png", "b.png"]
    everyone = pair_up(receivers, [donors], every=True, output=out)
    assert names(everyone) == ["a__c.png", "a__d.png", "b__c.png", "b__d.png"]
    assert everyone[1].receiver == receivers[0]
    assert everyone[1].donors == (donors[1],)


def test_says_why_pictures_do_not_pair_up(tmp_path):
    three = [tmp_path / f"{name}.jpg" for name in "abc"]
    with pytest.raises(ConfigError, match="2 pictures cannot be paired with 3"):
        pair_up(three, [three[:2]], every=False, output=tmp_path)
    with pytest.raises(ConfigError, match="one list of donors"):
        pair_up(three, [three, three], every=True, output=tmp_path)
    with pytest.raises(ConfigError, match="do not fit into one file"):
        pair_up(three, [three], every=False, output=tmp_path / "one.png")
    alike = [tmp_path / "a.jpg", tmp_path / "a.png"]
    with pytest.raises(ConfigError, match=r"would be called a\.png"):
        pair_up(alike, [], every=False, output=tmp_path)


def test_a_single_result_may_name_its_file(tmp_path):
    one = [tmp_path / "a.jpg"]
    assert pair_up(one, [one], every=False, output=tmp_path / "x.png")[0].output.name == "x.png"


def test_reader_says_what_is_wrong_with_which_picture(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(bulk, "read_photo", lambda path: tried.append(path) or read_photo(path))
    noise = write(tmp_path / "noise.png", size=(64, 64))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff not much of a JPEG")
    reader = Reader(None, aligned=False, note=lambda sentence: None)
    for _ in range(2):
        with pytest.raises(FaceError, match=r"noise\.png: No face was found.*--aligned"):
            reader.read(noise)
        with pytest.raises(ImageError, match=r"broken\.jpg"):
            reader.read(broken)
    # Each picture is tried once, however many pairs it is in.
    assert tried == [noise, broken]
    # A crop that the person gives needs no face to be found.
    given = Reader(None, aligned=False, note=lambda sentence: None).read(noise, (8, 16, 32, 0))
    assert given.alignment.box() == (8, 16, 40, 48)


def test_aligned_pictures_are_taken_whole_and_doubts_are_passed_on(tmp_path):
    path = write(tmp_path / "crop.png", size=(48, 40))
    notes = []

    def beside(crops):
        eyes = np.tile([[0.2, 0.2], [0.4, 0.2]], (len(crops), 1, 1))
        return eyes, np.full(len(crops), 0.001)

    subject = Reader(None, aligned=True, note=notes.append).read(path)
    assert subject.alignment.box() == (0, 4, 40, 44)
    assert notes == []
    doubted = Reader(beside, aligned=True, note=notes.append).read(path)
    assert doubted.alignment == subject.alignment
    assert len(notes) == 1
    assert notes[0].startswith("crop.png: ")


def test_reader_keeps_few_photographs(tmp_path):
    reader = Reader(None, aligned=True, note=lambda sentence: None)
    paths = [write(tmp_path / f"{number}.png", number) for number in range(7)]
    first = [reader.read(path) for path in paths]
    assert reader.read(paths[-1]) is first[-1]
    assert reader.read(paths[0]) is not first[0]
    assert np.array_equal(reader.read(paths[0]).photo.pixels, first[0].photo.pixels)


def test_each_model_has_its_own_donor_or_shares_the_only_one():
    edit = bulk.Edit(("a.x", "b.x"), False, 0.5, "full", {})
    assert [step["donors"] for step in edit.steps(1)] == [("donor",), ("donor",)]
    assert [step["donors"] for step in edit.steps(2)] == [("donor",), ("donor2",)]
    assert {step["strength"] for step in edit.steps(2)} == {0.5}
    gone = bulk.Edit(("a.x",), True, 1.0, "full", {})
    assert gone.steps(0) == [{"checkpoint": "a.x", "kind": "remove"}]
