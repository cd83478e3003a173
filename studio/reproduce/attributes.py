"""Faces from attributes, beside their rivals: Table 1 and Fig. 6 and 7 of Attributes for Free.

All variants learn from the same pictures with the same number of steps. The ablation without
perceptual loss keeps the full method's autoencoder and classifier, as in the paper, and trains the
mapping alone; its steps are the share that the mapping has of the full run's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from studio import traits
from studio.checkpoints import CheckpointStore, Loaded, ModelCache
from studio.data.folder import TABLE, DataSet, open_set
from studio.errors import ConfigError
from studio.evaluation import FEATURES, INSTRUMENT, sliders
from studio.evaluation.bench import held_out, read
from studio.images import Picture, sheet, to_images, to_pictures
from studio.methods.base import AttributeModel, Generator, Translator
from studio.metrics.fidelity import frechet_distance
from studio.render import heads
from studio.reproduce.options import ReproduceOptions, train_once, trained, write_results
from studio.training.request import TrainRequest

STEPS = 4000
BATCH_SIZE = 32
# Rendered heads where no data set is given.
RENDERED = 1200
SHOWN = 8
# What Fig. 6 changes: single attributes, then two at once.
EDITS: tuple[Mapping[str, float], ...] = (
    {"Smiling": 1.0},
    {"Blond_Hair": 1.0, "Black_Hair": 0.0, "Brown_Hair": 0.0},
    {"Pale_Skin": 1.0},
    {"Eyeglasses": 1.0},
    {"Young": 0.0},
    {"Male": 1.0},
    {"Blond_Hair": 1.0, "Black_Hair": 0.0, "Smiling": 1.0},
    {"Pale_Skin": 1.0, "Smiling": 1.0},
)
_SMALL = {"width": 16, "blocks": 1, "averaging": 0.99, "decay": 0.5}
_CRITIC = {"critic_width": 16}
_RATES = {"autoencoder_lr": 1e-3, "classifier_lr": 1e-3, "mapping_lr": 5e-4, "k_rate": 0.01}
_SHARES = {"autoencoder_share": 0.6, "classifier_share": 0.15, "mapping_share": 0.25}
_FULL = {**_SMALL, **_CRITIC, **_RATES, **_SHARES, "classifier_width": 16, "critic_units": 256}


@dataclass(frozen=True)
class Variant:
    """One way to make faces.

    Attributes:
        label: In the table and the figure.
        method: Key in ``METHODS``.
        tag: In the checkpoint's name.
        fields: Of its configuration.
        parent: Tag of the variant whose autoencoder and classifier it keeps.
        share: Part of the steps that it takes.
    """

    label: str
    method: str
    tag: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    share: float = 1.0


OURS = Variant("Attribute mapping", "attribute-mapping", "full", _FULL)
ABLATION = Variant(
    "Without perceptual loss",
    "attribute-mapping",
    "no-perceptual",
    {**_FULL, "perceptual_weight": 0.0, "autoencoder_share": 0.0, "classifier_share": 0.0},
    parent="full",
    share=_SHARES["mapping_share"],
)
VARIANTS = (
    OURS,
    ABLATION,
    Variant("DCGAN", "dcgan", "dcgan", {**_SMALL, **_CRITIC}),
    Variant(
        "StarGAN",
        "stargan",
        "stargan",
        {"width": 16, "blocks": 3, "critic_width": 16, "averaging": 0.99},
    ),
)


@dataclass(frozen=True, eq=False)
class Faces:
    """The pictures that all variants learn from.

    Attributes:
        location: Folder or zip.
        data: The set.
        test: Its held-out part.
    """

    location: Path
    data: DataSet
    test: DataSet


def open_faces(options: ReproduceOptions) -> Faces:
    """Open the data set of a table, or render one.

    Raises:
        ConfigError: The data set knows no attributes.
    """
    location = options.data
    if location is None:
        options.report(f"Rendering {RENDERED} heads; --data takes a set of photographs.")
        location = options.output / f"faces-{options.size}-{RENDERED}"
        if not (location / TABLE).is_file():
            heads.write_set(location, RENDERED, options.size, seed=0)
    data = open_set(location)
    if not data.attributes:
        raise ConfigError(f"{data.name} has no attributes to make faces from.")
    return Faces(location, data, held_out(data, "test"))


def train_variants(
    options: ReproduceOptions, faces: Faces, variants: Sequence[Variant]
) -> Iterator[tuple[Variant, int, Loaded]]:
    """Train every variant with every seed, those that others begin from first."""
    models = ModelCache(CheckpointStore(trained(options)), options.models.device)
    steps = options.steps or STEPS
    for variant in variants:
        for seed in range(options.seeds):
            end = f"{options.size}-{steps}-seed{seed}"
            request = TrainRequest(
                method=variant.method,
                tag=f"{variant.tag}-{end}",
                data=str(faces.location),
                fields=dict(variant.fields),
                parent=f"{variant.method}.{variant.parent}-{end}" if variant.parent else "",
                steps=max(1, round(variant.share * steps)),
                batch_size=BATCH_SIZE,
                size=options.size,
                seed=seed,
                device=options.models.device.type,
                terms="" if options.data else "Rendered by Latent Studio.",
            )
            yield variant, seed, models.get(train_once(options, request))


def fid(options: ReproduceOptions) -> dict[str, object]:
    """Compare the Frechet distance of generated faces (Table 1), and how well they show attributes.

    Faces are made from the labels of held-out people and compared with these people's photographs,
    in the features of our own identity network; the paper's are Inception's, so that only the order
    can be compared. StarGAN translates one held-out person into another one's labels.
    """
    faces = open_faces(options)
    network = options.models.get(FEATURES)
    real = _features(network, _pictures(faces.test, network.card.spec.size), options)
    table: list[dict[str, Any]] = []
    shown: dict[str, Tensor] = {}
    for variant, seed, loaded in train_variants(options, faces, VARIANTS):
        with torch.inference_mode():
            made = sliders.make_all(
                loaded.model, faces.test, options.size, options.models.device, seed
            )
        row = {
            "method": variant.label,
            "seed": seed,
            "frechet": frechet_distance(_features(network, made, options), real),
            **_accuracy(loaded, faces.test, options, seed),
            "minutes": loaded.card.training["minutes"],
        }
        table.append(row)
        shown.setdefault(variant.label, made[:SHOWN])
    figure = sheet([list(to_pictures(made)) for made in shown.values()], row_labels=list(shown))
    return write_results(options, "attributes-fid", table, figure, _means(table))


def _pictures(data: DataSet, size: int) -> Tensor:
    return to_images(np.array(data.pictures(size)))


def _features(network: Loaded, made: Tensor, options: ReproduceOptions) -> Any:
    size = network.card.spec.size
    with torch.inference_mode():
        return read(network.model.features, made, size, options.models.device)


def _accuracy(
    loaded: Loaded, data: DataSet, options: ReproduceOptions, seed: int
) -> dict[str, float]:
    """Return how well asked-for attributes are shown; NaN where a method makes no new faces."""
    if not isinstance(loaded.model, Generator):
        return {"shown": float("nan")}
    device = options.models.device
    judge = sliders.Judge.of(options.models.get(INSTRUMENT), loaded.model.attributes, device)
    with torch.inference_mode():
        found = sliders.generation_numbers(loaded.model, judge, data, count=0, seed=seed)
    return {"shown": found.get("shown", float("nan"))}


def _means(table: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    labels = dict.fromkeys(str(row["method"]) for row in table)
    return {
        label: float(np.mean([row["frechet"] for row in table if row["method"] == label]))
        for label in labels
    }


def edits(options: ReproduceOptions) -> dict[str, object]:
    """Edit held-out photographs by one and two attributes (Fig. 6), beside rivals (Fig. 7).

    DCGAN has no encoder: its row shows new faces of the labels that were asked for. The table has,
    for each edit, how far the judge saw the asked-for attributes and all others move.
    """
    faces = open_faces(options)
    judge = options.models.get(INSTRUMENT)
    asked = [one for one in EDITS if set(one) <= set(faces.data.attributes)]
    if not asked:
        asked = [{name: 1.0} for name in list(faces.data.attributes)[:SHOWN]]
    own = _pictures(faces.test, options.size)[:SHOWN]
    labels = faces.test.attribute_matrix(list(faces.data.attributes))[:SHOWN]
    table: list[dict[str, object]] = []
    cells: list[list[Picture]] = []
    names: list[str] = []
    for variant, seed, loaded in train_variants(options, faces, VARIANTS):
        if seed:
            continue
        for wanted in asked:
            made = _edited(loaded.model, own, labels, faces.data, wanted, options)
            if made is None:
                continue
            table.append(
                {
                    "method": variant.label,
                    "edit": _words(wanted),
                    **_moved(judge, own, made, wanted, options),
                }
            )
            cells.append(list(to_pictures(made)))
            names.append(f"{variant.label}: {_words(wanted)}")
    figure = sheet([list(to_pictures(own)), *cells], row_labels=["original", *names])
    return write_results(options, "attributes-edits", table, figure)


def _words(wanted: Mapping[str, float]) -> str:
    return ", ".join(f"{traits.label(name)} {value:g}" for name, value in wanted.items())


@torch.inference_mode()
def _edited(
    model: Any,
    own: Tensor,
    labels: Any,
    data: DataSet,
    wanted: Mapping[str, float],
    options: ReproduceOptions,
) -> Tensor | None:
    """Give pictures the wanted attributes; None where a method does not know one of them."""
    names = list(data.attributes)
    if not set(wanted) <= set(model.attributes):
        return None
    device = options.models.device
    targets = labels[:, [names.index(name) for name in model.attributes]].clip(0).astype(float)
    for name, value in wanted.items():
        targets[:, model.attributes.index(name)] = value
    if isinstance(model, Translator):
        return model(own.to(device), torch.from_numpy(targets).long().to(device)).cpu()
    if not isinstance(model, AttributeModel):
        return sliders.make_faces(model, targets, device, 0)
    before, codes = model.measure(own.to(device)), model.encode(own.to(device))
    made = []
    for row in range(len(own)):
        after = before[row : row + 1].clone()
        for name, value in wanted.items():
            after[0, model.attributes.index(name)] = value
        made.append(
            model.decode(model.edit(codes[slice(row, row + 1)], before[row : row + 1], after))
        )
    return torch.cat(made).cpu()


def _moved(
    judge: Loaded,
    own: Tensor,
    made: Tensor,
    wanted: Mapping[str, float],
    options: ReproduceOptions,
) -> dict[str, float]:
    """Return by how much the judge's probabilities moved towards what was wanted, and elsewhere."""
    size, device = judge.card.spec.size, options.models.device
    with torch.inference_mode():
        before, after = (
            1 / (1 + np.exp(-read(judge.model, images, size, device))) for images in (own, made)
        )
    known = judge.card.spec.attributes
    chosen = [known.index(name) for name in wanted if name in known]
    signs = np.array([1 if wanted[known[column]] > traits.PRESENT else -1 for column in chosen])
    change = (after - before).mean(0)
    others = np.abs(np.delete(after - before, chosen, axis=1))
    return {
        "towards": float((change[chosen] * signs).mean()) if chosen else float("nan"),
        "elsewhere": float(others.mean()),
    }
