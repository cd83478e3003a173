"""Verbs that train and measure."""

import argparse
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.base import Outcome, Verbs, add_verb, open_models, say, setting
from studio.errors import ConfigError

if TYPE_CHECKING:
    from studio.training.request import TrainRequest

_REQUEST_OPTIONS = (
    *("method", "data", "tag", "parent", "steps", "batch_size", "size", "seed"),
    *("save_every", "precision", "terms", "only", "also", "patience", "processes", "compile"),
)


def add_train(verbs: Verbs) -> None:
    """Add ``train``."""
    parser = add_verb(verbs, "train", train, "Train a checkpoint, in the foreground.")
    add_request_options(parser)
    parser.add_argument("--output", type=Path, help="folder that gets the checkpoint")
    parser.add_argument("--run", type=Path, dest="folder", help="run folder, to continue in")


def add_request_options(parser: argparse.ArgumentParser) -> None:
    """Add what makes a request: a file, and options that go on top of it."""
    parser.add_argument("request", nargs="?", type=Path, help="a JSON file with all of the below")
    add_changes(parser)


def add_changes(parser: argparse.ArgumentParser) -> None:
    """Add the options that go on top of a request."""
    parser.add_argument("--method")
    parser.add_argument("--data", help="folder or zip of the data set")
    parser.add_argument("--tag", help="the checkpoint will be called METHOD.TAG")
    parser.add_argument("--parent", help="checkpoint to start from")
    for name in ("steps", "batch-size", "size", "seed", "save-every"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument(
        "--patience", type=int, help="saves without a gain on held-out pictures before it ends"
    )
    parser.add_argument("--processes", type=int, help="that train together, one to a device")
    parser.add_argument(
        "--compile", action="store_const", const=True, help="let torch compile the networks"
    )
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--terms", help="under which terms the data may be used")
    parser.add_argument("--only", metavar="CLASS=VALUE[,VALUE]", help="such as object=14")
    parser.add_argument(
        "--also", metavar="SET", help="another set whose training pictures are added"
    )
    parser.add_argument(
        "--set", action="append", type=setting, default=[], metavar="FIELD=VALUE", dest="fields"
    )


def add_evaluate(verbs: Verbs) -> None:
    """Add ``evaluate``."""
    parser = add_verb(verbs, "evaluate", evaluate, "Measure a checkpoint on held-out pictures.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", choices=("validation", "test"), default="test")
    parser.add_argument("--only", metavar="CLASS=VALUE[,VALUE]", help="such as object=14")
    parser.add_argument("--instrument", default="attributes.celeba-64", help="who judges swaps")
    parser.add_argument("--pairs", type=int, default=0, help="0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=Path, help="folder for sheets of held-out pictures")
    parser.add_argument("--write", action="store_true", help="put the numbers into the card")
    parser.add_argument(
        "--showcase", action="store_true", help="make samples.png instead, or sample latents"
    )


def add_reproduce(verbs: Verbs) -> None:
    """Add ``reproduce``."""
    parser = add_verb(verbs, "reproduce", reproduce, "Make a paper's table or figure.")
    parser.add_argument("table", nargs="?", help="without one, the tables are listed")
    parser.add_argument("--output", type=Path, help="folder for the results")
    parser.add_argument("--data", type=Path, help="the data set or photographs that it needs")
    parser.add_argument("--only", metavar="CLASS=VALUE[,VALUE]", help="such as object=14")
    parser.add_argument("--steps", type=int, help="of each training run")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions of each training run")
    parser.add_argument("--size", type=int, default=64)


def train(options: argparse.Namespace) -> Outcome:
    """Train in the foreground; the run folder keeps what is needed to continue."""
    from studio import paths
    from studio.training.request import TrainRequest
    from studio.training.run import run
    from studio.training.status import REQUEST

    request = read_request(options)
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


def read_request(options: argparse.Namespace) -> "TrainRequest":
    """Return the request that a command line makes.

    Raises:
        ConfigError: It makes no sense.
    """
    return changed_request(_read_file(options.request) if options.request else {}, options)


def _read_file(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The request {file} cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"The request {file} is not a JSON object.")
    return values


def changed_request(values: Mapping[str, Any], options: argparse.Namespace) -> "TrainRequest":
    """Return the request of some values with those of the command line on top.

    Raises:
        ConfigError: It makes no sense.
    """
    from studio.training.request import TrainRequest

    given = {name: getattr(options, name) for name in _REQUEST_OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    if options.device != "auto":
        given["device"] = options.device
    fields = {**values.get("fields", {}), **dict(options.fields)}
    return TrainRequest.from_dict({**values, **given, "fields": fields})


def evaluate(options: argparse.Namespace) -> Outcome:
    """Measure a checkpoint, and on request write the card, sheets or samples.png."""
    from studio import evaluation
    from studio.data.folder import open_set
    from studio.evaluation import sheets
    from studio.training.request import read_only

    if options.write and options.part != "test":
        raise ConfigError("--write needs --part test: a card has the numbers of the test part.")
    models = open_models(options.device)
    data = open_set(options.data)
    if options.only:
        data = data.where(*read_only(options.only))
    if options.showcase:
        if views := sheets.write_views(models, options.model, data):
            text = f"The checkpoint carries the latents of {views} sample pictures now."
            return Outcome({"views": views}, text)
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
