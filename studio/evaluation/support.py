"""Where a checkpoint's swaps change pictures, so that the composite leaves the rest alone."""

import torch
import torch.nn.functional as F

from studio import latents
from studio.data.folder import DataSet
from studio.evaluation.bench import Bench, rows
from studio.evaluation.swaps import make_pairs

CELLS = 16


def support_map(
    bench: Bench, data: DataSet, attribute: str, count: int = 512, seed: int = 0
) -> list[list[float]]:
    """Average how strongly swaps change each place of the crop.

    Args:
        bench: A swapping model.
        data: Held-out pictures with and without the attribute.
        attribute: What the model swaps.
        count: Pairs of donors and receivers.
        seed: Of the pairing.

    Returns:
        16 rows of 16 numbers: the mean absolute difference of swap and plain reconstruction,
        divided by its largest value.
    """
    pictures = data.pictures(bench.size)
    pairs = make_pairs(data.attribute(attribute), count, seed)
    total = torch.zeros(1, 1, bench.size, bench.size)
    for some in rows(len(pairs)):
        receivers = bench.encode(pictures[pairs.receivers[pairs.receiver[some]]])
        donors = bench.encode(pictures[pairs.donors[pairs.donor[some]]])
        swapped = latents.swap(receivers, donors, [bench.model.swap_part])
        change = bench.decode(swapped) - bench.decode(receivers)
        total += change.abs().mean(1, keepdim=True).sum(0, keepdim=True)
    cells = F.adaptive_avg_pool2d(total, CELLS)[0, 0]
    scaled = cells / cells.max().clamp_min(1e-12)
    return [[round(float(value), 4) for value in row] for row in scaled]
