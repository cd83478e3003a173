"""Several processes that train one model together, each on its share of every batch.

Each process has the whole model. A share is every W-th picture of the batch, counted from the
process's rank, so that what a method does with the first half of a batch, or with its last
pictures, it does with the same pictures however many processes there are. Random numbers are drawn
for the whole batch by all processes alike, and each keeps its share.

With one process everything here is what it would be without this module.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return which of them this one is, counted from 0."""
    return dist.get_rank() if size() > 1 else 0


def share(whole: Any) -> Any:
    """Return this process's rows of something of the whole batch."""
    return whole[rank() :: size()]


def rand(count: int, *shape: int, device: torch.device | None = None) -> Tensor:
    """Draw (count, ...) numbers from U[0, 1) for this process's share."""
    drawn: Tensor = share(torch.rand(count * size(), *shape, device=device))
    return drawn


def randn(count: int, *shape: int, device: torch.device | None = None) -> Tensor:
    """Draw (count, ...) standard normal numbers for this process's share."""
    drawn: Tensor = share(torch.randn(count * size(), *shape, device=device))
    return drawn


def mean(values: Tensor) -> Tensor:
    """Average over a tensor of the whole batch, whose shares are equally large.

    What is not linear in a mean, such as the ratio of two, needs the mean of the whole batch: the
    average of the shares' ratios is another number.
    """
    own = values.mean()
    return own if size() == 1 else _Sum.apply(own) / size()


class _Sum(torch.autograd.Function):
    """The sum over all processes, which gradients, also of gradients, pass."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        del ctx
        # Half precision would lose what a sum over many adds.
        total = own.detach().float().clone().contiguous()
        dist.all_reduce(total)
        return total.to(own.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        del ctx
        result: Tensor = _Sum.apply(gradients[0])
        return result


def average(numbers: Tensor) -> Tensor:
    """Return the mean over the processes of numbers that no gradient passes."""
    if size() == 1:
        return numbers
    total = numbers.detach().clone()
    dist.all_reduce(total)
    return total / size()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give all processes the mean of their gradients: that of the whole batch's loss."""
    if size() == 1:
        return
    gradients = [one.grad for one in parameters if one.grad is not None]
    # One message costs less than one for each layer.
    flat = average(torch.cat([one.reshape(-1) for one in gradients]))
    for one, part in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
        one.copy_(part.view_as(one))


def start_alike(module: nn.Module) -> None:
    """Give all processes the first one's parameters and buffers."""
    if size() == 1:
        return
    for tensor in (*module.parameters(), *module.buffers()):
        # Gloo sends no tensor whose channels are last.
        plain = tensor.detach().contiguous()
        dist.broadcast(plain, 0)
        with torch.no_grad():
            tensor.copy_(plain)


def agree(choices: Iterable[bool]) -> list[bool]:
    """Return the first process's choices: it is the one that people talk to."""
    own = list(choices)
    if size() == 1:
        return own
    sent = torch.tensor(own, dtype=torch.uint8, device=_place())
    dist.broadcast(sent, 0)
    return [bool(one) for one in sent.tolist()]


def wait() -> None:
    """Wait until all processes are here."""
    if size() > 1:
        dist.barrier()


def _place() -> torch.device:
    """Return where tensors must be to be sent: NCCL knows graphics cards only."""
    if dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def normalize_together(module: nn.Module) -> None:
    """Let batch normalization take the statistics of the whole batch, on any device.

    torch's own ``SyncBatchNorm`` refuses the CPU.
    """
    if size() == 1:
        return
    for layer in module.modules():
        if isinstance(layer, _BatchNorm) and not isinstance(layer, _Shared):
            layer.__class__ = type(f"Shared{type(layer).__name__}", (_Shared, type(layer)), {})


class _Shared(_BatchNorm):
    """Batch normalization over the pictures of all processes."""

    def forward(self, values: Tensor) -> Tensor:
        """Normalize (B, C, ...) by mean and variance over all processes' B and places."""
        if not self.training:
            return super().forward(values)
        wide = values.float()
        over = [0, *range(2, values.dim())]
        shape = [1, -1, *[1] * (values.dim() - 2)]
        centre = _Sum.apply(wide.mean(over)) / size()
        centred = wide - centre.view(shape)
        # A difference of two large means would lose what is left of the variance.
        variance = _Sum.apply(centred.square().mean(over)) / size()
        self._remember(centre.detach(), variance.detach(), values.numel() // values.shape[1])
        scaled = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        return scaled.to(values.dtype)

    def _remember(self, centre: Tensor, variance: Tensor, own: int) -> None:
        """Keep running statistics as a single process does."""
        if self.running_mean is None or self.running_var is None:
            return
        count = own * size()
        momentum = 0.1 if self.momentum is None else self.momentum
        with torch.no_grad():
            self.running_mean.lerp_(centre, momentum)
            self.running_var.lerp_(variance * count / max(1, count - 1), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
