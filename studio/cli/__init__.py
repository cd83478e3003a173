"""``latent-studio VERB``: everything the page does, from a terminal.

Results go to ``--output``; with ``--json`` one JSON object goes to standard output and nothing else
does. A mistake of the person is one sentence on standard error and exit status 2; a picture of a
folder that cannot be used is reported and skipped, and the status is 1.

Only the parser is built at start. What needs torch, OpenCV or gradio is imported by the verb.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli import attributes, jobs, learning, mapping, pictures
from studio.cli.base import (
    INTERRUPTED,
    MISTAKE,
    SKIPPED,
    Outcome,
    Parser,
    Verbs,
    add_verb,
    emit,
    say,
)
from studio.errors import ConfigError, StudioError

if TYPE_CHECKING:
    from studio.checkpoints import Card


# The numbers of a card that its line in the list has.
_LISTED = ("swap_success", "removed", "psnr", "truth_psnr", "accuracy", "crosses", "shown")


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


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all verbs."""
    parser = Parser(prog="latent-studio", description="Edit faces between photographs.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add in (
        _add_serve,
        _add_models,
        pictures.add_encode,
        pictures.add_swap,
        attributes.add_edit,
        attributes.add_generate,
        attributes.add_directions,
        attributes.add_augment,
        mapping.add_explore,
        pictures.add_interpolate,
        learning.add_train,
        jobs.add_jobs,
        learning.add_evaluate,
        learning.add_data,
        learning.add_reproduce,
    ):
        add(verbs)
    return parser


def _add_serve(verbs: Verbs) -> None:
    parser = add_verb(verbs, "serve", serve, "Serve the page.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="by default the first free one from 7860")
    parser.add_argument("--share", action="store_true", help="make a public link")
    parser.add_argument(
        "--auth", metavar="USER:PASSWORD", action="append", default=[],
        help="ask visitors for a password; repeat it for several users, who see only their own",
    )  # fmt: skip


def _add_models(verbs: Verbs) -> None:
    parser = add_verb(verbs, "models", list_models, "List the checkpoints, pack or take one in.")
    kinds = parser.add_subparsers(dest="kind", metavar="VERB")
    add_verb(kinds, "list", list_models, "List the checkpoints with their cards.")
    export = add_verb(kinds, "export", export_model, "Pack a checkpoint as one zip.")
    export.add_argument("name")
    export.add_argument("--output", type=Path, required=True, help="a .zip file, or a folder")
    take = add_verb(kinds, "import", import_model, "Check a packed checkpoint and take it in.")
    take.add_argument("file", type=Path)
    delete = add_verb(kinds, "delete", delete_model, "Delete one of your own checkpoints.")
    delete.add_argument("name")


def serve(options: argparse.Namespace) -> Outcome:
    """Serve the page until it is stopped."""
    auth = [_user(text) for text in options.auth]
    if len(dict(auth)) < len(auth):
        raise ConfigError("--auth names a user twice; each has one password.")
    from studio.training.request import pick_device
    from studio.ui import page
    from studio.ui.guard import check_user

    for user, _ in auth:
        check_user(user)

    page.serve(
        host=options.host,
        port=options.port,
        share=options.share,
        auth=auth,
        device=pick_device(options.device),
    )
    return Outcome({}, "")


def _user(text: str) -> tuple[str, str]:
    user, _, password = text.partition(":")
    if not user or not password:
        raise ConfigError("--auth needs USER:PASSWORD, both not empty.")
    return user, password


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


def export_model(options: argparse.Namespace) -> Outcome:
    """Pack a checkpoint."""
    from studio.checkpoints import CheckpointStore
    from studio.exchange import pack

    file = pack(CheckpointStore(), options.name, options.output)
    return Outcome({"output": str(file)}, f"Wrote {file}.")


def import_model(options: argparse.Namespace) -> Outcome:
    """Take a packed checkpoint in."""
    from studio.exchange import unpack

    name = unpack(options.file)
    return Outcome({"model": name}, f"{name} is among your checkpoints now.")


def delete_model(options: argparse.Namespace) -> Outcome:
    """Delete one of the person's own checkpoints."""
    from studio.checkpoints import CheckpointStore

    CheckpointStore().delete(options.name)
    return Outcome({"deleted": options.name}, f"Deleted {options.name}.")


def _card_line(card: "Card") -> str:
    numbers = {name: card.metrics[name] for name in _LISTED if name in card.metrics}
    measured = ", ".join(f"{name} {value:.3g}" for name, value in numbers.items())
    facts = (card.entry.title, f"{card.spec.size} px", f"{card.step} steps", measured)
    return f"{card.name:32}  " + ", ".join(fact for fact in facts if fact)
