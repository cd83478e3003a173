"""The swap tab: one object of one photograph on the face of another, and back."""

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from studio import editing, images
from studio.images import MAX_BYTES, MAX_RESULT_BYTES, Photo
from studio.recipes import Recipe, is_result
from studio.ui import arrivals, bench, examples, own, screen
from studio.ui.components import (
    choices,
    data_uri,
    describe,
    note,
    photo_drop,
    picker_choices,
    scripted,
    sources_fold,
)
from studio.ui.components import stage as stage_component
from studio.ui.context import Context
from studio.ui.doors import Door
from studio.ui.draft import CHILDREN, DONOR, EXEMPLARS, RECEIVER, ROLES, Draft, History, Seat
from studio.ui.guard import guarded, heard
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

MODES = [("Swap between two", "swap"), ("Blend of four", "blend")]
KINDS_HERE = {"swap", "remove", "blend"}
OUTPUTS = [("Whole photo", "full"), ("Face only", "crop"), ("Model output", "model")]


@dataclass(frozen=True, eq=False)
class Desk:
    """The tab's components."""

    drops: dict[str, gr.HTML]
    extra: gr.Column
    examples: gr.HTML
    stage: gr.HTML
    strip: gr.HTML
    checkpoint: gr.Dropdown
    about: gr.HTML
    mode: gr.Radio
    strength: gr.Slider
    side: gr.Slider
    own: gr.HTML
    undo: gr.Button
    redo: gr.Button
    settle: gr.Button
    steps: gr.HTML
    output: gr.Radio
    pictures: gr.Checkbox
    save: gr.Button
    file: gr.DownloadButton

    def painted(self) -> list[Any]:
        """List the components that ``paint`` fills, in its order."""
        return [
            *(self.drops[role] for role in ROLES),
            self.extra,
            self.stage,
            self.strip,
            self.checkpoint,
            self.about,
            self.mode,
            self.strength,
            self.side,
            self.own,
            self.undo,
            self.redo,
            self.settle,
            self.steps,
        ]


def build(context: Context, watch: gr.HTML) -> Door:
    """Lay the tab out and bind its events; return where pictures come in.

    Args:
        context: The shared context.
        watch: Tells when checkpoints came or went.
    """
    with gr.Row(elem_classes="ls-desk"):
        with gr.Column(elem_classes="ls-sources", min_width=0), sources_fold():
            drops, extra = _build_sources()
            gr.HTML('<h3 class="ls-title">Examples</h3>', apply_default_css=False)
            shown = choices(elem_classes="ls-examples")
        with gr.Column(elem_classes="ls-middle", min_width=0):
            stage = stage_component(elem_id="stage")
            strip = choices(elem_id="strip")
        with gr.Column(elem_classes="ls-controls", min_width=0):
            desk = _build_controls(drops, extra, shown, stage, strip)
    return Door("swap", _bind(context, desk, watch), desk.painted(), enter)


def _build_sources() -> tuple[dict[str, gr.HTML], gr.Column]:
    drops = {role: photo_drop(elem_id=f"drop-{role}") for role in ROLES[:2]}
    with gr.Column(elem_classes="ls-extra", min_width=0, visible=False) as extra:
        drops |= {role: photo_drop(elem_id=f"drop-{role}") for role in ROLES[2:]}
    return drops, extra


def _build_controls(
    drops: dict[str, gr.HTML], extra: gr.Column, shown: gr.HTML, stage: gr.HTML, strip: gr.HTML
) -> Desk:
    # Filled when somebody comes: what stands here is everybody's.
    checkpoint = gr.Dropdown([], label="What to swap", elem_id="checkpoint")
    about = gr.HTML(apply_default_css=False)
    mode = gr.Radio(MODES, value="swap", label="How")
    strength = gr.Slider(
        -1, 2, 1, step=0.01, label="Strength", elem_id="strength",
        info="0 is the photo itself, 1 the swap; beyond exaggerates, below inverts.",
    )  # fmt: skip
    side = gr.Slider(3, 7, 5, step=1, label="Pictures along a side of the grid", visible=False)
    # Events: ``slide`` (name, value), ``rest``, ``reset`` (name). Empty where there is no slider.
    own_sliders = scripted("ls-sliders", "sliders.js", elem_id="swap-own")
    with gr.Row(elem_classes="ls-pair"):
        undo, redo = gr.Button("Undo", size="sm"), gr.Button("Redo", size="sm")
    settle = gr.Button("Apply and continue", size="sm", elem_id="settle")
    steps = gr.HTML(apply_default_css=False)
    gr.HTML('<h3 class="ls-title">Save</h3>', apply_default_css=False)
    output = gr.Radio(OUTPUTS, value="full", label="What to save")
    pictures = gr.Checkbox(
        value=True,
        label="Photos inside the file",
        info="Dropping the file on the page restores the originals. Off: settings only.",
    )
    save = gr.Button("Save as PNG", variant="primary", elem_id="save")
    file = gr.DownloadButton("Download", visible="hidden", elem_id="saved-file")
    return Desk(
        drops, extra, shown, stage, strip, checkpoint, about, mode, strength, side,
        own_sliders, undo, redo, settle, steps, output, pictures, save, file,
    )  # fmt: skip


def _bind(context: Context, desk: Desk, watch: gr.HTML) -> gr.State:
    """Connect events: each turns a history into the next one and repaints."""
    history = gr.State(History())
    on = binder(history, desk.painted())
    bind(context, desk.drops, on, painted, on_photo, SLOW)
    on(desk.examples.select, heard(context, painted(on_example)), **SLOW)
    on(desk.strip.select, heard(context, painted(on_choice)))
    on(desk.checkpoint.input, guarded(context, beside_hand(on_checkpoint)), desk.checkpoint)
    on(desk.mode.input, guarded(context, painted(on_mode)), desk.mode)
    on(desk.side.release, guarded(context, painted(on_side)), desk.side)
    followed(desk.own, history, desk.stage, heard(context, on_own))
    on(desk.own.rest, guarded(context, painted(on_refresh)), trigger_mode="always_last")
    on(desk.own.reset, heard(context, painted(on_back)))
    on(desk.undo.click, guarded(context, painted(on_undo)))
    on(desk.redo.click, guarded(context, painted(on_redo)))
    on(desk.settle.click, guarded(context, painted(on_settle)))
    on(desk.stage.refresh, guarded(context, painted(on_refresh)))
    desk.strength.input(
        guarded(context, on_slide),
        [history, desk.strength],
        [history, desk.stage],
        trigger_mode="always_last",
        **QUICK,
    )
    on(desk.strength.release, guarded(context, painted(on_strength)), desk.strength)
    desk.save.click(
        guarded(context, on_save),
        [history, desk.output, desk.pictures],
        desk.file,
        **{**SLOW, "show_progress": "minimal"},
    ).success(None, js=download("saved-file"))
    tab = gr.context.Context.block
    opened = [tab.select] if isinstance(tab, gr.Tab) else []
    arrivals.follow(
        [watch.changed, *opened], context, history, desk.painted(), [desk.checkpoint],
        heal=healer, paint=paint, choices=on_choices,
    )  # fmt: skip
    # Every visitor begins with the finished example.
    if (page := gr.context.Context.root_block) is not None:
        on(page.load, guarded(context, painted(on_load)), **SLOW)
        page.load(guarded(context, _examples_value), None, desk.examples, **SLOW)
    return history


def paint(context: Context, history: History, *, still: bool = False) -> list[Any]:
    """Return the values of ``Desk.painted`` for a history.

    Args:
        context: The shared context.
        history: Of the visitor.
        still: Whether the strength stays where a hand may have moved it to meanwhile.
    """
    draft = history.present
    shown = screen.screen(context, draft)
    card = context.store.card(draft.checkpoint) if draft.checkpoint else None
    moved: dict[str, Any] = {} if still else {"value": draft.strength}
    return [
        *(shown.drops[role] for role in ROLES),
        gr.Column(visible=draft.mode == "blend"),
        shown.stage,
        shown.strip,
        gr.Dropdown(picker_choices(_swapping_cards(context)), value=draft.checkpoint or None),
        describe(card) if card else note(screen.NO_CHECKPOINT),
        draft.mode,
        gr.Slider(
            label=f"Strength of the {shown.subject}",
            interactive=shown.has_strength,
            **moved,
        ),
        gr.Slider(value=draft.side, visible=draft.mode == "blend"),
        own.alone(draft.checkpoint, draft.moves),
        gr.Button(interactive=bool(history.past)),
        gr.Button(interactive=bool(history.future)),
        gr.Button(interactive="patch" in shown.stage),
        _steps_html(shown.steps),
    ]


painted = repainting(paint)
beside_hand = repainting(partial(paint, still=True))


def enter(context: Context, history: History, seats: Sequence[Seat], checkpoint: str) -> list[Any]:
    """Take pictures from another tab: the one that is changed, and the one that gives."""
    draft = history.present
    for role, seat in zip((RECEIVER, DONOR), seats, strict=False):
        draft = draft.seat(role, seat)
    if checkpoint in context.swappers():
        draft = replace(draft, checkpoint=checkpoint, moves={})
    following = history.then(replace(draft, mode="swap", child="receives"))
    return [following, *paint(context, following)]


def _steps_html(steps: list[str]) -> str:
    items = "".join(f"<li>{html.escape(step)}</li>" for step in steps)
    return f'<ol class="ls-steps">{items}</ol>' if steps else ""


def _swapping_cards(context: Context) -> list[Any]:
    return [context.store.card(name) for name in context.swappers()]


def _examples_value(context: Context) -> dict[str, Any]:
    items = [
        {"src": data_uri(examples.thumbnail(context, one)), "label": one.label}
        for one in examples.available(context.swappers())
    ]
    return {"items": items, "chosen": -1}


def on_load(context: Context, history: History) -> History:
    """Begin with a finished example; a reloaded page keeps what it had and is still there."""
    if history.present.seats:
        return arrivals.mend(history, healer(context))
    possible = examples.available(context.swappers())
    if not possible:
        return History(Draft(checkpoint=context.first_swapper()))
    return History(examples.draft(context, possible[0]))


def on_choices(context: Context, history: History) -> list[Any]:
    """Offer what there is."""
    del history
    return [gr.Dropdown(picker_choices(_swapping_cards(context)))]


def healer(context: Context) -> arrivals.Heal:
    """Return what takes checkpoints that are gone out of a draft."""
    first = context.first_swapper()
    roll = arrivals.Roll(context, sorted(context.swappers(), key=lambda name: name != first))

    def heal(draft: Draft) -> tuple[Draft, str]:
        name, words = roll.instead(draft.checkpoint)
        applied, gone = roll.applied(draft.applied)
        moves = {} if words else draft.moves
        return replace(draft, checkpoint=name, applied=applied, moves=moves), words or gone

    return heal


def on_photo(context: Context, role: str, event: Event, history: History) -> History:
    """Seat an uploaded photograph, or restore a result of ours with all its settings."""
    path = received(event)
    limit = MAX_RESULT_BYTES if is_result(Path(path)) else MAX_BYTES
    photo = images.read_photo(Path(path), limit)
    recipe = Recipe.from_photo(photo)
    # What sliders made is a photograph here like any other.
    if recipe is not None and {step.kind for step in recipe.steps} <= KINDS_HERE:
        for step in recipe.steps:
            editing.check_edit(context.models, step.checkpoint, {}, (), step.moves)
        return history.then(_restored(history.present, photo, recipe))
    return history.then(history.present.seat(role, bench.seat_photo(context, path, photo)))


def _restored(draft: Draft, photo: Photo, recipe: Recipe) -> Draft:
    subjects = editing.restore(photo, recipe)
    seats = {}
    for role, subject in subjects.items():
        path = kept(subject.photo, role)
        height, width = subject.photo.pixels.shape[:2]
        seats[role] = Seat(str(path), role, width, height, subject.alignment, detected=False)
    if not seats:
        gr.Info(
            "The settings of this result are restored. It carries no photos, so add the originals."
        )
    return bench.settings(draft, recipe, seats)


def on_example(context: Context, event: Event, history: History) -> History:
    """Set an example up."""
    chosen = examples.available(context.swappers())[int(event["index"])]
    return history.then(examples.draft(context, chosen))


def on_choice(context: Context, event: Event, history: History) -> History:
    """Put one of the pictures under the stage on it."""
    draft, index = history.present, int(event["index"])
    if draft.mode == "blend":
        return history.then(replace(draft, cell=index))
    return history.then(replace(draft, child=draft.children()[index]))


def on_checkpoint(context: Context, history: History, name: str) -> History:
    """Swap something else."""
    return history.then(replace(history.present, checkpoint=name, moves={}))


def on_mode(context: Context, history: History, mode: str) -> History:
    """Go from a pair to four exemplars, or back."""
    return history.then(replace(history.present, mode="blend" if mode == "blend" else "swap"))


def on_side(context: Context, history: History, side: float) -> History:
    """Make the grid of a blend finer or coarser; its middle goes on the stage."""
    cells = int(side)
    return history.then(replace(history.present, side=cells, cell=cells * cells // 2))


def on_slide(context: Context, history: History, strength: float) -> list[Any]:
    """Follow the slider: only the changed part of the picture is made and sent."""
    draft = replace(history.present, strength=float(strength))
    return [history.then(draft, "strength"), screen.stage(context, draft, with_base=False)]


def on_strength(context: Context, history: History, strength: float) -> History:
    """Show everything at the strength where the slider came to rest."""
    return history.then(replace(history.present, strength=float(strength)), "strength")


def on_own(context: Context, event: Event, history: History) -> list[Any]:
    """Follow one of one's own sliders; arguments as for :func:`on_slide`."""
    draft = own.slid(history.present, event)
    return [
        history.then(draft, f"own {event['name']}"),
        screen.stage(context, draft, with_base=False),
    ]


def on_back(context: Context, event: Event, history: History) -> History:
    """Put one of one's own sliders back."""
    return history.then(own.put_back(history.present, event))


def on_settle(context: Context, history: History) -> History:
    """Make the result the photograph that the next change works on."""
    return history.then(bench.settle(history.present))


def on_save(context: Context, history: History, output: str, pictures: bool) -> Any:
    """Write the full-size PNG with its recipe and offer it for download."""
    draft = history.present
    made = bench.result(context, draft, output, with_pictures=bool(pictures))
    path = new_file(f"{_result_name(draft)}.png")
    images.save_png(path, made.pixels, alpha=made.alpha, icc=made.icc, text=made.text)
    return gr.DownloadButton(value=str(path))


def _result_name(draft: Draft) -> str:
    roles = [RECEIVER, *EXEMPLARS]
    if draft.mode == "swap":
        child = CHILDREN[draft.shown]
        roles = [child.base, child.donor]
    return "__".join(draft.seats[role].name for role in roles if role in draft.seats)
