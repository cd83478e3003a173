"""Losses that more than one method uses, as pure functions of tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio import together


class AdversarialLoss(Protocol):
    """The two sides of an adversarial game, on unbounded scores of shape (B,) each."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the scalar that the critic minimizes."""
        ...

    def generator(self, fake: Tensor) -> Tensor:
        """Return the scalar that the generator minimizes."""
        ...


@dataclass(frozen=True)
class LogLoss:
    """The original GAN's log losses, non-saturating for the generator (Goodfellow et al. 2014)."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Compute -E[log D(real)] - E[log(1 - D(fake))] from logits."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        """Compute -E[log D(fake)] from logits."""
        return F.softplus(-fake).mean()


@dataclass(frozen=True)
class WassersteinLoss:
    """Difference of mean scores (Arjovsky et al. 2017, Eq. 2)."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Compute E[D(fake)] - E[D(real)]."""
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor) -> Tensor:
        """Compute -E[D(fake)]."""
        return -fake.mean()


@dataclass(frozen=True)
class HingeLoss:
    """Margin losses (Lim and Ye 2017; Miyato et al. 2018, Eq. 16 and 17)."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Compute E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]."""
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        """Compute -E[D(fake)]."""
        return -fake.mean()


def matching_critic_loss(
    loss: AdversarialLoss,
    critic: nn.Module,
    real: Tensor,
    fake: Tensor,
    wrong: Tensor,
    weight: float,
    observe: Callable[[Tensor], None] = lambda scores: None,
) -> Tensor:
    """Tell pictures of one kind from fakes and from the other kind (Reed et al. 2016, section 4).

    Args:
        loss: Of the game.
        critic: Maps (B, 3, H, W) to (B,) unbounded scores.
        real: (B, 3, H, W) in [-1, 1], pictures of the critic's kind.
        fake: As ``real``; no gradient reaches whoever made it.
        wrong: As ``real``, real pictures of the other kind.
        weight: Of the pair real and wrong; 0 does not look at ``wrong``.
        observe: Is shown the (B,) scores of the real pictures.

    Returns:
        Scalar that the critic minimizes.
    """
    real_scores = critic(real)
    observe(real_scores.detach())
    against_fake = loss.critic(real_scores, critic(fake.detach()))
    if weight == 0:
        return against_fake
    return against_fake + weight * loss.critic(real_scores, critic(wrong))


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Penalize critic gradients whose norm is not 1 (Gulrajani et al. 2017, Eq. 3).

    In full precision, also where the rest runs under autocast: what keeps the critic's slope in
    bounds must not be lost in rounding, and mixed convolutions have no second derivative.

    Args:
        critic: Maps (B, 3, H, W) to (B,) unbounded scores.
        real: (B, 3, H, W) in [-1, 1].
        fake: As ``real``; detached.

    Returns:
        Scalar: batch mean of (norm - 1) squared, at random points between real and fake.
    """
    weight = together.rand(len(real), 1, 1, 1, device=real.device)
    between = torch.lerp(real.float(), fake.float(), weight).requires_grad_()
    with torch.autocast(between.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def attribute_cross_entropy(
    logits: Tensor, attributes: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Average the binary cross-entropy over the attributes that are known.

    Args:
        logits: (B, A).
        attributes: (B, A) in {0, 1}, -1 where unknown.
        weights: (B, A), how much each label counts; alike by default.

    Returns:
        Scalar in nats.
    """
    known = (attributes >= 0).float()
    counted = known if weights is None else known * weights
    losses = F.binary_cross_entropy_with_logits(
        logits.float(), attributes.clamp_min(0).float(), reduction="none"
    )
    return (losses * counted).sum() / counted.sum().clamp_min(1e-6)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Measure the divergence of diagonal normal distributions from N(0, 1).

    Args:
        mean: (B, D).
        log_variance: (B, D).

    Returns:
        (B,) nats: half the sum of mean² + variance - 1 - log variance (Kingma and Welling 2014,
        appendix B).
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2


def clip_parameters(module: nn.Module, limit: float) -> None:
    """Clip every parameter of a module in place to [-limit, limit] (Arjovsky et al. 2017)."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.clamp_(-limit, limit)
