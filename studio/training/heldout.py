"""What a model in training does with pictures that it does not learn from."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio import images
from studio.data.batch import Batch, DataSpec
from studio.data.folder import DataSet
from studio.losses import attribute_cross_entropy
from studio.methods.base import LatentModel
from studio.methods.evaluators import AttributeClassifier
from studio.nn.modes import evaluating
from studio.training.guards import measure_diversity

# More pictures would make the number steadier and every save slower.
MOST = 128
# Fewer say nothing.
LEAST = 4
_CHUNK = 32


class HeldOut:
    """Pictures of the validation part, and what is measured on them."""

    def __init__(self, data: DataSet, spec: DataSpec, device: torch.device) -> None:
        """Read the pictures.

        Args:
            data: The validation part; evenly spread pictures of a large one.
            spec: The pictures that the model expects.
            device: Where the model is.
        """
        self.spec = spec
        rows = np.unique(np.linspace(0, max(0, len(data) - 1), MOST).astype(int))[: len(data)]
        chosen = data.select(rows)
        # The cache is mapped read-only, which tensors do not know.
        pictures = np.array(chosen.pictures(spec.size)) if len(chosen) else None
        labels = torch.from_numpy(chosen.attribute_matrix(spec.attributes).astype(np.int64))
        self.batch: Batch | None = None
        if pictures is not None and len(chosen) >= LEAST:
            unknown = torch.from_numpy(chosen.identity())
            shown = Batch(
                images.to_images(pictures), labels, unknown, torch.from_numpy(chosen.eyes())
            )
            self.batch = shown.to(device)

    @torch.no_grad()
    def error(self, model: nn.Module) -> float | None:
        """Measure how far a model is off on the pictures.

        Returns:
            For a model that encodes and decodes the mean absolute difference of its reproductions
            in [0, 2], for a classifier its cross-entropy; None for others, and where there are
            too few pictures.
        """
        if self.batch is None or not isinstance(model, LatentModel | AttributeClassifier):
            return None
        rows = torch.arange(len(self.batch)).split(_CHUNK)
        with evaluating(model):
            sums = [float(_error(model, self.batch.select(some))) * len(some) for some in rows]
        return sum(sums) / len(self.batch)

    def diversity(self, model: nn.Module) -> float | None:
        """Measure how different the model's pictures are; see :func:`measure_diversity`."""
        if self.batch is None:
            return None
        few = self.batch.select(torch.arange(min(_CHUNK, len(self.batch))))
        return measure_diversity(model, few, self.spec)


def _error(model: nn.Module, batch: Batch) -> Tensor:
    if isinstance(model, LatentModel):
        return F.l1_loss(model.decode(model.encode(batch.images)), batch.images)
    return attribute_cross_entropy(model(batch.images), batch.attributes)
