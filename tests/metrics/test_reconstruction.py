import math

import numpy as np
import pytest
import torch

from studio.metrics.reconstruction import l1, psnr, ssim


@pytest.fixture
def pictures():
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_l1_is_the_mean_difference_of_each_picture():
    black, grey = torch.full((2, 3, 4, 4), -1.0), torch.zeros(2, 3, 4, 4)
    grey[1, 0] = -1.0
    # The second picture differs in two of its three channels.
    assert l1(black, grey).tolist() == pytest.approx([1.0, 2 / 3])


def test_psnr_is_that_of_256_levels():
    black = torch.full((1, 3, 8, 8), -1.0)
    off_by_51 = black + 51 / 127.5
    # 10 log10(255^2 / 51^2) = 20 log10(5)
    assert psnr(black, off_by_51).tolist() == pytest.approx([20 * math.log10(5)], rel=1e-5)


def test_psnr_takes_each_picture_by_itself(pictures):
    worse = pictures.clone()
    worse[1] += 0.1
    values = psnr(pictures, worse)
    assert math.isinf(values[0])
    assert math.isinf(values[2])
    assert float(values[1]) == pytest.approx(20 * math.log10(20), rel=1e-4)


def test_ssim_of_a_perfect_and_of_a_useless_model(pictures):
    assert ssim(pictures, pictures) == pytest.approx(np.ones(3))
    assert (np.abs(ssim(pictures, torch.zeros_like(pictures))) < 0.05).all()


def test_ssim_of_two_flat_pictures_compares_their_brightness():
    one, other = torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 0.5)
    # Without structure only (2 a b + c) / (a^2 + b^2 + c) is left, c = (0.01 * 2)^2.
    expected = 0.0004 / (0.25 + 0.0004)
    assert ssim(one, other) == pytest.approx([expected], rel=1e-3)
