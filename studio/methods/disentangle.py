"""Disentangled parts: one encoder for each attribute, and one for the rest.

Oldfield, Panagakis, Nicolaou: "Adversarial Learning of Disentangled and Generalizable
Representations of Visual Attributes", IEEE TNNLS 2021.

Every encoder keeps what its own attribute says (identity, expression, light) and nothing of what
the others do; a decoder joins any combination. So parts of several pictures make one new picture,
and the intensity of an expression travels with it, without a label at the time of use.

Symbols:
    E_k, z_k: encoder and latent of attribute k; E_0, z_0: of what no attribute explains.
    D: decoder. C_j: classifier of attribute j. D_adv: the critic.
    r_k: a permutation of the batch, of its own for each attribute (Eq. 5).

Departures from the paper:
    The width is a setting: the paper's 32 is for a large GPU.
    Pictures are decoded by doubling the resolution and a convolution of stride 1, where the paper
    resizes by four and takes stride 2.
    The three players take turns, where the reference code moves them in one run of the graph.
    The averaged weights are shipped. Training pictures are not mirrored: gaze and light have sides.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.latents import Latents
from studio.losses import WassersteinLoss, gradient_penalty
from studio.methods.base import (
    Config,
    FitStage,
    GradientStage,
    LatentModel,
    Method,
    Objective,
    Operation,
    OptimizerConfig,
    Stage,
    Update,
)
from studio.nn.blocks import InstanceResidual, down, instance_norm
from studio.nn.mixed import Conv2d, UpsampledConv2d

REST = "rest"
# Mean latents are kept of attributes with at most so many classes: expressions, not persons.
MOST_MEANS = 16
_SLOPE = 0.01


@dataclass(frozen=True)
class DisentangleConfig(Config):
    """Settings; the defaults are the paper's and its reference code's.

    Attributes:
        parts: The attributes, names of columns of classes separated by commas; at least two.
        width: Channels after an encoder's first layer; a latent has four times as many.
        blocks: Residual blocks of the decoder.
        critic_width: Channels after the critic's first layer.
        critic_levels: Convolutions of stride 2 in the critic.
        reconstruction_weight: Of the mean absolute difference (Eq. 2).
        classification_weight: Of the latents' classification (Eq. 3).
        disentanglement_weight: Of the uniform posteriors (Eq. 4); 0 is the ablation.
        transfer_weight: Of the classification of shuffled pictures (Eq. 6).
        adversarial_weight: Of the critic's verdict (Eq. 7).
        penalty_weight: Of the gradient penalty (Eq. 9).
        lr: Learning rate of Adam, of all players.
        averaging: Decay of the averaged weights; 0 ships the raw ones.
        decay: Last fraction of the run over which the learning rate falls to 0.
    """

    parts: str = "identity,expression"
    width: int = 32
    blocks: int = 6
    critic_width: int = 64
    critic_levels: int = 6
    reconstruction_weight: float = 10.0
    classification_weight: float = 1.0
    disentanglement_weight: float = 1.0
    transfer_weight: float = 1.0
    adversarial_weight: float = 1.0
    penalty_weight: float = 10.0
    lr: float = 1e-4
    averaging: float = 0.998
    decay: float = 1 / 3

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes' names."""
        return tuple(name.strip() for name in self.parts.split(",") if name.strip())


class Disentangle(LatentModel):
    """One encoder per attribute, one for the rest, and the decoder that joins them (Eq. 1)."""

    def __init__(self, config: DisentangleConfig, spec: DataSpec) -> None:
        """Build the networks.

        Raises:
            ConfigError: There are fewer than two attributes, the data does not have one or knows
                one value of it only, or the picture size does not suit.
        """
        super().__init__()
        self.classes = _classes(config, spec)
        unit = 2 ** max(2, config.critic_levels)
        if spec.size % unit:
            raise ConfigError(
                f"The networks need a picture size that {unit} divides, not {spec.size}."
            )
        width = config.width
        self.parts = (*self.classes, REST)
        self.encoders = nn.ModuleDict({name: _encoder(width) for name in self.parts})
        self.decoder = _decoder(width, len(self.parts), config.blocks)
        shape = (4 * width, spec.size // 4, spec.size // 4)
        for name, values in self.classes.items():
            if len(values) <= MOST_MEANS:
                self.register_buffer(f"mean_{name}", torch.zeros(len(values), *shape))

    def encode(self, images: Tensor) -> Latents:
        """Encode (B, 3, H, W) images in [-1, 1]; every part is (B, 4 W, H / 4, W / 4)."""
        return Latents({name: encoder(images) for name, encoder in self.encoders.items()})

    def decode(self, latents: Latents) -> Tensor:
        """Decode parts, which may come from several pictures, to (B, 3, H, W) in [-1, 1]."""
        joined = torch.cat([latents.parts[name] for name in self.parts], dim=1)
        return torch.tanh(self.decoder(joined).float())

    def means(self) -> dict[str, tuple[str, ...]]:
        """Return the classes whose mean latents are kept, by part."""
        return {
            name: values for name, values in self.classes.items() if hasattr(self, f"mean_{name}")
        }

    def mean(self, part: str, value: str) -> Tensor:
        """Return the mean latent of a class (section IV-C), (1, C, H, W).

        Raises:
            ConfigError: The model keeps none of that part, or does not know the value.
        """
        values = self.classes.get(part, ())
        means = getattr(self, f"mean_{part}", None)
        if means is None or value not in values:
            raise ConfigError(
                f"The model knows no {part} {value!r}; it knows {', '.join(values) or 'none'}."
            )
        place = values.index(value)
        return means[place : place + 1]


def _classes(config: DisentangleConfig, spec: DataSpec) -> dict[str, tuple[str, ...]]:
    known = dict(spec.classes)
    missing = [name for name in config.names if name not in known]
    if missing:
        raise ConfigError(
            f"parts names {missing[0]!r}, which is no column with at least two values in the "
            f"training part; the data has {', '.join(known) or 'none of those named'}."
        )
    if len(config.names) < 2:
        raise ConfigError(
            f"parts names {len(config.names)} attribute; at least two are needed, because each is "
            "what the others must not show."
        )
    return {name: known[name] for name in config.names}


def _layer(convolution: nn.Module, channels: int) -> list[nn.Module]:
    return [convolution, instance_norm(channels), nn.ReLU(inplace=True)]


def _encoder(width: int) -> nn.Sequential:
    """Build an encoder (Table I): 7x7, then two of stride 2."""
    return nn.Sequential(
        nn.ReflectionPad2d(3),
        *_layer(Conv2d(3, width, 7, bias=False), width),
        *_layer(Conv2d(width, 2 * width, 3, 2, 1, bias=False), 2 * width),
        *_layer(Conv2d(2 * width, 4 * width, 3, 2, 1, bias=False), 4 * width),
    )


def _decoder(width: int, parts: int, blocks: int) -> nn.Sequential:
    """Build the decoder (Table I): residual blocks on all parts, then twice to double the size."""
    joined = 4 * width * parts
    return nn.Sequential(
        *(InstanceResidual(joined) for _ in range(blocks)),
        *_layer(UpsampledConv2d(joined, 2 * width, bias=False), 2 * width),
        *_layer(UpsampledConv2d(2 * width, width, bias=False), width),
        nn.ReflectionPad2d(3),
        Conv2d(width, 3, 7),
    )


class LatentClassifier(nn.Module):
    """A classifier of pictures that latents enter at its penultimate layer (Table II)."""

    def __init__(self, width: int, size: int, values: int) -> None:
        """Build it.

        Args:
            width: Of the encoders, whose latents have the shape of its features.
            size: Of the pictures in pixels.
            values: Number of classes.
        """
        super().__init__()
        self.features = nn.Sequential(
            down(3, 2 * width, "none", _SLOPE), down(2 * width, 4 * width, "none", _SLOPE)
        )
        self.head = nn.Linear(4 * width * (size // 4) ** 2, values)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) images to (B, M) logits."""
        return self.read(self.features(images))

    def read(self, latents: Tensor) -> Tensor:
        """Map (B, 4 W, H / 4, W / 4) latents or features to (B, M) logits."""
        logits: Tensor = self.head(latents.flatten(1)).float()
        return logits


class PatchCritic(nn.Module):
    """The deeper PatchGAN: strided convolutions, and a score for each patch."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        channels = [min(width * 2**level, 16 * width) for level in range(levels)]
        layers = [
            down(a, b, "none", _SLOPE) for a, b in zip([3, *channels], channels, strict=False)
        ]
        self.trunk = nn.Sequential(*layers)
        self.patches = Conv2d(channels[-1], 1, 3, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B,) mean scores."""
        scores: Tensor = self.patches(self.trunk(images)).float().flatten(1).mean(1)
        return scores


class DisentangleObjective(Objective):
    """The full objective of critic, classifiers and autoencoder (Eq. 8)."""

    model: Disentangle

    def __init__(self, model: Disentangle, config: DisentangleConfig, spec: DataSpec) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.critic = PatchCritic(config.critic_width, config.critic_levels)
        self.classifiers = nn.ModuleDict(
            {
                name: LatentClassifier(config.width, spec.size, len(values))
                for name, values in model.classes.items()
            }
        )
        self.adversarial = WassersteinLoss()

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the three players."""
        return {
            "critic": list(self.critic.parameters()),
            "classifiers": list(self.classifiers.parameters()),
            "generator": list(self.model.parameters()),
        }

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Move the critic, the classifiers, then encoders and decoder, on one batch."""
        batch = next(batches)
        labels = self._labels(batch)
        latents = self.model.encode(batch.images)
        shuffled, wanted = self.shuffle(latents, labels)
        made = self.model.decode(shuffled)
        yield self._critic_update(batch.images, made.detach())
        yield self._classifiers_update(batch.images, labels)
        yield self._generator_update(batch.images, latents, labels, made, wanted)

    def _labels(self, batch: Batch) -> dict[str, Tensor]:
        if batch.classes is None:
            raise ValueError("The batch has no classes.")
        return dict(zip(self.model.classes, batch.classes.unbind(1), strict=True))

    def shuffle(
        self, latents: Latents, labels: dict[str, Tensor]
    ) -> tuple[Latents, dict[str, Tensor]]:
        """Shuffle each attribute's latents along the batch, the rest stays (Eq. 5).

        Returns:
            The latents, and the labels that pictures of them should have.
        """
        count = len(latents)
        orders = {name: torch.randperm(count, device=labels[name].device) for name in labels}
        moved = {name: latents.parts[name][order] for name, order in orders.items()}
        return latents.replace(**moved), {name: labels[name][orders[name]] for name in labels}

    def _critic_update(self, real: Tensor, made: Tensor) -> Update:
        """Tell real pictures from shuffled ones (Eq. 7, 9)."""
        game = self.adversarial.critic(self.critic(real), self.critic(made))
        penalty = gradient_penalty(self.critic, real, made)
        loss = game + self.config.penalty_weight * penalty
        return Update("critic", loss, {"critic": game.detach(), "penalty": penalty.detach()})

    def _classifiers_update(self, images: Tensor, labels: dict[str, Tensor]) -> Update:
        """Read the attributes off real pictures."""
        losses = [_likelihood(self.classifiers[name](images), labels[name]) for name in labels]
        loss = torch.stack(losses).mean()
        return Update("classifiers", loss, {"recognition": loss.detach()})

    def _generator_update(
        self,
        images: Tensor,
        latents: Latents,
        labels: dict[str, Tensor],
        made: Tensor,
        wanted: dict[str, Tensor],
    ) -> Update:
        """Weigh the losses of encoders and decoder (Eq. 2 to 7)."""
        config = self.config
        fooled = self.adversarial.generator(self.critic(made))
        own = [self._read(name, latents.parts[name], labels[name]) for name in labels]
        arrived = [_likelihood(self.classifiers[name](made), wanted[name]) for name in labels]
        terms = {
            "reconstruction": F.l1_loss(self.model.decode(latents), images),
            "classification": torch.stack(own).mean(),
            "disentanglement": self.disentanglement(latents),
            "transfer": torch.stack(arrived).mean(),
            "adversarial": fooled,
        }
        loss = sum(
            (getattr(config, f"{name}_weight") * term for name, term in terms.items()),
            torch.zeros(()),
        )
        return Update("generator", loss, {name: term.detach() for name, term in terms.items()})

    def _read(self, name: str, latent: Tensor, labels: Tensor) -> Tensor:
        """Ask that an attribute is read off its own latent (Eq. 3)."""
        return _likelihood(self.classifier(name).read(latent), labels)

    def classifier(self, name: str) -> LatentClassifier:
        """Return the classifier of an attribute."""
        return cast(LatentClassifier, self.classifiers[name])

    def disentanglement(self, latents: Latents) -> Tensor:
        """Ask that every other latent gives each attribute uniform posteriors (Eq. 4).

        Returns:
            Scalar: mean cross-entropy to the uniform distribution, less its least value, which is
            the entropy of that; 0 where all posteriors are uniform.
        """
        losses = []
        for name in self.model.classes:
            for other in self.model.parts:
                if other != name:
                    logits = self.classifier(name).read(latents.parts[other])
                    even = -F.log_softmax(logits, dim=1).mean()
                    losses.append(even - torch.log(torch.tensor(float(logits.shape[1]))))
        return torch.stack(losses).mean()


def _likelihood(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the negative log-likelihood over the pictures whose class is known."""
    known = labels >= 0
    if not known.any():
        return logits.sum() * 0
    return F.cross_entropy(logits[known], labels[known])


@torch.no_grad()
def fit_means(model: Disentangle, batches: Iterable[Batch]) -> None:
    """Average the latents of each class, the expected latent of a label (section IV-C)."""
    kept: dict[str, Tensor] = {
        name: getattr(model, f"mean_{name}")
        for name in model.classes
        if hasattr(model, f"mean_{name}")
    }
    sums = {name: torch.zeros_like(means) for name, means in kept.items()}
    counts = {name: torch.zeros(len(means), device=means.device) for name, means in kept.items()}
    names = list(model.classes)
    for batch in batches:
        if batch.classes is None:
            raise ValueError("The batch has no classes.")
        latents = model.encode(batch.images)
        for name in kept:
            labels = batch.classes[:, names.index(name)]
            known = labels >= 0
            sums[name].index_add_(0, labels[known], latents.parts[name][known].float())
            counts[name].index_add_(0, labels[known], torch.ones_like(labels[known].float()))
    for name, means in kept.items():
        means.copy_(sums[name] / counts[name].clamp_min(1)[:, None, None, None])


def stages(config: DisentangleConfig, spec: DataSpec) -> tuple[Stage, ...]:
    """Describe the one stage of training and the mean latents behind it."""
    adam = OptimizerConfig("adam", config.lr, (0.5, 0.999))
    return (
        GradientStage(
            name="parts",
            objective=lambda model: DisentangleObjective(model, config, spec),
            optimizers={"critic": adam, "classifiers": adam, "generator": adam},
            averaging=config.averaging,
            decay=config.decay,
            flip=False,
        ),
        FitStage("means", fit_means),
    )


METHOD = Method(
    name="disentangle",
    title="Disentangled parts",
    citation="Oldfield, Panagakis, Nicolaou, Adversarial Learning of Disentangled and "
    "Generalizable Representations of Visual Attributes, IEEE TNNLS 2021",
    summary="Takes identity, expression, light and other parts of pictures one by one.",
    operations=frozenset({Operation.TRANSFER, Operation.INTERPOLATE}),
    config=DisentangleConfig,
    tiny=replace(
        DisentangleConfig(),
        parts="expression,eyeglasses_kind",
        width=4,
        blocks=1,
        critic_width=4,
        critic_levels=3,
        lr=1e-3,
    ),
    model=Disentangle,
    stages=stages,
    classes=lambda config: config.names,
)
