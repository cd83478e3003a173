"""GeneGAN: object transfiguration from unpaired data.

Zhou, Xiao, Yang, Feng, He, He: "GeneGAN: Learning Object Transfiguration and Attribute Subspace
from Unpaired Data", BMVC 2017.

An encoder splits a picture into a background and an object part; a decoder recombines parts of two
unpaired pictures into four children, of which two must reproduce their parents and two must pass
for pictures with and without the object.

Symbols:
    A, B: background parts of the picture with and of the picture without the object.
    u, ε: object parts of the same two pictures; ε must vanish.
    Au, B0: the reproductions; A0, Bu: the crossbreeds (0 stands for ε when decoding, Eq. 2).

Departures from the paper:
    Eq. 3 and 4 are misprinted; both critics enter the generator's loss, the critic "with" sees Au
    as real and Bu as fake, the critic "without" sees B0 as real and A0 as fake.
    Losses are means over pictures in [-1, 1]; weights of the reference code are converted.
    The recipe ``hinge`` replaces log losses by hinge losses, batch norm in the critics by spectral
    norm and RMSProp by Adam, and ships averaged weights. In it
    the object part passes a ReLU, where the paper's leaky one never lets it vanish;
    the nulling loss is |ε| / |u|, because the plain |ε| also falls when both shrink together;
    half of the B0 children are decoded with ε itself (``own_epsilon``), so that a picture without
    the object also reproduces itself through its own, nearly vanished, object part;
    the critics also judge some reproductions (``judged_reproductions``), because L1 alone leaves a
    ghost of the object where there is none;
    crossbreeds are kept close to their parents' reproductions (``locality_weight``);
    transplants at partial strength are kept in proportion (``strength_weight``);
    the critics see real pictures of the wrong kind as fakes, too (``mismatch_weight``; Reed et al.
    2016), so that a realistic crossbreed without the object does not pass.
    Three options that no recipe sets:
    crossbreeds are encoded again, where Bu must give u and A0 nothing (``consistency_weight``);
    the critics see all pictures moved a little and lit differently (``augmented_critics``; Zhao et
    al. 2020), so that no pattern of single pixels can fool them;
    or only some, the more the surer they are of all real ones (``adaptive_augmentation``; Karras et
    al. 2020), so that few pictures are not learnt by heart.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio import together
from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.latents import Latents
from studio.losses import (
    AdversarialLoss,
    HingeLoss,
    LogLoss,
    WassersteinLoss,
    clip_parameters,
    matching_critic_loss,
)
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
from studio.nn.augmentation import AdaptiveAugmentation, jitter_light, jitter_place
from studio.nn.blocks import Norm, initialize
from studio.nn.networks import ConvCritic, ConvDecoder, ConvEncoder

ADVERSARIAL: dict[str, AdversarialLoss] = {
    "gan": LogLoss(),
    "wgan-clip": WassersteinLoss(),
    "hinge": HingeLoss(),
}
# What a recipe changes in the configuration, before the person's own changes.
RECIPES: dict[str, dict[str, Any]] = {
    "gan": {},
    "wgan-clip": {"clip": 0.01, "burst": 100, "burst_every": 500},
    "hinge": {
        "width": 64,
        "rectified_object": True,
        "reconstruction_weight": 6.0,
        "adversarial_weight": 0.3,
        "parallelogram_weight": 0.8,
        "relative_nulling": True,
        "locality_weight": 2.5,
        "strength_weight": 2.0,
        "mismatch_weight": 0.5,
        "judged_reproductions": 0.375,
        "own_epsilon": 0.5,
        "lr": 2e-4,
        "averaging": 0.998,
    },
}


@dataclass(frozen=True)
class GeneGANConfig(Config):
    """GeneGAN's settings; the defaults are the paper's with the reference code's weights.

    Attributes:
        attribute: The object: a 0/1 attribute of the data.
        recipe: ``gan``, ``wgan-clip`` or ``hinge``.
        width: Channels after the first layer; the last has ``width * 2 ** (levels - 1)``.
        critic_width: The critics' channels after their first layer; 0 takes ``width``.
        levels: Times the encoder halves the resolution.
        object_fraction: Share of the last layer's channels that carry the object.
        rectified_object: Cut the object part's negative values off, so that ε can be exactly 0.
        reconstruction_weight: Of the two reproductions' L1 loss.
        adversarial_weight: Of the two crossbreeds' adversarial loss.
        nulling_weight: Of |ε|.
        relative_nulling: Measure |ε| in units of |u|. The plain norm also falls when the encoder
            merely shrinks both, which its batch norm does within a thousand steps.
        parallelogram_weight: Of Eq. 5; 0 where objects are not spatially aligned.
        locality_weight: Of how much a crossbreed differs from its parent's reproduction: what is
            not the object stays. 0 where an edit changes the whole picture, as light does.
        strength_weight: Of how far a transplant at a strength between 0 and 1 is from the same
            mix of the pictures at 0 and 1. Without it half of an object is often all of it.
        consistency_weight: Of how far Bu's own object is from u, and A0's from nothing, in units of
            |u|. The parallelogram compares pixels, in which a broad smile on dark skin is a small
            change: only the encoder can say that it is the same smile on another face.
        mismatch_weight: Of real pictures of the wrong kind among a critic's fakes.
        augmented_critics: Show critics every picture moved, scaled, turned and lit at random.
        adaptive_augmentation: Show critics some pictures so, the more the surer they are of all
            real ones; for sets of a few hundred pictures.
        judged_reproductions: Share of the critics' fakes that are reproductions, not crossbreeds.
            L1 alone is content with a faint ghost of the object where there is none.
        own_epsilon: Share of the B0 children that are decoded with their own ε instead of 0. With 0
            the decoder never learns what a nearly vanished object looks like, and draws one.
        clip: Limit of the critics' parameters after each of their steps; 0 does not clip.
        burst: Critic steps at the start of every ``burst_every`` steps; 1 elsewhere.
        burst_every: Steps from burst to burst; 0 has none.
        double_swap: Train on grandchildren (Stacked GeneGAN) instead of children.
        lr: Learning rate of all players.
        averaging: Decay of the averaged weights; 0 ships the raw ones.
        decay: Last fraction of the run over which the learning rate falls to 0.
        flip: Mirror training pictures at random; off where left and right matter, as for light.
    """

    attribute: str = "Eyeglasses"
    recipe: str = "gan"
    width: int = 128
    critic_width: int = 0
    levels: int = 3
    object_fraction: float = 0.25
    rectified_object: bool = False
    reconstruction_weight: float = 0.5
    adversarial_weight: float = 1.0
    nulling_weight: float = 1.0
    relative_nulling: bool = False
    parallelogram_weight: float = 1.275
    locality_weight: float = 0.0
    strength_weight: float = 0.0
    consistency_weight: float = 0.0
    mismatch_weight: float = 0.0
    augmented_critics: bool = False
    adaptive_augmentation: bool = False
    judged_reproductions: float = 0.0
    own_epsilon: float = 0.0
    clip: float = 0.0
    burst: int = 1
    burst_every: int = 0
    double_swap: bool = False
    lr: float = 5e-5
    averaging: float = 0.0
    decay: float = 0.0
    flip: bool = True

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from plain values on top of the chosen recipe's own.

        Raises:
            ConfigError: An unknown recipe or field, or a value of the wrong type.
        """
        recipe = str(values.get("recipe", cls.recipe))
        if recipe not in RECIPES:
            raise ConfigError(f"recipe must be one of {', '.join(RECIPES)}, not {recipe!r}.")
        return super().from_dict({**RECIPES[recipe], **values})


class GeneGAN(LatentModel):
    """Encoder to background and object parts, and the decoder of both."""

    swap_part: ClassVar[str] = "object"
    parts = ("background", "object")

    def __init__(self, config: GeneGANConfig, spec: DataSpec) -> None:
        """Build the two networks.

        Raises:
            ConfigError: The picture size is not a multiple of 16 or the object part is empty.
        """
        super().__init__()
        if spec.size % max(16, 2**config.levels):
            raise ConfigError(f"GeneGAN needs a picture size that 16 divides, not {spec.size}.")
        self.encoder = ConvEncoder(config.width, config.levels)
        self.decoder = ConvDecoder(config.width, config.levels)
        channels = self.encoder.out_channels
        self.attribute = config.attribute
        self.rectified = config.rectified_object
        self.object_channels = round(channels * config.object_fraction)
        if not 0 < self.object_channels < channels:
            raise ConfigError(
                f"object_fraction {config.object_fraction} leaves {self.object_channels} of "
                f"{channels} channels to the object; both parts need at least one."
            )
        initialize(self)

    def encode(self, images: Tensor) -> Latents:
        """Split images into parts (Eq. 2, first row).

        Args:
            images: (B, 3, H, W) in [-1, 1].

        Returns:
            ``background`` (B, C - O, H / 2^L, W / 2^L) and ``object`` (B, O, ...), the encoder's
            last O channels.
        """
        features = self.encoder(images)
        background, part = features.split(
            [features.shape[1] - self.object_channels, self.object_channels], dim=1
        )
        if self.rectified:
            part = F.relu(part)
        return Latents({"background": background, "object": part})

    def decode(self, latents: Latents) -> Tensor:
        """Recombine parts to (B, 3, H, W) images in [-1, 1]."""
        return self.decoder(torch.cat([latents.parts["background"], latents.parts["object"]], 1))

    def remove(self, latents: Latents) -> Latents:
        """Replace the object by the zero object (Eq. 2, A0)."""
        return latents.replace(object=torch.zeros_like(latents.parts["object"]))


class Children(NamedTuple):
    """The four children of Eq. 2 with their parents, (B, 3, H, W) each, u and ε.

    ``between``, (B / 2, 3, H, W), shows the first receivers with the object at ``strengths``,
    (B / 2, 1, 1, 1) in [0, 1]; both are None where that loss is off.
    """

    parent_with: Tensor
    parent_without: Tensor
    au: Tensor
    a0: Tensor
    bu: Tensor
    b0: Tensor
    u: Tensor
    epsilon: Tensor
    between: Tensor | None = None
    strengths: Tensor | None = None


class GeneGANObjective(Objective):
    """The adversarial game of the four children against two critics."""

    model: GeneGAN

    def __init__(self, model: GeneGAN, config: GeneGANConfig, spec: DataSpec) -> None:
        super().__init__()
        self.model = model
        self.config = config
        norm: Norm = "spectral" if config.recipe == "hinge" else "batch"
        width = config.critic_width or config.width
        self.critic_with = ConvCritic(spec.size, width, norm)
        self.critic_without = ConvCritic(spec.size, width, norm)
        initialize(self.critic_with)
        initialize(self.critic_without)
        self.adversarial = ADVERSARIAL[config.recipe]
        self.augmentation = AdaptiveAugmentation() if config.adaptive_augmentation else None

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the two players: the critics together, and the generator."""
        return {
            "critics": [*self.critic_with.parameters(), *self.critic_without.parameters()],
            "generator": list(self.model.parameters()),
        }

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Take the critics' steps, then one of the generator on the last batch."""
        for _ in range(self._critic_steps(step) - 1):
            with torch.no_grad():
                children = self.cross(next(batches).images)
            yield self._critics_update(children)
            self._clip()
        children = self.cross(next(batches).images)
        yield self._critics_update(children)
        self._clip()
        yield self._generator_update(children)

    def cross(self, images: Tensor) -> Children:
        """Cross two halves of a contrast batch (Eq. 2).

        Args:
            images: (2 B, 3, H, W); the first half shows the object, the second does not.

        Returns:
            Parents, children, u and ε. With ``double_swap`` the reproductions are grandchildren:
            crossbreeds, encoded and recombined once more (section 2.2, Fig. 2 b).
        """
        parent_with, parent_without = images.chunk(2)
        latents = self.model.encode(images)
        a, b = latents.parts["background"].chunk(2)
        u, epsilon = latents.parts["object"].chunk(2)
        zero = torch.zeros_like(u)
        between = strengths = None
        if self.config.double_swap:
            a0, bu = self._decode([a, b], [zero, u])
            again = self.model.encode(torch.cat([a0, bu]))
            a_again, b_again = again.parts["background"].chunk(2)
            epsilon_again, u_again = again.parts["object"].chunk(2)
            au, b0 = self._decode([a_again, b_again], [u_again, self._vanished(epsilon_again)])
            epsilon = torch.cat([epsilon, epsilon_again])
        else:
            own = self._vanished(epsilon)
            backgrounds, objects = [a, a, b, b], [u, zero, u, own]
            if self.config.strength_weight > 0:
                some = slice(0, (len(u) + 1) // 2)
                strengths = together.rand(len(u[some]), 1, 1, 1, device=u.device)
                backgrounds.append(b[some])
                objects.append(u[some] * strengths)
            au, a0, bu, b0, *rest = self._decode(backgrounds, objects)
            between = rest[0] if rest else None
        return Children(parent_with, parent_without, au, a0, bu, b0, u, epsilon, between, strengths)

    def _vanished(self, epsilon: Tensor) -> Tensor:
        """Return 0 for most pictures and their own ε for the configured share."""
        share = self.config.own_epsilon
        if share == 0:
            return torch.zeros_like(epsilon)
        kept = together.rand(len(epsilon), 1, 1, 1, device=epsilon.device) < share
        return epsilon * kept

    def _decode(self, backgrounds: list[Tensor], objects: list[Tensor]) -> tuple[Tensor, ...]:
        latents = Latents({"background": torch.cat(backgrounds), "object": torch.cat(objects)})
        return self.model.decode(latents).split([len(part) for part in backgrounds])

    def _critics_update(self, children: Children) -> Update:
        """Tell parents from crossbreeds, each critic on its own side (Eq. 4)."""
        fakes = (fake.detach() for fake in self._judged(children))
        parents = (children.parent_with, children.parent_without)
        showing, plain, fake_showing, fake_plain = map(self._shown, (*parents, *fakes))
        sides = {
            "critic_with": (self.critic_with, showing, fake_showing, plain),
            "critic_without": (self.critic_without, plain, fake_plain, showing),
        }
        weight, seen = self.config.mismatch_weight, list[Tensor]()
        terms = {
            name: matching_critic_loss(self.adversarial, *side, weight, seen.append)
            for name, side in sides.items()
        }
        told = _detached(terms)
        if self.augmentation is not None:
            self.augmentation.observe(torch.cat(seen))
            told["augmentation"] = self.augmentation.probability.clone()
        return Update("critics", sum(terms.values(), torch.zeros(())), told)

    def _generator_update(self, children: Children) -> Update:
        """Weigh the losses of the generator (Eq. 3)."""
        config = self.config
        fake_showing, fake_plain = map(self._shown, self._judged(children))
        terms = {
            "reconstruction": F.l1_loss(children.au, children.parent_with)
            + F.l1_loss(children.b0, children.parent_without),
            "adversarial": self.adversarial.generator(self.critic_with(fake_showing))
            + self.adversarial.generator(self.critic_without(fake_plain)),
            "nulling": self._nulling(children),
            "parallelogram": parallelogram(children),
            "locality": locality(children),
            "strength": proportion(children),
            "consistency": self._consistency(children),
        }
        weights = {
            "reconstruction": config.reconstruction_weight,
            "adversarial": config.adversarial_weight,
            "nulling": config.nulling_weight,
            "parallelogram": config.parallelogram_weight,
            "locality": config.locality_weight,
            "strength": config.strength_weight,
            "consistency": config.consistency_weight,
        }
        loss = sum((weights[name] * term for name, term in terms.items()), torch.zeros(()))
        return Update("generator", loss, _detached(terms))

    def _judged(self, children: Children) -> tuple[Tensor, Tensor]:
        """Pick what each critic judges: crossbreeds, the last ones replaced by reproductions."""
        crossbreeds = len(children.bu) - round(len(children.bu) * self.config.judged_reproductions)
        showing = torch.cat([children.bu[:crossbreeds], children.au[crossbreeds:]])
        plain = torch.cat([children.a0[:crossbreeds], children.b0[crossbreeds:]])
        return showing, plain

    def _shown(self, images: Tensor) -> Tensor:
        """Return what a critic is shown of pictures."""
        # Random numbers are drawn where the pictures are.
        with images.device:
            if self.config.augmented_critics:
                return jitter_light(jitter_place(images))
            return images if self.augmentation is None else self.augmentation(images)

    def _nulling(self, children: Children) -> Tensor:
        """Measure what is left of the object where there is none (Eq. 3, L_ε)."""
        left = together.mean(children.epsilon.abs())
        return left / together.mean(children.u.abs()) if self.config.relative_nulling else left

    def _consistency(self, children: Children) -> Tensor:
        """Ask that the encoder finds in crossbreeds what was put into them; 0 where it is off."""
        if self.config.consistency_weight == 0:
            return torch.zeros((), device=children.bu.device)
        crossbreeds = self.model.encode(torch.cat([children.bu, children.a0]))
        given, left = crossbreeds.parts["object"].chunk(2)
        u = children.u.detach()
        missed = together.mean((given - u).abs()) + together.mean(left.abs())
        return missed / together.mean(u.abs())

    def _critic_steps(self, step: int) -> int:
        every = self.config.burst_every
        return self.config.burst if every and step % every == 0 else 1

    def _clip(self) -> None:
        if self.config.clip > 0:
            clip_parameters(self.critic_with, self.config.clip)
            clip_parameters(self.critic_without, self.config.clip)


def parallelogram(children: Children) -> Tensor:
    """Ask that what leaves A is what arrives on B, pixel by pixel (Eq. 5)."""
    parents = children.parent_with + children.parent_without
    return F.l1_loss(parents, children.a0 + children.bu)


def locality(children: Children) -> Tensor:
    """Measure what a crossbreed changes; reproductions are the yardstick and do not move."""
    added = F.l1_loss(children.bu, children.b0.detach())
    return added + F.l1_loss(children.a0, children.au.detach())


def proportion(children: Children) -> Tensor:
    """Ask that a transplant at strength s shows s of the change; 0 where it was not decoded."""
    if children.between is None or children.strengths is None:
        return torch.zeros((), device=children.bu.device)
    count = len(children.between)
    target = torch.lerp(children.b0[:count], children.bu[:count], children.strengths)
    return F.l1_loss(children.between, target.detach())


def _detached(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: term.detach() for name, term in terms.items()}


def stages(config: GeneGANConfig, spec: DataSpec) -> tuple[GradientStage, ...]:
    """Describe GeneGAN's one stage of training."""
    if config.recipe == "hinge":
        optimizer = OptimizerConfig("adam", config.lr, (0.5, 0.999))
    else:
        # The reference code decays RMSProp's squared gradients at 0.8.
        optimizer = OptimizerConfig("rmsprop", config.lr, (0.0, 0.8))
    return (
        GradientStage(
            name="children",
            objective=lambda model: GeneGANObjective(model, config, spec),
            optimizers={"critics": optimizer, "generator": optimizer},
            sampling="contrast",
            attribute=config.attribute,
            averaging=config.averaging,
            decay=config.decay,
            flip=config.flip,
        ),
    )


METHOD = Method(
    name="genegan",
    title="GeneGAN",
    citation="Zhou et al., GeneGAN: Learning Object Transfiguration and Attribute Subspace from "
    "Unpaired Data, BMVC 2017",
    summary="Swaps, removes and blends one object, such as eyeglasses, between pictures.",
    operations=frozenset({Operation.SWAP, Operation.TRANSFER, Operation.INTERPOLATE}),
    config=GeneGANConfig,
    tiny=replace(GeneGANConfig.from_dict({"recipe": "hinge"}), width=4),
    model=GeneGAN,
    stages=stages,
)
