"""A tab's timeline on the page: every event turns it into the next one, and all is painted anew."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

import gradio as gr

from studio import paths
from studio.ui.context import Context
from studio.ui.draft import Timeline
from studio.ui.guard import told, who

T = TypeVar("T", bound=Timeline[Any])

# Options of an event that follows a hand, and of one that reads photographs or decodes a lot.
QUICK: Mapping[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_id": "interactive",
    "concurrency_limit": 1,
}
SLOW: Mapping[str, Any] = {**QUICK, "concurrency_id": "intake", "concurrency_limit": 2}


def binder(history: gr.State, painted: Sequence[Any]) -> Callable[..., Any]:
    """Return a function that binds an event to a handler which repaints the tab.

    Args:
        history: Of the visitor; each handler gets it first, and what the event sends after it.
        painted: The components that are filled, beside the history.
    """

    def on(event: Callable[..., Any], handler: Any, *inputs: Any, **options: Any) -> Any:
        return event(handler, [history, *inputs], [history, *painted], **{**QUICK, **options})

    return on


def repainting(paint: Callable[[Context, T], list[Any]]) -> Callable[..., Callable[..., list[Any]]]:
    """Return what makes a handler's history into everything that it changes on the page."""

    def painted(handler: Callable[..., T]) -> Callable[..., list[Any]]:
        def answer(context: Context, *values: Any) -> list[Any]:
            history = handler(context, *values)
            return [history, *paint(context, history)]

        answer.__name__ = handler.__name__
        return answer

    return painted


def followed(sliders: Any, history: gr.State, stage: Any, handler: Callable[..., Any]) -> None:
    """Let the stage follow sliders of ``sliders.js``: the latest place wins.

    Args:
        sliders: The component.
        history: Of the visitor.
        stage: The component that shows where the sliders lead.
        handler: Gets the event and the history, returns the next history and the stage's value.
    """
    sliders.slide(handler, history, [history, stage], trigger_mode="always_last", **QUICK)


def following(context: Context, handler: Callable[..., Generator[Any]]) -> Callable[..., Any]:
    """Return a handler for the page that shows one thing after another, guarded as others are."""

    def answer(*values: Any) -> Iterator[Any]:
        name = who()
        with closing(handler(context, *values)) as shown:
            while True:
                # Gradio may ask for each thing on another thread.
                with told(), paths.acting_for(name):
                    try:
                        value = next(shown)
                    except StopIteration:
                        return
                yield value

    answer.__name__ = handler.__name__
    return answer


def on_refresh(context: Context, history: T) -> T:
    """Show everything again."""
    return history


def on_undo(context: Context, history: T) -> T:
    """Take the last change back."""
    return history.undo()


def on_redo(context: Context, history: T) -> T:
    """Take the last undo back."""
    return history.redo()


def download(element: str) -> str:
    """Return the script that clicks a hidden download button once its file is there."""
    return f"""() => setTimeout(() => {{
  const saved = document.querySelector("#{element}");
  (saved.matches("a, button") ? saved : saved.querySelector("a, button")).click();
}}, 100)"""
