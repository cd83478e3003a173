"""Endpoints that edit, make and measure pictures: what Swap, Attributes and Interpolate do."""

from typing import Any

import gradio as gr

from studio import editing, images
from studio.editing import Subject
from studio.errors import CheckpointError, ConfigError
from studio.interpolation import CROSS_FADE, Style, check, compare, write
from studio.ui.api.base import (
    corners,
    file_data,
    listed,
    mapping,
    number,
    register,
    replayed,
    subject,
    whole,
)
from studio.ui.context import Context
from studio.ui.guard import guarded
from studio.ui.seats import new_file


def build(context: Context) -> None:
    """Register ``/swap``, ``/remove``, ``/interpolate`` and those of attributes."""

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
    register(swap, remove, interpolate)
    _build_attributes(context)


def _build_attributes(context: Context) -> None:
    """Register ``/edit``, ``/measure``, ``/generate`` and ``/directions``."""

    def edit(
        picture: gr.FileData,
        checkpoint: str,
        values: dict[str, float],
        held: list[str] | None = None,
        moves: dict[str, float] | None = None,
        aligned: bool = False,
        output: str = "full",
    ) -> gr.FileData:
        """Move attributes of a face, by name in [0, 1]; returns a PNG with its recipe."""
        return edited(picture, checkpoint, values, held, moves, aligned, output)

    def measure(picture: gr.FileData, checkpoint: str, aligned: bool = False) -> dict[str, float]:
        """Read a face's attributes, probabilities by name."""
        return measured(picture, checkpoint, aligned)

    def generate(
        checkpoint: str,
        values: dict[str, float],
        count: int = 1,
        seed: int = 0,
        variation: float = 1.0,
    ) -> list[gr.FileData]:
        """Make faces from attributes; returns PNGs, each with the recipe that repeats it."""
        return generated(checkpoint, values, count, seed, variation)

    def directions(
        checkpoint: str,
        name: str,
        shown: list[gr.FileData],
        absent: list[gr.FileData],
        aligned: bool = False,
    ) -> dict[str, Any]:
        """Make a slider from 8 or more pictures with and without something, or from a pair."""
        return made(checkpoint, name, shown, absent, aligned)

    edited, measured = guarded(context, on_edit), guarded(context, on_measure)
    generated, made = guarded(context, on_generate), guarded(context, on_direction)
    register(edit, measure, generate, directions)


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
        "receiver": subject(context, receiver, aligned),
        "donor": subject(context, donor, aligned),
    }
    step = {"kind": "swap", "donors": ("donor",), "strength": number("strength", strength)}
    return _result(context, subjects, {**step, "checkpoint": checkpoint}, output)


def on_remove(
    context: Context, receiver: Any, checkpoint: str, aligned: bool, output: str
) -> dict[str, Any]:
    """Carry out a removal in an upload."""
    subjects = {"receiver": subject(context, receiver, aligned)}
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
    written = Style(
        whole("frames", frames), str(path), grid, whole("size", size), str(ease), bool(ping_pong)
    )
    names = [str(name) for name in listed(checkpoints)]
    target = new_file(f"result.{format}" if format.isalnum() else "result")
    check(context.models, names, len(listed(pictures)), written, target)
    rows = {name: corners(context, name, listed(pictures), aligned) for name in names}
    quality = compare(context.models, rows, written.kind)
    if cross_fade:
        rows[CROSS_FADE] = rows[names[0]]
    write(context.models, rows, written, target)
    return [file_data(target), {name: found.to_dict() for name, found in quality.items()}]


def on_edit(
    context: Context,
    picture: Any,
    checkpoint: str,
    values: Any,
    held: Any,
    moves: Any,
    aligned: bool,
    output: str,
) -> dict[str, Any]:
    """Move attributes of an upload."""
    wanted, steps = mapping("values", values), mapping("moves", moves)
    kept = tuple(str(name) for name in listed(held or []))
    if not wanted and not steps:
        raise ConfigError("Nothing was asked for: give values by attribute, or moves by slider.")
    editing.check_edit(context.models, checkpoint, wanted, kept, steps)
    step: dict[str, Any] = {"checkpoint": checkpoint, "kind": "edit"}
    step |= {"values": wanted, "held": kept, "moves": steps}
    return replayed(context, {"receiver": subject(context, picture, aligned)}, step, output)


def on_measure(context: Context, picture: Any, checkpoint: str, aligned: bool) -> dict[str, float]:
    """Read the attributes off an upload."""
    editing.attribute_model(context.models, checkpoint)
    one = subject(context, picture, aligned)
    face = editing.encode(context.models, checkpoint, one.photo.pixels, one.alignment)
    return editing.measure(context.models, checkpoint, face)


def on_generate(
    context: Context, checkpoint: str, values: Any, count: int, seed: int, variation: float
) -> list[dict[str, Any]]:
    """Make faces, each as a file with its recipe."""
    known = editing.generator(context.models, checkpoint).attributes
    asked = mapping("values", values)
    several, scale = whole("count", count), number("variation", variation)
    first = whole("seed", seed)
    editing.check_faces(asked, known, several, scale)
    step: dict[str, Any] = {"checkpoint": checkpoint, "kind": "generate"}
    step |= {"strength": scale, "values": editing.complete(asked, known)}
    files = []
    for own in range(first, first + several):
        recipe = editing.record(context.models, {}, [step], "model", own)
        photo = editing.replay(context.models, recipe, {})
        path = new_file(f"face-{own:06d}.png")
        images.save_png(path, photo.pixels, text=photo.text)
        files.append(file_data(path))
    return files


def on_direction(
    context: Context, checkpoint: str, name: str, shown: Any, absent: Any, aligned: bool
) -> dict[str, Any]:
    """Make a slider of one's own from uploads."""
    groups = [corners(context, checkpoint, listed(files), aligned) for files in (shown, absent)]
    return editing.make_direction(context.models, checkpoint, str(name), *groups).facts()


def _result(
    context: Context, subjects: dict[str, Subject], step: dict[str, Any], output: str
) -> dict[str, Any]:
    if step["checkpoint"] not in context.swappers():
        known = ", ".join(context.swappers()) or "none"
        raise CheckpointError(
            f"There is no checkpoint {step['checkpoint']!r} that can swap; there are {known}."
        )
    return replayed(context, subjects, step, output)
