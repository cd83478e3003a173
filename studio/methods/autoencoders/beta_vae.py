"""Beta-VAE: an autoencoder whose latents are noisy and kept near a normal distribution.

Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner: "beta-VAE: Learning Basic
Visual Concepts with a Constrained Variational Framework", ICLR 2017.

Symbols:
    β: ``beta``, weight of the divergence from the prior N(0, 1).

Departures from the paper:
    Eq. 4 is divided by the number of pixel values, so that the reconstruction is the family's mean
    squared error and weights do not depend on the picture's size.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from studio import together
from studio.data.batch import Batch
from studio.losses import gaussian_kl
from studio.methods.autoencoders.base import (
    Autoencoder,
    AutoencoderConfig,
    AutoencoderObjective,
    method,
)
from studio.methods.base import Update


@dataclass(frozen=True)
class BetaVAEConfig(AutoencoderConfig):
    """Settings of beta-VAE.

    Attributes:
        beta: Weight of the divergence.
    """

    beta: float = 2.0


class VariationalAutoencoder(Autoencoder):
    """The encoder gives mean and log variance; ``encode`` takes the mean."""

    outputs = 2


class BetaVAEObjective(AutoencoderObjective):
    """Reconstruction of a noisy latent, and β times its divergence from N(0, 1) (Eq. 4)."""

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Reconstruct one batch from samples of its posterior."""
        images = next(batches).images
        mean, log_variance = self.model.encoder(images).float().chunk(2, dim=1)
        z = mean + torch.exp(log_variance / 2) * together.randn(*mean.shape, device=mean.device)
        kl: Tensor = gaussian_kl(mean, log_variance).mean() / images[0].numel()
        yield self._autoencoder_update(
            images, self.model.decoder(z), {"kl": (self.config.beta, kl)}
        )


METHOD = method(
    "beta_vae",
    "Beta-VAE",
    "Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational "
    "Framework, ICLR 2017",
    "Interpolates through latents that are kept near a normal distribution.",
    BetaVAEConfig,
    BetaVAEObjective,
    model=VariationalAutoencoder,
)
