"""Does augmentation pay? Tables 2 to 4 and Fig. 9 and 10 of Attributes for Free, with its control.

One recognizer learns from the training part of a data set, with and without what was made from it,
with several seeds and the same number of steps, and is tested on held-out photographs alone.
``Without augmentation`` has no augmentation at all, as in the paper; ``Trained properly`` has all
the usual ones, and so have the rows below it: the paper compares with the former only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from studio.augment import AugmentRequest, augment
from studio.checkpoints import CheckpointStore, Loaded, ModelCache
from studio.data.folder import TABLE, DataSet, open_set
from studio.errors import ConfigError
from studio.evaluation.bench import held_out, read, rows, to_device
from studio.images import Picture
from studio.metrics.attributes import balanced_accuracy
from studio.reproduce import attributes as generation
from studio.reproduce.attributes import ABLATION, OURS, VARIANTS, Faces, Variant
from studio.reproduce.charts import COLOURS, Chart, Line, draw
from studio.reproduce.options import ReproduceOptions, train_once, trained, write_results
from studio.training.request import TrainRequest

STEPS = 800
BATCH_SIZE = 64
RECOGNIZER: Mapping[str, Any] = {"width": 16, "averaging": 0.99}
PLAIN: Mapping[str, Any] = {"spoil": "", "flip": False}
# The 13 attributes of Table 3, after He et al. 2019.
THIRTEEN = (
    *("Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Eyeglasses"),
    *("Male", "Mouth_Slightly_Open", "Mustache", "No_Beard", "Pale_Skin", "Young"),
)
AMOUNTS = (0.5, 1.0, 2.0)
RECURSIONS = 3
# Attributes that balancing sets each way; half of what there is where there are few.
MOST = 8


@dataclass(frozen=True)
class Regime:
    """One way to train the recognizer.

    Attributes:
        label: In the table.
        fields: Of the recognizer's configuration, on top of ``RECOGNIZER``.
        maker: Who makes the added pictures; None where none are added.
        strategy: As in :class:`studio.augment.AugmentRequest`.
        amount: As there.
    """

    label: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    maker: Variant | None = None
    strategy: str = "balancing"
    amount: float = 1.0


TRADITIONAL = (
    Regime("Without augmentation", PLAIN),
    Regime("Random flipping", {**PLAIN, "flip": True}),
    Regime("Random cropping", {**PLAIN, "spoil": "place"}),
    Regime("Random erasing", {**PLAIN, "spoil": "cover"}),
    Regime("Trained properly"),
)
WITHOUT, PROPER = TRADITIONAL[0], TRADITIONAL[-1]
MADE = tuple(
    Regime(f"{variant.label}, {strategy}", {}, variant, strategy)
    for variant in (VARIANTS[3], VARIANTS[2], ABLATION, OURS)
    for strategy in ("doubling", "balancing")
)


@dataclass(frozen=True, eq=False)
class Scores:
    """How well a recognizer reads held-out photographs.

    Attributes:
        names: Of the A attributes.
        accuracy: (A,) shares of right labels, NaN where an attribute is unknown.
        balanced: (A,) means of the shares among those with and without.
    """

    names: tuple[str, ...]
    accuracy: Any
    balanced: Any

    def numbers(self) -> dict[str, float]:
        """Return means over the attributes."""
        return {"accuracy": _mean(self.accuracy), "balanced_accuracy": _mean(self.balanced)}


def _mean(values: Any) -> float:
    """Return the mean of those that are known; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


class Trials:
    """Trains makers and recognizers, each once, and keeps their scores."""

    def __init__(self, options: ReproduceOptions, faces: Faces) -> None:
        self.options = options
        self.faces = faces
        self.models = ModelCache(CheckpointStore(trained(options)), options.models.device)

    def run(self, regimes: Sequence[Regime], part: str = "test") -> Iterator[dict[str, Any]]:
        """Yield one row of numbers for each regime and seed."""
        for regime in regimes:
            for seed in range(self.options.seeds):
                scores = self.scores(regime, seed, part)
                yield {"method": regime.label, "seed": seed, **scores.numbers()}

    def scores(self, regime: Regime, seed: int, part: str = "test") -> Scores:
        """Train a recognizer and test it on a held-out part."""
        return self.test(self.models.get(self.recognizer(regime, seed)), part)

    def recognizer(self, regime: Regime, seed: int, also: Path | None = None) -> str:
        """Train a recognizer, or take the one that is there; return its name."""
        if also is None and regime.maker is not None:
            also = self.added(regime)
        size, steps = self.options.size, self.options.steps or STEPS
        request = TrainRequest(
            method="attributes",
            tag=f"{_slug(self.faces.data.name)}-{_slug(regime.label)}-"
            f"{_slug(also.name) if also else 'none'}-{size}-{steps}-seed{seed}",
            data=str(self.faces.location),
            also=str(also or ""),
            fields={**RECOGNIZER, **regime.fields},
            steps=steps,
            batch_size=BATCH_SIZE,
            size=size,
            seed=seed,
            device=self.options.models.device.type,
        )
        return train_once(self.options, request)

    def added(self, regime: Regime) -> Path:
        """Make the pictures that a regime adds, or take those that are there."""
        if regime.maker is None:
            raise ConfigError(f"{regime.label} adds no pictures.")
        return self.enlarge(self.maker(regime.maker), regime)

    def maker(self, variant: Variant) -> str:
        """Train what makes pictures, with what it begins from."""
        needed = [OURS, variant] if variant.parent else [variant]
        one_seed = replace(self.options, seeds=1)
        found = list(generation.train_variants(one_seed, self.faces, needed))
        return found[-1][2].card.name

    def enlarge(self, checkpoint: str, regime: Regime) -> Path:
        """Carry out a regime's augmentation with a checkpoint."""
        name = f"{checkpoint}-{regime.strategy}-{regime.amount:g}"
        folder = self.options.output / "added" / name
        if folder.is_dir():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        card = self.models.store.card(checkpoint)
        translates = card.method == "stargan"
        planned = set(self.faces.data.attributes) & set(card.spec.attributes)
        request = AugmentRequest(
            checkpoint=checkpoint,
            strategy=regime.strategy,
            amount=regime.amount,
            source="photo" if translates else "attributes",
            most=max(1, min(MOST, len(planned) // 2)),
        )
        report = augment(
            self.models, request, self.faces.data, folder, lambda done, total: None, lambda: False
        )
        self.options.report(f"{name}: {report.accepted} pictures.")
        return folder

    @torch.inference_mode()
    def test(self, loaded: Loaded, part: str) -> Scores:
        """Compare a recognizer's answers with the labels of held-out photographs."""
        data = held_out(self.faces.data, part)
        names, size = loaded.card.spec.attributes, loaded.card.spec.size
        pictures, device = data.pictures(size), self.options.models.device
        logits = np.concatenate(
            [
                read(loaded.model, to_device(pictures[some], device), size, device)
                for some in rows(len(pictures))
            ]
        )
        labels = data.attribute_matrix(names)
        right: list[float] = []
        balanced: list[float] = []
        for column in range(len(names)):
            known = labels[:, column] >= 0
            truth, guess = labels[known, column], logits[known, column]
            right.append(float(((guess > 0) == (truth == 1)).mean()) if len(truth) else np.nan)
            balanced.append(balanced_accuracy(guess, truth))
        return Scores(names, np.array(right), np.array(balanced))


def _slug(text: str) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()
    return "-".join(words)


def _summary(table: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Return means and deviations over the seeds, and the gain over proper training."""
    found: dict[str, dict[str, float]] = {}
    for label in dict.fromkeys(str(row["method"]) for row in table):
        own = [row for row in table if row["method"] == label]
        found[label] = {
            key: float(np.mean([row[key] for row in own]))
            for key in ("accuracy", "balanced_accuracy")
        } | {"deviation": float(np.std([row["balanced_accuracy"] for row in own]))}
    if PROPER.label in found:
        for numbers in found.values():
            base = found[PROPER.label]["balanced_accuracy"]
            numbers["gain"] = numbers["balanced_accuracy"] - base
    return {"means": found}


def _bars(title: str, table: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw each regime's seeds as dots, regimes from left to right in the table's order."""
    labels = list(dict.fromkeys(str(row["method"]) for row in table))
    lines = [
        Line(
            f"{number + 1}: {label}",
            [number + 1.0] * len(own),
            own,
            COLOURS[number % len(COLOURS)],
            dots=True,
        )
        for number, label in enumerate(labels)
        for own in [[row["balanced_accuracy"] for row in table if row["method"] == label]]
    ]
    return draw(Chart(title, lines, "regime", "balanced accuracy", size=(900, 360)))


def augmentation(options: ReproduceOptions) -> dict[str, object]:
    """Compare recognizers on all attributes (Table 2), with the control that the paper lacks."""
    return _table(options, "attributes-augmentation", generation.open_faces(options))


def thirteen(options: ReproduceOptions) -> dict[str, object]:
    """Compare recognizers on the 13 attributes of AttGAN (Table 3)."""
    faces = generation.open_faces(options)
    chosen = [name for name in THIRTEEN if name in faces.data.attributes]
    if not chosen:
        raise ConfigError(f"{faces.data.name} has none of {', '.join(THIRTEEN)}.")
    return _table(options, "attributes-13", _narrowed(options, faces, chosen))


def _narrowed(options: ReproduceOptions, faces: Faces, names: Sequence[str]) -> Faces:
    """Write the same pictures as a data set with some of the attributes only."""
    folder = options.output / f"{_slug(faces.data.name)}-{len(names)}"
    if not (folder / TABLE).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        data = faces.data
        lines = [",".join(("file", "partition", "alignment", *names))]
        for row, content in enumerate(data.contents()):
            file = f"{row:06d}{Path(data.files[row]).suffix}"
            (folder / file).write_bytes(content)
            labels = [int(data.attributes[name][row]) for name in names]
            told = ["" if label < 0 else str(label) for label in labels]
            lines.append(",".join((file, str(data.partition[row]), data.alignment, *told)))
        (folder / TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    narrowed: DataSet = open_set(folder)
    return Faces(folder, narrowed, held_out(narrowed, "test"))


def _table(options: ReproduceOptions, name: str, faces: Faces) -> dict[str, object]:
    table = list(Trials(options, faces).run([*TRADITIONAL, *MADE]))
    return write_results(options, name, table, _bars(name, table), _summary(table))


def recursion(options: ReproduceOptions) -> dict[str, object]:
    """Retrain the method's classifier on what it helped to make, again and again (Table 4)."""
    trials = Trials(options, generation.open_faces(options))
    regime = Regime("Attribute mapping, balancing", {}, OURS)
    checkpoint, table = trials.maker(OURS), []
    for turn in range(1, RECURSIONS + 1):
        added = trials.enlarge(checkpoint, regime)
        for seed in range(options.seeds):
            own = replace(regime, label=f"{turn} times")
            name = trials.recognizer(own, seed, added)
            scores = trials.test(trials.models.get(name), "test")
            table.append({"method": own.label, "seed": seed, **scores.numbers()})
        if turn < RECURSIONS:
            checkpoint = _retrained(trials, checkpoint, added, turn)
    figure = _bars("attributes-recursion", table)
    return write_results(options, "attributes-recursion", table, figure, _summary(table))


def _retrained(trials: Trials, parent: str, added: Path, turn: int) -> str:
    """Train classifier and mapping again, with the added pictures, from a parent's autoencoder."""
    options = trials.options
    steps = options.steps or generation.STEPS
    fields = {**OURS.fields, "autoencoder_share": 0.0}
    share = sum(float(OURS.fields[f"{name}_share"]) for name in ("classifier", "mapping"))
    request = TrainRequest(
        method=OURS.method,
        tag=f"turn{turn + 1}-{options.size}-{steps}",
        data=str(trials.faces.location),
        also=str(added),
        fields=fields,
        parent=parent,
        steps=max(2, round(share * steps)),
        batch_size=generation.BATCH_SIZE,
        size=options.size,
        device=options.models.device.type,
    )
    return train_once(options, request)


def per_class(options: ReproduceOptions) -> dict[str, object]:
    """Show which attributes gain (Fig. 9)."""
    trials = Trials(options, generation.open_faces(options))
    regimes = [
        WITHOUT,
        PROPER,
        *(one for one in MADE if one.maker in (ABLATION, OURS) and one.strategy == "balancing"),
    ]
    table, lines = [], []
    for number, regime in enumerate(regimes):
        found = [trials.scores(regime, seed) for seed in range(options.seeds)]
        names = found[0].names
        mean = np.mean([scores.balanced for scores in found], axis=0)
        spread = np.std([scores.balanced for scores in found], axis=0)
        table += [
            {
                "method": regime.label,
                "attribute": name,
                "balanced_accuracy": float(mean[column]),
                "deviation": float(spread[column]),
            }
            for column, name in enumerate(names)
        ]
        places = [float(place) for place in range(1, len(names) + 1)]
        lines.append(Line(regime.label, places, mean.tolist(), COLOURS[number], dots=True))
    chart = Chart(
        "attributes-per-class", lines, "attribute, in the table's order", "balanced accuracy",
        size=(1100, 360),
    )  # fmt: skip
    return write_results(options, "attributes-per-class", table, draw(chart))


def size(options: ReproduceOptions) -> dict[str, object]:
    """Choose the amount of added pictures by the validation part (section V-D, Fig. 10)."""
    trials = Trials(options, generation.open_faces(options))
    table = []
    for amount in (0.0, *AMOUNTS):
        regime = (
            Regime("Attribute mapping, balancing", {}, OURS, amount=amount) if amount else PROPER
        )
        for seed in range(options.seeds):
            row: dict[str, Any] = {"amount": amount, "seed": seed}
            for part in ("validation", "test"):
                numbers = trials.scores(regime, seed, part).numbers()
                row |= {f"{part}_{key}": value for key, value in numbers.items()}
            table.append(row)
    amounts = [0.0, *AMOUNTS]
    curves = {
        part: [
            float(np.mean([r[f"{part}_accuracy"] for r in table if r["amount"] == amount]))
            for amount in amounts
        ]
        for part in ("validation", "test")
    }
    lines = [
        Line(part, amounts, values, COLOURS[number], dots=True)
        for number, (part, values) in enumerate(curves.items())
    ]
    chosen = amounts[int(np.argmax(curves["validation"]))]
    best = amounts[int(np.argmax(curves["test"]))]
    figure = draw(Chart("attributes-size", lines, "added pictures, times those there", "accuracy"))
    summary = {"chosen_by_validation": chosen, "best_on_test": best}
    return write_results(options, "attributes-size", table, figure, summary)
