"""Convolutions that train fast under bfloat16 autocast on a CPU.

oneDNN computes a bf16 convolution's output and input gradient at two to three times the speed of
fp32, but its bf16 kernel for the weight gradient is over ten times slower than the fp32 one on CPUs
with avx512-bf16 and no AMX. The same gradient is one matrix product of the small feature map with
the windows of the large one, which runs twice as fast as fp32. So under CPU autocast these layers
take the weight gradient that way; everywhere else they are PyTorch's own.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# Row k: which of a 3x3 kernel's rows reach row k of the 4x4 kernel of the transposed convolution.
_SPREAD = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))

Geometry = tuple[list[int], list[int], list[int], bool, list[int], int]


class _MixedConvolution(torch.autograd.Function):
    """A convolution in bf16 whose weight gradient is a matrix product."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry
    ) -> Tensor:
        low = inputs.to(torch.bfloat16), weight.to(torch.bfloat16)
        ctx.save_for_backward(*low)
        ctx.geometry = geometry
        ctx.has_bias = bias is not None
        ctx.input_type = inputs.dtype
        low_bias = None if bias is None else bias.to(torch.bfloat16)
        return torch.ops.aten.convolution(*low, low_bias, *geometry)

    # A second derivative would miss the weights, which the saved bf16 copies are cut off from.
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0]
        inputs, weight = ctx.saved_tensors
        shape = [weight.shape[1 if ctx.geometry[3] else 0]]
        backward = torch.ops.aten.convolution_backward
        input_gradient = weight_gradient = bias_gradient = None
        if ctx.needs_input_grad[0]:
            mask = [True, False, False]
            input_gradient = backward(gradient, inputs, weight, shape, *ctx.geometry, mask)[0]
            input_gradient = input_gradient.to(ctx.input_type)
        if ctx.needs_input_grad[1]:
            weight_gradient = _weight_gradient(gradient, inputs, weight, ctx.geometry)
        if ctx.has_bias and ctx.needs_input_grad[2]:
            bias_gradient = gradient.float().sum(dim=(0, 2, 3))
        return input_gradient, weight_gradient, bias_gradient, None


def _weight_gradient(
    gradient: Tensor, inputs: Tensor, weight: Tensor, geometry: Geometry
) -> Tensor:
    """Correlate the small feature map with the windows of the large one.

    Args:
        gradient: (B, O, h, w) of the layer's output.
        inputs: (B, C, H, W) of the layer.
        weight: (O, C, K, L), or (C, O, K, L) of a transposed convolution.
        geometry: Stride, padding, dilation, whether transposed, output padding, groups.

    Returns:
        fp32, in the shape of ``weight``.
    """
    stride, padding, dilation, transposed, output_padding, groups = geometry
    if groups > 1 or max(dilation) > 1 or max(output_padding) > 0:
        precise = gradient.float(), inputs.float(), weight.float()
        shape = [weight.shape[1 if transposed else 0]]
        mask = [False, True, False]
        return torch.ops.aten.convolution_backward(*precise, shape, *geometry, mask)[1]
    small, large = (inputs, gradient) if transposed else (gradient, inputs)
    rows, columns = weight.shape[2:]
    large = F.pad(large.permute(0, 2, 3, 1), (0, 0, *[padding[1]] * 2, *[padding[0]] * 2))
    batch, _, _, channels = large.shape
    height, width = small.shape[2:]
    step = large.stride()
    windows = large.as_strided(
        (batch, height, width, rows, columns, channels),
        (step[0], stride[0] * step[1], stride[1] * step[2], step[1], step[2], step[3]),
    ).reshape(batch * height * width, rows * columns * channels)
    product = small.permute(0, 2, 3, 1).reshape(len(windows), -1).t() @ windows
    return product.view(-1, rows, columns, channels).permute(0, 3, 1, 2).float()


def _is_mixed(inputs: Tensor) -> bool:
    return (
        inputs.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )


class Conv2d(nn.Conv2d):
    """``nn.Conv2d``, fast under CPU bf16 autocast."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve (B, C, H, W)."""
        if not _is_mixed(inputs):
            return super().forward(inputs)
        padding = [int(value) for value in self.padding]
        geometry = (list(self.stride), padding, list(self.dilation), False, [0, 0], self.groups)
        return _MixedConvolution.apply(inputs, self.weight, self.bias, geometry)


class ConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d``, fast under CPU bf16 autocast."""

    def forward(self, inputs: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve (B, C, H, W), transposed."""
        if not _is_mixed(inputs) or output_size is not None:
            return super().forward(inputs, output_size)
        padding = [int(value) for value in self.padding]
        extra = list(self.output_padding)
        geometry = (list(self.stride), padding, list(self.dilation), True, extra, self.groups)
        return _MixedConvolution.apply(inputs, self.weight, self.bias, geometry)


class UpsampledConv2d(nn.Conv2d):
    """Nearest-neighbour upsampling by 2 and a 3x3 convolution, as one transposed convolution.

    Of the nine places under the kernel only four differ, so the sums are taken over the kernel's
    weights first: four products instead of nine, and no upsampled map in memory.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, O, 2 H, 2 W)."""
        spread = self.weight.new_tensor(_SPREAD)
        kernel = torch.einsum("ki,ocij,lj->cokl", spread, self.weight, spread)
        if not _is_mixed(inputs):
            return F.conv_transpose2d(inputs, kernel, self.bias, stride=2, padding=1)
        geometry = ([2, 2], [1, 1], [1, 1], True, [0, 0], 1)
        return _MixedConvolution.apply(inputs, kernel, self.bias, geometry)
