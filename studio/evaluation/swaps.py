"""Measure swaps with a classifier that took no part in training (the numbers under "Reach")."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from studio import latents
from studio.checkpoints import ModelCache
from studio.data.folder import DataSet
from studio.editing import ERROR_FAIR, ERROR_WELL, OBJECT_THRESHOLD
from studio.errors import DataError, UnsupportedError
from studio.evaluation.bench import Array, Bench, read, rows, to_device
from studio.methods.base import Evaluator, LatentModel
from studio.metrics import attributes, fidelity, reconstruction

STRENGTHS = (0.5, 1.0, 1.5)

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Who gives to whom, as rows of a data set.

    Attributes:
        donors: (D,) pictures with the object.
        receivers: (R,) pictures without.
        donor: (N,) place in ``donors`` of each pair's donor.
        receiver: (N,) place in ``receivers``.
    """

    donors: Indices
    receivers: Indices
    donor: Indices
    receiver: Indices

    def __len__(self) -> int:
        return len(self.donor)


@dataclass(frozen=True, eq=False)
class Instrument:
    """An attribute classifier.

    Attributes:
        model: Maps images to (B, A) logits.
        size: Of its pictures in pixels.
        column: Of the swapped attribute among its outputs.
        device: Where it is.
    """

    model: Evaluator
    size: int
    column: int
    device: torch.device

    def read(self, made: Tensor) -> Array:
        """Return the (N, A) logits of (N, 3, S, S) images."""
        return read(self.model, made, self.size, self.device)

    def object(self, logits: Array) -> Array:
        """Return the (N,) logits of the swapped attribute."""
        column: Array = logits[:, self.column]
        return column


def make_pairs(values: npt.NDArray[np.int8], count: int, seed: int) -> Pairs:
    """Pair donors with receivers at random.

    Args:
        values: (N,) attribute: 1 donors, 0 receivers, -1 neither.
        count: Of pairs; 0 takes each picture of the larger group once.
        seed: Of the pairing.

    Returns:
        Pairs in which every picture of a group serves about equally often.

    Raises:
        DataError: One of the groups is empty.
    """
    donors, receivers = np.flatnonzero(values == 1), np.flatnonzero(values == 0)
    if not len(donors) or not len(receivers):
        raise DataError(
            f"Swaps are measured between pictures with and without the object; there are "
            f"{len(donors)} with and {len(receivers)} without."
        )
    total = count or max(len(donors), len(receivers))
    rng = np.random.default_rng(seed)
    return Pairs(
        donors, receivers, _deal(rng, len(donors), total), _deal(rng, len(receivers), total)
    )


def _deal(rng: np.random.Generator, size: int, total: int) -> Indices:
    """Deal shuffled decks one after another until there are enough cards."""
    decks = [rng.permutation(size) for _ in range(-(-total // size))]
    return np.concatenate(decks)[:total]


def find_instrument(models: ModelCache, name: str, attribute: str) -> Instrument:
    """Load the classifier that is to judge swaps of an attribute.

    Raises:
        UnsupportedError: The checkpoint is no classifier of this attribute.
        CheckpointError: It cannot be loaded.
    """
    loaded = models.get(name)
    names = loaded.card.spec.attributes
    if loaded.card.method != "attributes" or attribute not in names:
        raise UnsupportedError(
            f"{name} does not recognize {attribute!r}; choose an attribute classifier that does "
            "with --instrument."
        )
    return Instrument(loaded.model, loaded.card.spec.size, names.index(attribute), models.device)


@torch.inference_mode()
def verdict_numbers(bench: Bench, data: DataSet, attribute: str) -> dict[str, float]:
    """Measure the validation part, for the verdicts beside a crop.

    Args:
        bench: The model.
        data: The validation part.
        attribute: The object; where the data does not know it, there is no threshold.

    Returns:
        The error's percentiles and, for a model that swaps, the object norm's threshold with its
        balanced accuracy.
    """
    pictures = data.pictures(bench.size)
    errors, norms = [], []
    for some in rows(len(pictures)):
        original = to_device(pictures[some], bench.device)
        codes = bench.model.encode(original)
        errors.append(reconstruction.l1(bench.model.decode(codes), original).cpu().numpy())
        if bench.model.swap_part:
            norms.append(bench.object_norms(codes))
    well, fair = np.percentile(np.concatenate(errors), (90, 99))
    numbers = {ERROR_WELL: float(well), ERROR_FAIR: float(fair)}
    values = data.attributes.get(attribute, np.zeros(0))
    if norms and {0, 1} <= set(values.tolist()):
        known = values >= 0
        best = attributes.best_threshold(np.concatenate(norms)[known], values[known] == 1)
        numbers[OBJECT_THRESHOLD] = best.value
        numbers["object_norm_accuracy"] = best.balanced_accuracy
    return numbers


@dataclass(frozen=True, eq=False)
class Readings:
    """Logits of everything that a swap's numbers come from, (…, A) each.

    Attributes:
        real: Of the donors' photographs, one row per donor.
        unlike: Of the receivers' photographs, one row per receiver.
        plain: Of the receivers' reconstructions, one row per receiver.
        removed: Of the donors with the object taken away.
        swapped: By strength, one row per pair.
    """

    real: Array
    unlike: Array
    plain: Array
    removed: Array
    swapped: dict[float, Array]


@torch.inference_mode()
def swap_numbers(
    bench: Bench, instrument: Instrument, data: DataSet, attribute: str, *, count: int, seed: int
) -> dict[str, float]:
    """Measure swaps and removals on held-out pictures.

    Args:
        bench: The model.
        instrument: Judges the results.
        data: The held-out part.
        attribute: The object.
        count: Of pairs; 0 for all.
        seed: Of the pairing.

    Returns:
        Shares in [0, 1] and ratios by name; ``…_low`` and ``…_high`` bound their 95 % intervals.

    Raises:
        DataError: The data does not know the attribute, or all pictures are alike in it.
    """
    pairs = make_pairs(data.attribute(attribute), count, seed)
    return judge(read_swaps(bench, instrument, data, pairs), pairs, instrument.column)


def read_swaps(bench: Bench, instrument: Instrument, data: DataSet, pairs: Pairs) -> Readings:
    """Carry out all edits and classify their results."""
    pictures, small = data.pictures(bench.size), data.pictures(instrument.size)
    codes = {
        "donors": bench.encode(pictures[pairs.donors]),
        "receivers": bench.encode(pictures[pairs.receivers]),
    }
    photographs = {
        "donors": to_device(small[pairs.donors], torch.device("cpu")),
        "receivers": to_device(small[pairs.receivers], torch.device("cpu")),
    }
    swapped: dict[float, list[Array]] = {strength: [] for strength in STRENGTHS}
    for some in rows(len(pairs)):
        donor = codes["donors"][torch.from_numpy(pairs.donor[some])]
        receiver = codes["receivers"][torch.from_numpy(pairs.receiver[some])]
        for strength, logits in swapped.items():
            moved = latents.swap(receiver, donor, [bench.model.swap_part], strength)
            logits.append(instrument.read(bench.decode(moved)))
    return Readings(
        real=instrument.read(photographs["donors"]),
        unlike=instrument.read(photographs["receivers"]),
        plain=instrument.read(bench.decode(codes["receivers"])),
        removed=instrument.read(bench.decode(bench.model.remove(codes["donors"]))),
        swapped={strength: np.concatenate(logits) for strength, logits in swapped.items()},
    )


def judge(readings: Readings, pairs: Pairs, column: int) -> dict[str, float]:
    """Turn logits into the numbers of a card."""
    whole = readings.swapped[1.0]
    plain, unlike = readings.plain[pairs.receiver], readings.unlike[pairs.receiver]
    ladder = np.stack([plain, readings.swapped[0.5], whole])[:, :, column]
    real = readings.real[:, column]
    numbers = {
        "pairs": float(len(pairs)),
        "donors": float(len(pairs.donors)),
        "real_recognized": attributes.recognized(real),
        "real_mistaken": attributes.recognized(readings.unlike[:, column]),
        # A model that puts the object on everyone would pass for one that swaps well.
        "plain_mistaken": attributes.recognized(readings.plain[:, column]),
    }
    for name, strength in (("swap_success", 1.0), ("swap_success_1.5", 1.5)):
        seen = readings.swapped[strength][:, column]
        numbers |= {name: attributes.swap_success(seen, real)}
        numbers |= _bounds(name, pairs, _ratio(seen > 0, real > 0, pairs))
    gone = attributes.removed(readings.removed[:, column])
    low, high = attributes.wilson(gone, len(pairs.donors))
    numbers |= {"removed": gone, "removed_low": low, "removed_high": high}
    outcomes = {
        "swap_recognized": whole[:, column] > 0,
        "monotonic": attributes.monotonic(ladder),
        "kept_reconstruction": attributes.kept(whole, plain, column),
        "kept_receiver": attributes.kept(whole, unlike, column),
    }
    for name, outcome in outcomes.items():
        numbers |= {name: float(outcome.mean())}
        numbers |= _bounds(name, pairs, _mean(outcome))
    return numbers


def _mean(outcome: Array) -> Callable[[Floats, Floats], float]:
    return lambda weights, _: float(np.average(outcome, weights=weights))


def _ratio(seen: Array, real: Array, pairs: Pairs) -> Callable[[Floats, Floats], float]:
    """Return the statistic of a swap's success, whose two rates share the donors."""

    def statistic(weights: Floats, donor_weights: Floats) -> float:
        rate = np.average(real, weights=donor_weights)
        return float(np.average(seen, weights=weights) / rate) if rate else float("nan")

    return statistic


def _bounds(
    name: str, pairs: Pairs, statistic: Callable[[Floats, Floats], float]
) -> dict[str, float]:
    low, high = attributes.pair_bootstrap(
        statistic, pairs.donor, pairs.receiver, (len(pairs.donors), len(pairs.receivers))
    )
    return {f"{name}_low": low, f"{name}_high": high}


@torch.inference_mode()
def fidelity_numbers(
    bench: Bench,
    features: Callable[[Tensor], Tensor],
    size: int,
    data: DataSet,
    attribute: str,
    *,
    count: int,
    seed: int,
) -> dict[str, float]:
    """Measure how far swapped pictures are from photographs with the object.

    Args:
        bench: The model.
        features: (B, 3, size, size) images to (B, D) features of our own network.
        size: Of that network's pictures.
        data: The held-out part.
        attribute: The object.
        count: Of pairs; 0 for all.
        seed: Of the pairing.

    Returns:
        ``frechet_swap`` between swaps and photographs with the object, and as its yardstick
        ``frechet_unedited`` between the receivers' reconstructions and the same photographs.
    """
    pairs = make_pairs(data.attribute(attribute), count, seed)
    pictures = data.pictures(bench.size)
    donors, receivers = (bench.encode(pictures[some]) for some in (pairs.donors, pairs.receivers))
    made = [
        bench.decode(
            latents.swap(
                receivers[torch.from_numpy(pairs.receiver[some])],
                donors[torch.from_numpy(pairs.donor[some])],
                [bench.model.swap_part],
            )
        )
        for some in rows(len(pairs))
    ]
    photographs = to_device(data.pictures(size)[pairs.donors], torch.device("cpu"))
    real = read(features, photographs, size, bench.device)
    sets = {"frechet_swap": torch.cat(made), "frechet_unedited": bench.decode(receivers)}
    return {
        name: fidelity.frechet_distance(read(features, images, size, bench.device), real)
        for name, images in sets.items()
    }


def attribute_of(model: LatentModel) -> str:
    """Return the attribute that a model swaps; empty where it has none."""
    return str(getattr(model, "attribute", ""))
