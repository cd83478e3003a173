"""How alike two sets of pictures are as distributions of features."""

from typing import Any

import numpy as np
import numpy.typing as npt


def frechet_distance(features: npt.NDArray[Any], others: npt.NDArray[Any]) -> float:
    """Return the squared Frechet distance of the Gaussians that fit two sets of features.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` (Heusel et al. 2017, there with features of
    Inception; distances in different features cannot be compared).

    Args:
        features: (N, D), N at least 2.
        others: (M, D), M at least 2.

    Returns:
        At or above 0.
    """
    mean, covariance = _gaussian(features)
    other_mean, other_covariance = _gaussian(others)
    root = _root(covariance)
    # (C1 C2)^(1/2) has the trace of (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric.
    product = np.linalg.eigvalsh(root @ other_covariance @ root)
    overlap = np.sqrt(np.clip(product, 0, None)).sum()
    spread = np.trace(covariance) + np.trace(other_covariance) - 2 * overlap
    return float(np.square(mean - other_mean).sum() + max(spread, 0.0))


def _gaussian(
    features: npt.NDArray[Any],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean (D,) and covariance (D, D)."""
    precise = features.astype(np.float64)
    return precise.mean(axis=0), np.atleast_2d(np.cov(precise, rowvar=False))


def _root(covariance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root: npt.NDArray[np.float64] = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root
