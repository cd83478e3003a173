"""A photograph's face as a checkpoint sees it, and how well it sees it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from studio import images
from studio.checkpoints import Card, ModelCache
from studio.errors import UnsupportedError
from studio.faces.align import Alignment, crop
from studio.faces.detect import EyeRefiner
from studio.images import Picture
from studio.latents import Latents
from studio.methods.base import LatentModel

# Names of the validation numbers that a card carries for the verdicts.
ERROR_WELL = "reconstruction_error_p90"
ERROR_FAIR = "reconstruction_error_p99"
OBJECT_THRESHOLD = "object_norm_threshold"


@dataclass(frozen=True, eq=False)
class Encoded:
    """A face as a checkpoint sees it.

    Attributes:
        latents: Batch of 1.
        reconstruction: (1, 3, S, S) in [-1, 1], the decode of ``latents``.
        crop: (S, S, 3) uint8, what was encoded.
        error: Mean absolute reconstruction error, in [0, 2].
        object_norm: Mean absolute value of the part that a swap moves; 0 without such a part.
        checkpoint: Whose latents they are.
    """

    latents: Latents
    reconstruction: Tensor
    crop: Picture
    error: float
    object_norm: float
    checkpoint: str


@dataclass(frozen=True)
class Verdict:
    """How well a checkpoint encodes a face.

    Attributes:
        level: ``well``, ``fairly`` or ``poorly``.
        sentence: For the person.
    """

    level: str
    sentence: str


@torch.inference_mode()
def encode(models: ModelCache, checkpoint: str, pixels: Picture, alignment: Alignment) -> Encoded:
    """Crop a face as in training and encode it.

    Args:
        models: The loaded models.
        checkpoint: Of a method that encodes.
        pixels: (H, W, 3) uint8 photograph.
        alignment: Where the face is.

    Returns:
        The face's codes and reconstruction.

    Raises:
        UnsupportedError: The checkpoint cannot encode.
        CheckpointError: It cannot be loaded.
    """
    loaded = models.get(checkpoint)
    if not isinstance(loaded.model, LatentModel):
        raise UnsupportedError(f"{checkpoint} has no latents: it does not encode pictures.")
    cropped = crop(pixels, alignment, loaded.card.spec.size)
    original = images.to_images(cropped).to(models.device)
    codes = loaded.model.encode(original)
    reconstruction = loaded.model.decode(codes)
    part = loaded.model.swap_part
    return Encoded(
        latents=codes,
        reconstruction=reconstruction,
        crop=cropped,
        error=float((reconstruction - original).abs().mean()),
        object_norm=float(codes.parts[part].abs().mean()) if part else 0.0,
        checkpoint=checkpoint,
    )


def check_same(checkpoint: str, encoded: Iterable[Encoded]) -> None:
    """Refuse pictures that another checkpoint encoded.

    Raises:
        UnsupportedError: There is one.
    """
    strangers = {one.checkpoint for one in encoded} - {checkpoint}
    if strangers:
        raise UnsupportedError(
            f"The latents of {', '.join(sorted(strangers))} mean nothing to {checkpoint}; encode "
            "all pictures with one checkpoint."
        )


def verdict(card: Card, encoded: Encoded) -> Verdict:
    """Compare a picture's reconstruction error with the checkpoint's validation pictures."""
    well, fair = card.metrics.get(ERROR_WELL), card.metrics.get(ERROR_FAIR)
    if well is None or fair is None:
        return Verdict("fairly", "Not judged: this checkpoint has not been evaluated yet.")
    if encoded.error <= well:
        return Verdict("well", "Encoded well.")
    if encoded.error <= fair:
        return Verdict(
            "fairly", "Encoded fairly: harder than nine in ten of the checkpoint's own pictures."
        )
    if not card.spec.shows_faces:
        return Verdict(
            "poorly",
            "Encoded poorly: harder than 99 in 100 of the checkpoint's own pictures. "
            "Choose another picture, or a checkpoint that knows such pictures.",
        )
    return Verdict(
        "poorly",
        "Encoded poorly: the face is turned away, covered, or the crop does not sit on the eyes. "
        "Adjust the crop or choose another photo.",
    )


def shows_object(card: Card, encoded: Encoded) -> bool:
    """Say whether a face shows the checkpoint's object, by the norm of its object part."""
    return encoded.object_norm >= card.metrics.get(OBJECT_THRESHOLD, 0.0)


def donor_warning(card: Card, encoded: Encoded) -> str:
    """Return a sentence for a donor that has nothing to give, or an empty text."""
    if shows_object(card, encoded):
        return ""
    return f"The donor does not seem to show {object_name(card)}: the swap may change little."


def object_name(card: Card) -> str:
    """Return what a checkpoint swaps, in words: ``eyeglasses``, ``a smile``."""
    attribute = str(card.config.get("attribute", "the object"))
    words = {
        "Eyeglasses": "eyeglasses",
        "Smiling": "a smile",
        "Bangs": "bangs",
        "Side_Light": "light from the side",
    }
    plain = attribute.replace("_", " ").lower()
    # What is worn is swapped, not the wearing: "a hat".
    worn = plain.removeprefix("wearing ")
    several = worn == plain or worn.endswith("s")
    return words.get(attribute, worn if several else f"a {worn}")


def eye_refiner(models: ModelCache) -> EyeRefiner | None:
    """Return the shipped eye regressor in the form that face detection takes.

    Returns:
        None where no checkpoint of the method ``eyes`` is there.
    """
    names = [card.name for card in models.store.cards() if card.method == "eyes"]
    if not names:
        return None

    @torch.inference_mode()
    def refine(crops: Picture) -> tuple[Any, Any]:
        loaded = models.get(names[0])
        outputs = loaded.model(images.to_images(crops).to(models.device)).cpu().numpy()
        return outputs[:, :4].reshape(-1, 2, 2), np.exp(outputs[:, 4])

    return refine
