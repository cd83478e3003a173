"""Make the example faces that belong to nobody: decoded means of many training latents.

``python benchmarks/example_faces.py SET`` writes ``assets/examples/mean_*.png`` with the shipped
``genegan.eyeglasses-64``; SET is CelebA or a part of it.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from studio import images, latents, paths
from studio.checkpoints import CheckpointStore
from studio.data.folder import open_set
from studio.latents import Latents
from studio.methods.base import LatentModel

MODEL = "genegan.eyeglasses-64"
SIDE = 256
# The faces whose objects are strongest; a hundred or more, so that no one of them shows.
STRONGEST = 150


def mean_face(model: LatentModel, pictures: np.ndarray, strongest: int) -> np.ndarray:
    """Decode the mean of many latents to a (256, 256, 3) picture."""
    codes = latents.cat(
        [model.encode(images.to_images(np.array(part))) for part in np.array_split(pictures, 20)]
    )
    norms = codes.parts[model.swap_part].flatten(1).abs().mean(1)
    chosen = codes[norms.argsort(descending=True)[:strongest]]
    mean = Latents({name: part.mean(0, keepdim=True) for name, part in chosen.parts.items()})
    return images.resize(images.to_pictures(model.decode(mean))[0], SIDE)


def main() -> None:
    """Write one face with eyeglasses and one with bangs."""
    model, card = CheckpointStore(paths.SHIPPED_CHECKPOINTS).load(MODEL)
    data = open_set(Path(sys.argv[1])).part("train")
    pictures = data.pictures(card.spec.size)
    glasses, bangs, male = (data.attribute(n) == 1 for n in ("Eyeglasses", "Bangs", "Male"))
    groups = {"glasses": (glasses & male, STRONGEST), "bangs": (bangs & ~glasses & ~male, 10**6)}
    with torch.inference_mode():
        for name, (mask, strongest) in groups.items():
            face = mean_face(model, pictures[mask], strongest)
            images.save_png(paths.ASSETS / "examples" / f"mean_{name}.png", face)


if __name__ == "__main__":
    main()
