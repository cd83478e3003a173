"""AAE: an autoencoder whose latents a discriminator cannot tell from a normal distribution.

Makhzani, Shlens, Jaitly, Goodfellow, Frey: "Adversarial Autoencoders", arXiv:1511.05644.

Departures from the paper:
    The encoder's adversarial step is taken together with the reconstruction's, weighted by
    ``adversarial_weight``, instead of after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from studio import together
from studio.data.batch import Batch, DataSpec
from studio.losses import LogLoss
from studio.methods.autoencoders.base import (
    Autoencoder,
    AutoencoderConfig,
    AutoencoderObjective,
    method,
)
from studio.methods.base import Update
from studio.nn.networks import perceptron


@dataclass(frozen=True)
class AAEConfig(AutoencoderConfig):
    """Settings of AAE.

    Attributes:
        adversarial_weight: Of fooling the discriminator, beside the reconstruction's mean squared
            error.
    """

    adversarial_weight: float = 0.01


class AAEObjective(AutoencoderObjective):
    """Reconstruction, and latents that pass for samples of the prior N(0, 1)."""

    def __init__(self, model: Autoencoder, config: AAEConfig, spec: DataSpec) -> None:
        super().__init__(model, config, spec)
        self.discriminator = perceptron(config.latent, config.hidden, config.hidden, 1)
        self.adversarial = LogLoss()

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the autoencoder and the discriminator of latents."""
        return {**super().players(), "discriminator": list(self.discriminator.parameters())}

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Let the discriminator judge the latents of one batch, then reconstruct it."""
        images = next(batches).images
        z = self.model.encoder(images).float()
        prior = self.discriminator(together.randn(*z.shape, device=z.device))
        loss = self.adversarial.critic(prior, self.discriminator(z.detach()))
        yield Update("discriminator", loss, {"discriminator": loss.detach()})
        fooled = self.adversarial.generator(self.discriminator(z))
        yield self._autoencoder_update(
            images,
            self.model.decoder(z),
            {"adversarial": (self.config.adversarial_weight, fooled)},
        )


METHOD = method(
    "aae",
    "AAE",
    "Makhzani et al., Adversarial Autoencoders, 2015",
    "Interpolates through latents that pass for a normal distribution.",
    AAEConfig,
    AAEObjective,
    "discriminator",
)
