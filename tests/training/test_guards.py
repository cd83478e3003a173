import math

import pytest
import torch
from torch import nn

from studio.data.batch import Batch, DataSpec
from studio.latents import Latents
from studio.methods.base import Generator, LatentModel, Translator
from studio.training.guards import DivergenceError, Guard, measure_diversity

SPEC = DataSpec(8, attributes=("a", "b"))


def watch(guard, steps, terms):
    """Show a guard the terms of steps, each from its number."""
    for step in steps:
        guard.see(step, terms(step))


def test_usual_losses_pass():
    guard = Guard(4000)
    for step in range(4000):
        # They rise and fall, and now and then one stands out.
        loss = 1 + math.sin(step / 100) + (300 if step % 50 == 0 else 0)
        guard.see(step, {"loss": loss, "critic": -loss, "k": 0.5})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_term_that_is_no_number_is_named(value):
    with pytest.raises(DivergenceError, match=f"nulling became {value}") as caught:
        Guard(100).see(7, {"loss": 1.0, "nulling": value})
    # A save of step 6 has the weights that gave it.
    assert caught.value.since == 5


@pytest.mark.parametrize("sign", [1, -1])
def test_a_term_that_explodes_is_named_with_where_it_began(sign):
    guard = Guard(1000)
    watch(guard, range(100), lambda step: {"loss": 0.5})
    with pytest.raises(DivergenceError, match=r"loss grew to .*100 times") as caught:
        watch(guard, range(100, 200), lambda step: {"loss": sign * 0.5 * 2 ** (step - 99)})
    assert 99 <= caught.value.since < 120


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_a_balance_that_left_0_and_stays_at_a_bound_is_stuck(bound):
    guard = Guard(10_000)
    # It begins at 0, and may take its time.
    watch(guard, range(600), lambda step: {"k": 0.0})
    watch(guard, range(600, 700), lambda step: {"k": 0.2})
    with pytest.raises(DivergenceError, match=f"stood at {bound:.0f} for") as caught:
        watch(guard, range(700, 1300), lambda step: {"k": bound})
    assert caught.value.since == pytest.approx(700, abs=2)


def test_a_balance_that_never_leaves_0_is_stuck_when_it_is_late():
    with pytest.raises(DivergenceError, match="stood at 0") as caught:
        watch(Guard(4000), range(4000), lambda step: {"k": 0.0})
    assert caught.value.since == pytest.approx(2000, abs=2)


def test_pictures_that_were_different_and_are_all_the_same_are_noticed():
    guard = Guard(10_000)
    # At the beginning they are all the same, too.
    for step, diversity in ((10, 0.02), (20, 0.2), (30, 0.6), (40, None), (50, 0.15)):
        guard.see_samples(step, diversity)
    # Once may be a bad moment, after which all is well again.
    for step, diversity in ((60, 0.05), (70, 0.3), (80, 0.05)):
        guard.see_samples(step, diversity)
    with pytest.raises(DivergenceError, match=r"differ 4\.0% as much") as caught:
        guard.see_samples(90, 0.04)
    assert caught.value.since == 79


def test_pictures_that_never_become_different_are_noticed_when_it_is_late():
    guard = Guard(4000)
    for step in (1000, 2000, 2001):
        guard.see_samples(step, 0.05)
    with pytest.raises(DivergenceError, match="all the same"):
        guard.see_samples(2002, 0.05)
    with pytest.raises(DivergenceError, match="no numbers"):
        Guard(100).see_samples(1, float("nan"))


class Toy(LatentModel):
    def __init__(self, gain):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def encode(self, images):
        return Latents({"z": images})

    def decode(self, latents):
        return latents.parts["z"] * self.gain


class Maker(Generator):
    attributes, noise_size = ("b",), 3

    def generate(self, attributes, noise):
        assert attributes.shape == (6, 1)
        return noise.sum(1)[:, None, None, None].expand(-1, 3, 8, 8)


class Painter(Translator):
    attributes = ("b",)

    def forward(self, images, targets):
        assert set(targets.flatten().tolist()) <= {0, 1}
        return torch.zeros_like(images)


@pytest.fixture
def batch():
    labels = torch.tensor([[0, 1], [1, 0]] * 3)
    eyes = torch.zeros(6, 2, 2)
    return Batch(torch.rand(6, 3, 8, 8), labels, torch.zeros(6), eyes)


def test_diversity_is_1_for_a_mirror_and_0_for_one_picture(batch):
    assert measure_diversity(Toy(1.0), batch, SPEC) == pytest.approx(1)
    assert measure_diversity(Toy(0.25), batch, SPEC) == pytest.approx(0.25)
    assert measure_diversity(Toy(0.0), batch, SPEC) == 0
    assert measure_diversity(Painter(), batch, SPEC) == 0
    assert measure_diversity(Maker(), batch, SPEC) > 1
    assert measure_diversity(nn.Linear(1, 1), batch, SPEC) is None
    alike = batch.select(torch.zeros(6, dtype=torch.long))
    assert measure_diversity(Toy(0.0), alike, SPEC) is None


def test_measuring_leaves_every_layer_in_its_mode(batch):
    model = Toy(1.0)
    model.fixed = nn.BatchNorm2d(3).eval()
    model.train()
    model.fixed.eval()
    measure_diversity(model, batch, SPEC)
    assert (model.training, model.fixed.training) == (True, False)
