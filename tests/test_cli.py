import json
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from skimage.data import astronaut

from studio import images, paths
from studio.checkpoints import CheckpointStore
from studio.cli import main
from studio.recipes import Recipe
from studio.render import pole
from studio.render.turntable import OBJECTS


@pytest.fixture
def run(capsys):
    """Return a function that runs the command line: its status, output and complaints."""

    def call(*arguments):
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            status = leaving.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def crops(heads_folder, tmp_path):
    """Return two folders with three rendered crops each: a, b, c and d, e, f."""
    for folder, names, first in (("left", "abc", 0), ("right", "def", 3)):
        (tmp_path / folder).mkdir()
        for number, name in enumerate(names, first):
            content = (heads_folder / f"{number:06d}.png").read_bytes()
            (tmp_path / folder / f"{name}.png").write_bytes(content)
    return tmp_path / "left", tmp_path / "right"


def read(path):
    return images.read_photo(path)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_starts_light():
    program = (
        "import sys; import studio.cli as cli; assert 'torch' not in sys.modules;"
        "assert cli.main(['models', '--json']) == 0;"
        "heavy = {'gradio', 'cv2', 'skimage', 'sklearn', 'torchvision'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout)["models"], list)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required"),
        (["dance"], "invalid choice"),
        (["swap", "--model", "a.b"], "--receiver"),
        (["encode", "--model", "a.b", "--input", "x", "--output", "y", "--crop", "1,2"], "crop"),
        (["train", "--set", "width"], "FIELD=VALUE"),
        (["serve", "--auth", "nobody"], "USER:PASSWORD"),
    ],
)
def test_a_wrong_command_is_one_sentence(run, arguments, complaint):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert complaint in err
    assert len(err.splitlines()) == 1


def test_models_lists_cards_and_reports_damage(run, make_checkpoint):
    name = make_checkpoint(metrics={"psnr": 28.5})
    broken = paths.user_checkpoints() / "genegan.broken"
    broken.mkdir()
    (broken / "card.json").write_text("{")
    status, out, err = run("models")
    assert status == 0
    assert name in out
    assert "psnr 28.5" in out
    assert "genegan.broken" in err
    status, out, _ = run("models", "--json")
    cards = {card["name"]: card for card in json.loads(out)["models"]}
    assert cards[name]["metrics"] == {"psnr": 28.5}


def test_encode_writes_parts_and_files(run, make_checkpoint, crops, tmp_path):
    name, output = make_checkpoint(), tmp_path / "new" / "latents.safetensors"
    arguments = ["encode", "--model", name, "--input", crops[0], "--output", output, "--aligned"]
    status, out, _ = run(*arguments, "--json")
    assert status == 0
    assert json.loads(out)["parts"] == {"background": [3, 12, 4, 4], "object": [3, 4, 4, 4]}
    with safe_open(output, "pt") as file:
        assert file.metadata()["model"] == name
        listed = json.loads(file.metadata()["files"])
        assert listed == [str(crops[0] / f"{letter}.png") for letter in "abc"]
        whole = file.get_tensor("object")
    single = tmp_path / "one.safetensors"
    run("encode", "--model", name, "--input", crops[0] / "b.png", "--output", single, "--aligned")
    with safe_open(single, "pt") as file:
        assert file.get_tensor("object").shape[0] == 1
        assert np.allclose(file.get_tensor("object")[0], whole[1], atol=1e-4)
    status, _, err = run(*arguments[:-3], "--output", tmp_path / "x.npz", "--aligned")
    assert status == 2
    assert ".safetensors" in err


def test_swap_writes_a_picture_that_carries_its_recipe(run, make_checkpoint, crops, tmp_path):
    name, out = make_checkpoint(), tmp_path / "out"
    pair = ["--receiver", crops[0] / "a.png", "--donor", crops[1] / "d.png"]
    status, _, _ = run("swap", "--model", name, *pair, "--output", out, "--aligned")
    assert status == 0
    assert files(out) == ["a__d.png"]
    result, receiver = read(out / "a__d.png"), read(crops[0] / "a.png")
    assert result.pixels.shape == receiver.pixels.shape
    assert (result.pixels != receiver.pixels).any()
    recipe = Recipe.from_photo(result)
    assert [(step.kind, step.checkpoint) for step in recipe.steps] == [("swap", name)]
    common = ["--output", out / "zero.png", "--aligned", "--json"]
    status, said, _ = run("swap", "--model", name, *pair, "--strength", 0, *common)
    assert np.array_equal(read(out / "zero.png").pixels, receiver.pixels)
    assert json.loads(said)["results"][0]["output"] == str(out / "zero.png")


def test_swap_removes_and_chains(run, make_checkpoint, crops, tmp_path):
    first, second = make_checkpoint(tag="first"), make_checkpoint(tag="second", seed=1)
    out = tmp_path / "out"
    status, *_ = run(
        "swap", "--remove", "--model", first, "--receiver", crops[0], "--output", out, "--aligned"
    )
    assert status == 0
    assert files(out) == ["a.png", "b.png", "c.png"]
    assert Recipe.from_photo(read(out / "a.png")).steps[0].kind == "remove"
    both = ["--model", first, "--model", second, "--receiver", crops[0] / "a.png"]
    donors = ["--donor", crops[1] / "d.png", "--donor", crops[1] / "e.png"]
    status, *_ = run("swap", *both, *donors, "--output", out, "--aligned")
    assert status == 0
    steps = Recipe.from_photo(read(out / "a__d__e.png")).steps
    assert [(step.checkpoint, step.donors) for step in steps] == [
        (first, ("donor",)),
        (second, ("donor2",)),
    ]


def test_swap_pairs_folders_and_skips_what_is_broken(run, make_checkpoint, crops, tmp_path):
    name, out = make_checkpoint(), tmp_path / "out"
    (crops[0] / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    common = ["--receiver", crops[0], "--donor", crops[1], "--output", out, "--aligned"]
    status, said, err = run("swap", "--model", name, *common, "--json")
    assert status == 1
    assert files(out) == ["a__d.png", "c__f.png"]
    values = json.loads(said)
    assert len(values["results"]) == 2
    assert [entry["file"] for entry in values["skipped"]] == ["b__e.png"]
    assert "b.png" in err
    status, *_ = run("swap", "--model", name, *common, "--pair", "all")
    assert status == 1
    assert len(files(out)) == 6


def test_model_output_has_the_models_size(run, make_checkpoint, crops, tmp_path):
    large = tmp_path / "large.png"
    Image.open(crops[0] / "a.png").resize((100, 120)).save(large)
    arguments = ["--receiver", large, "--remove", "--aligned", "--output"]
    name = make_checkpoint()
    run("swap", "--model", name, *arguments, tmp_path / "full.png")
    run("swap", "--model", name, *arguments, tmp_path / "plain.png", "--model-output")
    assert read(tmp_path / "full.png").pixels.shape == (120, 100, 3)
    assert read(tmp_path / "plain.png").pixels.shape == (32, 32, 3)


def test_swap_finds_the_face_in_a_photograph(run, make_checkpoint, tmp_path):
    photograph, out = tmp_path / "astronaut.png", tmp_path / "out"
    Image.fromarray(astronaut()).save(photograph)
    common = ["--receiver", photograph, "--donor", photograph, "--output", out]
    name = make_checkpoint()
    status, *_ = run("swap", "--model", name, *common, "--strength", 2)
    assert status == 0
    result = read(out / "astronaut__astronaut.png")
    recipe = Recipe.from_photo(result)
    # Her eyes are at about (196, 108) and (244, 108).
    crop = recipe.source("receiver").crop
    assert abs(crop["centre_x"] - 222) < 15
    assert abs(crop["centre_y"] - 112) < 15
    # The same object once more is no change, and what lies far from the face never is.
    assert np.array_equal(result.pixels[300:], astronaut()[300:])


def test_swap_says_what_it_needs_to_know(run, make_checkpoint, crops, tmp_path):
    name, out = make_checkpoint(), tmp_path / "out"
    noise = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(noise)
    one, other = crops[0] / "a.png", crops[1] / "d.png"
    base = ["swap", "--model", name, "--output", out]
    for arguments, complaint in (
        (["--receiver", noise, "--remove"], "--aligned"),
        (["--receiver", one], "--donor"),
        (["--receiver", one, "--donor", other, "--remove"], "--remove"),
        (["--receiver", one, "--donor", other, "--strength", "9"], "[-1, 2]"),
        (["--receiver", crops[0], "--remove", "--receiver-crop", "0,0,9,0"], "single picture"),
        (["--receiver", one, "--remove", "--model", "genegan.gone"], "no checkpoint"),
        (["--receiver", tmp_path / "gone.jpg", "--remove"], "does not exist"),
    ):
        status, said, err = run(*base, *arguments)
        assert (status, said) == (2, ""), arguments
        assert complaint in err
        assert len(err.splitlines()) == 1
    assert not out.exists()
    judge = make_checkpoint("attributes")
    arguments = ["--receiver", one, "--remove", "--aligned", "--output", out]
    status, _, err = run("swap", "--model", judge, *arguments)
    assert status == 2
    assert judge in err
    status, *_ = run(*base, "--receiver", noise, "--remove", "--receiver-crop", "20,30,150,5")
    assert status == 0
    crop = Recipe.from_photo(read(out / "noise.png")).source("receiver").crop
    assert crop["angle"] == 5


def test_interpolate_writes_strips_grids_and_clips(run, make_checkpoint, crops, tmp_path):
    names = [make_checkpoint("aeai"), make_checkpoint("autoencoder")]
    four = [crops[0] / "a.png", crops[0] / "b.png", crops[1] / "d.png", crops[1] / "e.png"]
    base = ["interpolate", "--model", names[0], "--aligned"]
    both = ["--model", names[1], "--input", *four[:2], "--steps", 5, "--cross-fade", "--json"]
    status, said, _ = run(*base, *both, "--output", tmp_path / "new" / "strip.png")
    assert status == 0
    values = json.loads(said)
    assert values["layout"] == "strip"
    assert [found["model"] for found in values["models"]] == [*names, "cross-fade"]
    numbers = {"boundary_error", "monotonicity_violations", "step_ratio", "credibility", "realness"}
    assert all(set(found) == {"model", *numbers} for found in values["models"])
    assert read(tmp_path / "new" / "strip.png").pixels.shape[0] == 3 * 36 + 4
    status, said, _ = run(*base, "--input", *four, "--steps", 3, "--output", tmp_path / "grid.png")
    assert status == 0
    assert "boundary error" in said
    assert read(tmp_path / "grid.png").pixels.shape == (112, 112, 3)
    clip = ["--input", *four, "--steps", 4, "--ping-pong", "--ease", "in-out", "--path", "cubic"]
    status, *_ = run(*base, *clip, "--output", tmp_path / "clip.gif")
    assert status == 0
    with Image.open(tmp_path / "clip.gif") as film:
        assert film.n_frames == 6


def test_interpolate_says_what_it_needs_to_know(run, make_checkpoint, crops, tmp_path):
    name, judge = make_checkpoint("aeai"), make_checkpoint("attributes")
    three = [crops[0] / f"{letter}.png" for letter in "abc"]
    base = ["interpolate", "--aligned", "--output", tmp_path / "out.png"]
    for arguments, complaint in (
        (["--model", name, "--input", *three, "--layout", "grid"], "between 4 pictures, not 3"),
        (["--model", name, "--input", *three[:1]], "two or more"),
        (["--model", name, "--input", *three, "--steps", "1"], "not 1"),
        (["--model", name, "--input", *three, "--steps", 400, "--size", 3840], "more than 150"),
        (["--model", judge, "--input", *three], "cannot interpolate"),
        (["--model", "aeai.gone", "--input", *three], "no checkpoint"),
        (["--model", name, "--input", *three, "--output", "a.bmp"], ".gif or .mp4"),
    ):
        status, said, err = run(*base, *arguments)
        assert (status, said) == (2, ""), arguments
        assert complaint in err
        assert len(err.splitlines()) == 1
    assert not (tmp_path / "out.png").exists()


def test_train_makes_a_checkpoint_and_keeps_runs_apart(run, heads_folder, tmp_path):
    request = ["train", "--method", "genegan", "--data", heads_folder, "--tag", "new", "--size", 32]
    request += ["--set", "recipe=hinge", "--set", "width=4", "--batch-size", 4, "--steps", 2]
    status, out, err = run(*request, "--output", tmp_path / "made", "--json")
    assert status == 0, err
    made = json.loads(out)["checkpoint"]
    assert made == str(tmp_path / "made" / "genegan.new")
    card = CheckpointStore(tmp_path / "made").card("genegan.new")
    assert (card.step, card.config["width"]) == (2, 4)
    status, _, err = run(*request, "--seed", 5, "--output", tmp_path / "elsewhere")
    assert status == 2
    assert "--run" in err


def test_train_reads_a_request_file(run, heads_folder, tmp_path):
    file = tmp_path / "request.json"
    values = {"method": "attributes", "tag": "asked", "data": str(heads_folder), "size": 32}
    values |= {"steps": 500, "batch_size": 4, "fields": {"width": 4}}
    file.write_text(json.dumps(values))
    status, *_ = run("train", file, "--steps", 1, "--output", tmp_path / "made")
    assert status == 0
    assert CheckpointStore(tmp_path / "made").card("attributes.asked").step == 1
    for text, complaint in (("{", "cannot be read"), ("[]", "JSON object")):
        file.write_text(text)
        status, _, err = run("train", file)
        assert status == 2
        assert complaint in err


def test_evaluate_writes_the_card(run, make_checkpoint, heads_folder, tmp_path):
    name = make_checkpoint("attributes")
    base = ["evaluate", "--model", name, "--data", heads_folder, "--seed", 1]
    status, out, _ = run(*base, "--json", "--write")
    assert status == 0
    numbers = json.loads(out)["metrics"]
    card = CheckpointStore().card(name)
    assert card.metrics["accuracy"] == pytest.approx(numbers["accuracy"], rel=1e-4)
    # The command can be repeated elsewhere: it names no folder of this machine.
    assert card.command == f"latent-studio evaluate --model {name} --data heads --seed 1 --write"
    status, _, err = run(*base, "--part", "validation", "--write")
    assert status == 2
    assert "--part test" in err
    swapper = make_checkpoint()
    split = tmp_path / "split"
    shutil.copytree(heads_folder, split)
    table = (split / "attributes.csv").read_text().splitlines()
    assert table[0].startswith("file,partition,")
    rows = [row.split(",", 2) for row in table[1:]]
    thirds = [f"{name},{number % 3},{rest}" for number, (name, _, rest) in enumerate(rows)]
    (split / "attributes.csv").write_text("\n".join([table[0], *thirds]) + "\n")
    arguments = ["evaluate", "--model", swapper, "--data", split, "--pairs", 2]
    assert run(*arguments, "--write")[0] == 0
    card = CheckpointStore().card(swapper)
    assert {"psnr", "kind_accuracy", "object_norm_threshold"} <= set(card.metrics)
    assert np.array(card.support).shape == (16, 16)
    status, _, err = run(*base, "--samples", tmp_path)
    assert status == 2
    assert "makes no pictures" in err


def test_data_verbs(run, tmp_path):
    folder = tmp_path / "rendered"
    status, *_ = run("data", "render", "heads", "--count", 4, "--size", 32, "--output", folder)
    assert status == 0
    assert len(files(folder)) == 5
    status, out, _ = run("data", "check", folder)
    # Too few to train.
    assert status == 1
    assert "4 pictures" in out
    (folder / "000001.png").write_bytes(b"")
    status, out, err = run("data", "check", folder, "--json")
    assert status == 1
    assert set(json.loads(out)["unusable"]) == {"000001.png"}
    assert err == ""
    assert "000001.png: It cannot be decoded" in run("data", "check", folder)[1]
    status, out, _ = run("data", "splits", folder, "--output", tmp_path / "split.csv")
    assert status == 0
    assert (tmp_path / "split.csv").read_text().startswith("file,partition\n000000.png,")
    status, _, err = run("data", "check", tmp_path / "nowhere")
    assert status == 2
    assert "does not exist" in err


def test_the_pole_is_rendered_without_a_count(run, monkeypatch, tmp_path):
    monkeypatch.setattr(pole, "AZIMUTHS", (0, 120))
    folder = tmp_path / "pole"
    status, out, _ = run("data", "render", "pole", "--size", 8, "--output", folder, "--json")
    assert status == 0
    assert json.loads(out) == {"output": str(folder), "count": 16}
    assert len(files(folder)) == 17
    some = tmp_path / "some"
    assert run("data", "render", "pole", "--count", 5, "--size", 32, "--output", some)[0] == 0
    assert "5 pictures (4 train, 0 validation, 1 test)" in run("data", "check", some)[1]


def test_the_turntable_is_rendered_in_part_or_whole(run, tmp_path):
    render = ("data", "render", "turntable", "--size", 8, "--output")
    status, out, err = run(*render, tmp_path / "mug", "--choose", "object=mug")
    assert (status, "Wrote 72 pictures" in out, "Rendered 72 of 72" in err) == (0, True, True)
    _, out, _ = run("data", "check", tmp_path / "mug")
    assert "72 pictures (58 train, 0 validation, 14 test)" in out
    assert run(*render, tmp_path / "all", "--count", 1)[0] == 0
    assert files(tmp_path / "all") == sorted(["attributes.csv", *(f"{n}_000.png" for n in OBJECTS)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("heads",), "Heads need --count"),
        (("pole", "--choose", "azimuth=5"), "no --choose"),
        (("pole", "--count", -1), "-1 poles"),
        (("turntable", "--choose", "shape=mug"), "no 'shape' to choose"),
        (("turntable", "--choose", "object=sofa"), "'sofa'"),
        (("turntable", "--count", 0), "0 views"),
        (("sphere",), "invalid choice"),
    ],
)
def test_a_set_that_cannot_be_rendered_is_one_sentence(run, tmp_path, arguments, message):
    status, out, err = run("data", "render", *arguments, "--output", tmp_path / "set")
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "set").exists()


def test_reproduce_runs_a_table(run, monkeypatch, tmp_path):
    asked = []

    def figure(options):
        options.report("Working.")
        asked.append(options)
        return {"table": "figure"}

    monkeypatch.setattr("studio.reproduce.TABLES", {"figure": figure})
    assert run("reproduce")[:2] == (0, "figure\n")
    out = tmp_path / "out"
    arguments = ["--output", out, "--steps", 5, "--seeds", 2, "--data", tmp_path, "--json"]
    status, said, err = run("reproduce", "figure", *arguments)
    assert (status, json.loads(said), err) == (0, {"table": "figure"}, "Working.\n")
    (options,) = asked
    assert (options.output, options.data, options.steps, options.seeds) == (out, tmp_path, 5, 2)
    status, _, err = run("reproduce", "table", "--output", out)
    assert status == 2
    assert "figure" in err
    status, _, err = run("reproduce", "figure")
    assert status == 2
    assert "--output" in err


def test_serve_passes_its_options_on(run, monkeypatch):
    asked = {}
    fake = types.SimpleNamespace(serve=lambda **options: asked.update(options))
    monkeypatch.setitem(sys.modules, "studio.ui.page", fake)
    monkeypatch.setattr("studio.ui.page", fake, raising=False)
    arguments = ["--port", "8000", "--auth", "me:a:b", "--device", "cpu", "--memory", "300"]
    assert run("serve", *arguments)[0] == 0
    assert asked["auth"] == [("me", "a:b")]
    assert (asked["host"], asked["port"], asked["share"]) == ("127.0.0.1", 8000, False)
    assert str(asked["device"]) == "cpu"
    assert asked["memory"] == 300
    status, _, err = run("serve", "--memory", "0")
    assert status == 2
    assert "1 or more, not 0" in err


def test_an_interruption_is_no_crash(run, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointStore, "cards", lambda self: interrupt())
    status, out, err = run("models")
    assert (status, out) == (130, "")
    assert "Interrupted" in err
