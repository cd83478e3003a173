"""Convolution, down and up blocks, and weight initialization."""

from typing import Literal

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from studio.nn.activations import ELU
from studio.nn.mixed import Conv2d, ConvTranspose2d, UpsampledConv2d

Norm = Literal["batch", "spectral", "none"]


def down(inputs: int, outputs: int, norm: Norm = "batch", slope: float = 0.2) -> nn.Sequential:
    """Halve the resolution: 4x4 convolution of stride 2, norm, leaky ReLU.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        norm: ``batch`` adds batch normalization and drops the bias, ``spectral`` normalizes the
            weight's largest singular value, ``none`` is the plain convolution.
        slope: Of the leaky ReLU below zero.

    Returns:
        A module that maps (B, inputs, H, W) to (B, outputs, H / 2, W / 2).
    """
    convolution = Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=norm != "batch")
    layers: list[nn.Module] = [constrain(convolution, norm)]
    if norm == "batch":
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, nn.LeakyReLU(slope, inplace=True))


def up(inputs: int, outputs: int) -> nn.Sequential:
    """Double the resolution: 4x4 transposed convolution of stride 2, batch norm, ReLU.

    Args:
        inputs: Channels in.
        outputs: Channels out.

    Returns:
        A module that maps (B, inputs, H, W) to (B, outputs, 2 H, 2 W).
    """
    return nn.Sequential(
        ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def convolutions(
    inputs: int, outputs: int, depth: int, *, upsampled: bool = False
) -> nn.Sequential:
    """Apply ``depth`` 3x3 convolutions, each with batch norm and ReLU (VGG).

    Args:
        inputs: Channels in.
        outputs: Channels out of each convolution.
        depth: At least 1.
        upsampled: Double the resolution before the first.

    Returns:
        A module that maps (B, inputs, H, W) to (B, outputs, H, W), or to (B, outputs, 2 H, 2 W).
    """
    layers: list[nn.Module] = []
    for number in range(depth):
        channels = outputs if number else inputs
        layers += [
            UpsampledConv2d(channels, outputs, bias=False)
            if upsampled and not number
            else Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def constrain(layer: nn.Module, norm: Norm) -> nn.Module:
    """Wrap a layer's weight in spectral normalization where ``norm`` asks for it."""
    return parametrizations.spectral_norm(layer) if norm == "spectral" else layer


def initialize(module: nn.Module, deviation: float = 0.02) -> None:
    """Draw convolution and linear weights from N(0, deviation), as DCGAN and GeneGAN do.

    Spectrally normalized layers keep PyTorch's own initialization: their scale is divided out.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if hasattr(layer, "parametrizations"):
                continue
            nn.init.normal_(layer.weight, 0.0, deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut that halves the resolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 2) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        shortcut: list[nn.Module] = [nn.AvgPool2d(stride)] if stride > 1 else []
        self.shortcut = nn.Sequential(*shortcut, Conv2d(inputs, outputs, 1, bias=False))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        return self.activation(self.body(features) + self.shortcut(features))


def instance_norm(channels: int) -> nn.Module:
    """Normalize each channel of each picture; as groups of one, which keep the memory layout."""
    return nn.GroupNorm(channels, channels)


class InstanceResidual(nn.Module):
    """Two 3x3 convolutions with instance norm around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Conv2d(channels, channels, 3, padding=1, bias=False),
            instance_norm(channels),
            nn.ReLU(inplace=True),
            Conv2d(channels, channels, 3, padding=1, bias=False),
            instance_norm(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        return features + self.body(features)


class PlainResidual(nn.Module):
    """Two 3x3 convolutions with ELU around a shortcut, without normalization (BEGAN)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ELU(),
            Conv2d(channels, channels, 3, padding=1),
            ELU(),
            Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        return features + self.body(features)
