"""What every verb needs: the parser's pieces, results, and words to the person."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from studio.errors import ConfigError

if TYPE_CHECKING:
    from studio.checkpoints import ModelCache

DONE, SKIPPED, MISTAKE, INTERRUPTED = 0, 1, 2, 130
Verbs = Any
"""What ``add_subparsers`` returns; argparse keeps the class to itself."""


@dataclass
class Outcome:
    """What a verb has done.

    Attributes:
        values: The object that ``--json`` prints.
        text: What is printed otherwise.
        skipped: Reasons by picture, for pictures of a folder that could not be used.
        status: Exit status where nothing was skipped.
    """

    values: dict[str, Any]
    text: str
    skipped: dict[str, str] = field(default_factory=dict)
    status: int = 0


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.exit(MISTAKE, f"{self.prog}: {message}; see {self.prog} --help.\n")


def say(sentence: str) -> None:
    """Tell the person, on standard error."""
    sys.stderr.write(sentence + "\n")


def emit(text: str) -> None:
    """Write a result to standard output."""
    sys.stdout.write(text + "\n")


def add_verb(
    verbs: Verbs, name: str, run: Callable[[argparse.Namespace], Outcome], text: str
) -> argparse.ArgumentParser:
    """Add a verb with the options that all have."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.set_defaults(run=run)
    return parser


def open_models(device: str) -> "ModelCache":
    """Return the cache of all checkpoints, on a device.

    Raises:
        ConfigError: There is no such device.
    """
    from studio.checkpoints import CheckpointStore, ModelCache
    from studio.training.request import pick_device

    return ModelCache(CheckpointStore(), pick_device(device))


def add_picture_options(parser: argparse.ArgumentParser) -> None:
    """Add what every verb that reads photographs takes."""
    parser.add_argument(
        "--aligned", action="store_true", help="the pictures are aligned crops already"
    )


def crop_box(text: str) -> tuple[float, float, float, float]:
    """Read ``x,y,side`` or ``x,y,side,angle``."""
    try:
        x, y, side, angle = (*map(float, text.split(",")), *[0.0] * (text.count(",") == 2))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"a crop is X,Y,SIDE,ANGLE in pixels and degrees, not {text!r}"
        ) from None
    return x, y, side, angle


def check_single(option: str, box: object, pictures: Sequence[Path]) -> None:
    """Refuse a crop for several pictures.

    Raises:
        ConfigError: There are several.
    """
    if box is not None and len(pictures) > 1:
        raise ConfigError(f"{option} is for a single picture, not for {len(pictures)}.")


def numbers(option: str, given: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Read the values of settings as numbers.

    Raises:
        ConfigError: One is none.
    """
    found = {}
    for name, text in given:
        try:
            found[name] = float(text)
        except ValueError as error:
            raise ConfigError(f"{option} {name} needs a number, not {text!r}.") from error
    return found


def setting(text: str) -> tuple[str, str]:
    """Read ``name=value``."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"a setting is FIELD=VALUE, not {text!r}")
    return name, value
