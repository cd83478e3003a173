"""Verbs that work on photographs: encode, swap, interpolate."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli.base import (
    Outcome,
    Verbs,
    add_picture_options,
    add_verb,
    check_single,
    crop_box,
    open_models,
    say,
)
from studio.errors import ConfigError, DataError, StudioError

if TYPE_CHECKING:
    from studio import bulk
    from studio.bulk import Task
    from studio.checkpoints import ModelCache
    from studio.editing import Encoded


def add_encode(verbs: Verbs) -> None:
    """Add ``encode``."""
    parser = add_verb(verbs, "encode", encode, "Write the latents of pictures.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--input", nargs="+", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="a .safetensors file")
    parser.add_argument(
        "--crop", type=crop_box, metavar="X,Y,SIDE,ANGLE", help="of the one picture"
    )
    add_picture_options(parser)


def add_swap(verbs: Verbs) -> None:
    """Add ``swap``."""
    parser = add_verb(
        verbs, "swap", swap, "Put the donor's object into the receiver, or remove it."
    )
    parser.add_argument(
        "--model", action="append", required=True, help="several in sequence give several objects"
    )
    parser.add_argument("--receiver", nargs="+", type=Path, required=True)
    parser.add_argument(
        "--donor",
        nargs="+",
        type=Path,
        action="append",
        help="one for all models, or given once per model",
    )
    parser.add_argument("--remove", action="store_true", help="take the object away")
    parser.add_argument(
        "--part", action="append", default=[], help="take this part of the donor; repeat for more"
    )
    parser.add_argument("--output", type=Path, required=True, help="a folder, or a .png file")
    parser.add_argument("--strength", type=float, default=1.0, help="from -1 to 2, usually 1")
    parser.add_argument(
        "--pair", choices=("sorted", "all"), default="sorted", help="how folders pair up"
    )
    parser.add_argument(
        "--model-output", action="store_true", help="write the plain decode of the crop"
    )
    for role in ("receiver", "donor"):
        parser.add_argument(f"--{role}-crop", type=crop_box, metavar="X,Y,SIDE,ANGLE")
    add_picture_options(parser)


def add_interpolate(verbs: Verbs) -> None:
    """Add ``interpolate``."""
    parser = add_verb(verbs, "interpolate", interpolate, "Show what lies between pictures.")
    parser.add_argument(
        "--model", action="append", required=True, help="several give a row each, one above another"
    )
    parser.add_argument("--input", nargs="+", type=Path, required=True, metavar="PICTURE")
    parser.add_argument(
        "--layout",
        choices=("strip", "grid"),
        help="a path through the pictures, or a grid between four; by default a grid for four "
        "pictures, one model and a .png",
    )
    parser.add_argument(
        "--steps", type=int, default=9, help="pictures of a path, or along a side of a grid"
    )
    parser.add_argument("--path", choices=("linear", "slerp", "cubic"), default="linear")
    parser.add_argument("--ease", choices=("linear", "in-out"), default="linear", help="pace")
    parser.add_argument("--ping-pong", action="store_true", help="a clip goes back again")
    parser.add_argument("--cross-fade", action="store_true", help="add it as the last row")
    parser.add_argument(
        "--size", type=int, default=0, help="side of a picture in pixels; 0 is the model's own"
    )
    parser.add_argument("--data", type=Path, help="SET of real pictures, for the credibility")
    parser.add_argument("--output", type=Path, required=True, help="a .png, .gif or .mp4 file")
    add_picture_options(parser)


def encode(options: argparse.Namespace) -> Outcome:
    """Write latents as safetensors: parts by name, the files in the metadata."""
    from safetensors.torch import save_file

    from studio import bulk, editing, latents
    from studio.checkpoints import compact

    if options.output.suffix != ".safetensors":
        raise ConfigError(f"--output must be a .safetensors file, not {options.output.name}.")
    pictures = bulk.list_photographs(options.input)
    check_single("--crop", options.crop, pictures)
    models = open_models(options.device)
    models.store.card(options.model)
    reader = bulk.Reader(editing.eye_refiner(models), aligned=options.aligned, note=say)
    codes, skipped = {}, {}
    for path in pictures:
        try:
            subject = reader.read(path, options.crop)
        except StudioError as error:
            if len(pictures) == 1:
                raise
            skipped[str(path)] = str(error)
            continue
        pixels = subject.photo.pixels
        encoded = editing.encode(models, options.model, pixels, subject.alignment)
        codes[str(path)] = encoded.latents.to("cpu")
    if not codes:
        raise DataError(f"None of the {len(pictures)} pictures could be used.")
    parts = compact(latents.cat(list(codes.values())).parts)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    facts = {"model": options.model, "files": json.dumps(list(codes))}
    save_file(parts, options.output, metadata=facts)
    values = {
        "output": str(options.output),
        "files": list(codes),
        "parts": {name: list(part.shape) for name, part in parts.items()},
    }
    return Outcome(values, f"Wrote the latents of {len(codes)} pictures.", skipped)


def swap(options: argparse.Namespace) -> Outcome:
    """Swap or remove objects, picture by picture."""
    from studio import bulk, editing

    tasks = _plan(options)
    models = open_models(options.device)
    edit = bulk.Edit(
        tuple(options.model),
        remove=options.remove,
        strength=options.strength,
        output="model" if options.model_output else "full",
        boxes={"receiver": options.receiver_crop, "donor": options.donor_crop},
        parts=tuple(dict.fromkeys(options.part)),
    )
    for name in edit.checkpoints:
        # A wrong name is one mistake, not one per picture.
        _check_swap(models, name, edit)
    reader = bulk.Reader(editing.eye_refiner(models), aligned=options.aligned, note=say)
    done, skipped = bulk.carry_out_all(tasks, edit, models, reader)
    text = f"Wrote {len(done)} of {len(tasks)} pictures to {options.output}."
    return Outcome({"results": done}, text, skipped)


def _check_swap(models: "ModelCache", name: str, edit: "bulk.Edit") -> None:
    from studio import editing
    from studio.methods.base import Operation

    able = models.store.card(name).entry.operations
    if edit.parts:
        editing.check_transfer(models, name, ("donor",), edit.choices("donor"))
    elif Operation.TRANSFER in able and Operation.SWAP not in able:
        parts = ", ".join(editing.transferrer(models, name).parts)
        raise ConfigError(f"{name} takes parts one by one; say which with --part: {parts}.")


def _plan(options: argparse.Namespace) -> list["Task"]:
    """Check what was asked for and pair up the pictures."""
    from studio import bulk

    groups = [bulk.list_photographs(group) for group in options.donor or []]
    if options.remove == bool(groups):
        raise ConfigError("A swap needs --donor; a removal (--remove) has none.")
    if options.remove and options.part:
        raise ConfigError("--part takes parts from a donor; a removal (--remove) has none.")
    if len(groups) not in (0, 1, len(options.model)):
        raise ConfigError(
            f"--donor was given {len(groups)} times for {len(options.model)} models; give it once, "
            "or once per model."
        )
    if not -1 <= options.strength <= 2:
        raise ConfigError(f"--strength lies in [-1, 2], not at {options.strength:g}.")
    receivers = bulk.list_photographs(options.receiver)
    check_single("--receiver-crop", options.receiver_crop, receivers)
    check_single("--donor-crop", options.donor_crop, [file for group in groups for file in group])
    return bulk.pair_up(receivers, groups, every=options.pair == "all", output=options.output)


def interpolate(options: argparse.Namespace) -> Outcome:
    """Write a strip, a grid or a clip, and measure its paths."""
    from studio import bulk, interpolation

    pictures = bulk.list_photographs(options.input)
    style = interpolation.Style(
        options.steps,
        options.path,
        _is_grid(options, len(pictures)),
        options.size,
        options.ease,
        options.ping_pong,
    )
    names = list(dict.fromkeys(options.model))
    models = open_models(options.device)
    interpolation.check(models, names, len(pictures), style, options.output)
    rows = {name: _corners(models, name, pictures, options.aligned) for name in names}
    quality = interpolation.compare(models, rows, style.kind, options.data)
    if options.cross_fade:
        rows[interpolation.CROSS_FADE] = rows[names[0]]
    interpolation.write(models, rows, style, options.output)
    values = {
        "output": str(options.output),
        "layout": "grid" if style.grid else "strip",
        "models": [{"model": name, **found.to_dict()} for name, found in quality.items()],
    }
    lines = [f"{name:32}  {found.text()}" for name, found in quality.items()]
    return Outcome(values, "\n".join([*lines, f"Wrote {options.output}."]))


def _corners(
    models: "ModelCache", name: str, pictures: Sequence[Path], aligned: bool
) -> list["Encoded"]:
    """Encode pictures, by their faces where the checkpoint knows faces."""
    from studio import bulk, editing

    faces = models.store.card(name).spec.shows_faces
    refine = editing.eye_refiner(models) if faces else None
    reader = bulk.Reader(refine, aligned=aligned or not faces, note=say)
    subjects = [reader.read(path) for path in pictures]
    return [editing.encode(models, name, one.photo.pixels, one.alignment) for one in subjects]


def _is_grid(options: argparse.Namespace, pictures: int) -> bool:
    if options.layout:
        return bool(options.layout == "grid")
    still = options.output.suffix.lower() == ".png"
    return still and pictures == 4 and len(options.model) == 1
