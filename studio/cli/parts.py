"""Parts of pictures on the command line: choices of an edit, and the verbs of the object bank."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli.base import (
    Outcome,
    Verbs,
    add_picture_options,
    add_verb,
    crop_box,
    numbers,
    open_models,
    say,
    setting,
)
from studio.errors import ConfigError

if TYPE_CHECKING:
    from studio.recipes import Choice

# Turns the text behind ``PART=`` into a choice; the function gives pictures their roles.
Reading = Callable[[str, Callable[[str], str]], "Choice"]


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Add the options that take parts from elsewhere."""
    for option, name, metavar, text in (
        ("mix", "mix", "PART=FILE[:WEIGHT],…", "a part of one picture, or mixed from several"),
        ("between", "between", "PART=FILE,FILE:ALPHA", "what lies between two pictures' parts"),
        ("class", "label", "PART=CLASS", "the mean of a class, such as expression=scream"),
        ("bank", "saved", "PART=NAME", "a part that was saved with bank save"),
        ("strength", "strengths", "PART=NUMBER", "how far a part is moved, from 0 to 2, usually 1"),
    ):
        parser.add_argument(
            f"--{option}",
            action="append",
            default=[],
            type=setting,
            metavar=metavar,
            dest=name,
            help=text,
        )


def read_choices(options: argparse.Namespace) -> tuple[dict[str, "Choice"], list[Path]]:
    """Read where an edit takes parts from.

    Returns:
        Choices by part, and the pictures that they name, the first donor first.

    Raises:
        ConfigError: A choice cannot be read, or a picture is not there.
    """
    from studio.recipes import donor_role

    files: list[Path] = []

    def role(text: str) -> str:
        file = existing_file(Path(text))
        if file not in files:
            files.append(file)
        return donor_role(files.index(file) + 1)

    readings: dict[str, Reading] = {
        "mix": _mixed,
        "between": _between,
        "label": _labelled,
        "saved": _saved,
    }
    found: dict[str, Choice] = {}
    for option, reading in readings.items():
        for part, text in getattr(options, option):
            if part in found:
                raise ConfigError(f"{part} is named twice; a part comes from one place.")
            found[part] = reading(text, role)
    for part, strength in numbers("--strength", options.strengths).items():
        if part not in found:
            raise ConfigError(f"--strength names {part}, but nothing says where it comes from.")
        found[part] = replace(found[part], strength=strength)
    return found, files


def existing_file(path: Path) -> Path:
    """Return a file that is there.

    Raises:
        ConfigError: It is not, or is a folder.
    """
    if not path.is_file():
        raise ConfigError(f"There is no picture {path}; a part is taken from one picture.")
    return path


def _mixed(text: str, role: Callable[[str], str]) -> "Choice":
    from studio.recipes import Choice

    weights: dict[str, float] = {}
    for entry in text.split(","):
        file, weight = _weighted(entry, "--mix") if ":" in entry else (entry, 1.0)
        name = role(file)
        weights[name] = weights.get(name, 0.0) + weight
    return Choice(weights)


def _between(text: str, role: Callable[[str], str]) -> "Choice":
    from studio.recipes import Choice

    files, _, _ = text.rpartition(":")
    start, comma, end = files.partition(",")
    if not comma:
        raise ConfigError(f"--between needs two pictures, PART=FILE,FILE:ALPHA, not {text!r}.")
    _, alpha = _weighted(text, "--between")
    return Choice.between(role(start), role(end), alpha)


def _labelled(text: str, role: Callable[[str], str]) -> "Choice":
    from studio.recipes import Choice

    del role
    return Choice(label=text)


def _saved(text: str, role: Callable[[str], str]) -> "Choice":
    from studio.recipes import Choice

    del role
    return Choice(saved=text)


def _weighted(text: str, option: str) -> tuple[str, float]:
    """Read what is before the last colon, and the number behind it."""
    file, _, number = text.rpartition(":")
    return file, numbers(option, [(file, number)])[file]


def add_bank(verbs: Verbs) -> None:
    """Add ``bank list``, ``save``, ``rename`` and ``delete``."""
    parser = verbs.add_parser("bank", help="Keep parts of pictures for later.")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="VERB")
    listing = add_verb(kinds, "list", list_bank, "List the parts that you saved.")
    listing.add_argument("--model", default="", help="only those of this checkpoint")
    listing.add_argument("--part", default="", help="only those of this part")
    saving = add_verb(kinds, "save", save_part, "Save a part of a picture.")
    saving.add_argument("--model", required=True)
    saving.add_argument("--part", required=True, help="which one, such as expression")
    saving.add_argument("--name", required=True)
    saving.add_argument("--input", type=Path, required=True, metavar="PICTURE")
    saving.add_argument("--crop", type=crop_box, metavar="X,Y,SIDE,ANGLE", help="of the picture")
    add_picture_options(saving)
    renaming = add_verb(kinds, "rename", rename_part, "Give a saved part another name.")
    renaming.add_argument("--name", required=True)
    renaming.add_argument("--to", required=True, help="the new name")
    delete = add_verb(kinds, "delete", delete_part, "Delete a saved part.")
    delete.add_argument("--name", required=True)


def list_bank(options: argparse.Namespace) -> Outcome:
    """List the person's saved parts."""
    from studio import bank

    found = [bank.load(name).facts() for name in bank.names(options.model, options.part)]
    lines = [f"{one['name']:24}  {one['part']}, {one['checkpoint']}" for one in found]
    return Outcome({"parts": found}, "\n".join(lines or ["You have saved no parts yet."]))


def save_part(options: argparse.Namespace) -> Outcome:
    """Encode a picture and save one of its parts."""
    from studio import bank, bulk, editing

    bank.check_label(options.name)
    models = open_models(options.device)
    editing.check_part(models, options.model, options.part)
    reader = bulk.reader_for(models, options.model, aligned=options.aligned, note=say)
    file = existing_file(options.input)
    one = reader.read(file, options.crop)
    encoded = editing.encode(models, options.model, one.photo.pixels, one.alignment)
    saved = editing.save_part(models, options.name, encoded, options.part)
    return Outcome(saved.facts(), f"Saved the {saved.part} of {file.name} as {saved.name!r}.")


def rename_part(options: argparse.Namespace) -> Outcome:
    """Give a saved part another name."""
    from studio import bank

    bank.rename(options.name, options.to)
    values = {"renamed": options.name, "name": options.to}
    return Outcome(values, f"The saved part {options.name!r} is called {options.to!r} now.")


def delete_part(options: argparse.Namespace) -> Outcome:
    """Delete a saved part."""
    from studio import bank

    bank.delete(options.name)
    return Outcome({"deleted": options.name}, f"Deleted the saved part {options.name!r}.")
