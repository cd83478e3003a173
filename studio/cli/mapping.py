"""The verb ``explore``: a data set as a map of a checkpoint's latent space."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli.base import (
    Outcome,
    Verbs,
    add_picture_options,
    add_verb,
    open_models,
    say,
)
from studio.errors import ConfigError

if TYPE_CHECKING:
    from studio.checkpoints import ModelCache
    from studio.explore.maps import Map
    from studio.explore.measures import Measure

# Neighbours of a placed picture that are named.
_NAMED = 5


def add_explore(verbs: Verbs) -> None:
    """Add ``explore``."""
    parser = add_verb(verbs, "explore", explore, "Draw the map of a data set's latents.")
    parser.add_argument("--model", required=True, help="encodes the pictures")
    parser.add_argument("--data", type=Path, required=True, metavar="SET")
    parser.add_argument(
        "--output", type=Path, required=True, help="a .csv file of points, or a .html page"
    )
    parser.add_argument("--part", default="", help="one part of the latents, such as object")
    parser.add_argument("--method", choices=("pca", "tsne"), default="pca")
    parser.add_argument("--dimensions", type=int, choices=(2, 3), default=2)
    parser.add_argument("--perplexity", type=float, default=30.0, help="of t-SNE, 2 to 200")
    parser.add_argument(
        "--most", type=int, default=20_000, help="a larger set is sampled down to so many pictures"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--colour", default="", metavar="KIND:NAME", help="such as attribute:Smiling or cluster:"
    )
    parser.add_argument(
        "--input", nargs="+", type=Path, default=[], metavar="PICTURE",
        help="pictures to place on the map, with their neighbours",
    )  # fmt: skip
    add_picture_options(parser)


def explore(options: argparse.Namespace) -> Outcome:
    """Draw a map, write it, and measure it."""
    from studio.data.folder import open_set
    from studio.explore import labels, writing
    from studio.explore.charting import MapRequest, chart
    from studio.explore.measures import measure

    suffix = options.output.suffix.lower()
    if suffix not in (".csv", ".html"):
        raise ConfigError(f"A map is written as .csv or .html, not as {options.output.name!r}.")
    request = MapRequest(
        options.model,
        options.part,
        options.method,
        options.dimensions,
        options.perplexity,
        options.most,
        options.seed,
    )
    models, data = open_models(options.device), open_set(options.data)
    key = labels.first(data) if not options.colour else options.colour
    # What is wrong is said before minutes are spent.
    labels.check(data, key)
    _make_room(options.output)
    drawn = chart(models, request, data, _progress())
    column = labels.column(drawn.codes.data, key, drawn.scores, drawn.seed)
    placed, skipped = _place(models, options, drawn)
    if suffix == ".csv":
        writing.write_table(options.output, drawn, column)
    else:
        from studio.ui.figures import map_page

        options.output.write_text(map_page(drawn, column), encoding="utf-8")
    measures = measure(drawn, column)
    values = {
        "output": str(options.output),
        **writing.facts(drawn, column, measures),
        "placed": placed,
    }
    lines = [f"Wrote the map of {len(drawn):,} pictures to {options.output}.", *drawn.notes]
    lines += [_line(one) for one in measures]
    for found in placed:
        near = ", ".join(found["neighbours"][:_NAMED])
        where = ", ".join(f"{number:.3g}" for number in found["point"])
        lines.append(f"{found['input']} lies at {where}; nearest: {near}.")
    return Outcome(values, "\n".join(lines), skipped)


def _make_room(output: Path) -> None:
    """Make the folder of the result.

    Raises:
        ConfigError: There is a folder of its name, or its own cannot be made.
    """
    if output.is_dir():
        raise ConfigError(f"{output} is a folder; give the name of a file for the map.")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The folder {output.parent} cannot be made ({error.strerror or error}); give another "
            "place for the map."
        ) from error


def _line(one: "Measure") -> str:
    """Write a number with what it is compared with, and how to read it."""
    if math.isnan(one.value):
        return f"  {one.label}: cannot be told from these pictures."
    beside = "".join(f", {name} {value:.3f}" for name, value in one.beside)
    return f"  {one.label}: {one.value:.3f}{beside}. {one.reading}"


def _progress() -> Any:
    """Return a function that says every tenth of what is done."""
    told: dict[str, int] = {}

    def progress(what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth > told.get(what, -1):
            told[what] = tenth
            say(f"{what}: {done} of {total}.")

    return progress


def _place(
    models: "ModelCache", options: argparse.Namespace, drawn: "Map"
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Place pictures on a map; those that cannot be used are skipped."""
    from studio import bulk, editing
    from studio.explore import writing

    found: list[dict[str, Any]] = []
    if not options.input:
        return found, {}
    pictures: Sequence[Path] = bulk.list_photographs(options.input)
    reader = bulk.reader_for(models, options.model, aligned=options.aligned, note=say)
    skipped: dict[str, str] = {}
    for path, one in bulk.read_each(reader, pictures, skipped):
        encoded = editing.encode(models, options.model, one.photo.pixels, one.alignment)
        found.append({"input": str(path), **writing.placed(drawn, encoded.latents)})
    return found, skipped
