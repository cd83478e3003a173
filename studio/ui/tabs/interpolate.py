"""The interpolation tab: what lies between two pictures, or four, for several checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from studio import paths
from studio.errors import ConfigError, StudioError
from studio.interpolation import LEAST_SIDE, MOST_FRAMES, MOST_MODELS, MOST_SIDE, Style
from studio.ui import arrivals, own
from studio.ui.components import (
    choices,
    method_choices,
    note,
    photo_drop,
    scripted,
    sharp_uri,
    sources_fold,
)
from studio.ui.context import Context
from studio.ui.doors import Door
from studio.ui.draft import Seat
from studio.ui.guard import guarded, heard, who
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
from studio.ui.seats import Event, bind, new_file, received
from studio.ui.walk import bench, samples, screen
from studio.ui.walk.draft import CORNERS, Walk, Walks

MODES = [("Strip", "strip"), ("Grid of four", "grid")]
PATHS = [("Straight", "linear"), ("Arc", "slerp"), ("Smooth curve", "cubic")]
FORMATS = [("GIF", ".gif"), ("MP4", ".mp4"), ("Strip or grid, PNG", ".png")]
EASES = [("Even", "linear"), ("Slow at both ends", "in-out")]
SIZES = [("As the model draws it", 0), *((f"{side} pixels", side) for side in (128, 256, 512))]


@dataclass(frozen=True, eq=False)
class Desk:
    """The tab's components."""

    drops: dict[str, gr.HTML]
    samples_title: gr.HTML
    samples: gr.HTML
    examples: gr.HTML
    stage: gr.HTML
    rows: gr.HTML
    checkpoint: gr.Dropdown
    about: gr.HTML
    mode: gr.Radio
    others: gr.Dropdown
    path: gr.Radio
    frames: gr.Slider
    side: gr.Slider
    own: gr.HTML
    undo: gr.Button
    redo: gr.Button
    format: gr.Radio
    count: gr.Number
    size: gr.Dropdown
    ease: gr.Radio
    ping_pong: gr.Checkbox
    every: gr.Checkbox
    save: gr.Button
    file: gr.DownloadButton

    def painted(self) -> list[Any]:
        """List the components that ``paint`` fills, in its order."""
        return [
            *self.drops.values(),
            self.samples_title,
            self.samples,
            self.examples,
            self.stage,
            self.rows,
            self.checkpoint,
            self.about,
            self.mode,
            self.others,
            self.path,
            self.frames,
            self.side,
            self.own,
            self.undo,
            self.redo,
        ]

    def settings(self) -> list[Any]:
        """List the components that say how a file is written, in the order of ``on_save``."""
        return [self.format, self.count, self.size, self.ease, self.ping_pong, self.every]


def build(context: Context, watch: gr.HTML) -> Door:
    """Lay the tab out and bind its events; return where pictures come in.

    Args:
        context: The shared context.
        watch: Tells when checkpoints came or went.
    """
    with gr.Row(elem_classes="ls-desk"):
        with gr.Column(elem_classes="ls-sources", min_width=0), sources_fold():
            with gr.Column(elem_classes="ls-four", min_width=0):
                drops = {corner: photo_drop(elem_id=f"corner-{corner}") for corner in CORNERS}
            samples_title = gr.HTML(apply_default_css=False)
            shown = choices(elem_classes="ls-samples", elem_id="samples")
            gr.HTML('<h3 class="ls-title">Examples</h3>', apply_default_css=False)
            examples = choices(elem_classes="ls-examples", elem_id="walk-examples")
        with gr.Column(elem_classes="ls-middle", min_width=0):
            stage = morph(context)
            # Events: ``select`` with a row and a column.
            rows = scripted("ls-rows", "rows.js", elem_id="rows")
        with gr.Column(elem_classes="ls-controls", min_width=0):
            desk = _build_controls(drops, samples_title, shown, examples, stage, rows)
    return Door("interpolate", _bind(context, desk, watch), desk.painted(), enter)


def morph(context: Context) -> gr.HTML:
    """Return the stage: the picture under the dot, and the pad on which the dot is dragged.

    Events: ``rest`` (x, y), ``corner`` (corner, x, y), ``refresh``, when its walk was forgotten.
    """

    def move(data: dict[str, Any]) -> dict[str, Any]:
        with paths.acting_for(who()):
            return on_move(context, data)

    return scripted("ls-morph", "morph.js", elem_id="morph", server_functions=[move])


def _build_controls(
    drops: dict[str, gr.HTML],
    samples_title: gr.HTML,
    shown: gr.HTML,
    examples: gr.HTML,
    stage: gr.HTML,
    rows: gr.HTML,
) -> Desk:
    checkpoint = gr.Dropdown([], label="Model", elem_id="walk-checkpoint")
    about = gr.HTML(apply_default_css=False)
    mode = gr.Radio(MODES, value="strip", label="How", elem_id="walk-mode")
    others = gr.Dropdown(
        [], label="Compare with", multiselect=True, max_choices=MOST_MODELS - 1,
        info="Each becomes a row, above the pixel cross-fade.",
    )  # fmt: skip
    path = gr.Radio(
        PATHS, value="linear", label="Path",
        info="The curve is smooth where a path goes through three pictures or four.",
    )  # fmt: skip
    frames = gr.Slider(LEAST_SIDE, MOST_SIDE, 9, step=1, label="Pictures in a row")
    side = gr.Slider(LEAST_SIDE, MOST_SIDE, 9, step=1, label="Pictures along a side", visible=False)
    # Events: ``slide`` (name, value), ``rest``, ``reset`` (name). Empty where there is no slider.
    own_sliders = scripted("ls-sliders", "sliders.js", elem_id="walk-own")
    with gr.Row(elem_classes="ls-pair"):
        undo, redo = gr.Button("Undo", size="sm"), gr.Button("Redo", size="sm")
    gr.HTML('<h3 class="ls-title">Save</h3>', apply_default_css=False)
    format = gr.Radio(FORMATS, value=".gif", label="What to save", elem_id="walk-format")
    with gr.Row(elem_classes="ls-pair"):
        count = gr.Number(
            48, label="Frames, one way", precision=0, minimum=2, elem_id="walk-frames"
        )
        size = gr.Dropdown(SIZES, value=256, label="Size of a picture")
    ease = gr.Radio(EASES, value="linear", label="Pace")
    ping_pong = gr.Checkbox(value=True, label="There and back")
    every = gr.Checkbox(value=False, label="All rows and the cross-fade")
    save = gr.Button("Save", variant="primary", elem_id="walk-save")
    file = gr.DownloadButton("Download", visible="hidden", elem_id="walk-file")
    return Desk(
        drops, samples_title, shown, examples, stage, rows, checkpoint, about, mode, others, path,
        frames, side, own_sliders, undo, redo, format, count, size, ease, ping_pong, every, save,
        file,
    )  # fmt: skip


def _bind(context: Context, desk: Desk, watch: gr.HTML) -> gr.State:
    """Connect events: each turns a history into the next one and repaints."""
    history = gr.State(Walks())
    on = binder(history, desk.painted())
    bind(context, desk.drops, on, painted, on_photo, SLOW)
    on(desk.samples.select, heard(context, painted(on_sample)))
    on(desk.examples.select, heard(context, painted(on_example)), **SLOW)
    on(desk.rows.select, heard(context, painted(on_frame_chosen)))
    on(desk.stage.corner, heard(context, painted(on_corner)))
    on(desk.stage.refresh, guarded(context, painted(on_refresh)))
    for control, handler in (
        (desk.checkpoint, on_checkpoint),
        (desk.mode, on_mode),
        (desk.others, on_others),
        (desk.path, on_path),
    ):
        on(control.input, guarded(context, painted(handler)), control, **SLOW)
    on(desk.frames.release, guarded(context, painted(on_frames)), desk.frames)
    on(desk.side.release, guarded(context, painted(on_side)), desk.side)
    followed(desk.own, history, desk.stage, heard(context, on_own))
    on(desk.own.rest, guarded(context, painted(on_refresh)), trigger_mode="always_last")
    on(desk.own.reset, heard(context, painted(on_back)))
    on(desk.undo.click, guarded(context, painted(on_undo)))
    on(desk.redo.click, guarded(context, painted(on_redo)))
    desk.stage.rest(heard(context, on_rest), history, [history, desk.undo, desk.redo], **QUICK)
    desk.format.input(
        on_format, desk.format, [desk.count, desk.ease, desk.ping_pong], **QUICK
    )  # fmt: skip
    desk.save.click(
        guarded(context, on_save),
        [history, *desk.settings()],
        desk.file,
        **{**SLOW, "show_progress": "minimal"},
    ).success(None, js=download("walk-file"))
    arrivals.follow(
        [watch.changed], context, history, desk.painted(), [desk.checkpoint, desk.others],
        heal=healer, paint=paint, choices=on_choices,
    )  # fmt: skip
    # The example is computed when the tab is opened: whoever comes to swap does not wait for it.
    tab = gr.context.Context.block
    if isinstance(tab, gr.Tab):
        on(tab.select, guarded(context, painted(on_show)), **SLOW)
    return history


def paint(context: Context, history: Walks) -> list[Any]:
    """Return the values of ``Desk.painted`` for a history."""
    walk = history.present
    card = context.store.card(walk.checkpoint) if walk.checkpoint else None
    possible, rivals = _choices(context, walk)
    others = [name for name in walk.rows if name != walk.checkpoint]
    strip = walk.mode == "strip"
    shown = screen.sample_row(context, walk)
    return [
        *(screen.drop(context, walk, corner) for corner in CORNERS),
        _samples_title(walk) if shown["items"] else "",
        shown,
        screen.example_row(context),
        screen.stage(context, walk),
        screen.rows(context, walk),
        gr.Dropdown(possible, value=walk.checkpoint or None),
        note(screen.about(card) if card else screen.NO_CHECKPOINT),
        walk.mode,
        gr.Dropdown(rivals, value=others, multiselect=True, visible=strip and bool(rivals)),
        gr.Radio(value=walk.path, visible=strip),
        gr.Slider(value=walk.frames, visible=strip),
        gr.Slider(value=walk.side, visible=not strip),
        own.alone(walk.checkpoint, walk.moves),
        gr.Button(interactive=bool(history.past)),
        gr.Button(interactive=bool(history.future)),
    ]


painted = repainting(paint)


def _choices(context: Context, walk: Walk) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return what can be on the stage, and what can be compared with what is."""
    every = method_choices(samples.interpolators(context))
    if not walk.checkpoint:
        return every, []
    rivals = {card.name for card in samples.rivals(context, walk.checkpoint)} - {walk.checkpoint}
    return every, [one for one in every if one[1] in rivals]


def on_choices(context: Context, history: Walks) -> list[Any]:
    """Offer what there is."""
    return [gr.Dropdown(offered) for offered in _choices(context, history.present)]


def healer(context: Context) -> arrivals.Heal:
    """Return what takes checkpoints that are gone out of a walk."""
    cards = samples.interpolators(context)

    def heal(walk: Walk) -> tuple[Walk, str]:
        seats = list(walk.seats.values())
        fitting = sorted(cards, key=lambda card: not samples.suits(card, seats))
        roll = arrivals.Roll(context, [card.name for card in fitting])
        rows = tuple(filter(None, map(roll.same, walk.rows)))
        name, words = arrivals.Roll(context, [*rows, *roll.names]).instead(walk.checkpoint)
        if len(rows) < len(walk.rows):
            words = words or "A model of a row was deleted; the row is gone with it."
        if name not in rows:
            rows = (name,) if name else ()
        moves = walk.moves if roll.same(walk.checkpoint) else {}
        return replace(walk, checkpoint=name, rows=rows, moves=moves), words

    return heal


def enter(context: Context, history: Walks, seats: Sequence[Seat], checkpoint: str) -> list[Any]:
    """Take pictures from another tab as corners; a checkpoint of other pictures begins anew."""
    walk = history.present
    known = [card.name for card in samples.interpolators(context)]
    if checkpoint in known and checkpoint != walk.checkpoint:
        rivals = [card.name for card in samples.rivals(context, checkpoint)]
        walk = walk.show(checkpoint) if walk.checkpoint in rivals else Walk().show(checkpoint)
    if len(seats) > 1:
        walk = replace(walk, seats={}, mode="strip")
    for seat in seats:
        walk = walk.seat(walk.turn, seat)
    following = history.then(walk)
    return [following, *paint(context, following)]


def _samples_title(walk: Walk) -> str:
    words = f"Or click one: it becomes picture {walk.turn.upper()}"
    return f'<h3 class="ls-title">{words}</h3>'


def on_show(context: Context, history: Walks) -> Walks:
    """Begin with a finished example; what is there stays."""
    if history.present.seats:
        return arrivals.mend(history, healer(context))
    possible = samples.available(context)
    if possible:
        return Walks(samples.walk(context, possible[0]))
    names = [card.name for card in samples.interpolators(context)]
    return Walks(Walk().show(names[0])) if names else Walks()


def on_photo(context: Context, corner: str, event: Event, history: Walks) -> Walks:
    """Seat an uploaded picture."""
    walk = history.present
    return history.then(walk.seat(corner, bench.seat_picture(context, walk, received(event))))


def on_sample(context: Context, event: Event, history: Walks) -> Walks:
    """Seat a sample at the corner whose turn it is."""
    walk = history.present
    card = context.store.card(walk.checkpoint)
    kind = samples.kind_of(card)
    name = samples.names(context, kind)[int(event["index"])]
    return history.then(walk.seat(walk.turn, samples.seat(context, kind, name, card.spec.size)))


def on_example(context: Context, event: Event, history: Walks) -> Walks:
    """Set an example up."""
    chosen = samples.available(context)[int(event["index"])]
    return history.then(samples.walk(context, chosen))


def on_frame_chosen(context: Context, event: Event, history: Walks) -> Walks:
    """Put a frame of a strip on the stage; one of the cross-fade only moves the dot."""
    walk, row = history.present, int(event["row"])
    moved = replace(walk, place=screen.place_of(walk, int(event["column"])))
    return history.then(moved.show(walk.rows[row]) if row < len(walk.rows) else moved)


def on_corner(context: Context, event: Event, history: Walks) -> Walks:
    """Make the picture under the dot a corner."""
    corner = str(event["corner"])
    if corner not in CORNERS:
        raise ConfigError(f"The corners are {', '.join(CORNERS)}, not {corner!r}.")
    walk = replace(history.present, place=_place(event))
    return history.then(walk.seat(corner, bench.keep_dot(context, walk)))


def _place(event: Event) -> tuple[float, float]:
    """Read a place of the unit square."""
    x, y = (min(1.0, max(0.0, float(event[name]))) for name in ("x", "y"))
    return x, y


def on_checkpoint(context: Context, history: Walks, name: str) -> Walks:
    """Put another checkpoint on the stage; one for other pictures brings some of its own."""
    walk = history.present
    rivals = [card.name for card in samples.rivals(context, name)]
    if not walk.checkpoint or walk.checkpoint in rivals:
        return history.then(walk.show(name))
    kind = samples.kind_of(context.store.card(name))
    possible = [
        one for one in samples.available(context) if (one.kind, one.mode) == (kind, walk.mode)
    ]
    begun = samples.walk(context, possible[0]) if possible else Walk(mode=walk.mode)
    return history.then(replace(begun, checkpoint=name, rows=(name,)))


def on_mode(context: Context, history: Walks, mode: str) -> Walks:
    """Go from a strip to a grid, or back."""
    return history.then(replace(history.present, mode="grid" if mode == "grid" else "strip"))


def on_others(context: Context, history: Walks, names: list[str] | None) -> Walks:
    """Choose the rows to compare with."""
    return history.then(history.present.compare(names or []))


def on_path(context: Context, history: Walks, path: str) -> Walks:
    """Take another path."""
    return history.then(replace(history.present, path=path))


def on_frames(context: Context, history: Walks, frames: float) -> Walks:
    """Show more or fewer pictures of a row."""
    return history.then(replace(history.present, frames=int(frames)))


def on_side(context: Context, history: Walks, side: float) -> Walks:
    """Make the grid finer or coarser."""
    return history.then(replace(history.present, side=int(side)))


def on_move(context: Context, data: dict[str, Any]) -> dict[str, Any]:
    """Decode the picture under the dot while it moves; what went wrong is in the answer.

    The pad calls this beside the queue, one call at a time, so that it costs one decode and little
    else.
    """
    try:
        walk = screen.recall(context, str(data.get("token")))
        place = _place(data)
        with context.decoding:
            made = bench.under_dot(context, replace(walk, place=place))
    except (StudioError, KeyError, TypeError, ValueError) as error:
        return {"error": str(error)}
    return {"picture": sharp_uri(made)}


def on_rest(context: Context, event: Event, history: Walks) -> list[Any]:
    """Note where the dot came to rest."""
    moved = history.then(replace(history.present, place=_place(event)), "dot")
    return [
        moved,
        gr.Button(interactive=bool(moved.past)),
        gr.Button(interactive=bool(moved.future)),
    ]


def on_own(context: Context, event: Event, history: Walks) -> list[Any]:
    """Follow one of one's own sliders: it moves every picture of the model on the stage."""
    walk = own.slid(history.present, event)
    return [history.then(walk, f"own {event['name']}"), screen.stage(context, walk)]


def on_back(context: Context, event: Event, history: Walks) -> Walks:
    """Put one of one's own sliders back."""
    return history.then(own.put_back(history.present, event))


def on_format(format: str) -> list[Any]:
    """Show what a format can be asked for."""
    clip = format != ".png"
    return [gr.Number(visible=clip), gr.Radio(visible=clip), gr.Checkbox(visible=clip)]


def on_save(
    context: Context,
    history: Walks,
    format: str,
    count: float | None,
    size: float | None,
    ease: str,
    ping_pong: bool,
    every: bool,
) -> Any:
    """Write a clip, or the strip or grid as it is shown, and offer it for download."""
    walk = history.present
    clip = format != ".png"
    if clip and not count:
        raise ConfigError(f"Say how many frames the clip has, from 2 to {MOST_FRAMES}.")
    grid = walk.mode == "grid" and not clip
    frames = int(count or 0) if clip else (walk.side if grid else walk.frames)
    style = Style(frames, walk.path, grid, int(size or 0), ease if clip else "linear", ping_pong)
    if clip:
        walk = replace(walk, mode="strip")
    target = new_file(f"{bench.file_name(walk) or 'path'}{format}")
    bench.save(context, walk, style, target, every=bool(every))
    return gr.DownloadButton(value=str(target))
