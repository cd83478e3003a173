"""GAIA: two autoencoders, one of which judges the interpolations of the other.

Sainburg, Thielk, Theilman, Migliori, Gentner: "Generative adversarial interpolative autoencoding:
adversarial training on latent space interpolations encourage convex latent distributions",
arXiv:1807.06650.

The discriminator is an autoencoder: it reproduces real pictures well and generated ones badly, and
the generator makes pictures that it reproduces well.

Departures from the paper:
    The generator's reproduction is compared with the original directly, too (the family's
    reconstruction): without it 460 pictures are reproduced only roughly.
    Adam's epsilon is the usual 1e-8; the authors' notebook takes 1.0, which needs many more steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio import together
from studio.data.batch import Batch, DataSpec
from studio.methods.autoencoders.base import (
    Autoencoder,
    AutoencoderConfig,
    AutoencoderObjective,
    method,
    mix,
)
from studio.methods.base import Update


@dataclass(frozen=True)
class GAIAConfig(AutoencoderConfig):
    """Settings of GAIA.

    Attributes:
        adversarial_weight: Of what the discriminator cannot reproduce of generated pictures.
        distance_weight: Of latents that keep the pictures' distances.
        balance: Slope of the sigmoid by which the player that is ahead slows down.
        spread: Deviation of the interpolation's position around one half.
    """

    reconstruction: str = "l1"
    adversarial_weight: float = 0.5
    distance_weight: float = 5e-5
    balance: float = 20.0
    spread: float = 0.25


class GAIAObjective(AutoencoderObjective):
    """The game of two autoencoders (section 2)."""

    def __init__(self, model: Autoencoder, config: GAIAConfig, spec: DataSpec) -> None:
        super().__init__(model, config, spec)
        self.discriminator = Autoencoder(config, spec)

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the two autoencoders."""
        return {**super().players(), "discriminator": list(self.discriminator.parameters())}

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Let the discriminator tell real from generated pictures, then the generator improve."""
        images = next(batches).images
        z = self.model.encoder(images)
        reconstruction = self.model.decoder(z)
        alpha = 0.5 + self.config.spread * together.randn(len(z), 1, device=z.device)
        between = self.model.decoder(mix(z, alpha).z)
        real = self._error(images, images)
        fake = self._error(between.detach()) + self._error(reconstruction.detach(), images)
        lead = torch.sigmoid(self.config.balance * together.mean((fake / 2 - real).detach())).item()
        yield Update(
            "discriminator",
            real - fake / 2,
            {"real": real.detach(), "fake": fake.detach()},
            1 - lead,
        )
        missed = self._error(between) + self._error(reconstruction, images)
        terms = {
            "adversarial": (self.config.adversarial_weight, missed),
            "distance": (self.config.distance_weight, distance_loss(images, z)),
        }
        yield self._autoencoder_update(images, reconstruction, terms)

    def _error(self, shown: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Compare what the discriminator makes of pictures with what it should be."""
        made = self.discriminator.decoder(self.discriminator.encoder(shown))
        return F.l1_loss(made, shown if wanted is None else wanted)


def distance_loss(images: Tensor, z: Tensor) -> Tensor:
    """Compare pairwise distances of pictures and of latents, each relative to its mean.

    Args:
        images: (B, 3, H, W).
        z: (B, D).

    Returns:
        Scalar: mean squared difference of log(1 + distance).
    """
    pixels, codes = images.flatten(1).float(), z.float()
    far, near = torch.pdist(pixels), torch.pdist(codes)
    far, near = far / far.mean().clamp_min(1e-6), near / near.mean().clamp_min(1e-6)
    return F.mse_loss(torch.log1p(near), torch.log1p(far))


METHOD = method(
    "gaia",
    "GAIA",
    "Sainburg et al., Generative adversarial interpolative autoencoding, 2018",
    "Interpolates so that a second autoencoder takes the pictures for real.",
    GAIAConfig,
    GAIAObjective,
    "discriminator",
)
