from dataclasses import replace

import numpy as np
import pytest
import torch

from studio import evaluation, images
from studio.checkpoints import Card, Loaded
from studio.data.batch import DataSpec
from studio.data.folder import open_set
from studio.data.turns import find_turns
from studio.errors import UnsupportedError
from studio.evaluation import instruments, interpolation, sheets
from studio.evaluation.bench import Bench
from studio.evaluation.interpolation import CrossFade, Judge
from studio.latents import Latents
from studio.methods.base import Evaluator, LatentModel
from studio.render import sets, turntable

CPU = torch.device("cpu")
SIZE = 32
FADE = Bench(CrossFade(), SIZE, CPU)


class Blank(LatentModel):
    """A useless model: everything becomes the same grey."""

    def encode(self, images):
        return Latents({"z": images.mean((1, 2, 3))[:, None]})

    def decode(self, latents):
        return torch.full((len(latents), 3, SIZE, SIZE), 0.9)


@pytest.fixture(scope="module")
def turning(tmp_path_factory):
    """Return 72 views: at each, one column of pixels is bright."""
    views = torch.full((72, 3, SIZE, SIZE), -1.0)
    for number in range(72):
        views[number, :, :, number * SIZE // 72] = 1.0
    parts = sets.held_out(72, 0, "views")
    rows = [
        {"file": f"{k:02d}.png", "partition": part, "alignment": "none", "factor_angle": 5 * k}
        for k, part in enumerate(parts)
    ]
    folder = tmp_path_factory.mktemp("rendered") / "views"
    sets.write_set(folder, rows, lambda part: views[part])
    return open_set(folder)


def darkness(batch):
    """Score pictures: real ones are dark and have one bright column."""
    return 0.2 - (batch.mean((1, 2, 3)) + 1)[:, None]


JUDGE = Judge(lambda batch: batch.mean((1, 2)), darkness, SIZE, CPU)


def path_numbers(model, data, judge=JUDGE):
    bench = Bench(model, SIZE, CPU)
    return interpolation.path_numbers(bench, data, "test", judge, count=6, seed=0)


def test_the_cross_fade_is_admissible_but_for_its_looks(turning):
    numbers = path_numbers(CrossFade(), turning)
    assert numbers["interpolation_pairs"] == 6
    assert numbers["boundary_error"] == numbers["monotonicity_violations"] == 0
    assert numbers["step_ratio"] == pytest.approx(1, abs=1e-3)
    assert numbers["credibility"] == pytest.approx(numbers["credibility_fade"], abs=1e-4)
    assert numbers["credibility_fade"] > numbers["credibility_real"]
    assert numbers["realness_real"] == 1


def test_a_useless_model_fails_the_boundary_and_the_judge(turning):
    numbers = path_numbers(Blank(), turning)
    assert numbers["boundary_error"] > 1.5
    assert numbers["realness"] == 0
    assert numbers["credibility"] > numbers["credibility_fade"]


def test_without_a_judge_three_conditions_are_measured(turning):
    assert set(path_numbers(Blank(), turning, None)) == {
        *("interpolation_pairs", "boundary_error", "monotonicity_violations", "step_ratio")
    }
    seeing = replace(JUDGE, score=None)
    assert "realness" not in path_numbers(Blank(), turning, seeing)


def test_in_betweens_are_compared_with_held_out_pictures(turning):
    turns = find_turns(turning)
    numbers = interpolation.between_numbers(FADE, turning, turns, "test", 0)
    # 14 held-out pictures, each at 14 places of an interval.
    assert numbers["between_pictures"] == 14 * 14
    assert numbers["between_mse"] == numbers["between_mse_fade"] > 0
    blank = interpolation.between_numbers(Bench(Blank(), SIZE, CPU), turning, turns, "test", 0)
    assert blank["between_mse"] > blank["between_mse_fade"] == numbers["between_mse_fade"]
    everything = replace(turning, partition=np.zeros(72, np.int8))
    assert interpolation.between_numbers(FADE, everything, turns, "test", 0) == {}


def test_errors_are_unknown_where_a_picture_is_missing(turning):
    rows = find_turns(turning).intervals(25)
    rows[3, 2] = -1
    pictures = turning.pictures(SIZE)
    originals = images.to_images(np.array(pictures))
    errors = interpolation.true_errors(FADE, FADE.encode(pictures), originals, rows)
    assert errors.isnan().nonzero().tolist() == [[3, 2]]
    assert errors[:, [0, -1]].max() == 0


def test_pairs_are_of_two_pictures():
    pairs = interpolation.random_pairs(3, 200, seed=1)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert {tuple(pair) for pair in pairs.tolist()} == {
        (a, b) for a in range(3) for b in range(3) if a != b
    }


def test_a_checkpoint_without_a_swap_is_measured(make_checkpoint, models, turning):
    name = make_checkpoint("aeai", "views")
    numbers = evaluation.evaluate(models, name, turning, pairs=4)
    assert {"psnr", "boundary_error", "between_mse", "between_mse_fade"} <= numbers.keys()
    # Without a validation part the verdicts take the held-out part.
    assert numbers["reconstruction_error_p90"] > 0
    assert "credibility" not in numbers
    make_checkpoint("realness", "views")
    assert {"credibility", "realness_real"} <= evaluation.evaluate(models, name, turning).keys()


def test_a_judge_is_the_own_scorer_or_the_features_of_another(make_checkpoint, models):
    assert interpolation.find_judge(models, "aeai.x", "identity.tiny") is None
    make_checkpoint("identity")
    assert interpolation.find_judge(models, "aeai.x", "identity.tiny").score is None
    make_checkpoint("realness", "x")
    assert interpolation.find_judge(models, "aeai.x", "identity.tiny").score is not None


def test_sample_sheets_of_paths(make_checkpoint, models, turning, tmp_path):
    name = make_checkpoint("gaia")
    files = sheets.write_samples(models, name, turning.part("test"), tmp_path, sheets=2)
    assert [file.name for file in files] == ["gaia.tiny-00.png", "gaia.tiny-01.png"]
    height, width = images.read_photo(files[0]).pixels.shape[:2]
    assert height > sheets.ROWS * SIZE
    assert width > (sheets.STRIP + 2) * SIZE
    with pytest.raises(UnsupportedError, match="makes no pictures"):
        sheets.write_samples(models, make_checkpoint("realness"), turning, tmp_path)


def test_the_scorer_is_measured_by_what_it_tells_apart(turning):
    class Sharp(Evaluator):
        """Real pictures have pixels of two values only."""

        def forward(self, images):
            return 0.02 - (1 - images.abs()).mean((1, 2, 3))[:, None]

    card = Card("realness.x", "realness", {}, DataSpec(SIZE).to_dict(), step=0)
    random = torch.get_rng_state()
    # Neighbours in the batch are mixed: let them be strangers.
    shuffled = turning.select(np.random.default_rng(0).permutation(72))
    numbers = instruments.instrument_numbers(Loaded(Sharp(), card, 0), shuffled, CPU, 0)
    assert numbers["real_accuracy"] == 1
    for way in ("mixed", "blurred", "noisy"):
        assert numbers[f"{way}_auc"] > 0.9, way
    # Most of these pictures is empty, and so are many patches.
    assert numbers["pasted_auc"] > 0.6
    assert torch.equal(random, torch.get_rng_state())


@pytest.fixture
def strangers(tmp_path):
    """Return a SET of somebody else's object on a turntable: 24 views, every sixth held out."""
    folder = tmp_path / "coil"
    folder.mkdir()
    pictures = images.to_pictures(
        turntable.render([turntable.View("mug", 15.0 * number) for number in range(24)], 32)
    )
    lines = ["file,partition,alignment,object,factor_angle"]
    for number, picture in enumerate(pictures):
        images.save_png(folder / f"{number:02d}.png", picture)
        part = 2 if number % 6 == 0 else 0
        lines.append(f"{number:02d}.png,{part},none,14,{15 * number}")
    (folder / "attributes.csv").write_text("\n".join(lines) + "\n")
    return open_set(folder)


def test_a_checkpoint_carries_means_of_neighbouring_training_views(
    models, make_checkpoint, strangers
):
    name = make_checkpoint("aeai", data={"size": 32, "alignment": "none", "attributes": []})
    assert models.store.codes(name) is None
    assert sheets.write_views(models, name, strangers) == 12
    codes = models.store.codes(name)
    bench = Bench(models.get(name).model, 32, torch.device("cpu"))
    own = bench.encode(np.array(strangers.pictures(32))).parts["z"]
    # The view at 0 degrees is held out: only its two neighbours are averaged.
    expected = (own[23] + own[1]) / 2
    torch.testing.assert_close(codes.parts["z"][0], expected, rtol=2e-2, atol=2e-2)
    middle = own[1:4].mean(0)
    torch.testing.assert_close(codes.parts["z"][1], middle, rtol=2e-2, atol=2e-2)


def test_our_own_renders_need_no_carried_views(models, make_checkpoint, tmp_path):
    name = make_checkpoint("aeai", data={"size": 32, "alignment": "none", "attributes": []})
    turntable.write_set(tmp_path / "toys", 32, objects=["mug"], count=12)
    assert sheets.write_views(models, name, open_set(tmp_path / "toys")) == 0
    assert models.store.codes(name) is None
