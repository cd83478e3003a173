"""One's own sliders on encoded pictures: going along them, and making them from examples."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from studio import directions, images
from studio.checkpoints import MODEL, ModelCache
from studio.editing.encoding import Encoded
from studio.errors import ConfigError, UnsupportedError
from studio.faces.align import Alignment
from studio.faces.composite import Compositor
from studio.latents import Latents, cat
from studio.methods.base import LatentModel

# Steps of one's own sliders by name, in deviations.
Moves = Mapping[str, float]


def direction(models: ModelCache, checkpoint: str, name: str) -> directions.Direction:
    """Load a slider of one's own.

    Raises:
        DataError: There is no such slider.
        UnsupportedError: It belongs to another checkpoint, or to other weights of this one.
    """
    found = directions.load(name)
    origin = found.checkpoint, found.checkpoint_hash
    check_origin(models, checkpoint, f"The slider {name!r}", origin)
    return found


def check_origin(models: ModelCache, checkpoint: str, what: str, origin: tuple[str, str]) -> None:
    """Refuse what was made with another checkpoint.

    Args:
        models: The loaded models.
        checkpoint: What is to be used with it.
        what: Is to be used, the beginning of a sentence.
        origin: Name and weights' hash of the checkpoint that it was made with.

    Raises:
        UnsupportedError: It was another one, or had other weights.
    """
    name, weights = origin
    if name != checkpoint:
        raise UnsupportedError(
            f"{what} was made with {name} and means nothing to {checkpoint}; choose that "
            "checkpoint, or make it again."
        )
    if weights != models.store.card(checkpoint).hashes.get(MODEL, ""):
        raise UnsupportedError(
            f"{what} was made with other weights of {checkpoint}; make it again."
        )


def along(models: ModelCache, checkpoint: str, codes: Latents, moves: Moves | None) -> Latents:
    """Go along one's own sliders; latents that no slider moves come back as they are.

    Raises:
        DataError: There is no such slider.
        UnsupportedError: It belongs to another checkpoint.
    """
    for name, steps in (moves or {}).items():
        if steps:
            codes = direction(models, checkpoint, name).move(codes, steps)
    return codes


@torch.inference_mode()
def moved(models: ModelCache, encoded: Encoded, moves: Moves | None) -> Encoded:
    """Edit an encoded picture with one's own sliders: its latents, and what it shows.

    Raises:
        DataError: There is no such slider.
        UnsupportedError: It belongs to another checkpoint than the picture's.
    """
    codes = along(models, encoded.checkpoint, encoded.latents, moves)
    if codes is encoded.latents:
        return encoded
    loaded = models.get(encoded.checkpoint)
    made, size = loaded.model.decode(codes), len(encoded.crop)
    compositor = Compositor(encoded.crop, Alignment.whole(size, size), size, loaded.card.support)
    shown = compositor.apply(encoded.reconstruction[0].cpu(), made[0].cpu())
    error = float((made.cpu() - images.to_images(shown)).abs().mean())
    return replace(encoded, latents=codes, reconstruction=made, crop=shown, error=error)


def make_direction(
    models: ModelCache,
    checkpoint: str,
    name: str,
    shown: Sequence[Encoded],
    absent: Sequence[Encoded],
) -> directions.Direction:
    """Make a slider of one's own from pictures with and without something, and keep it.

    Args:
        models: The loaded models.
        checkpoint: What encoded the pictures.
        name: What to call it.
        shown: Pictures with it: 8 or more, or one of a pair.
        absent: Pictures without it.

    Raises:
        ConfigError: There are too few pictures, or the name is not usable.
        UnsupportedError: The checkpoint has no latents.
    """
    model = models.get(checkpoint).model
    if not isinstance(model, LatentModel):
        raise UnsupportedError(f"{checkpoint} has no latents; no slider can be made of it.")
    if not shown or not absent:
        raise ConfigError("A slider needs pictures with it and pictures without it.")
    made = directions.make(
        name,
        (checkpoint, models.store.card(checkpoint).hashes.get(MODEL, "")),
        cat([one.latents for one in shown]),
        cat([one.latents for one in absent]),
        getattr(model, "covariance", None),
    )
    directions.save(made)
    return made
