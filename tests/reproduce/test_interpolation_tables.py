"""AEAI's tables on the smallest of budgets, and on pictures whose truth is a plain cross-fade."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from studio.data.folder import open_set
from studio.errors import ConfigError, DataError
from studio.images import read_photo
from studio.methods.autoencoders.base import TINY
from studio.render import pole, sets
from studio.render.pole import Pole
from studio.reproduce import (
    TABLES,
    ReproduceOptions,
    contest,
    curves,
    interpolation,
    manifold,
    parameters,
    strips,
)
from studio.reproduce.contest import open_contest

SIZE = 16
# Steps of 15 degrees: 5 pictures in 80 degrees, 3 of them in-betweens.
AZIMUTHS, ALTITUDES = range(0, 360, 15), (45, 80)
LABELS = ["Cross-fade", "AEAI", "AAE", "ACAI", "Beta-VAE", "AMR", "GAIA", "Autoencoder"]


def write_set(folder, rows, images):
    parts = sets.held_out(len(rows), 0, "test")
    rows = [
        {"file": f"{number:03d}.png", "partition": part, "alignment": "none", **row}
        for number, (part, row) in enumerate(zip(parts, rows, strict=True))
    ]
    sets.write_set(folder, rows, lambda part: images[part])
    return folder


@pytest.fixture(scope="session")
def poles(tmp_path_factory):
    """Return a SET of 48 poles."""
    lights = [Pole(azimuth, altitude) for altitude in ALTITUDES for azimuth in AZIMUTHS]
    rows = [{"factor_azimuth": one.azimuth, "factor_altitude": one.altitude} for one in lights]
    folder = tmp_path_factory.mktemp("rendered") / "poles"
    return write_set(folder, rows, pole.render(lights, SIZE))


@pytest.fixture(scope="session")
def greys(tmp_path_factory):
    """Return a SET of 36 views that only grow brighter: the cross-fade is the truth between."""
    levels = torch.arange(36) * 7 / 127.5 - 1
    rows = [{"object": "ramp", "factor_angle": 5 * k} for k in range(36)]
    folder = tmp_path_factory.mktemp("rendered") / "greys"
    return write_set(folder, rows, levels.reshape(-1, 1, 1, 1).expand(-1, 3, SIZE, SIZE))


@pytest.fixture
def options(tmp_path, models, monkeypatch):
    """Return a function that builds options for tables of two steps."""
    monkeypatch.setattr(contest, "SETTINGS", dict.fromkeys(contest.SETTINGS, TINY))
    monkeypatch.setattr(contest, "BATCH_SIZE", 8)
    monkeypatch.setattr(curves, "MOST_PER_LENGTH", 12)
    monkeypatch.setattr(parameters, "PAIRS", 20)
    monkeypatch.setattr(manifold, "MIDPOINTS", 20)
    told = []

    def build(data, seeds=1, only=""):
        output = tmp_path / "out"
        return ReproduceOptions(output, data, models, 2, seeds, SIZE, told.append, only)

    build.told = told
    return build


def run(name, settings):
    """Make a table, check its files, and return its rows and summary."""
    TABLES[name](settings)
    folder = settings.output
    assert read_photo(folder / f"{name}.png").pixels.std() > 5
    values = json.loads((folder / f"{name}.json").read_text())
    header, *lines = (folder / f"{name}.csv").read_text().splitlines()
    assert header.split(",") == list(values["rows"][0])
    assert len(lines) == len(values["rows"])
    return values["rows"], values["summary"]


def test_errors_of_held_out_pictures_are_reported_apart(options, poles):
    rows, summary = run("aeai-mse", options(poles, seeds=2))
    assert list(dict.fromkeys(row["method"] for row in rows)) == LABELS
    assert {row["split"] for row in rows} == {"held-out", "seen"}
    assert {row["alpha"] for row in rows} == {0, 0.25, 0.5, 0.75, 1}
    fade = [row for row in rows if row["method"] == "Cross-fade"]
    assert all((row["mean"] < 1e-12) == (row["alpha"] in {0, 1}) for row in fade)
    # Every picture of all 48 intervals is counted once, for each seed of each method.
    assert sum(row["count"] for row in fade) == 48 * 5
    assert sum(row["count"] for row in rows) == 48 * 5 * (1 + 7 * 2)
    assert summary["pictures_of_an_interval"] == 5
    assert summary["degrees_between_the_ends"] == 60
    assert list(summary["held-out"]) == LABELS
    assert summary["held-out"]["AEAI"]["mse"]["std_over_seeds"] > 0
    assert summary["held-out"]["Cross-fade"]["mse"]["std_over_seeds"] == 0


def test_lengths_count_pictures_and_models_are_trained_once(options, poles):
    run("aeai-mse", options(poles))
    options.told.clear()
    rows, summary = run("aeai-interval", options(poles))
    assert sum("is trained already" in line for line in options.told) == 7
    lengths = dict.fromkeys((row["length"], row["span"]) for row in rows)
    assert list(lengths) == [(45, 30), (60, 45), (75, 60)]
    assert list(summary["by_length"]) == ["45", "60", "75"]


def test_where_the_cross_fade_is_the_truth_it_is_perfect(options, greys):
    settings = options(greys)
    found = open_contest(settings)
    (fade,) = found.runs([])
    errors = list(curves.error_rows(found, fade))
    # 36 views that do not close the turn: 21 intervals of 16.
    assert sum(row["count"] for row in errors) == 21 * 16
    assert max(row["mean"] for row in errors) < 1e-10
    assert max(row["mean"] for row in curves.length_rows(found, fade)) < 1e-10
    alphas = list(curves.alpha_rows(found, fade))
    assert {(row["length"], row["span"]) for row in alphas} == {(70, 65)}
    for row in alphas:
        assert row["q25"] == pytest.approx(row["alpha"], abs=1e-5)
        assert row["q75"] == pytest.approx(row["alpha"], abs=1e-5)
    assert curves.quartile_range(alphas) == pytest.approx(0, abs=1e-5)
    assert curves.off_linear(alphas) == pytest.approx(0, abs=1e-5)


def test_alpha_is_retrieved_for_every_method(options, poles):
    rows, summary = run("aeai-alpha", options(poles))
    assert list(summary["held-out"]) == LABELS
    assert all(row["q25"] <= row["median"] <= row["q75"] for row in rows)
    ends = [row for row in rows if row["method"] == "Cross-fade" and row["alpha"] in {0, 1}]
    assert all(row["median"] == pytest.approx(row["alpha"], abs=1e-6) for row in ends)


def test_the_way_through_the_parameters_starts_and_ends_right(options, poles, greys):
    rows, summary = run("aeai-parameters", options(poles))
    first, *_, last = [row for row in rows if row["method"] == "Cross-fade"]
    assert first["distance_to_source"] == last["distance_to_target"] == 0
    assert first["distance_to_target"] == pytest.approx(first["linear_to_target"], rel=1e-5)
    assert last["altitude_to_source"] > 0
    assert summary["off_linear"]["AEAI"]["mean"] > 0
    with pytest.raises(DataError, match="factor_altitude"):
        TABLES["aeai-parameters"](options(greys))


def test_the_ablation_leaves_one_loss_out_at_a_time(options, poles):
    rows, summary = run("aeai-ablation", options(poles))
    assert {row["curve"] for row in rows} == {"error", "length", "alpha"}
    names = ["Cross-fade", *(variant.label for variant in interpolation.ABLATION)]
    assert list(summary["error"]["held-out"]) == names
    cards = (options(poles).output / "checkpoints").glob("*/card.json")
    configs = [json.loads(card.read_text())["config"] for card in cards]
    weights = ["adversarial_weight", "cycle_weight", "smoothness_weight"]
    switched_off = [[name for name in weights if config[name] == 0] for config in configs]
    assert sorted(switched_off) == [[], *([name] for name in weights)]


def test_the_manifold_has_a_row_per_picture(options, poles):
    rows, summary = run("aeai-manifold", options(poles))
    assert len(rows) == 4 * 48
    assert [row["z2"] == "" for row in rows[::48]] == [True, False, True, False]
    assert list(summary) == [row["method"] for row in rows[::48]]
    # Of two dimensions none is lost on the paper; of three, lengths do not grow.
    points = torch.randn(9, 3)
    assert torch.equal(manifold.project(points[:, :2], points), points[:, :2])
    flat = torch.cdist(*[manifold.project(points, points)] * 2)
    assert (flat <= torch.cdist(points, points) + 1e-4).all()


def test_strips_and_grids_show_every_method(options, poles):
    rows, _ = run("aeai-strips", options(poles))
    assert len(rows) == len(LABELS) * strips.STRIPS * 5
    ends = [row for row in rows if row["method"] == "Cross-fade" and row["alpha"] == 1]
    assert max(row["mse"] for row in ends) < 1e-12
    rows, _ = run("aeai-grids", options(poles))
    assert len(rows) == len(LABELS) * strips.GRIDS * strips.SIDE**2
    fade = [row for row in rows if row["method"] == "Cross-fade"]
    corners = [row for row in fade if {row["row"], row["column"]} <= {0, 7}]
    assert max(row["mse"] for row in corners) < 1e-12
    # The two altitudes are known, what lies between them is not.
    assert {row["row"] for row in fade if row["mse"] != ""} == {0, 7}


def test_a_single_turn_gives_grids_of_four_views(options, greys):
    found = open_contest(options(greys))
    grid = strips.choose_grids(found)[0]
    # Four views at equal steps: up to the second, the third, the fourth.
    assert np.ptp(np.diff(found.data.factors["factor_angle"][grid.corners])) == 0
    assert (grid.truth >= 0).sum() == 4


def test_several_objects_need_a_choice(options, greys, tmp_path):
    folder = tmp_path / "toys"
    rows = [{"object": name, "factor_angle": 10 * k} for name in ("Cup", "Duck") for k in range(36)]
    write_set(folder, rows, torch.rand(72, 3, SIZE, SIZE) * 2 - 1)
    with pytest.raises(ConfigError, match="--only object=Cup"):
        open_contest(options(folder))
    found = open_contest(options(folder, only="object=Duck"))
    request = found.request(contest.AEAI, 3)
    assert (request.only, request.tag) == ("object=Duck", "toys-duck-16-2-seed3")
    assert len(found.data) == 36


def test_without_data_the_pole_is_rendered(options, monkeypatch, poles):
    asked = []

    def write(folder, size):
        asked.append(size)
        Path(folder).parent.mkdir(parents=True, exist_ok=True)
        Path(folder).symlink_to(poles)

    monkeypatch.setattr(pole, "write_set", write)
    for _ in range(2):
        found = open_contest(options(None))
        assert found.request(contest.PLAIN, 0).terms == "Rendered by Latent Studio."
    assert asked == [SIZE]


def test_pictures_without_a_turn_are_refused(options, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    Image.new("RGB", (SIZE, SIZE)).save(folder / "a.png")
    assert len(open_set(folder)) == 1
    with pytest.raises(DataError, match="no full turn"):
        open_contest(options(folder))
