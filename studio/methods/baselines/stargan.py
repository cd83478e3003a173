"""StarGAN, a rival of attribute mapping: one translator for several attributes.

Choi, Choi, Kim, Ha, Kim, Choo: "StarGAN: Unified Generative Adversarial Networks for Multi-Domain
Image-to-Image Translation", CVPR 2018.

One generator turns a picture and target attributes into the picture with these attributes; a
critic with a classifier beside it judges the result, and going back must return the picture.

Symbols:
    G, D_src, D_cls: generator, the critic's score map and its classifier.
    c, c': target attributes and a picture's own.

Departures from the paper:
    Attributes that a picture's labels leave unknown are translated as absent and do not count in
    the classification losses. The averaged generator is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.losses import WassersteinLoss, attribute_cross_entropy, gradient_penalty
from studio.methods.base import (
    Config,
    GradientStage,
    Method,
    Objective,
    Operation,
    OptimizerConfig,
    Translator,
    Update,
)
from studio.nn.blocks import InstanceResidual, down, instance_norm
from studio.nn.mixed import Conv2d, ConvTranspose2d


@dataclass(frozen=True)
class StarGANConfig(Config):
    """Settings; the defaults are the paper's and its reference code's.

    Attributes:
        translated: The attributes, names separated by commas; all of the data where empty.
        width: Channels after the generator's first layer.
        blocks: Residual blocks of the generator.
        critic_width: Channels after the critic's first layer.
        critic_levels: Convolutions of stride 2 in the critic; the last features are then
            ``size / 2^critic_levels`` pixels wide.
        classification_weight: λ_cls.
        reconstruction_weight: λ_rec.
        penalty_weight: λ_gp.
        critic_steps: Critic updates for each one of the generator.
        lr: Learning rate of Adam, of both players.
        averaging: Decay of the averaged weights.
        decay: Last fraction of the run over which the learning rate falls to 0.
        flip: Mirror training pictures at random.
    """

    translated: str = ""
    width: int = 64
    blocks: int = 6
    critic_width: int = 64
    critic_levels: int = 5
    classification_weight: float = 1.0
    reconstruction_weight: float = 10.0
    penalty_weight: float = 10.0
    critic_steps: int = 5
    lr: float = 1e-4
    averaging: float = 0.998
    decay: float = 0.5
    flip: bool = True


def _layer(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, instance_norm(channels), nn.ReLU(inplace=True))


class StarGAN(Translator):
    """The generator: two convolutions of stride 2, residual blocks, two transposed convolutions."""

    def __init__(self, config: StarGANConfig, spec: DataSpec) -> None:
        """Build the generator.

        Raises:
            ConfigError: An attribute is not in the data, or the picture size does not suit.
        """
        super().__init__()
        self.attributes = _translated(config, spec)
        unit = 2 ** max(2, config.critic_levels)
        if spec.size % unit:
            raise ConfigError(
                f"The networks need a picture size that {unit} divides, not {spec.size}."
            )
        width, inputs = config.width, 3 + len(self.attributes)
        layers: list[nn.Module] = [
            _layer(Conv2d(inputs, width, 7, padding=3, bias=False), width),
            _layer(Conv2d(width, 2 * width, 4, 2, 1, bias=False), 2 * width),
            _layer(Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False), 4 * width),
        ]
        layers += [InstanceResidual(4 * width) for _ in range(config.blocks)]
        layers += [
            _layer(ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False), 2 * width),
            _layer(ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), width),
            Conv2d(width, 3, 7, padding=3, bias=False),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Translate pictures; the targets are maps of one value beside the colours."""
        maps = targets.to(images.dtype)[:, :, None, None].expand(-1, -1, *images.shape[2:])
        # The layout of everything else: with another one the same weights round differently.
        both = torch.cat([images, maps], dim=1).contiguous(memory_format=torch.channels_last)
        return torch.tanh(self.layers(both).float())


def _translated(config: StarGANConfig, spec: DataSpec) -> tuple[str, ...]:
    names = tuple(name.strip() for name in config.translated.split(",") if name.strip())
    unknown = [name for name in names if name not in spec.attributes]
    if unknown or not spec.attributes:
        known = ", ".join(spec.attributes) or "no attributes"
        named = repr(unknown[0]) if unknown else "all attributes"
        raise ConfigError(f"translated names {named}; the data has {known}.")
    return names or spec.attributes


class StarGANCritic(nn.Module):
    """Strided convolutions with two heads: a score per patch and logits of the attributes."""

    def __init__(self, config: StarGANConfig, size: int, attributes: int) -> None:
        super().__init__()
        channels = [config.critic_width * 2**level for level in range(config.critic_levels)]
        layers = [down(a, b, "none", 0.01) for a, b in zip([3, *channels], channels, strict=False)]
        self.trunk = nn.Sequential(*layers)
        side = size // 2**config.critic_levels
        self.patches = Conv2d(channels[-1], 1, 3, padding=1, bias=False)
        self.classes = Conv2d(channels[-1], attributes, side, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B,) mean scores and (B, A) logits."""
        features = self.trunk(images)
        scores = self.patches(features).float().flatten(1).mean(1)
        return scores, self.classes(features).float().flatten(1)


class StarGANObjective(Objective):
    """Adversarial, classification and reconstruction losses."""

    model: StarGAN

    def __init__(self, model: StarGAN, config: StarGANConfig, spec: DataSpec) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.columns = [spec.attributes.index(name) for name in model.attributes]
        self.critic = StarGANCritic(config, spec.size, len(self.columns))
        self.adversarial = WassersteinLoss()

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the two players."""
        return {
            "critic": list(self.critic.parameters()),
            "generator": list(self.model.parameters()),
        }

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Take the critic's steps, each on a fresh batch, then one of the generator."""
        for _ in range(self.config.critic_steps):
            images, own, targets = self._draw(next(batches))
            with torch.no_grad():
                made = self.model(images, targets)
            yield self._critic_update(images, own, made)
        yield self._generator_update(*self._draw(next(batches)))

    def _draw(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return pictures, their attributes, and as targets those of other pictures."""
        own = batch.attributes[:, self.columns]
        order = torch.randperm(len(own), device=own.device)
        return batch.images, own, own[order].clamp_min(0)

    def _critic_update(self, images: Tensor, own: Tensor, made: Tensor) -> Update:
        """Weigh the critic's losses (Eq. 1, 3 and 5)."""
        scores, logits = self.critic(images)
        adversarial = self.adversarial.critic(scores, self.critic(made)[0])
        penalty = gradient_penalty(lambda picture: self.critic(picture)[0], images, made)
        recognition = attribute_cross_entropy(logits, own)
        loss = adversarial + self.config.penalty_weight * penalty
        loss = loss + self.config.classification_weight * recognition
        return Update(
            "critic", loss, {"critic": adversarial.detach(), "recognition": recognition.detach()}
        )

    def _generator_update(self, images: Tensor, own: Tensor, targets: Tensor) -> Update:
        """Weigh the generator's losses (Eq. 1, 2 and 4)."""
        config = self.config
        made = self.model(images, targets)
        again = self.model(made, own.clamp_min(0))
        scores, logits = self.critic(made)
        adversarial = self.adversarial.generator(scores)
        recognized = attribute_cross_entropy(logits, targets)
        reconstruction = F.l1_loss(again, images)
        loss = adversarial + config.classification_weight * recognized
        loss = loss + config.reconstruction_weight * reconstruction
        terms = {
            "adversarial": adversarial.detach(),
            "classification": recognized.detach(),
            "reconstruction": reconstruction.detach(),
        }
        return Update("generator", loss, terms)


def stages(config: StarGANConfig, spec: DataSpec) -> tuple[GradientStage, ...]:
    """Describe the one stage of training."""
    optimizer = OptimizerConfig("adam", config.lr, (0.5, 0.999))
    return (
        GradientStage(
            name="translation",
            objective=lambda model: StarGANObjective(model, config, spec),
            optimizers={"critic": optimizer, "generator": optimizer},
            averaging=config.averaging,
            decay=config.decay,
            flip=config.flip,
        ),
    )


METHOD = Method(
    name="stargan",
    title="StarGAN",
    citation="Choi, Choi, Kim, Ha, Kim, Choo, StarGAN: Unified Generative Adversarial Networks for "
    "Multi-Domain Image-to-Image Translation, CVPR 2018",
    summary="Gives a face other attributes, all with one network.",
    operations=frozenset({Operation.TRANSLATE}),
    config=StarGANConfig,
    tiny=replace(
        StarGANConfig(), width=4, blocks=1, critic_width=4, critic_levels=3, critic_steps=2, lr=2e-3
    ),
    model=StarGAN,
    stages=stages,
    # The picture's colours come first.
    attribute_offsets={"model.layers.0.": 3},
)
