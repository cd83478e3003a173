"""Verbs that make, check, align, label and delete data sets."""

import argparse
from collections.abc import Callable
from pathlib import Path

from studio.cli.base import DONE, SKIPPED, Outcome, Verbs, add_verb, open_models, say
from studio.errors import ConfigError


def add_data(verbs: Verbs) -> None:
    """Add the verbs of ``data``."""
    parser = verbs.add_parser("data", help="Make, check, align, label or delete a data set.")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="VERB")
    render = add_verb(kinds, "render", render_data, "Render a data set whose factors are known.")
    render.add_argument("scene", choices=tuple(_RENDERERS))
    render.add_argument(
        "--count",
        type=int,
        help="of heads, or of parts; of random lights on the pole, by default a grid of 576; "
        "of views of each object on the turntable, by default 72",
    )
    render.add_argument("--size", type=int, default=64)
    render.add_argument("--seed", type=int, default=0)
    render.add_argument("--output", type=Path, required=True)
    render.add_argument(
        "--choose",
        action="append",
        default=[],
        type=_factor_values,
        metavar="FACTOR=VALUE[,VALUE]",
        help="draw a factor from these values only, such as expression=neutral,smile; "
        "on the turntable only object=NAME[,NAME]",
    )
    check = add_verb(kinds, "check", check_data, "Check a data set before an hour is spent on it.")
    check.add_argument("data", type=Path, metavar="SET")
    check.add_argument("--faces", action="store_true", help="look where faces are, too")
    check.add_argument("--size", type=int, default=64, help="of training, to tell what it takes")
    take = add_verb(kinds, "take", take_data, "Keep a zip as a data set of your own.")
    take.add_argument("data", type=Path, metavar="SET.zip")
    align = add_verb(kinds, "align", align_data, "Make a copy with all faces in their place.")
    align.add_argument("data", type=Path, metavar="SET")
    label = add_verb(kinds, "label", label_data, "Mark pictures as showing or lacking something.")
    label.add_argument("data", type=Path, metavar="SET")
    label.add_argument("--attribute", required=True, help="what is marked")
    for option, text in (("--shown", "pictures that show it"), ("--absent", "that lack it")):
        label.add_argument(
            option, nargs="+", default=[], metavar="FILE", help=f"{text}, or @list.txt"
        )
    for verb in (take, align, label):
        verb.add_argument("--name", required=True, help="of the new set among your own")
    delete = add_verb(kinds, "delete", delete_data, "Delete a data set of your own.")
    delete.add_argument("name", metavar="NAME")
    splits = add_verb(kinds, "splits", split_data, "Write which file is in which partition.")
    splits.add_argument("data", type=Path, metavar="SET")
    splits.add_argument("--output", type=Path, required=True, help="a .csv file")


def _factor_values(text: str) -> tuple[str, list[object]]:
    """Read FACTOR=VALUE[,VALUE]; numbers and true/false are told from words."""
    name, equals, values = text.partition("=")
    if not (name and equals and values):
        raise argparse.ArgumentTypeError(f"{text!r} is not FACTOR=VALUE[,VALUE]")
    return name, [_factor_value(value) for value in values.split(",")]


def _factor_value(text: str) -> object:
    if text in {"true", "false"}:
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text


def render_data(options: argparse.Namespace) -> Outcome:
    """Render pictures into a folder with ``attributes.csv``."""
    count = _RENDERERS[options.scene](options)
    values = {"output": str(options.output), "count": count}
    return Outcome(values, f"Wrote {count} pictures to {options.output}.")


def _say_progress(done: int, count: int) -> None:
    say(f"Rendered {done} of {count}.")


def _render_heads(options: argparse.Namespace) -> int:
    from studio.render.heads import write_set

    if options.count is None:
        raise ConfigError("Heads need --count, the number of pictures.")
    write_set(
        options.output,
        options.count,
        options.size,
        options.seed,
        choices=dict(options.choose),
        progress=_say_progress,
    )
    count: int = options.count
    return count


def _render_pole(options: argparse.Namespace) -> int:
    from studio.render.pole import write_set

    if options.choose:
        raise ConfigError("The pole has no --choose; --count N draws N random lights.")
    return write_set(
        options.output, options.size, options.seed, count=options.count, progress=_say_progress
    )


def _render_turntable(options: argparse.Namespace) -> int:
    from studio.render.turntable import OBJECTS, VIEWS, write_set

    chosen = dict(options.choose)
    objects = [str(name) for name in chosen.pop("object", OBJECTS)]
    if chosen:
        raise ConfigError(f"The turntable has no {next(iter(chosen))!r} to choose, only object.")
    return write_set(
        options.output,
        options.size,
        options.seed,
        objects=objects,
        count=VIEWS if options.count is None else options.count,
        progress=_say_progress,
    )


def _render_parts(options: argparse.Namespace) -> int:
    from studio.render.parts import write_set

    if options.count is None or options.choose:
        raise ConfigError("Parts need --count, the number of pictures, and have no --choose.")
    return write_set(
        options.output, options.count, options.size, options.seed, progress=_say_progress
    )


_RENDERERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "heads": _render_heads,
    "parts": _render_parts,
    "pole": _render_pole,
    "turntable": _render_turntable,
}


def check_data(options: argparse.Namespace) -> Outcome:
    """Report on a data set; unusable pictures and sets that cannot be trained give status 1."""
    from studio.data.inspect import inspect

    if options.faces:
        from studio import editing, intake

        refine = editing.eye_refiner(open_models(options.device))
        report = intake.check(options.data, refine, size=options.size)
    else:
        report = inspect(options.data, size=options.size)
    status = SKIPPED if report.unusable or report.blocking else DONE
    return Outcome(report.to_dict(), report.text(), status=status)


def take_data(options: argparse.Namespace) -> Outcome:
    """Keep a zip among the person's own sets."""
    from studio import intake

    place = intake.take_in(options.data, options.name)
    return Outcome({"set": str(place)}, f"{options.name} is among your data sets now: {place}.")


def align_data(options: argparse.Namespace) -> Outcome:
    """Write an aligned copy; pictures that show no face are reported."""
    from studio import editing, intake

    def report(done: int, total: int) -> None:
        if done % max(1, total // 20) == 0:
            say(f"Aligned {done} of {total}.")

    refine = editing.eye_refiner(open_models(options.device))
    made = intake.align(options.data, options.name, report, lambda: False, refine)
    values = made.to_dict()
    left_out = values.pop("left_out")
    text = f"Wrote {made.written} of {made.total} pictures to {made.output}."
    if made.crowded:
        text += f" {len(made.crowded)} show several faces, of which the largest was taken."
    return Outcome(values, text, skipped=left_out)


def label_data(options: argparse.Namespace) -> Outcome:
    """Save marks as an attribute of one of the person's own sets."""
    from studio import intake

    shown, absent = _listed(options.shown), _listed(options.absent)
    place = intake.label(options.data, options.name, options.attribute, shown, absent)
    values = {"set": str(place), "shown": len(shown), "absent": len(absent)}
    told = f"{len(shown)} pictures show {options.attribute} and {len(absent)} lack it"
    return Outcome(values, f"{told}, in {place}.")


def _listed(names: list[str]) -> list[str]:
    """Return file names, those in the lists that are named with an @ included.

    Raises:
        ConfigError: A list cannot be read.
    """
    found: list[str] = []
    for name in names:
        if not name.startswith("@"):
            found.append(name)
            continue
        try:
            text = Path(name[1:]).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(f"The list {name[1:]} cannot be read: {error}.") from error
        found += filter(None, map(str.strip, text.splitlines()))
    return found


def delete_data(options: argparse.Namespace) -> Outcome:
    """Delete one of the person's own sets."""
    from studio import intake

    gone = intake.delete(options.name)
    return Outcome({"deleted": gone}, f"Deleted the data set {gone}.")


def split_data(options: argparse.Namespace) -> Outcome:
    """Write ``file,partition`` rows, so that others can repeat the numbers."""
    from studio.data.folder import open_set
    from studio.data.inspect import write_splits

    data = open_set(options.data)
    counts = write_splits(data, options.output)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    return Outcome({"output": str(options.output), **counts}, f"Wrote {options.output}: {told}.")
