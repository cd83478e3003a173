"""From a portrait to pictures: what was measured, the edit, its rivals, composed faces, results.

As in ``studio.ui.bench``, what is derived is kept in the context's memory, so that following a
slider costs one decode and one small composite.
"""

from collections.abc import Hashable
from dataclasses import replace

from torch import Tensor

from studio import directions, editing, images
from studio.checkpoints import Card
from studio.editing import Encoded, Leakage
from studio.errors import RecipeError, StudioError
from studio.images import Photo, Picture
from studio.methods.base import AttributeModel, Operation
from studio.recipes import Step
from studio.ui import bench
from studio.ui.bench import Edit, Ground
from studio.ui.context import Context
from studio.ui.draft import RECEIVER
from studio.ui.portrait.draft import Portrait


def editors(context: Context) -> list[Card]:
    """List the checkpoints for portraits.

    Those that know attributes come first, then those with sliders of one's own, then those that
    one can be made of.
    """
    cards = context.store.cards()
    own = {directions.load(name).checkpoint for name in directions.names()}

    def rank(card: Card) -> int:
        if Operation.EDIT in card.entry.operations:
            return 0
        return 1 if card.name in own else 2

    encoding = {Operation.SWAP, Operation.INTERPOLATE}
    usable = [
        card
        for card in cards
        if rank(card) < 2 or (card.spec.shows_faces and card.entry.operations & encoding)
    ]
    return sorted(usable, key=rank)


def composers(context: Context) -> list[Card]:
    """List the checkpoints that make faces from attributes."""
    return [card for card in context.store.cards() if Operation.GENERATE in card.entry.operations]


def possible(context: Context, portrait: Portrait) -> list[Card]:
    """List the checkpoints that a portrait can have."""
    return (composers if portrait.mode == "compose" else editors)(context)


def knows_attributes(context: Context, checkpoint: str) -> bool:
    """Say whether a checkpoint has attribute sliders of its own."""
    return isinstance(context.models.get(checkpoint).model, AttributeModel)


def ground(context: Context, portrait: Portrait) -> Ground:
    """Return the photograph at screen size, with the applied steps in it."""
    return bench.ground(context, portrait.draft, RECEIVER)


def encoded(context: Context, portrait: Portrait) -> Encoded:
    """Encode the face once per checkpoint."""
    return bench.encoded(context, portrait.checkpoint, ground(context, portrait))


def measured(context: Context, portrait: Portrait) -> dict[str, float]:
    """Read where the sliders stand; empty for a checkpoint that knows no attributes."""
    if not knows_attributes(context, portrait.checkpoint):
        return {}
    return context.memory.get(
        ("measured", portrait.checkpoint, ground(context, portrait).key),
        lambda: editing.measure(context.models, portrait.checkpoint, encoded(context, portrait)),
        lambda found: 64 * len(found),
    )


def _slopes(context: Context, portrait: Portrait) -> Tensor:
    return context.memory.get(
        ("slopes", portrait.checkpoint, ground(context, portrait).key),
        lambda: editing.sensitivity(
            context.models, portrait.checkpoint, encoded(context, portrait)
        ),
        lambda found: 4 * found.numel(),
    )


def edit(context: Context, portrait: Portrait) -> Edit:
    """Make the edit of a portrait that is ready."""
    own = encoded(context, portrait)
    slopes = _slopes(context, portrait) if portrait.held and portrait.values else None
    made = editing.edit(
        context.models,
        portrait.checkpoint,
        own,
        portrait.values,
        portrait.held,
        portrait.moves,
        slopes,
    )
    return Edit(ground(context, portrait), own.reconstruction, made, portrait.checkpoint)


def leakage(context: Context, portrait: Portrait) -> Leakage:
    """Say what the edit changed, by networks that took no part in training."""
    key: Hashable = (
        *("leakage", portrait.checkpoint, ground(context, portrait).key),
        *(tuple(sorted(part.items())) for part in (portrait.values, portrait.moves)),
        portrait.held,
    )

    def make() -> Leakage:
        made = edit(context, portrait)
        return editing.leakage(context.models, made.plain, made.edited)

    return context.memory.get(key, make, lambda found: 64 * len(found.changes))


def rivals(context: Context, portrait: Portrait) -> list[tuple[str, Edit]]:
    """Make the same edit with every checkpoint that knows the moved attributes.

    Returns:
        Checkpoint and edit, the portrait's own first; only that one where there is no other or
        where one's own sliders are moved, which belong to one checkpoint.
    """
    found = [(portrait.checkpoint, edit(context, portrait))]
    if any(portrait.moves.values()) or not portrait.values:
        return found
    for card in context.store.cards():
        if card.name == portrait.checkpoint or Operation.EDIT not in card.entry.operations:
            continue
        try:
            found.append((card.name, edit(context, replace(portrait, checkpoint=card.name))))
        except StudioError:
            # It does not know one of these attributes.
            continue
    for card in context.store.cards():
        if Operation.TRANSLATE in card.entry.operations:
            found += _translated(context, portrait, card)
    return found


def _translated(context: Context, portrait: Portrait, card: Card) -> list[tuple[str, Edit]]:
    """Make the edit with a translator, whose attributes are all told what they shall be."""
    known = getattr(context.models.get(card.name).model, "attributes", ())
    own = measured(context, portrait)
    if not set(portrait.values) <= set(known) or not set(known) <= set(own):
        return []
    wanted = {**own, **portrait.values}
    place = ground(context, portrait)
    original = images.to_images(
        editing.encode(
            context.models, portrait.checkpoint, place.photo.pixels, place.alignment
        ).crop
    )
    if original.shape[-1] != card.spec.size:
        return []
    targets = {name: int(wanted[name] >= 0.5) for name in known}
    made = editing.translate(context.models, card.name, original, targets)
    return [(card.name, Edit(place, original.to(made.device), made, card.name))]


def sheet(context: Context, portrait: Portrait) -> Picture:
    """Compose the faces of a sheet, (count, S, S, 3)."""

    def make() -> Picture:
        return images.to_pictures(
            editing.generate(
                context.models,
                portrait.checkpoint,
                portrait.values,
                portrait.count,
                portrait.seed,
                portrait.variation,
            ).cpu()
        )

    key: Hashable = (
        *("sheet", portrait.checkpoint, tuple(sorted(portrait.values.items()))),
        *(portrait.count, portrait.seed, portrait.variation),
    )
    return context.memory.get(key, make, lambda made: made.nbytes)


def asked(context: Context, portrait: Portrait) -> dict[str, float]:
    """Return all attributes of a composed face, those that were not asked for as in most."""
    model = editing.generator(context.models, portrait.checkpoint)
    return editing.complete(portrait.values, model.attributes)


def next_step(portrait: Portrait) -> Step:
    """Write down the edit on the stage.

    Raises:
        RecipeError: There is none.
    """
    if not portrait.ready or not portrait.moved:
        raise RecipeError("There is no edit yet: add a photo and move a slider first.")
    return Step(
        "edit",
        portrait.checkpoint,
        "",
        values=portrait.values,
        held=portrait.held,
        moves={name: steps for name, steps in portrait.moves.items() if steps},
    )


def settle(portrait: Portrait) -> Portrait:
    """Make the result the photograph that the next edit works on."""
    done = (*portrait.applied, next_step(portrait))
    return replace(portrait, applied=done, values={}, moves={}, last="")


def result(
    context: Context, portrait: Portrait, output: str = "full", *, with_pictures: bool = True
) -> Photo:
    """Make the full-size result with its recipe in the text.

    Args:
        context: The shared context.
        portrait: With an edit, or composed.
        output: ``full``, ``crop`` or ``model``; a composed face has the model's size.
        with_pictures: Whether the recipe carries what restores the photograph.

    Raises:
        RecipeError: There is nothing to save.
        ImageError: The uploaded file is gone.
    """
    if portrait.mode == "compose":
        return _composed(context, portrait)
    steps = list(portrait.applied)
    if portrait.moved or not steps:
        steps.append(next_step(portrait))
    if portrait.photo is None:
        raise RecipeError("There is no photo yet; add one first.")
    return bench.finished(
        context, {RECEIVER: portrait.photo}, steps, output, with_pictures=with_pictures
    )


def _composed(context: Context, portrait: Portrait) -> Photo:
    step = {
        "kind": "generate",
        "checkpoint": portrait.checkpoint,
        "values": asked(context, portrait),
        "strength": portrait.variation,
    }
    seed = portrait.seed + portrait.chosen
    recipe = editing.record(context.models, {}, [step], "model", seed)
    return editing.replay(context.models, recipe, {})
