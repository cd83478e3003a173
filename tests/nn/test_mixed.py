import pytest
import torch
from torch import nn
from torch.nn import functional as F

from studio.nn import mixed

PAIRS = [
    (mixed.Conv2d, nn.Conv2d, {"stride": 2, "padding": 1}),
    (mixed.Conv2d, nn.Conv2d, {"padding": 1, "bias": False}),
    (mixed.ConvTranspose2d, nn.ConvTranspose2d, {"stride": 2, "padding": 1}),
    (mixed.ConvTranspose2d, nn.ConvTranspose2d, {"stride": 2, "output_padding": 1, "bias": False}),
]


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[1].__name__}-{len(pair[2])}")
def layers(request):
    ours, theirs, options = request.param
    torch.manual_seed(0)
    pair = ours(5, 7, 4, **options), theirs(5, 7, 4, **options)
    pair[0].load_state_dict(pair[1].state_dict())
    return pair


def pass_through(layer, inputs, autocast):
    """Return the output and the gradients of the input and of the parameters."""
    inputs = inputs.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        outputs = layer(inputs)
    # A loss with another gradient at every place.
    weights = torch.linspace(-1, 1, outputs.numel()).reshape(outputs.shape)
    (outputs.float() * weights).sum().backward()
    return [outputs, inputs.grad, *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_match_fp32_within_bf16s_rounding(layers, layout):
    ours, theirs = layers
    inputs = torch.randn(3, 5, 8, 8).to(memory_format=layout)
    made = pass_through(ours, inputs, autocast=True)
    true = pass_through(theirs, inputs, autocast=False)
    assert made[0].dtype == torch.bfloat16
    for own, reference in zip(made, true, strict=True):
        assert own.shape == reference.shape
        # bf16 has 8 significant bits, so a sum of many terms is good to about 1 in 100.
        error = (own.float() - reference).norm() / reference.norm()
        assert error < 0.012


def test_outside_autocast_it_is_pytorchs_own(layers):
    ours, theirs = layers
    inputs = torch.randn(3, 5, 8, 8)
    pairs = zip(pass_through(ours, inputs, False), pass_through(theirs, inputs, False), strict=True)
    assert all(torch.equal(own, reference) for own, reference in pairs)


def test_parameters_get_gradients_of_their_own_type():
    layer = mixed.Conv2d(2, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(1, 2, 6, 6)).float().sum().backward()
    assert {p.grad.dtype for p in layer.parameters()} == {torch.float32}


def test_gradients_are_only_computed_where_they_are_needed():
    layer = mixed.Conv2d(2, 2, 3)
    layer.weight.requires_grad_(False)
    inputs = torch.randn(1, 2, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        layer(inputs).float().sum().backward()
    assert layer.weight.grad is None
    assert layer.bias.grad is not None
    assert inputs.grad is None


def test_upsampled_convolution_is_both_in_one():
    torch.manual_seed(0)
    layer = mixed.UpsampledConv2d(3, 5).double()
    images = torch.randn(2, 3, 6, 4, dtype=torch.double, requires_grad=True)
    plain = F.conv2d(F.interpolate(images, scale_factor=2), layer.weight, layer.bias, padding=1)
    assert layer(images).shape == (2, 5, 12, 8)
    assert torch.allclose(layer(images), plain)
    given = [images, *layer.parameters()]
    both = (torch.autograd.grad(made.square().sum(), given) for made in (layer(images), plain))
    assert all(torch.allclose(one, other) for one, other in zip(*both, strict=True))


def test_upsampled_convolution_under_autocast_follows_fp32():
    torch.manual_seed(0)
    layer = mixed.UpsampledConv2d(8, 8)
    images = torch.randn(4, 8, 8, 8, requires_grad=True)
    given = [images, *layer.parameters()]
    exact = torch.autograd.grad(layer(images).square().mean(), given)
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(images)
    assert made.dtype == torch.bfloat16
    rough = torch.autograd.grad(made.float().square().mean(), given)
    for one, other in zip(rough, exact, strict=True):
        assert (one - other).norm() < 0.05 * other.norm()


def test_a_second_derivative_is_refused_instead_of_wrong():
    layer = mixed.Conv2d(2, 3, 3)
    inputs = torch.randn(1, 2, 6, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        total = layer(inputs).float().square().sum()
    (gradient,) = torch.autograd.grad(total, inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()
