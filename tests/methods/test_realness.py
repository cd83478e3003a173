import pytest
import torch

from studio.methods import realness
from studio.methods.realness import WAYS, spoil


@pytest.fixture
def images():
    """Return 24 pictures of random blocks, as sharp as pictures can be."""
    blocks = torch.rand(24, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return (blocks * 2 - 1).repeat_interleave(8, 2).repeat_interleave(8, 3)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_changes_every_picture_within_its_range(way, images):
    torch.manual_seed(0)
    spoilt = WAYS[way](images)
    assert spoilt.shape == images.shape
    assert spoilt.abs().max() <= 1 + 1e-5
    assert (spoilt - images).abs().mean((1, 2, 3)).min() > 0.01


def test_a_mix_lies_between_its_two_pictures(images):
    torch.manual_seed(0)
    mixed, others = realness.mix_pixels(images), images.roll(1, 0)
    apart = others - images
    share = ((mixed - images) * apart).sum((1, 2, 3)) / apart.square().sum((1, 2, 3))
    assert share.min() > 0.149
    assert share.max() < 0.851
    assert share.std() > 0.1
    assert torch.allclose(torch.lerp(images, others, share[:, None, None, None]), mixed, atol=1e-5)


def test_a_patch_leaves_the_rest_alone(images):
    torch.manual_seed(0)
    changed = (realness.paste_patch(images) - images).abs().amax(1) > 0.05
    shares = changed.flatten(1).float().mean(1)
    assert shares.min() > 0.02
    assert shares.max() < 0.6


def test_blur_takes_edges_and_keeps_brightness(images):
    torch.manual_seed(0)
    soft = realness.blur(images)
    edges = [(one.diff(dim=3)).abs().amax((1, 2, 3)) for one in (soft, images)]
    assert (edges[0] < 0.9 * edges[1]).all()
    assert torch.allclose(soft.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=0.02)
    flat = torch.full((2, 3, 64, 64), 0.3)
    assert torch.allclose(realness.blur(flat), flat, atol=1e-5)


def test_spoiling_uses_every_way(images, monkeypatch):
    torch.manual_seed(0)
    marks = {name: (lambda x, k=k: torch.full_like(x, k)) for k, name in enumerate(WAYS)}
    monkeypatch.setattr(realness, "WAYS", marks)
    kinds = [spoil(images)[:, 0, 0, 0].int() for _ in range(50)]
    counts = torch.bincount(torch.cat(kinds))
    assert len(counts) == len(WAYS)
    # Mixes come twice as often as each of the others.
    assert counts[0] / counts.sum() == pytest.approx(2 / 5, abs=0.05)
