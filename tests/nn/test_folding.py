import pytest
import torch
from torch import nn

from studio.methods import METHODS
from studio.methods.base import Generator, LatentModel, Translator
from studio.nn.blocks import initialize, up
from studio.nn.folding import fold_batch_norm
from studio.nn.mixed import UpsampledConv2d


def stirred(module):
    """Give every batch norm statistics and weights that are not the identity's."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            for values in (layer.weight, layer.bias, layer.running_mean):
                nn.init.normal_(values, 0.5, 0.3)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return module.eval().requires_grad_(False)


def norms(module):
    return [one for one in module.modules() if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d)]


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()],
        [nn.Flatten(), nn.Linear(3 * 64, 5), nn.BatchNorm1d(5)],
        [up(3, 4), up(4, 2)],
        [UpsampledConv2d(3, 4, bias=False), nn.BatchNorm2d(4), nn.ReLU()],
    ],
)
def test_folded_layers_give_the_same_numbers(layers):
    torch.manual_seed(0)
    module = stirred(nn.Sequential(*layers))
    images = torch.randn(2, 3, 8, 8)
    before = module(images)
    fold_batch_norm(module)
    assert not norms(module)
    assert torch.allclose(module(images), before, atol=1e-5)


def test_a_norm_that_does_not_follow_a_layer_stays():
    module = stirred(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3)))
    images = torch.randn(2, 3, 8, 8)
    before = module(images)
    fold_batch_norm(module)
    assert len(norms(module)) == 2
    assert torch.equal(module(images), before)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_draws_the_same_pictures(name, spec):
    torch.manual_seed(0)
    entry = METHODS[name]
    model = entry.model(entry.tiny, spec)
    initialize(model, 0.2)
    stirred(model)
    images = torch.rand(2, 3, 32, 32) * 2 - 1

    def run():
        if isinstance(model, LatentModel):
            return model.decode(model.encode(images))
        if isinstance(model, Generator):
            attributes = torch.ones(2, len(model.attributes))
            return model.generate(attributes, torch.ones(2, model.noise_size))
        if isinstance(model, Translator):
            return model(images, torch.ones(2, len(model.attributes), dtype=torch.int64))
        return model(images)

    before = run()
    fold_batch_norm(model)
    assert torch.allclose(run(), before, atol=1e-4)
