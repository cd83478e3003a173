"""What is peculiar to DCGAN and StarGAN."""

from dataclasses import replace

import pytest
import torch

from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.methods.baselines import dcgan, stargan

SPEC = DataSpec(32, "celeba", ("Eyeglasses", "Smiling", "Bald"))


def batch(attributes):
    torch.manual_seed(0)
    count = len(attributes)
    return Batch(
        torch.rand(count, 3, 32, 32) * 2 - 1,
        torch.tensor(attributes),
        torch.zeros(count, dtype=torch.int64),
        torch.zeros(count, 2, 2),
    )


def test_noise_varies_faces_of_equal_attributes():
    model = dcgan.DCGAN(dcgan.METHOD.tiny, SPEC)
    attributes = torch.ones(2, 3)
    made = model.generate(attributes, torch.tensor([[0.0, 0, 0], [3.0, 3, 3]]))
    assert not torch.equal(made[0], made[1])
    silent = dcgan.DCGAN(replace(dcgan.METHOD.tiny, noise=0), SPEC)
    assert silent.noise_size == 0
    made = silent.generate(attributes, torch.zeros(2, 0))
    torch.testing.assert_close(made[0], made[1])


def test_the_discriminator_sees_the_attributes():
    model = dcgan.DCGAN(dcgan.METHOD.tiny, SPEC)
    objective = dcgan.DCGANObjective(model, dcgan.METHOD.tiny, SPEC).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        scores = [objective.score(images, torch.full((2, 3), value)) for value in (0.0, 0.5, 1.0)]
    assert not torch.allclose(scores[0], scores[2])
    # Unknown attributes say nothing: only the realness is left.
    torch.testing.assert_close(scores[1], objective.discriminator(images)[:, 0])


def test_a_translator_knows_the_chosen_attributes_in_their_order():
    config = replace(stargan.METHOD.tiny, translated="Bald, Eyeglasses")
    objective = stargan.StarGANObjective(stargan.StarGAN(config, SPEC), config, SPEC)
    assert objective.model.attributes == ("Bald", "Eyeglasses")
    images, own, targets = objective._draw(batch([[1, 0, 0], [1, 0, -1], [0, 1, 1], [0, 1, 1]]))
    assert own.tolist() == [[0, 1], [-1, 1], [1, 0], [1, 0]]
    assert sorted(targets.tolist()) == [[0, 1], [0, 1], [1, 0], [1, 0]]
    assert len(images) == 4


def test_targets_change_the_picture():
    model = stargan.StarGAN(stargan.METHOD.tiny, SPEC).eval()
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        one, other = (model(images, torch.full((1, 3), value)) for value in (0, 1))
    assert not torch.equal(one, other)


def test_the_critic_steps_more_often_than_the_generator():
    config = replace(stargan.METHOD.tiny, critic_steps=3)
    objective = stargan.StarGANObjective(stargan.StarGAN(config, SPEC), config, SPEC)
    drawn = []

    def draw():
        drawn.append(1)
        return batch([[1, 0, 0]] * 4)

    updates = objective.updates(iter(draw, None), 0)
    assert [update.player for update in updates] == ["critic"] * 3 + ["generator"]
    assert len(drawn) == 4


def test_unknown_attributes_are_refused():
    config = replace(stargan.METHOD.tiny, translated="Bald,Beard")
    with pytest.raises(ConfigError, match="translated names 'Beard'; the data has Eyeglasses"):
        stargan.StarGAN(config, SPEC)
    with pytest.raises(ConfigError, match="names all attributes; the data has no attributes"):
        stargan.StarGAN(stargan.METHOD.tiny, replace(SPEC, attributes=()))
    with pytest.raises(ConfigError, match="size that 8 divides, not 36"):
        stargan.StarGAN(stargan.METHOD.tiny, replace(SPEC, size=36))
