"""Checkpoints come and go while a page is open; its pickers learn of it, what is set up stays.

Jobs, the command line and other visitors make, rename and delete checkpoints. A script of the page
asks every few seconds whether any did; only then do tabs look at the store again, those of one
visitor and not of all. A script and no ``gr.Timer``, whose every tick would pass through the queue.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import gradio as gr

from studio.recipes import Step
from studio.ui.components import scripted
from studio.ui.context import Context
from studio.ui.draft import Timeline
from studio.ui.guard import beside, guarded
from studio.ui.repaint import QUICK

T = TypeVar("T", bound=Timeline[Any])
# From a draft to one that can be shown, and a sentence about what was lost, if anything was.
Heal = Callable[[Any], tuple[Any, str]]

# Looking at the store must not wait for a model, nor a model for it.
LOOK: Mapping[str, Any] = {**QUICK, "concurrency_id": "arrivals", "concurrency_limit": 2}


def watch(context: Context) -> gr.HTML:
    """Return what tells the page. Event: ``changed``, whenever any checkpoint came or went."""
    return scripted(
        "ls-watch",
        "watch.js",
        elem_classes="ls-unseen",
        server_functions=[beside(context, on_look)],
    )


def on_look(context: Context, asked: Any) -> dict[str, str]:
    """Say what is there, as a text to compare."""
    del asked
    return {"seen": context.notice()}


def follow(
    events: Iterable[Callable[..., Any]],
    context: Context,
    history: gr.State,
    painted: Sequence[Any],
    pickers: Sequence[Any],
    *,
    heal: Callable[[Context], Heal],
    paint: Callable[[Context, Any], list[Any]],
    choices: Callable[[Context, Any], Iterable[Any]],
) -> None:
    """Let a tab's pickers offer what there is, and the tab go on without what is gone.

    Args:
        events: Each is a reason to look: that of :func:`watch`, the tab's being opened.
        context: The shared context.
        history: Of the visitor.
        painted: What ``paint`` fills.
        pickers: Those of ``painted`` that offer checkpoints.
        heal: Returns what takes checkpoints that are gone out of a draft.
        paint: Returns the values of ``painted`` for a history.
        choices: Returns the values of ``pickers`` for a history; they set no choice.
    """

    def on_change(context: Context, present: Any) -> dict[Any, Any]:
        mended = mend(present, heal(context))
        if mended.present == present.present:
            return dict(zip(pickers, choices(context, present), strict=True))
        return dict(zip([history, *painted], [mended, *paint(context, mended)], strict=True))

    for event in events:
        event(guarded(context, on_change), [history], [history, *painted], **LOOK)


def mend(history: T, heal: Heal) -> T:
    """Return a history without checkpoints that are gone, and tell the visitor what was lost."""
    _, words = heal(history.present)
    if words:
        gr.Warning(words)
    return history.mended(lambda draft: heal(draft)[0])


@dataclass(frozen=True)
class Roll:
    """Which checkpoints a tab can choose, against what was chosen before.

    Attributes:
        context: The shared context.
        names: Those that there are, in the order of preference.
    """

    context: Context
    names: Sequence[str]

    def same(self, name: str) -> str:
        """Return what a checkpoint is called now; empty where it is gone."""
        possible = (name, self.context.called(name))
        return next((one for one in possible if one in self.names), "")

    def instead(self, name: str) -> tuple[str, str]:
        """Return the same checkpoint or another one, and a sentence where it is another.

        Where none was chosen yet none is: tabs choose their first when they are opened.
        """
        now = self.same(name)
        if now or not name:
            return now, ""
        other = next(iter(self.names), "")
        if not other:
            return "", f"{name} was deleted, and there is no other model for this tab."
        return other, f"{name} was deleted or renamed; {other} takes its place here."

    def applied(self, steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], str]:
        """Return applied steps, or none and a sentence where one cannot be made any more."""
        now = [self.same(step.checkpoint) for step in steps]
        if not all(now):
            gone = steps[now.index("")].checkpoint
            return (), f"{gone} was deleted, and what it had changed for good is not in the photo."
        return tuple(
            replace(step, checkpoint=name) for step, name in zip(steps, now, strict=True)
        ), ""
