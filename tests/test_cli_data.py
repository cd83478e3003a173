import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from studio import paths
from studio.cli import main
from studio.data.folder import open_set


@pytest.fixture
def run(capsys):
    """Return a function that runs a verb of ``data``: its status, output and complaints."""

    def call(*arguments):
        capsys.readouterr()
        status = main(["data", *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    Image.fromarray(astronaut()[:256, 96:352]).save(folder / "a.png")
    Image.new("RGB", (64, 64)).save(folder / "b.png")
    return folder


def test_check_says_what_stops_training(run, heads_folder, tmp_path):
    status, out, _ = run("check", heads_folder, "--json")
    report = json.loads(out)
    assert status == 0
    assert report["blocking"] == []
    assert report["pairs"][0]["first"] == "Eyeglasses"
    assert report["cache_bytes"] == 40 * 64 * 64 * 3
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(heads_folder / "000000.png", few)
    status, out, _ = run("check", few, "--size", 32)
    assert status == 1
    assert "Cannot be trained: 1 of 1 pictures are for training" in out


def test_check_looks_for_faces_when_asked(run, photographs):
    assert json.loads(run("check", photographs, "--json")[1])["faces"] is None
    status, out, _ = run("check", photographs, "--faces", "--json")
    report = json.loads(out)
    assert status == 1
    assert report["faces"] == {"checked": 2, "aligned": 0, "elsewhere": 1, "none": 1}
    assert report["unusable"]["b.png"]["kind"] == "faceless"


def test_a_zip_is_taken_and_marked(run, heads_folder, tmp_path):
    packed = tmp_path / "given.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(3):
            archive.write(heads_folder / f"{number:06}.png", f"{number}.png")
    status, out, _ = run("take", packed, "--name", "mine")
    assert status == 0
    assert "mine is among your data sets now" in out
    (tmp_path / "list.txt").write_text("1.png\n\n 2.png \n")
    given = ("--attribute", "Hat", "--shown", "0.png", "--absent", f"@{tmp_path / 'list.txt'}")
    status, out, _ = run("label", paths.data() / "mine.zip", "--name", "mine", *given, "--json")
    assert status == 0
    place = paths.data() / "mine.zip"
    assert json.loads(out) == {"set": str(place), "shown": 1, "absent": 2}
    assert open_set(place).attributes["Hat"].tolist() == [1, 0, 0]
    status, _, err = run(
        *("label", place, "--name", "mine", "--attribute", "Hat"), "--shown", "@nowhere.txt"
    )
    assert status == 2
    assert "The list nowhere.txt cannot be read" in err
    assert run("delete", "mine")[:2] == (0, "Deleted the data set mine.zip.\n")
    assert list(paths.data().iterdir()) == []
    status, _, err = run("delete", "mine")
    assert status == 2
    assert "There is no data set 'mine' among your own" in err


def test_photographs_are_aligned_and_the_others_named(run, photographs):
    status, out, err = run("align", photographs, "--name", "mine")
    assert status == 1
    assert f"Wrote 1 of 2 pictures to {paths.data() / 'mine'}." in out
    assert "Skipped b.png: No face was found in it." in err
    assert "Aligned 2 of 2." in err
    data = open_set(paths.data() / "mine")
    assert data.pictures(128).shape == (1, 128, 128, 3)
    assert np.ptp(data.pictures(128)) > 100
    status, _, err = run("align", photographs, "--name", "mine")
    assert status == 2
    assert "There is a data set mine already" in err
