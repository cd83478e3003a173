"""Measure attribute sliders and faces from attributes, with networks that took no part in training.

A slider is judged on held-out photographs: the attribute goes from where it was measured to the
other end of its slider. A face is judged by the attributes that were asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from studio import traits
from studio.checkpoints import Loaded
from studio.data.folder import DataSet
from studio.errors import UnsupportedError
from studio.evaluation.bench import Array, read, rows, to_device
from studio.methods.base import AttributeModel, Generator, Translator
from studio.metrics import attributes, fidelity

# The sliders that are measured, where the data knows them; all of them otherwise.
MEASURED = ("Smiling", "Eyeglasses", "Young", "Male", "Blond_Hair", "Bangs", "Mustache")
# Places along a slider, from where it was measured to its end.
LADDER = (0.0, 0.25, 0.5, 0.75, 1.0)
# Photographs for each slider, and faces for each attribute, where nothing else is asked for.
PHOTOGRAPHS = 60
FACES = 100

Labels = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Judge:
    """An attribute classifier that took no part in training.

    Attributes:
        loaded: The classifier.
        columns: Of its outputs, one for each of the model's attributes; -1 for those it does not
            know.
        device: Where it is.
    """

    loaded: Loaded
    columns: tuple[int, ...]
    device: torch.device

    @classmethod
    def of(cls, loaded: Loaded, names: Sequence[str], device: torch.device) -> "Judge":
        """Match a classifier's outputs with a model's attributes.

        Raises:
            UnsupportedError: It is no attribute classifier, or knows none of them.
        """
        known = loaded.card.spec.attributes
        columns = tuple(known.index(name) if name in known else -1 for name in names)
        if loaded.card.method != "attributes" or max(columns) < 0:
            raise UnsupportedError(
                f"{loaded.card.name} does not recognize {', '.join(names[:3])} and so on; choose "
                "an attribute classifier that does with --instrument."
            )
        return cls(loaded, columns, device)

    def read(self, made: Tensor) -> Array:
        """Return the (N, A) logits of (N, 3, S, S) images; NaN where it does not know one."""
        logits = read(self.loaded.model, made, self.loaded.card.spec.size, self.device)
        found = logits[:, list(self.columns)].astype(np.float64)
        found[:, [index for index, column in enumerate(self.columns) if column < 0]] = np.nan
        return found

    @property
    def known(self) -> list[int]:
        """The model's attributes that it knows."""
        return [index for index, column in enumerate(self.columns) if column >= 0]


@dataclass(frozen=True, eq=False)
class Edits:
    """What a slider did to photographs.

    Attributes:
        ladder: (S, N) logits of the attribute along the slider, turned so that more is right.
        others: (N,) mean absolute change of the other attributes' probabilities at its end.
        held: The same where all others were held.
        held_ladder: As ``ladder``, at its two ends, where all others were held.
    """

    ladder: Array
    others: Array
    held: Array
    held_ladder: Array

    def numbers(self) -> dict[str, float]:
        """Return shares and mean changes by name."""
        return {
            "crosses": float((self.ladder[-1] > 0).mean()),
            "right_way": float((self.ladder[-1] > self.ladder[0]).mean()),
            "monotonic": float(attributes.monotonic(self.ladder).mean()),
            "change_of_others": float(self.others.mean()),
            "held_crosses": float((self.held_ladder[-1] > 0).mean()),
            "held_change_of_others": float(self.held.mean()),
        }


def slider_numbers(
    model: AttributeModel, judge: Judge, data: DataSet, size: int, *, count: int, seed: int
) -> dict[str, float]:
    """Measure a model's sliders on held-out photographs.

    Args:
        model: In ``eval``, on the judge's device.
        judge: Reads the results.
        data: The held-out part.
        size: Of the model's pictures.
        count: Photographs for each slider, half of which show the attribute; 0 for 60.
        seed: Of their choice.

    Returns:
        For each slider its shares and changes, as ``crosses_Smiling``, and their means over the
        sliders, as ``crosses``.
    """
    names = [name for name in MEASURED if name in model.attributes] or list(model.attributes)
    columns = [model.attributes.index(name) for name in names]
    columns = [column for column in columns if column in judge.known]
    labels = data.attribute_matrix(model.attributes)
    found: dict[str, dict[str, float]] = {}
    for column in columns:
        chosen = _half_and_half(labels[:, column], count or PHOTOGRAPHS, seed)
        if len(chosen):
            pictures = data.pictures(size)[chosen]
            edits = _slide(model, judge, to_device(pictures, judge.device), column)
            found[model.attributes[column]] = edits.numbers()
    return _named_and_mean(found)


def _half_and_half(values: Labels, count: int, seed: int) -> npt.NDArray[np.intp]:
    """Choose as many rows with as without an attribute; fewer where there are fewer."""
    rng = np.random.default_rng(seed)
    kinds = [rng.permutation(np.flatnonzero(values == kind)) for kind in (0, 1)]
    each = min(count // 2, *map(len, kinds))
    return np.concatenate([kind[:each] for kind in kinds])


def _slide(model: AttributeModel, judge: Judge, originals: Tensor, column: int) -> Edits:
    """Move one slider of every photograph from where it stands to the other end."""
    own, codes = model.measure(originals), model.encode(originals)
    everyone = [index for index in range(len(model.attributes)) if index != column]
    steps: list[Tensor] = []
    held: list[Tensor] = []
    goals = []
    for row in range(len(originals)):
        before, face = own[row : row + 1], codes[slice(row, row + 1)]
        goal = 0.0 if before[0, column] > traits.PRESENT else 1.0
        after = before.repeat(len(LADDER), 1)
        ladder = torch.tensor(LADDER, device=after.device)
        after[:, column] = torch.lerp(before[0, column], torch.tensor(goal), ladder)
        steps.append(model.decode(model.edit(face, before, after)))
        slopes = model.sensitivity(face)
        end = model.edit(face, before, after[-1:], slopes, everyone)
        held.append(model.decode(end))
        goals.append(goal)
    signs = np.where(np.array(goals) > traits.PRESENT, 1.0, -1.0)
    along = judge.read(torch.cat(steps)).reshape(len(originals), len(LADDER), -1)
    kept = judge.read(torch.cat(held))
    others = [index for index in everyone if index in judge.known]
    return Edits(
        ladder=(along[:, :, column] * signs[:, None]).T,
        others=_change(along[:, 0][:, others], along[:, -1][:, others]),
        held=_change(along[:, 0][:, others], kept[:, others]),
        held_ladder=np.stack([along[:, 0, column], kept[:, column]]) * signs,
    )


def _change(before: Array, after: Array) -> Array:
    """Return the (N,) mean absolute change of probabilities from (N, A) logits."""
    if not before.shape[1]:
        return np.zeros(len(before))
    one, other = (1 / (1 + np.exp(-logits)) for logits in (before, after))
    change: Array = np.abs(one - other).mean(axis=1)
    return change


def generation_numbers(
    model: Generator, judge: Judge, data: DataSet, *, count: int, seed: int
) -> dict[str, float]:
    """Measure whether generated faces show what was asked for.

    For each attribute, held-out people's labels are taken and this attribute is set to 0 in one
    half and to 1 in the other; labels that contradict it give way.

    Args:
        model: In ``eval``, on the judge's device.
        judge: Reads the faces.
        data: The held-out part.
        count: Faces for each attribute; 0 for 100.
        seed: Of people and noise.

    Returns:
        For each attribute ``shown_NAME``, the judge's balanced accuracy on generated faces over
        its own on photographs, and ``shown``, the mean. With ``judge_…`` its own on photographs.
    """
    labels = data.attribute_matrix(model.attributes)
    size = judge.loaded.card.spec.size
    pictures = data.pictures(size)
    real = np.concatenate(
        [judge.read(to_device(pictures[some], judge.device)) for some in rows(len(pictures))]
    )
    numbers: dict[str, float] = {}
    for column in judge.known:
        name = model.attributes[column]
        own = attributes.balanced_accuracy(real[:, column], labels[:, column])
        if not np.isfinite(own):
            continue
        wanted = asked_for(labels, model.attributes, column, count or FACES, seed)
        logits = judge.read(make_faces(model, wanted, judge.device, seed))
        made = attributes.balanced_accuracy(logits[:, column], wanted[:, column])
        numbers |= {f"shown_{name}": made / own, f"judge_{name}": own}
    shown = [value for name, value in numbers.items() if name.startswith("shown_")]
    return {**numbers, "shown": float(np.mean(shown))} if shown else numbers


def asked_for(
    labels: Labels, names: Sequence[str], column: int, count: int, seed: int
) -> npt.NDArray[np.float64]:
    """Return (count, A) attributes of people with one attribute set to 0 and 1 in halves.

    Args:
        labels: (N, A) of held-out people, -1 where unknown, which becomes 0.
        names: Of the columns.
        column: Of the attribute that is set.
        count: Rows.
        seed: Of the choice of people.
    """
    rng = np.random.default_rng([seed, column])
    chosen = rng.choice(len(labels), count, replace=count > len(labels))
    wanted = labels[chosen].clip(0).astype(np.float64)
    wanted[:, column] = np.arange(count) % 2
    for other, name in enumerate(names):
        if frozenset((name, names[column])) in traits.CONTRADICTIONS:
            wanted[wanted[:, column] == 1, other] = 0
    return wanted


def make_faces(
    model: Generator, wanted: npt.NDArray[np.float64], device: torch.device, seed: int
) -> Tensor:
    """Generate one face for each row of attributes; (N, 3, S, S) on the CPU."""
    noise = torch.randn(
        len(wanted), model.noise_size, generator=torch.Generator().manual_seed(seed)
    )
    asked = torch.from_numpy(wanted).float()
    return torch.cat(
        [
            model.generate(asked[some].to(device), noise[some].to(device)).cpu()
            for some in rows(len(wanted))
        ]
    )


def translation_numbers(
    model: Translator, judge: Judge, data: DataSet, size: int, *, count: int, seed: int
) -> dict[str, float]:
    """Measure a translator on held-out photographs, each with one attribute turned over.

    Args:
        model: In ``eval``, on the judge's device.
        judge: Reads photographs and results.
        data: The held-out part.
        size: Of the model's pictures.
        count: Photographs for each attribute, half of which show it; 0 for 60.
        seed: Of their choice.

    Returns:
        ``crosses``, ``right_way`` and ``change_of_others`` as for :func:`slider_numbers`, compared
        with the photograph, which a translator does not encode.
    """
    labels = data.attribute_matrix(model.attributes)
    found: dict[str, dict[str, float]] = {}
    for column in judge.known:
        chosen = _half_and_half(labels[:, column], count or PHOTOGRAPHS, seed)
        if not len(chosen):
            continue
        targets = labels[chosen].clip(0).astype(np.int64)
        goals = 1 - targets[:, column]
        targets[:, column] = goals
        originals = to_device(data.pictures(size)[chosen], judge.device)
        made = model(originals, torch.from_numpy(targets).to(judge.device))
        before, after = judge.read(originals), judge.read(made)
        signs = np.where(goals == 1, 1.0, -1.0)
        others = [index for index in judge.known if index != column]
        found[model.attributes[column]] = {
            "crosses": float((after[:, column] * signs > 0).mean()),
            "right_way": float(((after - before)[:, column] * signs > 0).mean()),
            "change_of_others": float(_change(before[:, others], after[:, others]).mean()),
        }
    return _named_and_mean(found)


def _named_and_mean(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return each attribute's numbers, as ``crosses_Smiling``, and their means, as ``crosses``."""
    numbers = {
        f"{key}_{name}": value for name, each in found.items() for key, value in each.items()
    }
    if found:
        first = next(iter(found.values()))
        numbers |= {key: float(np.mean([each[key] for each in found.values()])) for key in first}
    return numbers


def make_all(
    model: Generator | Translator, data: DataSet, size: int, device: torch.device, seed: int
) -> Tensor:
    """Make one face for each row of a data set's labels, (N, 3, S, S) on the CPU.

    A translator turns each person into the labels of the one before.
    """
    labels = data.attribute_matrix(model.attributes).clip(0)
    if isinstance(model, Generator):
        return make_faces(model, labels.astype(np.float64), device, seed)
    turned = torch.from_numpy(np.roll(labels, 1, axis=0).astype(np.int64))
    pictures = data.pictures(size)
    return torch.cat(
        [
            model(to_device(pictures[some], device), turned[some].to(device)).cpu()
            for some in rows(len(pictures))
        ]
    )


def frechet_numbers(
    model: Generator | Translator,
    network: Loaded,
    data: DataSet,
    own_size: int,
    device: torch.device,
    seed: int,
) -> dict[str, float]:
    """Compare faces made from held-out people's labels with these people's photographs.

    Args:
        model: As for :func:`make_all`.
        network: Whose features are compared.
        data: The held-out part.
        own_size: Of the model's pictures.
        device: Where both are.
        seed: Of the noise.

    Returns:
        ``frechet_generated``, in our identity network's features.
    """
    size = network.card.spec.size
    features = network.model.features
    made = read(features, make_all(model, data, own_size, device, seed), size, device)
    pictures = data.pictures(size)
    real = np.concatenate(
        [
            read(features, to_device(pictures[some], device), size, device)
            for some in rows(len(pictures))
        ]
    )
    return {"frechet_generated": fidelity.frechet_distance(made, real)}
