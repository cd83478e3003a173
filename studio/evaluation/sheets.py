"""Sheets of pictures: held-out faces for local eyes, and the shipped ``samples.png``.

No sheet that ships shows a picture of a data set that others made. It shows our own renders or,
where a model knows photographs, faces that are decoded from the mean of many latents, and
scikit-image's astronaut.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from skimage.data import astronaut
from torch import Tensor

from studio import editing, images, latents
from studio.checkpoints import SAMPLES, ModelCache
from studio.data.folder import PARTITIONS, DataSet
from studio.data.turns import find_turns
from studio.errors import DataError, UnsupportedError
from studio.evaluation import interpolation, portraits, swaps, truth
from studio.evaluation.bench import BATCH, Bench, held_out
from studio.faces.align import crop
from studio.faces.detect import find_faces
from studio.images import Picture
from studio.methods.base import Generator, LatentModel, Translator
from studio.render import turntable

ROWS = 12
STRENGTHS = (0.5, 1.0, 1.5)
STRIP = 9
# A mean of fewer faces could still resemble one of them.
FEWEST_MEANT = 100
# Sample pictures of a turning object, and views to either side that each is the mean of.
VIEWS = 12
_NEIGHBOURS = 1
_DONORS, _RECEIVERS, _STRIPS = 4, 6, 6
_ENLARGED = 96
_GROUPS = ("Male", "Young")


def _bench(models: ModelCache, checkpoint: str) -> Bench:
    loaded = models.get(checkpoint)
    if not isinstance(loaded.model, LatentModel):
        raise UnsupportedError(f"{checkpoint} makes no pictures, so there is no sheet to draw.")
    return Bench(loaded.model, loaded.card.spec.size, models.device)


@torch.inference_mode()
def write_samples(
    models: ModelCache, checkpoint: str, data: DataSet, folder: Path, *, sheets: int = 4
) -> list[Path]:
    """Write sheets of edits of held-out pictures; they stay on this machine.

    Args:
        models: The loaded models.
        checkpoint: One that swaps or interpolates.
        data: The held-out part.
        folder: Where the sheets go; made if it does not exist.
        sheets: Number of sheets, of 12 pairs each.

    Returns:
        The files.

    Raises:
        UnsupportedError: The checkpoint makes no pictures.
        DataError: The part has no picture with, or none without the object.
    """
    bench = _bench(models, checkpoint)
    pictures = data.pictures(bench.size)
    ends = _swapped_pairs if bench.model.swap_part else _strip_ends
    draw = _pair_sheet if bench.model.swap_part else _strip_sheet
    firsts, seconds = ends(bench, data, sheets * ROWS)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(sheets):
        some = slice(number * ROWS, (number + 1) * ROWS)
        files.append(folder / f"{checkpoint}-{number:02d}.png")
        images.save_png(files[-1], draw(bench, pictures[firsts[some]], pictures[seconds[some]]))
    return files


def _swapped_pairs(bench: Bench, data: DataSet, count: int) -> tuple[swaps.Indices, swaps.Indices]:
    """Return rows of donors and receivers."""
    pairs = swaps.make_pairs(data.attribute(swaps.attribute_of(bench.model)), count, seed=0)
    return pairs.donors[pairs.donor], pairs.receivers[pairs.receiver]


def _strip_ends(bench: Bench, data: DataSet, count: int) -> tuple[swaps.Indices, swaps.Indices]:
    """Return rows of pictures to interpolate between."""
    del bench
    first, second = interpolation.random_pairs(len(data), count, seed=0).T
    return first, second


def _strip_sheet(bench: Bench, starts: Picture, ends: Picture) -> Picture:
    """Lay out one row per pair: a picture, the path to another one, and that one."""
    paths = interpolation.strips(bench, starts, ends, STRIP)
    rows = [[a, *path, b] for a, path, b in zip(starts, paths, ends, strict=True)]
    labels = [f"{step / (STRIP - 1):.2f}" for step in range(STRIP)]
    return images.sheet(_enlarged(bench, rows), column_labels=["from", *labels, "to"])


def _pair_sheet(bench: Bench, donors: Picture, receivers: Picture) -> Picture:
    """Lay out one row per pair: both pictures, the plain decode, the strengths, the removal."""
    giving, taking = bench.encode(donors), bench.encode(receivers)
    columns = {"donor": donors, "receiver": receivers, "plain": _shown(bench, taking)}
    for strength in STRENGTHS:
        moved = latents.swap(taking, giving, [bench.model.swap_part], strength)
        columns[f"{strength:g}"] = _shown(bench, moved)
    columns["removed"] = _shown(bench, bench.model.remove(giving))
    rows = list(zip(*columns.values(), strict=True))
    return images.sheet(rows, column_labels=list(columns))


def _shown(bench: Bench, codes: latents.Latents) -> Picture:
    return images.to_pictures(bench.decode(codes))


def write_showcase(models: ModelCache, checkpoint: str, data: DataSet) -> Path:
    """Put ``samples.png`` into a checkpoint's folder; arguments as of :func:`showcase`."""
    file = models.store.folder(checkpoint) / SAMPLES
    file.write_bytes(showcase(models, checkpoint, data))
    return file


@torch.inference_mode()
def showcase(models: ModelCache, checkpoint: str, data: DataSet) -> bytes:
    """Draw what a checkpoint does on pictures that may be shown to everyone.

    Args:
        models: The loaded models.
        checkpoint: One that swaps or interpolates.
        data: What it was trained on: our own renders, or faces whose means are decoded.

    Returns:
        A PNG. Of a checkpoint that swaps: first a row of receivers, then one row per donor, with
        the donor at the left and its object on each receiver; at the right the donor without it.
        Of one that generates or translates: one row per face, one column per attribute. Of others
        one row per pair: a picture, the path to another one, and that one.

    Raises:
        UnsupportedError: The checkpoint makes no pictures.
        DataError: The data has too few faces of the groups that are averaged, or shows neither
            renders nor faces.
    """
    loaded = models.get(checkpoint)
    side = max(_ENLARGED, loaded.card.spec.size)
    if isinstance(loaded.model, Generator):
        return images.encode_png(portraits.generated(loaded.model, models.device, side))
    if isinstance(loaded.model, Translator):
        faces = _astronaut(models, loaded.card.spec.size)
        return images.encode_png(portraits.translated(loaded.model, faces, models.device, side))
    bench = _bench(models, checkpoint)
    if not bench.model.swap_part:
        return images.encode_png(_strip_sheet(bench, *_shown_ends(models, bench, data)))
    attribute = swaps.attribute_of(bench.model)
    if truth.is_rendered(data):
        donors, receivers = _rendered(attribute, bench.size)
    else:
        donors, receivers = _nobodies(bench, held_out(data, "train"), attribute)
        receivers = torch.cat([receivers[: _RECEIVERS - 1], _astronaut(models, bench.size)])
    return images.encode_png(_table(bench, donors, receivers))


def _shown_ends(models: ModelCache, bench: Bench, data: DataSet) -> tuple[Picture, Picture]:
    """Choose pictures that may be shown, and others to interpolate to, (P, S, S, 3) each."""
    if truth.is_rendered(data) or _is_turned(data):
        held = held_out(data, "test")
        first, second = interpolation.random_pairs(len(held), _STRIPS, seed=0).T
        pictures = held.pictures(bench.size)
        return pictures[first], pictures[second]
    if not set(_GROUPS) <= set(data.attributes):
        raise DataError(
            f"{data.name} shows neither our own renders nor faces with the attributes "
            f"{' and '.join(_GROUPS)}, so none of its pictures may be shipped in a sheet."
        )
    means = _mean_faces(bench, held_out(data, "train"))
    faces = images.to_pictures(torch.cat([*means, _astronaut(models, bench.size)]))
    return faces, np.roll(faces, 1, axis=0)


@torch.inference_mode()
def write_views(models: ModelCache, checkpoint: str, data: DataSet) -> int:
    """Give a checkpoint sample pictures of its own, where nobody else can have some.

    Whoever has none of a bought or research-only set would have nothing to interpolate between. So
    the checkpoint carries latents, each the mean of neighbouring training views of one object, from
    which the page decodes pictures; no picture of the set is kept.

    Returns:
        The number of views; 0 where the pictures are our own renders or faces, or do not turn.
    """
    turns = find_turns(data)
    if turns is None or _is_turned(data) or len(turns.rows) != 1:
        return 0
    bench = _bench(models, checkpoint)
    trained = data.partition[turns.rows[0]] == PARTITIONS["train"]
    pictures, means = data.pictures(bench.size), []
    places = len(trained)
    for middle in range(0, places, max(1, places // VIEWS)):
        near = np.arange(middle - _NEIGHBOURS, middle + _NEIGHBOURS + 1) % places
        rows = turns.rows[0][near][trained[near]]
        if len(rows) > 1:
            means.append(_mean(bench, pictures, rows))
    if means:
        models.store.write_codes(checkpoint, latents.cat(means))
    return len(means)


def _is_turned(data: DataSet) -> bool:
    """Say whether a data set shows our own pole or turntable, by columns that only they have."""
    shown = set(data.classes.get("object", ()))
    return {"factor_azimuth", "factor_altitude"} <= set(data.factors) or (
        bool(shown) and shown <= set(turntable.OBJECTS)
    )


def _table(bench: Bench, donors: Tensor, receivers: Tensor) -> Picture:
    """Swap every donor's object onto every receiver."""
    given, taken = images.to_pictures(donors), images.to_pictures(receivers)
    giving, taking = bench.encode(given), bench.encode(taken)
    bare = _shown(bench, bench.model.remove(giving))
    rows: list[Sequence[Picture | None]] = [[None, *taken]]
    for number, donor in enumerate(given):
        one = giving[number : number + 1].map(lambda part: part.expand(len(taken), *part.shape[1:]))
        swapped = _shown(bench, latents.swap(taking, one, [bench.model.swap_part]))
        rows.append([donor, *swapped, bare[number]])
    labels = ["donor", *["receiver"] * len(taken), "removed"]
    return images.sheet(_enlarged(bench, rows), column_labels=labels)


def _enlarged(bench: Bench, rows: Sequence[Sequence[Picture | None]]) -> list[list[Picture | None]]:
    """Enlarge small pictures, which would be thumbnails in a sheet."""
    side = max(_ENLARGED, bench.size)
    return [[None if cell is None else images.resize(cell, side) for cell in row] for row in rows]


def _rendered(attribute: str, size: int) -> tuple[Tensor, Tensor]:
    """Render donors and receivers of identities that training did not see."""
    factor = truth.OBJECTS[attribute]
    donors = sorted(truth.choose(factor.gives, "test", 6 * _DONORS, seed=0), key=factor.value)
    # Spread over the factor's values: every kind of eyeglasses, faint and broad smiles.
    spread = np.linspace(0, len(donors) - 1, _DONORS).round().astype(int)
    receivers = truth.choose(factor.takes, "test", _RECEIVERS, seed=1)
    return truth.draw([donors[place] for place in spread], size), truth.draw(receivers, size)


def _nobodies(bench: Bench, data: DataSet, attribute: str) -> tuple[Tensor, Tensor]:
    """Decode mean latents of groups with and of groups without the attribute.

    Returns:
        (D, 3, S, S) with the attribute and (R, 3, S, S) without.
    """
    names = [attribute, *(name for name in _GROUPS if name != attribute)]
    pictures = data.pictures(bench.size)
    faces: dict[int, list[Tensor]] = {1: [], 0: []}
    for (shown, *_), rows in _groups(data, names):
        mean = _mean(bench, pictures, rows)
        # As in training, what lacks the object is decoded with the zero object.
        faces[shown].append(bench.decode(mean if shown else bench.model.remove(mean)))
    if not faces[0] or not faces[1]:
        raise DataError(
            f"{data.name} has no group of {FEWEST_MEANT} training faces with and none without "
            f"{attribute}; the means of smaller groups are not shown."
        )
    return torch.cat(faces[1][:_DONORS]), torch.cat(faces[0])


def _mean_faces(bench: Bench, data: DataSet) -> list[Tensor]:
    """Decode the mean latents of groups, (1, 3, S, S) each.

    Raises:
        DataError: No group is large enough.
    """
    pictures = data.pictures(bench.size)
    faces = [bench.decode(_mean(bench, pictures, rows)) for _, rows in _groups(data, _GROUPS)]
    if not faces:
        raise DataError(
            f"{data.name} has no group of {FEWEST_MEANT} training faces; the means of smaller "
            "groups are not shown."
        )
    return faces


def _groups(
    data: DataSet, names: Sequence[str]
) -> Iterator[tuple[tuple[int, ...], npt.NDArray[np.intp]]]:
    """Group pictures by attributes; yield the values and rows of groups of enough pictures."""
    columns = np.stack([data.attribute(name) for name in names], axis=1)
    for values in product((0, 1), repeat=len(names)):
        rows = np.flatnonzero((columns == values).all(axis=1))
        if len(rows) >= FEWEST_MEANT:
            yield values, rows


def _mean(bench: Bench, pictures: Picture, rows: npt.NDArray[np.intp]) -> latents.Latents:
    """Average the latents of many pictures, a batch at a time."""
    parts: dict[str, Tensor] = {}
    for first in range(0, len(rows), BATCH):
        codes = bench.encode(pictures[rows[first : first + BATCH]])
        for name, part in codes.parts.items():
            parts[name] = parts.get(name, torch.zeros(())) + part.sum(0, keepdim=True).cpu()
    means = latents.Latents({name: part / len(rows) for name, part in parts.items()})
    return means.to(bench.device)


def _astronaut(models: ModelCache, size: int) -> Tensor:
    """Return the aligned crop of Eileen Collins's portrait by NASA (public domain)."""
    photograph = np.asarray(astronaut(), np.uint8)
    face = find_faces(photograph, editing.eye_refiner(models))[0]
    return images.to_images(crop(photograph, face.alignment, size))
