import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from studio.explore.projection import (
    EARLY,
    LATE,
    Pca,
    fit_pca,
    fit_tsne,
    project,
    usable_perplexity,
    weights,
)


def silent(done, total):
    """Take progress and say nothing."""


def blobs(count=300, width=20, groups=3, seed=0):
    """Return well separated groups and the group of each row."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % groups
    middles = rng.normal(0, 8, (groups, width))
    return (middles[labels] + rng.normal(size=(count, width))).astype(np.float16), labels


@pytest.mark.parametrize("most", [2**30, 1])
def test_components_are_those_of_scikit_learn_whichever_way_they_are_found(most):
    flat, _ = blobs(width=30)
    pca = fit_pca(flat, 0, silent, most)
    exact = PCA(30, svd_solver="full").fit(flat.astype(np.float64))
    np.testing.assert_allclose(pca.variances[:3], exact.explained_variance_[:3], rtol=1e-2)
    np.testing.assert_allclose(
        np.abs((pca.axes[:2] * exact.components_[:2]).sum(axis=1)), 1, atol=1e-3
    )
    assert pca.total == pytest.approx(exact.explained_variance_.sum(), rel=1e-4)
    np.testing.assert_allclose(pca.ratios[:3], exact.explained_variance_ratio_[:3], rtol=1e-2)


def test_the_inverse_undoes_what_the_kept_components_can_tell():
    flat, _ = blobs(width=8)
    pca = fit_pca(flat, 0, silent)
    scores = project(pca, flat)
    np.testing.assert_allclose(pca.inverse(scores), flat.astype(np.float32), atol=1e-3)
    two = pca.inverse(scores[:, :2])
    np.testing.assert_allclose(pca.transform(two)[:, :2], scores[:, :2], atol=1e-3)
    np.testing.assert_allclose(pca.transform(two)[:, 2:], 0, atol=1e-3)


def test_components_are_kept_on_disk_as_they_are(tmp_path):
    pca = fit_pca(blobs()[0], 0, silent)
    pca.save(tmp_path / "pca.npz")
    again = Pca.load(tmp_path / "pca.npz")
    np.testing.assert_array_equal(again.axes, pca.axes)
    assert again.total == pca.total


@pytest.mark.parametrize("count", [1, 2])
def test_one_picture_and_equal_pictures_have_no_variance(count):
    flat = np.ones((count, 6), np.float16)
    pca = fit_pca(flat, 0, silent)
    assert pca.total == 0
    assert (pca.ratios == 0).all()
    np.testing.assert_array_equal(project(pca, flat), 0)


def test_the_same_seed_draws_the_same_map():
    scores = blobs(120)[0].astype(np.float32)
    one, again = (fit_tsne(scores, 2, 10, 3, silent) for _ in range(2))
    np.testing.assert_array_equal(one.points, again.points)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_groups_stay_together(dimensions):
    flat, labels = blobs(150)
    told = []
    found = fit_tsne(
        flat.astype(np.float32), dimensions, 15, 0, lambda *values: told.append(values)
    )
    assert found.points.shape == (150, dimensions)
    distances = np.linalg.norm(found.points[:, None] - found.points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).all()
    assert told[-1] == (EARLY + LATE, EARLY + LATE)


def test_it_fits_as_well_as_scikit_learn():
    scores = blobs(400, 10)[0].astype(np.float32)
    ours = fit_tsne(scores, 2, 30, 0, silent)
    theirs = TSNE(2, perplexity=30, init="pca", random_state=0)
    theirs.fit(scores)
    assert ours.divergence < 1.05 * theirs.kl_divergence_


def test_the_perplexity_fits_the_number_of_pictures():
    assert usable_perplexity(30, 1000) == 30
    assert usable_perplexity(30, 31) == 10


def test_weights_have_the_perplexity_that_is_asked_for():
    distances = np.sort(np.random.default_rng(0).uniform(1, 3, (4, 40)), axis=1)
    found = weights(distances, 7.0)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    entropy = -(found * np.log(found)).sum(axis=1)
    np.testing.assert_allclose(np.exp(entropy), 7.0, rtol=1e-4)
    assert (np.diff(found, axis=1) <= 0).all()


def test_a_picture_that_is_there_already_weighs_most():
    found = weights(np.array([[0.0, 5, 5, 5, 5, 6, 7, 8]]), 2.0)
    assert found[0].argmax() == 0
    assert np.isfinite(weights(np.zeros((1, 8)))).all()
