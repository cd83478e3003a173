"""A GAN with cyclic losses, the rival of GeneGAN's Fig. 6.

Kim, Cha, Kim, Lee, Kim: "Learning to Discover Cross-Domain Relations with Generative Adversarial
Networks", ICML 2017; Zhu, Park, Isola, Efros: "Unpaired Image-to-Image Translation using
Cycle-Consistent Adversarial Networks", ICCV 2017.

One generator puts the object on a picture, another takes it away; each must fool a critic, and
going there and back must return the picture. Nothing says which object to put back.

Symbols:
    A, B: pictures with and without the object, as in GeneGAN; F takes the object away, G adds one.

Departures from the papers:
    Generators and critics are those of our GeneGAN, and so are its ``hinge`` recipe's losses and
    optimizer: the comparison is about what the cycle leaves open, not about networks. The identity
    loss of CycleGAN, an option there, is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.losses import HingeLoss, matching_critic_loss
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
from studio.nn.blocks import initialize
from studio.nn.networks import ConvCritic, ConvDecoder, ConvEncoder


@dataclass(frozen=True)
class CyclicConfig(Config):
    """Settings of the cyclic rival; the defaults are those of GeneGAN's ``hinge`` recipe.

    Attributes:
        attribute: The object: a 0/1 attribute of the data.
        width: Channels after each generator's first layer.
        critic_width: The critics' channels after their first layer; 0 takes ``width``.
        levels: Times the encoders halve the resolution.
        cycle_weight: Of the L1 distance between a picture and itself there and back.
        adversarial_weight: Of the two translations' adversarial loss.
        mismatch_weight: Of real pictures of the wrong kind among a critic's fakes.
        lr: Learning rate of all players.
        averaging: Decay of the averaged weights.
        decay: Last fraction of the run over which the learning rate falls to 0.
        flip: Mirror training pictures at random.
    """

    attribute: str = "Eyeglasses"
    width: int = 64
    critic_width: int = 0
    levels: int = 3
    cycle_weight: float = 6.0
    adversarial_weight: float = 0.3
    mismatch_weight: float = 0.5
    lr: float = 2e-4
    averaging: float = 0.998
    decay: float = 0.0
    flip: bool = True


def _generator(config: CyclicConfig) -> nn.Sequential:
    return nn.Sequential(
        ConvEncoder(config.width, config.levels), ConvDecoder(config.width, config.levels)
    )


class Cyclic(Translator):
    """Two generators: one adds the object, one removes it."""

    def __init__(self, config: CyclicConfig, spec: DataSpec) -> None:
        """Build the two generators.

        Raises:
            ConfigError: The picture size is not a multiple of 16.
        """
        super().__init__()
        if spec.size % max(16, 2**config.levels):
            raise ConfigError(f"The networks need a picture size that 16 divides, not {spec.size}.")
        self.attributes = (config.attribute,)
        self.add = _generator(config)
        self.remove = _generator(config)
        initialize(self)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Put the object on the pictures whose target is 1, take it from the others."""
        wanted = targets[:, 0].bool()[:, None, None, None]
        return torch.where(wanted, self.add(images), self.remove(images))


class Cycle(NamedTuple):
    """Both parents of a contrast batch, translated and back, (B, 3, H, W) each."""

    showing: Tensor
    plain: Tensor
    removed: Tensor
    added: Tensor
    showing_again: Tensor
    plain_again: Tensor


class CyclicObjective(Objective):
    """Two adversarial games and the way there and back."""

    model: Cyclic

    def __init__(self, model: Cyclic, config: CyclicConfig, spec: DataSpec) -> None:
        super().__init__()
        self.model = model
        self.config = config
        width = config.critic_width or config.width
        self.critic_with = ConvCritic(spec.size, width, "spectral")
        self.critic_without = ConvCritic(spec.size, width, "spectral")
        self.adversarial = HingeLoss()

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the two players: the critics together, and both generators."""
        return {
            "critics": [*self.critic_with.parameters(), *self.critic_without.parameters()],
            "generators": list(self.model.parameters()),
        }

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Take a step of the critics, then one of the generators on the same batch."""
        cycle = self.walk(next(batches).images)
        yield self._critics_update(cycle)
        yield self._generators_update(cycle)

    def walk(self, images: Tensor) -> Cycle:
        """Translate two halves of a contrast batch there and back.

        Args:
            images: (2 B, 3, H, W); the first half shows the object, the second does not.
        """
        showing, plain = images.chunk(2)
        removed, added = self.model.remove(showing), self.model.add(plain)
        again = self.model.add(removed), self.model.remove(added)
        return Cycle(showing, plain, removed, added, *again)

    def _critics_update(self, cycle: Cycle) -> Update:
        showing, plain = cycle.showing, cycle.plain
        sides = {
            "critic_with": (self.critic_with, showing, cycle.added, plain),
            "critic_without": (self.critic_without, plain, cycle.removed, showing),
        }
        terms = {
            name: matching_critic_loss(self.adversarial, *side, self.config.mismatch_weight)
            for name, side in sides.items()
        }
        loss = terms["critic_with"] + terms["critic_without"]
        return Update("critics", loss, {name: term.detach() for name, term in terms.items()})

    def _generators_update(self, cycle: Cycle) -> Update:
        """Weigh the adversarial losses and the cycle (Zhu et al. 2017, Eq. 3)."""
        reconstruction = F.l1_loss(cycle.showing_again, cycle.showing)
        reconstruction = reconstruction + F.l1_loss(cycle.plain_again, cycle.plain)
        adversarial = self.adversarial.generator(self.critic_with(cycle.added))
        adversarial = adversarial + self.adversarial.generator(self.critic_without(cycle.removed))
        loss = self.config.cycle_weight * reconstruction
        loss = loss + self.config.adversarial_weight * adversarial
        terms = {"reconstruction": reconstruction.detach(), "adversarial": adversarial.detach()}
        return Update("generators", loss, terms)


def stages(config: CyclicConfig, spec: DataSpec) -> tuple[GradientStage, ...]:
    """Describe the one stage of training."""
    optimizer = OptimizerConfig("adam", config.lr, (0.5, 0.999))
    return (
        GradientStage(
            name="cycle",
            objective=lambda model: CyclicObjective(model, config, spec),
            optimizers={"critics": optimizer, "generators": optimizer},
            sampling="contrast",
            attribute=config.attribute,
            averaging=config.averaging,
            decay=config.decay,
            flip=config.flip,
        ),
    )


METHOD = Method(
    name="cyclic",
    title="Cyclic GAN",
    citation="Kim et al., Learning to Discover Cross-Domain Relations with Generative Adversarial "
    "Networks, ICML 2017; Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent "
    "Adversarial Networks, ICCV 2017",
    summary="Adds or removes one object, without an exemplar to take it from.",
    operations=frozenset({Operation.TRANSLATE}),
    config=CyclicConfig,
    tiny=replace(CyclicConfig(), width=4),
    model=Cyclic,
    stages=stages,
)
