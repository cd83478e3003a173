import itertools
import math

import numpy as np
import pytest

from studio.metrics.disentanglement import dci, mig, sap

METRICS = (mig, sap, dci)


def factors_of(count=600, seed=1):
    """Return factors (N, 4): two continuous, one with two values, one with three."""
    rng = np.random.default_rng(seed)
    drawn = [rng.normal(size=count), rng.random(count), rng.integers(0, 2, count)]
    return np.stack([*drawn, rng.choice([0.5, 2.0, 7.0], count)], axis=1)


def noise(count=600, width=4, seed=2):
    return np.random.default_rng(seed).normal(size=(count, width))


def entangled(latents):
    """Turn 2, 4 or 8 dimensions of one spread so that each has as much of every old one."""
    turn = np.ones((1, 1))
    while len(turn) < latents.shape[1]:
        turn = np.kron(turn, [[1, 1], [1, -1]])
    return (latents / latents.std(axis=0)) @ turn


def numbers(result):
    """Return everything that a result holds as one array."""
    return np.concatenate([np.ravel(part) for part in result])


def test_perfect_latents_have_large_gaps():
    factors = factors_of()
    perfect = np.concatenate([factors, noise(width=3)], axis=1)
    assert mig(perfect, factors).by_factor.min() > 0.85
    gaps = sap(perfect, factors)
    assert gaps.by_factor[:2].min() > 0.97
    # Half and a third of the discrete factors can be guessed, and a little more after the event.
    assert gaps.by_factor[2:] == pytest.approx([1 / 2 - 0.05, 2 / 3 - 0.05], abs=0.05)
    assert gaps.value == pytest.approx(gaps.by_factor.mean())


def test_useless_latents_have_no_gaps():
    assert mig(noise(), factors_of()).value < 0.03
    assert sap(noise(), factors_of()).value < 0.03


def test_entangled_latents_have_small_gaps():
    factors = factors_of()
    perfect = np.concatenate([factors, noise()], axis=1)
    for metric in (mig, sap):
        assert metric(entangled(perfect), factors).value < metric(perfect, factors).value / 10


def test_a_factor_that_two_dimensions_share_has_no_gap():
    factors = factors_of()
    twice = np.concatenate([factors, -factors], axis=1)
    assert mig(twice, factors).by_factor == pytest.approx([0] * 4, abs=0.01)
    assert sap(twice, factors).by_factor == pytest.approx([0] * 4, abs=1e-9)


def slow_information(codes, others):
    total = 0.0
    for code, other in itertools.product(set(codes), set(others)):
        joint = np.mean((codes == code) & (others == other))
        if joint:
            total += joint * math.log(joint / (np.mean(codes == code) * np.mean(others == other)))
    return total


def test_mig_agrees_with_its_definition():
    # 600 distinct values in 6 bins: a hundred of them in each, by rank.
    latents, factor = noise(width=3), factors_of()[:, 0]
    latents[:, 1] += factor
    latents[:, 2] -= 0.5 * factor
    codes = factor.argsort().argsort() // 100
    shared = [slow_information(column.argsort().argsort() // 100, codes) for column in latents.T]
    expected = (shared[1] - shared[2]) / math.log(6)
    assert expected > 0.05
    assert mig(latents, factor[:, None], bins=6).value == pytest.approx(expected)


def test_mig_of_worked_out_numbers():
    # The first dimension is the factor; the second says it for half of the rows, and of the other
    # half nothing: half of the information.
    factor = np.tile([0.0, 1.0], 40)
    half = np.where(np.arange(80) < 40, factor, 5.0)
    result = mig(np.stack([factor, half, np.zeros(80)], axis=1), factor[:, None])
    assert result.value == pytest.approx(0.5)


def test_mig_tells_rare_values_apart():
    factor = np.repeat([0.0, 1.0, 2.0], [390, 5, 5])
    rare = np.array([390, 10]) / 400
    each = np.array([390, 5, 5]) / 400
    result = mig(np.stack([factor, factor > 0], axis=1), factor[:, None])
    assert result.value == pytest.approx(1 - (rare @ np.log(rare)) / (each @ np.log(each)))


def test_mig_does_not_ask_for_a_straight_scale():
    factors, latents = factors_of(), noise()
    latents[:, :2] += factors[:, :2]
    bent = np.stack([np.exp(3 * latents[:, 0]), -np.cbrt(latents[:, 1]), *latents.T[2:]], axis=1)
    stretched = factors * [1e6, 1, 1, 1] - 5
    assert mig(bent, stretched).by_factor == pytest.approx(mig(latents, factors).by_factor)


def test_mig_bears_a_factor_that_is_almost_constant():
    # All but a few values are equal, which leaves two bins.
    for common in (0.0, 100.0):
        factor = np.full(800, common)
        factor[:20] = np.arange(1, 21)
        result = mig(np.stack([factor, np.zeros(800)], axis=1), factor[:, None])
        assert result.value == pytest.approx(1)


def test_sap_of_a_continuous_factor_is_the_gap_of_squared_correlations():
    latents, factor = noise(width=3), factors_of()[:, 0]
    latents[:, 0] -= 2 * factor
    latents[:, 1] += factor
    squares = [np.corrcoef(column, factor)[0, 1] ** 2 for column in latents.T]
    result = sap(latents * [1, 1e3, 1e-3] + 50, factor[:, None] * 9 + 1)
    assert result.value == pytest.approx(squares[0] - squares[1])


def best_by_trying(column, codes):
    """Return the best balanced accuracy of all thresholds and answers, for K codes."""
    kinds = np.unique(codes)
    levels = np.unique(column)
    limits = [*(levels[1:] + levels[:-1]) / 2, np.inf]
    best = 0.0
    for chosen in itertools.combinations_with_replacement(limits, len(kinds) - 1):
        segment = np.searchsorted(chosen, column)
        for answers in itertools.product(kinds, repeat=len(kinds)):
            right = np.array(answers)[segment] == codes
            best = max(best, np.mean([right[codes == kind].mean() for kind in kinds]))
    return best


@pytest.mark.parametrize("kinds", [2, 3])
def test_sap_of_a_discrete_factor_finds_the_best_thresholds(kinds):
    rng = np.random.default_rng(4)
    codes = rng.integers(0, kinds, 18)
    # Rounded, so that many values are equal and no threshold lies between them.
    columns = [np.round(rng.normal(slope * codes), 1) for slope in (2.0, -0.8, 0.0)]
    tried = sorted(best_by_trying(column, codes) for column in columns)
    result = sap(np.stack(columns, axis=1), codes[:, None])
    assert result.value == pytest.approx(tried[-1] - tried[-2])


def test_sap_does_not_reward_the_common_answer():
    # Nine of ten are 0. A dimension at rest can only answer one thing: 0.5, not 0.9.
    factor = (np.arange(100) % 10 == 0).astype(float)
    result = sap(np.stack([factor, np.ones(100)], axis=1), factor[:, None])
    assert result.value == pytest.approx(0.5)


def test_dci_of_perfect_latents_is_one():
    factors = factors_of(400)
    perfect = np.concatenate([factors, noise(400, 2)], axis=1)
    assert min(dci(perfect, factors)[:3]) > 0.95
    assert dci(perfect, factors).by_factor.min() > 0.95
    # Pictures in order of a factor: the fifth that is held out must not be one end of it.
    order = np.argsort(factors[:, 0])
    assert dci(perfect[order], factors[order]).by_factor[0] > 0.95


def test_dci_of_useless_latents_is_nothing_and_chance():
    result = dci(noise(400), factors_of(400))
    assert result.disentanglement < 0.1
    assert result.completeness < 0.1
    assert result.by_factor[:2].max() < 0.1
    assert result.by_factor[2:] == pytest.approx([1 / 2, 1 / 3], abs=0.15)
    assert result.informativeness == pytest.approx(result.by_factor.mean())


def test_dci_of_entangled_latents_is_low_though_they_are_informative():
    factors = np.random.default_rng(5).random((500, 4))
    result = dci(entangled(factors), factors)
    assert result.informativeness > 0.6
    assert result.disentanglement < 0.15
    assert result.completeness < 0.15


def test_dci_tells_disentangled_from_complete():
    rng = np.random.default_rng(6)
    factors = rng.integers(0, 2, (400, 2)).astype(float)
    # One dimension serves both factors: complete, not disentangled.
    both = np.stack([factors @ [1, 2], *rng.normal(size=(2, 400))], axis=1)
    result = dci(both, factors)
    assert result.disentanglement < 0.1
    assert result.completeness > 0.9
    # Two equal dimensions per factor: 1 - ln 2 / ln 4.
    result = dci(np.repeat(factors, 2, axis=1), factors)
    assert result.disentanglement == pytest.approx(1)
    assert result.completeness == pytest.approx(0.5, abs=0.05)


def test_dci_repeats_with_its_seed_only():
    factors, latents = factors_of(200), noise(200)
    latents[:, 0] += factors[:, 0]
    assert np.array_equal(numbers(dci(latents, factors)), numbers(dci(latents, factors)))
    assert not np.array_equal(
        numbers(dci(latents, factors, seed=1)), numbers(dci(latents, factors))
    )


def test_dci_has_no_unit():
    factors, latents = factors_of(200), noise(200)
    latents[:, :2] += factors[:, :2]
    result = dci(latents * 8 - 64, factors)
    assert numbers(result) == pytest.approx(numbers(dci(latents, factors)))


def test_dci_of_one_factor_says_nothing_about_disentanglement():
    factors = factors_of(200)
    result = dci(factors, factors[:, :1])
    assert math.isnan(result.disentanglement)
    assert result.completeness > 0.95


def test_dci_of_latents_at_rest_has_importance_for_nothing():
    result = dci(np.ones((200, 3)), factors_of(200))
    assert math.isnan(result.disentanglement)
    assert math.isnan(result.completeness)
    assert result.by_factor[:2].max() < 0.1


@pytest.mark.parametrize("metric", METRICS)
def test_order_of_dimensions_does_not_matter(metric):
    factors, latents = factors_of(200), noise(200, 3)
    latents[:, 0] = 3 * factors[:, 0] + 0.1 * latents[:, 0]
    turned = metric(latents[:, [2, 0, 1]], factors)
    # The forest breaks its ties by place.
    assert numbers(turned) == pytest.approx(numbers(metric(latents, factors)), abs=0.1)


@pytest.mark.parametrize("metric", METRICS)
def test_constant_and_unknown_factors_are_left_out(metric):
    factors = factors_of(100)
    useless = np.stack([np.ones(100), np.full(100, np.nan), np.full(100, np.nan)], axis=1)
    useless[:9, 2] = np.arange(9)
    latents = factors + 0.3 * noise(100)
    result = metric(latents, np.concatenate([useless, factors], axis=1))
    alone = metric(latents, factors)
    assert np.isnan(result.by_factor).tolist() == [True] * 3 + [False] * 4
    assert np.array_equal(result.by_factor[3:], alone.by_factor)
    assert result[:-1] == alone[:-1]


@pytest.mark.parametrize("metric", METRICS)
def test_unknown_rows_are_left_out_per_factor(metric):
    factors, latents = factors_of(200), noise(200)
    latents += factors
    latents[190:195, 1] = np.nan
    latents[195:, 2] = np.inf
    partial = factors.copy()
    partial[:50, 0] = np.nan
    partial[50:90, 2] = np.nan
    result = metric(latents, partial).by_factor
    rows = np.arange(190)
    known = [rows[50:], rows, np.delete(rows, np.s_[50:90]), rows]
    for place, chosen in enumerate(known):
        alone = metric(latents[chosen], factors[chosen, place][:, None]).by_factor
        assert result[place] == alone[0]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("case", ["one dimension", "constant factors", "few rows", "no factors"])
def test_nothing_to_measure_is_nan(metric, case):
    latents, factors = noise(50), factors_of(50)
    latents, factors = {
        "one dimension": (latents[:, :1], factors),
        "constant factors": (latents, np.ones((50, 2))),
        "few rows": (latents[:9], factors[:9]),
        "no factors": (latents, factors[:, :0]),
    }[case]
    result = metric(latents, factors)
    assert np.isnan(numbers(result)).all()
    assert result.by_factor.shape == (factors.shape[1],)


def test_at_most_ten_values_make_a_factor_discrete():
    # A parabola: a straight line explains nothing of it, thresholds tell its values.
    for count in (10, 11):
        factor = np.tile(np.arange(count, dtype=float), 30)
        bent = np.square(factor - factor.mean())
        result = sap(np.stack([bent, np.zeros(len(factor))], axis=1), factor[:, None])
        assert (result.value > 0.3) == (count == 10)
