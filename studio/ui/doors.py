"""Doors between tabs: how a picture goes from one tab into another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.ui.context import Context
from studio.ui.draft import Seat
from studio.ui.guard import guarded
from studio.ui.repaint import SLOW


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


def connect(
    context: Context,
    component: gr.HTML,
    doors: Mapping[str, Door],
    tabs: gr.Tabs,
    carry: Callable[..., tuple[str, list[Seat]]],
) -> None:
    """Let a component's events ``open_swap`` and the like put pictures into other tabs.

    Args:
        context: The shared context.
        component: Whose events these are.
        doors: By tab.
        tabs: All tabs; the one that pictures went to is shown.
        carry: Takes the context and the event's data; returns a checkpoint and the pictures.
    """
    for name, door in doors.items():
        getattr(component, f"open_{name}")(
            _entering(context, door, carry),
            [door.history],
            [tabs, door.history, *door.painted],
            **SLOW,
        ).success(None, js="() => window.scrollTo({ top: 0 })")


def _entering(
    context: Context, door: Door, carry: Callable[..., tuple[str, list[Seat]]]
) -> Callable[..., list[Any]]:
    def enter(event: gr.EventData, theirs: Any) -> list[Any]:
        def carried(context: Context) -> list[Any]:
            model, seats = carry(context, dict(event._data))
            return [gr.Tabs(selected=door.tab), *door.enter(context, theirs, seats, model)]

        return list(guarded(context, carried)())

    return enter
