"""What endpoints share: checks of plain values, uploads as faces, files as answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradio.events import api as endpoint

from studio import editing, images
from studio.editing import Encoded, Subject
from studio.errors import ConfigError, FaceError
from studio.faces.align import Alignment
from studio.faces.detect import find_faces
from studio.ui.context import Context
from studio.ui.guard import uploaded
from studio.ui.seats import new_file


def register(*functions: Callable[..., Any]) -> None:
    """Make functions endpoints of their own names; the API's calls wait for each other."""
    for function in functions:
        endpoint(function, api_name=function.__name__, concurrency_id="api", concurrency_limit=1)


def number(name: str, given: Any) -> float:
    """Check that a number was given."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ConfigError(f"{name} must be a number, not {given!r}.")
    return float(given)


def whole(name: str, given: Any) -> int:
    """Check that a whole number was given."""
    value = number(name, given)
    if not value.is_integer():
        raise ConfigError(f"{name} must be a whole number, not {given!r}.")
    return int(value)


def mapping(name: str, given: Any) -> dict[str, float]:
    """Check that numbers by name were given."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ConfigError(f"{name} are numbers by name, such as {{'Smiling': 1}}, not {given!r}.")
    wrong = [key for key, value in given.items() if not isinstance(value, int | float)]
    if wrong:
        raise ConfigError(f"{name} has {given[wrong[0]]!r} for {wrong[0]}; give a number.")
    return given


def listed(given: Any) -> list[Any]:
    """Take one thing for a list of one."""
    return given if isinstance(given, list) else [given]


def corners(context: Context, name: str, pictures: list[Any], aligned: bool) -> list[Encoded]:
    """Encode uploads with a checkpoint; arguments as for :func:`subject`."""
    faces = context.store.card(name).spec.shows_faces
    subjects = [subject(context, one, aligned or not faces) for one in pictures]
    return [
        editing.encode(context.models, name, one.photo.pixels, one.alignment) for one in subjects
    ]


def subject(context: Context, data: Any, aligned: bool) -> Subject:
    """Read an upload and align its largest face.

    Raises:
        ImageError: It is no upload, or no photograph.
        FaceError: It shows no face that can be trusted.
    """
    path = uploaded(data.get("path") if isinstance(data, dict) else None)
    photo = images.read_photo(Path(path))
    if aligned:
        height, width = photo.pixels.shape[:2]
        return Subject(photo, Alignment.whole(width, height))
    found = find_faces(photo.visible(), refine=context.refine)
    if not found:
        raise FaceError("No face was found in the photo; crop it and send it with aligned=true.")
    if not found[0].trusted:
        raise FaceError(f"{found[0].reason} Or send a crop with aligned=true.")
    return Subject(photo, found[0].alignment)


def replayed(
    context: Context, subjects: dict[str, Subject], step: dict[str, Any], output: str
) -> dict[str, Any]:
    """Carry out one step on photographs, by role; the answer carries the recipe."""
    recipe = editing.record(context.models, subjects, [step], output)
    made = editing.replay(context.models, recipe, subjects)
    path = new_file("result.png")
    images.save_png(path, made.pixels, alpha=made.alpha, icc=made.icc, text=made.text)
    return file_data(path)


def file_data(path: Path) -> dict[str, Any]:
    """Describe a file that was made among the uploads as an answer."""
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, "orig_name": path.name}
