"""What checkpoints do to encoded faces: latents in, pictures out."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from studio import latents
from studio.checkpoints import Loaded, ModelCache
from studio.editing.encoding import Encoded, check_same
from studio.editing.own import Moves, along
from studio.errors import UnsupportedError
from studio.methods.base import LatentModel, Operation, Translator


def capable(
    models: ModelCache, checkpoint: str, operation: Operation, words: str, otherwise: str
) -> Loaded:
    """Load a checkpoint that can do something.

    Args:
        models: The loaded models.
        checkpoint: Its name.
        operation: What it has to be able to do.
        words: The same, for the person.
        otherwise: What would be able to, where no checkpoint is.

    Raises:
        UnsupportedError: It cannot.
        CheckpointError: It cannot be loaded.
    """
    loaded = models.get(checkpoint)
    if operation not in loaded.card.entry.operations:
        raise UnsupportedError(
            f"{checkpoint} cannot {words}; choose a checkpoint that can, such as "
            f"{', '.join(models.store.names(operation)) or otherwise}."
        )
    return loaded


def _swapper(models: ModelCache, checkpoint: str) -> LatentModel:
    model: LatentModel = capable(
        models, checkpoint, Operation.SWAP, "swap", "a trained GeneGAN"
    ).model
    return model


@torch.inference_mode()
def swap(
    models: ModelCache,
    checkpoint: str,
    receiver: Encoded,
    donor: Encoded,
    strength: float = 1.0,
    moves: Moves | None = None,
) -> Tensor:
    """Give the receiver the donor's object (GeneGAN Eq. 2, Bu).

    Args:
        models: The loaded models.
        checkpoint: Of a method that swaps.
        receiver: Encoded by the same checkpoint.
        donor: Encoded by the same checkpoint.
        strength: 0 is the receiver itself, 1 the transplant; in [-1, 2].
        moves: Steps of one's own sliders, which move the result.

    Returns:
        (1, 3, S, S) in [-1, 1].

    Raises:
        UnsupportedError: The checkpoint cannot swap, or a slider belongs to another one.
        DataError: There is no such slider.
    """
    model = _swapper(models, checkpoint)
    codes = receiver.latents
    if strength:
        codes = latents.swap(codes, donor.latents, [model.swap_part], strength)
    there = along(models, checkpoint, codes, moves)
    return receiver.reconstruction if there is receiver.latents else model.decode(there)


@torch.inference_mode()
def remove(
    models: ModelCache, checkpoint: str, encoded: Encoded, moves: Moves | None = None
) -> Tensor:
    """Take the object away (GeneGAN Eq. 2, A0); (1, 3, S, S) in [-1, 1].

    Raises:
        UnsupportedError: The checkpoint cannot swap, or one of one's own sliders, which move the
            result by ``moves`` steps, belongs to another one.
        DataError: There is no such slider.
    """
    model = _swapper(models, checkpoint)
    return model.decode(along(models, checkpoint, model.remove(encoded.latents), moves))


@torch.inference_mode()
def translate(
    models: ModelCache, checkpoint: str, originals: Tensor, targets: Mapping[str, int]
) -> Tensor:
    """Give pictures target attributes, with a checkpoint that knows no exemplars.

    Args:
        models: The loaded models.
        checkpoint: Of a method that translates.
        originals: (B, 3, S, S) in [-1, 1].
        targets: 0 or 1 by attribute, for every attribute that the checkpoint translates.

    Returns:
        (B, 3, S, S) in [-1, 1].

    Raises:
        UnsupportedError: The checkpoint cannot translate, or not these attributes.
    """
    model = models.get(checkpoint).model
    if not isinstance(model, Translator):
        raise UnsupportedError(f"{checkpoint} does not translate pictures to attributes.")
    if targets.keys() != set(model.attributes):
        raise UnsupportedError(
            f"{checkpoint} translates {', '.join(model.attributes)}, not {', '.join(targets)}."
        )
    row = torch.tensor([targets[name] for name in model.attributes], device=models.device)
    return model(originals.to(models.device), row.expand(len(originals), -1))


@torch.inference_mode()
def blend(
    models: ModelCache,
    checkpoint: str,
    receiver: Encoded,
    donors: Sequence[Encoded],
    places: Sequence[tuple[float, float]],
    strength: float = 1.0,
    moves: Moves | None = None,
) -> Tensor:
    """Mix the objects of four donors bilinearly on the receiver (GeneGAN Eq. 6).

    Args:
        models: The loaded models.
        checkpoint: Of a method that swaps.
        receiver: Keeps its background.
        donors: Upper left, upper right, lower left, lower right.
        places: N pairs x, y in [0, 1], 0 at the left and at the top.
        strength: As for :func:`swap`.
        moves: As for :func:`swap`.

    Returns:
        (N, 3, S, S) in [-1, 1].

    Raises:
        UnsupportedError: The checkpoint cannot swap, or a slider belongs to another one.
        DataError: There is no such slider.
    """
    model = _swapper(models, checkpoint)
    corners = [donor.latents.map(lambda p: p.expand(len(places), *p.shape[1:])) for donor in donors]
    x, y = torch.tensor(places, device=models.device, dtype=torch.float32).unbind(1)
    mixed = latents.bilinear(corners, x, y)
    own = receiver.latents.map(lambda p: p.expand(len(places), *p.shape[1:]))
    swapped = latents.swap(own, mixed, [model.swap_part], strength)
    return model.decode(along(models, checkpoint, swapped, moves))


def interpolator(models: ModelCache, checkpoint: str) -> Loaded:
    """Load a checkpoint that interpolates.

    Raises:
        UnsupportedError: It cannot.
        CheckpointError: It cannot be loaded.
    """
    return capable(
        models, checkpoint, Operation.INTERPOLATE, "interpolate", "a trained autoencoder"
    )


@torch.inference_mode()
def interpolate(
    models: ModelCache,
    checkpoint: str,
    corners: Sequence[Encoded],
    places: Sequence[tuple[float, float]],
    kind: str = "linear",
) -> Tensor:
    """Decode latents between pictures: on a path through key-frames, or between four corners.

    Args:
        models: The loaded models.
        checkpoint: Of a method that interpolates.
        corners: Encoded by the same checkpoint: for a path two or more, in order; for a grid four,
            upper left, upper right, lower left, lower right.
        places: N pairs x, y in [0, 1]. A path goes from x = 0 to 1; with four corners and
            ``bilinear`` x runs to the right and y downwards.
        kind: ``linear``, ``slerp`` or ``cubic`` for a path, ``bilinear`` for a grid.

    Returns:
        (N, 3, S, S) in [-1, 1].

    Raises:
        UnsupportedError: The checkpoint cannot interpolate, the kind is unknown, or the corners'
            number does not suit it, or another checkpoint encoded them.
    """
    model = interpolator(models, checkpoint).model
    check_same(checkpoint, corners)
    x, y = torch.tensor(places, device=models.device, dtype=torch.float32).unbind(1)
    codes = [corner.latents for corner in corners]
    if kind == "bilinear":
        if len(codes) != 4:
            raise UnsupportedError(f"A grid lies between 4 pictures, not {len(codes)}.")
        repeated = [code.map(lambda p: p.expand(len(places), *p.shape[1:])) for code in codes]
        return model.decode(latents.bilinear(repeated, x, y))
    if kind not in latents.PATHS:
        known = ", ".join((*latents.PATHS, "bilinear"))
        raise UnsupportedError(f"There is no path {kind!r}; there are {known}.")
    if len(codes) < 2:
        raise UnsupportedError("A path leads from one picture to another: give two or more.")
    return model.decode(latents.along(codes, x, kind))


def grid_places(side: int) -> list[tuple[float, float]]:
    """Return the places of a side x side grid over the unit square, row by row."""
    steps = np.linspace(0, 1, side)
    return [(float(x), float(y)) for y in steps for x in steps]
