"""What the tab Models shows, and the checkpoints that it takes in, renames, deletes, gets back."""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio import exchange, images, keeping, readings
from studio.checkpoints import SAMPLES, Card
from studio.errors import CheckpointError, ImageError
from studio.methods.base import Operation
from studio.readings import Comparison, Line
from studio.ui.components import bare_object, data_uri, note
from studio.ui.context import Context
from studio.ui.guard import uploaded

_SAMPLES_SIDE = 900
MEGABYTE = 2**20
# What the memory's slider reaches, in MB; more where the page was served with more.
LEAST_MEMORY, MOST_MEMORY = 32, 2048


@dataclass(frozen=True)
class Sheet:
    """A picture of what a checkpoint does.

    Attributes:
        source: A data URI; empty where there is no picture.
        ratio: Its width as a part of its height.
    """

    source: str = ""
    ratio: float = 0.0


# What people do with checkpoints.


def take_in(context: Context, path: Any) -> str:
    """Take an uploaded checkpoint in and return its name.

    Raises:
        CheckpointError: It is no upload, or none that can be taken in.
    """
    try:
        file = Path(uploaded(path))
    except ImageError as error:
        raise CheckpointError(
            "No file was received; choose a .zip that Latent Studio exported."
        ) from error
    name = exchange.unpack(file)
    context.notice()
    return name


def rename(context: Context, name: str, tag: str) -> str:
    """Rename a checkpoint and return its new name; what is set up with it follows.

    Raises:
        CheckpointError: It cannot be renamed so.
    """
    renamed = keeping.rename(context.store, name, tag)
    context.moved(name, renamed)
    context.notice()
    return renamed


def delete(context: Context, name: str) -> keeping.Deleted:
    """Put a checkpoint into the trash.

    Raises:
        CheckpointError: It is none of the person's own.
    """
    gone = keeping.delete(context.store, name)
    context.notice()
    return gone


def restore(context: Context, name: str) -> str:
    """Get a checkpoint out of the trash, by its name or key; return its name.

    Raises:
        CheckpointError: It is not there, or its name is taken.
    """
    restored = keeping.restore(name)
    context.notice()
    return restored


# What is shown.


def cards(context: Context) -> list[Card]:
    """List all cards: one's own first, and the measuring instruments last."""
    return sorted(
        context.store.cards(),
        key=lambda card: (
            not context.store.is_own(card.name),
            Operation.EVALUATE in card.entry.operations,
        ),
    )


def entries(context: Context) -> list[dict[str, Any]]:
    """Describe all checkpoints for ``models.js``."""
    warm = context.models.warm()
    return [_entry(context, card, warm) for card in cards(context)]


def _entry(context: Context, card: Card, warm: Mapping[str, int]) -> dict[str, Any]:
    method, _, tag = card.name.partition(".")
    loaded = card.name in warm
    return {
        "name": card.name,
        "method": method,
        "tag": tag,
        "own": context.store.is_own(card.name),
        "title": title(card),
        "line": card.entry.summary,
        "state": f"loaded, {megabytes(warm[card.name])}" if loaded else "not loaded",
        "warm": loaded,
        # The page asks for the picture itself once the card comes into view.
        "ratio": sheet(context, card).ratio,
        "metrics": [
            [reading.label, text, reading.help] for reading, text in readings.measured(card)
        ],
        "more": [[label, text, ""] for label, text in readings.more(card).items()],
        "facts": [[label, text] for label, text in readings.facts(card).items() if label != "Name"],
    }


def title(card: Card) -> str:
    """Name a checkpoint by what it swaps, or by its method."""
    if Operation.SWAP in card.entry.operations:
        return bare_object(card).capitalize()
    return card.entry.title


def sheet(context: Context, card: Card) -> Sheet:
    """Return the sample sheet; an empty one where there is none that can be shown."""
    path = context.store.folder(card.name) / SAMPLES
    if not path.is_file():
        return Sheet()
    try:
        return context.memory.get(
            ("samples", str(path), path.stat().st_mtime_ns),
            lambda: _read_sheet(path),
            lambda made: len(made.source),
        )
    except ImageError:
        # A card without its picture says more than no card.
        return Sheet()


def _read_sheet(path: Path) -> Sheet:
    pixels = images.fit(images.read_photo(path).pixels, _SAMPLES_SIDE)
    return Sheet(data_uri(pixels), pixels.shape[1] / pixels.shape[0])


def deleted() -> list[dict[str, str]]:
    """Describe what can be got back."""
    return [
        {"key": one.key, "name": one.name, "left": _days(one.days_left)}
        for one in keeping.deleted()
    ]


def _days(count: int) -> str:
    return f"kept for {count} more {'day' if count == 1 else 'days'}"


def memory(context: Context) -> dict[str, Any]:
    """Describe the loaded models for ``memory.js``, the last used first."""
    models = context.models
    warm = models.warm()
    place = {"cpu": "the processor's memory"}.get(models.device.type, "the graphics card")
    limit, used = models.limit // MEGABYTE, models.used()
    others = used - sum(warm.values())
    return {
        "line": f"{megabytes(used)} of models in {place}. They load when they are used; beyond the "
        "limit those go first that were not used for longest.",
        "share": used / models.limit,
        "limit": limit,
        "least": LEAST_MEMORY,
        "most": max(MOST_MEMORY, limit),
        "items": [{"name": name, "text": megabytes(size)} for name, size in reversed(warm.items())],
        "others": f"Of other visitors: {megabytes(others)}" if others else "",
    }


def megabytes(count: int) -> str:
    """Return bytes in MB, as exactly as people care."""
    return f"{count / MEGABYTE:.0f} MB" if count >= 10 * MEGABYTE else f"{count / MEGABYTE:.1f} MB"


def problems(context: Context) -> str:
    """Say what is wrong with folders that are no usable checkpoint, as HTML."""
    return "".join(
        f'<p class="ls-problem">{html.escape(text)}</p>' for text in context.store.problems()
    )


def comparison(context: Context, names: Sequence[str]) -> str:
    """Put two cards side by side, as HTML.

    Args:
        context: The shared context.
        names: Of two checkpoints; with fewer it says what to do.

    Raises:
        CheckpointError: There is no such checkpoint.
    """
    if len(names) < 2:
        return note("Choose two models here, or with Compare on their cards.")
    one, other = (context.store.card(name) for name in names)
    found = readings.compare(one, other)
    heads = "".join(
        f'<th scope="col">{html.escape(title(card))}<small>{html.escape(card.name)}</small>'
        f"{_picture(context, card)}</th>"
        for card in (one, other)
    )
    return (
        f'<div class="ls-compared">{note(found.note)}<table>'
        f'<thead><tr><th scope="col" class="ls-corner">Model</th>{heads}</tr></thead>'
        f"{_body('Measured', found, found.measured)}{_body('Facts', found, found.facts)}</table>"
        f"{_folded(found)}</div>"
    )


def _picture(context: Context, card: Card) -> str:
    source = sheet(context, card).source
    alt = html.escape(f"Samples of {title(card)}", quote=True)
    return f'<img src="{source}" alt="{alt}">' if source else ""


def _body(heading: str, found: Comparison, lines: Iterable[Line]) -> str:
    rows = "".join(_row(found, line) for line in lines)
    if not rows:
        return ""
    return f'<tbody><tr><th scope="rowgroup" colspan="3">{heading}</th></tr>{rows}</tbody>'


def _row(found: Comparison, line: Line) -> str:
    cells = "".join(
        f'<td data-better="true">{html.escape(text)} <span>better</span></td>'
        if name == line.better
        else f"<td>{html.escape(text) or '—'}</td>"
        for name, text in zip(found.names, line.texts, strict=True)
    )
    help_text = f"<small>{html.escape(line.help)}</small>" if line.help else ""
    return f'<tr><th scope="row">{html.escape(line.label)}{help_text}</th>{cells}</tr>'


def _folded(found: Comparison) -> str:
    rows = "".join(_row(found, line) for line in found.more)
    if not rows:
        return ""
    return f"<details><summary>All numbers</summary><table><tbody>{rows}</tbody></table></details>"
