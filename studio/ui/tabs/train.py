"""The train tab: from one's own pictures to a model that the other tabs can use."""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from studio import intake, jobs
from studio.errors import StudioError
from studio.training.status import RUNNING
from studio.ui.arrivals import LOOK
from studio.ui.components import note, problem, progress
from studio.ui.context import Context
from studio.ui.doors import Door, connect
from studio.ui.guard import guarded, heard
from studio.ui.repaint import QUICK, SLOW, following
from studio.ui.seats import Event
from studio.ui.sets import changed
from studio.ui.workshop import board, checks, estimates, layout, marks, painting, proposals, sources
from studio.ui.workshop.form import Form, of_job, request_of
from studio.ui.workshop.layout import DATA, JOBS, Desk
from studio.ui.workshop.work import Work, carry_out

WORK: Mapping[str, Any] = {**SLOW, "concurrency_id": "workshop", "concurrency_limit": 2}
MEASURE: Mapping[str, Any] = {**SLOW, "concurrency_id": "estimate", "concurrency_limit": 2}
# Settings that change how long a step takes, or how many there are.
_FELT = ("method", "parent", "steps", "size", "batch_size", "few", "device", "precision")
# Components that show a data set.
_SHOWN = 14
# The form as the page begins; whatever still says so is proposed.
FIRST = Form()


def build(context: Context, doors: Mapping[str, Door], tabs: gr.Tabs, watch: gr.HTML) -> None:
    """Lay the tab out and bind its events.

    Args:
        context: The shared context.
        doors: Of the tabs that a new model can be used in.
        tabs: All tabs.
        watch: Tells when checkpoints came or went.
    """
    desk = layout.build(context)
    # What was proposed last; the work that goes on, each a handle.
    before, checking, aligning, measuring = (gr.State(one) for one in (FIRST, None, None, None))
    bound = Bound(context, desk, before, measuring)
    _bind_data(bound, checking, aligning)
    _bind_form(bound, watch)
    _bind_jobs(bound, doors, tabs)
    tab = gr.context.Context.block
    if isinstance(tab, gr.Tab):
        bound.on(tab.select, on_show, outputs=[desk.views, *bound.all()])


class Bound:
    """Binds events to handlers that get the data set and the form, and paint them anew."""

    def __init__(self, context: Context, desk: Desk, before: gr.State, measuring: gr.State) -> None:
        """Keep what all events share."""
        self.context, self.desk, self.before, self.measuring = context, desk, before, measuring

    def all(self) -> list[Any]:
        """List everything that a change of the data set paints."""
        return [*self.desk.data(), *self.form()]

    def form(self) -> list[Any]:
        """List everything that a change of the form paints."""
        return [self.before, *self.desk.asked()]

    def on(
        self,
        event: Callable[..., Any],
        handler: Callable[..., Any],
        *inputs: Any,
        outputs: Any = None,
        **options: Any,
    ) -> Any:
        """Bind an event, and let the estimate follow what it changed."""
        desk = self.desk
        done = event(
            guarded(self.context, handler),
            [*inputs, desk.sets, self.before, *desk.form],
            outputs or self.form(),
            **{**SLOW, **options},
        )
        self.estimated(done.success)
        return done

    def estimated(self, event: Callable[..., Any]) -> None:
        """Measure anew after an event, once the settings rest."""
        begun = event(
            guarded(self.context, on_measure_begin),
            self.measuring,
            self.measuring,
            **{**QUICK, "trigger_mode": "multiple"},
        )
        begun.success(
            following(self.context, on_measure),
            [self.measuring, self.desk.sets, *self.desk.form],
            self.desk.estimate,
            **{**MEASURE, "trigger_mode": "multiple"},
        )


def _bind_data(bound: Bound, checking: gr.State, aligning: gr.State) -> None:
    context, desk = bound.context, bound.desk
    waiting = {"show_progress": "minimal", "show_progress_on": desk.verdict}
    checked = [desk.status, desk.check, desk.stop]

    def check(event: Any) -> None:
        """Look at every picture after an event."""
        begun = event(guarded(context, on_check_begin), [checking, desk.sets], checking, **QUICK)
        done = begun.success(
            following(context, on_check), checking, [*checked, *desk.data()], **WORK
        )
        done.failure(guarded(context, on_broken), None, checked, **QUICK)

    picked = bound.on(desk.sets.input, on_pick, outputs=bound.all(), **waiting)
    taken = bound.on(
        desk.upload.upload, on_upload, desk.upload, outputs=[desk.upload, *bound.all()], **waiting
    )
    bound.on(desk.delete.remove, on_delete, outputs=bound.all(), **waiting)
    check(picked.success)
    check(taken.success)
    check(desk.check.click)
    desk.stop.click(guarded(context, on_stop), [checking, aligning], checked, **QUICK)
    begun = desk.align.click(
        guarded(context, on_align_begin), [desk.sets, desk.aligned], aligning, **QUICK
    )
    aligned = begun.success(
        following(context, on_align), aligning, [*checked, desk.align, desk.sets], **WORK
    )
    aligned.failure(guarded(context, on_broken), None, checked, **QUICK)
    marked = desk.labels.save(
        guarded(context, on_label), [desk.sets, desk.attribute, desk.marked], desk.sets, **SLOW
    )
    for made in (aligned, marked):
        check(bound.on(made.success, on_pick, outputs=bound.all(), **waiting).success)


def _bind_form(bound: Bound, watch: gr.HTML) -> None:
    context, desk = bound.context, bound.desk
    method, parent, attribute, tag = desk.form[:4]
    for control in (method, parent, attribute):
        # A choice that is made while another one is answered must not be dropped.
        bound.on(control.input, on_settle, trigger_mode="always_last")
    tag.input(
        guarded(context, on_name), desk.form, desk.name_note, trigger_mode="always_last", **QUICK
    )
    # Only what can be chosen: whoever is typing is not interrupted.
    watch.changed(guarded(context, on_arrival), [method, parent], parent, **LOOK)
    names = list(Form.__dataclass_fields__)
    fields = desk.form[names.index("fields")]
    bound.on(fields.edit, on_settle, trigger_mode="always_last")
    for name in _FELT[2:]:
        bound.estimated(desk.form[names.index(name)].input)


def _bind_jobs(bound: Bound, doors: Mapping[str, Door], tabs: gr.Tabs) -> None:
    context, desk = bound.context, bound.desk
    bound.on(
        desk.start.click, on_start, outputs=[desk.views, desk.board, *bound.form()],
        show_progress="minimal", show_progress_on=desk.start,
    )  # fmt: skip
    cloned = desk.board.clone(heard(context, on_clone), None, bound.all(), **SLOW)
    bound.estimated(cloned.success)
    desk.board.card(heard(context, on_card), None, tabs, **QUICK)
    connect(context, desk.board, doors, tabs, on_open)


# Data.


def on_show(context: Context, key: str | None, before: Form, *values: Any) -> list[Any]:
    """Begin with the newest set; a page that was opened anew shows what goes on."""
    if key:
        # What another page made or deleted is listed; what was typed stays.
        kept = [gr.skip()] * (_SHOWN - 1)
        return [gr.skip(), painting.picker(key), *kept, *on_settle(context, key, before, *values)]
    live = next((job for job in reversed(jobs.jobs()) if job.is_live and job.request), None)
    if live is None or live.request is None:
        return [gr.Tabs(selected=DATA), *_shown(context, sources.first(context), before, *values)]
    its = sources.key_of(live.name, live.request.data)
    return [gr.Tabs(selected=JOBS), *_shown(context, its, before, *values)]


def on_pick(context: Context, key: str | None, before: Form, *values: Any) -> list[Any]:
    """Take another data set."""
    return _shown(context, key or "", before, *values)


def on_upload(
    context: Context, file: Any, key: str | None, before: Form, *values: Any
) -> list[Any]:
    """Keep an uploaded zip as a set of the home, and take it; its place is free for another."""
    del key
    return [None, *_shown(context, sources.take(file), before, *values)]


def on_delete(context: Context, key: str | None, before: Form, *values: Any) -> list[Any]:
    """Delete a data set of the home, and take another one."""
    gr.Info(f"{marks.delete(key or '')} is deleted.")
    return _shown(context, sources.first(context), before, *values)


def _shown(context: Context, key: str, before: Form, *values: Any) -> list[Any]:
    return [*painting.data(context, key), *on_settle(context, key, before, *values)]


def on_check_begin(context: Context, work: Work | None, key: str | None) -> Work:
    """Leave the check that goes on, if one does, and make ready for the next."""
    del context
    if work is not None:
        work.leave()
    return Work(key or "")


def on_check(context: Context, work: Work) -> Generator[list[Any]]:
    """Look at every picture and show how far it is, then what was found."""
    if work.key:
        yield from _carried(work, lambda *asks: checks.check(context, work.key, *asks), _SHOWN)
        if not work.left:
            yield [*_rested(), *painting.data(context, work.key)]


def _carried(work: Work, doing: Callable[..., Any], others: int) -> Generator[list[Any]]:
    """Do long work; show the status, the two buttons, and nothing new in the other components."""
    try:
        for words in carry_out(work, doing):
            told = progress(work.done, work.total, words)
            yield [told, gr.Button(visible=False), _STOP, *[gr.skip()] * others]
    except StudioError as error:
        work.leave()
        yield [problem(str(error)), *_rested()[1:], *[gr.skip()] * others]


_STOP = gr.Button(visible=True, interactive=True)


def _rested() -> list[Any]:
    """Return the status and the two buttons when nothing goes on."""
    return ["", gr.Button(visible=True, interactive=True), gr.Button(visible=False)]


def on_broken(context: Context) -> list[Any]:
    """Make the buttons usable after a failure of the program."""
    del context
    return [problem("It broke off; try it again."), *_rested()[1:]]


def on_stop(context: Context, *works: Work | None) -> list[Any]:
    """Stop what goes on."""
    del context
    for work in works:
        if work is not None:
            work.stop.set()
    return [note("Stopping."), gr.skip(), gr.Button(interactive=False)]


def on_align_begin(context: Context, key: str | None, name: str) -> Work:
    """Make ready for an aligned copy."""
    del context
    return Work(key or "", str(name).strip())


def on_align(context: Context, work: Work) -> Generator[list[Any]]:
    """Make an aligned copy of a set and show how far it is, then take the copy."""
    yield from _carried(
        work,
        lambda tell, stopped: intake.align(
            sources.place(work.key), work.name, tell, stopped, context.refine
        ),
        2,
    )
    if work.left:
        return
    made = work.result
    if not made.finished:
        yield [note("Stopped; nothing was made."), *_rested()[1:], gr.skip(), gr.skip()]
        return
    changed(made.output)
    gr.Info(_aligned(made))
    name = made.output.name
    yield [*_rested(), gr.skip(), painting.picker(name)]


def _aligned(made: intake.AlignReport) -> str:
    out = f", {len(made.left_out):,} without a face were left out" if made.left_out else ""
    crowd = f"; of {len(made.crowded):,} with several faces the largest" if made.crowded else ""
    return f"{made.written:,} of {made.total:,} faces were aligned{crowd}{out}."


def on_label(context: Context, key: str | None, attribute: str, name: str) -> Any:
    """Save the marks as an attribute of a set, and take that set."""
    made = marks.save(context, key or "", str(attribute or "").strip(), str(name or "").strip())
    gr.Info(f"The marks are saved in {made}.")
    return painting.picker(made)


# The form.


def on_settle(context: Context, key: str | None, before: Form, *values: Any) -> list[Any]:
    """Propose anew what nobody changed."""
    shown, proposed = proposals.settle(context, _usable(context, key), Form.read(*values), before)
    return [proposed, *painting.form(context, key or "", shown)]


def _usable(context: Context, key: str | None) -> str:
    """Return the key of a set that can be read; what is wrong with another is said beside it."""
    try:
        sources.facts_of(context, key or "")
    except StudioError:
        return ""
    return key or ""


def on_arrival(context: Context, method: str, parent: str | None) -> Any:
    """Offer the checkpoints that there are by now to start from."""
    return painting.parent_offer(context, str(method), parent or "")


def on_name(context: Context, *values: Any) -> str:
    """Say whether a name is free."""
    return painting.name(context, Form.read(*values))


def on_measure_begin(context: Context, work: Work | None) -> Work:
    """Give up the estimate for older settings."""
    return on_check_begin(context, work, "")


def on_measure(context: Context, work: Work, key: str | None, *values: Any) -> Generator[Any]:
    """Say how long it takes and how much memory, once the settings rest."""
    time.sleep(estimates.REST)
    try:
        if work.left or not key:
            return
        request = request_of(context, key, Form.read(*values))
        if not estimates.known(context, request):
            if any(job.state == RUNNING for job in jobs.jobs()):
                yield note("How long it takes is measured when nothing else trains.")
                return
            yield note("Measuring how long a step takes here.")
        told = estimates.told(context, request, work.stop.is_set)
    except StudioError as error:
        # Starting says so, too; here it must not interrupt whoever is typing.
        if not work.left:
            yield note(str(error))
        return
    if not work.left:
        yield note(told)


# Jobs.


def on_start(context: Context, key: str | None, before: Form, *values: Any) -> list[Any]:
    """Start a job and show it; a refusal leaves everything as it was typed."""
    shown = Form.read(*values)
    name = jobs.submit(request_of(context, key or "", shown))
    # The next one gets a name of its own.
    renamed = replace(shown, tag=before.tag)
    again = on_settle(context, key, before, *_sent(renamed))
    return [gr.Tabs(selected=JOBS), {"show": name}, *again]


def _sent(form: Form) -> list[Any]:
    """Return a form's values as the page sends them."""
    return [*form.values()[:-2], {"changed": form.fields}, form.base]


def on_clone(context: Context, event: Event) -> list[Any]:
    """Fill the form with what a job was asked, under another name."""
    job = jobs.read(str(event["name"]))
    form = of_job(context.store, job)
    key = sources.key_of(job.name, job.request.data if job.request else "")
    usable = _usable(context, key)
    if not usable:
        gr.Warning(f"The data of {job.name} is not there any more; choose another set.")
    _, proposed = proposals.settle(context, usable, form, FIRST)
    shown = replace(form, tag=proposals.free_tag(context, form.method, form.tag))
    return [
        *painting.data(context, usable),
        proposed,
        *painting.form(context, usable, shown),
    ]


def on_card(context: Context, event: Event) -> Any:
    """Go to the card of the model that a job made."""
    context.store.card(str(event["checkpoint"]))
    return gr.Tabs(selected="models")


def on_open(context: Context, event: Event) -> tuple[str, list[Any]]:
    """Take the model that a job made into another tab, with pictures of its own data."""
    return board.pictures(context, str(event["name"]))
