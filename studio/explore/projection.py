"""From latents to the plane or to space: PCA, and t-SNE on its first components.

What takes long happens in a process of its own (``python -m studio.explore.worker``), which can be
stopped at any time and leaves the page its processor. This module is what both sides share; it
imports no torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA, IncrementalPCA

Floats = npt.NDArray[np.float32]

# Components that are kept; t-SNE works on them, and neighbours are looked for among them.
COMPONENTS = 50
# Larger matrices are read a piece at a time.
MOST_BYTES = 2**30
# t-SNE needs neighbours; fewer pictures are laid out by PCA.
FEWEST = 10
PERPLEXITY = 30.0
# Iterations with and without exaggeration, as openTSNE counts them.
EARLY, LATE = 250, 600
_EVERY = 10
_PIECE = 2048
# Up to these numbers exact neighbours, and the Barnes-Hut tree, are the faster ones.
_FEW, _MANY = 30_000, 10_000
# Coarser than openTSNE's own 1: half the time, and 2 % more divergence.
_INTERVAL = 1.5
# As openTSNE places new pictures: by a few neighbours, or all would lie between the clusters.
_PLACING = 5.0


@dataclass(frozen=True, eq=False)
class Pca:
    """Principal components of N vectors of D numbers.

    Attributes:
        mean: (D,).
        axes: (K, D), orthonormal, the one with the largest variance first.
        variances: (K,).
        total: Variance of all D numbers together.
    """

    mean: Floats
    axes: Floats
    variances: Floats
    total: float

    @property
    def ratios(self) -> Floats:
        """The (K,) shares of the whole variance; 0 where nothing varies."""
        if self.total <= 0:
            return np.zeros_like(self.variances)
        return (self.variances / self.total).astype(np.float32, copy=False)

    def transform(self, flat: npt.NDArray[Any]) -> Floats:
        """Return the (B, K) scores of (B, D) vectors."""
        scores = (np.asarray(flat, np.float32) - self.mean) @ self.axes.T
        return scores.astype(np.float32, copy=False)

    def inverse(self, scores: npt.NDArray[Any]) -> Floats:
        """Return (B, D) vectors from the first k of their scores, the others at their means."""
        vectors = self.mean + np.asarray(scores, np.float32) @ self.axes[: scores.shape[1]]
        return vectors.astype(np.float32, copy=False)

    def save(self, file: Path) -> None:
        """Write an ``.npz``."""
        beside = file.with_suffix(".part.npz")
        np.savez(beside, mean=self.mean, axes=self.axes, variances=self.variances, total=self.total)
        beside.replace(file)

    @classmethod
    def load(cls, file: Path) -> "Pca":
        """Read what ``save`` wrote."""
        with np.load(file) as found:
            return cls(found["mean"], found["axes"], found["variances"], float(found["total"]))


def fit_pca(
    flat: npt.NDArray[Any], seed: int, progress: Callable[[int, int], None], most: int = MOST_BYTES
) -> Pca:
    """Find the principal components: randomized, or incrementally where memory is short.

    Args:
        flat: (N, D) float16, possibly on the disk.
        seed: Of the randomized solver.
        progress: Gets the rows that were read and their number.
        most: Bytes of single precision numbers up to which all is done at once.
    """
    count, width = flat.shape
    kept = min(COMPONENTS, count, width)
    mean, total = _moments(flat)
    if total <= 0:
        # Equal pictures have no directions; any will do.
        return Pca(mean, np.eye(kept, width, dtype=np.float32), np.zeros(kept, np.float32), 0.0)
    if 4 * count * width <= most:
        model = PCA(kept, svd_solver="randomized", random_state=seed)
        model.fit(np.asarray(flat, np.float32))
        progress(count, count)
    else:
        model = IncrementalPCA(kept)
        for rows in _pieces(count, kept):
            model.partial_fit(np.asarray(flat[rows], np.float32))
            progress(rows.stop, count)
    axes, variances = (
        found.astype(np.float32) for found in (model.components_, model.explained_variance_)
    )
    return Pca(mean, axes, variances, total)


def _moments(flat: npt.NDArray[Any]) -> tuple[Floats, float]:
    """Return the mean of all rows, and the variance of all columns together."""
    count = len(flat)
    sums = (np.asarray(flat[rows], np.float64).sum(axis=0) for rows in _pieces(count, 1))
    mean = sum(sums) / count
    squares = sum(
        float(np.square(np.asarray(flat[rows], np.float64) - mean).sum())
        for rows in _pieces(count, 1)
    )
    total = squares / max(1, count - 1)
    # Means of equal numbers are off by rounding.
    negligible = total <= 1e-12 * float(np.square(mean).sum())
    return mean.astype(np.float32), 0.0 if negligible else total


def _pieces(count: int, least: int) -> list[slice]:
    """Cut rows into pieces of which none, the last one included, has fewer than ``least``."""
    starts = list(range(0, max(1, count - max(least, _PIECE) + 1), max(least, _PIECE)))
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], count], strict=True)]


def project(pca: Pca, flat: npt.NDArray[Any]) -> Floats:
    """Return the scores of many vectors, read a piece at a time."""
    return np.concatenate([pca.transform(flat[rows]) for rows in _pieces(len(flat), 1)])


@dataclass(frozen=True, eq=False)
class Embedding:
    """A t-SNE map.

    Attributes:
        points: (N, dimensions).
        divergence: Kullback-Leibler divergence that is left, in nats.
    """

    points: Floats
    divergence: float


def fit_tsne(
    scores: Floats,
    dimensions: int,
    perplexity: float,
    seed: int,
    progress: Callable[[int, int], None],
    jobs: int = 1,
) -> Embedding:
    """Lay (N, K) scores out by t-SNE, in 2 or 3 dimensions.

    Args:
        scores: At least :data:`FEWEST` of them.
        dimensions: 2 or 3; above 10,000 pictures 2 takes interpolation-based gradients, else
            both take Barnes-Hut's.
        perplexity: Effective number of neighbours.
        seed: Of the neighbour search; the start is PCA's.
        progress: Gets the iterations that are done and their number.
        jobs: Threads.
    """
    # Takes over a second, and PCA does without.
    import openTSNE

    done = 0

    def follow(iteration: int, error: float, embedding: object) -> bool:
        nonlocal done
        del iteration, error, embedding
        done += _EVERY
        progress(done, EARLY + LATE)
        return False

    found = openTSNE.TSNE(
        n_components=dimensions,
        perplexity=usable_perplexity(perplexity, len(scores)),
        early_exaggeration_iter=EARLY,
        n_iter=LATE,
        negative_gradient_method="fft" if dimensions == 2 and len(scores) > _MANY else "bh",
        neighbors="exact" if len(scores) <= _FEW else "approx",
        ints_in_interval=_INTERVAL,
        initialization="pca",
        callbacks=follow,
        callbacks_every_iters=_EVERY,
        n_jobs=jobs,
        random_state=seed,
    ).fit(scores)
    return Embedding(np.asarray(found, np.float32), float(found.kl_divergence))


def usable_perplexity(perplexity: float, count: int) -> float:
    """Return the perplexity, or the largest that so many pictures allow."""
    return min(perplexity, (count - 1) / 3)


def weights(distances: npt.NDArray[Any], perplexity: float = _PLACING) -> npt.NDArray[np.float64]:
    """Return how near k pictures are, as t-SNE sees it.

    p_j = exp(-d_j^2 / 2 s^2) / sum, with s such that the entropy of p is log(perplexity)
    (van der Maaten and Hinton 2008, Eq. 1).

    Args:
        distances: (B, k) distances from new pictures to old ones; k above the perplexity.
        perplexity: Effective number of neighbours.

    Returns:
        (B, k) numbers that add up to 1 in each row.
    """
    squares = np.asarray(distances, np.float64) ** 2
    squares -= squares.min(axis=1, keepdims=True)
    low, high = np.full(len(squares), 0.0), np.full(len(squares), np.inf)
    precision = 1 / np.maximum(squares.mean(axis=1), 1e-12)
    goal = np.log(min(perplexity, 0.99 * squares.shape[1]))
    for _ in range(64):
        kernel = np.exp(-squares * precision[:, None])
        kernel /= kernel.sum(axis=1, keepdims=True)
        entropy = -(kernel * np.log(np.maximum(kernel, 1e-300))).sum(axis=1)
        wide = entropy > goal
        low, high = np.where(wide, precision, low), np.where(wide, high, precision)
        precision = np.where(np.isinf(high), precision * 2, (low + high) / 2)
    return kernel
