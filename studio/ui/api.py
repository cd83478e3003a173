"""The HTTP API: named endpoints that keep nothing between calls.

Pictures come as uploads (``/gradio_api/upload``, or ``gradio_client.handle_file``); any other path
is refused. ``--auth`` protects these endpoints as it does the page.
"""

import uuid
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api as endpoint
from gradio.utils import get_upload_folder

from studio import editing, images
from studio.editing import Subject
from studio.errors import CheckpointError, FaceError
from studio.faces.align import Alignment
from studio.faces.detect import find_faces
from studio.ui.context import Context
from studio.ui.guard import guarded, uploaded

LONG = "api"


def build(context: Context) -> None:
    """Register ``/swap`` and ``/remove``."""

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

    swapped, removed = guarded(context, on_swap), guarded(context, on_remove)
    endpoint(swap, api_name="swap", concurrency_id=LONG, concurrency_limit=1)
    endpoint(remove, api_name="remove", concurrency_id=LONG, concurrency_limit=1)


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
    folder = Path(get_upload_folder()) / uuid.uuid4().hex
    folder.mkdir(parents=True)
    path = folder / "result.png"
    images.save_png(path, made.pixels, alpha=made.alpha, icc=made.icc, text=made.text)
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, "orig_name": path.name}
