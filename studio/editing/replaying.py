"""Recipes: carrying one out, writing one down, having its pictures back."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from studio import images
from studio.checkpoints import MODEL, ModelCache
from studio.editing.attributes import edit, generate
from studio.editing.encoding import encode
from studio.editing.operations import blend, remove, swap
from studio.editing.transfer import transfer, written
from studio.errors import ImageError, RecipeError
from studio.faces.align import Alignment, crop
from studio.faces.composite import Compositor
from studio.images import Photo, Picture
from studio.recipes import Recipe, Source, Step, picture_hash


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
    if recipe.steps and recipe.steps[0].kind == "generate":
        return _composed(models, recipe)
    receiver = _subject(subjects, "receiver")
    pixels, decoded = receiver.photo.pixels, None
    for step in recipe.steps:
        plain, edited = perform(models, step, pixels, subjects)
        decoded = images.to_pictures(edited.cpu())[0]
        support = models.get(step.checkpoint).card.support
        # Of the parts that are taken, some are everywhere: light, colour, another person.
        broad = step.kind == "transfer"
        compositor = Compositor(pixels, receiver.alignment, plain.shape[-1], support, broad=broad)
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
        RecipeError: The checkpoint or a saved part is another one than the recipe's, or a donor is
            missing.
    """
    _check_weights(models, step)
    alignment = _subject(subjects, "receiver").alignment
    receiver = encode(models, step.checkpoint, pixels, alignment)
    donors = [
        encode(models, step.checkpoint, donor.photo.pixels, donor.alignment)
        for donor in (_subject(subjects, role) for role in step.donors)
    ]
    if step.kind == "edit":
        edited = edit(models, step.checkpoint, receiver, step.values, step.held, step.moves)
    elif step.kind == "remove":
        edited = remove(models, step.checkpoint, receiver, step.moves)
    elif step.kind == "transfer":
        sources = dict(zip(step.donors, donors, strict=True))
        edited = transfer(models, step.checkpoint, receiver, sources, step.parts, step.moves)
    elif step.kind == "swap":
        edited = swap(models, step.checkpoint, receiver, donors[0], step.strength, step.moves)
    else:
        place = [(step.x, step.y)]
        edited = blend(models, step.checkpoint, receiver, donors, place, step.strength, step.moves)
    return receiver.reconstruction, edited


def _check_weights(models: ModelCache, step: Step) -> None:
    used = models.get(step.checkpoint).card.hashes.get(MODEL, "")
    if step.checkpoint_hash and step.checkpoint_hash != used:
        raise RecipeError(
            f"The recipe was made with other weights of {step.checkpoint} than are here; "
            "the same edit cannot be repeated exactly. Apply it again with the present ones."
        )


def _composed(models: ModelCache, recipe: Recipe) -> Photo:
    """Make the face of a recipe that begins without a photograph."""
    if len(recipe.steps) > 1:
        raise RecipeError(
            "A face made from attributes has one step; save it and edit it as a photograph."
        )
    (step,) = recipe.steps
    _check_weights(models, step)
    made = generate(models, step.checkpoint, step.values, 1, recipe.seed, step.strength)
    return Photo(images.to_pictures(made.cpu())[0], None, None, dict(recipe.to_text()))


def _subject(subjects: Mapping[str, Subject], role: str) -> Subject:
    if role not in subjects:
        raise RecipeError(f"The recipe needs the {role}'s photograph; upload it first.")
    return subjects[role]


def record(
    models: ModelCache,
    subjects: Mapping[str, Subject],
    steps: Sequence[Mapping[str, Any]],
    output: str = "full",
    seed: int = 0,
) -> Recipe:
    """Write down an edit.

    Args:
        models: The loaded models, for the weights' hashes.
        subjects: By role, the receiver among them; none for a face made from attributes.
        steps: Fields of :class:`studio.recipes.Step`, without the hash.
        output: As in :class:`studio.recipes.Recipe`.
        seed: As there.

    Returns:
        The recipe, without embedded pictures.

    Raises:
        RecipeError: A step makes no sense.
        DataError: A saved part is not there.
    """
    done = tuple(
        Step(
            checkpoint_hash=models.store.card(str(step["checkpoint"])).hashes.get(MODEL, ""),
            **{**step, "parts": written(step.get("parts", {}))},
        )
        for step in steps
    )
    used = {"receiver", *(role for step in done for role in step.donors)}
    sources = tuple(
        Source(role, picture_hash(subject.photo), subject.alignment.to_dict())
        for role, subject in sorted(subjects.items(), key=lambda item: item[0] != "receiver")
        if role in used
    )
    return Recipe(sources, done, seed, output)


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
