"""The attributes tab: sliders on one's own photograph, and faces from attributes alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from studio import bulk, directions, editing, images, traits
from studio.errors import ConfigError, StudioError
from studio.images import MAX_BYTES, MAX_RESULT_BYTES
from studio.recipes import Recipe, is_result
from studio.ui import arrivals, examples
from studio.ui import bench as photo_bench
from studio.ui import own as own_sliders
from studio.ui.components import (
    choices,
    data_uri,
    method_choices,
    note,
    photo_drop,
    scripted,
    sources_fold,
)
from studio.ui.components import stage as stage_component
from studio.ui.context import Context
from studio.ui.doors import Door
from studio.ui.draft import RECEIVER, Seat
from studio.ui.guard import guarded, heard, uploaded
from studio.ui.portrait import bench, screen
from studio.ui.portrait.draft import MOST_SHEET, Portrait, Portraits
from studio.ui.repaint import (
    QUICK,
    SLOW,
    binder,
    download,
    followed,
    on_redo,
    on_refresh,
    on_undo,
    repainting,
)
from studio.ui.seats import Event, bind, kept, new_file, received

MODES = [("A photo", "photo"), ("From attributes alone", "compose")]
OUTPUTS = [("Whole photo", "full"), ("Face only", "crop"), ("Model output", "model")]
# Faces that are there with one click; the checkpoint that reads them decides how well they suit.
SAMPLES = (examples.ASTRONAUT, "mean_glasses", "mean_bangs", "anna", "carla", "david")


@dataclass(frozen=True, eq=False)
class Desk:
    """The tab's components."""

    drop: gr.HTML
    photo: gr.Column
    samples: gr.HTML
    stage: gr.HTML
    strip: gr.HTML
    checkpoint: gr.Dropdown
    about: gr.HTML
    mode: gr.Radio
    compose: gr.Column
    seed: gr.Number
    variation: gr.Slider
    count: gr.Slider
    sliders: gr.HTML
    undo: gr.Button
    redo: gr.Button
    settle: gr.Button
    output: gr.Radio
    pictures: gr.Checkbox
    save: gr.Button
    file: gr.DownloadButton
    make: gr.Accordion
    shown: gr.File
    absent: gr.File
    name: gr.Textbox
    create: gr.Button
    own: gr.Dropdown
    delete: gr.Button

    def painted(self) -> list[Any]:
        """List the components that ``paint`` fills, in its order."""
        return [
            self.drop,
            self.photo,
            self.stage,
            self.strip,
            self.checkpoint,
            self.about,
            self.mode,
            self.compose,
            self.seed,
            self.variation,
            self.count,
            self.sliders,
            self.undo,
            self.redo,
            self.settle,
            self.output,
            self.pictures,
            self.make,
            self.own,
        ]


def build(context: Context, watch: gr.HTML) -> Door:
    """Lay the tab out and bind its events; return where pictures come in.

    Args:
        context: The shared context.
        watch: Tells when checkpoints came or went.
    """
    with gr.Row(elem_classes="ls-desk"):
        with gr.Column(elem_classes="ls-sources", min_width=0), sources_fold():
            mode = gr.Radio(MODES, value="photo", label="Start from", elem_id="face-mode")
            with gr.Column(min_width=0) as photo:
                drop = photo_drop(elem_id="face-drop")
                gr.HTML('<h3 class="ls-title">Examples</h3>', apply_default_css=False)
                shown = choices(
                    _samples(context), elem_classes="ls-examples", elem_id="face-samples"
                )
        with gr.Column(elem_classes="ls-middle", min_width=0):
            stage = stage_component(elem_id="face-stage")
            strip = choices(elem_id="face-strip")
        with gr.Column(elem_classes="ls-controls", min_width=0):
            desk = _build_controls(drop, photo, shown, stage, strip, mode)
    return Door("attributes", _bind(context, desk, watch), desk.painted(), enter)


def _build_controls(
    drop: gr.HTML,
    photo: gr.Column,
    samples: gr.HTML,
    stage: gr.HTML,
    strip: gr.HTML,
    mode: gr.Radio,
) -> Desk:
    checkpoint = gr.Dropdown([], label="Model", elem_id="face-checkpoint")
    about = gr.HTML(apply_default_css=False)
    with gr.Column(min_width=0, visible=False, elem_classes="ls-extra") as compose:
        with gr.Row(elem_classes="ls-pair"):
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="face-seed")
            count = gr.Slider(1, MOST_SHEET, 9, step=1, label="Faces")
        variation = gr.Slider(
            0, 2, 1, step=0.05, label="Variation",
            info="How much faces of equal attributes differ; 0 is the most typical face.",
        )  # fmt: skip
    # Events: ``slide`` (name, value, own), ``rest``, ``hold`` (name), ``reset`` (name or nothing),
    # ``preset`` (label).
    sliders = scripted("ls-sliders", "sliders.js", elem_id="face-sliders")
    with gr.Row(elem_classes="ls-pair"):
        undo, redo = gr.Button("Undo", size="sm"), gr.Button("Redo", size="sm")
    settle = gr.Button("Apply and continue", size="sm", elem_id="face-settle")
    with gr.Accordion("Make your own slider", open=False, elem_id="face-make") as make:
        gr.HTML(
            note(
                f"From {directions.FEWEST} or more pictures with something and as many without it, "
                "or from one pair. It belongs to the model above."
            ),
            apply_default_css=False,
        )
        kinds = sorted(bulk.PHOTOGRAPHS)
        shown = gr.File(label="With it", file_count="multiple", file_types=kinds, height=96)
        absent = gr.File(label="Without it", file_count="multiple", file_types=kinds, height=96)
        name = gr.Textbox(label="Name", max_length=directions.MOST_LETTERS, elem_id="face-name")
        create = gr.Button("Make the slider", size="sm", elem_id="face-create")
        own = gr.Dropdown([], label="Your sliders", elem_id="face-own")
        delete = gr.Button("Delete this one", size="sm")
    gr.HTML('<h3 class="ls-title">Save</h3>', apply_default_css=False)
    output = gr.Radio(OUTPUTS, value="full", label="What to save")
    pictures = gr.Checkbox(
        value=True,
        label="Photo inside the file",
        info="Dropping the file on the page restores the original. Off: settings only.",
    )
    save = gr.Button("Save as PNG", variant="primary", elem_id="face-save")
    file = gr.DownloadButton("Download", visible="hidden", elem_id="face-file")
    return Desk(
        drop, photo, samples, stage, strip, checkpoint, about, mode, compose, seed, variation,
        count, sliders, undo, redo, settle, output, pictures, save, file, make, shown, absent, name,
        create, own, delete,
    )  # fmt: skip


def _bind(context: Context, desk: Desk, watch: gr.HTML) -> gr.State:
    """Connect events: each turns a history into the next one and repaints."""
    history = gr.State(Portraits())
    on = binder(history, desk.painted())
    bind(context, {RECEIVER: desk.drop}, on, painted, on_photo, SLOW)
    on(desk.samples.select, heard(context, painted(on_sample)), **SLOW)
    on(desk.strip.select, heard(context, painted(on_choice)))
    on(desk.stage.refresh, guarded(context, painted(on_refresh)))
    for control, handler in (
        (desk.checkpoint, on_checkpoint),
        (desk.mode, on_mode),
    ):
        on(control.input, guarded(context, painted(handler)), control, **SLOW)
    for slider, released in ((desk.variation, on_variation), (desk.count, on_count)):
        on(slider.release, guarded(context, painted(released)), slider)
    on(desk.seed.input, guarded(context, painted(on_seed)), desk.seed, trigger_mode="always_last")
    followed(desk.sliders, history, desk.stage, heard(context, on_slide))
    desk.sliders.rest(
        guarded(context, on_rest),
        history,
        [desk.sliders, desk.strip, desk.undo, desk.redo, desk.settle],
        trigger_mode="always_last",
        **QUICK,
    )
    for event, answer in (
        (desk.sliders.hold, on_hold),
        (desk.sliders.reset, on_reset),
        (desk.sliders.preset, on_preset),
    ):
        on(event, heard(context, painted(answer)))
    on(desk.undo.click, guarded(context, painted(on_undo)))
    on(desk.redo.click, guarded(context, painted(on_redo)))
    on(desk.settle.click, guarded(context, painted(on_settle)))
    on(
        desk.create.click,
        guarded(context, painted(on_create)),
        desk.shown,
        desk.absent,
        desk.name,
        **{**SLOW, "show_progress": "minimal"},
    )
    on(desk.delete.click, guarded(context, painted(on_delete)), desk.own)
    desk.save.click(
        guarded(context, on_save),
        [history, desk.output, desk.pictures],
        desk.file,
        **{**SLOW, "show_progress": "minimal"},
    ).success(None, js=download("face-file"))
    arrivals.follow(
        [watch.changed], context, history, desk.painted(), [desk.checkpoint],
        heal=healer, paint=paint, choices=on_choices,
    )  # fmt: skip
    # The example is computed when the tab is opened: whoever comes to swap does not wait for it.
    tab = gr.context.Context.block
    if isinstance(tab, gr.Tab):
        on(tab.select, guarded(context, painted(on_show)), **SLOW)
    return history


def paint(context: Context, history: Portraits) -> list[Any]:
    """Return the values of ``Desk.painted`` for a history."""
    portrait = history.present
    composing = portrait.mode == "compose"
    card = context.store.card(portrait.checkpoint) if portrait.checkpoint else None
    own = directions.names(portrait.checkpoint) if card else []
    return [
        screen.drop(context, portrait),
        gr.Column(visible=not composing),
        screen.stage(context, portrait),
        screen.strip(context, portrait),
        gr.Dropdown(
            method_choices(bench.possible(context, portrait)), value=portrait.checkpoint or None
        ),
        note(screen.about(card) if card else screen.NO_CHECKPOINT),
        portrait.mode,
        gr.Column(visible=composing),
        portrait.seed,
        portrait.variation,
        portrait.count,
        _sliders(context, portrait),
        gr.Button(interactive=bool(history.past)),
        gr.Button(interactive=bool(history.future)),
        gr.Button(interactive=portrait.ready and portrait.moved, visible=not composing),
        gr.Radio(visible=not composing),
        gr.Checkbox(visible=not composing),
        gr.Accordion(visible=not composing and card is not None),
        gr.Dropdown(own, value=own[0] if own else None, visible=bool(own)),
    ]


painted = repainting(paint)


def enter(
    context: Context, history: Portraits, seats: Sequence[Seat], checkpoint: str
) -> list[Any]:
    """Take a picture from another tab as the photograph whose sliders are moved."""
    portrait = replace(history.present.seat(RECEIVER, seats[0]), mode="photo")
    known = [card.name for card in bench.editors(context)]
    if checkpoint in known or not portrait.checkpoint:
        name = checkpoint if checkpoint in known else next(iter(known), "")
        portrait = replace(portrait, checkpoint=name)
    following = history.then(portrait)
    return [following, *paint(context, following)]


def _sliders(context: Context, portrait: Portrait) -> dict[str, Any]:
    return {**screen.sliders(context, portrait), "leaks": screen.leaks(context, portrait)}


def _samples(context: Context) -> dict[str, Any]:
    items = [
        {"src": data_uri(examples.face(context, name)), "label": examples.title(name)}
        for name in SAMPLES
    ]
    return {"items": items, "chosen": -1}


def on_show(context: Context, history: Portraits) -> Portraits:
    """Begin with an example; what is there stays."""
    if history.present.photo or history.present.mode == "compose":
        return arrivals.mend(history, healer(context))
    cards = bench.editors(context)
    if not cards:
        return history
    seat = examples.seat(context, SAMPLES[0])
    return Portraits(Portrait(photo=seat, checkpoint=cards[0].name))


def on_choices(context: Context, history: Portraits) -> list[Any]:
    """Offer what there is."""
    return [gr.Dropdown(method_choices(bench.possible(context, history.present)))]


def healer(context: Context) -> arrivals.Heal:
    """Return what takes checkpoints that are gone out of a portrait."""
    rolls = {
        mode: arrivals.Roll(context, [card.name for card in find(context)])
        for mode, find in (("photo", bench.editors), ("compose", bench.composers))
    }
    every = arrivals.Roll(context, context.store.names())

    def heal(portrait: Portrait) -> tuple[Portrait, str]:
        name, words = rolls[portrait.mode].instead(portrait.checkpoint)
        applied, gone = every.applied(portrait.applied)
        begun = replace(portrait, checkpoint=name, applied=applied)
        return replace(begun, held=()).put_back() if words else begun, words or gone

    return heal


def on_photo(context: Context, role: str, event: Event, history: Portraits) -> Portraits:
    """Seat an uploaded photograph, or restore a result of this tab with its settings."""
    del role
    path = received(event)
    limit = MAX_RESULT_BYTES if is_result(Path(path)) else MAX_BYTES
    photo = images.read_photo(Path(path), limit)
    recipe = Recipe.from_photo(photo)
    kinds = {step.kind for step in recipe.steps} if recipe else set()
    portrait = history.present
    if recipe and kinds == {"generate"}:
        return history.then(_recomposed(portrait, recipe))
    if recipe and kinds == {"edit"}:
        subjects = editing.restore(photo, recipe)
        if subjects:
            return history.then(_restored(portrait, recipe, subjects["receiver"]))
        gr.Info("This result carries no photo: its picture is taken as it is.")
    seat = photo_bench.seat_photo(context, path, photo)
    return history.then(portrait.seat(RECEIVER, seat))


def _restored(portrait: Portrait, recipe: Recipe, subject: editing.Subject) -> Portrait:
    path = kept(subject.photo, "photo")
    height, width = subject.photo.pixels.shape[:2]
    seat = Seat(str(path), "photo", width, height, subject.alignment, detected=False)
    *applied, last = recipe.steps
    return replace(
        portrait.seat(RECEIVER, seat),
        mode="photo",
        checkpoint=last.checkpoint,
        applied=tuple(applied),
        values=dict(last.values),
        held=last.held,
        moves=dict(last.moves),
    )


def _recomposed(portrait: Portrait, recipe: Recipe) -> Portrait:
    step = recipe.steps[0]
    return replace(
        portrait,
        mode="compose",
        checkpoint=step.checkpoint,
        values=dict(step.values),
        variation=step.strength,
        seed=recipe.seed,
        chosen=0,
        last="",
    )


def on_sample(context: Context, event: Event, history: Portraits) -> Portraits:
    """Take one of the example faces."""
    seat = examples.seat(context, SAMPLES[int(event["index"])])
    return history.then(history.present.seat(RECEIVER, seat))


def on_choice(context: Context, event: Event, history: Portraits) -> Portraits:
    """Put a composed face on the stage, or take another checkpoint's sliders."""
    portrait, index = history.present, int(event["index"])
    if portrait.mode == "compose":
        return history.then(replace(portrait, chosen=index))
    name, _ = bench.rivals(context, portrait)[index]
    if name not in [card.name for card in bench.editors(context)]:
        raise ConfigError(
            f"{name} has no sliders: it only translates a face to other attributes. It is shown "
            "to be compared with."
        )
    return history.then(replace(portrait, checkpoint=name))


def on_checkpoint(context: Context, history: Portraits, name: str) -> Portraits:
    """Take another checkpoint's sliders; they stand where that one measures."""
    begun = replace(history.present, checkpoint=name, held=())
    return history.then(begun.put_back())


def on_mode(context: Context, history: Portraits, mode: str) -> Portraits:
    """Go from a photo to attributes alone, or back."""
    portrait = history.present
    composing = mode == "compose"
    begun = replace(portrait, mode="compose" if composing else "photo", held=(), chosen=0)
    names = [card.name for card in bench.possible(context, begun)]
    if not names:
        kind = "makes faces from attributes" if composing else "has sliders"
        raise ConfigError(f"There is no checkpoint yet that {kind}; train one first.")
    kept_name = portrait.checkpoint if portrait.checkpoint in names else names[0]
    return history.then(replace(begun, checkpoint=kept_name).put_back())


def on_variation(context: Context, history: Portraits, variation: float) -> Portraits:
    """Let composed faces differ more or less."""
    return history.then(replace(history.present, variation=float(variation)))


def on_count(context: Context, history: Portraits, count: float) -> Portraits:
    """Compose more or fewer faces."""
    return history.then(replace(history.present, count=int(count), chosen=0))


def on_seed(context: Context, history: Portraits, seed: float | None) -> Portraits:
    """Compose other faces of the same attributes."""
    return history.then(replace(history.present, seed=max(0, int(seed or 0)), chosen=0))


def on_slide(context: Context, event: Event, history: Portraits) -> list[Any]:
    """Follow a slider: only the changed part of the picture is made and sent."""
    portrait = _slid(history.present, event)
    return [
        history.then(portrait, f"slider {portrait.last}"),
        screen.stage(context, portrait, with_base=False),
    ]


def _slid(portrait: Portrait, event: Event) -> Portrait:
    if event.get("own"):
        return portrait.slide(*own_sliders.asked(event), own=True)
    name, value = str(event["name"]), float(event["value"])
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} goes from 0 to 1, not to {value:g}.")
    return portrait.slide(name, value)


def on_rest(context: Context, history: Portraits) -> list[Any]:
    """Say what else changed, and show the other checkpoints' edits, once the hand rests."""
    portrait = history.present
    return [
        _sliders(context, portrait),
        screen.strip(context, portrait),
        gr.Button(interactive=bool(history.past)),
        gr.Button(interactive=bool(history.future)),
        gr.Button(interactive=portrait.ready and portrait.moved),
    ]


def on_hold(context: Context, event: Event, history: Portraits) -> Portraits:
    """Hold an attribute, or let it go."""
    return history.then(history.present.hold(str(event["name"])))


def on_reset(context: Context, event: Event, history: Portraits) -> Portraits:
    """Put one slider back, or all."""
    return history.then(history.present.put_back(str(event.get("name") or "")))


def on_preset(context: Context, event: Event, history: Portraits) -> Portraits:
    """Move the sliders of a preset."""
    chosen = [one for one in traits.PRESETS if one.label == event["label"]]
    if not chosen:
        raise ConfigError(f"There is no preset {event['label']!r}.")
    portrait = history.present
    values = {**portrait.values, **{name: float(v) for name, v in chosen[0].values.items()}}
    return history.then(replace(portrait, values=values, last=""))


def on_settle(context: Context, history: Portraits) -> Portraits:
    """Make the result the photograph that the next change works on."""
    return history.then(bench.settle(history.present))


def on_create(
    context: Context, history: Portraits, shown: Any, absent: Any, name: str
) -> Portraits:
    """Make a slider of one's own from uploads."""
    portrait = history.present
    if not portrait.checkpoint:
        raise ConfigError("Choose a model first: a slider belongs to one.")
    groups = [_encoded(context, portrait.checkpoint, files or []) for files in (shown, absent)]
    made = editing.make_direction(context.models, portrait.checkpoint, str(name), *groups)
    score = made.facts()["separation"]
    told = "" if score is None else f" It tells left-out pictures apart in {score:.0%} of pairs."
    gr.Info(f"The slider {made.name!r} stands above the others now.{told}")
    return history


def _encoded(context: Context, checkpoint: str, files: Sequence[Any]) -> list[editing.Encoded]:
    """Encode uploads; those that cannot be used are named."""
    faces = context.store.card(checkpoint).spec.shows_faces
    reader = bulk.Reader(
        context.refine if faces else None, aligned=not faces, note=lambda words: None
    )
    found, problems = [], []
    for file in files:
        try:
            one = reader.read(Path(uploaded(getattr(file, "name", file))))
        except StudioError as error:
            problems.append(str(error))
            continue
        found.append(editing.encode(context.models, checkpoint, one.photo.pixels, one.alignment))
    for words in problems:
        gr.Warning(f"Left out: {words}")
    return found


def on_delete(context: Context, history: Portraits, name: str | None) -> Portraits:
    """Delete a slider of one's own."""
    if not name:
        raise ConfigError("Choose the slider to delete first.")
    directions.delete(name)
    return history.then(history.present.put_back(name))


def on_save(context: Context, history: Portraits, output: str, pictures: bool) -> Any:
    """Write the PNG with its recipe and offer it for download."""
    portrait = history.present
    made = bench.result(context, portrait, output, with_pictures=bool(pictures))
    seed = portrait.seed + portrait.chosen
    composed = f"face-{seed:06d}"
    name = composed if portrait.mode == "compose" or not portrait.photo else portrait.photo.name
    path = new_file(f"{name}.png")
    images.save_png(path, made.pixels, alpha=made.alpha, icc=made.icc, text=made.text)
    return gr.DownloadButton(value=str(path))
