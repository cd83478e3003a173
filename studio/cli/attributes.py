"""Verbs around attributes: edit photographs, generate faces, own sliders, larger data sets."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.base import (
    Outcome,
    Verbs,
    add_picture_options,
    add_verb,
    check_single,
    crop_box,
    numbers,
    open_models,
    say,
    setting,
)
from studio.cli.parts import add_choices, read_choices
from studio.errors import ConfigError, DataError

if TYPE_CHECKING:
    from studio import bulk
    from studio.checkpoints import ModelCache
    from studio.editing import Encoded
    from studio.recipes import Choice


def add_edit(verbs: Verbs) -> None:
    """Add ``edit``."""
    parser = add_verb(
        verbs, "edit", edit, "Move attributes of faces, or give them parts of other pictures."
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--input", nargs="+", type=Path, required=True, metavar="PICTURE")
    parser.add_argument("--output", type=Path, required=True, help="a folder, or a .png file")
    _add_values(parser, "wanted probability, such as Smiling=1 or Young=0.2")
    parser.add_argument(
        "--hold", action="append", default=[], metavar="NAME", help="an attribute that must stay"
    )
    parser.add_argument(
        "--move",
        action="append",
        default=[],
        type=setting,
        metavar="SLIDER=STEPS",
        help="one of your own sliders, in deviations",
    )
    add_choices(parser)
    parser.add_argument("--crop", type=crop_box, metavar="X,Y,SIDE,ANGLE", help="of the picture")
    parser.add_argument(
        "--model-output", action="store_true", help="write the plain decode of the crop"
    )
    add_picture_options(parser)


def add_generate(verbs: Verbs) -> None:
    """Add ``generate``."""
    parser = add_verb(verbs, "generate", generate, "Make faces from attributes.")
    parser.add_argument("--model", required=True)
    _add_values(parser, "0 or 1, such as Eyeglasses=1; the rest is as in most portraits")
    parser.add_argument("--count", type=int, default=1, help="faces")
    parser.add_argument("--seed", type=int, default=0, help="of the first face")
    parser.add_argument(
        "--variation", type=float, default=1.0, help="0 for the most typical face, up to 2"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="a folder, or a .png file for one face"
    )


def add_directions(verbs: Verbs) -> None:
    """Add ``directions make``, ``list`` and ``delete``."""
    parser = verbs.add_parser("directions", help="Make sliders of your own from examples.")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="VERB")
    make = add_verb(kinds, "make", make_direction, "Make a slider from pictures with and without.")
    make.add_argument("--model", required=True)
    make.add_argument("--name", required=True)
    for option, which in (("with", "with it: 8 or more, or one"), ("without", "without it")):
        make.add_argument(
            f"--{option}",
            nargs="+",
            type=Path,
            required=True,
            metavar="PICTURE",
            dest="shown" if option == "with" else "absent",
            help=f"pictures or folders {which}",
        )
    add_picture_options(make)
    listing = add_verb(kinds, "list", list_directions, "List your own sliders.")
    listing.add_argument("--model", default="", help="only those of this checkpoint")
    delete = add_verb(kinds, "delete", delete_direction, "Delete one of your own sliders.")
    delete.add_argument("--name", required=True)


def add_augment(verbs: Verbs) -> None:
    """Add ``augment``."""
    parser = add_verb(verbs, "augment", augment, "Make a data set larger with labelled pictures.")
    parser.add_argument("--model", required=True, help="makes the pictures")
    parser.add_argument("--data", type=Path, required=True, metavar="SET")
    parser.add_argument("--output", type=Path, required=True, help="folder of the new pictures")
    parser.add_argument(
        "--strategy",
        choices=("balancing", "doubling"),
        default="balancing",
        help="more of what is rare, or each picture again with one label flipped",
    )
    parser.add_argument(
        "--amount", type=float, default=1.0, help="new pictures as a multiple of those there"
    )
    parser.add_argument(
        "--source",
        choices=("attributes", "photo"),
        default="attributes",
        help="new faces from labels, or the training pictures changed",
    )
    parser.add_argument("--variation", type=float, default=1.0, help="of new faces, 0 to 1")
    parser.add_argument(
        "--most", type=int, default=8, help="attributes that balancing sets to 0, and to 1"
    )
    parser.add_argument(
        "--classifier",
        default="attributes.celeba-64",
        help="must recognize what was changed; none accepts every picture",
    )
    parser.add_argument(
        "--agreement", type=float, help="least share of the changed attributes it recognizes"
    )
    parser.add_argument(
        "--ssim", type=float, default=0.0, help="least likeness to what a picture was made from"
    )
    parser.add_argument("--seed", type=int, default=0)


def _add_values(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        dest="values",
        help=text,
    )


def edit(options: argparse.Namespace) -> Outcome:
    """Edit photographs one by one, each with its recipe inside."""
    from studio import bulk, editing
    from studio.recipes import donors_of

    pictures = bulk.list_photographs(options.input)
    check_single("--crop", options.crop, pictures)
    choices, donors = read_choices(options)
    work = _work(options, choices)
    models = open_models(options.device)
    # A wrong name is one mistake, not one per picture.
    if isinstance(work, bulk.Parts):
        editing.check_transfer(models, options.model, donors_of(choices), choices)
        editing.check_edit(models, options.model, {}, (), work.moves)
    else:
        editing.check_edit(models, options.model, work.values, work.held, work.moves)
    groups = [[donor] for donor in donors]
    tasks = bulk.pair_up(pictures, groups, every=False, output=options.output)
    reader = bulk.reader_for(
        models, options.model, aligned=options.aligned, note=say, keep=len(donors) + 1
    )
    done, skipped = bulk.carry_out_all(tasks, work, models, reader)
    text = f"Wrote {len(done)} of {len(tasks)} pictures to {options.output}."
    return Outcome({"results": done}, text, skipped)


def _work(options: argparse.Namespace, choices: dict[str, "Choice"]) -> "bulk.Sliders | bulk.Parts":
    """Put together what is done to every picture."""
    from studio import bulk

    moves = numbers("--move", options.move)
    output = "model" if options.model_output else "full"
    boxes = {"receiver": options.crop}
    if not choices:
        values = numbers("--set", options.values)
        if not values and not moves:
            raise ConfigError(
                "Nothing was asked for: give --set NAME=VALUE or --move SLIDER=STEPS, or say where "
                "a part comes from with --mix, --between, --class or --bank."
            )
        return bulk.Sliders(options.model, values, tuple(options.hold), moves, output, boxes)
    if options.values or options.hold:
        raise ConfigError("--set and --hold move attributes, not parts; make two edits of it.")
    return bulk.Parts(options.model, choices, moves, output, boxes)


def generate(options: argparse.Namespace) -> Outcome:
    """Write faces, each with the recipe that repeats it."""
    from studio import editing, images, traits

    values = numbers("--set", options.values)
    models = open_models(options.device)
    single = options.output.suffix.lower() == ".png"
    if single and options.count != 1:
        raise ConfigError(f"{options.count} faces do not fit into one file; give a folder.")
    wanted = editing.complete(values, editing.generator(models, options.model).attributes)
    editing.check_faces(values, wanted, options.count, options.variation)
    for sentence in traits.contradictions(wanted):
        say(f"Note: {sentence}")
    step = {
        "kind": "generate",
        "checkpoint": options.model,
        "values": wanted,
        "strength": options.variation,
    }
    written = []
    for seed in range(options.seed, options.seed + options.count):
        recipe = editing.record(models, {}, [step], "model", seed)
        made = editing.replay(models, recipe, {})
        file = options.output if single else options.output / f"face-{seed:06d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        images.save_png(file, made.pixels, text=made.text)
        written.append({"output": str(file), "seed": seed})
    text = f"Wrote {len(written)} faces to {options.output}."
    return Outcome({"results": written, "attributes": wanted}, text)


def make_direction(options: argparse.Namespace) -> Outcome:
    """Make a slider of one's own and keep it in the person's home."""
    from studio import bulk, editing
    from studio.directions import check_label

    check_label(options.name)
    models = open_models(options.device)
    models.store.card(options.model)
    skipped: dict[str, str] = {}
    groups = [
        _encoded(models, options, bulk.list_photographs(given), skipped)
        for given in (options.shown, options.absent)
    ]
    made = editing.make_direction(models, options.model, options.name, *groups)
    facts = made.facts()
    score = facts["separation"]
    told = "" if score is None else f" It tells left-out examples apart in {score:.0%} of pairs."
    text = f"Made the slider {made.name!r} from {made.examples[0]} with and {made.examples[1]} "
    return Outcome(facts, f"{text}without.{told}", skipped)


def _encoded(
    models: "ModelCache",
    options: argparse.Namespace,
    files: Sequence[Path],
    skipped: dict[str, str],
) -> list["Encoded"]:
    """Encode examples; those that cannot be used are left out and named."""
    from studio import bulk, editing

    reader = bulk.reader_for(models, options.model, aligned=options.aligned, note=say)
    found = [
        editing.encode(models, options.model, one.photo.pixels, one.alignment)
        for _, one in bulk.read_each(reader, files, skipped)
    ]
    if not found:
        raise DataError(f"None of the {len(files)} pictures could be used.")
    return found


def list_directions(options: argparse.Namespace) -> Outcome:
    """List the person's own sliders."""
    from studio import directions

    found = [directions.load(name).facts() for name in directions.names(options.model)]
    lines = [_direction_line(one) for one in found] or ["You have no sliders of your own yet."]
    return Outcome({"directions": found}, "\n".join(lines))


def _direction_line(facts: dict[str, Any]) -> str:
    shown, absent = facts["examples"]
    score = facts["separation"]
    told = "made from a pair" if score is None else f"separation {score:.2f}"
    return f"{facts['name']:24}  {facts['checkpoint']}, {shown} with, {absent} without, {told}"


def delete_direction(options: argparse.Namespace) -> Outcome:
    """Delete a slider of one's own."""
    from studio import directions

    directions.delete(options.name)
    return Outcome({"deleted": options.name}, f"Deleted the slider {options.name!r}.")


def augment(options: argparse.Namespace) -> Outcome:
    """Make new labelled pictures; the same command goes on after a stop."""
    from studio.augment import AugmentRequest
    from studio.augment import augment as carry_out
    from studio.data.folder import open_set

    request = AugmentRequest(
        checkpoint=options.model,
        strategy=options.strategy,
        amount=options.amount,
        source=options.source,
        variation=options.variation,
        most=options.most,
        classifier="" if options.classifier == "none" else options.classifier,
        agreement=options.agreement,
        ssim=options.ssim,
        seed=options.seed,
    )
    told = -1

    def progress(done: int, total: int) -> None:
        nonlocal told
        percent = 100 * done // max(total, 1)
        if percent // 5 > told:
            told = percent // 5
            say(f"{done} of {total} pictures.")

    models = open_models(options.device)
    report = carry_out(
        models, request, open_set(options.data), options.output, progress, lambda: False
    )
    return Outcome(report.to_dict(), report.text())
