import json

import numpy as np
import pytest
from PIL import Image

from studio import directions, images
from studio.cli import main
from studio.data.folder import open_set
from studio.recipes import Recipe
from studio.render import heads


@pytest.fixture
def mapping(make_checkpoint):
    return make_checkpoint("attribute-mapping")


@pytest.fixture
def crops(tmp_path):
    """A folder of 16 aligned faces."""
    folder = tmp_path / "crops"
    folder.mkdir()
    made = heads.render([heads.Head(identity=number) for number in range(16)], 64)
    for number, picture in enumerate(images.to_pictures(made)):
        images.save_png(folder / f"face{number:02d}.png", picture)
    return folder


def answer(capsys):
    return json.loads(capsys.readouterr().out)


def test_sliders_move_the_faces_of_a_folder(mapping, crops, tmp_path, capsys):
    target = tmp_path / "out"
    arguments = ["--input", str(crops), "--aligned", "--output", str(target), "--json"]
    wanted = ["--set", "Eyeglasses=1", "--hold", "Smiling"]
    assert main(["edit", "--model", mapping, *wanted, *arguments]) == 0
    results = answer(capsys)["results"]
    assert [one["output"] for one in results] == [
        str(target / f"face{number:02d}.png") for number in range(16)
    ]
    photo = images.read_photo(target / "face03.png")
    (step,) = Recipe.from_photo(photo).steps
    assert (step.kind, step.values, step.held) == ("edit", {"Eyeglasses": 1.0}, ("Smiling",))
    before = images.read_photo(crops / "face03.png")
    assert photo.pixels.shape == before.pixels.shape
    assert not np.array_equal(photo.pixels, before.pixels)


def test_the_models_own_output_has_its_size(mapping, crops, tmp_path):
    target = tmp_path / "one.png"
    file = str(crops / "face00.png")
    assert main(["edit", "--model", mapping, "--set", "Smiling=0.9", "--input", file, "--aligned",
                 "--model-output", "--output", str(target)]) == 0  # fmt: skip
    with Image.open(target) as made:
        assert made.size == (32, 32)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "Nothing was asked for: give --set NAME=VALUE"),
        (["--set", "Beard=1"], "no attribute 'Beard'; there are Eyeglasses, Smiling"),
        (["--set", "Smiling=yes"], "--set Smiling needs a number, not 'yes'"),
        (["--set", "Smiling=2"], "Smiling is 2.0; give a number from 0"),
        (["--set", "Smiling=1", "--hold", "Beard"], "no attribute 'Beard'"),
        (["--move", "Hat=1"], "no slider 'Hat' of your own"),
        (["--set", "Smiling=1", "--crop", "1,2,30"], "--crop is for a single picture, not for 16"),
    ],
)
def test_a_senseless_edit_is_one_sentence(mapping, crops, tmp_path, capsys, given, message):
    arguments = ["--input", str(crops), "--aligned", "--output", str(tmp_path / "out")]
    assert main(["edit", "--model", mapping, *given, *arguments]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_faces_are_made_with_their_recipes(mapping, tmp_path, capsys):
    target = tmp_path / "faces"
    arguments = ["--set", "Smiling=1", "--count", "3", "--seed", "7", "--output", str(target)]
    assert main(["generate", "--model", mapping, *arguments, "--json"]) == 0
    made = answer(capsys)
    assert [one["seed"] for one in made["results"]] == [7, 8, 9]
    assert made["attributes"] == {"Eyeglasses": 0.0, "Smiling": 1.0}
    photo = images.read_photo(target / "face-000008.png")
    recipe = Recipe.from_photo(photo)
    assert (recipe.seed, recipe.steps[0].kind) == (8, "generate")
    alone = tmp_path / "alone.png"
    arguments = ["--set", "Smiling=1", "--seed", "8", "--output", str(alone)]
    assert main(["generate", "--model", mapping, *arguments]) == 0
    assert np.array_equal(images.read_photo(alone).pixels, photo.pixels)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--count", "2", "--output", "x.png"], "2 faces do not fit into one file"),
        (["--count", "0", "--output", "x"], "0 faces were asked for; give 1 to 100"),
        (["--variation", "3", "--output", "x"], "variation lies in [0, 2], not at 3"),
        (["--set", "Beard=1", "--output", "x"], "no attribute 'Beard'"),
    ],
)
def test_senseless_faces_are_one_sentence(mapping, tmp_path, capsys, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["generate", "--model", mapping, *given]) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_a_swapper_makes_no_faces(make_checkpoint, tmp_path, capsys):
    name = make_checkpoint("genegan")
    assert main(["generate", "--model", name, "--output", str(tmp_path / "x")]) == 2
    assert "makes no faces from attributes" in capsys.readouterr().err


def slider(mapping, crops, *extra):
    files = sorted(map(str, crops.iterdir()))
    groups = ["--with", *files[:8], "--without", *files[8:16]]
    return main(["directions", "make", "--model", mapping, "--name", "Straw hat", *groups,
                 "--aligned", *extra])  # fmt: skip


def test_a_slider_is_made_listed_used_and_deleted(mapping, crops, tmp_path, capsys):
    assert slider(mapping, crops, "--json") == 0
    facts = answer(capsys)
    assert (facts["name"], facts["examples"], facts["measured_in"]) == ("Straw hat", [8, 8], "data")
    assert main(["directions", "list"]) == 0
    assert f"Straw hat                 {mapping}, 8 with, 8 without" in capsys.readouterr().out
    target = tmp_path / "moved.png"
    assert main(["edit", "--model", mapping, "--move", "Straw hat=2", "--input",
                 str(crops / "face00.png"), "--aligned", "--output", str(target)]) == 0  # fmt: skip
    assert Recipe.from_photo(images.read_photo(target)).steps[0].moves == {"Straw hat": 2.0}
    assert main(["directions", "delete", "--name", "straw hat"]) == 0
    assert directions.names() == []


def test_unreadable_examples_are_named_and_left_out(mapping, crops, capsys):
    (crops / "face00.png").write_bytes(b"no picture")
    assert slider(mapping, crops) == 2
    told = capsys.readouterr().err
    assert "8 or more" in told
    assert "7 with and 8 without" in told


def test_a_data_set_is_enlarged_and_can_be_trained_on(mapping, heads_folder, tmp_path, capsys):
    target = tmp_path / "more"
    arguments = ["--data", str(heads_folder), "--most", "1", "--classifier", "none",
                 "--output", str(target)]  # fmt: skip
    assert main(["augment", "--model", mapping, *arguments, "--json"]) == 0
    report = answer(capsys)
    made = open_set(target)
    assert len(made) == report["accepted"] == report["total"]
    assert set(made.attributes) == {"Eyeglasses", "Smiling"}
    assert main(["augment", "--model", mapping, *arguments]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--most", "2"], "the 2 commonest attributes to 0 and the 2 rarest"),
        (["--most", "1", "--amount", "0"], "amount must be a number above 0"),
        (["--most", "1", "--strategy", "doubling", "--amount", "2"], "an amount of 1, not 2"),
        (["--most", "1", "--ssim", "2"], "ssim must be a number from 0 to 1"),
        (["--most", "1", "--classifier", "attributes.none"], "no checkpoint 'attributes.none'"),
    ],
)
def test_an_impossible_augmentation_is_one_sentence(
    mapping, heads_folder, tmp_path, capsys, given, message
):
    arguments = ["--data", str(heads_folder), "--classifier", "none", *given,
                 "--output", str(tmp_path / "more")]  # fmt: skip
    assert main(["augment", "--model", mapping, *arguments]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "more").exists()
