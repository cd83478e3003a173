"""Encoders, decoders, critics and recognition trunks assembled from blocks."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from studio.nn.blocks import Norm, Residual, constrain, down, up
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
