"""Between the page and the services: a person's mistake becomes one sentence on the screen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from studio.errors import ImageError, StudioError
from studio.images import EXPECTED
from studio.ui.context import Context

Handler = Callable[..., Any]


def guarded(context: Context, handler: Handler, *fixed: Any) -> Handler:
    """Return a handler for the page that shows what a person did wrong.

    Args:
        context: Given to the handler first.
        handler: May raise ``StudioError``; nothing on the page changes then.
        fixed: Given to the handler next, before what the page sends.
    """

    def answer(*values: Any) -> Any:
        try:
            return handler(context, *fixed, *values)
        except StudioError as error:
            raise gr.Error(
                str(error), title="That did not work", duration=12, print_exception=False
            ) from error

    answer.__name__ = handler.__name__
    return answer


def heard(context: Context, handler: Handler, *fixed: Any) -> Handler:
    """Return a guarded handler whose first value is the event's data, a plain dictionary."""
    answer = guarded(context, handler, *fixed)

    def listen(event: gr.EventData, *values: Any) -> Any:
        return answer(dict(event._data), *values)

    listen.__name__ = handler.__name__
    return listen


def uploaded(path: object) -> str:
    """Check that a path which came from outside is an uploaded file.

    Raises:
        ImageError: It is anything else, such as a file of the server's own.
    """
    folder = Path(get_upload_folder()).resolve()
    file = Path(str(path)).resolve()
    if not path or not file.is_relative_to(folder) or not file.is_file():
        raise ImageError(f"No uploaded file was received; upload {EXPECTED}.")
    return str(file)
