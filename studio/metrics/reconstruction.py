"""How close one batch of images comes to another, picture by picture."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float64]

# Images span [-1, 1]: twice the peak that the definitions call 1, and 255 levels on the screen.
_RANGE = 2.0


def l1(images: Tensor, others: Tensor) -> Tensor:
    """Return the mean absolute difference of each pair of pictures.

    Args:
        images: (B, 3, H, W) in [-1, 1].
        others: As ``images``.

    Returns:
        (B,) in [0, 2].
    """
    return (images - others).abs().flatten(1).mean(1)


def psnr(images: Tensor, others: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each pair of pictures.

    Args:
        images: (B, 3, H, W) in [-1, 1].
        others: As ``images``.

    Returns:
        (B,) decibels; the same number as on the [0, 255] scale. Infinite for equal pictures.
    """
    squared = (images - others).double().square().flatten(1).mean(1)
    return 10 * torch.log10(_RANGE**2 / squared)


def ssim(images: Tensor, others: Tensor) -> Floats:
    """Return the structural similarity of each pair of pictures (Wang et al. 2004).

    Args:
        images: (B, 3, H, W) in [-1, 1], at least 11 pixels high and wide.
        others: As ``images``.

    Returns:
        (B,) in [-1, 1], 1 for equal pictures; Gaussian windows of deviation 1.5, mean of channels.
    """
    # Half a second to load, which the page would spend at its start.
    from skimage.metrics import structural_similarity

    pairs = zip(images.cpu().numpy(), others.cpu().numpy(), strict=True)
    values = [
        structural_similarity(
            one,
            other,
            data_range=_RANGE,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for one, other in pairs
    ]
    return np.array(values, np.float64)
