"""Convolutions that train fast under bfloat16 autocast on a CPU.

oneDNN computes a bf16 convolution's output and input gradient at two to three times the speed of
fp32, but its bf16 kernel for the weight gradient is over ten times slower than the fp32 one on CPUs
with avx512-bf16 and no AMX. So under CPU autocast these layers run forward and input gradient in
bf16 and the weight gradient in fp32; everywhere else they are PyTorch's own.
"""

from typing import Any

import torch
from torch import Tensor, nn

Geometry = tuple[list[int], list[int], list[int], bool, list[int], int]


class _MixedConvolution(torch.autograd.Function):
    """A convolution in bf16 whose weight gradient is accumulated in fp32."""

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

    @staticmethod
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
            mask = [False, True, False]
            precise = gradient.float(), inputs.float(), weight.float()
            weight_gradient = backward(*precise, shape, *ctx.geometry, mask)[1]
        if ctx.has_bias and ctx.needs_input_grad[2]:
            bias_gradient = gradient.float().sum(dim=(0, 2, 3))
        return input_gradient, weight_gradient, bias_gradient, None


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
