import pytest
import torch

from studio.nn.augmentation import AdaptiveAugmentation


@pytest.fixture
def augmentation():
    return AdaptiveAugmentation()


def test_a_sure_critic_sees_changed_pictures_and_an_unsure_one_does_not(augmentation):
    images = torch.rand(64, 3, 16, 16) * 2 - 1
    assert torch.equal(augmentation(images), images)
    for _ in range(60):
        augmentation.observe(torch.ones(200))
    assert augmentation.probability == pytest.approx(0.6, abs=1e-5)
    changed = (augmentation(images) != images).flatten(1).any(1).float().mean()
    # Moved, lit or both: 1 - 0.4 * 0.4.
    assert changed == pytest.approx(0.84, abs=0.12)
    for _ in range(60):
        augmentation.observe(torch.tensor([1.0, -1.0]).repeat(100))
    assert torch.equal(augmentation(images), images)


def test_the_probability_stays_where_changes_do_not_leak(augmentation):
    augmentation.observe(-torch.ones(1000))
    assert augmentation.probability == 0
    for _ in range(30):
        augmentation.observe(torch.ones(1000))
    assert augmentation.probability == pytest.approx(0.8)


def test_gradients_reach_whoever_made_the_pictures(augmentation):
    augmentation.probability.fill_(0.5)
    images = torch.zeros(8, 3, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(augmentation(images).sum(), images)
    assert (gradient != 0).flatten(1).any(1).all()
