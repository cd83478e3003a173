"""Pieces that tabs share: the photo's place, the stage, a row of pictures, the checkpoint picker.

The three pictorial ones are HTML components with a script of their own under ``assets``. Their
values are plain dictionaries, their pictures data URIs: what a visitor sees is in the answer to
that visitor and has no address that another could open.
"""

import base64
import html
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import gradio as gr
import numpy as np

from studio import editing, images, paths
from studio.checkpoints import Card
from studio.errors import DataError
from studio.images import Picture


def data_uri(picture: Picture, quality: int = 90) -> str:
    """Return a picture as a JPEG in a data URI."""
    return uri_of(images.encode_jpeg(picture, quality), "image/jpeg")


def sharp_uri(picture: Picture) -> str:
    """Return a small picture as a PNG in a data URI, every pixel as it is."""
    return uri_of(images.encode_png(picture), "image/png")


def uri_of(content: bytes, kind: str) -> str:
    """Return a file's bytes in a data URI of a kind such as ``image/png``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def photo_drop(**options: Any) -> gr.HTML:
    """Return a place for a photograph with its crop.

    Events: ``photo`` (path, name, bytes), ``frame`` (x, y, side, angle in parts of the width),
    ``face`` (index), ``confirm``, ``whole``, ``remove``.
    """
    return scripted("ls-drop", "drop.js", **options)


def stage(**options: Any) -> gr.HTML:
    """Return the largest picture, the photograph with the changed part on top.

    Event: ``refresh``, when it lost its photograph.
    """
    return scripted("ls-stage", "stage.js", **options)


def choices(value: dict[str, Any] | None = None, **options: Any) -> gr.HTML:
    """Return pictures of which one is chosen. Event: ``select`` (index)."""
    return scripted("ls-choices", "choices.js", value, **options)


def scripted(
    style: str, script: str, value: dict[str, Any] | None = None, **options: Any
) -> gr.HTML:
    """Return an empty element that a script fills from the component's value.

    A function and not a subclass of ``gr.HTML``, for which Gradio would write a stub file beside
    the module.

    Args:
        style: The element's class.
        script: Its file under ``assets``.
        value: To begin with.
        options: Of ``gr.HTML``.
    """
    return gr.HTML(
        value,
        html_template=f'<div class="{style}"></div>',
        js_on_load=(paths.ASSETS / script).read_text(encoding="utf-8"),
        apply_default_css=False,
        **options,
    )


def checkpoint_label(card: Card) -> str:
    """Name a checkpoint by what it swaps, then by its tag."""
    return f"{bare_object(card).capitalize()} · {card.name.partition('.')[2]}"


def bare_object(card: Card) -> str:
    """Return what a checkpoint swaps without an article: ``smile``."""
    return editing.object_name(card).removeprefix("a ")


def describe(card: Card) -> str:
    """Say in one line of HTML what a swapping checkpoint does."""
    trained = trained_on(card)
    return note(
        f"Puts {editing.object_name(card)} of one face on another; removes and blends too. "
        f"Sees a face as {card.spec.size} × {card.spec.size} pixels.{trained}"  # noqa: RUF001
    )


def method_label(card: Card) -> str:
    """Name a checkpoint by its method and its tag."""
    return f"{card.entry.title} · {card.name.partition('.')[2]}"


def method_choices(cards: Sequence[Card]) -> list[tuple[str, str]]:
    """Return such labels and names for a dropdown of checkpoints."""
    return [(method_label(card), card.name) for card in cards]


def trained_on(card: Card) -> str:
    """Say what a checkpoint was trained on, as a sentence that follows another; or nothing."""
    return f" Trained on {card.data_set}." if card.data_set else ""


def note(text: str) -> str:
    """Return a small paragraph of HTML; the text is escaped."""
    return f'<p class="ls-note">{html.escape(text)}</p>' if text else ""


def problem(text: str) -> str:
    """Return what went wrong, as HTML that is read out."""
    return f'<p class="ls-problem" role="alert">{html.escape(text)}</p>'


def progress(done: int, total: int, words: str) -> str:
    """Return how far work is, as HTML; without a total there is no bar."""
    bar = f'<progress class="ls-progress" max="{total}" value="{done}"></progress>'
    return f"{bar if total else ''}{note(words)}"


def picker_choices(cards: Sequence[Card]) -> list[tuple[str, str]]:
    """Return labels and names for a dropdown of checkpoints."""
    return [(checkpoint_label(card), card.name) for card in cards]


def contact_sheet(rows: Sequence[int], size: int, read: Callable[[int], Picture]) -> Picture:
    """Return pictures on one sheet, row by row; one that cannot be read is grey.

    Args:
        rows: Of the pictures.
        size: Height and width of each on the sheet.
        read: Returns the (size, size, 3) picture of a row.
    """
    columns = sheet_columns(len(rows))
    sheet = np.full((-(-len(rows) // columns) * size, columns * size, 3), 127, np.uint8)
    for number, row in enumerate(rows):
        top, left = number // columns * size, number % columns * size
        with suppress(DataError):
            sheet[top : top + size, left : left + size] = read(row)
    return sheet


def sheet_columns(count: int) -> int:
    """Return the columns of a sheet of so many pictures, which has about as many rows."""
    return max(1, math.ceil(math.sqrt(count)))


def sources_fold() -> gr.Accordion:
    """Return the frame around the sources: on a phone they fold away, elsewhere it is invisible."""
    return gr.Accordion("Photos", open=True, elem_classes="ls-fold")
