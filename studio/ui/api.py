"""The HTTP API: named endpoints that keep nothing between calls.

Pictures come as uploads (``/gradio_api/upload``, or ``gradio_client.handle_file``); any other path
is refused. ``--auth`` protects these endpoints as it does the page.
"""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api as endpoint

from studio import editing, images
from studio.editing import Encoded, Subject
from studio.errors import CheckpointError, ConfigError, FaceError
from studio.faces.align import Alignment
from studio.faces.detect import find_faces
from studio.interpolation import CROSS_FADE, Style, check, compare, write
from studio.ui.context import Context
from studio.ui.guard import guarded, uploaded
from studio.ui.seats import new_file

LONG = "api"


def build(context: Context) -> None:
    """Register ``/swap``, ``/remove`` and ``/interpolate``."""

    def swap(
        receiver: gr.FileData,
        donor: gr.FileData,
        checkpoint: str,
        strength: float = 1.0,
        aligned: bool = False,
        output: str = "full",
    ) -> gr.FileData:
        """Put the donor's object into the receiver's photograph; returns a PNG with its recipe."""
        return swapped(receiver, donor, checkpoint, strength, aligned, output)

    def remove(
        receiver: gr.FileData, checkpoint: str, aligned: bool = False, output: str = "full"
    ) -> gr.FileData:
        """Take the object out of a photograph; returns a PNG with its recipe."""
        return removed(receiver, checkpoint, aligned, output)

    def interpolate(
        pictures: list[gr.FileData],
        checkpoints: list[str],
        layout: str = "strip",
        path: str = "linear",
        frames: int = 9,
        format: str = "png",
        size: int = 0,
        ease: str = "linear",
        ping_pong: bool = False,
        cross_fade: bool = False,
        aligned: bool = False,
    ) -> tuple[gr.FileData, dict[str, dict[str, float]]]:
        """Show what lies between pictures; returns a file and how admissible each path is."""
        style = (frames, path, layout, size, ease, ping_pong)
        return walked(pictures, checkpoints, style, format, cross_fade, aligned)

    swapped, removed = guarded(context, on_swap), guarded(context, on_remove)
    walked = guarded(context, on_interpolate)
    endpoint(swap, api_name="swap", concurrency_id=LONG, concurrency_limit=1)
    endpoint(remove, api_name="remove", concurrency_id=LONG, concurrency_limit=1)
    endpoint(interpolate, api_name="interpolate", concurrency_id=LONG, concurrency_limit=1)


def on_swap(
    context: Context,
    receiver: Any,
    donor: Any,
    checkpoint: str,
    strength: float,
    aligned: bool,
    output: str,
) -> dict[str, Any]:
    """Carry out a swap of two uploads."""
    subjects = {
        "receiver": _subject(context, receiver, aligned),
        "donor": _subject(context, donor, aligned),
    }
    step = {"kind": "swap", "donors": ("donor",), "strength": float(strength)}
    return _result(context, subjects, {**step, "checkpoint": checkpoint}, output)


def on_remove(
    context: Context, receiver: Any, checkpoint: str, aligned: bool, output: str
) -> dict[str, Any]:
    """Carry out a removal in an upload."""
    subjects = {"receiver": _subject(context, receiver, aligned)}
    return _result(context, subjects, {"kind": "remove", "checkpoint": checkpoint}, output)


def on_interpolate(
    context: Context,
    pictures: Any,
    checkpoints: Any,
    style: tuple[Any, ...],
    format: str,
    cross_fade: bool,
    aligned: bool,
) -> list[Any]:
    """Write an interpolation of uploads, and measure it."""
    frames, path, layout, size, ease, ping_pong = style
    if layout not in ("strip", "grid"):
        raise ConfigError(f"The layout is strip or grid, not {layout!r}.")
    grid = layout == "grid"
    written = Style(int(frames), str(path), grid, int(size), str(ease), bool(ping_pong))
    names = [str(name) for name in _listed(checkpoints)]
    target = new_file(f"result.{format}" if format.isalnum() else "result")
    check(context.models, names, len(_listed(pictures)), written, target)
    rows = {name: _corners(context, name, _listed(pictures), aligned) for name in names}
    quality = compare(context.models, rows, written.kind)
    if cross_fade:
        rows[CROSS_FADE] = rows[names[0]]
    write(context.models, rows, written, target)
    return [_file(target), {name: found.to_dict() for name, found in quality.items()}]


def _listed(given: Any) -> list[Any]:
    """Take one thing for a list of one."""
    return given if isinstance(given, list) else [given]


def _corners(context: Context, name: str, pictures: list[Any], aligned: bool) -> list[Encoded]:
    faces = context.store.card(name).spec.shows_faces
    subjects = [_subject(context, one, aligned or not faces) for one in pictures]
    return [
        editing.encode(context.models, name, one.photo.pixels, one.alignment) for one in subjects
    ]


def _subject(context: Context, data: Any, aligned: bool) -> Subject:
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


def _result(
    context: Context, subjects: dict[str, Subject], step: dict[str, Any], output: str
) -> dict[str, Any]:
    if step["checkpoint"] not in context.swappers():
        known = ", ".join(context.swappers()) or "none"
        raise CheckpointError(
            f"There is no checkpoint {step['checkpoint']!r} that can swap; there are {known}."
        )
    recipe = editing.record(context.models, subjects, [step], output)
    made = editing.replay(context.models, recipe, subjects)
    path = new_file("result.png")
    images.save_png(path, made.pixels, alpha=made.alpha, icc=made.icc, text=made.text)
    return _file(path)


def _file(path: Path) -> dict[str, Any]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, "orig_name": path.name}
