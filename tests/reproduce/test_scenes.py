import pytest
import torch

from studio.errors import ConfigError
from studio.render.heads import EYEGLASSES, labels
from studio.reproduce import scenes


@pytest.fixture(scope="module")
def pairs():
    return scenes.make_scenes(3, 32)


def test_receivers_are_bare_and_donors_wear_all_kinds_in_turn(pairs):
    assert pairs.kinds.tolist() == [1, 2, 3]
    assert pairs.on_receiver.shape == (3, len(EYEGLASSES), 3, 32, 32)
    assert torch.equal(pairs.receivers, pairs.on_receiver[:, 0])
    assert torch.equal(pairs.donors[2], pairs.on_donor[2, 3])


def test_the_truth_is_the_receiver_but_for_the_eyes(pairs):
    outside = pairs.truth.clone()
    change = (outside - pairs.receivers).abs()
    around_eyes = scenes.eye_region(change).mean()
    assert around_eyes > 0.02
    assert change.mean() < 0.6 * around_eyes
    # Below the mouth, nothing that is worn on the nose shows.
    assert change[:, :, 28:].max() < 0.05


def test_the_truth_is_recognized_and_the_bare_receiver_is_not(pairs):
    perfect = scenes.kind_numbers(pairs.truth, pairs.on_receiver, pairs.kinds)
    assert perfect["kind_accuracy"] == perfect["sunglasses_kept"] == 1
    assert perfect["eye_error"] == 0
    useless = scenes.kind_numbers(pairs.receivers, pairs.on_receiver, pairs.kinds)
    assert useless["kind_accuracy"] == useless["sunglasses_kept"] == 0
    assert useless["eye_error"] > 1


def test_kinds_are_told_apart_under_noise(pairs):
    torch.manual_seed(0)
    noisy = pairs.truth + 0.1 * torch.randn_like(pairs.truth)
    assert scenes.nearest_kind(noisy, pairs.on_receiver).tolist() == pairs.kinds.tolist()


def test_stored_pictures_keep_no_trace_below_a_level():
    images = torch.linspace(-1.2, 1.2, 1000)
    stored = scenes.as_stored(images)
    assert len(stored.unique()) == 256
    assert (stored - images.clamp(-1, 1)).abs().max() <= 0.5 / 127.5 + 1e-6
    assert torch.equal(scenes.as_stored(stored), stored)


def test_heads_are_chosen_by_attribute_among_held_out_persons():
    with_it, without = scenes.by_attribute("Smiling", 3)
    assert [labels(head)["Smiling"] for head in with_it] == [1] * 3
    assert [labels(head)["Smiling"] for head in without] == [0] * 3
    assert {labels(head)["partition"] for head in (*with_it, *without)} == {2}
    with pytest.raises(ConfigError, match="no attribute 'Mustache'"):
        scenes.by_attribute("Mustache", 3)
