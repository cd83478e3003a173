"""Checkpoint and data to the numbers of its card."""

import math
from dataclasses import replace

import torch

from studio.checkpoints import Card, CheckpointStore, Loaded, ModelCache
from studio.data.folder import DataSet
from studio.errors import ConfigError, UnsupportedError
from studio.evaluation import interpolation, sliders, swaps, truth
from studio.evaluation.bench import Bench, held_out, reconstruction_numbers
from studio.evaluation.instruments import instrument_numbers
from studio.evaluation.support import support_map
from studio.methods.base import AttributeModel, Evaluator, Generator, LatentModel, Translator

PARTS = ("validation", "test")
# The classifier that judges swaps, and the network whose features fidelity is measured in.
INSTRUMENT = "attributes.celeba-64"
FEATURES = "identity.celeba-64"


def evaluate(
    models: ModelCache,
    checkpoint: str,
    data: DataSet,
    *,
    part: str = "test",
    instrument: str = INSTRUMENT,
    pairs: int = 0,
    seed: int = 0,
) -> dict[str, float]:
    """Measure a checkpoint.

    Args:
        models: The loaded models.
        checkpoint: Its name.
        data: With a test part, and a validation part, whose numbers the verdicts beside a crop use;
            a small set may lack the latter.
        part: ``validation`` while choosing between checkpoints, ``test`` for the card.
        instrument: The classifier that judges swaps of photographs; swaps of rendered heads are
            compared with the truth where it can be rendered too.
        pairs: Of donors and receivers, 0 for all, or for 128 rendered ones; or of pictures to
            interpolate between, 0 for 64; or photographs for each slider and faces for each
            attribute, 0 for 60 and 100.
        seed: Of the pairing.

    Returns:
        Numbers by name.

    Raises:
        StudioError: The data or the instrument does not suit the checkpoint.
    """
    if part not in PARTS:
        raise ConfigError(f"part is one of {', '.join(PARTS)}, not {part!r}.")
    loaded = models.get(checkpoint)
    chosen = held_out(data, part)
    if isinstance(loaded.model, Evaluator):
        return instrument_numbers(loaded, chosen, models.device, seed)
    if isinstance(loaded.model, Generator | Translator):
        return _attribute_numbers(models, loaded, data, chosen, instrument, pairs, seed)
    if not isinstance(loaded.model, LatentModel):
        raise UnsupportedError(
            f"{checkpoint} neither encodes, generates nor measures; nothing is measured."
        )
    bench = Bench(loaded.model, loaded.card.spec.size, models.device)
    attribute = swaps.attribute_of(loaded.model)
    with torch.inference_mode():
        numbers = reconstruction_numbers(bench, chosen)
        # A set of a few hundred pictures has no part to spare for the verdicts.
        validation = data.part("validation")
        numbers |= swaps.verdict_numbers(bench, validation or chosen, attribute)
        if not loaded.model.swap_part:
            realness = interpolation.find_judge(models, checkpoint, FEATURES)
            return numbers | interpolation.interpolation_numbers(
                bench, data, part, realness, count=pairs, seed=seed
            )
        if truth.is_rendered(data) and attribute in truth.OBJECTS:
            return numbers | truth.truth_numbers(bench, attribute, part, count=pairs, seed=seed)
        judge = swaps.find_instrument(models, instrument, attribute)
        numbers |= swaps.swap_numbers(bench, judge, chosen, attribute, count=pairs, seed=seed)
        if FEATURES in models.store.names():
            network = models.get(FEATURES)
            numbers |= _fidelity(bench, network, chosen, attribute, pairs, seed)
        return numbers


def _attribute_numbers(
    models: ModelCache,
    loaded: Loaded,
    data: DataSet,
    chosen: DataSet,
    instrument: str,
    pairs: int,
    seed: int,
) -> dict[str, float]:
    """Measure what makes faces from attributes or changes them, and its sliders, if any."""
    model, size = loaded.model, loaded.card.spec.size
    numbers: dict[str, float] = {}
    judge = sliders.Judge.of(models.get(instrument), model.attributes, models.device)
    with torch.inference_mode():
        if isinstance(model, AttributeModel):
            bench = Bench(model, size, models.device)
            numbers |= reconstruction_numbers(bench, chosen)
            numbers |= swaps.verdict_numbers(bench, data.part("validation") or chosen, "")
            numbers |= sliders.slider_numbers(model, judge, chosen, size, count=pairs, seed=seed)
        if isinstance(model, Generator):
            numbers |= sliders.generation_numbers(model, judge, chosen, count=pairs, seed=seed)
        else:
            numbers |= sliders.translation_numbers(
                model, judge, chosen, size, count=pairs, seed=seed
            )
        if FEATURES in models.store.names():
            network = models.get(FEATURES)
            numbers |= sliders.frechet_numbers(model, network, chosen, size, models.device, seed)
    return numbers


def _fidelity(
    bench: Bench, network: Loaded, data: DataSet, attribute: str, pairs: int, seed: int
) -> dict[str, float]:
    size = network.card.spec.size
    features = network.model.features
    return swaps.fidelity_numbers(bench, features, size, data, attribute, count=pairs, seed=seed)


@torch.inference_mode()
def measure_support(models: ModelCache, checkpoint: str, data: DataSet) -> list[list[float]]:
    """Measure on the validation part where a checkpoint's swaps change pictures.

    Returns:
        16 rows of 16 numbers for the card; empty for a checkpoint that does not swap.

    Raises:
        DataError: The data does not know the attribute, or all pictures are alike in it.
    """
    loaded = models.get(checkpoint)
    if not isinstance(loaded.model, LatentModel) or not loaded.model.swap_part:
        return []
    bench = Bench(loaded.model, loaded.card.spec.size, models.device)
    validation = held_out(data, "validation")
    return support_map(bench, validation, swaps.attribute_of(loaded.model))


def write_card(
    store: CheckpointStore,
    checkpoint: str,
    numbers: dict[str, float],
    command: str,
    support: list[list[float]],
) -> Card:
    """Put measured numbers into a checkpoint's card, beside those it has.

    Args:
        store: Where the checkpoint is.
        checkpoint: Its name.
        numbers: By name; rounded to five digits, and left out where they are not finite, which
            JSON cannot say.
        command: What repeats the measurement.
        support: From :func:`measure_support`.

    Returns:
        The new card.

    Raises:
        CheckpointError: There is no such checkpoint.
    """
    folder = store.folder(checkpoint)
    card = Card.read(folder)
    finite = {name: float(f"{v:.5g}") for name, v in numbers.items() if math.isfinite(v)}
    card = replace(card, metrics={**card.metrics, **finite}, command=command, support=support)
    card.write(folder)
    return card
