"""Every table, on the smallest of budgets: it runs, it writes, and it goes on where it was."""

import csv
import io
import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from studio.errors import ConfigError, DataError
from studio.images import read_photo
from studio.methods import METHODS
from studio.render import heads
from studio.reproduce import (
    TABLES,
    ReproduceOptions,
    experiments,
    figures,
    lighting,
    scenes,
    unseen,
)

TINY = {"width": 4, "critic_width": 4}
PICTURES, PAIRS = 24, 3


@pytest.fixture(scope="session")
def training_pictures(tmp_path_factory):
    return scenes.training_set(tmp_path_factory.mktemp("rendered") / "heads", PICTURES, 16)


@pytest.fixture(scope="session")
def pairs():
    return scenes.make_scenes(PAIRS, 16)


@pytest.fixture
def options(tmp_path, models, monkeypatch, training_pictures, pairs):
    """Return a function that builds options for tables of two steps and three pairs."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"heads-16-{PICTURES}").symlink_to(training_pictures)
    monkeypatch.setattr(experiments, "MOST_PICTURES", PICTURES)
    monkeypatch.setattr(experiments, "PAIRS", PAIRS)
    monkeypatch.setattr(scenes, "make_scenes", lambda count, size: pairs)
    monkeypatch.setattr(experiments, "SMALL", TINY)
    monkeypatch.setattr(experiments, "HINGE", {"recipe": "hinge", **TINY})
    monkeypatch.setattr(experiments, "PLAIN", experiments.Variant("plain", "GeneGAN"))
    monkeypatch.setattr(lighting, "FIELDS", {"recipe": "hinge", **TINY, "flip": False})
    monkeypatch.setattr(lighting, "PAIRS", 2)
    monkeypatch.setattr(figures, "SIDE", 2)
    told = []

    def build(data=None, seeds=1):
        return ReproduceOptions(tmp_path / "out", data, models, 2, seeds, 16, told.append)

    build.told = told
    return build


def check(options, name, result):
    """Check the three files of a table and return its rows."""
    folder = options().output
    assert read_photo(folder / f"{name}.png").pixels.std() > 5
    values = json.loads((folder / f"{name}.json").read_text())
    with (folder / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(values["rows"]) == len(result["rows"])
    assert values["table"] == name
    return values["rows"]


def test_the_tables_are_those_of_the_papers():
    assert set(TABLES) == {
        "genegan-matrix",
        "genegan-light",
        "genegan-unseen",
        "genegan-interpolation",
        "genegan-drift",
        "genegan-stacked",
        "genegan-cycle",
        "aeai-mse",
        "aeai-interval",
        "aeai-alpha",
        "aeai-parameters",
        "aeai-ablation",
        "aeai-manifold",
        "aeai-strips",
        "aeai-grids",
        "attributes-fid",
        "attributes-edits",
        "attributes-augmentation",
        "attributes-13",
        "attributes-recursion",
        "attributes-per-class",
        "attributes-size",
    }


def test_drift_is_measured_with_and_without_the_parallelogram(options):
    rows = check(options, "genegan-drift", TABLES["genegan-drift"](options(seeds=2)))
    assert [(row["variant"], row["seed"]) for row in rows] == [
        ("with parallelogram", 0),
        ("with parallelogram", 1),
        ("without parallelogram", 0),
        ("without parallelogram", 1),
    ]
    assert all(0 <= row["swap_sunglasses_kept"] <= 1 for row in rows)
    assert rows[0]["swap_psnr"] != rows[2]["swap_psnr"]
    cards = options().output.glob("checkpoints/*/card.json")
    weights = {
        f.parent.name: json.loads(f.read_text())["config"]["parallelogram_weight"] for f in cards
    }
    assert weights["genegan.plain-16-2-seed0"] == 0.8
    assert weights["genegan.no-parallelogram-16-2-seed1"] == 0


def test_tables_share_what_they_train_and_take_it_up_again(options):
    TABLES["genegan-drift"](options())
    options.told.clear()
    check(options, "genegan-stacked", TABLES["genegan-stacked"](options()))
    assert "genegan.plain-16-2-seed0 is trained already." in options.told
    card = options().output / "checkpoints" / "genegan.double-swap-16-2-seed0" / "card.json"
    assert json.loads(card.read_text())["config"]["double_swap"] is True


def test_the_cycle_compares_with_the_rival(options):
    rows = check(options, "genegan-cycle", TABLES["genegan-cycle"](options()))
    assert [row["variant"] for row in rows] == ["GeneGAN", "cyclic losses"]
    assert {"back_kind_accuracy", "onto_render_eye_error", "removed"} <= rows[0].keys()
    assert (options().output / "checkpoints" / "cyclic.cyclic-16-2-seed0").is_dir()


def test_a_perfect_model_has_perfect_numbers(monkeypatch, pairs):
    monkeypatch.setattr(experiments, "_decode", lambda model, originals: originals)
    monkeypatch.setattr(experiments, "_swap", lambda model, receivers, donors: pairs.truth)

    class Cache:
        def get(self, name):
            return self

        model = None

    numbers, _ = experiments._measure_swap(Cache(), "x", pairs)
    assert numbers["reconstruction_l1"] == numbers["swap_eye_error"] == 0
    assert numbers["swap_kind_accuracy"] == numbers["reconstruction_kind_accuracy"] == 1


def test_the_matrix_of_rendered_heads(options, make_checkpoint):
    name = make_checkpoint(tag="heads-eyeglasses")
    make_checkpoint(tag="eyeglasses")
    rows = check(options, "genegan-matrix", TABLES["genegan-matrix"](options()))
    assert len(rows) == 4
    assert {row["checkpoint"] for row in rows} == {name}
    assert min(row["change_in_levels"] for row in rows) > 0


def test_the_matrix_of_a_data_set_uses_the_other_checkpoints(
    options, make_checkpoint, heads_folder, tmp_path
):
    make_checkpoint(tag="heads-eyeglasses")
    name = make_checkpoint(tag="eyeglasses")
    folder = shutil.copytree(heads_folder, tmp_path / "set")
    with (folder / "attributes.csv").open() as file:
        table = list(csv.DictReader(file))
    for places, message in (((1, 0, 1, 1), "1 held-out pictures with or without"), ((1, 0), None)):
        for number, row in enumerate(table):
            row.update(partition="2", Eyeglasses=str(places[number % len(places)]))
        write_table(folder, table[:4])
        if message:
            with pytest.raises(DataError, match=message):
                TABLES["genegan-matrix"](options(folder))
    rows = check(options, "genegan-matrix", TABLES["genegan-matrix"](options(folder)))
    assert {row["checkpoint"] for row in rows} == {name}


def write_table(folder, rows):
    with (folder / "attributes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_the_corners_of_the_interpolation_are_swaps(options, make_checkpoint):
    make_checkpoint(tag="heads-smiling")
    rows = check(options, "genegan-interpolation", TABLES["genegan-interpolation"](options()))
    assert len(rows) == 4
    assert max(row["difference_in_levels"] for row in rows) < 0.01


def test_without_checkpoints_the_figures_say_what_to_train(options):
    for name in ("genegan-matrix", "genegan-interpolation", "genegan-light"):
        with pytest.raises(ConfigError, match="train one"):
            TABLES[name](options())


def yale(path):
    """Write a few persons under three lights, the later ones held out."""
    rows = [("file", "subject", "azimuth", "elevation")]
    with zipfile.ZipFile(path, "w") as archive:
        for subject in (1, 2, 3, 34, 35):
            for azimuth in (0, 50, -60, 5):
                level = 200 - abs(azimuth) + subject
                pixels = np.full((28, 24), level, np.uint8)
                pixels[:, : 12 if azimuth > 0 else 6] //= 2
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG")
                archive.writestr(f"{subject}_{azimuth}.png", buffer.getvalue())
                rows.append(
                    (f"{subject}_{azimuth}.png", subject, azimuth, 10 if azimuth == 5 else 0)
                )
    path.with_suffix(".csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    return path


def test_light_is_swapped_on_renders_and_on_yales_faces(options, make_checkpoint, tmp_path):
    config = {**METHODS["genegan"].tiny.to_dict(), "attribute": "Side_Light"}
    name = make_checkpoint(tag="heads-light", config=config)
    location = yale(tmp_path / "extended_yale_b.zip")
    rows = check(options, "genegan-light", TABLES["genegan-light"](options(location)))
    assert [row["checkpoint"] for row in rows] == [name, "genegan.yale-light-16-2"]
    # Leaving the light as it is gives the same truth a score of its own.
    assert all(np.isfinite(row["unswapped_psnr"]) for row in rows)


def test_light_refuses_another_data_set(options, heads_folder):
    with pytest.raises(DataError, match="not Extended Yale B"):
        TABLES["genegan-light"](options(heads_folder))


def write_photographs(folder):
    """Write London's, Yale's and everyday layouts with rendered heads."""
    crowd = heads.sample_heads(4, 5, fixed={"hat": False})
    pictures = heads.render(crowd, 32).add(1).mul(127.5).to(int).permute(0, 2, 3, 1)
    contents = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture.numpy().astype(np.uint8)).save(buffer, "PNG")
        contents.append(buffer.getvalue())
    tables = {
        "london_faces": (
            "identity,expression",
            ["1,neutral", "1,smiling", "2,neutral", "2,smiling"],
        ),
        "yale_faces": (
            "subject,condition",
            ["1,noglasses", "1,glasses", "2,noglasses", "2,glasses"],
        ),
        "photos_unseen": ("source", ["a", "b", "c", "d"]),
    }
    for name, (columns, rows) in tables.items():
        files = [f"lfw_{k}.png" for k in range(4)]
        inside = "unaligned512/" if name == "london_faces" else ""
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            for file, content in zip(files, contents, strict=True):
                archive.writestr(inside + file, content)
        lines = [f"file,{columns}", *(f"{f},{row}" for f, row in zip(files, rows, strict=True))]
        (folder / f"{name}.csv").write_text("\n".join(lines))
    return folder


def test_unseen_photographs_are_found_and_swapped(options, make_checkpoint, tmp_path, monkeypatch):
    whole = [unseen.Alignment.whole(32, 32)]

    class Found:
        alignment = whole[0]

    # Detection has tests of its own; the last photograph shows no face here.
    seen = []

    def find(pixels, refine):
        seen.append(pixels)
        return [] if len(seen) == 1 else [Found]

    monkeypatch.setattr(unseen, "find_faces", find)
    make_checkpoint(tag="eyeglasses")
    folder = write_photographs(tmp_path)
    rows = check(options, "genegan-unseen", TABLES["genegan-unseen"](options(folder)))
    # The first photograph, Yale's only receiver, shows no face; four everyday ones make 2 pairs.
    assert [row["group"] for row in rows] == ["LFW", "LFW"]
    assert rows[0]["receiver_object"] <= rows[0]["donor_object"]
    assert any("No face" in line for line in options.told)
    options.told.clear()
    rows = check(options, "genegan-unseen", TABLES["genegan-unseen"](options(folder)))
    assert [row["group"] for row in rows] == ["Yale", "LFW", "LFW"]
    assert rows[0]["receiver"] == "lfw_2.png"
    assert rows[0]["donor"] == "lfw_1.png"


def test_unseen_needs_a_folder(options, make_checkpoint, tmp_path):
    make_checkpoint(tag="eyeglasses")
    with pytest.raises(ConfigError, match=r"london_faces\.zip"):
        TABLES["genegan-unseen"](options())
    with pytest.raises(ConfigError, match="No faces"):
        TABLES["genegan-unseen"](options(tmp_path))
