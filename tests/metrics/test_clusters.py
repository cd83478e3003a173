import math

import numpy as np
import pytest

from studio.metrics.clusters import (
    Purity,
    hopkins,
    hopkins_baseline,
    purity,
    silhouette,
    trustworthiness,
)


def blobs(count=600, width=5, groups=6, spread=0.3, seed=1):
    """Return points (N, D) around distant centres, and the number of each one's centre (N,)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % groups
    centres = 10 * rng.permutation(np.eye(max(groups, width)))[:groups, :width]
    return centres[labels] + spread * rng.normal(size=(count, width)), labels


def distances(points, others):
    return np.sqrt(np.square(points[:, None] - others[None]).sum(axis=2))


@pytest.mark.parametrize("width", [1, 2, 10])
def test_hopkins_of_uniform_points_is_a_half(width):
    points = np.random.default_rng(2).random((2000, width))
    values = [hopkins(points, seed=seed) for seed in range(5)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.03)


def test_hopkins_does_not_probe_with_the_points_themselves():
    # The same generator and seed, as they stand in many a script.
    points = np.random.default_rng(0).random((500, 2))
    assert hopkins(points, seed=0) == pytest.approx(0.5, abs=0.1)


def test_hopkins_of_a_grid_is_what_geometry_says():
    # A point's neighbour is 1 away; a random place is (√2 + ln(1 + √2)) / 6 from the nearest corner
    # of its unit square on average, and the mean square of that is 1/6.
    grid = np.stack(np.meshgrid(np.arange(71.0), np.arange(71.0)), axis=-1).reshape(-1, 2)
    mean = (math.sqrt(2) + math.asinh(1)) / 6
    assert hopkins(grid) == pytest.approx(mean / (1 + mean), abs=0.015)
    assert hopkins(grid, exponent=2) == pytest.approx((1 / 6) / (1 + 1 / 6), abs=0.015)


def test_hopkins_looks_at_five_points_or_a_tenth_up_to_a_limit():
    # 2 points stand alone, 18 have a copy: H is 1 unless one of the two is looked at.
    copies = np.repeat(np.linspace(50, 60, 9)[:, None], 2, axis=0)
    points = np.concatenate([[[0.0], [1.0]], copies])

    def share(points, **limits):
        return np.mean([hopkins(points, seed=seed, **limits) > 0.999999 for seed in range(300)])

    assert share(points) == pytest.approx(15 / 20 * 14 / 19, abs=0.09)
    assert share(points, most=2) == pytest.approx(18 / 20 * 17 / 19, abs=0.07)
    more = np.concatenate([points, np.repeat(np.linspace(60, 70, 90)[:, None], 2, axis=0)])
    assert share(more) == pytest.approx(180 / 200 * 179 / 199, abs=0.07)


def test_hopkins_sees_groups():
    points, _ = blobs()
    assert hopkins(points) > 0.9


def test_hopkins_of_points_that_are_there_twice_is_one():
    points = np.random.default_rng(3).random((100, 3))
    assert hopkins(np.concatenate([points, points])) == pytest.approx(1, abs=1e-6)


def test_hopkins_has_no_unit_and_no_origin():
    points, _ = blobs(spread=2)
    value = hopkins(points)
    assert 0.5 < value < 1
    assert hopkins(points * 1e-4) == pytest.approx(value)
    assert hopkins(points * 7 - 3000) == pytest.approx(value)
    assert hopkins(points * 1e9, exponent=40) == pytest.approx(hopkins(points, exponent=40))


def test_distances_far_from_the_origin_lose_no_digits():
    points, labels = blobs(300, width=20, spread=3)
    far = points / 1e3 + 1e6
    assert hopkins(far) == pytest.approx(hopkins(points), abs=1e-4)
    assert hopkins_baseline(far) == pytest.approx(hopkins_baseline(points), abs=1e-4)
    assert silhouette(far, labels) == pytest.approx(silhouette(points, labels), abs=1e-4)
    assert trustworthiness(far, far + 1) == pytest.approx(1)
    assert purity(far, labels) == pytest.approx(purity(points, labels), abs=1e-3)


def test_hopkins_repeats_with_its_seed_only():
    points = np.random.default_rng(4).normal(size=(300, 3))
    assert hopkins(points, seed=5) == hopkins(points, seed=5)
    assert hopkins(points, seed=5) != hopkins(points, seed=6)
    assert hopkins_baseline(points, seed=5) == hopkins_baseline(points, seed=5)
    assert hopkins_baseline(points, seed=5) != hopkins_baseline(points, seed=6)


def test_hopkins_needs_ten_points_that_differ():
    points = np.random.default_rng(5).random((10, 2))
    assert 0 < hopkins(points) < 1
    assert 0 < hopkins_baseline(points) < 1
    for useless in (points[:9], points[:0], np.ones((50, 2))):
        assert math.isnan(hopkins(useless))
        assert math.isnan(hopkins_baseline(useless))


@pytest.mark.parametrize("width", [2, 50])
def test_a_gaussian_is_its_own_baseline(width):
    rng = np.random.default_rng(6)
    points = rng.normal(size=(1000, width)) @ rng.normal(size=(width, width)) + 100
    value = hopkins(points)
    assert value > 0.55
    assert hopkins_baseline(points) == pytest.approx(value, abs=0.05)
    squared = hopkins(points, exponent=2)
    assert squared > value + 0.05
    assert hopkins_baseline(points, exponent=2) == pytest.approx(squared, abs=0.05)


def test_baseline_is_the_mean_of_its_draws():
    points = np.random.default_rng(19).normal(size=(200, 3))

    def unrest(repeats):
        return np.std([hopkins_baseline(points, seed=99 * n, repeats=repeats) for n in range(20)])

    assert unrest(repeats=16) < unrest(repeats=1) / 2


def test_groups_surpass_their_baseline():
    points, _ = blobs()
    baseline = hopkins_baseline(points)
    assert 0.55 < baseline < 0.85
    assert hopkins(points) > baseline + 0.15


def test_uniform_points_do_not_reach_their_baseline():
    points = np.random.default_rng(7).random((1000, 4))
    assert hopkins(points) < hopkins_baseline(points) - 0.1


def test_baseline_has_the_extent_of_the_points():
    # A blob along a diagonal leaves more of its box empty than a round one.
    rng = np.random.default_rng(8)
    along = rng.normal(size=(1000, 1)) + 0.05 * rng.normal(size=(1000, 4))
    assert hopkins_baseline(along) > hopkins_baseline(rng.normal(size=(1000, 4))) + 0.1


def test_baseline_bears_unused_and_repeated_columns():
    points = np.random.default_rng(9).normal(size=(500, 2))
    wide = np.concatenate([points, points, np.ones((500, 3))], axis=1)
    assert hopkins_baseline(wide) == pytest.approx(hopkins(wide), abs=0.06)


def slow_silhouette(points, labels):
    far = distances(points, points)
    values = []
    for row, label in enumerate(labels):
        means = {other: far[row][labels == other].mean() for other in np.unique(labels)}
        size = (labels == label).sum()
        if size == 1:
            values.append(0.0)
            continue
        own = means.pop(label) * size / (size - 1)
        nearest = min(means.values())
        values.append((nearest - own) / max(nearest, own))
    return np.mean(values)


def test_silhouette_agrees_with_its_definition():
    points, labels = blobs(60, spread=5)
    labels[0] = 17
    value = silhouette(points, labels)
    assert value == pytest.approx(slow_silhouette(points, labels))
    assert silhouette(points * 3 + 1000, labels) == pytest.approx(value)


def test_silhouette_from_both_ends():
    points, labels = blobs(spread=0.01)
    assert silhouette(points, labels) > 0.99
    shuffled = np.random.default_rng(10).permutation(labels)
    assert silhouette(points, shuffled) < 0.05


def test_silhouette_leaves_unknown_labels_out():
    points, labels = blobs(120, spread=3)
    unknown = np.where(np.arange(120) % 3 == 0, -1, labels)
    known = unknown >= 0
    assert silhouette(points, unknown) == pytest.approx(silhouette(points[known], labels[known]))


def test_silhouette_of_a_sample_is_close_and_repeats():
    points, labels = blobs(1200, spread=3)
    sample = silhouette(points, labels, most=300, seed=1)
    assert sample == silhouette(points, labels, most=300, seed=1)
    assert sample != silhouette(points, labels, most=300, seed=2)
    assert sample == pytest.approx(silhouette(points, labels), abs=0.05)


@pytest.mark.parametrize("labels", [[-1] * 6, [3] * 6, [-1, 3, 3, 3, 3, 3], range(6)])
def test_silhouette_needs_two_labels_and_two_of_one(labels):
    points = np.random.default_rng(11).random((6, 2))
    assert math.isnan(silhouette(points, np.array(labels)))


def slow_trustworthiness(latents, points, neighbours):
    """Venna and Kaski's formula, by ranks."""
    count, excess = len(latents), 0
    for row in range(count):
        others = np.delete(np.arange(count), row)
        by_latents = others[np.argsort(distances(latents[[row]], latents[others])[0])]
        by_points = others[np.argsort(distances(points[[row]], points[others])[0])]
        for near in by_points[:neighbours]:
            rank = list(by_latents).index(near) + 1
            excess += max(rank - neighbours, 0)
    return 1 - excess * 2 / (count * neighbours * (2 * count - 3 * neighbours - 1))


def test_trustworthiness_agrees_with_its_definition():
    latents = np.random.default_rng(12).normal(size=(60, 5))
    points = latents[:, :2]
    for neighbours in (1, 12):
        value = trustworthiness(latents, points, neighbours=neighbours)
        assert value == pytest.approx(slow_trustworthiness(latents, points, neighbours))
    assert trustworthiness(latents * 5 + 2000, points - 300, neighbours=12) == pytest.approx(value)


def test_trustworthiness_from_both_ends():
    rng = np.random.default_rng(13)
    latents = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 20))
    flat = latents @ np.linalg.svd(latents, full_matrices=False)[2][:2].T
    assert trustworthiness(latents, flat) == pytest.approx(1)
    assert trustworthiness(latents, rng.permutation(flat)) == pytest.approx(0.5, abs=0.06)


def test_trustworthiness_samples_the_same_rows_of_both():
    latents = np.random.default_rng(14).normal(size=(900, 3))
    assert trustworthiness(latents, latents, most=100) == 1
    points = latents[:, :2]
    sample = trustworthiness(latents, points, most=300, seed=1)
    assert sample == trustworthiness(latents, points, most=300, seed=1)
    assert sample != trustworthiness(latents, points, most=300, seed=2)


@pytest.mark.parametrize("count", [3, 4, 5, 23, 24, 25])
def test_trustworthiness_makes_do_with_few_rows(count):
    latents = np.random.default_rng(15).normal(size=(count, 3))
    assert trustworthiness(latents, latents) == 1


def test_trustworthiness_needs_three_rows():
    assert math.isnan(trustworthiness(np.eye(2), np.eye(2)))


def slow_purity(points, labels, neighbours):
    known = np.flatnonzero(labels >= 0)
    agreement, chance = [], []
    for row in known:
        others = known[known != row]
        nearest = others[np.argsort(distances(points[[row]], points[others])[0])[:neighbours]]
        agreement.append(np.mean(labels[nearest] == labels[row]))
        chance.append(np.mean(labels[others] == labels[row]))
    return Purity(np.mean(agreement), np.mean(chance))


def test_purity_agrees_with_its_definition():
    points, labels = blobs(90, spread=6)
    labels[:20] = 2
    labels[20:40] = -1
    value = purity(points, labels)
    assert value == pytest.approx(slow_purity(points, labels, 10))
    assert purity(points * 2 + 500, labels) == pytest.approx(value)


def test_purity_from_both_ends():
    points, labels = blobs()
    assert purity(points, labels).value == 1
    noise = np.random.default_rng(16)
    for skewed in (labels, (labels > 0).astype(int)):
        useless = purity(points, noise.permutation(skewed))
        assert useless.value == pytest.approx(useless.chance, abs=0.03)


def test_purity_does_not_ask_the_point_itself():
    # Nobody's neighbour agrees: two labels that alternate along a line, one neighbour each.
    points = np.cumsum(np.array([1.0, 0.1] * 10))[:, None]
    assert purity(points, np.arange(20) % 2, neighbours=1).value == 0
    # Twelve copies in one place, each with a label of its own.
    assert purity(np.ones((12, 2)), np.arange(12), neighbours=3) == (0, 0)


def test_purity_asks_no_more_neighbours_than_there_are():
    points = np.random.default_rng(17).random((4, 2))
    assert purity(points, np.array([0, 0, 1, 1])) == pytest.approx((1 / 3, 1 / 3))


def test_purity_looks_up_a_sample_among_all_rows():
    points, labels = blobs(1500, spread=5)
    whole, sample = purity(points, labels), purity(points, labels, most=500, seed=1)
    assert sample == purity(points, labels, most=500, seed=1)
    assert sample != purity(points, labels, most=500, seed=2)
    assert sample.chance == whole.chance
    assert sample.value == pytest.approx(whole.value, abs=0.05)


@pytest.mark.parametrize("labels", [[-1] * 5, [2] * 5, [-1, -1, 2, 2, 2], [0, -1, -1, -1, -1]])
def test_purity_needs_two_labels(labels):
    value = purity(np.random.default_rng(18).random((5, 2)), np.array(labels))
    assert math.isnan(value.value)
    assert math.isnan(value.chance)
