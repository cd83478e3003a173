"""Between the page and the services: who asks, and a mistake that becomes one sentence."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from gradio.utils import get_upload_folder

from studio import paths
from studio.errors import ConfigError, ImageError, StudioError
from studio.images import EXPECTED
from studio.ui.context import Context

Handler = Callable[..., Any]
# A user's name is the name of a folder, too.
_USER_NAME = re.compile(r"[A-Za-z0-9_@-][A-Za-z0-9_.@-]{0,63}")


def check_user(name: str) -> str:
    """Return a user's name.

    Raises:
        ConfigError: It is none that a folder can have.
    """
    if not _USER_NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no user name; it has letters, digits, -, _, @ and dots, 64 at most."
        )
    return name


def who() -> str:
    """Return the name of the user whose event is answered; empty where nobody logs in."""
    request: Any = LocalContext.request.get(None)
    if request is None:
        return ""
    if isinstance(request, gr.Request):
        return str(request.username or "")
    # What a script asks beside the queue comes as the bare request.
    app, found = request.app, request.cookies
    names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    token = next((found[name] for name in names if found.get(name)), None)
    return str(app.tokens.get(token) or "")


@contextmanager
def told() -> Iterator[None]:
    """Let the page show what a person did wrong inside, as one sentence."""
    try:
        yield
    except StudioError as error:
        raise gr.Error(
            str(error), title="That did not work", duration=12, print_exception=False
        ) from error


def guarded(context: Context, handler: Handler, *fixed: Any) -> Handler:
    """Return a handler for the page that shows what a person did wrong.

    Args:
        context: Given to the handler first.
        handler: May raise ``StudioError``; nothing on the page changes then.
        fixed: Given to the handler next, before what the page sends.
    """

    def answer(*values: Any) -> Any:
        with told(), paths.acting_for(who()):
            return handler(context, *fixed, *values)

    answer.__name__ = handler.__name__
    return answer


def heard(context: Context, handler: Handler, *fixed: Any) -> Handler:
    """Return a guarded handler whose first value is the event's data, a plain dictionary."""
    answer = guarded(context, handler, *fixed)

    def listen(event: gr.EventData, *values: Any) -> Any:
        return answer(dict(event._data), *values)

    listen.__name__ = handler.__name__
    return listen


def beside(context: Context, handler: Callable[[Context, Any], Any]) -> Handler:
    """Return a handler for what a component's script asks beside the queue.

    What went wrong is in the answer: an exception would reach the script as nothing at all.

    Args:
        context: Given to the handler first.
        handler: Takes the script's dictionary and returns another one, or nothing.
    """

    def answer(data: dict[str, Any]) -> dict[str, Any]:
        try:
            with paths.acting_for(who()):
                return handler(context, data) or {}
        except StudioError as error:
            return {"error": str(error)}
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"The page asked for something that is not there: {error}."}

    answer.__name__ = handler.__name__
    return answer


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
