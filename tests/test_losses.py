import math

import pytest
import torch
from torch import nn

from studio.losses import (
    HingeLoss,
    LogLoss,
    WassersteinLoss,
    clip_parameters,
    gaussian_kl,
    gradient_penalty,
    matching_critic_loss,
)
from studio.nn import mixed

REAL, FAKE = torch.tensor([2.0, -0.5]), torch.tensor([0.5, -3.0])


def sigmoid(score):
    return 1 / (1 + math.exp(-score))


def test_log_loss_is_the_papers_formula():
    critic = -(math.log(sigmoid(2)) + math.log(sigmoid(-0.5))) / 2
    critic -= (math.log(1 - sigmoid(0.5)) + math.log(1 - sigmoid(-3))) / 2
    generator = -(math.log(sigmoid(0.5)) + math.log(sigmoid(-3))) / 2
    assert LogLoss().critic(REAL, FAKE).item() == pytest.approx(critic, rel=1e-5)
    assert LogLoss().generator(FAKE).item() == pytest.approx(generator, rel=1e-5)


def test_wasserstein_loss_is_the_difference_of_means():
    assert WassersteinLoss().critic(REAL, FAKE).item() == pytest.approx(-1.25 - 0.75)
    assert WassersteinLoss().generator(FAKE).item() == pytest.approx(1.25)


def test_hinge_loss_stops_at_the_margin():
    # Reals: max(0, 1 - 2) = 0 and 1.5; fakes: 1.5 and max(0, 1 - 3) = 0.
    assert HingeLoss().critic(REAL, FAKE).item() == pytest.approx(0.75 + 0.75)
    assert HingeLoss().generator(FAKE).item() == pytest.approx(1.25)


@pytest.mark.parametrize("loss", [LogLoss(), WassersteinLoss(), HingeLoss()])
def test_a_critic_that_is_right_pays_less_and_a_generator_that_fools_pays_less(loss):
    high, low = torch.tensor([0.5]), torch.tensor([-0.5])
    assert loss.critic(high, low) < loss.critic(low, high)
    assert loss.generator(high) < loss.generator(low)


class Sum(nn.Module):
    """Scores a picture by its weighted sum, whose gradient is the weight."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, images):
        return (images * self.weight).flatten(1).sum(1)


def test_gradient_penalty_measures_the_norms_distance_from_one():
    shape = (4, 3, 2, 2)
    penalty = gradient_penalty(Sum(1.5), torch.randn(shape), torch.randn(shape))
    norm = 1.5 * math.sqrt(3 * 2 * 2)
    assert penalty.item() == pytest.approx((norm - 1) ** 2, rel=1e-5)


def test_gradient_penalty_trains_the_critic():
    critic = Sum(1.5)
    gradient_penalty(critic, torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2)).backward()
    root = math.sqrt(12)
    assert critic.weight.grad.item() == pytest.approx(2 * (1.5 * root - 1) * root, rel=1e-4)


def test_gradient_penalty_trains_convolutions_alike_under_autocast():
    gradients = []
    for autocast in (False, True):
        torch.manual_seed(0)
        layers = mixed.Conv2d(3, 4, 3, bias=False), mixed.Conv2d(4, 1, 3, bias=False)
        critic = nn.Sequential(layers[0], nn.LeakyReLU(0.2), layers[1])
        real, fake = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            gradient_penalty(lambda one: critic(one).flatten(1).sum(1), real, fake).backward()  # noqa: B023
        gradients.append([p.grad for p in critic.parameters()])
    for own, other in zip(*gradients, strict=True):
        assert own.abs().sum() > 0
        assert torch.equal(own, other)


def test_matching_loss_weighs_the_wrong_kind_and_leaves_the_generator_alone():
    critic = Sum(1.0)
    pictures = [torch.full((2, 1, 1, 1), value) for value in (1.0, 2.0, 4.0)]
    fake = pictures[1].requires_grad_()
    loss = matching_critic_loss(WassersteinLoss(), critic, pictures[0], fake, pictures[2], 0.5)
    assert loss.item() == pytest.approx((2 - 1) + 0.5 * (4 - 1))
    loss.backward()
    assert fake.grad is None
    alone = matching_critic_loss(WassersteinLoss(), critic, pictures[0], fake, pictures[2], 0.0)
    assert alone.item() == pytest.approx(1.0)


def test_clipping_reaches_every_parameter_and_no_further():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 1))
    clip_parameters(module, 0.01)
    assert max(p.detach().abs().max().item() for p in module.parameters()) <= 0.01
    assert torch.equal(module[1].weight.detach(), torch.full((4,), 0.01))
    assert module[1].running_var.eq(1).all()


def test_gaussian_kl_is_that_of_torch_distributions():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(3, 4), torch.randn(3, 4)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros(4), torch.ones(4))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1)
    assert torch.allclose(gaussian_kl(mean, log_variance), expected, rtol=1e-4)
