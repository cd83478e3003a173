"""Encoders, decoders, critics and recognition trunks assembled from blocks."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from studio.nn.activations import ELU
from studio.nn.blocks import (
    Norm,
    PlainResidual,
    Residual,
    constrain,
    convolutions,
    down,
    up,
)
from studio.nn.mixed import Conv2d, ConvTranspose2d, UpsampledConv2d


class ConvEncoder(nn.Sequential):
    """Strided convolutions whose channels double: (B, 3, S, S) to (B, C, S / 2^L, S / 2^L)."""

    def __init__(self, width: int, levels: int) -> None:
        channels = [width * 2**level for level in range(levels)]
        # The first layer has no normalization, as in DCGAN: it would erase the picture's mean.
        layers = [down(3, width, "none")]
        layers += [down(a, b) for a, b in pairwise(channels)]
        super().__init__(*layers)
        self.out_channels = channels[-1]


class ConvDecoder(nn.Module):
    """Transposed convolutions: (B, C, S / 2^L, S / 2^L) to (B, 3, S, S) in [-1, 1].

    The first layer keeps the channel count, the next ones halve it, the last one gives RGB: at
    width 128 and three levels these are the paper's 512, 256 and 3 output channels.
    """

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        top = width * 2 ** (levels - 1)
        outputs = [top // 2**level for level in range(levels - 1)]
        inputs = [top, *outputs]
        self.blocks = nn.Sequential(*[up(a, b) for a, b in zip(inputs, outputs, strict=False)])
        self.to_rgb = ConvTranspose2d(inputs[-1], 3, 4, stride=2, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Decode features to images."""
        return torch.tanh(self.to_rgb(self.blocks(features)).float())


class ConvCritic(nn.Module):
    """Four strided convolutions and a linear layer: (B, 3, S, S) to (B,) unbounded scores."""

    def __init__(self, size: int, width: int, norm: Norm) -> None:
        super().__init__()
        channels = [3, width, width * 2, width * 4, width * 4]
        self.trunk = nn.Sequential(
            *[
                down(a, b, "none" if norm == "batch" and a == 3 else norm)
                for a, b in pairwise(channels)
            ]
        )
        self.score = constrain(nn.Linear(channels[-1] * (size // 16) ** 2, 1), norm)

    def forward(self, images: Tensor) -> Tensor:
        """Score images."""
        return self.score(self.trunk(images).flatten(1)).squeeze(1).float()


class ResidualTrunk(nn.Sequential):
    """A small residual network for recognition: (B, 3, S, S) to (B, 8 width) pooled features."""

    def __init__(self, width: int) -> None:
        super().__init__(
            Conv2d(3, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            Residual(width, width * 2),
            Residual(width * 2, width * 4),
            Residual(width * 4, width * 8),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.out_features = width * 8


class PooledEncoder(nn.Sequential):
    """Convolution blocks with max-pooling and linear layers: (B, 3, S, S) to (B, outputs)."""

    def __init__(
        self, maps: Sequence[int], depth: int, size: int, hidden: int, outputs: int
    ) -> None:
        """Build the layers.

        Args:
            maps: Of each block; each halves the resolution.
            depth: Convolutions in a block.
            size: S.
            hidden: Units of a linear layer before the last one; 0 for none.
            outputs: Of the last linear layer.
        """
        blocks = [
            nn.Sequential(convolutions(a, b, depth), nn.MaxPool2d(2))
            for a, b in pairwise([3, *maps])
        ]
        features = maps[-1] * (size // 2 ** len(maps)) ** 2
        head: list[nn.Module] = _normed_linear(features, hidden) if hidden else []
        super().__init__(*blocks, nn.Flatten(), *head, nn.Linear(hidden or features, outputs))


def _normed_linear(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]


class UpsampledDecoder(nn.Module):
    """The mirror image of :class:`PooledEncoder`: (B, inputs) to (B, 3, S, S) in [-1, 1]."""

    def __init__(
        self, maps: Sequence[int], depth: int, size: int, hidden: int, inputs: int
    ) -> None:
        """Build the layers; arguments as for the encoder."""
        super().__init__()
        side = size // 2 ** len(maps)
        head: list[nn.Module] = _normed_linear(inputs, hidden) if hidden else []
        self.stem = nn.Sequential(
            *head,
            *_normed_linear(hidden or inputs, maps[-1] * side**2),
            nn.Unflatten(1, (maps[-1], side, side)),
        )
        upwards = [*reversed(maps), maps[0]]
        self.blocks = nn.Sequential(
            *[convolutions(a, b, depth, upsampled=True) for a, b in pairwise(upwards)]
        )
        self.to_rgb = Conv2d(maps[0], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Decode (B, inputs) to images."""
        # The layout of everything else: with another one the same weights round differently.
        features = self.stem(z).contiguous(memory_format=torch.channels_last)
        return torch.tanh(self.to_rgb(self.blocks(features)).float())


class LinearGrowthEncoder(nn.Sequential):
    """BEGAN's encoder: (B, 3, S, S) to (B, outputs).

    Residual blocks at each of the resolutions S, S / 2 ... ; a convolution of stride 2 leads from
    one to the next and adds ``width`` channels; a linear layer without activation ends it.
    """

    def __init__(self, size: int, width: int, levels: int, blocks: int, outputs: int) -> None:
        """Build the layers.

        Args:
            size: S, a multiple of 2^(levels - 1).
            width: Channels at the full resolution.
            levels: Resolutions.
            blocks: Residual blocks at each.
            outputs: Of the linear layer.
        """
        layers: list[nn.Module] = [Conv2d(3, width, 3, padding=1)]
        for level in range(1, levels + 1):
            layers += [PlainResidual(width * level) for _ in range(blocks)]
            if level < levels:
                grown = width * (level + 1)
                layers += [ELU(), Conv2d(width * level, grown, 3, stride=2, padding=1)]
        features = width * levels * (size // 2 ** (levels - 1)) ** 2
        super().__init__(*layers, ELU(), nn.Flatten(), nn.Linear(features, outputs))


class NearestDecoder(nn.Module):
    """BEGAN's decoder: (B, inputs) to (B, 3, S, S) in [-1, 1].

    A linear layer without activation, then residual blocks at each resolution with nearest
    up-sampling between them, ``width`` channels everywhere.
    """

    def __init__(self, size: int, width: int, levels: int, blocks: int, inputs: int) -> None:
        """Build the layers; arguments as for the encoder."""
        super().__init__()
        side = size // 2 ** (levels - 1)
        self.stem = nn.Sequential(
            nn.Linear(inputs, width * side**2), nn.Unflatten(1, (width, side, side))
        )
        layers: list[nn.Module] = []
        for level in range(levels):
            if level:
                # Nearest up-sampling and a 3x3 convolution behind it.
                layers.append(UpsampledConv2d(width, width))
            layers += [PlainResidual(width) for _ in range(blocks)]
        self.blocks = nn.Sequential(*layers, ELU())
        self.to_rgb = Conv2d(width, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Decode (B, inputs) to images."""
        features = self.stem(z).contiguous(memory_format=torch.channels_last)
        return torch.tanh(self.to_rgb(self.blocks(features)).float())


class StridedTrunk(nn.Sequential):
    """Five 4x4 convolutions of stride 2 whose channels double, and a linear layer.

    (B, 3, S, S) to (B, outputs), S a multiple of 32: DCGAN's discriminator with another end.
    """

    def __init__(self, size: int, width: int, outputs: int, norm: Norm, slope: float) -> None:
        """Build the layers.

        Args:
            size: S.
            width: Channels of the first convolution; the last has 16 times as many.
            outputs: Of the linear layer.
            norm: Of all layers, as for :func:`studio.nn.blocks.down`; batch normalization leaves
                the first and the last one out.
            slope: Of the leaky ReLUs below zero; 0 makes them ReLUs.
        """
        channels = [3, *(width * 2**level for level in range(5))]
        layers = [
            down(a, b, "none" if norm == "batch" and a == 3 else norm, slope)
            for a, b in pairwise(channels)
        ]
        head = constrain(nn.Linear(channels[-1] * (size // 32) ** 2, outputs), norm)
        super().__init__(*layers, nn.Flatten(), head)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return what the first four convolutions see, (B, C, S / 2^k, S / 2^k) each."""
        found = []
        for layer in list(self)[:4]:
            images = layer(images)
            found.append(images)
        return found


def perceptron(*units: int) -> nn.Sequential:
    """Linear layers with leaky ReLUs between them: (B, units[0]) to (B, units[-1])."""
    layers: list[nn.Module] = []
    for a, b in pairwise(units):
        layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])
