import math

import numpy as np
import pytest

from studio.metrics.attributes import (
    balanced_accuracy,
    best_threshold,
    kept,
    monotonic,
    pair_bootstrap,
    recognized,
    removed,
    separation,
    swap_success,
    wilson,
)


def test_shares_count_logits_above_zero():
    logits = np.array([2.0, 0.1, 0.0, -3.0])
    assert recognized(logits) == 0.5
    assert removed(logits) == 0.5


def test_swap_success_is_relative_to_reality():
    real = np.array([1.0, 1.0, 1.0, -1.0])
    assert swap_success(real, real) == 1.0
    assert swap_success(-np.ones(4), real) == 0.0
    assert swap_success(np.ones(4), real) == pytest.approx(4 / 3)
    assert math.isnan(swap_success(real, -np.ones(4)))


def test_monotonic_wants_every_step_to_rise():
    columns = {"rises": (0, 1, 2), "equal": (0, 0, 2), "falls": (0, 3, 2), "idle": (1, 1, 1)}
    assert monotonic(np.array(list(columns.values())).T).tolist() == [True, False, False, False]


def test_kept_leaves_the_changed_attribute_out():
    before = np.array([[1.0, -1.0, 1.0], [1.0, -1.0, 1.0]])
    after = np.array([[-1.0, -2.0, 3.0], [-1.0, 1.0, 3.0]])
    assert kept(after, before, changed=0).tolist() == [1.0, 0.5]
    assert kept(-before, before, changed=2).tolist() == [0.0, 0.0]


def test_balanced_accuracy_does_not_reward_the_common_answer():
    labels = np.array([1] + [0] * 9)
    assert balanced_accuracy(-np.ones(10), labels) == 0.5
    assert balanced_accuracy(labels - 0.5, labels) == 1.0
    assert math.isnan(balanced_accuracy(np.ones(3), np.ones(3)))


def test_threshold_separates_what_can_be_separated():
    values = np.array([0.1, 0.2, 0.8, 0.9])
    present = np.array([False, False, True, True])
    best = best_threshold(values, present)
    assert best.value == pytest.approx(0.5)
    assert best.balanced_accuracy == 1.0
    # Where the number says nothing, all or none is as good as it gets.
    assert best_threshold(np.ones(4), present).balanced_accuracy == 0.5


def test_threshold_agrees_with_trying_every_limit():
    rng = np.random.default_rng(1)
    present = rng.random(200) < 0.3
    values = np.round(rng.normal(present * 1.0), 1)
    best = best_threshold(values, present)

    def accuracy(limit):
        return ((values >= limit)[present].mean() + (values < limit)[~present].mean()) / 2

    tried = [accuracy(limit) for limit in np.unique(values)]
    assert best.balanced_accuracy == pytest.approx(max(tried))
    assert accuracy(best.value) == pytest.approx(max(tried))


def test_separation_is_the_share_of_pairs_in_order():
    positive, negative = np.array([3.0, 1.0]), np.array([2.0, 1.0, 0.0])
    # 3 beats all three; 1 beats one and ties with one.
    assert separation(positive, negative) == pytest.approx((3 + 1.5) / 6)
    assert separation(np.ones(3), np.zeros(3)) == 1.0
    assert separation(np.zeros(3), np.ones(3)) == 0.0


def test_wilson_interval_of_a_known_case():
    # Wilson's interval of 90 out of 100, as in textbooks: 0.826 to 0.945.
    assert wilson(0.9, 100) == pytest.approx((0.8256, 0.9448), abs=1e-3)
    low, high = wilson(1.0, 50)
    assert 0.9 < low < 1
    assert high == pytest.approx(1.0)


def test_bootstrap_knows_that_pairs_share_pictures():
    rng = np.random.default_rng(0)
    places = np.arange(400)
    outcomes = rng.random(400) < 0.5

    def width(donors, results):
        def mean(weights, _):
            return np.average(results, weights=weights)

        low, high = pair_bootstrap(mean, donors, places, (int(donors.max()) + 1, 400))
        assert low <= results.mean() <= high
        return high - low

    alone = width(places, outcomes)
    # Two sides are resampled: wider than for outcomes without a common picture (4 * 0.5 / 20).
    assert 0.1 < alone < 0.25
    # When ten donors decide everything, 400 pairs say hardly more than ten outcomes.
    few = places % 10
    assert width(few, outcomes[few]) > 2 * alone
