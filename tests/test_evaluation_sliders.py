"""Sliders and generated faces are judged rightly: perfect, leaky and useless models."""

import numpy as np
import pytest
import torch
from PIL import Image

from studio import evaluation, traits
from studio.checkpoints import Card, Loaded
from studio.data.batch import DataSpec
from studio.data.folder import open_set
from studio.errors import UnsupportedError
from studio.evaluation import portraits, sheets, sliders
from studio.evaluation.sliders import Judge
from studio.images import save_png
from studio.latents import Latents
from studio.methods.base import AttributeModel, Evaluator, Generator, Translator

NAMES = ("Smiling", "Eyeglasses", "Young")
SIZE, CPU = 32, torch.device("cpu")


class Reader(Evaluator):
    """Reads attributes off the first pixels of the first row, where the models write them."""

    def forward(self, images):
        return 10 * images[:, 0, 0, : len(NAMES)]

    def features(self, images):
        return images[:, :, 0, : len(NAMES)].flatten(1)


class Writer(AttributeModel, Generator):
    """Writes attributes into pixels; ``leak`` of each move goes to the next attribute."""

    attributes = NAMES
    noise_size = 2

    def __init__(self, gain=1.0, leak=0.0):
        super().__init__()
        self.gain, self.leak = gain, leak

    def encode(self, images):
        return Latents({"z": images[:, 0, 0, : len(NAMES)]})

    def decode(self, latents):
        z = latents.parts["z"]
        images = torch.zeros(len(z), 3, SIZE, SIZE)
        images[:, :, 0, : len(NAMES)] = z.clamp(-1, 1)[:, None]
        return images

    def measure(self, images):
        return (images[:, 0, 0, : len(NAMES)] + 1) / 2

    def sensitivity(self, latents):
        return torch.eye(len(NAMES))

    def edit(self, latents, before, after, sensitivity=None, held=()):
        move = 2 * self.gain * (after - before)
        move = move + self.leak * move.roll(1, 1)
        if sensitivity is not None:
            move[:, list(held)] = 0
        return Latents({"z": latents.parts["z"] + move})

    def generate(self, attributes, noise):
        return self.decode(Latents({"z": self.gain * (2 * attributes - 1)}))


def loaded(model, method="attributes", names=NAMES):
    card = Card(f"{method}.x", method, {}, DataSpec(SIZE, "celeba", names).to_dict(), step=0)
    return Loaded(model, card, 0)


@pytest.fixture
def judge():
    return Judge.of(loaded(Reader()), NAMES, CPU)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Return a SET whose pictures carry their labels in the pixels that the reader reads."""
    folder = tmp_path_factory.mktemp("people") / "set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["file,partition," + ",".join(NAMES)]
    for number in range(40):
        labels = rng.integers(0, 2, len(NAMES))
        picture = np.full((SIZE, SIZE, 3), 128, np.uint8)
        picture[0, : len(NAMES)] = np.where(labels, 200, 60)[:, None]
        save_png(folder / f"{number:02d}.png", picture)
        lines.append(f"{number:02d}.png,2," + ",".join(map(str, labels)))
    (folder / "attributes.csv").write_text("\n".join(lines) + "\n")
    return open_set(folder)


def measured(model, judge, people):
    with torch.inference_mode():
        return sliders.slider_numbers(model, judge, people, SIZE, count=10, seed=0)


def test_a_perfect_model_is_perfect(judge, people):
    numbers = measured(Writer(), judge, people)
    for name in ("crosses", "right_way", "monotonic", "held_crosses", "crosses_Young"):
        assert numbers[name] == 1
    assert numbers["change_of_others"] == pytest.approx(0, abs=1e-6)
    assert numbers["held_change_of_others"] == pytest.approx(0, abs=1e-6)


def test_a_model_that_moves_others_is_found_out_unless_they_are_held(judge, people):
    numbers = measured(Writer(leak=0.8), judge, people)
    assert numbers["crosses"] == 1
    assert numbers["change_of_others"] > 0.2
    assert numbers["held_change_of_others"] == pytest.approx(0, abs=1e-6)


def test_a_model_that_does_nothing_or_the_opposite_has_no_success(judge, people):
    still = measured(Writer(gain=0.0), judge, people)
    assert (still["crosses"], still["right_way"], still["monotonic"]) == (0, 0, 0)
    assert measured(Writer(gain=-1.0), judge, people)["right_way"] == 0
    halfway = measured(Writer(gain=0.3), judge, people)
    assert (halfway["crosses"], halfway["right_way"], halfway["monotonic"]) == (0, 1, 1)


def test_half_of_the_photographs_show_the_attribute(people):
    values = people.attribute("Young")
    chosen = sliders._half_and_half(values, 10, 0)
    assert sorted(values[chosen].tolist()) == [0] * 5 + [1] * 5
    assert len(sliders._half_and_half(np.zeros(9, np.int8), 10, 0)) == 0


def test_generated_faces_show_what_was_asked_for_or_not(judge, people):
    with torch.inference_mode():
        numbers, useless = (
            sliders.generation_numbers(model, judge, people, count=20, seed=0)
            for model in (Writer(), Writer(gain=-1.0))
        )
    assert numbers["shown"] == pytest.approx(1)
    assert numbers["judge_Young"] == 1
    assert useless["shown"] == pytest.approx(0)


def test_what_contradicts_the_asked_for_attribute_gives_way(monkeypatch):
    monkeypatch.setattr(traits, "CONTRADICTIONS", frozenset({frozenset({"Smiling", "Young"})}))
    labels = np.ones((6, 3), np.int8)
    wanted = sliders.asked_for(labels, NAMES, 0, 8, seed=0)
    assert wanted[:, 0].tolist() == [0, 1] * 4
    assert (wanted[wanted[:, 0] == 1, 2] == 0).all()
    assert (wanted[wanted[:, 0] == 0, 2] == 1).all()
    assert (wanted[:, 1] == 1).all()


def test_faces_of_the_same_people_are_close_and_others_far(people):
    network = loaded(Reader(), "identity")
    with torch.inference_mode():
        near, far = (
            sliders.frechet_numbers(model, network, people, SIZE, CPU, 0)["frechet_generated"]
            for model in (Writer(gain=0.55), Writer(gain=-0.0))
        )
    assert near < far / 4


def test_a_judge_that_knows_none_of_the_attributes_is_refused(judge):
    with pytest.raises(UnsupportedError, match="does not recognize Smiling"):
        Judge.of(loaded(Reader(), names=("Bald",)), NAMES, CPU)
    with pytest.raises(UnsupportedError, match="choose an attribute classifier"):
        Judge.of(loaded(Reader(), "identity"), NAMES, CPU)


def test_attributes_that_the_judge_does_not_know_are_left_out(people):
    judge = Judge.of(loaded(Reader(), names=("Smiling", "Eyeglasses", "Bald")), NAMES, CPU)
    numbers = measured(Writer(), judge, people)
    assert "crosses_Young" not in numbers
    assert numbers["crosses"] == 1


class Painter(Translator):
    """Writes the wanted attributes into the photograph; ``leak`` turns the next one over, too."""

    attributes = NAMES

    def __init__(self, gain=1.0, leak=False):
        super().__init__()
        self.gain, self.leak = gain, leak

    def forward(self, images, targets):
        own = (images[:, 0, 0, : len(NAMES)] > 0).to(targets.dtype)
        turned = targets != own
        if self.leak:
            targets = torch.where(turned.roll(1, 1), 1 - targets, targets)
        made = images.clone()
        made[:, :, 0, : len(NAMES)] = self.gain * (2.0 * targets - 1)[:, None]
        return made


def test_a_translator_is_judged_by_what_it_turns_over(judge, people):
    def numbers(model):
        return sliders.translation_numbers(model, judge, people, SIZE, count=10, seed=0)

    good, leaky, contrary = (
        numbers(Painter()), numbers(Painter(leak=True)), numbers(Painter(gain=-1.0))
    )  # fmt: skip
    assert good["crosses"] == good["right_way"] == 1
    assert good["change_of_others_Smiling"] < 0.05
    assert leaky["change_of_others"] > 0.4
    assert contrary["crosses_Young"] == contrary["right_way"] == 0


def test_a_translator_turns_each_person_into_the_one_before(people):
    made = sliders.make_all(Painter(), people, SIZE, CPU, 0)
    labels = people.attribute_matrix(NAMES)
    shown = (made[:, 0, 0, : len(NAMES)] > 0).int().numpy()
    assert np.array_equal(shown, np.roll(labels, 1, axis=0))


@pytest.mark.parametrize("method", ["attribute-mapping", "dcgan", "stargan"])
def test_checkpoints_are_evaluated_by_name(models, make_checkpoint, heads_set, method):
    make_checkpoint("attributes", "celeba-64")
    make_checkpoint("identity", "celeba-64")
    name = make_checkpoint(method)
    numbers = evaluation.evaluate(models, name, heads_set, part="test", pairs=4)
    assert "frechet_generated" in numbers
    assert ("shown" in numbers) == (method != "stargan")
    assert ("crosses" in numbers) == (method != "dcgan")
    assert ("psnr" in numbers) == (method == "attribute-mapping")


@pytest.mark.parametrize("method", ["attribute-mapping", "dcgan", "stargan"])
def test_sheets_show_nobody_with_each_attribute_changed(models, make_checkpoint, heads_set, method):
    name = make_checkpoint(method)
    assert sheets.write_views(models, name, heads_set) == 0
    sheets.write_showcase(models, name, heads_set)
    with Image.open(models.store.folder(name) / "samples.png") as sheet:
        # A first column and one for each of the two attributes.
        assert sheet.width > 3 * 96
        assert sheet.height > (1 if method == "stargan" else 6) * 96


def test_a_changed_attribute_takes_away_what_contradicts_it(monkeypatch):
    pair = frozenset({frozenset({"Smiling", "Young"})})
    monkeypatch.setattr(traits, "CONTRADICTIONS", pair)
    changed = portraits._with(torch.tensor([[0.0, 0.0, 1.0]]), NAMES, "Smiling")
    assert changed.tolist() == [[1.0, 0.0, 0.0]]
