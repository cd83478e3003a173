"""AMR: an autoencoder whose mixed latents decode to pictures that pass for real.

Beckham, Honari, Verma, Lamb, Ghadiri, Hjelm, Bengio, Pal: "On Adversarial Mixup Resynthesis",
NeurIPS 2019.

Departures from the paper:
    Mixing is the interpolation between two pictures ("mixup"); the masked and the supervised
    mixers are left out.
    The discriminator is spectrally normalized, as in the authors' code.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from studio.data.batch import Batch
from studio.methods.autoencoders.base import (
    AutoencoderConfig,
    DiscriminatedObjective,
    Terms,
    method,
    mix,
    random_alpha,
)
from studio.methods.base import Update


@dataclass(frozen=True)
class AMRConfig(AutoencoderConfig):
    """Settings of AMR; the weights are the authors' divided by their reconstruction weight of 50.

    Attributes:
        adversarial_weight: Of mixed pictures and of reproductions that pass for real.
        consistency_weight: Of mixed latents that are found again in what they decode to.
    """

    reconstruction: str = "l1"
    adversarial_weight: float = 0.02
    consistency_weight: float = 0.0


class AMRObjective(DiscriminatedObjective):
    """Reconstruction, and reproductions and mixes that a discriminator takes for real (Eq. 3)."""

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Tell real pictures from reproductions and mixes, then fool the discriminator."""
        images = next(batches).images
        z = self.model.encoder(images)
        reconstruction = self.model.decoder(z)
        mixed = mix(z, random_alpha(z))
        between = self.model.decoder(mixed.z)
        yield self._discriminator_update(images, reconstruction, between)
        fooled = self.adversarial.generator(self.discriminator(between))
        fooled = fooled + self.adversarial.generator(self.discriminator(reconstruction))
        terms: Terms = {"adversarial": (self.config.adversarial_weight, fooled)}
        if self.config.consistency_weight > 0:
            again = F.mse_loss(self.model.encoder(between), mixed.z)
            terms["consistency"] = (self.config.consistency_weight, again)
        yield self._autoencoder_update(images, reconstruction, terms)

    def _discriminator_update(
        self, images: Tensor, reconstruction: Tensor, between: Tensor
    ) -> Update:
        real = self.discriminator(images)
        fakes = (self.discriminator(fake.detach()) for fake in (reconstruction, between))
        first, second = (self.adversarial.critic(real, fake) for fake in fakes)
        loss = (first + second) / 2
        return Update("discriminator", loss, {"discriminator": loss.detach()})


METHOD = method(
    "amr",
    "AMR",
    "Beckham et al., On Adversarial Mixup Resynthesis, NeurIPS 2019",
    "Interpolates so that mixed pictures pass for real ones.",
    AMRConfig,
    AMRObjective,
    "discriminator",
)
