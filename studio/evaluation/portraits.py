"""Sample sheets of models around attributes: faces that nobody has, each attribute changed."""

import torch
from torch import Tensor

from studio import images, traits
from studio.evaluation.sliders import MEASURED
from studio.images import Picture
from studio.methods.base import Generator, Translator

# Portraits in a sheet, and changes of each.
_ROWS, _CHANGES = 6, 8
_SHOWN = (*MEASURED, "Wearing_Hat")
# What the faces of a sheet begin from, beside what most portraits show.
_BEGUN = ("Young", "No_Beard")


@torch.inference_mode()
def generated(model: Generator, device: torch.device, side: int) -> Picture:
    """Draw a generator's sheet: one row per person, one column per changed attribute.

    Args:
        model: In ``eval``, on the device.
        device: Where it is.
        side: Of a cell in pixels.

    Returns:
        The sheet; the first column is the person, half of the rows are men where the model knows
        ``Male``.
    """
    names = _changed(model.attributes)
    base = torch.zeros(_ROWS, len(model.attributes))
    for name in _BEGUN:
        if name in model.attributes:
            base[:, model.attributes.index(name)] = 1
    if "Male" in model.attributes:
        base[_ROWS // 2 :, model.attributes.index("Male")] = 1
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(_ROWS, model.noise_size, generator=rng).to(device)
    columns = [base, *(_with(base, model.attributes, name) for name in names)]
    made = [model.generate(column.to(device), noise).cpu() for column in columns]
    return _sheet(made, ["", *map(traits.label, names)], side)


@torch.inference_mode()
def translated(model: Translator, faces: Tensor, device: torch.device, side: int) -> Picture:
    """Draw a translator's sheet: one row per face, one column per attribute that it is given.

    Args:
        model: In ``eval``, on the device.
        faces: (B, 3, S, S) in [-1, 1].
        device: Where the model is.
        side: Of a cell in pixels.
    """
    names = _changed(model.attributes)
    made = [faces]
    for name in names:
        targets = torch.zeros(len(faces), len(model.attributes), dtype=torch.int64)
        targets[:, model.attributes.index(name)] = 1
        made.append(model(faces.to(device), targets.to(device)).cpu())
    return _sheet(made, ["face", *map(traits.label, names)], side)


def _changed(attributes: tuple[str, ...]) -> list[str]:
    """Choose the attributes of a sheet's columns."""
    usual = [name for name in _SHOWN if name in attributes]
    return (usual or list(attributes))[:_CHANGES]


def _with(base: Tensor, attributes: tuple[str, ...], name: str) -> Tensor:
    """Change one attribute of every row to its opposite, and take what contradicts it away."""
    changed = base.clone()
    column = attributes.index(name)
    changed[:, column] = 1 - changed[:, column]
    for other, known in enumerate(attributes):
        if frozenset((known, name)) in traits.CONTRADICTIONS:
            changed[changed[:, column] == 1, other] = 0
    return changed


def _sheet(columns: list[Tensor], labels: list[str], side: int) -> Picture:
    pictures = [images.to_pictures(column) for column in columns]
    cells = [
        [images.resize(picture[row], side) for picture in pictures]
        for row in range(len(pictures[0]))
    ]
    return images.sheet(cells, column_labels=labels)
