"""The family of autoencoders that the interpolation studio compares: one model, one objective.

A method of the family is what differs: its configuration, its critic and its regularizer. The
networks are those of AEAI (section 2.3): convolutional blocks of 16 to 128 maps with max-pooling,
batch norm and ReLU after each learned layer, fully connected layers to 256 latents, and a decoder
that mirrors them.

Symbols:
    z: the flat latent, part ``z`` of the model's latents.
    x̂(α): ``decode`` of (1 - α) z_i + α z_j.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio import together
from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.latents import Latents
from studio.losses import LogLoss
from studio.methods.base import (
    Config,
    GradientStage,
    LatentModel,
    Method,
    Objective,
    Operation,
    OptimizerConfig,
    Update,
)
from studio.nn.networks import ConvCritic, PooledEncoder, UpsampledDecoder

# Whose feature maps the feature-space reconstruction compares.
FEATURES = "attributes.celeba-64"
Terms = dict[str, tuple[float, Tensor]]


@dataclass(frozen=True)
class AutoencoderConfig(Config):
    """Settings that the family shares.

    Attributes:
        width: Maps of the first block; each further block doubles them up to ``widest``.
        widest: Most maps of a block.
        levels: Blocks, each of which halves the resolution.
        depth: Convolutions in a block.
        hidden: Units of a second fully connected layer before the latents; 0 for none.
        latent: Dimensions of z.
        reconstruction: ``l1`` or ``l2`` between pixels, or ``features``: l2 between the feature
            maps of our own attribute classifier, beside the pixels' own l2.
        reconstruction_weight: Of that term.
        lr: Learning rate of Adam, of all players.
        averaging: Decay of the averaged weights; 0 ships the raw ones.
        decay: Last fraction of the run over which the learning rate falls to 0.
        critic_width: Maps of an image critic's first layer.
        flip: Mirror training pictures; off where left and right matter.
    """

    width: int = 16
    widest: int = 128
    levels: int = 4
    depth: int = 1
    hidden: int = 256
    latent: int = 256
    reconstruction: str = "l2"
    reconstruction_weight: float = 1.0
    lr: float = 1e-3
    averaging: float = 0.99
    decay: float = 0.5
    critic_width: int = 16
    flip: bool = False


class Autoencoder(LatentModel):
    """Encoder and decoder around one flat latent."""

    # Numbers that the encoder gives per latent dimension.
    outputs = 1

    def __init__(self, config: AutoencoderConfig, spec: DataSpec) -> None:
        """Build the two networks.

        Raises:
            ConfigError: The blocks do not divide the picture's size.
        """
        super().__init__()
        if spec.size % 2**config.levels:
            raise ConfigError(
                f"{config.levels} blocks need a picture size that {2**config.levels} divides, "
                f"not {spec.size}."
            )
        maps = [min(config.width * 2**level, config.widest) for level in range(config.levels)]
        shape = (maps, config.depth, spec.size, config.hidden)
        self.latent = config.latent
        self.encoder = PooledEncoder(*shape, config.latent * self.outputs)
        self.decoder = UpsampledDecoder(*shape, config.latent)

    def encode(self, images: Tensor) -> Latents:
        """Encode (B, 3, H, W) images in [-1, 1] to ``z``, (B, latent)."""
        return Latents({"z": self.encoder(images)[:, : self.latent]})

    def decode(self, latents: Latents) -> Tensor:
        """Decode to (B, 3, H, W) images in [-1, 1]."""
        return self.decoder(latents.parts["z"])


class Mix(NamedTuple):
    """Latents between the two of each pair.

    Attributes:
        z: (B, D), (1 - α) z_i + α z_j.
        tangent: (B, D), its derivative z_j - z_i.
        alpha: (B, 1).
    """

    z: Tensor
    tangent: Tensor
    alpha: Tensor


def mix(z: Tensor, alpha: Tensor) -> Mix:
    """Interpolate each latent with the next one of its batch, which is shuffled.

    Args:
        z: (B, D).
        alpha: (B, 1), usually in [0, 1].
    """
    tangent = z.roll(1, 0) - z
    return Mix(z + alpha * tangent, tangent, alpha)


def random_alpha(z: Tensor) -> Tensor:
    """Draw (B, 1) positions from U[0, 1]."""
    return together.rand(len(z), 1, device=z.device)


class AutoencoderObjective(Objective):
    """Reconstruction plus what a method's ``regularizer`` adds; the plain autoencoder adds none."""

    model: Autoencoder

    def __init__(self, model: Autoencoder, config: Any, spec: DataSpec) -> None:
        """Keep the model; methods with a critic build it here.

        Raises:
            ConfigError: The configuration names an unknown reconstruction.
        """
        super().__init__()
        del spec
        if config.reconstruction not in {"l1", "l2", "features"}:
            raise ConfigError(
                f"reconstruction is l1, l2 or features, not {config.reconstruction!r}."
            )
        self.model = model
        self.config = config

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the autoencoder; methods with a critic add it."""
        return {"autoencoder": list(self.model.parameters())}

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Reconstruct one batch."""
        images = next(batches).images
        z = self.model.encoder(images)
        yield self._autoencoder_update(images, self.model.decoder(z), self.regularizer(z))

    def regularizer(self, z: Tensor) -> Terms:
        """Return weighted terms on the latents by name."""
        del z
        return {}

    def _autoencoder_update(
        self, images: Tensor, reconstruction: Tensor, others: Mapping[str, tuple[float, Tensor]]
    ) -> Update:
        """Add the reconstruction's weighted loss to those of a method."""
        own = self._reconstruction(images, reconstruction)
        terms = {"reconstruction": (self.config.reconstruction_weight, own), **others}
        loss = sum((weight * term for weight, term in terms.values()), torch.zeros(()))
        return Update("autoencoder", loss, {k: term.detach() for k, (_, term) in terms.items()})

    def _reconstruction(self, images: Tensor, reconstruction: Tensor) -> Tensor:
        """Compare pictures, as the mean over pixels (AEAI, L_R)."""
        if self.config.reconstruction == "l1":
            return F.l1_loss(reconstruction, images)
        pixels = F.mse_loss(reconstruction, images)
        if self.config.reconstruction == "l2":
            return pixels
        if self.features is None:
            raise ConfigError(f"Reconstruction in feature space needs the checkpoint {FEATURES}.")
        pairs = zip(self.features(images), self.features(reconstruction), strict=True)
        return pixels + torch.stack([F.mse_loss(made, real) for real, made in pairs]).mean()


class DiscriminatedObjective(AutoencoderObjective):
    """An objective with a discriminator of pictures, spectrally normalized, under log losses."""

    def __init__(self, model: Autoencoder, config: Any, spec: DataSpec) -> None:
        """Build the discriminator; arguments as for the base."""
        super().__init__(model, config, spec)
        self.discriminator = ConvCritic(spec.size, config.critic_width, "spectral")
        self.adversarial = LogLoss()

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the autoencoder and the discriminator."""
        return {**super().players(), "discriminator": list(self.discriminator.parameters())}


def stages_of(
    objective: type[AutoencoderObjective], *critics: str
) -> Callable[[Any, DataSpec], tuple[GradientStage, ...]]:
    """Return the one stage of a method of the family.

    Args:
        objective: Of the method.
        critics: Names of its players beside the autoencoder.
    """

    def stages(config: Any, spec: DataSpec) -> tuple[GradientStage, ...]:
        optimizer = OptimizerConfig("adam", config.lr, (0.5, 0.999))
        return (
            GradientStage(
                name="autoencoder",
                objective=lambda model: objective(model, config, spec),
                optimizers=dict.fromkeys(("autoencoder", *critics), optimizer),
                averaging=config.averaging,
                decay=config.decay,
                flip=config.flip,
                features=FEATURES if config.reconstruction == "features" else "",
            ),
        )

    return stages


TINY: dict[str, Any] = {
    "width": 4,
    "levels": 2,
    "hidden": 8,
    "latent": 6,
    "critic_width": 4,
    "lr": 3e-3,
}


def method(
    name: str,
    title: str,
    citation: str,
    summary: str,
    config: type[AutoencoderConfig],
    objective: type[AutoencoderObjective],
    *critics: str,
    model: type[Autoencoder] = Autoencoder,
) -> Method:
    """Return the table entry of a method of the family."""
    return Method(
        name=name,
        title=title,
        citation=citation,
        summary=summary,
        operations=frozenset({Operation.INTERPOLATE}),
        config=config,
        tiny=config.from_dict(TINY),
        model=model,
        stages=stages_of(objective, *critics),
    )
