"""What is in a data set and what is wrong with it, before an hour is spent on it."""

import html
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from studio import intake, traits
from studio.data.folder import PARTITIONS
from studio.data.inspect import Pair, Report, inspect
from studio.errors import StudioError
from studio.ui.components import data_uri
from studio.ui.context import Context
from studio.ui.workshop import sources
from studio.ui.workshop.sources import Facts

# Flawed pictures that are shown; all are counted.
MOST_SHOWN = 24
# Pairs of attributes in the table; the others are in what the API returns.
MOST_PAIRS = 40
_SIDE = 96
_KINDS = {
    "corrupt": "cannot be decoded",
    "huge": "have too many pixels",
    "tiny": "are too small",
    "duplicate": "are there twice",
    "similar": "look like another",
    "faceless": "show no face that can be aligned",
}
_PARTS = {"train": "to learn from", "validation": "to watch it", "test": "to judge it"}


def glance(context: Context, key: str) -> Report:
    """Return the report of a set; of its labels alone where its pictures were not looked at.

    Raises:
        StudioError: It cannot be opened.
    """
    return report_of(context, key) or context.memory.get(
        ("labels", *sources.stamp(key)),
        lambda: inspect(sources.place(key), stopped=lambda: True),
        lambda made: 4096,
    )


def report_of(context: Context, key: str) -> Report | None:
    """Return the report of a set that was checked, or None.

    Raises:
        StudioError: The set is not there any more.
    """
    return context.memory.find(("check", *sources.stamp(key)))


def check(
    context: Context,
    key: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """Check a data set, its faces included, once as long as it does not change.

    Raises:
        StudioError: It cannot be opened.
    """
    known = report_of(context, key)
    if known is not None:
        return known
    found = intake.check(sources.place(key), context.refine, progress=progress, stopped=stopped)
    if not stopped():
        context.memory.get(
            ("check", *sources.stamp(key)), lambda: found, lambda made: 256 * made.pictures
        )
    return found


def refusal(context: Context, key: str) -> str:
    """Say why a set that was checked cannot be trained with; empty where it can, or was not."""
    report = report_of(context, key)
    return report.blocking[0] if report and report.blocking else ""


def can_align(report: Report) -> bool:
    """Say whether an aligned copy of a set would be a better one."""
    return bool(report.faces and report.faces.elsewhere)


# For the page.


def verdict(facts: Facts, report: Report) -> str:
    """Say in a few lines of HTML what a set is good for."""
    named = [traits.label(name) for name in facts.learnable]
    more = f" and {len(named) - 4} more" if len(named) > 5 else ""
    listed = ", ".join(named if len(named) <= 5 else named[:4]) + more
    lines = [
        f"{facts.pictures:,} pictures, {facts.train:,} of them to learn from.",
        f"Can be learnt: {listed}." if named else "Nothing is marked in them yet: see Label.",
    ]
    level, word = "good", "Ready to train with."
    if report.blocking:
        level, word = "bad", report.blocking[0]
    elif not report.checked:
        level, word = "open", "Its pictures were not looked at yet."
    elif report.problems or report.unusable:
        level, word = "fair", _surprises(report)
    told = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    return (
        f'<div class="ls-set" data-level="{level}"><strong>{html.escape(word)}</strong>{told}</div>'
    )


def _surprises(report: Report) -> str:
    flawed = f"{len(report.unusable):,} pictures are doubtful" if report.unusable else ""
    several = len(report.problems)
    told = f"{several} {'things' if several > 1 else 'thing'} to know" if several else ""
    return f"Usable; {' and '.join(text for text in (flawed, told) if text)}."


def told(report: Report) -> str:
    """Return a report as HTML: what forbids training first, then what may surprise."""
    blocking = "".join(
        f'<p class="ls-problem" role="alert">{html.escape(line)}</p>' for line in report.blocking
    )
    # Where nothing was looked at, that is said beside the button that does.
    problems = report.problems if report.checked else []
    lines = [f"It is {report.layout}, {report.pictures:,} pictures.", *problems, *report.notes]
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f'{blocking}<ul class="ls-told">{listed}</ul>'


def labels_table(report: Report) -> str:
    """Return the counts of pictures by attribute and partition as an HTML table."""
    heads = [*(f"{name}, {words}" for name, words in _PARTS.items()), "not marked"]
    rows = [("All pictures", [report.partitions[name] for name in PARTITIONS], 0)]
    rows += [
        (traits.label(name), [counts[part] for part in PARTITIONS], counts.get("unknown", 0))
        for name, counts in report.attributes.items()
    ]
    return _table(
        "Pictures with",
        heads,
        [(name, [f"{count:,}" for count in [*counts, unknown]]) for name, counts, unknown in rows],
    )


def pairs_table(pairs: Sequence[Pair]) -> str:
    """Return how often two attributes go together, those that always do first; folded away."""
    if not pairs:
        return ""
    ordered = sorted(pairs, key=_apart)[:MOST_PAIRS]
    rows = [
        (
            f"{traits.label(one.first)} + {traits.label(one.second)}",
            [f"{count:,}" for count in (one.both, one.only_first, one.only_second, one.neither)],
        )
        for one in ordered
    ]
    table = _table("Pair", ["both", "only the first", "only the second", "neither"], rows)
    return (
        '<details class="ls-table"><summary>Which attributes go together</summary>'
        f"{table}</details>"
    )


def _apart(pair: Pair) -> float:
    """Return the smaller share of pictures that would teach a model to tell two apart."""
    total = pair.both + pair.only_first + pair.only_second + pair.neither
    return min(pair.only_first, pair.only_second) / max(1, total)


def _table(kind: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    top = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for name, cells in rows
    )
    return (
        f'<div class="ls-table"><table><thead><tr><th scope="col">{kind}</th>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def flaws(context: Context, key: str, report: Report) -> str:
    """Show pictures that should not be used as they are, each with the reason, as HTML."""
    if not report.unusable:
        return ""
    counts = Counter(flaw.kind for flaw in report.unusable.values())
    summed = ", ".join(f"{count:,} {_KINDS[kind]}" for kind, count in counts.most_common())
    shown = "".join(_flawed(context, key, report))
    more = len(report.unusable) - MOST_SHOWN
    rest = f'<p class="ls-note">And {more:,} more.</p>' if more > 0 else ""
    return (
        f'<h3 class="ls-title">Doubtful pictures: {html.escape(summed)}</h3>'
        f'<div class="ls-flaws">{shown}</div>{rest}'
    )


def _flawed(context: Context, key: str, report: Report) -> Iterator[str]:
    data = sources.data_of(context, key)
    # What cannot be decoded comes first: training stops there.
    order = sorted(report.unusable.items(), key=lambda one: [*_KINDS].index(one[1].kind))
    for name, flaw in order[:MOST_SHOWN]:
        picture = ""
        if flaw.kind not in ("corrupt", "huge"):
            with suppress(StudioError):
                decoded = data.decoded(name, data.source.read(name), _SIDE)
                picture = f'<img alt="" src="{data_uri(decoded, 80)}">'
        yield (
            f"<figure>{picture or '<span></span>'}<figcaption><b>{html.escape(name)}</b>"
            f"{html.escape(flaw.reason)}</figcaption></figure>"
        )
