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

from studio.cli import attributes, data, jobs, learning, mapping, models, parts, pictures, users
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
        models.add_models,
        users.add_users,
        pictures.add_encode,
        pictures.add_swap,
        attributes.add_edit,
        attributes.add_generate,
        attributes.add_directions,
        parts.add_bank,
        attributes.add_augment,
        mapping.add_explore,
        pictures.add_interpolate,
        learning.add_train,
        jobs.add_jobs,
        learning.add_evaluate,
        data.add_data,
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
    parser.add_argument(
        "--memory", type=int, metavar="MB",
        help="keep models of so many MB loaded at most, by default 512",
    )  # fmt: skip


def serve(options: argparse.Namespace) -> Outcome:
    """Serve the page until it is stopped."""
    auth = [_user(text) for text in options.auth]
    if len(dict(auth)) < len(auth):
        raise ConfigError("--auth names a user twice; each has one password.")
    if options.memory is not None and options.memory < 1:
        raise ConfigError(f"--memory is a number of MB, 1 or more, not {options.memory}.")
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
        memory=options.memory,
    )
    return Outcome({}, "")


def _user(text: str) -> tuple[str, str]:
    user, _, password = text.partition(":")
    if not user or not password:
        raise ConfigError("--auth needs USER:PASSWORD, both not empty.")
    return user, password
