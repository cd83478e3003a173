"""The HTTP API: named endpoints that keep nothing between calls.

Pictures come as uploads (``/gradio_api/upload``, or ``gradio_client.handle_file``); any other path
is refused. ``--auth`` protects these endpoints as it does the page.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api as endpoint

from studio import editing, images
from studio.augment import AugmentRequest
from studio.augment import augment as carry_out
from studio.data.folder import open_set
from studio.editing import Encoded, Subject
from studio.errors import CheckpointError, ConfigError, FaceError
from studio.explore import labels, writing
from studio.explore.charting import MapRequest, chart
from studio.explore.measures import measure
from studio.faces.align import Alignment
from studio.faces.detect import find_faces
from studio.interpolation import CROSS_FADE, Style, check, compare, write
from studio.ui.augmenting import pack
from studio.ui.context import Context
from studio.ui.guard import guarded, uploaded
from studio.ui.seats import new_file
from studio.ui.sets import received_set

LONG = "api"


def build(context: Context) -> None:
    """Register ``/swap``, ``/remove``, ``/interpolate`` and what ``_build_attributes`` adds."""

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
    _build_attributes(context)


def _build_attributes(context: Context) -> None:
    """Register ``/edit``, ``/measure``, ``/generate``, ``/directions`` and those of data sets."""

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

    def augment(
        data: gr.FileData,
        checkpoint: str,
        strategy: str = "balancing",
        amount: float = 1.0,
        source: str = "attributes",
        variation: float = 1.0,
        most: int = 8,
        classifier: str = editing.JUDGE,
        agreement: float | None = None,
        ssim: float = 0.0,
        seed: int = 0,
    ) -> tuple[gr.FileData, dict[str, Any]]:
        """Make labelled pictures for a zipped data set; returns a zip of them and a report."""
        asked = {
            "checkpoint": checkpoint,
            "strategy": strategy,
            "amount": amount,
            "source": source,
            "variation": variation,
            "most": most,
            "classifier": classifier,
            "agreement": agreement,
            "ssim": ssim,
            "seed": seed,
        }
        return augmented(data, asked)

    def explore(
        data: gr.FileData,
        checkpoint: str,
        method: str = "pca",
        part: str = "",
        dimensions: int = 2,
        perplexity: float = 30.0,
        most: int = 20_000,
        seed: int = 0,
        colour: str = "",
        pictures: list[gr.FileData] | None = None,
        aligned: bool = False,
    ) -> tuple[gr.FileData, dict[str, Any]]:
        """Draw the map of a zipped data set; returns a CSV of points, and numbers about it."""
        place = (method, part, dimensions, perplexity, most, seed)
        return explored(data, checkpoint, place, colour, pictures, aligned)

    explored = guarded(context, on_explore)
    edited, measured = guarded(context, on_edit), guarded(context, on_measure)
    generated, made = guarded(context, on_generate), guarded(context, on_direction)
    augmented = guarded(context, on_augment)
    for function in (edit, measure, generate, directions, augment, explore):
        name = function.__name__
        endpoint(function, api_name=name, concurrency_id=LONG, concurrency_limit=1)


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
    step = {"kind": "swap", "donors": ("donor",), "strength": _number("strength", strength)}
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
    written = Style(
        _whole("frames", frames), str(path), grid, _whole("size", size), str(ease), bool(ping_pong)
    )
    names = [str(name) for name in _listed(checkpoints)]
    target = new_file(f"result.{format}" if format.isalnum() else "result")
    check(context.models, names, len(_listed(pictures)), written, target)
    rows = {name: _corners(context, name, _listed(pictures), aligned) for name in names}
    quality = compare(context.models, rows, written.kind)
    if cross_fade:
        rows[CROSS_FADE] = rows[names[0]]
    write(context.models, rows, written, target)
    return [_file(target), {name: found.to_dict() for name, found in quality.items()}]


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
    wanted, steps = _mapping("values", values), _mapping("moves", moves)
    kept = tuple(str(name) for name in _listed(held or []))
    if not wanted and not steps:
        raise ConfigError("Nothing was asked for: give values by attribute, or moves by slider.")
    editing.check_edit(context.models, checkpoint, wanted, kept, steps)
    step: dict[str, Any] = {"checkpoint": checkpoint, "kind": "edit"}
    step |= {"values": wanted, "held": kept, "moves": steps}
    return _replayed(context, {"receiver": _subject(context, picture, aligned)}, step, output)


def on_measure(context: Context, picture: Any, checkpoint: str, aligned: bool) -> dict[str, float]:
    """Read the attributes off an upload."""
    editing.attribute_model(context.models, checkpoint)
    one = _subject(context, picture, aligned)
    face = editing.encode(context.models, checkpoint, one.photo.pixels, one.alignment)
    return editing.measure(context.models, checkpoint, face)


def on_generate(
    context: Context, checkpoint: str, values: Any, count: int, seed: int, variation: float
) -> list[dict[str, Any]]:
    """Make faces, each as a file with its recipe."""
    known = editing.generator(context.models, checkpoint).attributes
    asked = _mapping("values", values)
    number, scale = _whole("count", count), _number("variation", variation)
    first = _whole("seed", seed)
    editing.check_faces(asked, known, number, scale)
    step: dict[str, Any] = {"checkpoint": checkpoint, "kind": "generate"}
    step |= {"strength": scale, "values": editing.complete(asked, known)}
    files = []
    for own in range(first, first + number):
        recipe = editing.record(context.models, {}, [step], "model", own)
        photo = editing.replay(context.models, recipe, {})
        path = new_file(f"face-{own:06d}.png")
        images.save_png(path, photo.pixels, text=photo.text)
        files.append(_file(path))
    return files


def on_direction(
    context: Context, checkpoint: str, name: str, shown: Any, absent: Any, aligned: bool
) -> dict[str, Any]:
    """Make a slider of one's own from uploads."""
    groups = [_corners(context, checkpoint, _listed(files), aligned) for files in (shown, absent)]
    return editing.make_direction(context.models, checkpoint, str(name), *groups).facts()


def on_augment(context: Context, data: Any, asked: Mapping[str, Any]) -> list[Any]:
    """Carry an augmentation of an uploaded zip out; nothing but the result is left behind."""
    least = asked["agreement"]
    request = AugmentRequest(
        str(asked["checkpoint"]),
        str(asked["strategy"]),
        _number("amount", asked["amount"]),
        str(asked["source"]),
        _number("variation", asked["variation"]),
        _whole("most", asked["most"]),
        str(asked["classifier"] or ""),
        None if least is None else _number("agreement", least),
        _number("ssim", asked["ssim"]),
        _whole("seed", asked["seed"]),
    )
    path = received_set(data.get("path") if isinstance(data, dict) else None)
    output = new_file(f"{path.stem}-augmented")
    try:
        report = carry_out(
            context.models, request, open_set(path), output, lambda done, total: None, lambda: False
        )
        target = output.with_name(f"{output.name}.zip")
        pack(output, target)
    finally:
        for folder in (output, output.with_name(f"{output.name}.part")):
            shutil.rmtree(folder, ignore_errors=True)
    return [_file(target), {**report.to_dict(), "output": target.name}]


def on_explore(
    context: Context,
    data: Any,
    checkpoint: str,
    place: tuple[Any, ...],
    colour: str,
    pictures: Any,
    aligned: bool,
) -> list[Any]:
    """Draw the map of an uploaded zip, and place uploaded pictures on it."""
    method, part, dimensions, perplexity, most, seed = place
    path = received_set(data.get("path") if isinstance(data, dict) else None)
    request = MapRequest(
        str(checkpoint),
        str(part or ""),
        str(method),
        _whole("dimensions", dimensions),
        _number("perplexity", perplexity),
        _whole("most", most),
        _whole("seed", seed),
    )
    drawn = chart(context.models, request, open_set(path))
    key = str(colour) if colour else labels.first(drawn.codes.data)
    column = labels.column(drawn.codes.data, key, drawn.scores, drawn.seed)
    target = new_file(f"{path.stem}-{drawn.method}.csv")
    writing.write_table(target, drawn, column)
    encoded = _corners(context, request.checkpoint, _listed(pictures or []), aligned)
    found = writing.facts(drawn, column, measure(drawn, column))
    found["placed"] = [writing.placed(drawn, one.latents) for one in encoded]
    return [_file(target), found]


def _number(name: str, given: Any) -> float:
    """Check that a number was given."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ConfigError(f"{name} must be a number, not {given!r}.")
    return float(given)


def _whole(name: str, given: Any) -> int:
    """Check that a whole number was given."""
    number = _number(name, given)
    if not number.is_integer():
        raise ConfigError(f"{name} must be a whole number, not {given!r}.")
    return int(number)


def _mapping(name: str, given: Any) -> dict[str, float]:
    """Check that numbers by name were given."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ConfigError(f"{name} are numbers by name, such as {{'Smiling': 1}}, not {given!r}.")
    wrong = [key for key, value in given.items() if not isinstance(value, int | float)]
    if wrong:
        raise ConfigError(f"{name} has {given[wrong[0]]!r} for {wrong[0]}; give a number.")
    return given


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
    return _replayed(context, subjects, step, output)


def _replayed(
    context: Context, subjects: dict[str, Subject], step: dict[str, Any], output: str
) -> dict[str, Any]:
    recipe = editing.record(context.models, subjects, [step], output)
    made = editing.replay(context.models, recipe, subjects)
    path = new_file("result.png")
    images.save_png(path, made.pixels, alpha=made.alpha, icc=made.icc, text=made.text)
    return _file(path)


def _file(path: Path) -> dict[str, Any]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, "orig_name": path.name}
