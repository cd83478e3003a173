"""Between the tab Augment and the services: data sets of the home, plans to look at, runs."""

import json
import re
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from studio import images, paths, traits
from studio.augment import (
    MANIFEST,
    STATE,
    AugmentReport,
    AugmentRequest,
    augment,
    class_counts,
    dynamic_balancing,
    joint_counts,
    random_doubling,
)
from studio.augment.making import find_scope
from studio.augment.plans import Labels, Plan, Spread
from studio.checkpoints import Card
from studio.data.folder import PARTITIONS, TABLE, DataSet
from studio.errors import ConfigError, DataError, StudioError
from studio.images import Picture
from studio.methods.base import Operation
from studio.ui.arrivals import Roll
from studio.ui.context import Context
from studio.ui.sets import EXAMPLE, PART, opened, sets

BEFORE, DOUBLED, BALANCED = "Before", "Random doubling", "Dynamic balancing"
# Plans are drawn for so many pictures at most: more would not look different.
MOST_PICTURES = 20_000
# Of the commonest and of the rarest pairs that are drawn.
PAIRS = 20
MOST_SET = 8
AMOUNTS = (0.25, 3.0)
LONGEST_NAME = 64
SHOWN = 8
PAUSE = 0.5
MAKES = frozenset({Operation.GENERATE, Operation.EDIT, Operation.TRANSLATE})
MINUS = "−"  # noqa: RUF001


# Data sets.


def open_data(context: Context, location: str) -> DataSet:
    """Open a data set that can be augmented.

    Raises:
        DataError: It cannot be read, or has no attributes or no training pictures.
    """
    data, name = opened(context, Path(location)), Path(location).name
    if not data.attributes:
        raise DataError(
            f"{name} has no attributes: it needs a table {TABLE} with a first column `file` "
            "and a column of 0 and 1 for each attribute."
        )
    if not (data.partition == PARTITIONS["train"]).any():
        raise DataError(f"{name} has no training pictures (those of partition 0).")
    return data


def first_set(context: Context, location: str) -> str:
    """Return the data set to begin with: the one that is chosen, the first that opens, ours."""
    own = (str(paths.data() / name) for name in sets(labelled=True))
    for one in (location, *own, str(EXAMPLE)):
        with suppress(StudioError):
            if one:
                open_data(context, one)
                return one
    return ""


def about_data(data: DataSet) -> str:
    """Say in a sentence or two what is in a data set."""
    names, count = tuple(data.attributes), len(train := data.part("train"))
    counts = class_counts(train.attribute_matrix(names))
    rare, common = int(counts.argmin()), int(counts.argmax())
    return (
        f"{data.name} has {count:,} training pictures and {len(names)} attributes. The rarest is "
        f"“{words(names[rare])}” ({counts[rare] / count:.1%}), the commonest "
        f"“{words(names[common])}” ({counts[common] / count:.1%})."
    )


def words(attribute: str) -> str:
    """Name an attribute inside a sentence."""
    label = traits.label(attribute)
    return label[:1].lower() + label[1:]


# Settings.


@dataclass(frozen=True)
class Settings:
    """What the controls say, in their order; as in ``AugmentRequest``, with the new set's name."""

    checkpoint: str = ""
    strategy: str = "balancing"
    source: str = "attributes"
    amount: float = 1.0
    most: int = MOST_SET
    variation: float = 1.0
    classifier: str = ""
    agreement: float = 0.6
    ssim: float = 0.0
    name: str = ""
    seed: int = 0

    @classmethod
    def read(cls, *values: Any) -> "Settings":
        """Take what the page sends; an empty control counts as nothing or 0."""
        checkpoint, strategy, source, amount, most, variation, *rest = values
        classifier, agreement, ssim, name, seed = rest
        return cls(
            str(checkpoint or ""), str(strategy), str(source), float(amount), int(most),
            float(variation), str(classifier or ""), float(agreement), float(ssim),
            str(name or "").strip(), int(seed or 0),
        )  # fmt: skip

    @property
    def request(self) -> AugmentRequest:
        """The same for the service, checked.

        Raises:
            ConfigError: A value makes no sense.
        """
        least, greatest = AMOUNTS
        doubling = self.strategy == "doubling"
        if not doubling and not least <= self.amount <= greatest:
            raise ConfigError(
                f"The amount goes from {least:g} to {greatest:g}, not to {self.amount:g}."
            )
        values = {name: value for name, value in asdict(self).items() if name != "name"}
        request = AugmentRequest(**{**values, "amount": 1.0 if doubling else self.amount})
        request.check()
        return request


def makers(context: Context) -> list[Card]:
    """List the checkpoints that make faces from attributes or change attributes of faces."""
    return [card for card in context.store.cards() if card.entry.operations & MAKES]


def classifiers(context: Context) -> list[Card]:
    """List the checkpoints that read attributes off pictures."""
    return [card for card in context.store.cards() if card.method == "attributes"]


def sources(card: Card) -> list[str]:
    """List what a checkpoint can start from."""
    operations = card.entry.operations
    made = ["attributes"] if Operation.GENERATE in operations else []
    changed = operations & {Operation.EDIT, Operation.TRANSLATE}
    return [*made, *(["photo"] if changed else [])]


def settle(context: Context, settings: Settings) -> Settings:
    """Take what is there and what the checkpoint can do, where something else was chosen."""
    cards = {card.name: card for card in makers(context)}
    if not cards:
        return replace(settings, checkpoint="")
    name = settings.checkpoint if settings.checkpoint in cards else next(iter(cards))
    known = sources(cards[name])
    source = settings.source if settings.source in known else known[0]
    return replace(settings, checkpoint=name, source=source)


def mend(context: Context, settings: Settings) -> tuple[Settings, str]:
    """Return settings without checkpoints that are gone, and a sentence about what was lost."""
    name, words = Roll(context, [card.name for card in makers(context)]).instead(
        settings.checkpoint
    )
    judge = Roll(context, [card.name for card in classifiers(context)]).same(settings.classifier)
    if settings.classifier and not judge:
        words = words or f"{settings.classifier} was deleted; it checks new pictures no more."
    return replace(settings, checkpoint=name, classifier=judge), words


def planned(context: Context, data: DataSet, settings: Settings) -> tuple[str, ...]:
    """Return the attributes of the data that all chosen checkpoints know.

    Raises:
        UnsupportedError: There are none.
    """
    chosen = [name for name in (settings.checkpoint, settings.classifier) if name]
    known = {name: context.store.card(name).spec.attributes for name in chosen}
    if not settings.checkpoint:
        return tuple(data.attributes)
    return find_scope(settings.request, data, known).planned


def most_set(attributes: int) -> int:
    """Return how many of so many attributes can be set each way at most."""
    return max(1, min(MOST_SET, attributes // 2))


def suggest(data: DataSet) -> str:
    """Return a name for a new set that is neither taken nor begun."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", data.name).strip("-")[: LONGEST_NAME - 8] or "set"
    taken = {path.name.removesuffix(PART) for path in paths.data().glob("*")}
    free = (f"{stem}-new{f'-{number}' if number > 1 else ''}" for number in range(1, 1000))
    return next((name for name in free if name not in taken), "")


def new_set(name: str) -> Path:
    """Return where a new set of that name goes.

    Raises:
        ConfigError: The name is taken, or no name of a set.
    """
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{LONGEST_NAME}}}", name):
        given = f"not {name!r}" if name else "and there is none yet"
        raise ConfigError(
            f"The name of the new set has 1 to {LONGEST_NAME} letters, digits, - and _, {given}."
        )
    output = paths.data() / name
    if any(path.exists() for path in (output, output.with_name(f"{name}.zip"))):
        raise ConfigError(f"There is a data set {name} already; choose another name.")
    return output


# Unfinished sets.


def unfinished() -> list[str]:
    """Name the sets that were begun and stopped."""
    return sorted(file.parent.stem for file in paths.data().glob(f"*{PART}/{STATE}"))


def restore(name: str) -> Settings:
    """Read the settings with which a set was begun.

    Raises:
        ConfigError: There is no such unfinished set, or it is damaged.
    """
    if name not in unfinished():
        raise ConfigError(f"There is no unfinished set {name!r} any more.")
    try:
        text = (paths.data() / f"{name}{PART}" / STATE).read_text(encoding="utf-8")
        terms = json.loads(text)["terms"]
        known = set(Settings.__dataclass_fields__) - {"name"}
        if terms["agreement"] is None:
            raise ConfigError(f"{name} was begun on the command line; go on with it there.")
        return Settings(name=name, **{key: terms[key] for key in known})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"What was begun as {name} is damaged; give the new set another name."
        ) from error


# Plans to look at.


@dataclass(frozen=True)
class Tails:
    """Counts before and with the new pictures of each strategy.

    Attributes:
        names: Of what is counted, in words, the commonest first.
        series: Counts by strategy.
    """

    names: tuple[str, ...]
    series: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Preview:
    """What plans would make of the labels, by arithmetic alone.

    Attributes:
        singles: Counts of attributes.
        pairs: Counts of the commonest and the rarest pairs of attributes.
        gap: Row of the first of the rarest pairs, if some between are left out.
        pictures: How many pictures there are, by strategy.
        counted: Training pictures that the plans take.
        total: Training pictures.
        notes: Why a strategy is missing.
    """

    singles: Tails
    pairs: Tails
    gap: int | None
    pictures: Mapping[str, int]
    counted: int
    total: int
    notes: tuple[str, ...] = ()

    def sentences(self) -> Iterator[str]:
        """Say how unequal the counts are, strategy by strategy."""
        beginnings = {BEFORE: "Now", DOUBLED: "After random doubling", BALANCED: "After balancing"}
        for label, counts in self.singles.series.items():
            spread = Spread.of(counts)
            yield (
                f"{beginnings[label]}, an attribute is in {spread.least:,} to {spread.most:,} of "
                f"{self.pictures[label]:,} pictures."
            )
        if self.counted < self.total:
            yield (
                f"The plots count {self.counted:,} of the {self.total:,} training pictures, "
                "drawn at random."
            )
        yield from self.notes


def preview(context: Context, location: str, settings: Settings) -> Preview:
    """Plan with both strategies.

    Raises:
        DataError: The data cannot be read.
        StudioError: There is nothing to plan with.
    """
    data = open_data(context, location)
    names = planned(context, data, settings)
    amount, most = settings.amount, min(settings.most, most_set(len(names)))
    key = ("augment plan", location, data.digest, names, amount, most, settings.seed)
    return context.memory.get(
        key, lambda: _plan(data, names, amount, most, settings.seed), lambda made: 64 * 1024
    )


def _plan(data: DataSet, names: tuple[str, ...], amount: float, most: int, seed: int) -> Preview:
    whole = data.part("train").attribute_matrix(names)
    labels = _sample(whole)
    count = round(amount * len(labels))
    plans: dict[str, Callable[[], Plan]] = {
        DOUBLED: lambda: random_doubling(labels, seed),
        BALANCED: lambda: dynamic_balancing(labels, count, seed, most),
    }
    notes, series = [], {BEFORE: labels}
    for label, plan in plans.items():
        try:
            made = plan()
        except ConfigError as error:
            notes.append(f"{label} is not possible: {error}")
            continue
        series[label] = np.concatenate([labels, made.targets])
    pairs, gap = _pairs(names, series)
    pictures = {label: len(rows) for label, rows in series.items()}
    return Preview(
        _singles(names, series), pairs, gap, pictures, len(labels), len(whole), tuple(notes)
    )


def _sample(labels: Labels) -> Labels:
    if len(labels) <= MOST_PICTURES:
        return labels
    chosen = np.random.default_rng(0).choice(len(labels), MOST_PICTURES, replace=False)
    return labels[np.sort(chosen)]


def _singles(names: Sequence[str], series: Mapping[str, Labels]) -> Tails:
    counts = {label: class_counts(rows) for label, rows in series.items()}
    order = np.argsort(-counts[BEFORE], kind="stable")
    return Tails(
        tuple(traits.label(names[place]) for place in order),
        {label: tuple(values[order].tolist()) for label, values in counts.items()},
    )


def _pairs(names: Sequence[str], series: Mapping[str, Labels]) -> tuple[Tails, int | None]:
    one, other = np.triu_indices(len(names), 1)
    counts = {label: joint_counts(rows)[one, other] for label, rows in series.items()}
    order = np.argsort(-counts[BEFORE], kind="stable")
    gap = PAIRS if len(order) > 2 * PAIRS else None
    if gap:
        order = np.concatenate([order[:PAIRS], order[-PAIRS:]])
    pairs = [(names[one[place]], names[other[place]]) for place in order]
    tails = Tails(
        tuple(f"{traits.label(first)} + {words(second)}" for first, second in pairs),
        {label: tuple(values[order].tolist()) for label, values in counts.items()},
    )
    return tails, gap


# Runs.


@dataclass(eq=False)
class Run:
    """One augmentation of one visitor; a handle, not to be copied.

    Attributes:
        location: Of the data.
        request: What is made.
        output: Where it goes.
        stop: Set by whoever wants it to end.
        done: Pictures so far.
        total: Pictures in all; 0 before the first are planned.
        report: What came of it.
    """

    location: str
    request: AugmentRequest
    output: Path
    stop: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    total: int = 0
    report: AugmentReport | None = None
    _first: tuple[float, int] | None = None

    def progress(self, done: int, total: int) -> None:
        """Take how far it is."""
        self._first = self._first or (time.monotonic(), done)
        self.done, self.total = done, total

    def status(self) -> str:
        """Say how far it is and how long it takes."""
        if self.stop.is_set():
            return "Stopping after the pictures that are in work."
        if self._first is None:
            return "Loading the models and the pictures."
        began, before = self._first
        return progress_words(self.done, self.total, self.done - before, time.monotonic() - began)


def progress_words(done: int, total: int, made: int, seconds: float) -> str:
    """Say how far a run is.

    Args:
        done: Pictures so far.
        total: Pictures in all.
        made: Pictures since it was started or went on.
        seconds: Since then.
    """
    far = f"{done:,} of {total:,} pictures"
    if not made or seconds <= 0:
        return f"{far}."
    rate = made / seconds
    speed = f"{rate:,.0f} a second" if rate >= 2 else f"{60 * rate:,.0f} a minute"
    left = round((total - done) / rate)
    time_left = f"{left} s" if left < 90 else f"{round(left / 60)} min"
    return f"{far}, {speed}, about {time_left} left."


def begin(context: Context, location: str, settings: Settings) -> Run:
    """Check what can be checked at once, before anything is written.

    Raises:
        StudioError: Something is missing or makes no sense.
    """
    if not location:
        raise ConfigError("Choose or upload a data set first.")
    if not settings.checkpoint:
        raise ConfigError(NO_MAKER)
    data, request = open_data(context, location), settings.request
    output = new_set(settings.name)
    names = planned(context, data, settings)
    if settings.strategy == "balancing" and len(names) < 2:
        raise ConfigError(
            f"Balancing needs two attributes or more, but {data.name} and the models share only "
            f"{traits.label(names[0])}; choose random doubling or another model."
        )
    return Run(location, request, output)


NO_MAKER = (
    "There is no model yet that makes or changes faces by attributes. Train one with "
    "`latent-studio train --method attribute-mapping`, or copy its folder into checkpoints/."
)


def carry_out(context: Context, run: Run) -> Iterator[str]:
    """Work in a thread of its own and say every half second how far it is.

    Whoever closes this iterator stops the run, which then keeps what it has.

    Raises:
        StudioError: The request makes no sense for the data, or the disk refuses.
    """
    data = open_data(context, run.location)
    with ThreadPoolExecutor(1, "augment") as pool:
        # The thread works for whoever asked.
        work = pool.submit(
            copy_context().run,
            augment,
            context.models,
            run.request,
            data,
            run.output,
            run.progress,
            run.stop.is_set,
        )
        try:
            while wait([work], PAUSE).not_done:
                yield run.status()
        finally:
            run.stop.set()
    run.report = work.result()


_REFUSED = {
    "agreement": "the classifier did not see enough of the changed attributes in them",
    "ssim": "they were too unlike what they were made from",
}


def told(run: Run, report: AugmentReport) -> Iterator[str]:
    """Say in sentences what a run made."""
    if report.finished:
        yield (
            f"{run.output.name} is ready: {report.accepted:,} new pictures with their labels, "
            f"out of {report.made:,} that were made. It holds the new pictures only."
        )
    else:
        yield (
            f"{run.output.name} stopped at {run.done:,} of {run.total:,}; {report.accepted:,} new "
            "pictures are kept. Start goes on from there as long as the settings stay."
        )
    for score, count in report.rejected.items():
        if count:
            yield f"{count:,} were refused: {_REFUSED[score]}."
    for name, theirs in report.left_out.items():
        if theirs:
            listed = ", ".join(words(one) for one in theirs)
            yield f"Not changed, because {name} does not know them: {listed}."
    yield _spread(report)


def _spread(report: AugmentReport) -> str:
    balance = report.balance
    before, after = balance.before, balance.after
    return (
        f"Before, an attribute was in {before.least:,} to {before.most:,} of "
        f"{balance.pictures_before:,} pictures (standard deviation {before.deviation:,.1f}); "
        f"together with the new ones it is in {after.least:,} to {after.most:,} of "
        f"{balance.pictures_after:,} (standard deviation {after.deviation:,.1f})."
    )


def samples(report: AugmentReport) -> list[tuple[Picture, str]]:
    """Return some of the new pictures, from first to last, each with what was changed in it."""
    if not report.accepted:
        return []
    lines = (report.output / MANIFEST).read_text(encoding="utf-8").splitlines()[: report.accepted]
    places = np.unique(np.linspace(0, len(lines) - 1, min(SHOWN, len(lines))).round().astype(int))
    entries = [json.loads(lines[place]) for place in places.tolist()]
    return [
        (images.read_photo(report.output / entry["file"]).pixels, changes(entry["operations"]))
        for entry in entries
    ]


def changes(operations: Sequence[Mapping[str, Any]], most: int = 3) -> str:
    """Say what was changed in a picture, or the beginning of it: ``+ bangs, − eyeglasses``."""  # noqa: RUF002
    named = [
        f"{'+' if change['to'] else MINUS}\N{NO-BREAK SPACE}{words(change['attribute'])}"
        # What a picture got says more than what it lost.
        for change in sorted(operations, key=lambda change: -change["to"])
    ]
    if not named:
        return "nothing changed"
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more


def pack(folder: Path, target: Path) -> None:
    """Write a finished set as a zip that opens as the same set.

    Raises:
        DataError: The set is gone or the disk refuses.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file())
        # Pictures are compressed already.
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                archive.write(file, file.name)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise DataError(
            f"{folder.name} cannot be packed: {error.strerror or error}. The set itself is kept."
        ) from error
