"""ACAI: an autoencoder whose interpolations do not give away how far they are mixed.

Berthelot, Raffel, Roy, Goodfellow: "Understanding and Improving Interpolation in Autoencoders via
an Adversarial Regularizer", ICLR 2019.

Symbols:
    λ: ``adversarial_weight``; γ: ``real_share`` of the original in the critic's unmixed pictures.

Departures from the paper:
    The critic has the family's four convolutions and a linear output; the paper averages the
    penultimate layer instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from studio.data.batch import Batch, DataSpec
from studio.methods.autoencoders.base import (
    Autoencoder,
    AutoencoderConfig,
    AutoencoderObjective,
    method,
    mix,
    random_alpha,
)
from studio.methods.base import Update
from studio.nn.networks import ConvCritic


@dataclass(frozen=True)
class ACAIConfig(AutoencoderConfig):
    """Settings of ACAI.

    Attributes:
        adversarial_weight: Of the position that the critic reads off interpolations.
        real_share: Of the original in the pictures for which the critic is to say 0.
    """

    adversarial_weight: float = 0.5
    real_share: float = 0.2


class ACAIObjective(AutoencoderObjective):
    """Reconstruction, and interpolations in which a critic finds no trace of mixing."""

    def __init__(self, model: Autoencoder, config: ACAIConfig, spec: DataSpec) -> None:
        super().__init__(model, config, spec)
        self.critic = ConvCritic(spec.size, config.critic_width, "none")

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the autoencoder and the critic that reads the position off a picture."""
        return {**super().players(), "critic": list(self.critic.parameters())}

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Teach the critic to read positions (Eq. 2), then fool it (Eq. 1)."""
        images = next(batches).images
        z = self.model.encoder(images)
        reconstruction = self.model.decoder(z)
        # Positions are folded to [0, 1/2]: which of the two comes first does not matter.
        mixed = mix(z, random_alpha(z) / 2)
        between = self.model.decoder(mixed.z)
        unmixed = torch.lerp(reconstruction.detach(), images, self.config.real_share)
        read = self.critic(between.detach()) - mixed.alpha[:, 0]
        loss = read.square().mean() + self.critic(unmixed).square().mean()
        yield Update("critic", loss, {"critic": loss.detach()})
        seen = self.critic(between).square().mean()
        yield self._autoencoder_update(
            images, reconstruction, {"adversarial": (self.config.adversarial_weight, seen)}
        )


METHOD = method(
    "acai",
    "ACAI",
    "Berthelot et al., Understanding and Improving Interpolation in Autoencoders via an "
    "Adversarial Regularizer, ICLR 2019",
    "Interpolates so that a critic cannot tell how far two pictures are mixed.",
    ACAIConfig,
    ACAIObjective,
    "critic",
)
