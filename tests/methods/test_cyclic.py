from dataclasses import replace

import pytest
import torch
from torch import nn

from studio.data.batch import DataSpec
from studio.errors import ConfigError
from studio.methods.baselines.cyclic import METHOD, Cyclic, CyclicObjective

SPEC = DataSpec(16)


class Affine(nn.Module):
    def __init__(self, scale, offset):
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, images):
        return images * self.scale + self.offset


def test_targets_choose_the_generator_picture_by_picture():
    model = Cyclic(METHOD.tiny, SPEC)
    model.add, model.remove = Affine(1.0, 0.5), Affine(1.0, -0.5)
    images = torch.zeros(3, 3, 16, 16)
    made = model(images, torch.tensor([[1], [0], [1]]))
    assert made.mean(dim=(1, 2, 3)).tolist() == [0.5, -0.5, 0.5]
    assert model.attributes == ("Eyeglasses",)


def test_the_cycle_goes_there_and_back():
    objective = CyclicObjective(Cyclic(METHOD.tiny, SPEC), METHOD.tiny, SPEC)
    objective.model.add, objective.model.remove = Affine(2.0, 0.25), Affine(0.5, 0.0)
    cycle = objective.walk(torch.cat([torch.full((2, 3, 4, 4), 0.4), torch.zeros(2, 3, 4, 4)]))
    values = [float(images.mean()) for images in cycle]
    assert values == pytest.approx([0.4, 0.0, 0.2, 0.25, 0.65, 0.125])


def test_a_size_that_does_not_divide_is_refused():
    with pytest.raises(ConfigError, match="not 24"):
        Cyclic(replace(METHOD.tiny), DataSpec(24))
