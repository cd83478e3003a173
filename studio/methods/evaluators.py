"""Evaluators: the studio's measuring instruments, trained apart from every method.

``attributes`` reads 40 attributes off a face (binary cross-entropy, weighted so that no attribute
stands in for another one that edits change); ``identity`` embeds faces so
that one person's pictures point the same way (Wang et al., "CosFace: Large Margin Cosine Loss for
Deep Face Recognition", CVPR 2018) and lends its features to distances; ``eyes`` finds the eyes in
a rough crop. None of them ever enters the loss of a method that it measures.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio.data.batch import Batch, DataSpec
from studio.data.folder import CELEBA_EYES
from studio.errors import ConfigError
from studio.losses import attribute_cross_entropy
from studio.methods.base import (
    Config,
    Evaluator,
    GradientStage,
    Method,
    Objective,
    Operation,
    OptimizerConfig,
    Update,
)
from studio.nn.augmentation import cover, degrade, jitter_crop, jitter_light, jitter_place
from studio.nn.blocks import Residual
from studio.nn.networks import ResidualTrunk

# Corners of the padded picture at which the moved copies begin; (1, 1) is the picture itself.
_SHIFTS = ((1, 1), (0, 0), (0, 2), (2, 0), (2, 2))
# How many pictures one picture of a rare combination may count for.
_MOST_WEIGHT = 8.0


@dataclass(frozen=True)
class EvaluatorConfig(Config):
    """Settings of an evaluator.

    Attributes:
        width: Channels after the first layer; the last has eight times as many.
        lr: Learning rate of Adam.
        weight_decay: Decoupled.
        averaging: Decay of the averaged weights.
        spoil: What pictures go through in training, separated by commas, of ``place`` (moved and
            scaled), ``light``, ``quality`` (blur, noise, compression) and ``cover`` (a patch
            erased). For ``attributes``.
        flip: Mirror training pictures at random.
        independent_of: Attributes, separated by commas, that the others must not be guessed from:
            in the training data people with eyeglasses wear less make-up, and a classifier that
            uses this reports lost make-up wherever an edit puts eyeglasses on. For ``attributes``.
        identities: Persons in the training set, for ``identity`` only.
        margin: CosFace's m, for ``identity`` only.
        scale: CosFace's s, for ``identity`` only.
    """

    width: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-2
    averaging: float = 0.998
    spoil: str = "place,light,quality,cover"
    flip: bool = True
    independent_of: str = ""
    identities: int = 8192
    margin: float = 0.2
    scale: float = 24.0


class AttributeClassifier(Evaluator):
    """Logits of the attributes in the order of ``DataSpec.attributes``."""

    def __init__(self, config: EvaluatorConfig, spec: DataSpec) -> None:
        super().__init__()
        self.trunk = ResidualTrunk(config.width)
        self.head = nn.Linear(self.trunk.out_features, len(spec.attributes))

    def forward(self, images: Tensor) -> Tensor:
        """Read the attributes off images.

        Args:
            images: (B, 3, H, W) in [-1, 1].

        Returns:
            (B, A) logits; outside training the mean over the picture, copies moved by a pixel and
            their mirror images, because strided convolutions alone jump from pixel to pixel.
        """
        if self.training:
            return self.head(self.trunk(images)).float()
        views = _views(images)
        return self.head(self.trunk(views)).float().unflatten(0, (-1, len(images))).mean(0)

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """Return the maps after the first layer and after each block, for perceptual losses.

        Args:
            images: (B, 3, H, W) in [-1, 1].

        Returns:
            Four tensors (B, C, H / 2^k, W / 2^k), C growing.
        """
        maps, features = [], images
        # The trunk ends in pooling and flattening, which keep no places.
        for layer in list(self.trunk)[:-2]:
            features = layer(features)
            if isinstance(layer, nn.ReLU | Residual):
                maps.append(features)
        return maps


def _views(images: Tensor) -> Tensor:
    """Return (10 B, 3, H, W): the pictures, moved by one pixel four ways, and all mirrored."""
    height, width = images.shape[2:]
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    moved = [padded[:, :, y : y + height, x : x + width] for y, x in _SHIFTS]
    return torch.cat([*moved, *(view.flip(3) for view in moved)])


class IdentityEmbedder(Evaluator):
    """Unit vectors whose inner product tells how alike two faces are."""

    def __init__(self, config: EvaluatorConfig, spec: DataSpec) -> None:
        super().__init__()
        del spec
        self.trunk = ResidualTrunk(config.width)
        self.head = nn.Linear(self.trunk.out_features, 128)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) in [-1, 1] to (B, 128) unit vectors."""
        return F.normalize(self.head(self.trunk(images)).float(), dim=1)

    def features(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) to the (B, 8 width) features that distances are taken in."""
        return self.trunk(images).float()


class EyeRegressor(Evaluator):
    """Positions of both eyes in a rough crop, with their uncertainty."""

    def __init__(self, config: EvaluatorConfig, spec: DataSpec) -> None:
        super().__init__()
        trunk = ResidualTrunk(config.width)
        cells = (spec.size // 16) ** 2
        # Pooling would forget where the eyes are, so the last feature map is read whole.
        self.trunk = nn.Sequential(*list(trunk)[:-2], nn.Flatten())
        self.head = nn.Sequential(
            nn.Linear(trunk.out_features * cells, 128), nn.ReLU(inplace=True), nn.Linear(128, 5)
        )
        self.register_buffer("usual", torch.tensor([*CELEBA_EYES[0], *CELEBA_EYES[1]]))

    def forward(self, images: Tensor) -> Tensor:
        """Read the eyes off crops.

        Args:
            images: (B, 3, S, S) in [-1, 1], S as in the data description.

        Returns:
            (B, 5): x and y of the left and of the right eye as fractions of the crop, and the
            logarithm of the distance, in the same fractions, by which they are off on average.
        """
        raw = self.head(self.trunk(images)).float()
        return torch.cat([self.usual + raw[:, :4] / 4, raw[:, 4:] - 3], dim=1)


class RecognitionObjective(Objective):
    """One evaluator as the only player."""

    def __init__(self, model: Evaluator) -> None:
        super().__init__()
        self.model = model

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the one player."""
        return {"evaluator": list(self.model.parameters())}


class AttributeObjective(RecognitionObjective):
    """Binary cross-entropy over the attributes that are known, weighted to make some independent.

    With the shares p of a named attribute g and another one y among the pictures, a picture counts
    for y p(g) p(y) / p(g, y) times: under these weights g says nothing about y (Kamiran and Calders
    2012, "reweighing"), so the classifier has to look at y itself.
    """

    shares: Tensor
    seen: Tensor

    def __init__(self, model: Evaluator, config: EvaluatorConfig, spec: DataSpec) -> None:
        """Prepare the shares.

        Raises:
            ConfigError: ``independent_of`` names an attribute that the data does not have, or
                ``spoil`` names no way to spoil pictures.
        """
        super().__init__(model)
        self.ways = _ways(config.spoil)
        names = [name for name in config.independent_of.split(",") if name]
        unknown = sorted(set(names) - set(spec.attributes))
        if unknown:
            raise ConfigError(
                f"independent_of names {unknown[0]!r}; the data has {', '.join(spec.attributes)}."
            )
        self.named = [spec.attributes.index(name) for name in names]
        # (G, A, 2, 2): shares of the pictures by values of a named attribute and of each one, and
        # (G, A): of how many pictures. Shares, not counts: checkpoints keep them in half precision.
        columns = (len(names), len(spec.attributes))
        self.register_buffer("shares", torch.full((*columns, 2, 2), 0.25))
        self.register_buffer("seen", torch.full(columns, 4))

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Classify one batch."""
        batch = next(batches)
        images = batch.images
        # Random numbers are drawn where the pictures are.
        with images.device:
            for way in self.ways:
                images = way(images)
        logits = self.model(images)
        known = batch.attributes >= 0
        loss = attribute_cross_entropy(logits, batch.attributes, self._weights(batch.attributes))
        accuracy = ((logits > 0) == (batch.attributes == 1))[known].float().mean()
        yield Update("evaluator", loss, {"loss": loss.detach(), "accuracy": accuracy})

    def _weights(self, attributes: Tensor) -> Tensor:
        """Note a batch's shares and return (B, A) weights for its labels."""
        weights = torch.ones(attributes.shape, device=attributes.device)
        value = attributes.clamp_min(0)
        every = torch.arange(attributes.shape[1], device=attributes.device)
        for place, column in enumerate(self.named):
            given = value[:, column, None]
            both = (attributes >= 0) & (attributes[:, column, None] >= 0)
            self._note(place, F.one_hot(2 * given + value, 4) * both[:, :, None], both.sum(0))
            ratio = _independence(self.shares[place])
            # An attribute cannot be independent of itself.
            ratio[column] = 1
            weights = weights * torch.where(both, ratio[every, given, value], 1)
        return weights.clamp_max(_MOST_WEIGHT)

    def _note(self, place: int, pairs: Tensor, known: Tensor) -> None:
        """Take (B, A, 4) pairs of values into the mean over all (A,) known pictures so far."""
        self.seen[place] += known
        new = pairs.float().sum(0) / known.clamp_min(1)[:, None]
        rate = (known / self.seen[place])[:, None, None]
        self.shares[place] += rate * (new.unflatten(1, (2, 2)) - self.shares[place])


def _ways(names: str) -> list[Callable[[Tensor], Tensor]]:
    """Return functions by their names, in the order in which they follow each other."""
    known = {"place": jitter_place, "light": jitter_light, "quality": degrade, "cover": cover}
    asked = [name for name in names.split(",") if name]
    unknown = sorted(set(asked) - known.keys())
    if unknown:
        raise ConfigError(f"spoil names {unknown[0]!r}; there are {', '.join(known)}.")
    return [way for name, way in known.items() if name in asked]


def _independence(shares: Tensor) -> Tensor:
    """Return p(g) p(y) / p(g, y) for shares p(g, y) in (A, 2, 2)."""
    expected = shares.sum(2, keepdim=True) * shares.sum(1, keepdim=True)
    return expected / shares.clamp_min(1e-6)


class IdentityObjective(Objective):
    """Large margin cosine loss over the training set's persons (CosFace, Eq. 4)."""

    def __init__(self, model: Evaluator, config: EvaluatorConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.persons = nn.Parameter(torch.randn(config.identities, 128) * 0.01)

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the one player: the embedder with the persons' prototypes."""
        return {"evaluator": [*self.model.parameters(), self.persons]}

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Recognize the persons of one batch."""
        batch = next(batches)
        known = (batch.identity >= 0) & (batch.identity < self.config.identities)
        if not bool(known.all()):
            raise ConfigError(
                f"The data has persons without a number below identities={self.config.identities}; "
                "set identities to at least the number of persons, and give every picture one."
            )
        with batch.images.device:
            images = jitter_light(batch.images)
        embedded = self.model(images)
        cosines = (embedded @ F.normalize(self.persons, dim=1).T).float()
        margin = self.config.margin * F.one_hot(batch.identity, self.config.identities)
        loss = F.cross_entropy(self.config.scale * (cosines - margin), batch.identity)
        yield Update("evaluator", loss, {"loss": loss.detach()})


class EyeObjective(RecognitionObjective):
    """Laplace likelihood of the eyes in crops that are moved, scaled, turned and degraded."""

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Find the eyes of one jittered batch."""
        batch = next(batches)
        with batch.images.device:
            images, eyes = jitter_crop(batch.images, batch.eyes)
            images = cover(degrade(jitter_light(images)))
        outputs = self.model(images)
        error = (outputs[:, :4].reshape(-1, 2, 2) - eyes).norm(dim=2).mean(1)
        log_scale = outputs[:, 4]
        loss = (error * torch.exp(-log_scale) + log_scale).mean()
        terms = {"loss": loss.detach(), "error": error.median().detach()}
        yield Update("evaluator", loss, terms)


def evaluator_stage(
    config: EvaluatorConfig, objective: Callable[[Any], Objective]
) -> GradientStage:
    """Return the one stage of an evaluator."""
    return GradientStage(
        name="recognition",
        objective=objective,
        optimizers={
            "evaluator": OptimizerConfig("adam", config.lr, (0.9, 0.999), config.weight_decay)
        },
        averaging=config.averaging,
        decay=0.5,
        flip=config.flip,
    )


def _attribute_stages(config: EvaluatorConfig, spec: DataSpec) -> tuple[GradientStage, ...]:
    return (evaluator_stage(config, lambda model: AttributeObjective(model, config, spec)),)


def _identity_stages(config: EvaluatorConfig, spec: DataSpec) -> tuple[GradientStage, ...]:
    return (evaluator_stage(config, lambda model: IdentityObjective(model, config)),)


def _eye_stages(config: EvaluatorConfig, spec: DataSpec) -> tuple[GradientStage, ...]:
    return (evaluator_stage(config, EyeObjective),)


def evaluator_method(
    name: str,
    title: str,
    summary: str,
    model: type[Evaluator],
    stages: Callable[[Any, DataSpec], tuple[GradientStage, ...]],
) -> Method:
    """Return the table entry of an evaluator."""
    return Method(
        name=name,
        title=title,
        citation="Latent Studio's own evaluator",
        summary=summary,
        operations=frozenset({Operation.EVALUATE}),
        config=EvaluatorConfig,
        tiny=EvaluatorConfig(width=4, identities=64),
        model=model,
        stages=stages,
    )


ATTRIBUTES = evaluator_method(
    "attributes",
    "Attribute classifier",
    "Reads attributes such as eyeglasses or a smile off a face.",
    AttributeClassifier,
    _attribute_stages,
)
IDENTITY = evaluator_method(
    "identity",
    "Identity and features",
    "Tells how alike two faces are.",
    IdentityEmbedder,
    _identity_stages,
)
EYES = evaluator_method(
    "eyes",
    "Eye regressor",
    "Finds the eyes in a rough crop of a face.",
    EyeRegressor,
    _eye_stages,
)
