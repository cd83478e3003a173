"""Numbers of models that interpolate: the four conditions of a path, and true in-betweens."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from studio.checkpoints import ModelCache
from studio.data.folder import PARTITIONS, DataSet
from studio.data.turns import NOBODY, Rows, Turns, find_turns
from studio.evaluation.bench import BATCH, Bench, Reading, held_out, read, to_device
from studio.images import Picture, to_pictures
from studio.latents import Latents, lerp
from studio.methods.base import LatentModel
from studio.metrics import interpolation as metrics

PAIRS = 64
# Pictures of a path, both ends among them.
FRAMES = 16
# Between whose ends true in-betweens are compared, in degrees as studio/data/turns.py counts them.
LENGTH = 80.0
MOST_INTERVALS = 576
# Real pictures among which the nearest one is looked for.
MOST_REAL = 2048

_CPU = torch.device("cpu")


class CrossFade(LatentModel):
    """Pixels for latents: one picture fades into the other, which every model is to beat."""

    def encode(self, images: Tensor) -> Latents:
        """Return the images."""
        return Latents({"z": images})

    def decode(self, latents: Latents) -> Tensor:
        """Return the images."""
        return latents.parts["z"]


@dataclass(frozen=True, eq=False)
class Judge:
    """A network that took no part in training a model, and judges how real its pictures look.

    Attributes:
        features: Maps images to the (B, D) features that distances are taken in.
        score: Maps images to (B, 1) logits of being real; None where the network has none.
        size: Of its pictures in pixels.
        device: Where it is.
    """

    features: Reading
    score: Reading | None
    size: int
    device: torch.device


def find_judge(models: ModelCache, checkpoint: str, otherwise: str) -> Judge | None:
    """Load the network that judges a checkpoint's pictures.

    Args:
        models: The loaded models.
        checkpoint: Its tag names the realness scorer that is trained on the same pictures, if there
            is one: ``realness.pole-64`` judges ``aeai.pole-64``.
        otherwise: Checkpoint whose features serve where there is no such scorer.

    Returns:
        None where there is neither.
    """
    names = models.store.names()
    own = f"realness.{checkpoint.partition('.')[2]}"
    chosen = own if own in names else otherwise
    if chosen not in names:
        return None
    loaded = models.get(chosen)
    score = loaded.model if chosen == own else None
    return Judge(loaded.model.features, score, loaded.card.spec.size, models.device)


def interpolation_numbers(
    bench: Bench, data: DataSet, part: str, judge: Judge | None, *, count: int, seed: int
) -> dict[str, float]:
    """Measure interpolation between held-out pictures.

    Args:
        bench: The model.
        data: All of it; on a full turn its pictures are the truth between others.
        part: The held-out part.
        judge: Who judges credibility, if anyone.
        count: Of pairs; 0 for 64.
        seed: Of the pairs.

    Returns:
        Numbers of :func:`path_numbers` and, where the data has full turns, of
        :func:`between_numbers`.
    """
    numbers = path_numbers(bench, data, part, judge, count=count or PAIRS, seed=seed)
    turns = find_turns(data)
    if turns is not None and turns.pictures(LENGTH) > 2:
        numbers |= between_numbers(bench, data, turns, part, seed)
    return numbers


def path_numbers(
    bench: Bench, data: DataSet, part: str, judge: Judge | None, *, count: int, seed: int
) -> dict[str, float]:
    """Measure the four conditions of admissible paths, as means over pairs (AEAI, section 2).

    Returns:
        ``boundary_error``, ``monotonicity_violations`` and ``step_ratio`` and, with a judge,
        ``credibility``: the distance of in-betweens' features to the nearest training picture's,
        beside that of real held-out pictures (``_real``) and of the cross-fade (``_fade``). A
        judge that scores adds ``realness``, the share that it takes for real, of the same three.
    """
    chosen = held_out(data, part)
    pictures = chosen.pictures(bench.size)
    ends = random_pairs(len(chosen), count, seed)
    alpha = torch.linspace(0, 1, FRAMES)
    found, between = [], []
    for some, paths in walk(bench, bench.encode(pictures), ends, alpha):
        sides = (to_device(pictures[column], _CPU) for column in ends[some].T)
        for path, start, end in zip(paths, *sides, strict=True):
            found.append(metrics.conditions(path, start, end)[:3])
        between.append(paths[:, 1:-1].flatten(0, 1))
    means = np.mean(found, axis=0)
    names = metrics.Conditions._fields[:3]
    numbers = {"interpolation_pairs": float(count)}
    numbers |= {name: float(mean) for name, mean in zip(names, means, strict=True)}
    if judge is None:
        return numbers
    fade = Bench(CrossFade(), bench.size, _CPU)
    faded = [p[:, 1:-1].flatten(0, 1) for _, p in walk(fade, fade.encode(pictures), ends, alpha)]
    shown = {
        "": torch.cat(between),
        "_real": to_device(pictures, _CPU),
        "_fade": torch.cat(faded),
    }
    return numbers | _judged(judge, shown, _some_real(bench, data, seed))


def _judged(judge: Judge, shown: dict[str, Tensor], real: Tensor) -> dict[str, float]:
    """Let the judge compare pictures with real ones; names of the numbers end as the keys do."""
    numbers = {}
    known = torch.from_numpy(read(judge.features, real, judge.size, judge.device))
    for kind, images in shown.items():
        features = torch.from_numpy(read(judge.features, images, judge.size, judge.device))
        numbers[f"credibility{kind}"] = float(metrics.credibility(features, known).mean())
        if judge.score is not None:
            logits = read(judge.score, images, judge.size, judge.device)
            numbers[f"realness{kind}"] = float((logits > 0).mean())
    return numbers


def _some_real(bench: Bench, data: DataSet, seed: int) -> Tensor:
    """Return training pictures, (M, 3, S, S), drawn where there are very many."""
    pictures = held_out(data, "train").pictures(bench.size)
    rows = drawn(np.arange(len(pictures)), MOST_REAL, seed)
    return to_device(pictures[rows], _CPU)


def between_numbers(
    bench: Bench, data: DataSet, turns: Turns, part: str, seed: int
) -> dict[str, float]:
    """Compare in-betweens with the held-out pictures that they should be.

    Returns:
        ``between_mse``, the mean squared error of images in [-1, 1] over held-out in-betweens at
        ``LENGTH`` degrees, that of the pixel cross-fade on the same pairs, ``between_mse_fade``,
        and their number. Nothing where no in-between is held out.
    """
    rows = drawn(turns.intervals(LENGTH), MOST_INTERVALS, seed)
    wanted = in_part(data, rows, part)
    wanted[:, [0, -1]] = False
    if not wanted.any():
        return {}
    pictures = data.pictures(bench.size)
    images = to_device(pictures, _CPU)
    benches = {"": bench, "_fade": Bench(CrossFade(), bench.size, _CPU)}
    numbers = {"between_pictures": float(wanted.sum())}
    for kind, own in benches.items():
        errors = true_errors(own, own.encode(pictures), images, rows)
        numbers[f"between_mse{kind}"] = float(errors[torch.from_numpy(wanted)].double().mean())
    return numbers


def in_part(data: DataSet, rows: Rows, part: str) -> npt.NDArray[np.bool_]:
    """Say which pictures of intervals are there and belong to a part, (P, K)."""
    return (rows != NOBODY) & (data.partition[rows] == PARTITIONS[part])


def true_errors(bench: Bench, codes: Latents, images: Tensor, rows: Rows) -> Tensor:
    """Compare paths with the pictures that are known to lie between their ends.

    Args:
        bench: The model.
        codes: Of all pictures of the data set.
        images: (N, 3, S, S), the same pictures.
        rows: (P, K) from :meth:`studio.data.turns.Turns.intervals`.

    Returns:
        (P, K) mean squared errors; NaN where there is no picture to compare with.
    """
    errors = torch.full(rows.shape, torch.nan)
    alpha = torch.linspace(0, 1, rows.shape[1])
    truth = torch.from_numpy(rows)
    for some, paths in walk(bench, codes, rows[:, [0, -1]], alpha):
        errors[some] = metrics.squared_error(paths, images[truth[some]])
    errors[truth == NOBODY] = torch.nan
    return errors


def walk(bench: Bench, codes: Latents, ends: Rows, alpha: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Decode straight lines between latents, a few pairs at a time.

    Args:
        bench: The model.
        codes: Of all pictures.
        ends: (P, 2) rows of the codes.
        alpha: (N,) in [0, 1].

    Yields:
        A range of the pairs and their paths, (p, N, 3, S, S) on the CPU.
    """
    at_once = max(1, 4 * BATCH // len(alpha))
    for first in range(0, len(ends), at_once):
        some = slice(first, min(first + at_once, len(ends)))
        columns = torch.from_numpy(ends[some]).repeat_interleave(len(alpha), 0)
        start, end = (codes[column] for column in columns.T)
        mixed = lerp(start, end, alpha.repeat(some.stop - first))
        yield some, bench.decode(mixed).unflatten(0, (-1, len(alpha)))


def random_pairs(pictures: int, count: int, seed: int) -> Rows:
    """Draw ``count`` pairs of two different pictures each, (count, 2) rows."""
    rng = np.random.default_rng(seed)
    first = rng.integers(pictures, size=count)
    second = (first + rng.integers(1, pictures, size=count)) % pictures
    return np.stack([first, second], axis=1).astype(np.intp)


def strips(bench: Bench, starts: Picture, ends: Picture, frames: int) -> list[Picture]:
    """Decode paths between pictures.

    Args:
        bench: The model.
        starts: (P, S, S, 3) uint8.
        ends: As ``starts``.
        frames: Pictures of a path.

    Returns:
        P rows of (frames, S, S, 3) pictures.
    """
    codes = bench.encode(np.concatenate([starts, ends]))
    places = np.arange(len(starts))
    pairs = np.stack([places, places + len(starts)], axis=1)
    paths = [p for _, some in walk(bench, codes, pairs, torch.linspace(0, 1, frames)) for p in some]
    return [to_pictures(path) for path in paths]


def drawn(rows: Rows, most: int, seed: int) -> Rows:
    """Draw ``most`` of the rows, in their order; all where there are no more."""
    if len(rows) <= most:
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), most, replace=False)
    return rows[np.sort(chosen)]
