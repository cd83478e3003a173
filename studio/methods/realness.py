"""Realness: an evaluator that tells real pictures from what bad interpolation makes of them.

It learns from pictures alone. Every batch is shown as it is and spoilt: mixed pixel by pixel with
another picture, with a patch of another one, blurred, or noisy. It scores how credible a path is
(AEAI, section 2, condition 4) and takes no part in the training of any method.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio.data.batch import Batch, DataSpec
from studio.methods.base import Evaluator, GradientStage, Update
from studio.methods.evaluators import (
    EvaluatorConfig,
    RecognitionObjective,
    evaluator_method,
    evaluator_stage,
)
from studio.nn.networks import ResidualTrunk

# Of another picture in a mix: less than the lower limit cannot be seen.
_LEAST, _MOST = 0.15, 0.85
_NOISE = (0.05, 0.3)


class RealnessScorer(Evaluator):
    """One logit per picture, above 0 where it looks real."""

    def __init__(self, config: EvaluatorConfig, spec: DataSpec) -> None:
        super().__init__()
        del spec
        self.trunk = ResidualTrunk(config.width)
        self.head = nn.Linear(self.trunk.out_features, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) in [-1, 1] to (B, 1) logits."""
        return self.head(self.trunk(images)).float()

    def features(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) to the (B, 8 width) features that distances are taken in."""
        return self.trunk(images).float()


class RealnessObjective(RecognitionObjective):
    """Binary cross-entropy between pictures and spoilt pictures."""

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Judge one batch as it is, and spoilt."""
        images = next(batches).images
        # Random numbers are drawn where the pictures are.
        with images.device:
            spoilt = spoil(images)
        # Together, so that batch norm sees the same of both.
        logits = self.model(torch.cat([images, spoilt]))[:, 0]
        real = torch.arange(len(logits), device=logits.device) < len(images)
        loss = F.binary_cross_entropy_with_logits(logits, real.float())
        accuracy = ((logits > 0) == real).float().mean()
        yield Update("evaluator", loss, {"loss": loss.detach(), "accuracy": accuracy})


def mix_pixels(images: Tensor) -> Tensor:
    """Cross-fade each picture with the next one of the batch."""
    share = _LEAST + (_MOST - _LEAST) * torch.rand(len(images), 1, 1, 1)
    return torch.lerp(images, images.roll(1, 0), share)


def paste_patch(images: Tensor) -> Tensor:
    """Put a part of the next picture of the batch on each picture, with a soft rim."""
    count, _, height, width = images.shape
    rows = (torch.arange(height)[:, None] + 0.5) / height
    columns = (torch.arange(width)[None, :] + 0.5) / width
    centre = 0.2 + 0.6 * torch.rand(2, count, 1, 1)
    radius = 0.15 + 0.2 * torch.rand(2, count, 1, 1)
    off = ((rows - centre[0]) / radius[0]) ** 2 + ((columns - centre[1]) / radius[1]) ** 2
    share = torch.sigmoid(8 * (1 - off))[:, None] * (0.5 + 0.5 * torch.rand(count, 1, 1, 1))
    return torch.lerp(images, images.roll(1, 0), share)


def blur(images: Tensor) -> Tensor:
    """Make pictures soft, by a Gaussian of 1/64 to 1/24 of their width."""
    count, channels, height, width = images.shape
    deviation = width * torch.exp(
        math.log(1 / 64) + math.log(64 / 24) * torch.rand(count, 1)
    )  # (B, 1) pixels
    reach = max(1, min(width // 8, height // 8))
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-(offsets**2) / (2 * deviation**2))
    kernels = (weights / weights.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = F.pad(images, (reach,) * 4, mode="replicate").flatten(0, 1)[None]
    down = F.conv2d(flat, kernels[:, None, :, None], groups=len(kernels))
    across = F.conv2d(down, kernels[:, None, None, :], groups=len(kernels))
    return across[0].unflatten(0, (count, channels))


def add_noise(images: Tensor) -> Tensor:
    """Add noise of every grain, the same in all channels or not."""
    count, channels, height, width = images.shape
    size = (height, width)
    fine = torch.randn(count, channels, height, width)
    coarse = F.interpolate(
        torch.randn(count, channels, height // 4, width // 4), size, mode="bilinear"
    )
    grain = torch.lerp(fine, coarse, torch.rand(count, 1, 1, 1))
    level = _NOISE[0] + (_NOISE[1] - _NOISE[0]) * torch.rand(count, 1, 1, 1)
    return (images + level * grain).clamp(-1, 1)


WAYS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mixed": mix_pixels,
    "pasted": paste_patch,
    "blurred": blur,
    "noisy": add_noise,
}


def spoil(images: Tensor) -> Tensor:
    """Spoil each picture in one of the ways, mixes more often than the others.

    Args:
        images: (B, 3, H, W) in [-1, 1], of different things.

    Returns:
        As ``images``.
    """
    ways = torch.stack([way(images) for way in WAYS.values()])
    weights = torch.tensor([2.0, *[1.0] * (len(WAYS) - 1)])
    chosen = torch.multinomial(weights, len(images), replacement=True)
    return ways[chosen, torch.arange(len(images))]


def _stages(config: EvaluatorConfig, spec: DataSpec) -> tuple[GradientStage, ...]:
    del spec
    # Mirrored, an object on a turntable is not real.
    return (replace(evaluator_stage(config, RealnessObjective), flip=False),)


METHOD = evaluator_method(
    "realness",
    "Realness",
    "Tells how real a picture looks.",
    RealnessScorer,
    _stages,
)
