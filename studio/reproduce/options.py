"""What every table takes, and how every table writes down its results."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.checkpoints import ModelCache
from studio.errors import ConfigError, TrainingError
from studio.images import Picture, save_png
from studio.methods.base import Operation
from studio.training.request import TrainRequest
from studio.training.run import run
from studio.training.trainer import Terms

# Training steps from one progress message to the next.
REPORT_EVERY = 50

Row = Mapping[str, object]


@dataclass(frozen=True, eq=False)
class ReproduceOptions:
    """Settings of a table; each uses those that it needs.

    Attributes:
        output: Folder of the results; run folders below it make an interrupted table go on.
        data: A data set, or the folder of the photographs that the table names.
        models: The checkpoints that figures are made with.
        steps: Of each training run; None takes the table's own number.
        seeds: Repetitions of each training run.
        size: Of the pictures that models are trained on.
        report: Gets one line of progress now and then.
        only: Classes of the data set to learn from, such as ``object=14``; everything where empty.
    """

    output: Path
    data: Path | None
    models: ModelCache
    steps: int | None
    seeds: int
    size: int
    report: Callable[[str], None]
    only: str = ""


def write_results(
    options: ReproduceOptions,
    name: str,
    rows: Sequence[Row],
    figure: Picture,
    summary: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Write a table as CSV and JSON and its figure as PNG.

    Args:
        options: Whose ``output`` gets the files.
        name: Of the files.
        rows: At least one; all with the same columns.
        figure: (H, W, 3) uint8.
        summary: What the rows come to.

    Returns:
        What the JSON holds, and the files' paths.
    """
    options.output.mkdir(parents=True, exist_ok=True)
    files = {kind: options.output / f"{name}.{kind}" for kind in ("csv", "json", "png")}
    with files["csv"].open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    values: dict[str, object] = {"table": name, "rows": list(rows), "summary": dict(summary or {})}
    files["json"].write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    save_png(files["png"], figure)
    options.report(f"Wrote {files['csv']}, {files['json'].name} and {files['png'].name}.")
    return {**values, "files": {kind: str(path) for kind, path in files.items()}}


def swapping_checkpoints(options: ReproduceOptions, *, rendered: bool) -> list[str]:
    """List the checkpoints that swap: those trained on renders, or those trained on photographs.

    Raises:
        ConfigError: There is none.
    """
    names = options.models.store.names(Operation.SWAP)
    chosen = [name for name in names if name.partition(".")[2].startswith("heads-") == rendered]
    if not chosen:
        kind = "a tag that begins with heads-" if rendered else "photographs behind it"
        raise ConfigError(
            f"There is no checkpoint that swaps and has {kind}; train one first "
            f"(there are {', '.join(names) or 'none'})."
        )
    return chosen


def train_once(options: ReproduceOptions, request: TrainRequest) -> str:
    """Train a checkpoint below ``output``, go on with its run, or take it as it is.

    Returns:
        The checkpoint's name.

    Raises:
        StudioError: The request cannot be carried out, or was paused by a stop file.
    """
    checkpoints = trained(options)
    if (checkpoints / request.name).is_dir():
        options.report(f"{request.name} is trained already.")
        return request.name

    def report(step: int, terms: Terms) -> None:
        if step % REPORT_EVERY == 0 or step == request.steps:
            told = ", ".join(f"{name} {value:.3f}" for name, value in terms.items())
            options.report(f"{request.name}: step {step} of {request.steps}, {told}")

    folder = options.output / "runs" / request.name
    if run(request, folder, checkpoints, report) is None:
        raise TrainingError(f"The run in {folder} was paused; remove its stop file and go on.")
    return request.name


def trained(options: ReproduceOptions) -> Path:
    """Return the folder of the checkpoints that tables train."""
    return options.output / "checkpoints"
