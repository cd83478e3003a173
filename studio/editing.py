"""Edits: pictures and settings in, pictures out. Pages, command line and API call these."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from studio import images, latents
from studio.checkpoints import MODEL, Card, Loaded, ModelCache
from studio.errors import ImageError, RecipeError, UnsupportedError
from studio.faces.align import Alignment, crop
from studio.faces.composite import Compositor
from studio.faces.detect import EyeRefiner
from studio.images import Photo, Picture
from studio.latents import Latents
from studio.methods.base import LatentModel, Operation, Translator
from studio.recipes import Recipe, Source, Step, picture_hash

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


def _swapper(models: ModelCache, checkpoint: str) -> tuple[LatentModel, Card]:
    loaded = models.get(checkpoint)
    if Operation.SWAP not in loaded.card.entry.operations:
        raise UnsupportedError(
            f"{checkpoint} cannot swap; choose a checkpoint that can, "
            f"such as {', '.join(models.store.names(Operation.SWAP)) or 'a trained GeneGAN'}."
        )
    return loaded.model, loaded.card


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
    return words.get(attribute, attribute.replace("_", " ").lower())


@torch.inference_mode()
def swap(
    models: ModelCache, checkpoint: str, receiver: Encoded, donor: Encoded, strength: float = 1.0
) -> Tensor:
    """Give the receiver the donor's object (GeneGAN Eq. 2, Bu).

    Args:
        models: The loaded models.
        checkpoint: Of a method that swaps.
        receiver: Encoded by the same checkpoint.
        donor: Encoded by the same checkpoint.
        strength: 0 is the receiver itself, 1 the transplant; in [-1, 2].

    Returns:
        (1, 3, S, S) in [-1, 1].

    Raises:
        UnsupportedError: The checkpoint cannot swap.
    """
    model, _ = _swapper(models, checkpoint)
    if strength == 0:
        return receiver.reconstruction
    return model.decode(latents.swap(receiver.latents, donor.latents, [model.swap_part], strength))


@torch.inference_mode()
def remove(models: ModelCache, checkpoint: str, encoded: Encoded) -> Tensor:
    """Take the object away (GeneGAN Eq. 2, A0); (1, 3, S, S) in [-1, 1].

    Raises:
        UnsupportedError: The checkpoint cannot swap.
    """
    model, _ = _swapper(models, checkpoint)
    return model.decode(model.remove(encoded.latents))


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
) -> Tensor:
    """Mix the objects of four donors bilinearly on the receiver (GeneGAN Eq. 6).

    Args:
        models: The loaded models.
        checkpoint: Of a method that swaps.
        receiver: Keeps its background.
        donors: Upper left, upper right, lower left, lower right.
        places: N pairs x, y in [0, 1], 0 at the left and at the top.
        strength: As for :func:`swap`.

    Returns:
        (N, 3, S, S) in [-1, 1].

    Raises:
        UnsupportedError: The checkpoint cannot swap.
    """
    model, _ = _swapper(models, checkpoint)
    corners = [donor.latents.map(lambda p: p.expand(len(places), *p.shape[1:])) for donor in donors]
    x, y = torch.tensor(places, device=models.device, dtype=torch.float32).unbind(1)
    mixed = latents.bilinear(corners, x, y)
    own = receiver.latents.map(lambda p: p.expand(len(places), *p.shape[1:]))
    return model.decode(latents.swap(own, mixed, [model.swap_part], strength))


def interpolator(models: ModelCache, checkpoint: str) -> Loaded:
    """Load a checkpoint that interpolates.

    Raises:
        UnsupportedError: It cannot.
        CheckpointError: It cannot be loaded.
    """
    loaded = models.get(checkpoint)
    if Operation.INTERPOLATE not in loaded.card.entry.operations:
        raise UnsupportedError(
            f"{checkpoint} cannot interpolate; choose a checkpoint that can, such as "
            f"{', '.join(models.store.names(Operation.INTERPOLATE)) or 'a trained autoencoder'}."
        )
    return loaded


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
    strangers = {corner.checkpoint for corner in corners} - {checkpoint}
    if strangers:
        raise UnsupportedError(
            f"The latents of {', '.join(sorted(strangers))} mean nothing to {checkpoint}; encode "
            "all pictures with one checkpoint."
        )
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


@dataclass(frozen=True, eq=False)
class Subject:
    """A photograph and the face in it that is meant."""

    photo: Photo
    alignment: Alignment


def replay(models: ModelCache, recipe: Recipe, subjects: Mapping[str, Subject]) -> Photo:
    """Carry out a recipe.

    Args:
        models: The loaded models.
        recipe: Its steps run in order, each on the picture that the one before it made.
        subjects: By role; the receiver and every donor that a step names.

    Returns:
        The receiver's photograph with the edit in it and the recipe in its text; alpha and colour
        profile as in the receiver. Output ``crop`` gives the aligned crop in the photograph's own
        resolution, ``model`` the plain decode of the last step.

    Raises:
        RecipeError: A role has no photograph, or a checkpoint is not the one that was used.
        UnsupportedError: A checkpoint cannot do what a step asks.
    """
    receiver = _subject(subjects, "receiver")
    pixels, decoded = receiver.photo.pixels, None
    for step in recipe.steps:
        plain, edited = perform(models, step, pixels, subjects)
        decoded = images.to_pictures(edited.cpu())[0]
        support = models.get(step.checkpoint).card.support
        compositor = Compositor(pixels, receiver.alignment, plain.shape[-1], support)
        pixels = compositor.apply(plain[0].cpu(), edited[0].cpu())
    text = dict(recipe.to_text())
    if recipe.output == "model" and decoded is not None:
        return Photo(decoded, None, None, text)
    if recipe.output == "crop":
        side = max(round(receiver.alignment.side), 16)
        return Photo(crop(pixels, receiver.alignment, side), None, receiver.photo.icc, text)
    return Photo(pixels, receiver.photo.alpha, receiver.photo.icc, text)


def perform(
    models: ModelCache, step: Step, pixels: Picture, subjects: Mapping[str, Subject]
) -> tuple[Tensor, Tensor]:
    """Carry out one step on the receiver's current pixels.

    Returns:
        The plain and the edited reconstruction, (1, 3, S, S) in [-1, 1] each.

    Raises:
        RecipeError: The checkpoint has other weights than the recipe's, or a donor is missing.
    """
    used = models.get(step.checkpoint).card.hashes.get(MODEL, "")
    if step.checkpoint_hash and step.checkpoint_hash != used:
        raise RecipeError(
            f"The recipe was made with other weights of {step.checkpoint} than are here; "
            "the same edit cannot be repeated exactly. Apply it again with the present ones."
        )
    alignment = _subject(subjects, "receiver").alignment
    receiver = encode(models, step.checkpoint, pixels, alignment)
    donors = [
        encode(models, step.checkpoint, donor.photo.pixels, donor.alignment)
        for donor in (_subject(subjects, role) for role in step.donors)
    ]
    if step.kind == "remove":
        edited = remove(models, step.checkpoint, receiver)
    elif step.kind == "swap":
        edited = swap(models, step.checkpoint, receiver, donors[0], step.strength)
    else:
        place = [(step.x, step.y)]
        edited = blend(models, step.checkpoint, receiver, donors, place, step.strength)
    return receiver.reconstruction, edited


def _subject(subjects: Mapping[str, Subject], role: str) -> Subject:
    if role not in subjects:
        raise RecipeError(f"The recipe needs the {role}'s photograph; upload it first.")
    return subjects[role]


def record(
    models: ModelCache,
    subjects: Mapping[str, Subject],
    steps: Sequence[Mapping[str, Any]],
    output: str = "full",
) -> Recipe:
    """Write down an edit.

    Args:
        models: The loaded models, for the weights' hashes.
        subjects: By role, the receiver among them.
        steps: Fields of :class:`studio.recipes.Step`, without the hash.
        output: As in :class:`studio.recipes.Recipe`.

    Returns:
        The recipe, without embedded pictures.

    Raises:
        RecipeError: A step makes no sense.
    """
    written = tuple(
        Step(
            checkpoint_hash=models.store.card(str(step["checkpoint"])).hashes.get(MODEL, ""),
            **step,
        )
        for step in steps
    )
    used = {"receiver", *(role for step in written for role in step.donors)}
    sources = tuple(
        Source(role, picture_hash(subject.photo), subject.alignment.to_dict())
        for role, subject in sorted(subjects.items(), key=lambda item: item[0] != "receiver")
        if role in used
    )
    return Recipe(sources, written, output=output)


def embed(
    models: ModelCache, recipe: Recipe, subjects: Mapping[str, Subject], result: Photo
) -> Recipe:
    """Put into a recipe what is needed to have its pictures back from the result alone.

    Args:
        models: The loaded models, for their picture size.
        recipe: What was carried out.
        subjects: By role, as given to :func:`replay`.
        result: What :func:`replay` returned.

    Returns:
        The recipe whose receiver carries the part that the edit changed, and whose donors carry
        the crops that the models saw.
    """
    size = models.store.card(recipe.steps[-1].checkpoint).spec.size
    sources = []
    for source in recipe.sources:
        subject = subjects[source.role]
        if source.role == "receiver":
            before = _unedited(subject, recipe.output, result.pixels.shape[0])
            x, y, part = _changed_part(before, result.pixels)
            place = (x, y)
        else:
            place, part = (0, 0), crop(subject.photo.pixels, subject.alignment, size)
        content = base64.b64encode(images.encode_png(part)).decode("ascii")
        sources.append(replace(source, picture=content, place=place))
    return replace(recipe, sources=tuple(sources))


def restore(result: Photo, recipe: Recipe) -> dict[str, Subject]:
    """Return the pictures that :func:`embed` put into a result.

    Args:
        result: The picture that carries the recipe.
        recipe: Read from it.

    Returns:
        Subjects by role; empty where the recipe carries no pictures.

    Raises:
        RecipeError: A picture in the recipe is damaged or does not fit the result.
    """
    if any(not source.picture for source in recipe.sources):
        return {}
    return {source.role: _restored(result, recipe, source) for source in recipe.sources}


def _restored(result: Photo, recipe: Recipe, source: Source) -> Subject:
    try:
        part = images.read_photo(source.content()).pixels
    except ImageError as error:
        message = f"The picture of the {source.role} in the recipe is damaged."
        raise RecipeError(message) from error
    height, width = part.shape[:2]
    if source.role != "receiver":
        return Subject(Photo(part), Alignment.whole(width, height))
    pixels, (x, y) = result.pixels.copy(), source.place
    if x < 0 or y < 0 or pixels[y : y + height, x : x + width].shape != part.shape:
        raise RecipeError("The picture was cropped or resized after it was made.")
    pixels[y : y + height, x : x + width] = part
    photo = Photo(pixels, result.alpha, result.icc)
    if recipe.output == "full":
        if picture_hash(photo) != source.sha256:
            raise RecipeError(
                "The picture was changed after it was made, so its original cannot be restored "
                "from it; upload the original photograph instead."
            )
        return Subject(photo, Alignment.from_dict(source.crop))
    return Subject(photo, Alignment.whole(pixels.shape[1], pixels.shape[0]))


def _unedited(subject: Subject, output: str, side: int) -> Picture:
    """Return what the receiver's picture was before the edit, in the form of the output."""
    if output == "full":
        return subject.photo.pixels
    return crop(subject.photo.pixels, subject.alignment, side)


def _changed_part(before: Picture, after: Picture) -> tuple[int, int, Picture]:
    """Return left, top and the earlier pixels of the box in which two pictures differ.

    The box is grown so that it is itself a picture that can be read again.
    """
    height, width = before.shape[:2]
    # Row by row: a mask of a whole 50-megapixel photograph would cost as much as the photograph.
    spans = []
    for row in range(height):
        if not np.array_equal(before[row], after[row]):
            columns = np.flatnonzero((before[row] != after[row]).any(axis=1))
            spans.append((row, columns[0], columns[-1]))
    top, left, bottom, right = 0, 0, 0, 0
    if spans:
        rows, first, last = np.array(spans).T
        top, left, bottom, right = rows[0], first.min(), rows[-1] + 1, last.max() + 1
    # At least 16 pixels and a tenth of the other side.
    tall = max(bottom - top, images.MIN_SIDE, (right - left) // 10)
    wide = max(right - left, images.MIN_SIDE, (bottom - top) // 10)
    x, y = max(0, min(left, width - wide)), max(0, min(top, height - tall))
    return int(x), int(y), before[y : y + tall, x : x + wide]


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
