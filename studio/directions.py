"""One's own sliders: linear directions in a checkpoint's latent space, made from examples.

A direction leads from the mean of the examples without something to the mean of those with it. Its
unit is the data's own spread along it, so that one step means as much on every slider.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from studio import named, paths
from studio.errors import ConfigError
from studio.latents import Latents
from studio.metrics.attributes import separation
from studio.named import Shelf

# Examples of each kind; fewer say more about themselves than about what they share.
FEWEST = 8
MOST_LETTERS = named.MOST_LETTERS
_UNITS = ("data", "examples", "pair")


@dataclass(frozen=True, eq=False)
class Direction:
    """A slider of one's own.

    Attributes:
        name: What the person calls it.
        checkpoint: Whose latents it moves.
        checkpoint_hash: SHA-256 of that checkpoint's weights.
        unit: Batch of 1; over all parts together a vector of length 1.
        deviation: How far one step goes.
        measured_in: What one step is: a standard deviation of the training ``data``, of the
            ``examples`` around their own means, or the whole way of a ``pair``.
        separation: Area under the ROC curve of examples along directions that were made without
            them, 0.5 for guessing; NaN for a pair.
        examples: Pictures with it, and without it.
    """

    name: str
    checkpoint: str
    checkpoint_hash: str
    unit: Latents
    deviation: float
    measured_in: str
    separation: float
    examples: tuple[int, int]

    def move(self, codes: Latents, steps: Tensor | float) -> Latents:
        """Go along the direction.

        Args:
            codes: B latents of the same checkpoint.
            steps: A number or (B,), in deviations; 0 changes nothing.
        """
        far = torch.as_tensor(steps, dtype=torch.float32) * self.deviation

        def moved(name: str, part: Tensor) -> Tensor:
            weight = far.to(part.device).reshape(-1, *[1] * (part.dim() - 1))
            return part + weight * self.unit.parts[name].to(part.device)

        return Latents({name: moved(name, part) for name, part in codes.parts.items()})

    def facts(self) -> dict[str, Any]:
        """Return everything but the vector, as plain values."""
        return {
            "name": self.name,
            "checkpoint": self.checkpoint,
            "checkpoint_hash": self.checkpoint_hash,
            "deviation": self.deviation,
            "measured_in": self.measured_in,
            "separation": None if np.isnan(self.separation) else self.separation,
            "examples": list(self.examples),
        }


def make(
    name: str,
    checkpoint: tuple[str, str],
    shown: Latents,
    absent: Latents,
    covariance: Tensor | None = None,
) -> Direction:
    """Make a direction from examples.

    Args:
        name: What to call it.
        checkpoint: Name and weights' hash of what encoded the examples.
        shown: Latents of pictures with it: 8 or more, or one of a pair.
        absent: Of pictures without it; as many are enough, the number need not be equal.
        covariance: (D, D) of the training data's flat latents, where the checkpoint knows it.

    Raises:
        ConfigError: There are too few examples, the name is not usable, or both kinds are alike.
    """
    check_label(name)
    counts = len(shown), len(absent)
    pair = counts == (1, 1)
    if not pair and min(counts) < FEWEST:
        raise ConfigError(
            f"A slider needs {FEWEST} or more pictures with it and as many without it, or one "
            f"pair; {counts[0]} with and {counts[1]} without were given."
        )
    positive, negative = (codes.flatten().double() for codes in (shown, absent))
    way = positive.mean(0) - negative.mean(0)
    length = float(way.norm())
    if length < 1e-9:
        raise ConfigError("The pictures with it and without it are the same to this checkpoint.")
    along = way / length
    if covariance is not None:
        spread = float((along @ covariance.double().to(along.device) @ along).clamp_min(0).sqrt())
        measured_in = _UNITS[0]
    elif pair:
        spread, measured_in = length, _UNITS[2]
    else:
        residual = torch.cat([group - group.mean(0) for group in (positive, negative)])
        spread = float((residual @ along).square().sum().div(sum(counts) - 2).sqrt())
        measured_in = _UNITS[1]
    return Direction(
        name,
        *checkpoint,
        unit=_shaped_like(along.float(), shown),
        deviation=max(spread, 1e-6),
        measured_in=measured_in,
        separation=float("nan") if pair else _separation(positive, negative),
        examples=counts,
    )


def _shaped_like(vector: Tensor, codes: Latents) -> Latents:
    """Cut a flat vector into the parts of latents."""
    sizes = [part[0].numel() for part in codes.parts.values()]
    pieces = vector.split(sizes)
    shapes = [(1, *part.shape[1:]) for part in codes.parts.values()]
    return Latents(
        {
            name: piece.reshape(shape).cpu()
            for name, piece, shape in zip(codes, pieces, shapes, strict=True)
        }
    )


def _separation(positive: Tensor, negative: Tensor) -> float:
    """Score each example along the direction of all others, from the middle of their means."""
    scores: list[list[float]] = [[], []]
    for kind, (own, other) in enumerate(((positive, negative), (negative, positive))):
        for index, one in enumerate(own):
            mean = (own.sum(0) - own[index]) / (len(own) - 1)
            way = (mean - other.mean(0)) * (-1 if kind else 1)
            middle = (mean + other.mean(0)) / 2
            scores[kind].append(float((one - middle) @ way / way.norm().clamp_min(1e-12)))
    return separation(np.array(scores[0]), np.array(scores[1]))


_SHELF = Shelf(
    "slider", "direction", paths.directions, lambda facts: facts["measured_in"] in _UNITS
)


def check_label(name: str) -> None:
    """Refuse names that cannot be shown or kept.

    Raises:
        ConfigError: It is empty, too long, or has other characters than letters, digits and spaces.
    """
    _SHELF.check(name)


def names(checkpoint: str = "") -> list[str]:
    """List the person's directions, of one checkpoint if asked; damaged files are left out."""
    return _SHELF.names(checkpoint)


def belongs(name: str, checkpoint: str) -> bool:
    """Say whether there is a direction of that name, whole, and of that checkpoint."""
    return _SHELF.belongs(name, checkpoint)


def load(name: str) -> Direction:
    """Read a direction.

    Raises:
        DataError: There is none of that name, or its file is damaged.
    """
    facts, unit = _SHELF.load(name)
    score = facts["separation"]
    return Direction(
        facts["name"],
        facts["checkpoint"],
        facts["checkpoint_hash"],
        Latents(unit),
        facts["deviation"],
        facts["measured_in"],
        float("nan") if score is None else score,
        tuple(facts["examples"]),
    )


def save(direction: Direction) -> Path:
    """Write a direction into the person's home.

    Raises:
        ConfigError: There is one of that name already.
    """
    return _SHELF.save(direction.facts(), direction.unit.parts)


def follow(checkpoint: str, renamed: str) -> None:
    """Let the directions of a checkpoint belong to its new name."""
    _SHELF.follow(checkpoint, renamed)


def delete(name: str) -> None:
    """Delete a direction.

    Raises:
        DataError: There is none of that name.
    """
    _SHELF.delete(name)
