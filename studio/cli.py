"""``latent-studio VERB``: everything the page does, from a terminal.

Results go to ``--output``; with ``--json`` one JSON object goes to standard output and nothing else
does. A mistake of the person is one sentence on standard error and exit status 2; a picture of a
folder that cannot be used is reported and skipped, and the status is 1.

Only the parser is built at start. What needs torch, OpenCV or gradio is imported by the verb.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from studio.errors import ConfigError, DataError, StudioError

if TYPE_CHECKING:
    from studio.bulk import Task
    from studio.checkpoints import Card, ModelCache
    from studio.editing import Encoded

_REQUEST_OPTIONS = (
    *("method", "data", "tag", "parent", "steps", "batch_size", "size", "seed"),
    *("save_every", "precision", "terms", "only"),
)
DONE, SKIPPED, MISTAKE, INTERRUPTED = 0, 1, 2, 130


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: Those of the command line, by default the process's own.

    Returns:
        The exit status: 0 done, 1 done but for skipped pictures, 2 a mistake, 130 interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = build_parser().parse_args(given)
    options.arguments = given
    try:
        outcome: Outcome = options.run(options)
    except StudioError as error:
        say(str(error))
        return MISTAKE
    except KeyboardInterrupt:
        say("Interrupted.")
        return INTERRUPTED
    for name, reason in outcome.skipped.items():
        say(f"Skipped {name}: {reason}")
    if options.json:
        skipped = [{"file": name, "reason": why} for name, why in outcome.skipped.items()]
        emit(json.dumps({**outcome.values, **({"skipped": skipped} if skipped else {})}))
    elif outcome.text:
        emit(outcome.text)
    return SKIPPED if outcome.skipped else outcome.status


def say(sentence: str) -> None:
    """Tell the person, on standard error."""
    sys.stderr.write(sentence + "\n")


def emit(text: str) -> None:
    """Write a result to standard output."""
    sys.stdout.write(text + "\n")


# The parser, verb by verb.


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all verbs."""
    parser = Parser(prog="latent-studio", description="Edit faces between photographs.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add in (
        _add_serve,
        _add_models,
        _add_encode,
        _add_swap,
        _add_interpolate,
        _add_train,
        _add_evaluate,
        _add_data,
        _add_reproduce,
    ):
        add(verbs)
    return parser


Verbs = Any
"""What ``add_subparsers`` returns; argparse keeps the class to itself."""


def _add(
    verbs: Verbs, name: str, run: Callable[[argparse.Namespace], Outcome], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.set_defaults(run=run)
    return parser


def _add_serve(verbs: Verbs) -> None:
    parser = _add(verbs, "serve", serve, "Serve the page.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="by default the first free one from 7860")
    parser.add_argument("--share", action="store_true", help="make a public link")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask visitors for a password")


def _add_models(verbs: Verbs) -> None:
    _add(verbs, "models", list_models, "List the checkpoints with their cards.")


def _add_picture_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--aligned", action="store_true", help="the pictures are aligned crops already"
    )


def _add_encode(verbs: Verbs) -> None:
    parser = _add(verbs, "encode", encode, "Write the latents of pictures.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--input", nargs="+", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="a .safetensors file")
    parser.add_argument("--crop", type=_box, metavar="X,Y,SIDE,ANGLE", help="of the one picture")
    _add_picture_options(parser)


def _add_swap(verbs: Verbs) -> None:
    parser = _add(verbs, "swap", swap, "Put the donor's object into the receiver, or remove it.")
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
    parser.add_argument("--output", type=Path, required=True, help="a folder, or a .png file")
    parser.add_argument("--strength", type=float, default=1.0, help="from -1 to 2, usually 1")
    parser.add_argument(
        "--pair", choices=("sorted", "all"), default="sorted", help="how folders pair up"
    )
    parser.add_argument(
        "--model-output", action="store_true", help="write the plain decode of the crop"
    )
    for role in ("receiver", "donor"):
        parser.add_argument(f"--{role}-crop", type=_box, metavar="X,Y,SIDE,ANGLE")
    _add_picture_options(parser)


def _add_interpolate(verbs: Verbs) -> None:
    parser = _add(verbs, "interpolate", interpolate, "Show what lies between pictures.")
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
    _add_picture_options(parser)


def _add_train(verbs: Verbs) -> None:
    parser = _add(verbs, "train", train, "Train a checkpoint, in the foreground.")
    parser.add_argument("request", nargs="?", type=Path, help="a JSON file with all of the below")
    parser.add_argument("--method")
    parser.add_argument("--data", help="folder or zip of the data set")
    parser.add_argument("--tag", help="the checkpoint will be called METHOD.TAG")
    parser.add_argument("--parent", help="checkpoint to start from")
    for name in ("steps", "batch-size", "size", "seed", "save-every"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--terms", help="under which terms the data may be used")
    parser.add_argument("--only", metavar="CLASS=VALUE[,VALUE]", help="such as object=14")
    parser.add_argument(
        "--set", action="append", type=_field, default=[], metavar="FIELD=VALUE", dest="fields"
    )
    parser.add_argument("--output", type=Path, help="folder that gets the checkpoint")
    parser.add_argument("--run", type=Path, dest="folder", help="run folder, to continue in")


def _add_evaluate(verbs: Verbs) -> None:
    parser = _add(verbs, "evaluate", evaluate, "Measure a checkpoint on held-out pictures.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", choices=("validation", "test"), default="test")
    parser.add_argument("--only", metavar="CLASS=VALUE[,VALUE]", help="such as object=14")
    parser.add_argument("--instrument", default="attributes.celeba-64", help="who judges swaps")
    parser.add_argument("--pairs", type=int, default=0, help="0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=Path, help="folder for sheets of held-out pictures")
    parser.add_argument("--write", action="store_true", help="put the numbers into the card")
    parser.add_argument("--showcase", action="store_true", help="make samples.png instead")


def _add_data(verbs: Verbs) -> None:
    parser = verbs.add_parser("data", help="Make or check a data set.")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="VERB")
    render = _add(kinds, "render", render_data, "Render a data set whose factors are known.")
    render.add_argument("scene", choices=tuple(_RENDERERS))
    render.add_argument(
        "--count",
        type=int,
        help="of heads; of random lights on the pole, by default a grid of 576; "
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
    check = _add(kinds, "check", check_data, "Check a data set before an hour is spent on it.")
    check.add_argument("data", type=Path, metavar="SET")
    splits = _add(kinds, "splits", split_data, "Write which file is in which partition.")
    splits.add_argument("data", type=Path, metavar="SET")
    splits.add_argument("--output", type=Path, required=True, help="a .csv file")


def _add_reproduce(verbs: Verbs) -> None:
    parser = _add(verbs, "reproduce", reproduce, "Make a paper's table or figure.")
    parser.add_argument("table", nargs="?", help="without one, the tables are listed")
    parser.add_argument("--output", type=Path, help="folder for the results")
    parser.add_argument("--data", type=Path, help="the data set or photographs that it needs")
    parser.add_argument("--only", metavar="CLASS=VALUE[,VALUE]", help="such as object=14")
    parser.add_argument("--steps", type=int, help="of each training run")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions of each training run")
    parser.add_argument("--size", type=int, default=64)


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


def _box(text: str) -> tuple[float, float, float, float]:
    """Read ``x,y,side`` or ``x,y,side,angle``."""
    try:
        x, y, side, angle = (*map(float, text.split(",")), *[0.0] * (text.count(",") == 2))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"a crop is X,Y,SIDE,ANGLE in pixels and degrees, not {text!r}"
        ) from None
    return x, y, side, angle


def _field(text: str) -> tuple[str, str]:
    """Read ``name=value``."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"a setting is FIELD=VALUE, not {text!r}")
    return name, value


# The page and the list of checkpoints.


def serve(options: argparse.Namespace) -> Outcome:
    """Serve the page until it is stopped."""
    auth = None
    if options.auth:
        user, _, password = options.auth.partition(":")
        if not user or not password:
            raise ConfigError("--auth needs USER:PASSWORD, both not empty.")
        auth = (user, password)
    from studio.training.run import pick_device
    from studio.ui import page

    page.serve(
        host=options.host,
        port=options.port,
        share=options.share,
        auth=auth,
        device=pick_device(options.device),
    )
    return Outcome({}, "")


def list_models(options: argparse.Namespace) -> Outcome:
    """List the checkpoints; damaged ones are reported on standard error."""
    del options
    from studio.checkpoints import CheckpointStore

    store = CheckpointStore()
    cards, problems = store.cards(), store.problems()
    for problem in problems:
        say(problem)
    values = {"models": [asdict(card) for card in cards], "problems": problems}
    lines = [_card_line(card) for card in cards] or ["There are no checkpoints yet."]
    return Outcome(values, "\n".join(lines))


def _card_line(card: "Card") -> str:
    numbers = {
        name: card.metrics[name]
        for name in ("swap_success", "removed", "psnr", "truth_psnr", "accuracy")
        if name in card.metrics
    }
    measured = ", ".join(f"{name} {value:.3g}" for name, value in numbers.items())
    facts = (card.entry.title, f"{card.spec.size} px", f"{card.step} steps", measured)
    return f"{card.name:32}  " + ", ".join(fact for fact in facts if fact)


# Pictures: reading them, finding the face, encoding, swapping.


def open_models(device: str) -> "ModelCache":
    """Return the cache of all checkpoints, on a device.

    Raises:
        ConfigError: There is no such device.
    """
    from studio.checkpoints import CheckpointStore, ModelCache
    from studio.training.run import pick_device

    return ModelCache(CheckpointStore(), pick_device(device))


def encode(options: argparse.Namespace) -> Outcome:
    """Write latents as safetensors: parts by name, the files in the metadata."""
    from safetensors.torch import save_file

    from studio import bulk, editing, latents
    from studio.checkpoints import compact

    if options.output.suffix != ".safetensors":
        raise ConfigError(f"--output must be a .safetensors file, not {options.output.name}.")
    pictures = bulk.list_photographs(options.input)
    _check_single("--crop", options.crop, pictures)
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


def _check_single(option: str, box: object, pictures: Sequence[Path]) -> None:
    if box is not None and len(pictures) > 1:
        raise ConfigError(f"{option} is for a single picture, not for {len(pictures)}.")


def swap(options: argparse.Namespace) -> Outcome:
    """Swap or remove objects, picture by picture."""
    from studio import bulk, editing

    tasks = _plan(options)
    models = open_models(options.device)
    for name in options.model:
        # A wrong name is one mistake, not one per picture.
        models.store.card(name)
    edit = bulk.Edit(
        tuple(options.model),
        remove=options.remove,
        strength=options.strength,
        output="model" if options.model_output else "full",
        boxes={"receiver": options.receiver_crop, "donor": options.donor_crop},
    )
    reader = bulk.Reader(editing.eye_refiner(models), aligned=options.aligned, note=say)
    done, skipped = [], {}
    for task in tasks:
        try:
            bulk.carry_out(task, edit, models, reader)
        except StudioError as error:
            if len(tasks) == 1:
                raise
            skipped[task.output.name] = str(error)
        else:
            done.append(task.to_dict())
    text = f"Wrote {len(done)} of {len(tasks)} pictures to {options.output}."
    return Outcome({"results": done}, text, skipped)


def _plan(options: argparse.Namespace) -> list["Task"]:
    """Check what was asked for and pair up the pictures."""
    from studio import bulk

    groups = [bulk.list_photographs(group) for group in options.donor or []]
    if options.remove == bool(groups):
        raise ConfigError("A swap needs --donor; a removal (--remove) has none.")
    if len(groups) not in (0, 1, len(options.model)):
        raise ConfigError(
            f"--donor was given {len(groups)} times for {len(options.model)} models; give it once, "
            "or once per model."
        )
    if not -1 <= options.strength <= 2:
        raise ConfigError(f"--strength lies in [-1, 2], not at {options.strength:g}.")
    receivers = bulk.list_photographs(options.receiver)
    _check_single("--receiver-crop", options.receiver_crop, receivers)
    _check_single("--donor-crop", options.donor_crop, [file for group in groups for file in group])
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


# Training, measuring, data.


def train(options: argparse.Namespace) -> Outcome:
    """Train in the foreground; the run folder keeps what is needed to continue."""
    from studio import paths
    from studio.training.run import REQUEST, TrainRequest, run

    request = TrainRequest.from_dict(_request_values(options))
    folder = options.folder or paths.runs() / request.name
    written = folder / REQUEST
    if written.is_file():
        values = json.loads(written.read_text(encoding="utf-8"))
        if TrainRequest.from_dict(values) != request:
            raise ConfigError(
                f"The run folder {folder} belongs to another request; name another with --run."
            )
    every = max(1, request.steps // 20)

    def report(step: int, terms: Any) -> None:
        if step % every == 0:
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
            say(f"Step {step} of {request.steps}: {numbers}")

    checkpoint = run(request, folder, options.output, report)
    if checkpoint is None:
        text = f"Paused; the same command continues in {folder}."
        return Outcome({"checkpoint": None, "run": str(folder)}, text)
    return Outcome({"checkpoint": str(checkpoint), "run": str(folder)}, f"Wrote {checkpoint}.")


def _request_values(options: argparse.Namespace) -> dict[str, Any]:
    """Return the request file's values with those of the command line on top."""
    values: dict[str, Any] = {}
    if options.request:
        try:
            values = json.loads(options.request.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f"The request {options.request} cannot be read: {error}."
            raise ConfigError(message) from error
        if not isinstance(values, dict):
            raise ConfigError(f"The request {options.request} is not a JSON object.")
    given = {name: getattr(options, name) for name in _REQUEST_OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    if options.device != "auto":
        given["device"] = options.device
    fields = {**values.get("fields", {}), **dict(options.fields)}
    return {**values, **given, "fields": fields}


def evaluate(options: argparse.Namespace) -> Outcome:
    """Measure a checkpoint, and on request write the card, sheets or samples.png."""
    from studio import evaluation
    from studio.data.folder import open_set
    from studio.evaluation import sheets
    from studio.training.run import read_only

    if options.write and options.part != "test":
        raise ConfigError("--write needs --part test: a card has the numbers of the test part.")
    models = open_models(options.device)
    data = open_set(options.data)
    if options.only:
        data = data.where(*read_only(options.only))
    if options.showcase:
        file = sheets.write_showcase(models, options.model, data)
        return Outcome({"samples": str(file)}, f"Wrote {file}.")
    numbers = evaluation.evaluate(
        models,
        options.model,
        data,
        part=options.part,
        instrument=options.instrument,
        pairs=options.pairs,
        seed=options.seed,
    )
    values: dict[str, Any] = {"model": options.model, "part": options.part, "metrics": numbers}
    if options.samples:
        files = sheets.write_samples(
            models, options.model, data.part(options.part), options.samples
        )
        values["samples"] = [str(file) for file in files]
    if options.write:
        support = evaluation.measure_support(models, options.model, data)
        evaluation.write_card(models.store, options.model, numbers, _repeatable(options), support)
    lines = [f"{name:32} {value:.5g}" for name, value in numbers.items()]
    return Outcome(values, "\n".join(lines))


def _repeatable(options: argparse.Namespace) -> str:
    """Return the command for the card: no person's folders, nothing that only shows results."""
    command = ["latent-studio", "evaluate", "--model", options.model, "--data", options.data.name]
    if options.only:
        command += ["--only", options.only]
    if options.pairs:
        command += ["--pairs", str(options.pairs)]
    if options.seed:
        command += ["--seed", str(options.seed)]
    if "--instrument" in options.arguments:
        command += ["--instrument", options.instrument]
    return shlex.join([*command, "--write"])


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


_RENDERERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "heads": _render_heads,
    "pole": _render_pole,
    "turntable": _render_turntable,
}


def check_data(options: argparse.Namespace) -> Outcome:
    """Report on a data set; pictures that cannot be used give status 1."""
    from studio.data.inspect import inspect

    report = inspect(options.data)
    status = SKIPPED if report.unusable else DONE
    return Outcome(report.to_dict(), report.text(), status=status)


def split_data(options: argparse.Namespace) -> Outcome:
    """Write ``file,partition`` rows, so that others can repeat the numbers."""
    from studio.data.folder import open_set
    from studio.data.inspect import write_splits

    data = open_set(options.data)
    counts = write_splits(data, options.output)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    return Outcome({"output": str(options.output), **counts}, f"Wrote {options.output}: {told}.")


def reproduce(options: argparse.Namespace) -> Outcome:
    """Run one of the tables, or list them."""
    from studio.reproduce import TABLES, ReproduceOptions

    if options.table is None:
        return Outcome({"tables": sorted(TABLES)}, "\n".join(sorted(TABLES)))
    if options.table not in TABLES:
        raise ConfigError(f"There is no table {options.table!r}; there are {', '.join(TABLES)}.")
    if options.output is None:
        raise ConfigError("reproduce needs --output, the folder for the results.")
    settings = ReproduceOptions(
        output=options.output,
        data=options.data,
        models=open_models(options.device),
        steps=options.steps,
        seeds=options.seeds,
        size=options.size,
        report=say,
        only=options.only or "",
    )
    return Outcome(TABLES[options.table](settings), f"Wrote the results to {options.output}.")
