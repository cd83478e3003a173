"""The models tab: every checkpoint with what it does, how well, where from, and its memory."""

import html
from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio import images
from studio.checkpoints import SAMPLES, Card
from studio.errors import ImageError
from studio.methods.base import Operation
from studio.ui.components import bare_object, data_uri, scripted
from studio.ui.context import Context
from studio.ui.guard import guarded, heard

_SAMPLES_SIDE = 900
# Name on the card: what a person reads, its form, and how to read it.
_READINGS: dict[str, tuple[str, str, str]] = {
    "swap_success": (
        "Object arrives", "share",
        "How often the object is recognized after a swap, as a share of how often it is in real "
        "photographs. 95 % or more is good.",
    ),
    "removed": (
        "Object gone", "share", "How often nothing is left after a removal. 95 % or more is good.",
    ),
    "monotonic": (
        "Strength obeys", "share",
        "How often more strength means more of the object. 95 % or more is good.",
    ),
    "kept_reconstruction": (
        "Rest stays", "share",
        "How often everything else keeps its label in a swap. 95 % or more is good.",
    ),
    "psnr": (
        "Reproduction", "dB",
        "How closely an unedited picture is redrawn. 25 dB is fair, 28 dB good, 32 dB excellent.",
    ),
    "crosses": (
        "Sliders arrive", "share",
        "How often a slider at its other end is recognized as such. 80 % or more is good.",
    ),
    "held_change_of_others": (
        "Others move, when held", "correlation",
        "Mean change of the other attributes' probabilities. Under 0.06 is good.",
    ),
    "shown": (
        "Asked-for attributes shown", "share",
        "In generated faces, as a share of how well they are read off photographs. 95 % is good.",
    ),
    "kind_accuracy": ("Kind of glasses kept", "share", "How often round glasses stay round."),
    "smile_correlation": (
        "Smile follows the donor", "correlation", "1 is perfect, 0 no relation. 0.9 is good.",
    ),
    "light_correlation": (
        "Light follows the donor", "correlation", "1 is perfect, 0 no relation. 0.9 is good.",
    ),
    "accuracy": (
        "Attributes read right", "share", "Mean over the attributes; 90 % is usual on CelebA.",
    ),
    "verification_auc": (
        "Tells people apart", "correlation", "1 is perfect, 0.5 is guessing.",
    ),
    "eye_error_median": (
        "Eyes off by", "share", "Of the distance between the eyes, in the median. 4 % is good.",
    ),
}  # fmt: skip


def build(context: Context) -> None:
    """Lay the tab out and bind its events."""
    memory = gr.HTML(apply_default_css=False)
    problems = gr.HTML(apply_default_css=False)
    # Events: ``warm`` and ``cool``, each with a name.
    cards = scripted("ls-models", "models.js", elem_id="models")
    shown: dict[str, Any] = {
        "outputs": [memory, problems, cards],
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    tab = gr.context.Context.block
    if isinstance(tab, gr.Tab):
        tab.select(guarded(context, on_show), None, **shown)
    cards.warm(heard(context, on_warm), None, **shown)
    cards.cool(heard(context, on_cool), None, **shown)


def on_show(context: Context) -> list[Any]:
    """Read the cards from disk and the memory from the cache."""
    warm = context.models.warm()
    # What edits comes first, the measuring instruments last.
    cards = sorted(
        context.store.cards(), key=lambda card: Operation.EVALUATE in card.entry.operations
    )
    entries = [_entry(context, card, warm) for card in cards]
    problems = "".join(
        f'<p class="ls-problem">{html.escape(problem)}</p>' for problem in context.store.problems()
    )
    return [_memory_line(context, warm, len(entries)), problems, {"cards": entries}]


def on_warm(context: Context, event: Mapping[str, Any]) -> list[Any]:
    """Load a checkpoint."""
    context.models.get(str(event["name"]))
    return on_show(context)


def on_cool(context: Context, event: Mapping[str, Any]) -> list[Any]:
    """Give a checkpoint's memory back."""
    context.models.unload(str(event["name"]))
    return on_show(context)


def _memory_line(context: Context, warm: Mapping[str, int], count: int) -> str:
    device = {"cpu": "the processor's memory"}.get(context.models.device.type, "the graphics card")
    if count == 0:
        words = (
            "There is no checkpoint yet. Train one with latent-studio train, or copy a "
            "checkpoint's folder into checkpoints/, then open this tab again."
        )
    else:
        words = (
            f"{len(warm)} of {count} checkpoints loaded, {_megabytes(sum(warm.values()))} of at "
            f"most {_megabytes(context.models.limit)} in {device}. Models load when they are used."
        )
    return f'<p class="ls-note ls-memory">{html.escape(words)}</p>'


def _megabytes(count: int) -> str:
    return f"{count / 2**20:.0f} MB" if count >= 10 * 2**20 else f"{count / 2**20:.1f} MB"


def _entry(context: Context, card: Card, warm: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": card.name,
        "title": _title(card),
        "line": card.entry.summary,
        "state": f"loaded, {_megabytes(warm[card.name])}" if card.name in warm else "not loaded",
        "warm": card.name in warm,
        "samples": _samples(context, card),
        "metrics": [
            [label, _value(card.metrics[name], form), help_text]
            for name, (label, form, help_text) in _READINGS.items()
            if name in card.metrics
        ],
        "more": [
            [name.replace("_", " "), f"{value:.4g}", ""]
            for name, value in card.metrics.items()
            if name not in _READINGS
        ],
        "facts": _facts(card),
    }


def _title(card: Card) -> str:
    if Operation.SWAP in card.entry.operations:
        return bare_object(card).capitalize()
    return card.entry.title


def _value(value: float, form: str) -> str:
    return {"share": f"{value:.1%}", "dB": f"{value:.1f} dB"}.get(form, f"{value:.2f}")


def _facts(card: Card) -> list[list[str]]:
    training = card.training
    minutes = training.get("total_minutes", training.get("minutes"))
    steps, device = training.get("total_steps", card.step), training.get("device", "")
    facts = {
        "Name": card.name,
        "Method": card.entry.citation,
        "Sees": f"{card.spec.size} × {card.spec.size} pixels",  # noqa: RUF001
        "Trained on": card.data_set,
        "Steps": f"{steps:,}" if steps else "",
        "Time": f"{minutes:.0f} minutes on {device}" if minutes else "",
        "Started from": card.parent,
        "Terms": card.terms,
        "Repeat": card.command,
    }
    return [[name, value] for name, value in facts.items() if value]


def _samples(context: Context, card: Card) -> str:
    """Return the sample sheet as a data URI; empty where there is none that can be shown."""
    path = context.store.folder(card.name) / SAMPLES
    if not path.is_file():
        return ""
    try:
        return context.memory.get(
            ("samples", str(path), path.stat().st_mtime_ns),
            lambda: data_uri(images.fit(images.read_photo(path).pixels, _SAMPLES_SIDE)),
            len,
        )
    except ImageError:
        # A card without its picture says more than no card.
        return ""
