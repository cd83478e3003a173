"""What the tab Train shows of a data set and of a form, as values for its components."""

import html
from pathlib import Path
from typing import Any

import gradio as gr

from studio import methods, traits
from studio.checkpoints import Card
from studio.data.inspect import Report
from studio.errors import StudioError
from studio.ui import figures
from studio.ui.components import note, problem, trained_on
from studio.ui.context import Context
from studio.ui.sets import sets
from studio.ui.workshop import checks, knobs, marks, sources
from studio.ui.workshop.form import SCRATCH, Form, confined, parents, taken

CHECKED, UNCHECKED = "Look again", "Look at every picture"
UNIT = "Pictures with it"
_SIZES = (32, 64, 128)
_NOTHING = (
    "There is no data set yet. Drop a zip of pictures on the left, or choose the rendered heads."
)


def data(context: Context, key: str) -> list[Any]:
    """Return the values of ``Desk.data``."""
    offered = picker(key)
    try:
        facts, report = sources.facts_of(context, key), checks.glance(context, key)
        marked = marks.shown(context, key)
    except StudioError as error:
        return [offered, problem(str(error)) if key else note(_NOTHING), *_nothing(key)]
    suggested = sources.free_name(f"{facts.name}-aligned") if checks.can_align(report) else ""
    return [
        offered,
        checks.verdict(facts, report),
        "",
        gr.Button(CHECKED if report.checked else UNCHECKED, visible=True, interactive=True),
        gr.Button(visible=False),
        checks.told(report),
        _plot(report),
        checks.labels_table(report) + checks.pairs_table(report.pairs),
        gr.Column(visible=bool(suggested)),
        suggested,
        checks.flaws(context, key, report),
        marked,
        sources.free_name(f"{facts.name}-marked"),
        _deletable(key),
    ]


def picker(key: str) -> gr.Dropdown:
    """Return the list of data sets with one of them chosen, if it is there."""
    known = sources.choices(key)
    return gr.Dropdown(known, value=key if key in [one for _, one in known] else None)


def _nothing(key: str) -> list[Any]:
    hidden, empty = gr.Button(visible=False), gr.Plot(value=None, visible=False)
    unaligned = gr.Column(visible=False)
    return ["", hidden, hidden, "", empty, "", unaligned, "", "", {}, "", _deletable(key)]


def _deletable(key: str) -> dict[str, str]:
    """Return the value of ``delete.js``: a set of the home can be deleted, damaged or not."""
    return {"set": key} if key in sets(labelled=False) else {}


def _plot(report: Report) -> gr.Plot:
    counts = report.attributes
    if not counts:
        return gr.Plot(value=None, visible=False)
    series = {part.capitalize(): [of[part] for of in counts.values()] for part in report.partitions}
    names = [traits.label(name) for name in counts]
    return gr.Plot(figures.tails(names, series, kind="Attribute", unit=UNIT), visible=True)


def form(context: Context, key: str, shown: Form) -> list[Any]:
    """Return the values of ``Desk.asked``."""
    cards = parents(context, shown.method)
    card = next((card for card in cards if card.name == shown.parent), None)
    method = methods.find(shown.method)
    learns, few = (knobs.has(shown.method, name) for name in (knobs.ATTRIBUTE, knobs.FEW_PICTURES))
    return [
        shown.method,
        parent_picker(context, shown.method, shown.parent),
        gr.Dropdown(_attributes(context, key), value=shown.attribute or None, visible=learns),
        shown.tag,
        shown.steps,
        gr.Dropdown(sizes(shown.size), value=shown.size, interactive=not shown.parent),
        shown.batch_size,
        shown.seed,
        shown.save_every,
        shown.patience,
        gr.Checkbox(value=shown.few, visible=few),
        shown.device,
        shown.precision,
        shown.compile,
        shown.processes,
        shown.terms,
        knobs.describe(
            context.store, shown.method, shown.parent, shown.fields, modest=not shown.cloned
        ),
        shown.base,
        note(f"{method.title}. {method.summary}"),
        note(_about(card)),
        name(context, shown),
        note(_confined(key, shown)),
    ]


def _confined(key: str, shown: Form) -> str:
    """Say which pictures a clone learns from, beside those that its data set says."""
    try:
        found = confined(key, shown)
    except StudioError:
        return ""
    only, also = found.get("only", ""), found.get("also", "")
    words = [f"Only pictures of {only}."] if only else []
    words += [f"Pictures of {Path(also).name} are added."] if also else []
    return " ".join([*(["As the job that is cloned:"] if words else []), *words])


def parent_picker(context: Context, method: str, parent: str) -> gr.Dropdown:
    """Return the list of checkpoints to start from with one of them chosen, or nothing."""
    known = _parents(context, method)
    return gr.Dropdown(known, value=parent if (parent, parent) in known else "")


def parent_offer(context: Context, method: str, parent: str) -> gr.Dropdown:
    """Return the same list; whoever chooses meanwhile keeps the choice, unless it is gone."""
    known = _parents(context, method)
    there = parent in [name for _, name in known]
    return gr.Dropdown(known) if there else gr.Dropdown(known, value="")


def _parents(context: Context, method: str) -> list[tuple[str, str]]:
    return [*((card.name, card.name) for card in parents(context, method)), (SCRATCH, "")]


def sizes(size: int) -> list[tuple[str, int]]:
    """Return labels and sizes of pictures that can be chosen; a parent's own among them."""
    return [(f"{side} pixels", side) for side in sorted({*_SIZES, size})]


def _attributes(context: Context, key: str) -> list[tuple[str, str]]:
    """List the attributes that can be learnt, with how many pictures have and lack them."""
    try:
        facts = sources.facts_of(context, key)
    except StudioError:
        # What is wrong with the set is said beside it.
        return []
    sides = {one: facts.attributes[one] for one in facts.learnable}
    return [
        (f"{traits.label(one)} ({with_it:,} with, {without:,} without)", one)
        for one, (with_it, without) in sides.items()
    ]


def _about(card: Card | None) -> str:
    if card is None:
        return "Begins with random weights: it takes thousands of pictures and far more steps."
    size = card.spec.size
    return f"Knows pictures of {size} × {size} pixels.{trained_on(card)}"  # noqa: RUF001


def name(context: Context, shown: Form) -> str:
    """Say under which name the new model will stand, or why it cannot, as HTML."""
    refusal = taken(context, shown)
    if refusal:
        return f'<p class="ls-note ls-refused">{html.escape(refusal)}</p>'
    return note(f"It will be called {shown.name}.")
