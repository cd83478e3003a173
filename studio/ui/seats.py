"""A photograph's place on the page: the events that every tab with photographs answers alike."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.utils import get_upload_folder

from studio import images
from studio.data.folder import DataSet
from studio.errors import DataError, ImageError, RecipeError, StudioError
from studio.faces.align import Alignment
from studio.images import MAX_BYTES, Photo, Picture
from studio.ui import bench
from studio.ui.context import Context
from studio.ui.draft import Seat, Timeline
from studio.ui.guard import guarded, heard, uploaded

Event = Mapping[str, Any]
Handler = Callable[..., Any]
T = TypeVar("T", bound=Timeline[Any])

# Pictures of a data set are opened at this side at least.
SEATED = 256
# A refused file changes nothing on the server, so the place is freed here.
_FREE = "() => document.querySelectorAll('.ls-drop').forEach((one) => delete one.dataset.busy)"


def bind(
    context: Context,
    drops: Mapping[str, gr.HTML],
    on: Callable[..., Any],
    painted: Callable[[Handler], Handler],
    on_photo: Handler,
    slow: Mapping[str, Any],
) -> None:
    """Connect the events of places for photographs.

    Args:
        context: The shared context.
        drops: Made by ``photo_drop``, by role.
        on: Binds an event of the tab to a handler.
        painted: Makes a handler's history into everything that the tab shows.
        on_photo: Takes an uploaded photograph.
        slow: Options of events that read a photograph.
    """
    for role, drop in drops.items():
        taken = on(drop.photo, heard(context, painted(on_photo), role), **slow)
        taken.failure(None, js=_FREE)
        on(drop.face, heard(context, painted(on_face), role))
        on(drop.frame, heard(context, painted(on_frame), role), trigger_mode="always_last")
        for event, handler in (("confirm", on_confirm), ("whole", on_whole), ("remove", on_remove)):
            on(getattr(drop, event), guarded(context, painted(handler), role))


def received(event: Event) -> str:
    """Return the uploaded file of an event.

    Raises:
        ImageError: It was too large to be sent, or is no upload.
    """
    if not event.get("path") and int(event.get("bytes") or 0) > MAX_BYTES:
        raise ImageError(
            f"{event.get('name', 'The file')} is larger than {MAX_BYTES // 2**20} MB; save it as "
            "a JPEG or at a smaller size and choose that."
        )
    return uploaded(event.get("path"))


def kept(photo: Photo, name: str) -> Path:
    """Write a photograph where uploads are, for this visitor alone."""
    path = new_file(f"{name}.png")
    images.save_png(path, photo.pixels, alpha=photo.alpha, icc=photo.icc)
    return path


def whole_seat(path: str, photo: Photo, name: str) -> Seat:
    """Seat a picture as the crop that it is; nobody looks for faces in it."""
    height, width = photo.pixels.shape[:2]
    whole = Alignment.whole(width, height)
    return Seat(path, name, width, height, whole, detected=False)


def seat_picture(picture: Picture, name: str) -> Seat:
    """Seat a picture that is no photograph, as the crop that it is."""
    photo = Photo(picture)
    return whole_seat(str(kept(photo, name)), photo, name)


def seat_row(data: DataSet, row: int) -> Seat:
    """Seat a picture of a data set as the crop that it is.

    Raises:
        DataError: It cannot be read any more.
    """
    name = data.files[row]
    try:
        content = data.source.read(name)
        height, width = images.read_photo(content).pixels.shape[:2]
        picture = data.decode(content, min(max(SEATED, min(height, width)), 1024))
    except (OSError, ValueError, StudioError) as error:
        raise DataError(
            f"{name} of {data.name} cannot be read any more; check the data set again."
        ) from error
    return seat_picture(picture, Path(name).stem)


def new_file(name: str) -> Path:
    """Return a path of that name in a new folder among the uploads."""
    folder = Path(get_upload_folder()) / uuid.uuid4().hex
    folder.mkdir(parents=True)
    return folder / name


def on_face(context: Context, role: str, event: Event, history: T) -> T:
    """Take another of the faces that were found."""
    seat = _seated(history, role)
    return _reseated(history, role, bench.choose_face(context, seat, int(event["index"])))


def on_frame(context: Context, role: str, event: Event, history: T) -> T:
    """Take the crop that was set by hand."""
    seat = _seated(history, role)
    side = float(event["side"]) * seat.width
    x, y = float(event["x"]) * seat.width, float(event["y"]) * seat.width
    alignment = Alignment.from_box(x - side / 2, y - side / 2, side, float(event["angle"]))
    return _reseated(history, role, replace(seat, alignment=alignment, doubt="", face=-1))


def on_whole(context: Context, role: str, history: T) -> T:
    """Take the picture as an aligned crop."""
    seat = _seated(history, role)
    alignment = Alignment.whole(seat.width, seat.height)
    return _reseated(history, role, replace(seat, alignment=alignment, doubt="", face=-1))


def on_confirm(context: Context, role: str, history: T) -> T:
    """Use the crop that is there although it was doubted."""
    return _reseated(history, role, replace(_seated(history, role), doubt=""))


def on_remove(context: Context, role: str, history: T) -> T:
    """Take a photograph away."""
    return _reseated(history, role, None)


def _seated(history: Timeline[Any], role: str) -> Seat:
    if role not in history.present.seats:
        raise RecipeError("There is no photo here yet; add one first.")
    seat: Seat = history.present.seats[role]
    return seat


def _reseated(history: T, role: str, seat: Seat | None) -> T:
    return history.then(history.present.seat(role, seat))
