from dataclasses import replace

import pytest
import torch
from torch import nn

from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.latents import Latents
from studio.methods import genegan
from studio.methods.base import LatentModel
from studio.methods.genegan import Children, GeneGAN, GeneGANConfig, GeneGANObjective
from studio.training.trainer import Trainer

SPEC = DataSpec(16)
TINY = replace(GeneGANConfig(), width=4)


class Codec(LatentModel):
    """Takes red and green as background and blue as object; every decode halves the picture."""

    def encode(self, images):
        return Latents({"background": images[:, :2], "object": images[:, 2:]})

    def decode(self, latents):
        return torch.cat([latents.parts["background"], latents.parts["object"]], 1) / 2


class Mean(nn.Module):
    """A critic whose score is the mean pixel, and which remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append(images)
        return images.mean(dim=(1, 2, 3))


def objective(**changes):
    config = replace(TINY, **changes)
    return GeneGANObjective(GeneGAN(config, SPEC), config, SPEC)


def endless(batch_size=4, seed=0):
    rng = torch.Generator().manual_seed(seed)
    while True:
        images = torch.rand(batch_size, 3, 16, 16, generator=rng) * 2 - 1
        labels = torch.zeros(batch_size, 0, dtype=torch.int64)
        yield Batch(images, labels, torch.zeros(batch_size), torch.zeros(batch_size, 2, 2))


def flat(value):
    return torch.full((2, 3, 16, 16), value)


def test_the_split_gives_the_object_the_last_channels():
    model = GeneGAN(replace(TINY, object_fraction=0.25), SPEC)
    images = torch.randn(2, 3, 16, 16)
    latents = model.encode(images)
    assert latents.parts["background"].shape == (2, 12, 2, 2)
    assert latents.parts["object"].shape == (2, 4, 2, 2)
    model.eval()
    joined = torch.cat([*model.encode(images).parts.values()], dim=1)
    assert torch.equal(joined, model.encoder(images))


def test_removal_is_the_zero_object_on_the_same_background():
    model = GeneGAN(TINY, SPEC).eval()
    latents = model.encode(torch.randn(2, 3, 16, 16))
    removed = model.remove(latents)
    assert not removed.parts["object"].any()
    assert torch.equal(removed.parts["background"], latents.parts["background"])


def test_children_are_those_of_equation_2():
    game = objective()
    game.model = Codec()
    images = torch.rand(6, 3, 16, 16)
    children = game.cross(images)
    with_it, without = images[:3], images[3:]
    assert torch.equal(children.au, with_it / 2)
    assert torch.equal(children.a0[:, :2], with_it[:, :2] / 2)
    assert not children.a0[:, 2].any()
    assert torch.equal(children.bu[:, :2], without[:, :2] / 2)
    assert torch.equal(children.bu[:, 2], with_it[:, 2] / 2)
    assert torch.equal(children.b0[:, :2], without[:, :2] / 2)
    assert not children.b0[:, 2].any()
    assert torch.equal(children.epsilon, without[:, 2:])


def test_double_swap_reproduces_parents_through_grandchildren():
    game = objective(double_swap=True)
    game.model = Codec()
    images = torch.rand(6, 3, 16, 16)
    with_it, without = images[:3], images[3:]
    children = game.cross(images)
    # Two decodes halve twice; the crossbreeds were decoded once.
    assert torch.equal(children.au, with_it / 4)
    assert torch.equal(children.b0[:, :2], without[:, :2] / 4)
    assert not children.b0[:, 2].any()
    assert torch.equal(children.bu[:, 2], with_it[:, 2] / 2)
    # Both the parent's ε and that of the crossbreed without an object have to vanish.
    assert torch.equal(children.epsilon[:3], without[:, 2:])
    assert not children.epsilon[3:].any()


def test_parallelogram_against_numbers():
    children = Children(
        parent_with=flat(1.0),
        parent_without=flat(0.5),
        au=flat(9.0),
        a0=flat(0.2),
        bu=flat(0.1),
        b0=flat(9.0),
        u=flat(9.0),
        epsilon=flat(9.0),
    )
    assert genegan.parallelogram(children).item() == pytest.approx(1.0 + 0.5 - 0.2 - 0.1)


def family():
    """Return children of which every member has another brightness."""
    names = ("parent_with", "parent_without", "au", "a0", "bu", "b0", "epsilon", "u")
    return Children(**{name: flat(10.0**-k) for k, name in enumerate(names)})


def stubbed(**changes):
    game = objective(**changes)
    game.critic_with, game.critic_without = Mean(), Mean()
    return game


def test_each_critic_judges_its_own_side():
    game, children = stubbed(recipe="wgan-clip"), family()
    update = game._critics_update(children)
    real_with, real_without = 1.0, 0.1
    fake_with, fake_without = 1e-4, 1e-3
    assert update.player == "critics"
    assert update.terms["critic_with"].item() == pytest.approx(fake_with - real_with)
    assert update.terms["critic_without"].item() == pytest.approx(fake_without - real_without)
    assert [float(seen.mean()) for seen in game.critic_with.seen] == pytest.approx([1.0, 1e-4])


def test_the_wrong_kind_counts_as_fake_where_it_is_weighted():
    game = stubbed(recipe="wgan-clip", mismatch_weight=0.5)
    update = game._critics_update(family())
    expected = (1e-4 - 1.0) + 0.5 * (0.1 - 1.0)
    assert update.terms["critic_with"].item() == pytest.approx(expected)


def test_the_generator_minimizes_the_four_weighted_losses():
    game = stubbed(
        recipe="wgan-clip",
        reconstruction_weight=2.0,
        adversarial_weight=3.0,
        nulling_weight=5.0,
        parallelogram_weight=7.0,
    )
    update = game._generator_update(family())
    reconstruction = (1.0 - 1e-2) + (0.1 - 1e-5)
    adversarial = -(1e-4 + 1e-3)
    parallelogram = 1.1 - 1.1e-3
    expected = 2 * reconstruction + 3 * adversarial + 5 * 1e-6 + 7 * parallelogram
    assert update.player == "generator"
    assert update.terms["reconstruction"].item() == pytest.approx(reconstruction)
    assert update.terms["adversarial"].item() == pytest.approx(adversarial, abs=1e-6)
    assert update.loss.item() == pytest.approx(expected, rel=1e-5)


def test_nulling_may_be_measured_in_units_of_the_object():
    plain, relative = (objective(relative_nulling=flag)._nulling(family()) for flag in (0, 1))
    assert plain.item() == pytest.approx(1e-6)
    assert relative.item() == pytest.approx(1e-6 / 1e-7, rel=1e-4)


def test_a_rectified_object_is_never_negative():
    images = torch.randn(4, 3, 16, 16)
    for rectified, low in ((True, 0.0), (False, -10.0)):
        model = GeneGAN(replace(TINY, rectified_object=rectified), SPEC)
        part = model.encode(images).parts["object"]
        assert low <= part.min() <= 0
        assert (part.min() == 0) == rectified


def test_a_share_of_reproductions_keeps_its_own_epsilon():
    torch.manual_seed(0)
    game = objective(own_epsilon=0.5)
    game.model = Codec()
    images = torch.rand(80, 3, 16, 16) + 0.1
    children = game.cross(images)
    kept = children.b0[:, 2].flatten(1).any(1)
    assert 10 < kept.sum() < 30
    assert torch.equal(children.b0[kept], images[40:][kept] / 2)
    assert not children.a0[:, 2].any()


def test_critics_judge_a_share_of_the_reproductions():
    children = Children(*(torch.full((8, 3, 16, 16), 10.0**-k) for k in range(8)))
    showing, plain = objective(judged_reproductions=0.25)._judged(children)
    # The fields' order is parents, Au, A0, Bu, B0, u and ε.
    assert showing[:, 0, 0, 0].tolist() == pytest.approx([1e-4] * 6 + [1e-2] * 2)
    assert plain[:, 0, 0, 0].tolist() == pytest.approx([1e-3] * 6 + [1e-5] * 2)
    unchanged, _ = objective()._judged(children)
    assert torch.equal(unchanged, children.bu)


def test_clipping_holds_after_every_critic_step():
    game = objective(recipe="wgan-clip", clip=0.01, burst=3, burst_every=10, lr=0.5)
    (stage,) = genegan.stages(game.config, SPEC)
    trainer = Trainer(game, stage, steps=2)
    largest = []
    for update in trainer._updates(endless()):
        # Here the clipping that follows the step before this update is done.
        if trainer.optimizers["critics"].state:
            largest.append(max(float(p.detach().abs().max()) for p in trainer.players["critics"]))
        trainer._take(update)
    assert len(largest) == 3
    assert max(largest) <= 0.01
    assert min(largest) == pytest.approx(0.01)


def test_bursts_come_when_they_are_due_and_each_step_sees_fresh_data():
    game = objective(recipe="wgan-clip", burst=4, burst_every=3)
    drawn = []

    def batches():
        for batch in endless():
            drawn.append(batch)
            yield batch

    source = batches()
    counts, data = [], []
    for step in range(5):
        before = len(drawn)
        counts.append([update.player for update in game.updates(source, step)])
        data.append(len(drawn) - before)
    assert [players.count("critics") for players in counts] == [4, 1, 1, 4, 1]
    assert all(players[-1] == "generator" for players in counts)
    assert data == [4, 1, 1, 4, 1]


def test_a_recipe_changes_defaults_and_the_person_has_the_last_word():
    plain = GeneGANConfig.from_dict({})
    assert (plain.recipe, plain.width, plain.lr, plain.clip) == ("gan", 128, 5e-5, 0.0)
    clipped = GeneGANConfig.from_dict({"recipe": "wgan-clip"})
    assert (clipped.clip, clipped.burst, clipped.burst_every) == (0.01, 100, 500)
    hinge = GeneGANConfig.from_dict({"recipe": "hinge", "lr": "1e-3"})
    assert (hinge.width, hinge.lr, hinge.averaging) == (64, 1e-3, 0.998)
    with pytest.raises(ConfigError, match="recipe must be one of gan, wgan-clip, hinge"):
        GeneGANConfig.from_dict({"recipe": "tf"})


@pytest.mark.parametrize(
    ("recipe", "kind", "lr"),
    [("gan", "rmsprop", 5e-5), ("wgan-clip", "rmsprop", 5e-5), ("hinge", "adam", 2e-4)],
)
def test_optimizers_follow_the_recipe(recipe, kind, lr):
    (stage,) = genegan.stages(GeneGANConfig.from_dict({"recipe": recipe}), SPEC)
    assert {(c.kind, c.lr) for c in stage.optimizers.values()} == {(kind, lr)}
    assert stage.sampling == "contrast"


@pytest.mark.parametrize(
    ("changes", "size", "message"),
    [
        ({}, 40, "16 divides, not 40"),
        ({"levels": 5}, 48, "not 48"),
        ({"object_fraction": 0.0}, 32, "leaves 0 of 16"),
        ({"object_fraction": 1.0}, 32, "leaves 16 of 16"),
    ],
)
def test_impossible_networks_are_refused(changes, size, message):
    with pytest.raises(ConfigError, match=message):
        GeneGAN(replace(TINY, **changes), DataSpec(size))


def test_consistency_finds_the_object_again_in_crossbreeds():
    built = objective(consistency_weight=1.0)
    built.model = Codec()
    u = torch.full((2, 1, 16, 16), 0.5)
    children = Children(*[flat(0.0)] * 6, u, torch.zeros_like(u))
    # Bu shows nothing of u, A0 nothing either: all of u is missing.
    assert built._consistency(children).item() == pytest.approx(1.0)
    arrived = children._replace(bu=flat(0.5))
    assert built._consistency(arrived).item() == pytest.approx(0.0)
    left = arrived._replace(a0=flat(0.25))
    assert built._consistency(left).item() == pytest.approx(0.5)
    built.config = replace(built.config, consistency_weight=0.0)
    assert built._consistency(left).item() == 0.0


def test_consistency_moves_the_encoder_and_the_decoder():
    built = objective(consistency_weight=1.0)
    children = built.cross(next(endless()).images)
    gradients = torch.autograd.grad(
        built._consistency(children), list(built.model.parameters()), allow_unused=True
    )
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
