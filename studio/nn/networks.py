"""Encoders, decoders, critics and recognition trunks assembled from blocks."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from studio.nn.blocks import Norm, Residual, constrain, convolutions, down, up
from studio.nn.mixed import Conv2d, ConvTranspose2d


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
    """Convolution blocks with max-pooling and two linear layers: (B, 3, S, S) to (B, outputs)."""

    def __init__(
        self, maps: Sequence[int], depth: int, size: int, hidden: int, outputs: int
    ) -> None:
        """Build the layers.

        Args:
            maps: Of each block; each halves the resolution.
            depth: Convolutions in a block.
            size: S.
            hidden: Units of the first linear layer.
            outputs: Of the second.
        """
        blocks = [
            nn.Sequential(convolutions(a, b, depth), nn.MaxPool2d(2))
            for a, b in pairwise([3, *maps])
        ]
        side = size // 2 ** len(maps)
        head = [
            nn.Flatten(),
            nn.Linear(maps[-1] * side**2, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, outputs),
        ]
        super().__init__(*blocks, *head)


class UpsampledDecoder(nn.Module):
    """The mirror image of :class:`PooledEncoder`: (B, inputs) to (B, 3, S, S) in [-1, 1]."""

    def __init__(
        self, maps: Sequence[int], depth: int, size: int, hidden: int, inputs: int
    ) -> None:
        """Build the layers; arguments as for the encoder."""
        super().__init__()
        side = size // 2 ** len(maps)
        self.stem = nn.Sequential(
            nn.Linear(inputs, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, maps[-1] * side**2, bias=False),
            nn.BatchNorm1d(maps[-1] * side**2),
            nn.ReLU(),
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


def perceptron(*units: int) -> nn.Sequential:
    """Linear layers with leaky ReLUs between them: (B, units[0]) to (B, units[-1])."""
    layers: list[nn.Module] = []
    for a, b in pairwise(units):
        layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])
