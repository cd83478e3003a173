import csv
import json

import numpy as np
import pytest

from studio import images
from studio.cli import main


@pytest.fixture
def explore(make_checkpoint, heads_folder, tmp_path, capsys):
    """Return a function that runs the verb and gives status and what it said."""
    name = make_checkpoint()

    def run(*options, output="points.csv"):
        target = tmp_path / "out" / output
        status = main(
            ["explore", "--model", name, "--data", str(heads_folder), "--output", str(target)]
            + [str(option) for option in options]
        )
        said = capsys.readouterr()
        return status, said.out, said.err, target

    return run


def test_points_are_written_and_measured(explore):
    status, out, err, target = explore("--colour", "class:expression")
    assert status == 0
    rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 40
    assert list(rows[0]) == ["file", "partition", "x", "y", "Expression"]
    assert "Wrote the map of 40 pictures" in out
    assert "Hopkins statistic: 0." in out
    assert "Encoding: 40 of 40." in err


def test_a_page_of_a_tsne_map_in_space_is_written(explore):
    status, out, _, target = explore(
        *("--method", "tsne", "--dimensions", 3, "--part", "object", "--json"), output="map.html"
    )
    assert status == 0
    told = json.loads(out)
    assert (told["pictures"], told["axes"]) == (40, ["t-SNE 1", "t-SNE 2", "t-SNE 3"])
    assert "000039.png" in target.read_text(encoding="utf-8")


def test_pictures_are_placed_and_what_cannot_be_is_skipped(explore, heads_folder, tmp_path):
    own, broken = heads_folder / "000008.png", tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    status, out, _, _ = explore("--input", own, broken, "--aligned", "--json")
    assert status == 1
    told = json.loads(out)
    assert told["placed"][0]["neighbours"][0] == "000008.png"
    assert told["skipped"][0]["file"] == str(broken)


@pytest.mark.parametrize(
    ("options", "output", "words"),
    [
        ((), "map.png", "written as .csv or .html, not as 'map.png'"),
        (("--part", "smile"), "a.csv", "no part 'smile'"),
        (("--most", 0), "a.csv", "1 to 50,000 pictures"),
        (("--colour", "attribute:Beard"), "a.csv", "cannot be coloured by"),
    ],
)
def test_mistakes_are_one_sentence(explore, options, output, words):
    status, _, err, target = explore(*options, output=output)
    assert status == 2
    assert words in err.splitlines()[-1]
    assert not target.exists()


def test_what_is_wrong_is_said_before_anything_is_encoded(explore, tmp_path):
    (tmp_path / "out" / "taken.csv").mkdir(parents=True)
    status, _, err, _ = explore(output="taken.csv")
    assert status == 2
    assert "is a folder; give the name of a file" in err
    (tmp_path / "out" / "file").write_text("")
    status, _, err, _ = explore(output="file/map.csv")
    assert status == 2
    assert "cannot be made" in err
    status, _, err, _ = explore("--colour", "cluster")
    assert status == 2
    assert "Encoding" not in err


def test_a_set_without_labels_is_coloured_by_clusters(explore, make_checkpoint, tmp_path, capsys):
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "attributes.csv").write_text(
        "file,partition\n" + "".join(f"{number}.png,0\n" for number in range(5))
    )
    for number in range(5):
        grey = images.resize(np.full((8, 8, 3), 50 * number, np.uint8), 32)
        images.save_png(folder / f"{number}.png", grey)
    target = tmp_path / "plain.csv"
    status = main(
        [
            *("explore", "--model", "genegan.tiny", "--data", str(folder)),
            *("--output", str(target), "--method", "tsne", "--json"),
        ]
    )
    told = json.loads(capsys.readouterr().out)
    assert status == 0
    assert told["coloured_by"] == "cluster:"
    assert told["method"] == "pca"
    assert "t-SNE needs 10 pictures or more and there are 5" in told["notes"][0]
