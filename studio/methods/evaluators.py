"""Evaluators: the studio's measuring instruments, trained apart from every method.

``attributes`` reads 40 attributes off a face (binary cross-entropy); ``identity`` embeds faces so
that one person's pictures point the same way (Wang et al., "CosFace: Large Margin Cosine Loss for
Deep Face Recognition", CVPR 2018) and lends its features to distances; ``eyes`` finds the eyes in
a rough crop. None of them ever enters the loss of a method that it measures.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio.data.batch import Batch, DataSpec
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
from studio.nn.mixed import Conv2d
from studio.nn.networks import ResidualTrunk


@dataclass(frozen=True)
class EvaluatorConfig(Config):
    """Settings of an evaluator.

    Attributes:
        width: Channels after the first layer; the last has eight times as many.
        lr: Learning rate of Adam.
        weight_decay: Decoupled.
        averaging: Decay of the averaged weights.
        identities: Persons in the training set, for ``identity`` only.
        margin: CosFace's m, for ``identity`` only.
        scale: CosFace's s, for ``identity`` only.
    """

    width: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-2
    averaging: float = 0.998
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
        """Map (B, 3, H, W) in [-1, 1] to (B, A) logits."""
        return self.head(self.trunk(images)).float()


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
    """Positions of both eyes in a crop, with their uncertainty."""

    def __init__(self, config: EvaluatorConfig, spec: DataSpec) -> None:
        super().__init__()
        del spec
        width = config.width
        trunk = list(ResidualTrunk(width))[:-2]
        self.trunk = nn.Sequential(*trunk, Conv2d(8 * width, width, 1), nn.Flatten())
        self.head = nn.Sequential(
            nn.Linear(16 * width, 4 * width), nn.ReLU(inplace=True), nn.Linear(4 * width, 5)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Read the eyes off crops.

        Args:
            images: (B, 3, 64, 64) in [-1, 1].

        Returns:
            (B, 5): x and y of the left and of the right eye as fractions of the crop, and the
            logarithm of their expected error (Laplace scale) as a fraction of the crop.
        """
        return self.head(self.trunk(images)).float()


class AttributeObjective(Objective):
    """Binary cross-entropy over the attributes that are known."""

    def __init__(self, model: Evaluator) -> None:
        super().__init__()
        self.model = model

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the one player."""
        return {"evaluator": list(self.model.parameters())}

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Classify one batch."""
        batch = next(batches)
        logits = self.model(jitter_light(batch.images))
        known = batch.attributes >= 0
        losses = F.binary_cross_entropy_with_logits(
            logits, batch.attributes.clamp_min(0).float(), reduction="none"
        )
        loss = (losses * known).sum() / known.sum().clamp_min(1)
        accuracy = ((logits > 0) == (batch.attributes == 1))[known].float().mean()
        yield Update("evaluator", loss, {"loss": loss.detach(), "accuracy": accuracy})


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
        embedded = self.model(jitter_light(batch.images))
        cosines = (embedded @ F.normalize(self.persons, dim=1).T).float()
        margin = self.config.margin * F.one_hot(batch.identity, self.config.identities)
        loss = F.cross_entropy(self.config.scale * (cosines - margin), batch.identity)
        yield Update("evaluator", loss, {"loss": loss.detach()})


class EyeObjective(Objective):
    """Laplace likelihood of the eyes in crops that are moved, scaled and turned at random."""

    def __init__(self, model: Evaluator) -> None:
        super().__init__()
        self.model = model

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the one player."""
        return {"evaluator": list(self.model.parameters())}

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Find the eyes of one jittered batch."""
        batch = next(batches)
        images, eyes = jitter_crop(jitter_light(batch.images), batch.eyes)
        outputs = self.model(images)
        error = (outputs[:, :4].reshape(-1, 2, 2) - eyes).norm(dim=2).mean(1)
        log_scale = outputs[:, 4].clamp(-6, 2)
        loss = (error * torch.exp(-log_scale) + log_scale).mean()
        terms = {"loss": loss.detach(), "error": error.mean().detach()}
        yield Update("evaluator", loss, terms)


def jitter_light(images: Tensor) -> Tensor:
    """Vary brightness and contrast and turn some pictures grey, picture by picture.

    Args:
        images: (B, 3, H, W) in [-1, 1].

    Returns:
        As ``images``; gain in [0.7, 1.3], offset in [-0.2, 0.2], one in ten grey.
    """
    count = (len(images), 1, 1, 1)
    gain = 0.7 + 0.6 * torch.rand(count)
    offset = 0.4 * torch.rand(count) - 0.2
    grey = (torch.rand(count) < 0.1).float()
    images = torch.lerp(images, images.mean(1, keepdim=True).expand_as(images), grey)
    return (images * gain + offset).clamp(-1, 1)


def jitter_crop(images: Tensor, eyes: Tensor) -> tuple[Tensor, Tensor]:
    """Move, scale and turn crops at random, and their eyes with them.

    Args:
        images: (B, 3, H, W) in [-1, 1].
        eyes: (B, 2, 2) x and y as fractions of the picture.

    Returns:
        Images and eyes; shifts up to a quarter of the picture, scale in [1/1.6, 1.6], turns up to
        35 degrees, borders reflected.
    """
    count = len(images)
    angle = math.radians(35) * (2 * torch.rand(count) - 1)
    scale = torch.exp(math.log(1.6) * (2 * torch.rand(count) - 1))
    shift = torch.rand(count, 2) - 0.5
    rotation = torch.stack(
        [
            torch.stack([angle.cos(), -angle.sin()], 1),
            torch.stack([angle.sin(), angle.cos()], 1),
        ],
        1,
    )
    # In grid_sample's coordinates, [-1, 1], a point p of the new crop shows scale R p + shift.
    matrix = torch.cat([scale[:, None, None] * rotation, shift[:, :, None]], 2)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    centred = 2 * eyes - 1 - shift[:, None]
    back = torch.einsum("bij,bki->bkj", rotation, centred) / scale[:, None, None]
    return moved, (back + 1) / 2


def _stage(config: EvaluatorConfig, objective: type[Objective] | None) -> GradientStage:
    return GradientStage(
        name="recognition",
        objective=objective if objective else lambda model: IdentityObjective(model, config),
        optimizers={
            "evaluator": OptimizerConfig("adam", config.lr, (0.9, 0.999), config.weight_decay)
        },
        averaging=config.averaging,
        decay=0.5,
    )


def _method(
    name: str, title: str, summary: str, model: type[Evaluator], objective: type[Objective] | None
) -> Method:
    return Method(
        name=name,
        title=title,
        citation="Latent Studio's own evaluator",
        summary=summary,
        operations=frozenset({Operation.EVALUATE}),
        config=EvaluatorConfig,
        tiny=EvaluatorConfig(width=4, identities=16),
        model=model,
        stages=lambda config, spec: (_stage(config, objective),),
    )


ATTRIBUTES = _method(
    "attributes",
    "Attribute classifier",
    "Reads attributes such as eyeglasses or a smile off a face.",
    AttributeClassifier,
    AttributeObjective,
)
IDENTITY = _method(
    "identity",
    "Identity and features",
    "Tells how alike two faces are.",
    IdentityEmbedder,
    None,
)
EYES = _method(
    "eyes",
    "Eye regressor",
    "Finds the eyes in a rough crop of a face.",
    EyeRegressor,
    EyeObjective,
)
