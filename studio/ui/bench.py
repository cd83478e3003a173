"""From drafts to pictures: previews, encoded faces, edits at screen size, full-size results.

Every function takes the shared context and plain data, and keeps what it derives in the context's
memory under that data, so that following a slider costs one decode and one small composite.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from studio import editing, images
from studio.editing import Encoded, Subject
from studio.errors import RecipeError
from studio.faces.align import Alignment, crop
from studio.faces.composite import Compositor, Patch
from studio.faces.detect import Face, find_faces
from studio.images import Photo, Picture
from studio.recipes import Recipe, Step
from studio.ui import own
from studio.ui.context import Context
from studio.ui.draft import CHILDREN, DONOR, EXEMPLARS, RECEIVER, Draft, Seat

NO_FACE = (
    "No face was found in this photo. Move the frame onto the face by hand, "
    "or choose another photo."
)
_THUMB = 192
_CELL = 128


@dataclass(frozen=True, eq=False)
class Ground:
    """A photograph at screen size, as an edit finds it.

    Attributes:
        photo: At most 1600 pixels long.
        alignment: Where the face is in it.
        key: What it was made from.
    """

    photo: Photo
    alignment: Alignment
    key: Hashable


@dataclass(frozen=True, eq=False)
class Edit:
    """An edit of one face, before it is put back.

    Attributes:
        ground: The photograph that it changes.
        plain: (1, 3, S, S) reconstruction.
        edited: The same with the edit.
        checkpoint: What made it.
    """

    ground: Ground
    plain: Tensor
    edited: Tensor
    checkpoint: str


def preview(context: Context, path: str) -> Photo:
    """Return an uploaded photograph at screen size.

    Raises:
        ImageError: The file is no usable photograph.
    """
    return context.memory.get(("preview", path), lambda: shrink(_photo(path)), _photo_bytes)


def shrink(photo: Photo) -> Photo:
    """Reduce a photograph to screen size, transparency included."""
    alpha = photo.alpha
    if alpha is not None:
        alpha = images.fit(np.repeat(alpha[..., None], 3, axis=2))[..., 0].copy()
    return Photo(images.fit(photo.pixels), alpha, photo.icc)


def faces(context: Context, path: str) -> list[Face]:
    """Find the faces of an uploaded photograph, in pixels of its preview, the largest first."""
    return context.memory.get(
        ("faces", path),
        lambda: find_faces(preview(context, path).visible(), refine=context.refine),
        lambda found: 1024 * len(found),
    )


def seat_photo(context: Context, path: str, photo: Photo) -> Seat:
    """Seat a photograph on its most prominent face.

    Args:
        context: The shared context.
        path: The uploaded file.
        photo: Its content.

    Returns:
        The seat; with a doubt where no face was found or it cannot be trusted.
    """
    context.memory.get(("preview", path), lambda: shrink(photo), _photo_bytes)
    height, width = photo.pixels.shape[:2]
    seat = Seat(path, Path(path).stem, width, height, Alignment.whole(width, height), NO_FACE)
    found = faces(context, path)
    return choose_face(context, seat, 0) if found else seat


def choose_face(context: Context, seat: Seat, index: int) -> Seat:
    """Move a seat's crop to one of the photograph's faces, counted from 0."""
    face = faces(context, seat.path)[index]
    alignment = face.alignment.scaled(1 / _factor(context, seat))
    return replace(seat, alignment=alignment, doubt=face.reason, face=index)


def _factor(context: Context, seat: Seat) -> float:
    shape = preview(context, seat.path).pixels.shape
    return max(shape[:2]) / max(seat.width, seat.height)


def ground(context: Context, draft: Draft, role: str) -> Ground:
    """Return a role's photograph at screen size, with the applied steps in the receiver's."""
    seat = draft.seats[role]
    alignment = seat.alignment.scaled(_factor(context, seat))
    plain = Ground(preview(context, seat.path), alignment, ("ground", seat.path, alignment))
    if role != RECEIVER or not draft.applied:
        return plain
    donors = tuple(draft.seats[name] for step in draft.applied for name in step.donors)
    # Steps hold mappings, which have no hash.
    key = (plain.key, repr(draft.applied), donors)
    return context.memory.get(
        key, lambda: Ground(_apply(context, draft, plain), alignment, key), _ground_bytes
    )


def _apply(context: Context, draft: Draft, plain: Ground) -> Photo:
    roles = {RECEIVER, *(name for step in draft.applied for name in step.donors)}
    untouched = replace(draft, applied=())
    subjects = {}
    for role in roles:
        own = ground(context, untouched, role)
        subjects[role] = Subject(own.photo, own.alignment)
    result = editing.replay(context.models, Recipe((), draft.applied), subjects)
    return Photo(result.pixels, plain.photo.alpha, plain.photo.icc)


def encoded(context: Context, checkpoint: str, place: Ground) -> Encoded:
    """Encode a face once per checkpoint."""
    return context.memory.get(
        ("encoded", checkpoint, place.key),
        lambda: editing.encode(context.models, checkpoint, place.photo.pixels, place.alignment),
        encoded_bytes,
    )


def encoded_bytes(made: Encoded) -> int:
    """Say what an encoded face costs in memory."""
    return 4 * (made.reconstruction.numel() + made.latents.flatten().numel())


def donated(context: Context, draft: Draft, role: str) -> Encoded:
    """Encode what a role gives: its photograph as it was uploaded."""
    return encoded(context, draft.checkpoint, ground(context, replace(draft, applied=()), role))


def edit(context: Context, draft: Draft, key: str) -> Edit:
    """Make one of the children of a pair.

    Args:
        context: The shared context.
        draft: Its roles are ready.
        key: In ``CHILDREN``.
    """
    child = CHILDREN[key]
    place = ground(context, draft, child.base)
    own = encoded(context, draft.checkpoint, place)
    if child.donor:
        donor = donated(context, draft, child.donor)
        edited = editing.swap(
            context.models, draft.checkpoint, own, donor, draft.strength, _moves(draft)
        )
    else:
        edited = editing.remove(context.models, draft.checkpoint, own, _moves(draft))
    return Edit(place, own.reconstruction, edited, draft.checkpoint)


def blend(context: Context, draft: Draft, places: Sequence[tuple[float, float]]) -> list[Edit]:
    """Mix the four exemplars' objects on the receiver, at places of the unit square."""
    place = ground(context, draft, RECEIVER)
    own = encoded(context, draft.checkpoint, place)
    donors = [donated(context, draft, role) for role in EXEMPLARS]
    mixed = editing.blend(
        context.models, draft.checkpoint, own, donors, places, draft.strength, _moves(draft)
    )
    return [Edit(place, own.reconstruction, one[None], draft.checkpoint) for one in mixed]


def _moves(draft: Draft) -> dict[str, float]:
    return own.living(draft.checkpoint, draft.moves)


def patch(context: Context, made: Edit) -> Patch:
    """Return what an edit changes in the photograph at screen size."""
    place, size = made.ground, made.plain.shape[-1]
    support = context.models.get(made.checkpoint).card.support
    compositor = context.memory.get(
        ("compositor", place.key, made.checkpoint),
        lambda: Compositor(place.photo.pixels, place.alignment, size, support),
        lambda _: _photo_bytes(place.photo),
    )
    changed = compositor.patch(made.plain[0].cpu(), made.edited[0].cpu())
    alpha = place.photo.alpha
    if alpha is None or not changed.pixels.size:
        return changed
    height, width = changed.pixels.shape[:2]
    own = alpha[changed.y : changed.y + height, changed.x : changed.x + width]
    return Patch(changed.x, changed.y, Photo(changed.pixels, own).visible())


def thumbnail(context: Context, made: Edit, side: int = _THUMB) -> Picture:
    """Return the edited face, cut out of its photograph, as a small square picture."""
    place, size = made.ground, made.plain.shape[-1]
    support = context.models.get(made.checkpoint).card.support
    whole = Alignment.whole(side, side)
    compositor = context.memory.get(
        ("thumbnail", place.key, made.checkpoint, side),
        lambda: Compositor(face_crop(place, side), whole, size, support),
        lambda _: 4 * side * side,
    )
    return compositor.apply(made.plain[0].cpu(), made.edited[0].cpu())


def face_crop(place: Ground, side: int = _THUMB) -> Picture:
    """Cut a face out of its photograph."""
    return crop(place.photo.visible(), place.alignment, side)


def cell_thumbnails(context: Context, draft: Draft) -> list[Picture]:
    """Return the faces of all cells of the blend's grid, row by row."""
    made = blend(context, draft, editing.grid_places(draft.side))
    return [thumbnail(context, one, _CELL) for one in made]


def next_step(draft: Draft) -> tuple[str, Step]:
    """Write down the edit on the stage.

    Returns:
        The role whose photograph it changes, and the step.

    Raises:
        RecipeError: There is nothing on the stage yet.
    """
    moves = _moves(draft)
    if draft.mode == "blend" and draft.ready(RECEIVER, *EXEMPLARS):
        x, y = draft.place
        return RECEIVER, Step(
            "blend", draft.checkpoint, "", EXEMPLARS, draft.strength, x, y, moves=moves
        )
    if draft.mode == "blend" or not draft.shown or not draft.checkpoint:
        raise RecipeError("There is no result yet: add the photos first, or click an example.")
    child = CHILDREN[draft.shown]
    if not child.donor:
        return child.base, Step("remove", draft.checkpoint, "", moves=moves)
    return child.base, Step(
        "swap", draft.checkpoint, "", (child.donor,), draft.strength, moves=moves
    )


def settle(draft: Draft) -> Draft:
    """Make the result on the stage the receiver of what comes next.

    The donors keep their seats under names of their own, because the recipe still needs them when
    others sit in their roles.
    """
    base, step = next_step(draft)
    applied = draft.applied if base == RECEIVER else ()
    names = {role: f"step{len(applied) + 1}-{role}" for role in step.donors}
    seats = dict(draft.seats)
    seats.update({name: draft.seats[role] for role, name in names.items()})
    if base != RECEIVER:
        seats[RECEIVER] = draft.seats[base]
        del seats[DONOR]
        if RECEIVER in draft.seats:
            seats[DONOR] = draft.seats[RECEIVER]
    done = replace(step, donors=tuple(names.values()))
    return replace(
        draft,
        seats=seats,
        applied=(*applied, done),
        child="receives",
        mode="swap",
        moves={},
    )


def result(
    context: Context, draft: Draft, output: str = "full", *, with_pictures: bool = True
) -> Photo:
    """Make the full-size result with its recipe in the text.

    Args:
        context: The shared context.
        draft: With something on the stage.
        output: ``full``, ``crop`` or ``model``.
        with_pictures: Whether the recipe carries what restores the photographs.

    Raises:
        RecipeError: There is nothing on the stage.
        ImageError: An uploaded file is gone.
    """
    base, step = next_step(draft)
    applied = draft.applied if base == RECEIVER else ()
    steps = [*applied, step]
    roles = {base, *(role for one in steps for role in one.donors)}
    subjects = {role: _subject(draft.seats[role]) for role in roles}
    if base != RECEIVER:
        # In a recipe the photograph that is changed is the receiver, whichever seat it had.
        exchanged = {DONOR: RECEIVER, RECEIVER: DONOR}
        subjects = {exchanged.get(role, role): subject for role, subject in subjects.items()}
        steps = [replace(step, donors=tuple(exchanged[role] for role in step.donors))]
    return _made(context, subjects, steps, output, with_pictures=with_pictures)


def finished(
    context: Context,
    seats: Mapping[str, Seat],
    steps: Sequence[Step],
    output: str,
    *,
    with_pictures: bool,
) -> Photo:
    """Carry steps out at full size on seated photographs; arguments as for :func:`result`."""
    subjects = {role: _subject(seat) for role, seat in seats.items()}
    return _made(context, subjects, steps, output, with_pictures=with_pictures)


def _made(
    context: Context,
    subjects: Mapping[str, Subject],
    steps: Sequence[Step],
    output: str,
    *,
    with_pictures: bool,
) -> Photo:
    plain = [{**vars(one)} for one in steps]
    for fields in plain:
        fields.pop("checkpoint_hash")
    recipe = editing.record(context.models, subjects, plain, output)
    made = editing.replay(context.models, recipe, subjects)
    if with_pictures:
        recipe = editing.embed(context.models, recipe, subjects, made)
        made = replace(made, text=dict(recipe.to_text()))
    return made


def _subject(seat: Seat) -> Subject:
    return Subject(_photo(seat.path), seat.alignment)


def _photo(path: str) -> Photo:
    """Read a seated photograph, which may be a large result of ours or restored from one."""
    return images.read_photo(Path(path), images.MAX_RESULT_BYTES)


def settings(draft: Draft, recipe: Recipe, seats: Mapping[str, Seat]) -> Draft:
    """Return the draft that a recipe describes.

    Args:
        draft: What the recipe does not say is taken from here.
        recipe: With at least one step.
        seats: The restored photographs; empty keeps those of the draft.

    Raises:
        RecipeError: The recipe has no steps.
    """
    if not recipe.steps:
        raise RecipeError("The recipe in this picture has no steps; there is nothing to repeat.")
    last = recipe.steps[-1]
    side = draft.side
    changes: dict[str, object] = {
        "checkpoint": last.checkpoint,
        "strength": last.strength,
        "moves": dict(last.moves),
        "mode": "blend" if last.kind == "blend" else "swap",
        "child": "without" if last.kind == "remove" else "receives",
        "cell": round(last.y * (side - 1)) * side + round(last.x * (side - 1)),
    }
    if seats:
        changes |= {"seats": dict(seats), "applied": recipe.steps[:-1]}
    return replace(draft, **changes)  # type: ignore[arg-type]


def _photo_bytes(photo: Photo) -> int:
    return photo.pixels.nbytes + (0 if photo.alpha is None else photo.alpha.nbytes)


def _ground_bytes(made: Ground) -> int:
    return _photo_bytes(made.photo)
