"""``latent-studio models``: look at checkpoints, pass them on, rename, delete and get them back."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli.base import Outcome, Verbs, add_verb, say

if TYPE_CHECKING:
    from studio.checkpoints import Card, CheckpointStore
    from studio.readings import Comparison, Line

# The numbers of a card that its line in the list has.
_LISTED = ("swap_success", "removed", "psnr", "truth_psnr", "accuracy", "crosses", "shown")
_WIDEST = 48


def add_models(verbs: Verbs) -> None:
    """Add the verb with its own verbs."""
    parser = add_verb(verbs, "models", list_models, "List checkpoints, look after your own.")
    kinds = parser.add_subparsers(dest="kind", metavar="VERB")
    add_verb(kinds, "list", list_models, "List the checkpoints with their cards.")
    show = add_verb(kinds, "show", show_model, "Show a checkpoint's card.")
    compare = add_verb(kinds, "compare", compare_models, "Put two cards side by side.")
    compare.add_argument("one")
    compare.add_argument("other")
    export = add_verb(kinds, "export", export_model, "Pack a checkpoint as one zip.")
    take = add_verb(kinds, "import", import_model, "Check a packed checkpoint and take it in.")
    take.add_argument("file", type=Path)
    rename = add_verb(kinds, "rename", rename_model, "Give one of your own checkpoints a tag.")
    delete = add_verb(kinds, "delete", delete_model, "Delete one of your own checkpoints.")
    for one in (show, export, rename, delete):
        one.add_argument("name")
    export.add_argument("--output", type=Path, required=True, help="a .zip file, or a folder")
    rename.add_argument("tag", help="what stands after the dot of the name")
    restore = add_verb(kinds, "restore", restore_model, "Get a deleted checkpoint back.")
    restore.add_argument("name", nargs="?", default="", help="without it all are listed")


def _store() -> "CheckpointStore":
    from studio.checkpoints import CheckpointStore

    return CheckpointStore()


def list_models(options: argparse.Namespace) -> Outcome:
    """List the checkpoints; damaged ones are reported on standard error."""
    del options
    store = _store()
    cards, problems = store.cards(), store.problems()
    for problem in problems:
        say(problem)
    values = {"models": [asdict(card) for card in cards], "problems": problems}
    lines = [_card_line(card) for card in cards] or ["There are no checkpoints yet."]
    return Outcome(values, "\n".join(lines))


def _card_line(card: "Card") -> str:
    numbers = {name: card.metrics[name] for name in _LISTED if name in card.metrics}
    measured = ", ".join(f"{name} {value:.3g}" for name, value in numbers.items())
    facts = (card.entry.title, f"{card.spec.size} px", f"{card.step} steps", measured)
    return f"{card.name:32}  " + ", ".join(fact for fact in facts if fact)


def show_model(options: argparse.Namespace) -> Outcome:
    """Show a card: what it is, and what was measured."""
    from studio import readings

    card = _store().card(options.name)
    numbers = {reading.label: text for reading, text in readings.measured(card)}
    rows = [(label, text) for label, text in {**readings.facts(card), **numbers}.items()]
    rows += list(readings.more(card).items())
    return Outcome({"model": asdict(card)}, _table(rows))


def compare_models(options: argparse.Namespace) -> Outcome:
    """Put two cards side by side; a star marks the better number."""
    from studio import readings

    store = _store()
    found = readings.compare(store.card(options.one), store.card(options.other))
    lines = (*found.facts, *found.measured, *found.more)
    rows = [("", *found.names), *(_marked(found, line) for line in lines)]
    note = f"\n{found.note}" if found.note else ""
    return Outcome(found.to_dict(), _table(rows) + "\n* the better number" + note)


def _marked(found: "Comparison", line: "Line") -> tuple[str, ...]:
    texts = zip(found.names, line.texts, strict=True)
    return line.label, *(f"{text} *" if name == line.better else text for name, text in texts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns; what is long is cut, but for the last column."""
    cut = [[_cut(text) for text in row[:-1]] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    return "\n".join(
        "  ".join(
            [*(text.ljust(wide) for text, wide in zip(texts, widths, strict=True)), row[-1]]
        ).rstrip()
        for texts, row in zip(cut, rows, strict=True)
    )


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def export_model(options: argparse.Namespace) -> Outcome:
    """Pack a checkpoint."""
    from studio.exchange import pack

    file = pack(_store(), options.name, options.output)
    return Outcome({"output": str(file)}, f"Wrote {file}.")


def import_model(options: argparse.Namespace) -> Outcome:
    """Take a packed checkpoint in."""
    from studio.exchange import unpack

    name = unpack(options.file)
    return Outcome({"model": name}, f"{name} is among your checkpoints now.")


def rename_model(options: argparse.Namespace) -> Outcome:
    """Give one of the person's own checkpoints another tag."""
    from studio import keeping

    name = keeping.rename(_store(), options.name, options.tag)
    return Outcome({"model": name}, f"{options.name} is {name} now.")


def delete_model(options: argparse.Namespace) -> Outcome:
    """Put one of the person's own checkpoints into the trash."""
    from studio import keeping

    gone = keeping.delete(_store(), options.name)
    return Outcome(
        {"deleted": gone.name, "days_left": gone.days_left},
        f"Deleted {gone.name}; within {keeping.KEPT_DAYS} days `latent-studio models restore "
        f"{gone.name}` brings it back.",
    )


def restore_model(options: argparse.Namespace) -> Outcome:
    """Get a deleted checkpoint back, or list those that can be."""
    from studio import keeping

    if options.name:
        name = keeping.restore(options.name)
        return Outcome({"model": name}, f"{name} is among your checkpoints again.")
    gone = keeping.deleted()
    lines = [f"{one.name:32}  {one.days_left} more days" for one in gone]
    values = {"deleted": [{"name": one.name, "days_left": one.days_left} for one in gone]}
    return Outcome(values, "\n".join(lines) or "There are no deleted checkpoints.")
