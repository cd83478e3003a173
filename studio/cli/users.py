"""``latent-studio users``: those of a page that asks for a password."""

import argparse
from dataclasses import asdict

from studio.cli.base import Outcome, Verbs, add_verb
from studio.errors import ConfigError


def add_users(verbs: Verbs) -> None:
    """Add ``users list`` and ``users delete``."""
    parser = verbs.add_parser("users", help="See who has data on this machine, or delete it.")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="VERB")
    add_verb(kinds, "list", list_users, "List the users that have made something.")
    delete = add_verb(kinds, "delete", delete_user, "End a user's jobs and delete all of theirs.")
    delete.add_argument("name")


def list_users(options: argparse.Namespace) -> Outcome:
    """List users with what is theirs."""
    from studio import accounts, paths

    del options
    found = {}
    for name in accounts.users():
        with paths.acting_for(name):
            found[name] = accounts.belongings()
    lines = [
        f"{name}: {one.jobs} jobs, {one.sets} sets, {one.checkpoints} checkpoints, "
        f"{one.sliders} sliders, {one.bytes / 2**20:.0f} MB"
        for name, one in found.items()
    ]
    values = {"users": {name: asdict(one) for name, one in found.items()}}
    return Outcome(values, "\n".join(lines) or "No user has made anything here.")


def delete_user(options: argparse.Namespace) -> Outcome:
    """Delete everything of a user."""
    from studio import accounts, paths

    known = accounts.users()
    if options.name not in known:
        raise ConfigError(
            f"There is no user {options.name!r} with data here; "
            f"there are {', '.join(known) or 'none'}."
        )
    with paths.acting_for(options.name):
        accounts.delete_everything()
    return Outcome({"deleted": options.name}, f"All of {options.name} was deleted.")
