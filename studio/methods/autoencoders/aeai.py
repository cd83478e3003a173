"""AEAI: an autoencoder that shapes its latent space for admissible interpolation.

"Autoencoder Image Interpolation by Shaping the Latent Space", under review at ICLR.

Interpolated latents must decode to pictures that a discriminator takes for real, be found again by
the encoder, and change evenly along the way.

Symbols:
    α: position between two pictures, one per pair and step (section 2.3).
    L_R, L_A, L_C, L_S: reconstruction, adversarial, cycle and smoothness losses; λ their weights.

Departures from the paper:
    All terms are means over pixels or latents, of images in [-1, 1]; the paper does not say whether
    it sums. The discriminator, which the paper does not describe, is spectrally normalized.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from studio.data.batch import Batch
from studio.methods.autoencoders.base import (
    AutoencoderConfig,
    DiscriminatedObjective,
    Mix,
    Terms,
    method,
    mix,
    random_alpha,
)
from studio.methods.base import Update


@dataclass(frozen=True)
class AEAIConfig(AutoencoderConfig):
    """Settings of AEAI; a term whose weight is 0 is not computed.

    Attributes:
        adversarial_weight: λ_A.
        cycle_weight: λ_C.
        smoothness_weight: λ_S.
    """

    adversarial_weight: float = 0.01
    cycle_weight: float = 0.01
    smoothness_weight: float = 0.1


class AEAIObjective(DiscriminatedObjective):
    """The four losses of Eq. 1 against a discriminator of interpolated pictures."""

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Tell real from interpolated pictures, then weigh the losses of Eq. 1."""
        images = next(batches).images
        config = self.config
        z = self.model.encoder(images)
        mixed = mix(z, random_alpha(z))
        between, speed = self._between(mixed)
        if config.adversarial_weight > 0:
            real, fake = self.discriminator(images), self.discriminator(between.detach())
            loss = self.adversarial.critic(real, fake)
            yield Update("discriminator", loss, {"discriminator": loss.detach()})
        yield self._autoencoder_update(
            images, self.model.decoder(z), self._path_terms(mixed, between, speed)
        )

    def _between(self, mixed: Mix) -> tuple[Tensor, Tensor | None]:
        """Decode interpolated latents, with ∂x̂/∂α where smoothness is weighed."""
        if self.config.smoothness_weight > 0:
            return derivative(self.model.decoder, mixed.z, mixed.tangent)
        return self.model.decoder(mixed.z), None

    def _path_terms(self, mixed: Mix, between: Tensor, speed: Tensor | None) -> Terms:
        config = self.config
        terms: Terms = {}
        if config.adversarial_weight > 0:
            fooled = self.adversarial.generator(self.discriminator(between))
            terms["adversarial"] = (config.adversarial_weight, fooled)
        if config.cycle_weight > 0:
            cycle = F.mse_loss(self.model.encoder(between).float(), mixed.z.float())
            terms["cycle"] = (config.cycle_weight, cycle)
        if speed is not None:
            terms["smoothness"] = (config.smoothness_weight, speed.square().mean())
        return terms


def derivative(
    function: Callable[[Tensor], Tensor], at: Tensor, tangent: Tensor
) -> tuple[Tensor, Tensor]:
    """Evaluate a function and its directional derivative, by forward-mode differentiation.

    Args:
        function: Differentiable; its own parameters keep their gradients through both results.
        at: (B, D).
        tangent: (B, D), the direction; ∂z/∂α for the derivative in α.

    Returns:
        The value and the derivative, of the same shape.
    """
    with (
        # Dual numbers do not pass the CPU's autocast to bfloat16.
        torch.autocast(at.device.type, enabled=False),
        forward_ad.dual_level(),
        warnings.catch_warnings(),
    ):
        # PyTorch's own forward-mode formulas use its deprecated script compiler.
        warnings.filterwarnings("ignore", "`torch.jit.script`", FutureWarning)
        dual = forward_ad.make_dual(at.float(), tangent.float())
        value, slope = forward_ad.unpack_dual(function(dual))
    return value, torch.zeros_like(value) if slope is None else slope


METHOD = method(
    "aeai",
    "AEAI",
    "Autoencoder Image Interpolation by Shaping the Latent Space, under review",
    "Interpolates between pictures evenly, through pictures that look real.",
    AEAIConfig,
    AEAIObjective,
    "discriminator",
)
