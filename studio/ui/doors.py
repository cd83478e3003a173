"""Doors between tabs: how a picture goes from one tab into another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.ui.context import Context
from studio.ui.draft import Seat
from studio.ui.guard import guarded


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


def entering(
    context: Context, door: Door, carry: Callable[..., tuple[str, list[Seat]]]
) -> Callable[..., list[Any]]:
    """Return a handler that puts pictures into another tab and goes there.

    Args:
        context: The shared context.
        door: Of that tab.
        carry: Takes the context and the event's data; returns a checkpoint and the pictures.

    Returns:
        The handler; it takes the door's history, and fills the tabs, that history and what the
        door paints.
    """

    def enter(event: gr.EventData, theirs: Any) -> list[Any]:
        def carried(context: Context) -> list[Any]:
            model, seats = carry(context, dict(event._data))
            return [gr.Tabs(selected=door.tab), *door.enter(context, theirs, seats, model)]

        return list(guarded(context, carried)())

    return enter
