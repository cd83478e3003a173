"""The explorer: a data set as a map of its latents, to look around in and to edit from."""

import html
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from studio import images, intake, paths
from studio.errors import ConfigError, StudioError
from studio.explore import labels, maps, writing
from studio.explore.charting import MOST, MapRequest
from studio.explore.encoding import StoppedError
from studio.explore.measures import measure
from studio.ui import arrivals, figures
from studio.ui import bench as photos
from studio.ui.atlas import bench, screen
from studio.ui.atlas.bench import Drawing
from studio.ui.atlas.draft import OWN, View, Views
from studio.ui.components import (
    method_choices,
    note,
    photo_drop,
    problem,
    progress,
    scripted,
    sharp_uri,
)
from studio.ui.context import Context
from studio.ui.doors import Door, connect
from studio.ui.draft import Seat
from studio.ui.guard import guarded, heard, who
from studio.ui.repaint import QUICK, SLOW, binder, download, following, repainting
from studio.ui.seats import Event, bind, new_file, received, seat_picture, whole_seat
from studio.ui.sets import EXAMPLE_NAME, find_set, own_name, received_set, sets
from studio.ui.workshop.sources import free_name

METHODS = [("PCA", "pca"), ("t-SNE", "tsne")]
DIMENSIONS = [("2-D", 2), ("3-D", 3)]
METHOD_WORDS = {
    "pca": "The directions in which the pictures differ most; distances mean what they say.",
    "tsne": "Keeps neighbours together; distances between groups mean little.",
}
# Maps wait for each other where they are computed; one that is there already need not.
WORK: Mapping[str, Any] = {**SLOW, "concurrency_id": "explore", "concurrency_limit": None}
MOST_LOOKED = 200
UPLOAD = "upload:"
PATH_STEPS = 9


@dataclass(frozen=True, eq=False)
class Desk:
    """The tab's components."""

    drop: gr.HTML
    sets: gr.Dropdown
    upload: gr.File
    atlas: gr.HTML
    numbers: gr.HTML
    stop: gr.Button
    again: gr.Button
    status: gr.HTML
    checkpoint: gr.Dropdown
    about: gr.HTML
    part: gr.Radio
    method: gr.Radio
    dimensions: gr.Radio
    colour: gr.Dropdown
    most: gr.Slider
    perplexity: gr.Slider
    seed: gr.Number
    table: gr.Button
    page: gr.Button
    file: gr.DownloadButton

    def painted(self) -> list[Any]:
        """List the components that ``paint`` fills, in its order."""
        return [
            self.drop,
            self.sets,
            self.checkpoint,
            self.about,
            self.part,
            self.method,
            self.dimensions,
            self.colour,
            self.most,
            self.perplexity,
            self.seed,
        ]

    def drawn(self) -> list[Any]:
        """List the components that a drawing fills, in the order of ``under_way``."""
        return [self.atlas, self.status, self.stop, self.again, self.numbers]


def build(context: Context, doors: Mapping[str, Door], tabs: gr.Tabs, watch: gr.HTML) -> None:
    """Lay the tab out and bind its events.

    Args:
        context: The shared context.
        doors: Of the tabs that a picture can go on to.
        tabs: All tabs.
        watch: Tells when checkpoints came or went.
    """
    with gr.Row(elem_classes="ls-desk"):
        with (
            gr.Column(elem_classes="ls-sources", min_width=0),
            gr.Accordion("Data", open=True, elem_classes="ls-fold"),
        ):
            names = gr.Dropdown([], label="Data set", elem_id="explore-sets")
            upload = gr.File(
                label="Or a zip of your own", file_types=[".zip"], height=160,
                elem_id="explore-upload",
            )  # fmt: skip
            drop = photo_drop(elem_id="explore-photo")
        with gr.Column(elem_classes="ls-middle", min_width=0):
            status = gr.HTML(apply_default_css=False, elem_id="explore-status")
            stop = gr.Button("Stop", size="sm", visible=False, elem_id="explore-stop")
            again = gr.Button("Draw the map", size="sm", visible=False, elem_id="explore-again")
            atlas = _atlas(context)
            with gr.Accordion("Numbers beside the map", open=False, elem_id="explore-numbers-fold"):
                numbers = gr.HTML(apply_default_css=False, elem_id="explore-numbers")
        with gr.Column(elem_classes="ls-controls", min_width=0):
            controls = _build_controls()
    desk = Desk(drop, names, upload, atlas, numbers, stop, again, status, *controls)
    _bind(context, desk, doors, tabs, watch)


def _atlas(context: Context) -> gr.HTML:
    """Return the map.

    Events: ``slider`` and ``mark`` (token, name, shown, absent: rows), ``open_swap`` and the like
    (token, and row, or x, y and rest, or start and end), ``refresh``, when its map was forgotten.
    """

    def look(data: dict[str, Any]) -> dict[str, Any]:
        return answer(context, on_look, data)

    def point(data: dict[str, Any]) -> dict[str, Any]:
        return answer(context, on_point, data)

    def spot(data: dict[str, Any]) -> dict[str, Any]:
        return answer(context, on_spot, data)

    def path(data: dict[str, Any]) -> dict[str, Any]:
        return answer(context, on_path, data)

    def find(data: dict[str, Any]) -> dict[str, Any]:
        return answer(context, on_find, data)

    return scripted(
        "ls-atlas", "atlas.js", elem_id="atlas", server_functions=[look, point, spot, path, find]
    )


def _build_controls() -> list[Any]:
    first = MapRequest("")
    checkpoint = gr.Dropdown([], label="Model", elem_id="explore-checkpoint")
    about = gr.HTML(apply_default_css=False)
    part = gr.Radio([], label="What is compared", elem_id="explore-part")
    method = gr.Radio(METHODS, value="pca", label="Map", elem_id="explore-method")
    dimensions = gr.Radio(DIMENSIONS, value=2, label="Shown in", elem_id="explore-dimensions")
    colour = gr.Dropdown([], label="Colour by", elem_id="explore-colour")
    with gr.Accordion("More", open=False, elem_id="explore-more"):
        most = gr.Slider(
            100, MOST, first.most, step=100, label="Pictures at most", elem_id="explore-most",
            info="A larger set is sampled at random; the map says so.",
        )  # fmt: skip
        perplexity = gr.Slider(
            2, 200, first.perplexity, step=1, label="Neighbours", elem_id="explore-perplexity",
            info="About how many neighbours t-SNE keeps together (perplexity).",
        )  # fmt: skip
        seed = gr.Number(0, label="Seed", precision=0, elem_id="explore-seed")
    gr.HTML('<h3 class="ls-title">Save</h3>', apply_default_css=False)
    with gr.Row(elem_classes="ls-pair"):
        table = gr.Button("Points as CSV", size="sm", elem_id="explore-csv")
        page = gr.Button("Map as HTML", size="sm", elem_id="explore-html")
    file = gr.DownloadButton("Download", visible="hidden", elem_id="explore-file")
    return [
        checkpoint, about, part, method, dimensions, colour, most, perplexity, seed, table, page,
        file,
    ]  # fmt: skip


def _bind(
    context: Context, desk: Desk, doors: Mapping[str, Door], tabs: gr.Tabs, watch: gr.HTML
) -> None:
    """Connect events: each turns a history into the next one, and the map follows."""
    # What is wanted, what is being drawn, and what the page shows.
    history, drawing, shown_view = gr.State(Views()), gr.State(None), gr.State(None)
    on = binder(history, desk.painted())

    def drawn(event: Any) -> Any:
        """Draw the map after an event, and count what is beside it."""
        # A setting that changes while its map is drawn must not be dropped.
        every = {"trigger_mode": "multiple"}
        begun = event.success(
            guarded(context, on_begin), [history, drawing], drawing, **{**QUICK, **every}
        )
        shown = begun.success(
            following(context, on_draw), drawing, [shown_view, *desk.drawn()], **{**WORK, **every}
        )
        shown.success(
            guarded(context, on_numbers), [drawing], desk.numbers,
            **{**SLOW, "trigger_mode": "always_last"},
        )  # fmt: skip
        return shown

    bind(
        context, {OWN: desk.drop}, lambda *values, **options: _chained(drawn, on, values, options),
        painted, on_photo, SLOW,
    )  # fmt: skip
    for event, control, handler in (
        (desk.sets.input, desk.sets, on_set),
        (desk.upload.upload, desk.upload, on_upload),
        (desk.checkpoint.input, desk.checkpoint, on_checkpoint),
        (desk.part.input, desk.part, on_part),
        (desk.method.input, desk.method, on_method),
        (desk.dimensions.input, desk.dimensions, on_dimensions),
        (desk.colour.input, desk.colour, on_colour),
        # Arrow keys are an input and no release.
        (desk.most.input, desk.most, on_most),
        (desk.perplexity.input, desk.perplexity, on_perplexity),
        (desk.seed.input, desk.seed, on_seed),
    ):
        latest = {"trigger_mode": "always_last"}
        drawn(on(event, guarded(context, painted(handler)), control, **{**SLOW, **latest}))
    desk.stop.click(guarded(context, on_stop), drawing, [desk.status, desk.stop], **QUICK)
    for event in (desk.atlas.refresh, desk.again.click):
        drawn(on(event, guarded(context, painted(on_again))))
    desk.atlas.slider(heard(context, on_slider), None, None, **QUICK)
    desk.atlas.mark(heard(context, on_label), None, None, **SLOW)
    connect(context, desk.atlas, doors, tabs, on_open)
    for button, suffix in ((desk.table, ".csv"), (desk.page, ".html")):
        button.click(
            guarded(context, on_save, suffix), shown_view, desk.file,
            **{**SLOW, "show_progress": "minimal"},
        ).success(None, js=download("explore-file"))  # fmt: skip
    arrivals.follow(
        [watch.changed], context, history, [*desk.painted(), desk.status, desk.again],
        [desk.checkpoint], heal=healer, paint=_paint_mended, choices=on_choices,
    )  # fmt: skip
    tab = gr.context.Context.block
    if isinstance(tab, gr.Tab):
        drawn(on(tab.select, guarded(context, painted(on_show)), **SLOW))


def _chained(drawn: Callable[[Any], Any], on: Callable[..., Any], values: Any, options: Any) -> Any:
    """Bind an event of the photograph's place and let the map follow."""
    bound = on(*values, **options)
    drawn(bound)
    return bound


def paint(context: Context, history: Views) -> list[Any]:
    """Return the values of ``Desk.painted`` for a history."""
    view = history.present
    request, cards = view.request, bench.encoders(context)
    card = next((card for card in cards if card.name == request.checkpoint), None)
    parts = bench.parts(context, request.checkpoint) if card else []
    data = bench.open_data(context, view)
    return [
        screen.drop(context, view),
        gr.Dropdown(_set_choices(view), value=_set_value(view)),
        gr.Dropdown(method_choices(cards), value=request.checkpoint or None),
        note(screen.about(card) if card else screen.NO_CHECKPOINT),
        gr.Radio(screen.part_choices(parts), value=request.part, visible=bool(parts)),
        gr.Radio(value=request.method, info=METHOD_WORDS[request.method]),
        request.dimensions,
        gr.Dropdown(
            [(label, key) for key, label in labels.choices(data)], value=view.colour or None
        ),
        request.most,
        gr.Slider(value=request.perplexity, visible=request.method == "tsne"),
        request.seed,
    ]


painted = repainting(paint)


def _paint_mended(context: Context, history: Views) -> list[Any]:
    """Return the same, with a way to draw the map of the model that took a place."""
    words = note("The map shows what the model before saw; draw it again to see with this one.")
    return [*paint(context, history), words, gr.Button(visible=True)]


def on_choices(context: Context, history: Views) -> list[Any]:
    """Offer what there is."""
    del history
    return [gr.Dropdown(method_choices(bench.encoders(context)))]


def healer(context: Context) -> arrivals.Heal:
    """Return what takes checkpoints that are gone out of a view."""
    roll = arrivals.Roll(context, [card.name for card in bench.encoders(context)])

    def heal(view: View) -> tuple[View, str]:
        name, words = roll.instead(view.request.checkpoint)
        part = "" if words else view.request.part
        return bench.request_of(view, checkpoint=name, part=part), words

    return heal


def _set_choices(view: View) -> list[tuple[str, str]]:
    """List the example, the home's sets, and what was uploaded last."""
    uploaded = [(Path(view.upload).name, UPLOAD)] if view.upload else []
    return [
        (EXAMPLE_NAME, ""),
        *((name, name) for name in sets(labelled=False)),
        *uploaded,
    ]


def _set_value(view: View) -> str:
    if view.location and view.location == view.upload:
        return UPLOAD
    return own_name(view.location)


def on_show(context: Context, history: Views) -> Views:
    """Begin with a map of the example; what is there stays."""
    mended = arrivals.mend(history, healer(context))
    return replace(mended, present=bench.first_view(context, mended.present))


def on_again(context: Context, history: Views) -> Views:
    """Draw again what the page has lost."""
    mended = arrivals.mend(history, healer(context))
    return replace(mended, present=bench.settle(context, mended.present))


def on_photo(context: Context, role: str, event: Event, history: Views) -> Views:
    """Seat the visitor's own photograph."""
    path = received(event)
    view, photo = history.present, images.read_photo(Path(path))
    card = context.store.card(view.request.checkpoint)
    if card.spec.shows_faces:
        return history.then(view.seat(role, photos.seat_photo(context, path, photo)))
    return history.then(view.seat(role, whole_seat(path, photo, Path(path).stem)))


def on_set(context: Context, history: Views, name: str) -> Views:
    """Take a data set of the home, or the example."""
    view = history.present
    known = {UPLOAD: view.upload, "": ""}
    location = known[name] if name in known else find_set(name, labelled=False)
    return history.then(bench.settle(context, replace(view, location=location)))


def on_upload(context: Context, history: Views, file: Any) -> Views:
    """Take an uploaded zip, where Gradio put it."""
    if not file:
        return history
    place = str(received_set(file))
    view = replace(history.present, location=place, upload=place)
    return history.then(bench.settle(context, view))


def on_checkpoint(context: Context, history: Views, name: str) -> Views:
    """Look with another model."""
    changed = bench.request_of(history.present, checkpoint=name)
    return history.then(bench.settle(context, changed))


def on_part(context: Context, history: Views, part: str) -> Views:
    """Compare one part of the latents."""
    return _changed(context, history, part=part)


def on_method(context: Context, history: Views, method: str) -> Views:
    """Lay the points out otherwise."""
    return _changed(context, history, method=method)


def on_dimensions(context: Context, history: Views, dimensions: float) -> Views:
    """Show two or three dimensions."""
    return _changed(context, history, dimensions=int(dimensions))


def on_most(context: Context, history: Views, most: float) -> Views:
    """Show more or fewer pictures."""
    return _changed(context, history, most=int(most))


def on_perplexity(context: Context, history: Views, perplexity: float) -> Views:
    """Keep more or fewer neighbours together."""
    return _changed(context, history, perplexity=float(perplexity))


def on_seed(context: Context, history: Views, seed: float | None) -> Views:
    """Begin elsewhere."""
    return _changed(context, history, seed=int(seed or 0))


def _changed(context: Context, history: Views, **changes: Any) -> Views:
    view = bench.request_of(history.present, **changes)
    view.request.check()
    return history.then(bench.settle(context, view))


def on_colour(context: Context, history: Views, colour: str) -> Views:
    """Colour the points by something else."""
    return history.then(bench.settle(context, replace(history.present, colour=colour)))


def on_begin(context: Context, history: Views, drawing: Drawing | None) -> Drawing:
    """Stop the map that is being drawn, if one is, and make ready for the next."""
    del context
    if drawing is not None and drawing.view == history.present and not drawing.stop.is_set():
        # Said twice, as a dropdown does: the map is on its way.
        return drawing
    if drawing is not None:
        drawing.stop.set()
    if not history.present.request.checkpoint:
        raise ConfigError(screen.NO_CHECKPOINT)
    return Drawing(history.present)


def on_draw(context: Context, drawing: Drawing) -> Generator[list[Any]]:
    """Draw a map and show how far it is; what goes wrong leaves the map that is there."""
    try:
        for words in bench.carry_out(context, drawing):
            yield under_way(progress(*drawing.state[1:], words))
        shown = screen.atlas(context, drawing.view)
    except StoppedError as error:
        yield ended(note(str(error)))
    except StudioError as error:
        yield ended(problem(str(error)))
    else:
        drawing.done = True
        hidden = gr.Button(visible=False)
        yield [drawing.view, shown, note(shown["note"]), hidden, hidden, note("Counting.")]


def under_way(words: str) -> list[Any]:
    """Return the view that is shown and the values of ``Desk.drawn`` while a map is drawn."""
    stop = gr.Button(visible=True, interactive=True)
    return [gr.skip(), gr.skip(), words, stop, gr.Button(visible=False), gr.skip()]


def ended(words: str) -> list[Any]:
    """Return the same after a map that was not drawn: another attempt is a click away."""
    again = gr.Button(visible=True)
    return [gr.skip(), gr.skip(), words, gr.Button(visible=False), again, gr.skip()]


def on_stop(context: Context, drawing: Drawing | None) -> list[Any]:
    """Stop the map that is being drawn."""
    del context
    if drawing is None:
        raise ConfigError("No map is being drawn.")
    drawing.stop.set()
    return [note("Stopping."), gr.Button(interactive=False)]


def on_numbers(context: Context, drawing: Drawing) -> Any:
    """Count what stands beside the map, once for each map and colour."""
    if not drawing.done:
        # What was stopped must not begin again in here.
        return gr.skip()
    view = drawing.view
    drawn, column = bench.found(context, view), bench.column(context, view)
    return context.memory.get(
        ("numbers", *view.charted, drawn.codes.key, column.key),
        lambda: screen.numbers(measure(drawn, column)),
        len,
    )


# What the map asks beside the queue.


def answer(
    context: Context, handler: Callable[..., dict[str, Any]], data: dict[str, Any]
) -> dict[str, Any]:
    """Answer the map; what went wrong is in the answer."""
    try:
        with paths.acting_for(who()):
            return handler(context, bench.recall(context, str(data.get("token"))), data)
    except StudioError as error:
        return {"error": str(error)}
    except (KeyError, TypeError, ValueError) as error:
        return {"error": f"The map asked for something that is not there: {error}."}


def on_look(context: Context, drawn: maps.Map, data: Event) -> dict[str, Any]:
    """Return pictures of points on one sheet."""
    del context
    rows = [drawn.check_row(int(row)) for row in data["rows"]]
    size = int(data["size"])
    if not 1 <= len(rows) <= MOST_LOOKED or not 16 <= size <= 256:
        raise ConfigError(f"A sheet shows 1 to {MOST_LOOKED} pictures of 16 to 256 pixels.")
    return screen.seen(drawn, rows, size)


def on_point(context: Context, drawn: maps.Map, data: Event) -> dict[str, Any]:
    """Return a point's large picture with its labels, and its neighbours if asked for."""
    del context
    row = drawn.check_row(int(data["row"]))
    shown = screen.told(drawn, row, 192)
    if data.get("near"):
        near = drawn.near(row)
        shown |= {"rows": near.rows.tolist(), "distances": near.distances.tolist()}
    return shown


def on_spot(context: Context, drawn: maps.Map, data: Event) -> dict[str, Any]:
    """Return what lives at a place of the map."""
    with context.decoding:
        there, picture = bench.spot(
            context, drawn, float(data["x"]), float(data["y"]), int(data.get("rest", -1))
        )
    return {
        "picture": sharp_uri(picture),
        "rows": list(there.rows),
        "weights": list(there.weights),
        "rest": there.rest,
        "restName": drawn.codes.data.files[there.rest] if there.rest >= 0 else "",
    }


def on_path(context: Context, drawn: maps.Map, data: Event) -> dict[str, Any]:
    """Return the pictures between two points, and where they lie."""
    with context.decoding:
        codes, points = drawn.path(int(data["start"]), int(data["end"]), PATH_STEPS)
        pictures = maps.decode(context.models, drawn, codes)
    return {"pictures": [sharp_uri(one) for one in pictures], "points": points.tolist()}


def on_find(context: Context, drawn: maps.Map, data: Event) -> dict[str, Any]:
    """Return the points whose file name has a text in it."""
    del context
    text = str(data["text"]).strip().lower()
    files = drawn.codes.data.files
    rows = [row for row, file in enumerate(files) if text and text in file.lower()]
    return {"rows": rows}


# On from the map.


def on_slider(context: Context, event: Event) -> None:
    """Make a slider of one's own out of two groups of points."""
    drawn = bench.recall(context, str(event["token"]))
    groups = [[int(row) for row in event[name]] for name in ("shown", "absent")]
    made = drawn.direction(context.models, str(event["name"]).strip(), *groups)
    known = made.separation == made.separation
    told = f" It tells left-out pictures apart in {made.separation:.0%} of pairs." if known else ""
    gr.Info(
        f"The slider “{html.escape(made.name)}” is made.{told} It stands in Attributes, Swap and "
        f"Interpolate where {made.checkpoint} is the model."
    )


def on_label(context: Context, event: Event) -> None:
    """Mark two groups of points in their data set, or in a copy where it is not the visitor's."""
    data = bench.recall(context, str(event["token"])).codes.data
    name, location = str(event["name"]).strip(), data.source.place
    groups = [[data.files[int(row)] for row in event[group]] for group in ("shown", "absent")]
    own = Path(own_name(str(location))).stem
    made = intake.label(location, own or free_name(f"{data.name}-{name}"), name, *groups)
    gr.Info(
        f"{len(groups[0])} pictures with and {len(groups[1])} without “{html.escape(name)}” are "
        f"marked in the data set {html.escape(made.name)}, which stands in Train."
    )


def on_open(context: Context, event: Event) -> tuple[str, list[Seat]]:
    """Seat what is to be opened: a point's picture, both ends of a path, or a place's.

    Returns:
        The map's checkpoint, and the pictures.
    """
    drawn = bench.recall(context, str(event["token"]))
    name = drawn.codes.checkpoint
    if "start" in event:
        return name, [bench.seat_point(drawn, int(event[end])) for end in ("start", "end")]
    if "row" in event:
        return name, [bench.seat_point(drawn, int(event["row"]))]
    x, y = float(event["x"]), float(event["y"])
    with context.decoding:
        _, picture = bench.spot(context, drawn, x, y, int(event.get("rest", -1)))
    return name, [seat_picture(picture, f"map-{x:.2f}-{y:.2f}")]


def on_save(context: Context, suffix: str, view: View | None) -> Any:
    """Write the points as a table or the map as a page, and offer it for download."""
    if view is None:
        raise ConfigError("There is no map to save yet.")
    drawn, column = bench.found(context, view), bench.column(context, view)
    path = new_file(f"{drawn.codes.data.name}-{drawn.method}{suffix}")
    if suffix == ".csv":
        writing.write_table(path, drawn, column)
    else:
        path.write_text(figures.map_page(drawn, column), encoding="utf-8")
    return gr.DownloadButton(value=str(path))
