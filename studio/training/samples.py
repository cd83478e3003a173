"""Sample sheets: what a model does, on fixed held-out pictures."""

import numpy as np
import torch
from torch import Tensor, nn

from studio import images
from studio.data.batch import DataSpec
from studio.data.folder import DataSet
from studio.latents import lerp, swap
from studio.methods.base import LatentModel
from studio.nn.modes import evaluating


@torch.no_grad()
def sample_sheet(model: nn.Module, data: DataSet, spec: DataSpec, count: int = 10) -> bytes | None:
    """Draw originals, reproductions and edits of held-out pictures.

    Args:
        model: Of any method.
        data: A held-out part.
        spec: The pictures that the model expects.
        count: Columns.

    Returns:
        A PNG, or None where the model makes no pictures or the part is empty. Rows of a model that
        swaps: receiver, its reconstruction, donor, the receiver with the donor's object, the donor
        without it. Rows of another one: a picture, its reconstruction, three steps towards another
        picture, that one's reconstruction, and the other picture.
    """
    if not isinstance(model, LatentModel) or len(data) < 2:
        return None
    attribute = getattr(model, "attribute", "")
    donors, receivers = pick(data, attribute, count)
    pictures = data.pictures(spec.size)
    donor_images = images.to_images(np.asarray(pictures[donors]))
    receiver_images = images.to_images(np.asarray(pictures[receivers]))
    with evaluating(model):
        rows = _rows(model, donor_images, receiver_images)
    sheet = images.sheet([list(images.to_pictures(row.cpu())) for row in rows])
    return images.encode_png(sheet)


def _rows(model: LatentModel, donor_images: Tensor, receiver_images: Tensor) -> list[Tensor]:
    device = next(model.parameters()).device
    donor, receiver = (model.encode(batch.to(device)) for batch in (donor_images, receiver_images))
    if model.swap_part:
        edited = [
            donor_images,
            model.decode(swap(receiver, donor, [model.swap_part])),
            model.decode(model.remove(donor)),
        ]
    else:
        edited = [model.decode(lerp(receiver, donor, alpha)) for alpha in (0.25, 0.5, 0.75)]
        edited += [model.decode(donor), donor_images]
    return [receiver_images, model.decode(receiver), *edited]


def pick(data: DataSet, attribute: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pick the first pictures with and without an attribute; evenly spread where unknown."""
    if attribute in data.attributes:
        values = data.attribute(attribute)
        with_it, without = np.flatnonzero(values == 1), np.flatnonzero(values == 0)
    else:
        with_it, without = np.arange(0, len(data), 2), np.arange(1, len(data), 2)
    count = min(count, len(with_it), len(without))
    return with_it[:count], without[:count]
