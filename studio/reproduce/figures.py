"""Figures of trained checkpoints: donors by receivers (Fig. 4), the four-corner grid (Fig. 8)."""

import numpy as np
import torch
from torch import Tensor

from studio import editing
from studio.checkpoints import Card, ModelCache
from studio.data.folder import DataSet, open_set
from studio.editing import Encoded
from studio.errors import DataError
from studio.faces.align import Alignment
from studio.images import Picture, sheet, to_images, to_pictures
from studio.reproduce import scenes
from studio.reproduce.options import ReproduceOptions, swapping_checkpoints, write_results
from studio.training.samples import pick

SIDE = 5
CORNERS = 4


def matrix(options: ReproduceOptions) -> dict[str, object]:
    """Put every donor's object on every receiver (Fig. 4).

    Without ``data`` rendered heads go through the checkpoints trained on them; with it, held-out
    pictures of the data set go through all others.
    """
    models = options.models
    rows, tables = [], []
    for checkpoint in swapping_checkpoints(options, rendered=options.data is None):
        options.report(f"Swapping with {checkpoint}.")
        donors, receivers = _faces(options, checkpoint, SIDE)
        lines: list[list[Picture | None]] = [[None, *(face.crop for face in receivers)]]
        for d, donor in enumerate(donors):
            made = [editing.swap(models, checkpoint, face, donor) for face in receivers]
            lines.append([donor.crop, *(to_pictures(images)[0] for images in made)])
            for r, (face, images) in enumerate(zip(receivers, made, strict=True)):
                change = (images - face.reconstruction).abs().mean()
                place = {"checkpoint": checkpoint, "donor": d, "receiver": r}
                rows.append({**place, "change_in_levels": float(change) * 127.5})
        tables.append([sheet(lines)])
    return write_results(options, "genegan-matrix", rows, sheet(tables))


def interpolation(options: ReproduceOptions) -> dict[str, object]:
    """Mix four donors' objects bilinearly on one receiver (Eq. 6, Fig. 8).

    The grid stands in the middle, the donors at its corners; rows say how far each corner of the
    grid is from the donor's plain swap, which is 0 up to rounding.
    """
    models = options.models
    rows, tables = [], []
    places = editing.grid_places(SIDE)
    for checkpoint in swapping_checkpoints(options, rendered=options.data is None):
        options.report(f"Interpolating with {checkpoint}.")
        donors, receivers = _faces(options, checkpoint, CORNERS)
        receiver = receivers[0]
        grid = editing.blend(models, checkpoint, receiver, donors, places)
        for corner, (donor, place) in enumerate(zip(donors, _corner_places(), strict=True)):
            swapped = editing.swap(models, checkpoint, receiver, donor)
            difference = float((grid[place] - swapped[0]).abs().max()) * 127.5
            told = {"checkpoint": checkpoint, "corner": corner}
            rows.append({**told, "difference_in_levels": difference})
        tables.append([_grid_sheet(grid, donors, receiver)])
    return write_results(options, "genegan-interpolation", rows, sheet(tables))


def _corner_places() -> tuple[int, int, int, int]:
    return 0, SIDE - 1, SIDE * (SIDE - 1), SIDE * SIDE - 1


def _grid_sheet(grid: Tensor, donors: list[Encoded], receiver: Encoded) -> Picture:
    pictures = list(to_pictures(grid))
    lines: list[list[Picture | None]] = [
        [None, *pictures[SIDE * row : SIDE * (row + 1)], None] for row in range(SIDE)
    ]
    lines[0][0], lines[0][-1] = donors[0].crop, donors[1].crop
    lines[-1][0], lines[-1][-1] = donors[2].crop, donors[3].crop
    lines[SIDE // 2][0] = receiver.crop
    return sheet(lines)


def _faces(
    options: ReproduceOptions, checkpoint: str, count: int
) -> tuple[list[Encoded], list[Encoded]]:
    """Encode ``count`` held-out pictures with the checkpoint's object and as many without."""
    card = options.models.get(checkpoint).card
    with_it, without = _originals(options, card, count)
    first, second = (encode_all(options.models, checkpoint, side) for side in (with_it, without))
    return first, second


def _originals(options: ReproduceOptions, card: Card, count: int) -> tuple[Tensor, Tensor]:
    attribute = str(card.config["attribute"])
    size = card.spec.size
    if options.data is None:
        with_it, without = scenes.by_attribute(attribute, count)
        return scenes.render(with_it, size), scenes.render(without, size)
    data = open_set(options.data)
    held_out = data.part("test") if len(data.part("test")) else data
    return pick_images(held_out, attribute, count, size)


def pick_images(data: DataSet, attribute: str, count: int, size: int) -> tuple[Tensor, Tensor]:
    """Return the first pictures with and without an attribute.

    Raises:
        DataError: There are fewer than ``count`` of one kind.
    """
    data.attribute(attribute)
    chosen = pick(data, attribute, count)
    if min(map(len, chosen)) < count:
        raise DataError(
            f"{data.name} has only {min(map(len, chosen))} held-out pictures with or without "
            f"{attribute}; {count} of each are needed."
        )
    # Decoding the few that are shown is quicker than the whole held-out part.
    first, second = (np.array(data.select(index).pictures(size)) for index in chosen)
    return to_images(first), to_images(second)


def encode_all(models: ModelCache, checkpoint: str, originals: Tensor) -> list[Encoded]:
    """Encode aligned (B, 3, S, S) images one by one."""
    size = originals.shape[-1]
    whole = Alignment.whole(size, size)
    pictures = to_pictures(torch.as_tensor(originals))
    return [editing.encode(models, checkpoint, picture, whole) for picture in pictures]
