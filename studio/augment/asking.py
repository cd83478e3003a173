"""What is asked for, and what came of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.augment.plans import Balance
from studio.errors import ConfigError

STRATEGIES = ("doubling", "balancing")
SOURCES = ("attributes", "photo")
# The least share of changed attributes that must be recognized, where a request names none.
# Balancing changes a dozen attributes at once, and no classifier reads all of them without error.
AGREEMENT = {"doubling": 1.0, "balancing": 0.6}
_REASONS = {
    "agreement": "the classifier did not recognize enough of the changed attributes",
    "ssim": "too unlike what they were made from",
}


@dataclass(frozen=True)
class AugmentRequest:
    """Everything that decides what an augmentation makes of a data set.

    Attributes:
        checkpoint: Makes the pictures.
        strategy: ``doubling`` or ``balancing``.
        amount: New pictures as a multiple of the training pictures; doubling knows only 1.
        source: ``attributes`` makes pictures from labels and noise; ``photo`` changes the training
            picture whose labels were changed.
        variation: Scale of the noise of ``attributes``, from 0 to 1.
        most: How many attributes balancing sets to 0, and how many to 1.
        classifier: The evaluator whose word counts; empty switches its filter off.
        agreement: The least share of the attributes that the plan changed which the classifier
            must recognize, in [0, 1]; None takes :data:`AGREEMENT` of the strategy. A picture in
            which the plan changed nothing agrees.
        ssim: The least structural similarity of a new picture to what it was made from, in [0, 1]:
            the face of the source's own labels with the same noise, or the source as the checkpoint
            reconstructs it, or the source itself where the checkpoint translates; 0 switches this
            filter off.
        seed: Of every choice and all noise.
    """

    checkpoint: str
    strategy: str = "balancing"
    amount: float = 1.0
    source: str = "attributes"
    variation: float = 1.0
    most: int = 8
    classifier: str = ""
    agreement: float | None = None
    ssim: float = 0.0
    seed: int = 0

    @property
    def least(self) -> dict[str, float]:
        """The least score of an accepted picture, by the name of the filters that are on."""
        usual = AGREEMENT[self.strategy]
        agreement = usual if self.agreement is None else self.agreement
        return {
            **({"agreement": agreement} if self.classifier else {}),
            **({"ssim": self.ssim} if self.ssim > 0 else {}),
        }

    def check(self) -> None:
        """Check what can be checked without the data.

        Raises:
            ConfigError: A value makes no sense.
        """
        _check_choice("strategy", self.strategy, STRATEGIES)
        _check_choice("source", self.source, SOURCES)
        for name in ("variation", "ssim", "agreement"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name} must be a number from 0 to 1, not {value}.")
        if not 0 < self.amount < float("inf"):
            raise ConfigError(f"The amount must be a number above 0, not {self.amount}.")
        if self.strategy == "doubling" and self.amount != 1:
            raise ConfigError(
                "Doubling makes one picture for each there is, an amount of 1, not "
                f"{self.amount:g}; choose balancing for another amount."
            )
        for name, least in (("most", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"{name} must be a whole number of at least {least}, not {value}."
                )


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ConfigError(f"There is no {name} {value!r}; there are {' and '.join(choices)}.")


@dataclass(frozen=True)
class AugmentReport:
    """What an augmentation made.

    Attributes:
        output: The data set's folder; the unfinished one where it was stopped.
        finished: Whether all was done; otherwise the same request goes on.
        resumed: Whether an earlier call had begun.
        total: Pictures that were asked for.
        made: Pictures that were made, in all calls together.
        accepted: Pictures that are in the data set.
        rejected: Pictures that a filter refused, by its score; of two filters the first counts.
        left_out: Attributes of the data that were not planned with, by the checkpoint that does
            not know them.
        balance: The training pictures' counts, of the planned attributes, and the new ones on top.
        seconds: How long this call took.
    """

    output: Path
    finished: bool
    resumed: bool
    total: int
    made: int
    accepted: int
    rejected: dict[str, int]
    left_out: dict[str, tuple[str, ...]]
    balance: Balance
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "output": str(self.output),
            "finished": self.finished,
            "resumed": self.resumed,
            "total": self.total,
            "made": self.made,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "left_out": {name: list(theirs) for name, theirs in self.left_out.items()},
            "balance": self.balance.to_dict(),
            "seconds": self.seconds,
        }

    def text(self) -> str:
        """Return lines for a person."""
        counts = f"{self.accepted} of {self.made} pictures that were made were accepted"
        lines = [
            f"{self.output}: {counts}."
            if self.finished
            else f"Stopped: {counts}; the same command goes on from {self.output}."
        ]
        lines += [
            f"  {count} refused: {_REASONS[score]}."
            for score, count in self.rejected.items()
            if count
        ]
        lines += [
            f"Not planned with, because {name} does not know them: {', '.join(theirs)}."
            for name, theirs in self.left_out.items()
            if theirs
        ]
        return "\n".join([*lines, *self._counts()])

    def _counts(self) -> Iterator[str]:
        balance = self.balance
        for when, spread, pictures in (
            ("Before", balance.before, balance.pictures_before),
            ("After", balance.after, balance.pictures_after),
        ):
            yield (
                f"{when}: {pictures} pictures, from {spread.least} to {spread.most} with an "
                f"attribute, standard deviation {spread.deviation:.1f} "
                f"({100 * spread.deviation / pictures:.1f} % of the pictures)."
            )
        columns = zip(balance.names, balance.counts_before, balance.counts_after, strict=True)
        yield from (f"  {name}: {before}, then {after}" for name, before, after in columns)
