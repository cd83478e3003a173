"""Small models trained on renders: drift, double swap and the cyclic rival, in numbers.

Budgets are small on purpose: every table trains its own models in minutes to an hour on two cores.
The tables share run folders, so that the plain GeneGAN is trained once for all three.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from studio import editing, latents
from studio.checkpoints import CheckpointStore, ModelCache
from studio.images import Picture, sheet, to_pictures
from studio.methods.base import LatentModel
from studio.metrics import reconstruction
from studio.reproduce import scenes
from studio.reproduce.options import ReproduceOptions, train_once, trained, write_results
from studio.reproduce.scenes import Scenes
from studio.training.request import TrainRequest

STEPS = 1500
BATCH_SIZE = 32
# More pictures than the runs see would only cost rendering time.
MOST_PICTURES, FEWEST_PICTURES = 2400, 64
PAIRS = 48
SHOWN = 9
ATTRIBUTE = "Eyeglasses"
SMALL = {"width": 24, "critic_width": 24, "averaging": 0.99, "decay": 0.25}
HINGE = {"recipe": "hinge", **SMALL}

Measure = Callable[[ModelCache, str, Scenes], tuple[dict[str, float], list[Tensor]]]


@dataclass(frozen=True)
class Variant:
    """One way to train.

    Attributes:
        tag: In the checkpoint's name.
        label: In the table and figure.
        method: Key in ``METHODS``.
        fields: Of its configuration.
    """

    tag: str
    label: str
    method: str = "genegan"
    fields: Mapping[str, Any] = field(default_factory=lambda: HINGE)


PLAIN = Variant("plain", "GeneGAN")


def drift(options: ReproduceOptions) -> dict[str, object]:
    """Compare GeneGAN with and without the parallelogram loss (section 2.1.2).

    Does the same object look alike on another background? Sunglasses that are transplanted should
    stay sunglasses.
    """
    alone = {**HINGE, "parallelogram_weight": 0.0}
    variants = [
        Variant(PLAIN.tag, "with parallelogram"),
        Variant("no-parallelogram", "without parallelogram", fields=alone),
    ]
    return _experiment(options, "genegan-drift", variants, _measure_swap)


def stacked(options: ReproduceOptions) -> dict[str, object]:
    """Compare GeneGAN with Stacked GeneGAN's double swap, on one number of steps (section 2.2)."""
    double = Variant("double-swap", "Stacked GeneGAN", fields={**HINGE, "double_swap": True})
    return _experiment(options, "genegan-stacked", [PLAIN, double], _measure_swap)


def cycle(options: ReproduceOptions) -> dict[str, object]:
    """Take eyeglasses off and put them back, with GeneGAN and with cyclic losses (Fig. 6).

    The removed picture is stored with 8 bits in between, and the objects are also put on a
    rendering that never had any: a cyclic generator can hide the object in what it made itself.
    """
    rival = Variant("cyclic", "cyclic losses", "cyclic", SMALL)
    return _experiment(options, "genegan-cycle", [PLAIN, rival], _measure_cycle)


def _experiment(
    options: ReproduceOptions, name: str, variants: Sequence[Variant], measure: Measure
) -> dict[str, object]:
    """Train every variant with every seed, measure each, and write the table."""
    torch.manual_seed(0)
    steps = options.steps or STEPS
    count = min(MOST_PICTURES, max(FEWEST_PICTURES, steps * BATCH_SIZE))
    options.report(f"Rendering {count} training pictures and {PAIRS} pairs with their truths.")
    folder = options.output / f"heads-{options.size}-{count}"
    data = scenes.training_set(folder, count, options.size)
    shown = scenes.make_scenes(PAIRS, options.size)
    models = ModelCache(CheckpointStore(trained(options)), options.models.device)
    rows = []
    pictures: dict[str, list[Tensor]] = {}
    for variant in variants:
        for seed in range(options.seeds):
            request = _request(options, variant, str(data), steps, seed)
            checkpoint = train_once(options, request)
            numbers, made = measure(models, checkpoint, shown)
            minutes = models.get(checkpoint).card.training["minutes"]
            rows.append({"variant": variant.label, "seed": seed, **numbers, "minutes": minutes})
            # The figure shows the first seed.
            pictures.setdefault(variant.label, made)
    summary = {variant.label: _mean(rows, variant.label) for variant in variants}
    figure = _figure(shown, pictures, measure)
    return write_results(options, name, rows, figure, {"steps": steps, "means": summary})


def _request(
    options: ReproduceOptions, variant: Variant, data: str, steps: int, seed: int
) -> TrainRequest:
    return TrainRequest(
        method=variant.method,
        tag=f"{variant.tag}-{options.size}-{steps}-seed{seed}",
        data=data,
        fields={**variant.fields, "attribute": ATTRIBUTE},
        steps=steps,
        batch_size=BATCH_SIZE,
        size=options.size,
        seed=seed,
        device=options.models.device.type,
        save_every=250,
        terms="Rendered by Latent Studio.",
    )


def _mean(rows: Sequence[Mapping[str, Any]], label: str) -> dict[str, float]:
    own = [row for row in rows if row["variant"] == label]
    names = [name for name in own[0] if name not in {"variant", "seed"}]
    return {name: sum(row[name] for row in own) / len(own) for name in names}


def _measure_swap(
    models: ModelCache, checkpoint: str, shown: Scenes
) -> tuple[dict[str, float], list[Tensor]]:
    """Put donors' eyeglasses on receivers and compare with the rendered truth."""
    model = models.get(checkpoint).model
    reproduced = _decode(model, shown.donors)
    swapped = _swap(model, shown.receivers, shown.donors)
    own = scenes.kind_numbers(reproduced, shown.on_donor, shown.kinds)
    numbers = {
        "reconstruction_l1": float(reconstruction.l1(reproduced, shown.donors).mean()),
        "reconstruction_psnr": own["psnr"],
        "reconstruction_kind_accuracy": own["kind_accuracy"],
    }
    transplanted = scenes.kind_numbers(swapped, shown.on_receiver, shown.kinds)
    numbers |= {f"swap_{name}": value for name, value in transplanted.items()}
    return numbers, [reproduced, swapped]


def _measure_cycle(
    models: ModelCache, checkpoint: str, shown: Scenes
) -> tuple[dict[str, float], list[Tensor]]:
    """Take the donors' eyeglasses off, put them back, and compare with the original."""
    remove, put_back = _two_ways(models, checkpoint, shown.donors)
    bare = shown.on_donor[:, 0]
    removed = scenes.as_stored(remove(shown.donors))
    back, onto_render = put_back(removed), put_back(bare)
    numbers = {
        f"{name}_{key}": value
        for name, made in (("back", back), ("onto_render", onto_render))
        for key, value in scenes.kind_numbers(made, shown.on_donor, shown.kinds).items()
    }
    none = torch.zeros_like(shown.kinds)
    gone = scenes.kind_numbers(removed, shown.on_donor, none)
    numbers |= {"removed": gone["kind_accuracy"], "removed_eye_error": gone["eye_error"]}
    return numbers, [removed, back, onto_render]


def _two_ways(
    models: ModelCache, checkpoint: str, donors: Tensor
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Return how a checkpoint takes the object off and how it puts the donors' objects on."""
    model = models.get(checkpoint).model
    if isinstance(model, LatentModel):
        return lambda x: _remove(model, x), lambda x: _swap(model, x, donors)

    def translate(wanted: int) -> Callable[[Tensor], Tensor]:
        targets = {ATTRIBUTE: wanted}
        return lambda x: editing.translate(models, checkpoint, x, targets).cpu()

    return translate(0), translate(1)


def _device(model: LatentModel) -> torch.device:
    return next(model.parameters()).device


@torch.inference_mode()
def _decode(model: LatentModel, originals: Tensor) -> Tensor:
    return model.decode(model.encode(originals.to(_device(model)))).cpu()


@torch.inference_mode()
def _remove(model: LatentModel, originals: Tensor) -> Tensor:
    return model.decode(model.remove(model.encode(originals.to(_device(model))))).cpu()


@torch.inference_mode()
def _swap(model: LatentModel, receivers: Tensor, donors: Tensor) -> Tensor:
    codes = [model.encode(originals.to(_device(model))) for originals in (receivers, donors)]
    return model.decode(latents.swap(codes[0], codes[1], [model.swap_part])).cpu()


def _figure(shown: Scenes, pictures: Mapping[str, Sequence[Tensor]], measure: Measure) -> Picture:
    """Lay out originals, truths and what every variant made, one pair per column."""
    if measure is _measure_swap:
        rows = {"receiver": shown.receivers, "donor": shown.donors, "truth": shown.truth}
        steps = ["donor again", "swap"]
    else:
        rows = {"original": shown.donors}
        steps = ["removed", "put back", "on a render"]
    for label, made in pictures.items():
        rows |= {f"{label}: {step}": images for step, images in zip(steps, made, strict=True)}
    cells = [list(to_pictures(images[:SHOWN])) for images in rows.values()]
    return sheet(cells, row_labels=list(rows))
