"""Doors between tabs: how a picture goes from one tab into another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.ui.draft import Seat


@dataclass(frozen=True, eq=False)
class Door:
    """Where pictures come into a tab.

    Attributes:
        tab: Its ``id``.
        history: The visitor's state of it.
        painted: The components that it fills.
        enter: Takes the context, the history, the pictures and the checkpoint that they come with;
            returns the next history and the values of ``painted``.
    """

    tab: str
    history: gr.State
    painted: Sequence[Any]
    enter: Callable[[Any, Any, Sequence[Seat], str], list[Any]]
