import json

import numpy as np
import pytest

from studio import bank, bulk, editing, images
from studio.cli import main
from studio.editing import Subject
from studio.faces.align import Alignment
from studio.recipes import Choice, Recipe


@pytest.fixture
def checkpoint(make_checkpoint):
    return make_checkpoint("disentangle")


@pytest.fixture
def crops(heads_folder, tmp_path):
    """A folder of six aligned faces: a to f."""
    folder = tmp_path / "crops"
    folder.mkdir()
    for number, name in enumerate("abcdef"):
        content = (heads_folder / f"{number:06d}.png").read_bytes()
        (folder / f"{name}.png").write_bytes(content)
    return folder


@pytest.fixture
def run(capsys):
    """Return a function that runs the command line: its status, output and complaints."""

    def call(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def step_of(path):
    (step,) = Recipe.from_photo(images.read_photo(path)).steps
    return step


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_swap_takes_the_parts_that_are_named(run, checkpoint, models, crops, tmp_path):
    out = tmp_path / "out"
    pair = ["--receiver", crops / "a.png", "--donor", crops / "b.png", "--aligned"]
    parts = ["--part", "expression", "--part", "rest", "--part", "rest"]
    status, said, _ = run(
        "swap", "--model", checkpoint, *pair, *parts, "--output", out, "--model-output", "--json"
    )
    assert status == 0
    assert json.loads(said)["results"][0]["output"] == str(out / "a__b.png")
    step = step_of(out / "a__b.png")
    assert (step.kind, step.donors) == ("transfer", ("donor",))
    assert step.parts == {"expression": Choice.take("donor"), "rest": Choice.take("donor")}
    receiver, donor = (
        editing.encode(
            models, checkpoint, images.read_photo(crops / name).pixels, Alignment.whole(32, 32)
        )
        for name in ("a.png", "b.png")
    )
    made = editing.transfer(models, checkpoint, receiver, {"donor": donor}, step.parts)
    assert np.array_equal(images.read_photo(out / "a__b.png").pixels, images.to_pictures(made)[0])


def test_folders_of_swapped_parts_pair_up(run, checkpoint, crops, tmp_path):
    out = tmp_path / "out"
    arguments = ["--receiver", crops, "--donor", crops / "b.png", "--strength", "1.5"]
    status, *_ = run(
        "swap", "--model", checkpoint, *arguments, "--part", "rest", "--aligned", "--output", out
    )
    assert status == 0
    assert files(out) == [f"{name}__b.png" for name in "abcdef"]
    assert step_of(out / "c__b.png").parts == {"rest": Choice.take("donor", 1.5)}


def test_a_model_of_one_object_takes_its_parts_too(run, make_checkpoint, crops, tmp_path):
    pair = ["--receiver", crops / "a.png", "--donor", crops / "b.png", "--aligned"]
    base = ["swap", "--model", make_checkpoint(), *pair, "--model-output", "--output"]
    assert run(*base, tmp_path / "whole.png")[0] == 0
    assert run(*base, tmp_path / "part.png", "--part", "object")[0] == 0
    whole, part = (images.read_photo(tmp_path / f"{n}.png").pixels for n in ("whole", "part"))
    assert np.array_equal(whole, part)
    assert step_of(tmp_path / "whole.png").kind == "swap"


def test_an_edit_mixes_interpolates_averages_and_takes_from_the_bank(
    run, checkpoint, models, crops, tmp_path
):
    saving = ["bank", "save", "--model", checkpoint, "--part", "rest", "--name", "My rest"]
    status, said, _ = run(*saving, "--input", crops / "d.png", "--aligned", "--json")
    assert status == 0
    assert json.loads(said) == {**bank.load("My rest").facts(), "part": "rest"}
    a, b, c = (crops / f"{name}.png" for name in "abc")
    out = tmp_path / "out"
    given = ["--mix", f"expression={a}:0.5,{b}:0.3,{c}", "--bank", "rest=My rest"]
    given += ["--between", f"eyeglasses_kind={c},{a}:0.25", "--strength", "rest=0.5"]
    inputs = ["--input", crops / "e.png", crops / "f.png", "--aligned"]
    assert run("edit", "--model", checkpoint, *given, *inputs, "--output", out)[0] == 0
    assert files(out) == ["e__a__b__c.png", "f__a__b__c.png"]
    step = step_of(out / "f__a__b__c.png")
    assert step.donors == ("donor", "donor2", "donor3")
    digest = bank.load("My rest").digest
    assert step.parts == {
        "expression": Choice({"donor": 0.5, "donor2": 0.3, "donor3": 1.0}),
        "eyeglasses_kind": Choice({"donor3": 0.75, "donor": 0.25}),
        "rest": Choice(saved="My rest", saved_digest=digest, strength=0.5),
    }
    result = images.read_photo(out / "f__a__b__c.png")
    subjects = {
        role: Subject(images.read_photo(crops / f"{name}.png"), Alignment.whole(32, 32))
        for role, name in zip(("receiver", *step.donors), "fabc", strict=True)
    }
    again = editing.replay(models, Recipe.from_photo(result), subjects)
    assert np.array_equal(again.pixels, result.pixels)


def test_a_class_needs_no_other_picture(run, checkpoint, crops, tmp_path):
    one = ["--input", crops / "a.png", "--aligned", "--output", tmp_path / "one.png"]
    assert run("edit", "--model", checkpoint, "--class", "expression=smile", *one)[0] == 0
    step = step_of(tmp_path / "one.png")
    assert (step.kind, step.donors) == ("transfer", ())
    assert step.parts == {"expression": Choice(label="smile")}


def test_a_picture_that_is_named_twice_weighs_as_much_as_both(run, checkpoint, crops, tmp_path):
    a, b = crops / "a.png", crops / "b.png"
    one = ["--input", crops / "c.png", "--aligned", "--output", tmp_path / "one.png"]
    mix = ["--mix", f"expression={a}:0.5,{b}:0.25,{a}:0.25"]
    assert run("edit", "--model", checkpoint, *mix, *one)[0] == 0
    assert step_of(tmp_path / "one.png").parts["expression"].weights == {
        "donor": 0.75,
        "donor2": 0.25,
    }


def test_an_unreadable_picture_of_many_is_skipped(run, checkpoint, crops, tmp_path):
    (crops / "c.png").write_bytes(b"no picture")
    given = ["--mix", f"expression={crops / 'a.png'}", "--input", crops, "--aligned"]
    status, said, err = run(
        "edit", "--model", checkpoint, *given, "--output", tmp_path / "out", "--json"
    )
    assert status == 1
    values = json.loads(said)
    assert [one["file"] for one in values["skipped"]] == ["c__a.png"]
    assert len(values["results"]) == 5
    assert "c.png" in err


def test_senseless_swaps_of_parts_are_one_sentence(
    run, make_checkpoint, checkpoint, crops, tmp_path
):
    pair = ["--receiver", crops, "--donor", crops / "b.png", "--aligned"]
    plain = make_checkpoint("aeai")
    for model, arguments, complaint in (
        (checkpoint, pair, "say which with --part: expression, eyeglasses_kind, rest"),
        (checkpoint, [*pair, "--part", "nose"], "no part 'nose'; its parts are expression"),
        (checkpoint, [*pair, "--part", "rest", "--strength", "-1"], "strength of rest must lie"),
        (checkpoint, [*pair[:2], "--remove", "--part", "rest"], "(--remove) has none"),
        (plain, [*pair, "--part", "rest"], f"cannot transfer parts; choose .* {checkpoint}"),
    ):
        status, said, err = run("swap", "--model", model, *arguments, "--output", tmp_path / "out")
        assert (status, said) == (2, ""), arguments
        assert complaint.split(".*")[0] in err
        assert complaint.split(".*")[-1] in err
        assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--mix", "nose={a}"], "no part 'nose'; its parts are"),
        (["--mix", "expression={gone}"], "There is no picture"),
        (["--mix", "expression={folder}"], "There is no picture"),
        (["--mix", "expression={a}:much"], "needs a number, not 'much'"),
        (["--mix", "expression={a}:0,{b}:0"], "All weights of expression are 0"),
        (["--mix", "expression={a}:-1"], "weight of donor in expression is -1.0"),
        (["--between", "expression={a}:0.5"], "PART=FILE,FILE:ALPHA, not"),
        (["--between", "expression={a},{b}"], "PART=FILE,FILE:ALPHA, not"),
        (["--between", "expression={a},{b}:half"], "needs a number, not 'half'"),
        (["--between", "expression={a},{b}:1.5"], "from 0 to 1, not at 1.5"),
        (["--between", "expression={a},{a}:0.5"], "between donor and itself"),
        (["--class", "expression=fury"], "knows no expression 'fury'; it knows"),
        (["--class", "rest=scream"], "keeps no classes of rest"),
        (["--bank", "expression=Gone"], "no saved part 'Gone' of your own; there are none"),
        (["--mix", "rest={a}", "--bank", "rest=Gone"], "rest is named twice"),
        (["--mix", "rest={a}", "--strength", "expression=1"], "--strength names expression"),
        (["--mix", "rest={a}", "--strength", "rest=far"], "--strength rest needs a number"),
        (["--mix", "rest={a}", "--strength", "rest=2.5"], "strength of rest must lie in [0, 2]"),
        (["--mix", "rest={a}", "--set", "Smiling=1"], "--set and --hold move attributes"),
        (["--mix", "rest={a}", "--move", "Hat=1"], "no slider 'Hat' of your own"),
        ([], "say where a part comes from with --mix, --between, --class or --bank"),
    ],
)
def test_a_senseless_edit_of_parts_is_one_sentence(
    run, checkpoint, crops, tmp_path, given, complaint
):
    places = {"a": crops / "a.png", "b": crops / "b.png", "gone": "gone.png", "folder": crops}
    arguments = [text.format(**places) for text in given]
    status, said, err = run(
        "edit", "--model", checkpoint, *arguments, "--input", crops, "--aligned", "--output",
        tmp_path / "out",
    )  # fmt: skip
    assert (status, said) == (2, "")
    assert complaint in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_bank_is_listed_renamed_and_emptied(run, checkpoint, crops):
    assert run("bank", "list")[1] == "You have saved no parts yet.\n"
    saving = ["bank", "save", "--model", checkpoint, "--part", "expression", "--name"]
    one = ["--input", crops / "b.png", "--aligned"]
    status, said, _ = run(*saving, "Grin", *one)
    assert (status, said) == (0, "Saved the expression of b.png as 'Grin'.\n")
    assert run("bank", "list")[1] == f"Grin                      expression, {checkpoint}\n"
    assert json.loads(run("bank", "list", "--part", "rest", "--json")[1]) == {"parts": []}
    listed = json.loads(run("bank", "list", "--model", checkpoint, "--json")[1])
    assert listed == {"parts": [bank.load("Grin").facts()]}
    assert run("bank", "rename", "--name", "Grin", "--to", "Smirk")[0] == 0
    assert bank.names() == ["Smirk"]
    for arguments, complaint in (
        ([*saving, "Smirk", *one], "a saved part 'Smirk' already"),
        ([*saving, "...", *one], "no name for a saved part"),
        ([*saving, "New", "--input", crops], "There is no picture"),
        ([*saving[:4], "--part", "nose", "--name", "New", *one], "no part 'nose'"),
        (["bank", "delete", "--name", "Grin"], "no saved part 'Grin' of your own; there are Smirk"),
    ):
        status, said, err = run(*arguments)
        assert (status, said) == (2, ""), arguments
        assert complaint in err
        assert len(err.splitlines()) == 1
    assert run("bank", "delete", "--name", "smirk")[0] == 0
    assert bank.names() == []


def test_donors_of_a_long_batch_are_read_once(checkpoint, models, crops, monkeypatch):
    read = []
    original = bulk.read_photo
    monkeypatch.setattr(bulk, "read_photo", lambda path: read.append(path.name) or original(path))
    reader = bulk.reader_for(models, checkpoint, aligned=True, note=lambda text: None, keep=3)
    for receiver in "acdef":
        for name in (receiver, "b"):
            reader.read(crops / f"{name}.png")
    assert sorted(read) == [f"{name}.png" for name in "abcdef"]
