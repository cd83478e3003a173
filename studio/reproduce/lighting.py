"""Swapped lighting in rows of six (Fig. 5): rendered heads, and Extended Yale B where it is given.

Multi-PIE, the paper's data, is not free; Extended Yale B has its kind of pictures: frontal faces,
each under some sixty single lights. On both our sets the light of the other picture on the same
person is known, so that the swap is also measured.
"""

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from studio import editing
from studio.checkpoints import CheckpointStore, ModelCache
from studio.data.folder import DataSet, open_set
from studio.errors import ConfigError, DataError
from studio.images import Picture, sheet, to_images, to_pictures
from studio.methods.base import Operation
from studio.metrics import reconstruction
from studio.reproduce import scenes
from studio.reproduce.figures import encode_all
from studio.reproduce.options import ReproduceOptions, train_once, trained, write_results
from studio.training.request import TrainRequest

ATTRIBUTE = "Side_Light"
PAIRS = 6
STEPS = 1500
# Mirroring a face turns its light round, and what leaves one picture does not arrive on another
# pixel by pixel, so neither mirroring nor the parallelogram holds for light.
FIELDS = {
    "recipe": "hinge",
    "width": 32,
    "critic_width": 24,
    "averaging": 0.99,
    "decay": 0.25,
    "flip": False,
    "parallelogram_weight": 0.0,
}
# As in our renders: light from the side, and from the front; degrees.
SIDE, FRONT, STEEP = (35, 85), 15, 40
# The last six of the 38 persons are held out.
HELD_OUT_FROM = 34
LABELS = ("Au", "B0", "A0", "Bu", "Au again", "B0 again")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures of two persons under two lights, (N, 3, S, S) each.

    Attributes:
        side: A under light from the side.
        front: B under light from the front.
        side_from_front: A under light from the front, the truth of A0.
        front_from_side: B under A's light, the truth of Bu.
    """

    side: Tensor
    front: Tensor
    side_from_front: Tensor
    front_from_side: Tensor


def light(options: ReproduceOptions) -> dict[str, object]:
    """Make six-image rows of renders and, with ``data``, of Extended Yale B.

    Args:
        options: ``data`` is ``extended_yale_b.zip``, on which a small model is trained first.

    Raises:
        ConfigError: There is neither a checkpoint of rendered lights nor data.
    """
    sources = _rendered_sources(options)
    if options.data is not None:
        sources.append(_yale_source(options, options.data))
    if not sources:
        raise ConfigError(
            "There is no checkpoint genegan.heads-light-…; train one on rendered heads, or give "
            "extended_yale_b.zip as --data."
        )
    rows, tables = [], []
    for models, checkpoint, pairs in sources:
        numbers, table = _rows_of_six(models, checkpoint, pairs)
        rows.append({"checkpoint": checkpoint, **numbers})
        tables.append([table])
    return write_results(options, "genegan-light", rows, sheet(tables))


def _rows_of_six(
    models: ModelCache, checkpoint: str, pairs: Pairs
) -> tuple[dict[str, float], Picture]:
    """Return the numbers and the sheet of one checkpoint."""
    side = encode_all(models, checkpoint, pairs.side)
    front = encode_all(models, checkpoint, pairs.front)
    removed = [editing.remove(models, checkpoint, face) for face in side]
    swapped = [editing.swap(models, checkpoint, b, a) for a, b in zip(side, front, strict=True)]
    made = [
        *(torch.cat(images).cpu() for images in (removed, swapped)),
        *(torch.cat([face.reconstruction for face in faces]).cpu() for faces in (side, front)),
    ]
    columns = [to_pictures(images) for images in (pairs.side, pairs.front, *made)]
    lines = [list(line) for line in zip(*columns, strict=True)]
    truths = (pairs.side_from_front, pairs.front_from_side, pairs.side, pairs.front)
    names = ("removed", "swapped", "side_again", "front_again")
    numbers = {
        f"{name}_psnr": float(reconstruction.psnr(images, truth).mean())
        for name, images, truth in zip(names, made, truths, strict=True)
    }
    # What leaving the light as it is would score.
    numbers["unswapped_psnr"] = float(reconstruction.psnr(pairs.front, truths[1]).mean())
    numbers["unremoved_psnr"] = float(reconstruction.psnr(pairs.side, truths[0]).mean())
    return numbers, sheet(lines, column_labels=LABELS)


def _rendered_sources(options: ReproduceOptions) -> list[tuple[ModelCache, str, Pairs]]:
    models = options.models
    cards = [models.store.card(name) for name in models.store.names(Operation.SWAP)]
    lit = [card for card in cards if card.config["attribute"] == ATTRIBUTE]
    return [(models, card.name, _rendered_pairs(card.spec.size)) for card in lit]


def _rendered_pairs(size: int) -> Pairs:
    side, front = scenes.by_attribute(ATTRIBUTE, PAIRS)
    ahead = [replace(head, light_azimuth=0.0) for head in side]
    lit = [
        replace(b, light_azimuth=a.light_azimuth, light_elevation=a.light_elevation)
        for a, b in zip(side, front, strict=True)
    ]
    return Pairs(*(scenes.render(heads, size) for heads in (side, front, ahead, lit)))


def _yale_source(options: ReproduceOptions, location: Path) -> tuple[ModelCache, str, Pairs]:
    """Train a small model on Extended Yale B and pair its held-out persons."""
    original = open_set(location)
    if not {"azimuth", "elevation", "subject"} <= original.classes.keys():
        raise DataError(f"{location} is not Extended Yale B: it needs subject, azimuth, elevation.")
    folder = _yale_set(original, options.output / f"yale-{options.size}", options.size)
    steps = options.steps or STEPS
    request = TrainRequest(
        method="genegan",
        tag=f"yale-light-{options.size}-{steps}",
        data=str(folder),
        fields={**FIELDS, "attribute": ATTRIBUTE},
        steps=steps,
        batch_size=32,
        size=options.size,
        device=options.models.device.type,
        terms="Extended Yale B: free for research purposes, with acknowledgement.",
    )
    checkpoint = train_once(options, request)
    models = ModelCache(CheckpointStore(trained(options)), options.models.device)
    return models, checkpoint, _yale_pairs(open_set(folder).part("test"), options.size)


def _yale_set(original: DataSet, folder: Path, size: int) -> Path:
    """Write a squared copy of the data set whose light is an attribute, split by person."""
    table = folder / "attributes.csv"
    if table.is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    columns = (original.classes[name] for name in ("subject", "azimuth", "elevation"))
    rows = []
    for file, subject, azimuth, elevation in zip(original.files, *columns, strict=True):
        _square(original.source.read(file), size).save(folder / f"{Path(file).stem}.png")
        rows.append(
            {
                "file": f"{Path(file).stem}.png",
                "identity": subject,
                "partition": 0 if int(subject) < HELD_OUT_FROM else 2,
                ATTRIBUTE: _side_light(int(azimuth), int(elevation)),
                "factor_azimuth": azimuth,
                "factor_elevation": elevation,
            }
        )
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def _square(content: bytes, size: int) -> Image.Image:
    """Pad to a square with the border's own pixels, which no frame would give away."""
    with Image.open(io.BytesIO(content)) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    margin = max(pixels.shape) - np.array(pixels.shape[:2])
    padding = [(int(m) // 2, int(m) - int(m) // 2) for m in margin]
    padded = np.pad(pixels, (*padding, (0, 0)), "edge")
    return Image.fromarray(padded).resize((size, size), Image.Resampling.LANCZOS)


def _side_light(azimuth: int, elevation: int) -> int | str:
    if abs(elevation) > STEEP:
        return ""
    if SIDE[0] <= abs(azimuth) <= SIDE[1]:
        return 1
    return 0 if abs(azimuth) <= FRONT else ""


def _yale_pairs(data: DataSet, size: int) -> Pairs:
    """Pair held-out persons: each is once lit from the side, once from the front."""
    pictures = data.pictures(size)
    person = data.classes["identity"]
    lights = np.stack([data.factors["factor_azimuth"], data.factors["factor_elevation"]], axis=1)
    places = {
        (str(who), float(azimuth), float(elevation)): place
        for place, (who, (azimuth, elevation)) in enumerate(zip(person, lights, strict=True))
    }
    persons = sorted(set(person))
    chosen: list[tuple[int, ...]] = []
    for k, a in enumerate(persons):
        b = persons[(k + 1) % len(persons)]
        for own in np.flatnonzero((person == a) & (data.attribute(ATTRIBUTE) == 1))[k::7]:
            azimuth, elevation = map(float, lights[own])
            keys = ((b, 0.0, 0.0), (a, 0.0, 0.0), (b, azimuth, elevation))
            if all(key in places for key in keys):
                chosen.append((int(own), *(places[key] for key in keys)))
                break
    if not chosen:
        raise DataError("No two held-out persons of the data set share a light from the side.")
    columns = np.array(chosen[:PAIRS]).T
    return Pairs(*(to_images(np.array(pictures[column])) for column in columns))
