"""Random changes of pictures that training shows instead of the pictures themselves.

All are differentiable in the pictures, so that a critic's can pass gradients on to a generator.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio import together

# The share of real pictures that a critic takes for real, beyond the others, which is healthy.
_HEALTHY_SIGN = 0.6
# Real pictures that a critic sees while the probability goes from 0 to 1.
_FULL_WAY = 20_000
# Where nearly every picture is changed, the changes leak into what is made (section 2.2).
_MOST = 0.8


class AdaptiveAugmentation(nn.Module):
    """Change what critics see, the more often the more they learn by heart (Karras et al. 2020).

    Where few pictures are real, critics come to know each of them, and what they ask for is no
    longer how the pictures look. The mean sign of their scores of real pictures tells: near 1 they
    are sure of all of them. Then pictures are moved and lit differently with a higher probability.
    """

    probability: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("probability", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        """Move and light some of (B, 3, H, W) images in [-1, 1], each with the probability."""
        # A random number is never below 0.
        moved = self._some(jitter_place(images), images)
        return self._some(jitter_light(moved), moved)

    def _some(self, changed: Tensor, images: Tensor) -> Tensor:
        chosen = together.rand(len(images), 1, 1, 1, device=images.device) < self.probability
        return torch.where(chosen, changed, images)

    @torch.no_grad()
    def observe(self, scores: Tensor) -> None:
        """Look at (B,) unbounded scores of real pictures, and change the probability by them."""
        sign = together.mean(scores.float().sign())
        step = torch.sign(sign - _HEALTHY_SIGN) * len(scores) * together.size() / _FULL_WAY
        self.probability.add_(step).clamp_(0, _MOST)


def jitter_light(images: Tensor) -> Tensor:
    """Vary brightness and contrast and turn some pictures grey, picture by picture.

    Args:
        images: (B, 3, H, W) in [-1, 1].

    Returns:
        As ``images``; gain in [0.7, 1.3], offset in [-0.2, 0.2], one in ten grey.
    """
    count = (len(images), 1, 1, 1)
    gain = 0.7 + 0.6 * together.rand(*count)
    offset = 0.4 * together.rand(*count) - 0.2
    grey = (together.rand(*count) < 0.1).float()
    images = torch.lerp(images, images.mean(1, keepdim=True).expand_as(images), grey)
    return (images * gain + offset).clamp(-1, 1)


def jitter_place(images: Tensor) -> Tensor:
    """Move, scale and turn aligned crops a little, as the aligner errs.

    Args:
        images: (B, 3, H, W) in [-1, 1].

    Returns:
        As ``images``; shifts up to 3 % of the picture, scale in [1/1.06, 1.06], turns up to 5
        degrees; beyond the picture it is reflected.
    """
    count = len(images)
    angle = math.radians(5) * _symmetric(count)
    scale = torch.exp(math.log(1.06) * _symmetric(count))
    grid = _grid(images, angle, scale, 0.06 * _symmetric(count, 2))
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def jitter_crop(images: Tensor, eyes: Tensor) -> tuple[Tensor, Tensor]:
    """Move, scale and turn crops at random, and their eyes with them.

    Half the crops are jittered widely, as a face detector's box is, half narrowly, as a crop is
    that was aligned once already. One crop in ten shows no upright face at the place (turned far
    over, or aside): its eyes cannot be known, which the expected error has to learn.

    Args:
        images: (B, 3, H, W) in [-1, 1].
        eyes: (B, 2, 2) x and y as fractions of the picture.

    Returns:
        Images and eyes; shifts up to a quarter of the picture, scale in [1/1.6, 1.6], turns up to
        35 degrees; beyond the picture its border repeats or is reflected.
    """
    count = len(images)
    wide = together.rand(count) < 0.5
    angle = math.radians(1) * torch.where(wide, 35.0, 9.0) * _symmetric(count)
    scale = torch.exp(torch.where(wide, math.log(1.6), math.log(1.15)) * _symmetric(count))
    shift = torch.where(wide, 0.5, 0.14)[:, None] * _symmetric(count, 2)
    lost = together.rand(count) < 0.1
    shown_angle = torch.where(lost, angle + math.radians(180) + 1.2 * _symmetric(count), angle)
    shown_scale = torch.where(lost, scale * (1 + together.rand(count)), scale)
    grid = _grid(images, shown_angle, shown_scale, shift)
    reflected = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    repeated = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    moved = torch.where(together.rand(count, 1, 1, 1) < 0.5, reflected, repeated)
    centred = 2 * eyes - 1 - shift[:, None]
    back = torch.einsum("bij,bki->bkj", _rotation(angle), centred) / scale[:, None, None]
    return moved, (back + 1) / 2


def _grid(images: Tensor, angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return where crops with (B,) turns in radians, (B,) scales and (B, 2) shifts look.

    In ``grid_sample``'s coordinates, [-1, 1], a point p of the new crop shows scale R p + shift.
    """
    matrix = torch.cat([scale[:, None, None] * _rotation(angle), shift[:, :, None]], 2)
    return F.affine_grid(matrix, list(images.shape), align_corners=False)


def degrade(images: Tensor) -> Tensor:
    """Add what bad photographs have: colour casts, noise and coarse pixels.

    Args:
        images: (B, 3, H, W) in [-1, 1].

    Returns:
        As ``images``.
    """
    count, _, height, width = images.shape
    coarse = F.interpolate(F.avg_pool2d(images, 2), size=(height, width), mode="bilinear")
    images = torch.where(together.rand(count, 1, 1, 1) < 0.2, coarse, images)
    noise = 0.1 * together.rand(count, 1, 1, 1) * together.randn(*images.shape)
    images = images + torch.where(together.rand(count, 1, 1, 1) < 0.3, noise, 0)
    return (images + 0.1 * _symmetric(count, 3)[:, :, None, None]).clamp(-1, 1)


def cover(images: Tensor) -> Tensor:
    """Cover a place in a quarter of the pictures with one colour.

    Args:
        images: (B, 3, H, W) in [-1, 1].

    Returns:
        As ``images``.
    """
    count, _, height, width = images.shape
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None, :]
    top, left = (torch.randint(-height // 4, side, (count, 1, 1)) for side in (height, width))
    high, broad = (torch.randint(4, height // 3, (count, 1, 1)) for _ in range(2))
    covered = (rows >= top) & (rows < top + high) & (columns >= left) & (columns < left + broad)
    covered &= together.rand(count, 1, 1) < 0.25
    colour = _symmetric(count, 3)[:, :, None, None]
    return torch.where(covered[:, None], colour, images)


def _symmetric(*shape: int) -> Tensor:
    return 2 * together.rand(*shape) - 1


def _rotation(angle: Tensor) -> Tensor:
    """Return (B, 2, 2) rotations by angles in radians."""
    rows = [[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
