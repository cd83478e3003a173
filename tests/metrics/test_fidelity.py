import numpy as np
import pytest

from studio.metrics.fidelity import frechet_distance


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(500, 6))


def test_equal_sets_have_no_distance(features):
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)


def test_a_shift_costs_its_squared_length(features):
    shift = np.array([3.0, 4.0, 0, 0, 0, 0])
    assert frechet_distance(features, features + shift) == pytest.approx(25)


def test_spread_in_one_dimension_costs_the_squared_difference_of_deviations():
    base = np.random.default_rng(1).normal(size=(300, 1))
    base /= base.std(ddof=1)
    assert frechet_distance(2 * base, 5 * base) == pytest.approx(9 + (3 * base.mean()) ** 2)


def test_agrees_with_the_definition_through_eigenvalues_of_the_product(features):
    turned = features @ np.random.default_rng(2).normal(size=(6, 6))
    one, other = np.cov(features, rowvar=False), np.cov(turned, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(one @ other).real.clip(0)).sum()
    means = np.square(features.mean(0) - turned.mean(0)).sum()
    expected = means + np.trace(one) + np.trace(other) - 2 * roots
    assert frechet_distance(features, turned) == pytest.approx(expected)
    assert frechet_distance(turned, features) == pytest.approx(expected)
