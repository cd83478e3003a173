"""What a checkpoint's card says to people: its facts, its numbers, and two cards side by side."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from studio.checkpoints import Card


@dataclass(frozen=True)
class Reading:
    """How a measured number is read.

    Attributes:
        label: What a person calls it.
        form: ``share``, ``dB`` or ``correlation``.
        better: 1 where more is better, -1 where less is.
        help: What it says, and what is good.
    """

    label: str
    form: str
    better: int
    help: str

    def text(self, value: float) -> str:
        """Return a number with its unit."""
        return {"share": f"{value:.1%}", "dB": f"{value:.1f} dB"}.get(self.form, f"{value:.2f}")


READINGS: dict[str, Reading] = {
    "swap_success": Reading(
        "Object arrives", "share", 1,
        "How often the object is recognized after a swap, as a share of how often it is in real "
        "photographs. 95 % or more is good.",
    ),
    "removed": Reading(
        "Object gone", "share", 1,
        "How often nothing is left after a removal. 95 % or more is good.",
    ),
    "monotonic": Reading(
        "Strength obeys", "share", 1,
        "How often more strength means more of the object. 95 % or more is good.",
    ),
    "kept_reconstruction": Reading(
        "Rest stays", "share", 1,
        "How often everything else keeps its label in a swap. 95 % or more is good.",
    ),
    "psnr": Reading(
        "Reproduction", "dB", 1,
        "How closely an unedited picture is redrawn. 25 dB is fair, 28 dB good, 32 dB excellent.",
    ),
    "crosses": Reading(
        "Sliders arrive", "share", 1,
        "How often a slider at its other end is recognized as such. 80 % or more is good.",
    ),
    "held_change_of_others": Reading(
        "Others move, when held", "correlation", -1,
        "Mean change of the other attributes' probabilities. Under 0.06 is good.",
    ),
    "shown": Reading(
        "Asked-for attributes shown", "share", 1,
        "In generated faces, as a share of how well they are read off photographs. 95 % is good.",
    ),
    "kind_accuracy": Reading(
        "Kind of glasses kept", "share", 1, "How often round glasses stay round.",
    ),
    "smile_correlation": Reading(
        "Smile follows the donor", "correlation", 1, "1 is perfect, 0 no relation. 0.9 is good.",
    ),
    "light_correlation": Reading(
        "Light follows the donor", "correlation", 1, "1 is perfect, 0 no relation. 0.9 is good.",
    ),
    "accuracy": Reading(
        "Attributes read right", "share", 1, "Mean over the attributes; 90 % is usual on CelebA.",
    ),
    "verification_auc": Reading(
        "Tells people apart", "correlation", 1, "1 is perfect, 0.5 is guessing.",
    ),
    "eye_error_median": Reading(
        "Eyes off by", "share", -1, "Of the distance between the eyes, in the median. 4 % is good.",
    ),
}  # fmt: skip
# Beginnings of other numbers' names, for which more is better, or less.
_MORE = (
    "accuracy", "balanced_accuracy", "crosses", "eyes_within", "held_crosses",
    "kept_receiver", "light_nearest", "light_side", "monotonic_", "object_norm_correlation",
    "realness", "removed_psnr", "right_way", "shown_", "smile_correlation", "ssim",
    "swap_recognized", "truth_psnr",
)  # fmt: skip
_LESS = (
    "between_mse", "boundary_error", "change_of_others", "credibility", "eye_error",
    "frechet_generated", "frechet_swap", "held_change_of_others", "light_error",
    "monotonicity_violations", "outside_", "reconstruction_error", "smile_error", "step_ratio",
)  # fmt: skip
# Endings of numbers that say how a number was got, not how good a checkpoint is.
_ABOUT = ("_high", "_low", "_fade", "_real", "_plain", "_threshold")


@dataclass(frozen=True)
class Line:
    """One number or fact of two cards.

    Attributes:
        name: Of the number on the cards; a fact's is its label.
        label: What a person calls it.
        texts: What each card says; empty where it says nothing.
        better: The checkpoint whose number is the better one; empty where neither is, or where it
            is not known what is better.
        help: How to read it.
    """

    name: str
    label: str
    texts: tuple[str, str]
    better: str = ""
    help: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two cards side by side.

    Attributes:
        names: Of the checkpoints.
        facts: What they are and where they come from.
        measured: The numbers that most people ask for.
        more: All other numbers.
        note: Why the numbers say less than they seem to; empty where they do not.
    """

    names: tuple[str, str]
    facts: tuple[Line, ...]
    measured: tuple[Line, ...]
    more: tuple[Line, ...]
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


def facts(card: Card) -> dict[str, str]:
    """Return what a checkpoint is and where it comes from, by label; what is unknown is absent."""
    training = card.training
    minutes = training.get("total_minutes", training.get("minutes"))
    steps, device = training.get("total_steps", card.step), training.get("device", "")
    found = {
        "Name": card.name,
        "Method": card.entry.citation,
        "Sees": f"{card.spec.size} × {card.spec.size} pixels",  # noqa: RUF001
        "Trained on": card.data_set,
        "Steps": f"{steps:,}" if steps else "",
        "Time": f"{_minutes(minutes)} on {device}" if minutes else "",
        "Started from": card.parent,
        "Terms": card.terms,
        "Repeat": card.command,
    }
    return {label: text for label, text in found.items() if text}


def _minutes(count: float) -> str:
    whole = round(count)
    return "under a minute" if whole < 1 else f"{whole} {'minute' if whole == 1 else 'minutes'}"


def measured(card: Card) -> list[tuple[Reading, str]]:
    """Return the numbers that most people ask for, each with how it is read."""
    return [
        (reading, reading.text(card.metrics[name]))
        for name, reading in READINGS.items()
        if name in card.metrics
    ]


def more(card: Card) -> dict[str, str]:
    """Return all other numbers by label."""
    return {_plain(name): f"{value:.4g}" for name, value in card.metrics.items() if _other(name)}


def compare(one: Card, other: Card) -> Comparison:
    """Put two cards side by side."""
    cards = one, other
    known = [name for name in READINGS if name in one.metrics or name in other.metrics]
    rest = [name for name in {**one.metrics, **other.metrics} if _other(name)]
    return Comparison(
        (one.name, other.name),
        tuple(_facts(cards)),
        tuple(_number(cards, name) for name in known),
        tuple(_number(cards, name) for name in rest),
        _note(cards),
    )


def _facts(cards: tuple[Card, Card]) -> Iterable[Line]:
    one, other = (_all_facts(card) for card in cards)
    for label in {**one, **other}:
        yield Line(label, label, (one.get(label, ""), other.get(label, "")))
    first, second = (card.config for card in cards)
    if cards[0].method == cards[1].method:
        for name in {**first, **second}:
            if first.get(name) != second.get(name):
                texts = str(first.get(name, "")), str(second.get(name, ""))
                yield Line(name, f"Setting: {_plain(name)}", texts)


def _all_facts(card: Card) -> Mapping[str, str]:
    # The heads of the columns say the name, and nobody compares commands.
    return {k: text for k, text in facts(card).items() if k not in ("Name", "Repeat")}


def _number(cards: tuple[Card, Card], name: str) -> Line:
    reading = READINGS.get(name)
    values = [card.metrics.get(name) for card in cards]
    first, second = (
        "" if value is None else reading.text(value) if reading else f"{value:.4g}"
        for value in values
    )
    better = ""
    if first and second and first != second:
        better = _better(cards, name)
    label, help_text = (reading.label, reading.help) if reading else (_plain(name), "")
    return Line(name, label, (first, second), better, help_text)


def _better(cards: tuple[Card, Card], name: str) -> str:
    way = READINGS[name].better if name in READINGS else _way(name)
    one, other = cards
    if not way:
        return ""
    return one.name if way * (one.metrics[name] - other.metrics[name]) > 0 else other.name


def _way(name: str) -> int:
    if name.endswith(_ABOUT):
        return 0
    return int(name.startswith(_MORE)) - int(name.startswith(_LESS))


def _note(cards: tuple[Card, Card]) -> str:
    one, other = cards
    if not set(one.metrics) & set(other.metrics):
        return "No number was measured of both."
    if _purpose(one) != _purpose(other):
        return (
            "They were trained on different pictures or for different things, so a small "
            "difference between two numbers says little."
        )
    return ""


def _purpose(card: Card) -> tuple[Any, ...]:
    return card.data_set, card.spec.size, card.config.get("attribute")


def _other(name: str) -> bool:
    return name not in READINGS


def _plain(name: str) -> str:
    return name.replace("_", " ")
