"""Measure the measuring instruments: classifier, identity, eye regressor and realness scorer."""

import numpy as np
import torch

from studio.checkpoints import Loaded
from studio.data.folder import DataSet
from studio.errors import DataError
from studio.evaluation.bench import Array, read, rows, to_device
from studio.methods.realness import WAYS
from studio.metrics import attributes
from studio.nn.augmentation import jitter_crop

# Pairs of different persons for each pair of one person: the latter are few.
_STRANGERS = 20


@torch.inference_mode()
def instrument_numbers(
    loaded: Loaded, data: DataSet, device: torch.device, seed: int
) -> dict[str, float]:
    """Measure an evaluator on held-out pictures.

    Args:
        loaded: The evaluator.
        data: The held-out part.
        device: Where the evaluator is.
        seed: Of random pairs and crops.

    Returns:
        Numbers by name.

    Raises:
        DataError: The data lacks the labels that are needed.
    """
    measure = {
        "attributes": _attribute_numbers,
        "identity": _identity_numbers,
        "eyes": _eye_numbers,
        "realness": _realness_numbers,
    }[loaded.card.method]
    return measure(loaded, data, device, seed)


def _outputs(loaded: Loaded, data: DataSet, device: torch.device) -> Array:
    size = loaded.card.spec.size
    pictures = data.pictures(size)
    batches = (to_device(pictures[some], device) for some in rows(len(pictures)))
    return np.concatenate([read(loaded.model, batch, size, device) for batch in batches])


def _attribute_numbers(
    loaded: Loaded, data: DataSet, device: torch.device, seed: int
) -> dict[str, float]:
    """Compare logits with labels; means over the attributes that the data knows."""
    del seed
    names = loaded.card.spec.attributes
    labels = data.attribute_matrix(names)
    known = np.flatnonzero((labels >= 0).any(axis=0))
    if not len(known):
        raise DataError(f"{data.name} knows none of the attributes {', '.join(names)}.")
    logits = _outputs(loaded, data, device)
    right, balanced = [], []
    for column in known:
        labelled = labels[:, column] >= 0
        truth, guess = labels[labelled, column], logits[labelled, column]
        right.append(((guess > 0) == (truth == 1)).mean())
        balanced.append(attributes.balanced_accuracy(guess, truth))
    return {
        "pictures": float(len(data)),
        "attributes": float(len(known)),
        "accuracy": float(np.mean(right)),
        # An attribute that all or no pictures have says nothing about the balance.
        "balanced_accuracy": float(np.nanmean(balanced)),
    }


def _identity_numbers(
    loaded: Loaded, data: DataSet, device: torch.device, seed: int
) -> dict[str, float]:
    """Compare how alike pictures of one person and of two persons are."""
    persons = data.identity()
    known = np.flatnonzero(persons >= 0)
    first, second = np.triu_indices(len(known), 1)
    same = persons[known[first]] == persons[known[second]]
    if not same.any() or same.all():
        raise DataError(f"{data.name} needs pictures of one person and of several, by `identity`.")
    vectors = _outputs(loaded, data, device)[known]
    rng = np.random.default_rng(seed)
    others = np.flatnonzero(~same)
    strangers = rng.choice(others, min(len(others), _STRANGERS * int(same.sum())), replace=False)
    alike = np.einsum("nd,nd->n", vectors[first[same]], vectors[second[same]])
    unlike = np.einsum("nd,nd->n", vectors[first[strangers]], vectors[second[strangers]])
    return {
        "same_pairs": float(len(alike)),
        "different_pairs": float(len(unlike)),
        "verification_auc": attributes.separation(alike, unlike),
    }


def _eye_numbers(
    loaded: Loaded, data: DataSet, device: torch.device, seed: int
) -> dict[str, float]:
    """Find the eyes in crops that are moved, scaled and turned as in training.

    Errors are those of the worse eye, as fractions of the distance between the eyes.
    """
    eyes = torch.from_numpy(data.eyes())
    if not bool(torch.isfinite(eyes).all()):
        raise DataError(f"{data.name} has pictures without eye positions.")
    size = loaded.card.spec.size
    pictures = data.pictures(size)
    errors = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for some in rows(len(pictures)):
            crops = to_device(pictures[some], torch.device("cpu"))
            moved, places = jitter_crop(crops, eyes[some])
            found = torch.from_numpy(read(loaded.model, moved, size, device)[:, :4])
            apart = (places[:, 0] - places[:, 1]).norm(dim=1)
            off = (found.reshape(-1, 2, 2) - places).norm(dim=2).amax(1)
            errors.append((off / apart).numpy())
    every = np.concatenate(errors)
    median, most = np.percentile(every, (50, 95))
    return {
        "pictures": float(len(every)),
        "eye_error_median": float(median),
        "eye_error_p95": float(most),
        "eyes_within_10_percent": float((every <= 0.1).mean()),
    }


def _realness_numbers(
    loaded: Loaded, data: DataSet, device: torch.device, seed: int
) -> dict[str, float]:
    """Tell pictures from the same ones, spoilt in each of the ways that training knows."""
    size = loaded.card.spec.size
    original = to_device(data.pictures(size), torch.device("cpu"))
    real = read(loaded.model, original, size, device)[:, 0]
    numbers = {"pictures": float(len(data)), "real_accuracy": float((real > 0).mean())}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, way in WAYS.items():
            spoilt = read(loaded.model, way(original), size, device)[:, 0]
            numbers[f"{name}_auc"] = attributes.separation(real, spoilt)
    return numbers
