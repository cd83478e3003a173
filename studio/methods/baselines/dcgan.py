"""DCGAN on attributes, a rival of attribute mapping.

Radford, Metz, Chintala: "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", ICLR 2016; in the form of Liu et al., "Generating Face Images with Attributes
for Free", footnote 4: mapping network, decoder and DCGAN's discriminator, trained from scratch.

Symbols:
    Φ, G_de, D: mapping network, decoder and discriminator, as in attribute mapping.

Departures from the footnote:
    Φ gets noise beside the attributes, because a GAN without it makes one face of each set of
    attributes; ``noise = 0`` is the footnote's. D sees the attributes by an inner product with its
    last features (Miyato and Koyama 2018), or nothing would tie a picture to them. D is spectrally
    normalized instead of having batch normalization.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from studio import together
from studio.data.batch import Batch, DataSpec
from studio.losses import LogLoss
from studio.methods.attribute_mapping import AttributeMapper, as_inputs, check_size
from studio.methods.base import (
    Config,
    Generator,
    GradientStage,
    Method,
    Objective,
    Operation,
    OptimizerConfig,
    Update,
)
from studio.nn.networks import NearestDecoder, StridedTrunk


@dataclass(frozen=True)
class DCGANConfig(Config):
    """Settings.

    Attributes:
        width: Channels of the decoder.
        levels: Resolutions of the decoder.
        blocks: Residual blocks at each.
        latent: Outputs of the mapping network.
        noise: Numbers of noise beside the attributes.
        critic_width: Channels of D's first layer.
        lr: Learning rate of Adam, of both players.
        averaging: Decay of the averaged weights.
        decay: Last fraction of the run over which the learning rate falls to 0.
        flip: Mirror training pictures at random.
    """

    width: int = 128
    levels: int = 4
    blocks: int = 2
    latent: int = 64
    noise: int = 64
    critic_width: int = 64
    lr: float = 2e-4
    averaging: float = 0.998
    decay: float = 0.3
    flip: bool = True


class DCGAN(Generator):
    """Mapping network and decoder."""

    def __init__(self, config: DCGANConfig, spec: DataSpec) -> None:
        """Build both networks.

        Raises:
            ConfigError: The data has no attributes, or the picture size does not suit.
        """
        super().__init__()
        check_size(spec, config.levels)
        self.attributes = spec.attributes
        self.noise_size = config.noise
        self.mapping = AttributeMapper(len(spec.attributes) + config.noise, config.latent)
        self.decoder = NearestDecoder(
            spec.size, config.width, config.levels, config.blocks, config.latent
        )

    def generate(self, attributes: Tensor, noise: Tensor) -> Tensor:
        """Decode Φ of attributes and noise."""
        return self.decoder(self.mapping(torch.cat([attributes, noise], dim=1)))


class DCGANObjective(Objective):
    """Log losses of one generator and one discriminator of pictures with attributes."""

    model: DCGAN

    def __init__(self, model: DCGAN, config: DCGANConfig, spec: DataSpec) -> None:
        super().__init__()
        self.model = model
        outputs = 1 + len(spec.attributes)
        self.discriminator = StridedTrunk(spec.size, config.critic_width, outputs, "spectral", 0.2)
        self.adversarial = LogLoss()

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the two players."""
        return {
            "discriminator": list(self.discriminator.parameters()),
            "generator": list(self.model.parameters()),
        }

    def score(self, images: Tensor, attributes: Tensor) -> Tensor:
        """Return (B,) logits of being real and having the attributes, (B, A) in [0, 1]."""
        outputs = self.discriminator(images).float()
        signs = 2 * attributes - 1
        return outputs[:, 0] + (outputs[:, 1:] * signs).sum(1)

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Move the discriminator, then the generator."""
        batch = next(batches)
        attributes = as_inputs(batch.attributes)
        noise = together.randn(len(batch), self.model.noise_size, device=attributes.device)
        made = self.model.generate(attributes, noise)
        real, fake = self.score(batch.images, attributes), self.score(made.detach(), attributes)
        loss = self.adversarial.critic(real, fake)
        yield Update("discriminator", loss, {"discriminator": loss.detach()})
        fooled = self.adversarial.generator(self.score(made, attributes))
        yield Update("generator", fooled, {"generator": fooled.detach()})


def stages(config: DCGANConfig, spec: DataSpec) -> tuple[GradientStage, ...]:
    """Describe the one stage of training."""
    optimizer = OptimizerConfig("adam", config.lr, (0.5, 0.999))
    return (
        GradientStage(
            name="generator",
            objective=lambda model: DCGANObjective(model, config, spec),
            optimizers={"discriminator": optimizer, "generator": optimizer},
            averaging=config.averaging,
            decay=config.decay,
            flip=config.flip,
        ),
    )


METHOD = Method(
    name="dcgan",
    title="DCGAN",
    citation="Radford, Metz, Chintala, Unsupervised Representation Learning with Deep "
    "Convolutional Generative Adversarial Networks, ICLR 2016, on attributes as in Liu et al.",
    summary="Makes faces from attributes; trained from scratch, without an autoencoder.",
    operations=frozenset({Operation.GENERATE}),
    config=DCGANConfig,
    tiny=replace(DCGANConfig(), width=4, levels=3, blocks=1, latent=6, noise=3, critic_width=4),
    model=DCGAN,
    stages=stages,
    # The first output says whether a picture is real.
    attribute_offsets={"discriminator.": 1},
)
