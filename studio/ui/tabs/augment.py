"""The augment tab: a larger, better balanced data set out of one that is there."""

import html
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from studio import traits
from studio.augment import AGREEMENT, AugmentReport
from studio.errors import ConfigError, DataError, StudioError
from studio.ui import arrivals, augmenting, figures
from studio.ui.augmenting import AMOUNTS, MOST_SET, NO_MAKER, Preview, Run, Settings, Tails
from studio.ui.components import choices, method_choices, note, problem, progress, sharp_uri
from studio.ui.context import Context
from studio.ui.guard import guarded
from studio.ui.portrait import screen
from studio.ui.repaint import QUICK, SLOW, download, following
from studio.ui.seats import new_file
from studio.ui.sets import (
    EXAMPLE,
    EXAMPLE_KEY,
    EXAMPLE_NAME,
    find_set,
    own_name,
    received_set,
    sets,
)

STRATEGIES = [("Dynamic balancing", "balancing"), ("Random doubling", "doubling")]
SOURCES = {"attributes": "New faces", "photo": "My pictures, changed"}
STRATEGY_WORDS = {
    "balancing": "Each new picture gets the attributes that are rarest so far and loses the "
    "commonest.",
    "doubling": "One new picture for each there is, with exactly one attribute turned over.",
}
EMPTY = (
    "There is no data set yet. Upload a zip of pictures with an attributes.csv on the left, or "
    "make one with `latent-studio data render heads --count 400 --output "
    "~/.latent-studio/data/heads` and open this tab again."
)
WORK: Mapping[str, Any] = {**SLOW, "concurrency_id": "augment", "concurrency_limit": 1}
UNIT = "Pictures"


@dataclass(frozen=True, eq=False)
class Desk:
    """The tab's components."""

    sets: gr.Dropdown
    upload: gr.File
    about_data: gr.HTML
    result: gr.Column
    report: gr.HTML
    made: gr.HTML
    pack: gr.Button
    file: gr.DownloadButton
    lead: gr.HTML
    tail: gr.Plot
    tail_table: gr.HTML
    pairs_lead: gr.HTML
    pairs: gr.Plot
    pairs_table: gr.HTML
    checkpoint: gr.Dropdown
    about: gr.HTML
    strategy: gr.Radio
    source: gr.Radio
    amount: gr.Slider
    most: gr.Slider
    variation: gr.Slider
    classifier: gr.Dropdown
    agreement: gr.Slider
    ssim: gr.Slider
    name: gr.Textbox
    seed: gr.Number
    begun: gr.Dropdown
    start: gr.Button
    stop: gr.Button
    status: gr.HTML

    def settings(self) -> list[Any]:
        """List the controls in the order of ``Settings``."""
        return [
            self.checkpoint,
            self.strategy,
            self.source,
            self.amount,
            self.most,
            self.variation,
            self.classifier,
            self.agreement,
            self.ssim,
            self.name,
            self.seed,
        ]

    def plotted(self) -> list[Any]:
        """List the components that ``plotted`` fills, in its order."""
        return [
            self.lead,
            self.tail,
            self.tail_table,
            self.pairs_lead,
            self.pairs,
            self.pairs_table,
        ]

    def painted(self) -> list[Any]:
        """List the components that ``paint`` fills, in its order."""
        return [
            self.sets,
            self.about_data,
            self.about,
            self.begun,
            *self.settings(),
            *self.plotted(),
        ]

    def ran(self) -> list[Any]:
        """List the components that a run fills, in the order of ``ended``."""
        return [
            self.status,
            self.start,
            self.stop,
            self.result,
            self.report,
            self.made,
            self.pack,
        ]


def build(context: Context, watch: gr.HTML) -> None:
    """Lay the tab out and bind its events.

    Args:
        context: The shared context.
        watch: Tells when checkpoints came or went.
    """
    with gr.Row(elem_classes="ls-desk"):
        with (
            gr.Column(elem_classes="ls-sources", min_width=0),
            gr.Accordion("Data", open=True, elem_classes="ls-fold"),
        ):
            sets = gr.Dropdown([], label="Data set", elem_id="augment-sets")
            about_data = gr.HTML(apply_default_css=False, elem_id="augment-about")
            upload = gr.File(
                label="Or a zip of your own", file_types=[".zip"], height=160,
                elem_id="augment-upload",
            )  # fmt: skip
            gr.HTML(
                note(
                    "Pictures with an attributes.csv: the first column is named file, each other "
                    "one is an attribute with 0 and 1. Zips above 200 MB go into the data folder "
                    "of your Latent Studio home instead."
                ),
                apply_default_css=False,
            )
        with gr.Column(elem_classes="ls-middle", min_width=0):
            with gr.Column(min_width=0, visible=False) as result:
                report = gr.HTML(apply_default_css=False, elem_id="augment-report")
                made = choices(elem_classes="ls-new", elem_id="augment-made")
                pack = gr.Button("Save as zip", size="sm", visible=False, elem_id="augment-pack")
            file = gr.DownloadButton("Download", visible="hidden", elem_id="augment-file")
            plots = _build_plots()
        with gr.Column(elem_classes="ls-controls", min_width=0):
            controls = _build_controls()
    desk = Desk(sets, upload, about_data, result, report, made, pack, file, *plots, *controls)
    _bind(context, desk, watch)


def _build_plots() -> list[Any]:
    components: list[Any] = []
    for name in ("tail", "pairs"):
        components += [
            gr.HTML(apply_default_css=False, elem_id=f"augment-{name}-lead"),
            gr.Plot(
                show_label=False, visible=False, elem_classes="ls-plot", elem_id=f"augment-{name}"
            ),
            gr.HTML(apply_default_css=False, elem_id=f"augment-{name}-table"),
        ]
    return components


def _build_controls() -> list[Any]:
    least, greatest = AMOUNTS
    first = Settings()
    checkpoint = gr.Dropdown([], label="Model", elem_id="augment-checkpoint")
    about = gr.HTML(apply_default_css=False)
    strategy = gr.Radio(
        STRATEGIES, value=first.strategy, label="What to add", elem_id="augment-strategy",
        info=STRATEGY_WORDS[first.strategy],
    )  # fmt: skip
    source = gr.Radio([], label="Made from", elem_id="augment-source")
    amount = gr.Slider(
        least, greatest, first.amount, step=0.25, label="How many", elem_id="augment-amount",
        info="New pictures for each training picture.",
    )  # fmt: skip
    most = gr.Slider(
        1, MOST_SET, first.most, step=1, label="Attributes set each way", elem_id="augment-most",
        info="So many of the rarest are given to a picture, and so many of the commonest taken.",
    )  # fmt: skip
    variation = gr.Slider(
        0, 1, first.variation, step=0.05, label="Variation",
        info="How much faces of equal attributes differ; 0 is the most typical face.",
    )  # fmt: skip
    with gr.Accordion("Leave out what fails", open=False, elem_id="augment-filters"):
        classifier = gr.Dropdown(
            [], label="Checked by", elem_id="augment-classifier",
            info="A classifier that must see the changed attributes in a new picture.",
        )  # fmt: skip
        agreement = gr.Slider(
            0, 1, first.agreement, step=0.05, label="It must see",
            info="The least share of the changed attributes; only with a classifier.",
        )  # fmt: skip
        ssim = gr.Slider(
            0, 1, first.ssim, step=0.05, label="Likeness",
            info="The least structural similarity (SSIM) to what a picture was made from; "
            "1 is equal, 0 lets all pass.",
        )  # fmt: skip
    with gr.Row(elem_classes="ls-pair"):
        name = gr.Textbox(label="New set's name", elem_id="augment-name")
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="augment-seed")
    begun = gr.Dropdown(
        [], label="Begun and stopped", visible=False, elem_id="augment-begun",
        info="Choose one to get its settings back; Start then goes on with it.",
    )  # fmt: skip
    with gr.Row(elem_classes="ls-pair"):
        start = gr.Button("Start", variant="primary", elem_id="augment-start")
        stop = gr.Button("Stop", interactive=False, elem_id="augment-stop")
    status = gr.HTML(apply_default_css=False, elem_id="augment-status")
    return [
        checkpoint, about, strategy, source, amount, most, variation, classifier, agreement, ssim,
        name, seed, begun, start, stop, status,
    ]  # fmt: skip


def _bind(context: Context, desk: Desk, watch: gr.HTML) -> None:
    """Connect events; where the data is and the run that goes on are kept for the visitor."""
    location, run = gr.State(""), gr.State(None)
    settings = desk.settings()

    def on(event: Callable[..., Any], handler: Any, *inputs: Any) -> Any:
        # Reading a large table takes seconds.
        waiting = {"show_progress": "minimal", "show_progress_on": desk.about_data}
        return event(
            guarded(context, handler),
            [location, *inputs, *settings],
            [location, *desk.painted()],
            **{**SLOW, **waiting},
        )

    on(desk.sets.input, on_pick, desk.sets)
    on(desk.upload.upload, on_upload, desk.upload)
    on(desk.begun.input, on_restore, desk.begun)
    on(desk.strategy.input, on_strategy)
    for control in (desk.checkpoint, desk.source, desk.classifier):
        on(control.input, on_change)
    for slider in (desk.amount, desk.most, desk.seed):
        slider.input(
            guarded(context, on_plan),
            [location, *settings],
            desk.plotted(),
            trigger_mode="always_last",
            **SLOW,
        )
    prepared = desk.start.click(
        guarded(context, on_begin), [location, *settings], [run, *desk.ran()], **QUICK
    )
    worked = prepared.success(following(context, on_run), run, desk.ran(), **WORK)
    worked.failure(guarded(context, on_failure), None, desk.ran(), **QUICK)
    on(worked.then, on_change)
    desk.stop.click(guarded(context, on_stop), run, [desk.status, desk.stop], **QUICK)
    desk.pack.click(
        guarded(context, on_pack), run, desk.file, **{**SLOW, "show_progress": "minimal"}
    ).success(None, js=download("augment-file"))
    watch.changed(
        guarded(context, _following(desk, location)),
        [location, *settings],
        [location, *desk.painted()],
        **arrivals.LOOK,
    )
    tab = gr.context.Context.block
    if isinstance(tab, gr.Tab):
        on(tab.select, on_show)


def _following(desk: Desk, place: gr.State) -> Callable[..., dict[Any, Any]]:
    """Return what lets the pickers offer what there is, and the tab go on without what is gone."""

    def on_change(context: Context, location: str, *values: Any) -> dict[Any, Any]:
        settings = Settings.read(*values)
        mended, words = augmenting.mend(context, settings)
        if mended == settings:
            return {desk.checkpoint: _makers(context), desk.classifier: _classifiers(context)}
        if words:
            gr.Warning(words)
        shown = _settled(context, location, mended)
        return dict(zip([place, *desk.painted()], shown, strict=True))

    return on_change


def _makers(context: Context, **options: Any) -> gr.Dropdown:
    return gr.Dropdown(method_choices(augmenting.makers(context)), **options)


def _classifiers(context: Context, **options: Any) -> gr.Dropdown:
    judges = method_choices(augmenting.classifiers(context))
    return gr.Dropdown([("None", ""), *judges], **options)


def paint(context: Context, location: str, settings: Settings) -> list[Any]:
    """Return the values of ``Desk.painted``."""
    data = augmenting.open_data(context, location) if location else None
    names = [*((name, name) for name in sets(labelled=True)), (EXAMPLE_NAME, EXAMPLE_KEY)]
    chosen = EXAMPLE_KEY if location == str(EXAMPLE) else own_name(location) or None
    cards = augmenting.makers(context)
    card = next((card for card in cards if card.name == settings.checkpoint), None)
    begun = augmenting.unfinished()
    return [
        gr.Dropdown(names, value=chosen, visible=bool(names)),
        note(augmenting.about_data(data)) if data else "",
        note(screen.about(card) if card else NO_MAKER),
        gr.Dropdown(begun, value=None, visible=bool(begun)),
        *_controls(context, location, settings),
        *plotted(context, location, settings),
    ]


def _controls(context: Context, location: str, settings: Settings) -> list[Any]:
    """Return the values of ``Desk.settings``: what the checkpoint and the data allow."""
    cards = augmenting.makers(context)
    card = next((card for card in cards if card.name == settings.checkpoint), None)
    known = augmenting.sources(card) if card else []
    balancing, most = settings.strategy == "balancing", _most(context, location, settings)
    return [
        _makers(context, value=settings.checkpoint or None),
        gr.Radio(value=settings.strategy, info=STRATEGY_WORDS[settings.strategy]),
        gr.Radio(
            [(SOURCES[one], one) for one in known],
            value=settings.source if card else None,
            visible=bool(known),
        ),
        gr.Slider(value=settings.amount, visible=balancing),
        gr.Slider(
            maximum=max(2, most), value=min(settings.most, most), visible=balancing and most > 1
        ),
        gr.Slider(value=settings.variation, visible=settings.source == "attributes"),
        _classifiers(context, value=settings.classifier),
        settings.agreement,
        settings.ssim,
        settings.name,
        settings.seed,
    ]


def _most(context: Context, location: str, settings: Settings) -> int:
    try:
        data = augmenting.open_data(context, location) if location else None
        shared = augmenting.planned(context, data, settings) if data else ()
    except StudioError:
        # What is wrong is said beside the plots.
        shared = ()
    return augmenting.most_set(len(shared)) if shared else MOST_SET


def plotted(context: Context, location: str, settings: Settings) -> list[Any]:
    """Return the values of ``Desk.plotted``."""
    try:
        if not location:
            raise DataError(EMPTY)
        shown = augmenting.preview(context, location, settings)
    except StudioError as error:
        hidden = gr.Plot(value=None, visible=False)
        return [f'<p class="ls-vacant">{html.escape(str(error))}</p>', hidden, "", "", hidden, ""]
    return [
        _title("How often each attribute occurs, now and as planned")
        + _sentences(shown.sentences()),
        _figure("Attribute", shown.singles),
        _table("Attribute", shown.singles),
        _title("How often two attributes occur together") + note(_cut(shown)),
        _figure("Pair of attributes", shown.pairs, shown.gap),
        _table("Pair of attributes", shown.pairs),
    ]


def _figure(kind: str, tails: Tails, gap: int | None = None) -> gr.Plot:
    # In two lines a pair leaves room for the plot on a phone.
    names = [name.replace(" + ", "\n+ ") for name in tails.names]
    figure = figures.tails(names, tails.series, kind=kind, unit=UNIT, gap=gap)
    return gr.Plot(figure, visible=bool(tails.names))


def _title(text: str) -> str:
    return f'<h3 class="ls-title">{html.escape(text)}</h3>'


def _sentences(sentences: Iterator[str]) -> str:
    lines = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="ls-told">{lines}</ul>'


def _cut(shown: Preview) -> str:
    if shown.gap is None:
        return ""
    return (
        f"Above the dashed line the {shown.gap} commonest pairs of attributes, below it the "
        f"{shown.gap} rarest."
    )


def _table(kind: str, tails: Tails) -> str:
    """Return the numbers behind a figure, folded away."""
    heads = "".join(f'<th scope="col">{html.escape(label)}</th>' for label in tails.series)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>'
        + "".join(f"<td>{count:,}</td>" for count in counts)
        + "</tr>"
        for name, *counts in zip(tails.names, *tails.series.values(), strict=True)
    )
    return (
        f'<details class="ls-table"><summary>The same as a table</summary><table>'
        f'<thead><tr><th scope="col">{kind}</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )


def underway(words: str) -> list[Any]:
    """Return the values of ``Desk.ran`` while a run goes on."""
    return [words, *[gr.skip()] * 6]


def ended(words: str, result: list[Any] | None = None) -> list[Any]:
    """Return the values of ``Desk.ran`` after a run; without a result none is shown."""
    buttons = [gr.Button(interactive=True), gr.Button(interactive=False)]
    return [words, *buttons, *(result or _no_result())]


def _no_result() -> list[Any]:
    return [gr.Column(visible=False), "", {}, gr.Button(visible=False)]


def on_show(context: Context, location: str, *values: Any) -> list[Any]:
    """Begin with what is there; what was chosen stays."""
    settings, words = augmenting.mend(context, Settings.read(*values))
    if words:
        gr.Warning(words)
    first = augmenting.first_set(context, location)
    return _settled(context, first, settings, renamed=first != location)


def on_pick(context: Context, location: str, name: str | None, *values: Any) -> list[Any]:
    """Take a data set of the home."""
    own = {"": location, None: location, EXAMPLE_KEY: str(EXAMPLE)}
    place = own[name] if name in own else find_set(str(name), labelled=True)
    return _settled(context, place, Settings.read(*values), renamed=True)


def on_upload(context: Context, location: str, file: Any, *values: Any) -> list[Any]:
    """Take an uploaded zip, where Gradio put it."""
    del location
    return _settled(context, str(received_set(file)), Settings.read(*values), renamed=True)


def on_change(context: Context, location: str, *values: Any) -> list[Any]:
    """Follow the controls that decide what others offer."""
    return _settled(context, location, Settings.read(*values))


def on_strategy(context: Context, location: str, *values: Any) -> list[Any]:
    """Take the other strategy, with the agreement that is usual for it."""
    settings = Settings.read(*values)
    agreement = AGREEMENT[settings.strategy]
    return _settled(context, location, replace(settings, agreement=agreement))


def on_restore(context: Context, location: str, name: str | None, *values: Any) -> list[Any]:
    """Get the settings of an unfinished set back."""
    if not name:
        return on_change(context, location, *values)
    settings = augmenting.restore(name)
    if settings.checkpoint not in [card.name for card in augmenting.makers(context)]:
        raise ConfigError(f"{name} was begun with {settings.checkpoint}, which is not there.")
    return _settled(context, location, settings)


def _settled(
    context: Context, location: str, settings: Settings, *, renamed: bool = False
) -> list[Any]:
    """Return where the data is, and what the page shows of it."""
    settings = augmenting.settle(context, settings)
    if location and (renamed or not settings.name):
        data = augmenting.open_data(context, location)
        settings = replace(settings, name=augmenting.suggest(data), most=MOST_SET)
    return [location, *paint(context, location, settings)]


def on_plan(context: Context, location: str, *values: Any) -> list[Any]:
    """Plan anew while a slider moves."""
    return plotted(context, location, Settings.read(*values))


def on_begin(context: Context, location: str, *values: Any) -> list[Any]:
    """Check a request and make its run, which may have to wait for others."""
    run = augmenting.begin(context, location, Settings.read(*values))
    words = note("Waiting for its turn: one set is made at a time.")
    buttons = [gr.Button(interactive=False), gr.Button(interactive=True)]
    return [run, words, *buttons, *_no_result()]


def on_run(context: Context, run: Run) -> Generator[list[Any]]:
    """Make the new set; show how far it is, then what came of it."""
    try:
        for words in augmenting.carry_out(context, run):
            yield underway(progress(run.done, run.total, words))
    except StudioError as error:
        yield ended(problem(str(error)))
        return
    if run.report:
        yield _reported(run, run.report)


def _reported(run: Run, report: AugmentReport) -> list[Any]:
    title = _title("The new set" if report.finished else "So far")
    items = [
        {"src": sharp_uri(picture), "label": label} for picture, label in augmenting.samples(report)
    ]
    result = [
        gr.Column(visible=True),
        title + _sentences(augmenting.told(run, report)) + _counted(report),
        {"items": items, "chosen": -1},
        gr.Button(visible=report.finished),
    ]
    words = "Done: the new set stands" if report.finished else "Stopped; what is there stands"
    return ended(note(f"{words} above the plots."), result)


def _counted(report: AugmentReport) -> str:
    balance = report.balance
    series = {"Before": balance.counts_before, "With the new ones": balance.counts_after}
    names = tuple(traits.label(name) for name in balance.names)
    return _table("Attribute", Tails(names, series))


def on_failure(context: Context) -> list[Any]:
    """Make the buttons usable after a failure of the program."""
    del context
    words = "It broke off. What was made so far is kept; Start goes on from there."
    return ended(problem(words))


def on_stop(context: Context, run: Run | None) -> list[Any]:
    """Ask a run to end; it does after the pictures that are in work."""
    del context
    if run is None:
        raise ConfigError("Nothing is being made.")
    run.stop.set()
    return [note(run.status()), gr.Button(interactive=False)]


def on_pack(context: Context, run: Run | None) -> Any:
    """Pack the finished set and offer it for download."""
    del context
    if run is None or run.report is None or not run.report.finished:
        raise ConfigError("There is no finished set to save yet; press Start first.")
    target = new_file(f"{run.output.name}.zip")
    augmenting.pack(run.output, target)
    return gr.DownloadButton(value=str(target))
