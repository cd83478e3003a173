"""Pieces that tabs share: the photo's place, the stage, a row of pictures, the checkpoint picker.

The three pictorial ones are HTML components with a script of their own under ``assets``. Their
values are plain dictionaries, their pictures data URIs: what a visitor sees is in the answer to
that visitor and has no address that another could open.
"""

import base64
import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from studio import editing, images, paths
from studio.checkpoints import Card
from studio.images import Picture


def data_uri(picture: Picture, quality: int = 90) -> str:
    """Return a picture as a JPEG in a data URI."""
    return f"data:image/jpeg;base64,{_text(images.encode_jpeg(picture, quality))}"


def sharp_uri(picture: Picture) -> str:
    """Return a small picture as a PNG in a data URI, every pixel as it is."""
    return f"data:image/png;base64,{_text(images.encode_png(picture))}"


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


class Scripted(gr.HTML):
    """An empty element that its script fills from the component's value."""

    style = ""
    script = ""

    def __init__(self, value: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(
            value,
            html_template=f'<div class="{self.style}"></div>',
            js_on_load=(paths.ASSETS / self.script).read_text(encoding="utf-8"),
            apply_default_css=False,
            **options,
        )


class PhotoDrop(Scripted):
    """A place for a photograph with its crop.

    Events: ``photo`` (path, name, bytes), ``frame`` (x, y, side, angle in parts of the width),
    ``face`` (index), ``confirm``, ``whole``, ``remove``.
    """

    style, script = "ls-drop", "drop.js"


class Stage(Scripted):
    """The largest picture: the photograph with the changed part on top. Event: ``refresh``."""

    style, script = "ls-stage", "stage.js"


class Choices(Scripted):
    """Pictures of which one is chosen. Event: ``select`` (index)."""

    style, script = "ls-choices", "choices.js"


def checkpoint_label(card: Card) -> str:
    """Name a checkpoint by what it swaps, then by its folder."""
    return f"{bare_object(card).capitalize()} ({card.name})"


def bare_object(card: Card) -> str:
    """Return what a checkpoint swaps without an article: ``smile``."""
    return editing.object_name(card).removeprefix("a ")


def describe(card: Card) -> str:
    """Say in one line of HTML what a swapping checkpoint does."""
    trained = f" Trained on {card.data_set}." if card.data_set else ""
    return note(
        f"Moves {editing.object_name(card)} from one face to another, or takes it away. "
        f"Sees a face as {card.spec.size} × {card.spec.size} pixels.{trained}"  # noqa: RUF001
    )


def note(text: str) -> str:
    """Return a small paragraph of HTML; the text is escaped."""
    return f'<p class="ls-note">{html.escape(text)}</p>' if text else ""


def picker_choices(cards: Sequence[Card]) -> list[tuple[str, str]]:
    """Return labels and names for a dropdown of checkpoints."""
    return [(checkpoint_label(card), card.name) for card in cards]
