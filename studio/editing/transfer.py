"""Parts of several pictures joined into one: taken, mixed, interpolated, or saved earlier.

Oldfield et al. 2021, sections IV-C to IV-E, for every method whose latents have parts to take.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from studio import bank, images, latents
from studio.checkpoints import MODEL, ModelCache
from studio.editing.encoding import Encoded, check_same
from studio.editing.operations import capable
from studio.editing.own import Moves, along, check_origin
from studio.errors import RecipeError, UnsupportedError
from studio.latents import Latents
from studio.methods.base import LatentModel, Operation
from studio.recipes import RECEIVER, Choice

# Side of the picture that is kept with a saved part.
THUMBNAIL_SIDE = 96


def transferrer(models: ModelCache, checkpoint: str) -> LatentModel:
    """Load a checkpoint whose parts can be taken one by one: see its ``parts`` and ``means()``.

    Raises:
        UnsupportedError: They cannot.
        CheckpointError: It cannot be loaded.
    """
    model: LatentModel = capable(
        models, checkpoint, Operation.TRANSFER, "transfer parts", "a trained disentangle"
    ).model
    return model


@torch.inference_mode()
def transfer(
    models: ModelCache,
    checkpoint: str,
    receiver: Encoded,
    sources: Mapping[str, Encoded],
    choices: Mapping[str, Choice],
    moves: Moves | None = None,
) -> Tensor:
    """Give the receiver parts of other pictures (Oldfield et al. 2021, Fig. 8; Eq. 11, Eq. 12).

    Args:
        models: The loaded models.
        checkpoint: Of a method that transfers.
        receiver: Encoded by the same checkpoint; keeps every part that no choice names.
        sources: By role, encoded by the same checkpoint; the receiver need not be among them.
        choices: By part.
        moves: Steps of one's own sliders, which move the result.

    Returns:
        (1, 3, S, S) in [-1, 1]; the reconstruction itself where nothing is asked for.

    Raises:
        UnsupportedError: The checkpoint cannot do this, or something belongs to another one.
        RecipeError: A choice makes no sense, or names a picture that is not there.
        DataError: There is no such saved part, or no such slider.
    """
    check_transfer(models, checkpoint, sources, choices)
    check_same(checkpoint, [receiver, *sources.values()])
    model, codes = transferrer(models, checkpoint), receiver.latents
    pictures = {**sources, RECEIVER: receiver}
    for part, choice in choices.items():
        if choice.strength:
            taken = _taken(models, model, checkpoint, pictures, part, choice)
            codes = latents.swap(codes, Latents({part: taken}), [part], choice.strength)
    there = along(models, checkpoint, codes, moves)
    return receiver.reconstruction if there is receiver.latents else model.decode(there)


def _taken(
    models: ModelCache,
    model: LatentModel,
    checkpoint: str,
    pictures: Mapping[str, Encoded],
    part: str,
    choice: Choice,
) -> Tensor:
    """Return what a choice names, batch of 1."""
    if choice.label:
        return model.mean(part, choice.label)
    if choice.saved:
        return _saved(models, checkpoint, part, choice).latent.to(models.device)
    shares = choice.shares()
    mixed = [share * pictures[role].latents.parts[part] for role, share in shares.items()]
    return torch.stack(mixed).sum(0)


def check_transfer(
    models: ModelCache, checkpoint: str, roles: Collection[str], choices: Mapping[str, Choice]
) -> None:
    """Check a transfer before any picture is read.

    Args:
        models: The loaded models.
        checkpoint: Of a method that transfers.
        roles: Of the pictures that there will be beside the receiver.
        choices: By part.

    Raises:
        UnsupportedError: The checkpoint cannot transfer, has no such part or class, or a saved part
            belongs to another one.
        RecipeError: A choice makes no sense, or names a picture that is not there.
        DataError: There is no such saved part.
    """
    model = transferrer(models, checkpoint)
    for part, choice in choices.items():
        check_part(models, checkpoint, part)
        choice.check(part)
        for role in choice.weights:
            if role != RECEIVER and role not in roles:
                known = ", ".join((RECEIVER, *roles))
                raise RecipeError(f"{part} comes from {role}, but there are only {known}.")
        if choice.label:
            _check_class(model, checkpoint, part, choice.label)
        if choice.saved:
            _saved(models, checkpoint, part, choice)


def check_part(models: ModelCache, checkpoint: str, part: str) -> None:
    """Refuse a part that a checkpoint does not have.

    Raises:
        UnsupportedError: It cannot transfer, or has no such part.
    """
    known = transferrer(models, checkpoint).parts
    if part not in known:
        raise UnsupportedError(
            f"{checkpoint} has no part {part!r}; its parts are {', '.join(known)}."
        )


def _check_class(model: LatentModel, checkpoint: str, part: str, label: str) -> None:
    means = model.means()
    if part not in means:
        raise UnsupportedError(
            f"{checkpoint} keeps no classes of {part}; it does of {', '.join(means) or 'no part'}."
        )
    if label not in means[part]:
        raise UnsupportedError(
            f"{checkpoint} knows no {part} {label!r}; it knows {', '.join(means[part])}."
        )


def _saved(models: ModelCache, checkpoint: str, part: str, choice: Choice) -> bank.SavedPart:
    found = bank.load(choice.saved)
    what = f"The saved part {found.name!r}"
    check_origin(models, checkpoint, what, (found.checkpoint, found.checkpoint_hash))
    if found.part != part:
        known = ", ".join(bank.names(checkpoint, part)) or "none"
        raise UnsupportedError(f"{what} is {found.part}, not {part}; of that there are {known}.")
    if choice.saved_digest not in ("", found.digest):
        raise RecipeError(
            f"{what} is another one than the recipe was made with; the same edit cannot be "
            "repeated exactly. Apply it again with the present one."
        )
    return found


def written(choices: Mapping[str, Choice]) -> dict[str, Choice]:
    """Return choices that say which saved parts they mean, whatever their names mean later.

    Raises:
        DataError: There is no such saved part.
    """
    return {
        part: replace(choice, saved_digest=bank.load(choice.saved).digest)
        if choice.saved
        else choice
        for part, choice in choices.items()
    }


def save_part(models: ModelCache, name: str, encoded: Encoded, part: str) -> bank.SavedPart:
    """Put a part of an encoded picture into the bank.

    Args:
        models: The loaded models.
        name: What to call it.
        encoded: By a checkpoint of a method that transfers.
        part: Which one.

    Raises:
        UnsupportedError: The checkpoint cannot transfer, or has no such part.
        ConfigError: The name is taken, or none.
    """
    checkpoint = encoded.checkpoint
    check_part(models, checkpoint, part)
    shown = images.fit(images.to_pictures(encoded.reconstruction.cpu())[0], THUMBNAIL_SIDE)
    saved = bank.SavedPart(
        name,
        part,
        checkpoint,
        models.store.card(checkpoint).hashes.get(MODEL, ""),
        encoded.latents.parts[part],
        images.encode_png(shown),
    )
    bank.save(saved)
    return saved
