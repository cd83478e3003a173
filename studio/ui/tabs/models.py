"""The models tab: every checkpoint with what it does, how well, where from, and its memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import exchange
from studio.errors import ConfigError, StudioError
from studio.ui import arrivals, shelf
from studio.ui.components import method_choices, scripted
from studio.ui.context import Context
from studio.ui.guard import beside, guarded, heard
from studio.ui.repaint import SLOW, download
from studio.ui.seats import new_file

Event = Mapping[str, Any]
# The page takes no larger uploads; the command line does.
MOST_BYTES = 200 * shelf.MEGABYTE
NOTHING = (
    "There is no checkpoint yet. Train one with latent-studio train, or import one that somebody "
    "exported."
)
# What was refused changes nothing on the server, so what waits for it is freed here.
_FREE = """() => {
  document.querySelectorAll(".ls-panel button")
    .forEach((one) => (one.disabled = false));
  delete document.querySelector(".ls-intake").dataset.busy;
}"""
_TO_TABLE = """(one, other) => one && other && setTimeout(() =>
  document.querySelector("#models-compare").scrollIntoView({ behavior: "smooth" }), 100)"""


@dataclass(frozen=True, eq=False)
class Desk:
    """The tab's components."""

    memory: gr.HTML
    intake: gr.HTML
    problems: gr.HTML
    compare: gr.Accordion
    one: gr.Dropdown
    other: gr.Dropdown
    table: gr.HTML
    cards: gr.HTML
    file: gr.DownloadButton

    def painted(self) -> list[Any]:
        """List the components that ``paint`` fills, in its order."""
        return [self.memory, self.problems, self.one, self.other, self.table, self.cards]


def build(context: Context, watch: gr.HTML) -> None:
    """Lay the tab out and bind its events.

    Args:
        context: The shared context.
        watch: Tells when checkpoints came or went.
    """
    with gr.Row(elem_classes="ls-shelf"):
        # Events: ``limit`` (megabytes), ``cool`` (name).
        memory = scripted("ls-panel ls-memory", "memory.js", elem_id="models-memory")
        # Event: ``take`` (path, name, bytes).
        intake = scripted(
            "ls-panel ls-intake", "intake.js", {"most": MOST_BYTES}, elem_id="models-intake"
        )
    problems = gr.HTML(apply_default_css=False)
    with gr.Accordion("Compare two models", open=False, elem_id="models-compare") as compare:
        with gr.Row(elem_classes="ls-pair"):
            one = gr.Dropdown([], label="Model", elem_id="models-one")
            other = gr.Dropdown([], label="Compared with", elem_id="models-other")
        table = gr.HTML(shelf.comparison(context, []), apply_default_css=False)
    # Events with a name: ``warm``, ``cool``, ``export``, ``compare``, ``delete``, ``rename`` (and a
    # tag); ``restore`` with a key.
    cards = scripted(
        "ls-panel ls-models", "models.js", elem_id="models",
        server_functions=[beside(context, on_sheet)],
    )  # fmt: skip
    file = gr.DownloadButton("Download", visible="hidden", elem_id="models-file")
    _bind(context, Desk(memory, intake, problems, compare, one, other, table, cards, file), watch)


def _bind(context: Context, desk: Desk, watch: gr.HTML) -> None:
    """Connect events; most of them show everything again."""
    pair, shown = [desk.one, desk.other], {"outputs": desk.painted(), **arrivals.LOOK}
    for event, handler in (
        (desk.cards.warm, on_warm), (desk.cards.cool, on_cool), (desk.memory.cool, on_cool),
        (desk.memory.limit, on_limit), (desk.cards.rename, on_rename),
        (desk.cards.delete, on_delete), (desk.cards.restore, on_restore),
    ):  # fmt: skip
        event(heard(context, handler), pair, desk.painted(), **SLOW).failure(None, js=_FREE)
    desk.intake.take(heard(context, on_take), pair, [desk.intake, *desk.painted()], **SLOW).failure(
        None, js=_FREE
    )
    desk.cards.export(
        heard(context, on_export), None, desk.file, **{**SLOW, "show_progress": "minimal"}
    ).success(None, js=download("models-file"))
    desk.cards.compare(
        heard(context, on_pick), pair, [desk.compare, *pair, desk.table], **arrivals.LOOK
    ).success(None, pair, js=_TO_TABLE)
    for picker in pair:
        picker.input(guarded(context, on_compare), pair, desk.table, **arrivals.LOOK)
    watch.changed(guarded(context, paint), pair, **shown)
    tab = gr.context.Context.block
    if isinstance(tab, gr.Tab):
        tab.select(guarded(context, paint), pair, **shown)


def paint(context: Context, *pair: str | None, undo: Mapping[str, str] | None = None) -> list[Any]:
    """Return the values of ``Desk.painted``, read from disk and from the cache.

    Args:
        context: The shared context.
        pair: What is compared with what; None where nothing is chosen.
        undo: What was just deleted, with its ``key`` and ``name``.
    """
    items, roll = shelf.entries(context), arrivals.Roll(context, context.store.names())
    now = tuple(roll.same(name or "") or None for name in pair)
    value = {
        "cards": items,
        "deleted": shelf.deleted(),
        "undo": undo or {},
        "empty": "" if items else NOTHING,
    }
    return [
        shelf.memory(context),
        shelf.problems(context),
        *_pickers(context, *now),
        # Painted again, its folds would close.
        gr.skip() if now == pair else on_compare(context, *now),
        value,
    ]


def _pickers(context: Context, *pair: str | None) -> list[gr.Dropdown]:
    offered = method_choices(shelf.cards(context))
    return [gr.Dropdown(offered, value=name) for name in pair]


def on_sheet(context: Context, event: Event) -> dict[str, str]:
    """Return a checkpoint's sample sheet."""
    return {"src": shelf.sheet(context, context.store.card(str(event["name"]))).source}


def on_warm(context: Context, event: Event, *pair: str | None) -> list[Any]:
    """Load a checkpoint."""
    context.models.get(str(event["name"]))
    return paint(context, *pair)


def on_cool(context: Context, event: Event, *pair: str | None) -> list[Any]:
    """Give a checkpoint's memory back."""
    context.models.unload(str(event["name"]))
    return paint(context, *pair)


def on_limit(context: Context, event: Event, *pair: str | None) -> list[Any]:
    """Keep fewer or more models loaded."""
    megabytes = int(event["megabytes"])
    if megabytes < 1:
        raise ConfigError(f"The limit is 1 MB or more, not {megabytes}.")
    context.models.limit = megabytes * shelf.MEGABYTE
    return paint(context, *pair)


def on_take(context: Context, event: Event, *pair: str | None) -> list[Any]:
    """Take an uploaded checkpoint in; what is wrong with it stands where it was dropped."""
    name, size = str(event.get("name") or "The file"), int(event.get("bytes") or 0)
    try:
        if size > MOST_BYTES:
            raise ConfigError(
                f"{name} is larger than {shelf.megabytes(MOST_BYTES)}; import it on the machine "
                f"itself, with latent-studio models import."
            )
        answer = {"told": f"{shelf.take_in(context, event.get('path'))} is among your models now."}
    except StudioError as error:
        answer = {"problem": str(error)}
    return [{"most": MOST_BYTES, **answer}, *paint(context, *pair)]


def on_export(context: Context, event: Event) -> Any:
    """Pack a checkpoint and offer it for download."""
    name = str(event["name"])
    return gr.DownloadButton(value=str(exchange.pack(context.store, name, new_file(f"{name}.zip"))))


def on_rename(context: Context, event: Event, *pair: str | None) -> list[Any]:
    """Give a checkpoint another tag."""
    shelf.rename(context, str(event["name"]), str(event["tag"]).strip())
    return paint(context, *pair)


def on_delete(context: Context, event: Event, *pair: str | None) -> list[Any]:
    """Put a checkpoint into the trash and offer to take that back."""
    gone = shelf.delete(context, str(event["name"]))
    return paint(context, *pair, undo={"key": gone.key, "name": gone.name})


def on_restore(context: Context, event: Event, *pair: str | None) -> list[Any]:
    """Get a deleted checkpoint back."""
    shelf.restore(context, str(event["key"]))
    return paint(context, *pair)


def on_pick(context: Context, event: Event, one: str | None, other: str | None) -> list[Any]:
    """Take a card as the first of two to compare, or as the second."""
    name = str(event["name"])
    if not one or (other and name != one):
        one, other = name, None
        gr.Info(
            f"Now press Compare on the card of another model to compare {name} with.", duration=5
        )
    elif name != one:
        other = name
    pickers = _pickers(context, one, other)
    return [gr.Accordion(open=True), *pickers, on_compare(context, one, other)]


def on_compare(context: Context, *pair: str | None) -> str:
    """Show two cards side by side, once both are chosen."""
    return shelf.comparison(context, [name for name in pair if name])
