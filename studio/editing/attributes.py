"""Attributes of faces: measured, moved by sliders, made into faces, and what moved with them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from studio import images, traits
from studio.checkpoints import ModelCache
from studio.editing.encoding import Encoded
from studio.editing.own import Moves, along, direction
from studio.errors import ConfigError, UnsupportedError
from studio.methods.base import AttributeModel, Generator, Operation

# Who says what an edit changed: networks that took no part in the training of any method.
JUDGE = "attributes.celeba-64"
IDENTITY = "identity.celeba-64"
# What most portraits show, where a face is composed and nothing is said about it.
USUAL: Mapping[str, float] = {"Young": 1.0, "No_Beard": 1.0}
MOST_FACES = 100
MOST_VARIATION = 2.0


@dataclass(frozen=True)
class Leakage:
    """What an edit changed, as the judges see it.

    Attributes:
        changes: Change of probability by attribute, of those that the judge knows.
        identity: Cosine of the two faces' embeddings, 1 for the same face; NaN without a judge.
    """

    changes: Mapping[str, float]
    identity: float

    def most(self, wanted: Sequence[str], count: int = 5) -> list[tuple[str, float]]:
        """Return the largest changes of attributes that were not meant to change."""
        others = [(name, change) for name, change in self.changes.items() if name not in wanted]
        return sorted(others, key=lambda entry: -abs(entry[1]))[:count]


def attribute_model(models: ModelCache, checkpoint: str) -> AttributeModel:
    """Load a checkpoint that knows what attributes do to its latents.

    Raises:
        UnsupportedError: It does not.
        CheckpointError: It cannot be loaded.
    """
    model = models.get(checkpoint).model
    if not isinstance(model, AttributeModel):
        raise UnsupportedError(
            f"{checkpoint} moves no attributes; choose a checkpoint that does, such as "
            f"{', '.join(models.store.names(Operation.EDIT)) or 'a trained attribute mapping'}."
        )
    return model


def check_attributes(values: Mapping[str, Any], known: Sequence[str]) -> None:
    """Check names and values of attributes.

    Raises:
        ConfigError: A name is not among the known ones, or a value is no number in [0, 1].
    """
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"There is no attribute {name!r}; there are {', '.join(known)}.")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ConfigError(f"{name} is {value!r}; give a number from 0 (absent) to 1 (present).")


@torch.inference_mode()
def measure(models: ModelCache, checkpoint: str, encoded: Encoded) -> dict[str, float]:
    """Read the attributes off a face with the checkpoint's own classifier.

    Args:
        models: The loaded models.
        checkpoint: Of a method that moves attributes.
        encoded: By the same checkpoint.

    Returns:
        Probability by attribute.

    Raises:
        UnsupportedError: The checkpoint moves no attributes.
    """
    model = attribute_model(models, checkpoint)
    (found,) = model.measure(images.to_images(encoded.crop).to(models.device)).tolist()
    return dict(zip(model.attributes, found, strict=True))


def sensitivity(models: ModelCache, checkpoint: str, encoded: Encoded) -> Tensor:
    """Return how a face's attributes answer to its latents, (A, D); what holding them needs.

    Raises:
        UnsupportedError: The checkpoint moves no attributes.
    """
    return attribute_model(models, checkpoint).sensitivity(encoded.latents)


@torch.inference_mode()
def edit(
    models: ModelCache,
    checkpoint: str,
    encoded: Encoded,
    values: Mapping[str, float],
    held: Sequence[str] = (),
    moves: Moves | None = None,
    slopes: Tensor | None = None,
) -> Tensor:
    """Move a face's attributes, and go along one's own directions.

    Args:
        models: The loaded models.
        checkpoint: Of a method that moves attributes, or, where only ``moves`` are given, of any
            that encodes.
        encoded: By the same checkpoint.
        values: Wanted probability by attribute; all others stay where they were measured.
        held: Attributes to keep, by projecting them out of the move.
        moves: Steps by name of one's own directions, in deviations.
        slopes: From :func:`sensitivity`, which is asked where it is needed and not given.

    Returns:
        (1, 3, S, S) in [-1, 1]; the reconstruction itself where nothing is asked for.

    Raises:
        ConfigError: A name or a value makes no sense.
        UnsupportedError: The checkpoint moves no attributes, or a direction belongs to another one.
        DataError: There is no such direction.
    """
    codes = encoded.latents
    if values:
        model = attribute_model(models, checkpoint)
        check_attributes({**dict.fromkeys(held, 0), **values}, model.attributes)
        known = measure(models, checkpoint, encoded)
        before, after = (
            torch.tensor([[one[name] for name in model.attributes]], device=models.device)
            for one in (known, {**known, **values})
        )
        if held and slopes is None:
            slopes = model.sensitivity(codes)
        columns = [model.attributes.index(name) for name in held]
        codes = model.edit(codes, before, after, slopes, columns)
    codes = along(models, checkpoint, codes, moves)
    if codes is encoded.latents:
        return encoded.reconstruction
    return models.get(checkpoint).model.decode(codes)


def check_edit(
    models: ModelCache,
    checkpoint: str,
    values: Mapping[str, float],
    held: Sequence[str],
    moves: Moves,
) -> None:
    """Check an edit before any picture is read; arguments as for :func:`edit`.

    Raises:
        ConfigError: A name or a value makes no sense.
        UnsupportedError: The checkpoint cannot do this.
        DataError: There is no such direction.
    """
    if values or held:
        known = attribute_model(models, checkpoint).attributes
        check_attributes({**dict.fromkeys(held, 0), **values}, known)
    for name in moves:
        direction(models, checkpoint, name)


@torch.inference_mode()
def leakage(models: ModelCache, plain: Tensor, edited: Tensor) -> Leakage:
    """Say what else an edit changed, with networks that took no part in training.

    Args:
        models: The loaded models.
        plain: (1, 3, S, S) in [-1, 1], the reconstruction: its errors are not the edit's.
        edited: As ``plain``, with the edit.

    Returns:
        Empty where the judges are not there.
    """
    both = torch.cat([plain, edited])
    changes: dict[str, float] = {}
    identity = float("nan")
    available = models.store.names(Operation.EVALUATE)
    if JUDGE in available:
        judge = models.get(JUDGE)
        before, after = judge.model(images.sized(both, judge.card.spec.size)).sigmoid()
        changes = dict(zip(judge.card.spec.attributes, (after - before).tolist(), strict=True))
    if IDENTITY in available:
        embedder = models.get(IDENTITY)
        one, other = embedder.model(images.sized(both, embedder.card.spec.size))
        identity = float(one @ other)
    return Leakage(changes, identity)


def generator(models: ModelCache, checkpoint: str) -> Generator:
    """Load a checkpoint that makes faces from attributes.

    Raises:
        UnsupportedError: It does not.
        CheckpointError: It cannot be loaded.
    """
    model = models.get(checkpoint).model
    if not isinstance(model, Generator):
        raise UnsupportedError(
            f"{checkpoint} makes no faces from attributes; choose a checkpoint that does, such as "
            f"{', '.join(models.store.names(Operation.GENERATE)) or 'a trained attribute mapping'}."
        )
    return model


@torch.inference_mode()
def generate(
    models: ModelCache,
    checkpoint: str,
    values: Mapping[str, float],
    count: int = 1,
    seed: int = 0,
    variation: float = 1.0,
) -> Tensor:
    """Make faces from attributes.

    Args:
        models: The loaded models.
        checkpoint: Of a method that generates.
        values: Probability by attribute; what is left out is as in most portraits.
        count: Faces; a larger count continues the row of faces.
        seed: Of the first face's variation; the k-th one has ``seed`` + k.
        variation: Scale of what differs between faces of equal attributes; 0 is the most typical.

    Returns:
        (count, 3, S, S) in [-1, 1] on the models' device.

    Raises:
        ConfigError: A name or a number makes no sense.
        UnsupportedError: The checkpoint does not generate.
    """
    model = generator(models, checkpoint)
    check_faces(values, model.attributes, count, variation)
    wanted = complete(values, model.attributes)
    row = torch.tensor([[wanted[name] for name in model.attributes]], device=models.device)
    noise = torch.stack([_noise(model.noise_size, seed + index) for index in range(count)])
    return model.generate(row.expand(count, -1), variation * noise.to(models.device))


def check_faces(
    values: Mapping[str, float], known: Iterable[str], count: int, variation: float
) -> None:
    """Check what faces are to be made of.

    Args:
        values: Probability by attribute.
        known: Attributes of the checkpoint.
        count: Faces.
        variation: As for :func:`generate`.

    Raises:
        ConfigError: A name or a number makes no sense.
    """
    check_attributes(values, list(known))
    if not 1 <= count <= MOST_FACES:
        raise ConfigError(f"{count} faces were asked for; give 1 to {MOST_FACES}.")
    if not 0 <= variation <= MOST_VARIATION:
        raise ConfigError(f"The variation lies in [0, {MOST_VARIATION:g}], not at {variation:g}.")


def complete(values: Mapping[str, float], attributes: Sequence[str]) -> dict[str, float]:
    """Add what most portraits show to the attributes that were asked for, where it fits them."""
    filled = {name: float(values.get(name, 0.0)) for name in attributes}
    for name, usual in USUAL.items():
        if name in filled and name not in values:
            trial = {**filled, name: usual}
            if len(traits.contradictions(trial)) == len(traits.contradictions(filled)):
                filled = trial
    return filled


def _noise(size: int, seed: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))
