"""Judging new pictures by a classifier and by their likeness to what they were made from."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from torch import Tensor

from studio import images
from studio.augment.asking import AugmentRequest
from studio.augment.plans import Labels
from studio.checkpoints import MODEL, Loaded, ModelCache
from studio.errors import UnsupportedError
from studio.images import Picture
from studio.methods.base import Evaluator
from studio.metrics import reconstruction

Floats = npt.NDArray[np.float64]


class Judge:
    """Measures new pictures with the filters that are on."""

    def __init__(self, models: ModelCache, request: AugmentRequest) -> None:
        """Load the classifier.

        Raises:
            UnsupportedError: The classifier is none.
        """
        self._least = request.least
        self._device = models.device
        self._classifier: Loaded | None = None
        if request.classifier:
            loaded = models.get(request.classifier)
            if not isinstance(loaded.model, Evaluator) or loaded.card.method != "attributes":
                raise UnsupportedError(
                    f"{request.classifier} does not read attributes off pictures; choose an "
                    "evaluator such as attributes.celeba-64."
                )
            self._classifier = loaded

    @property
    def known(self) -> dict[str, tuple[str, ...]]:
        """The attributes that the classifier knows, by its name; empty without one."""
        if self._classifier is None:
            return {}
        return {self._classifier.card.name: self._classifier.card.spec.attributes}

    @property
    def digest(self) -> str:
        """The hash of the classifier's weights, or empty."""
        return self._classifier.card.hashes[MODEL] if self._classifier is not None else ""

    def scores(
        self,
        made: Tensor,
        origin: Callable[[], Tensor],
        before: Mapping[str, Labels],
        after: Mapping[str, Labels],
    ) -> dict[str, Floats]:
        """Measure pictures.

        Args:
            made: (B, 3, S, S) in [-1, 1], as they are written.
            origin: Makes what they are compared with.
            before: (B,) labels of the sources, by the name of each planned attribute.
            after: As ``before``, of the plan.

        Returns:
            (B,) numbers by the name of each filter that is on.
        """
        scores = {}
        if self._classifier is not None:
            seen = made.to(self._device)
            scores["agreement"] = _agreement(self._classifier, seen, before, after)
        if "ssim" in self._least:
            scores["ssim"] = reconstruction.ssim(made, as_written(origin())[1])
        return scores

    def reasons(self, scores: Mapping[str, Floats], count: int) -> list[str]:
        """Return for each picture the first score that is too low, or nothing."""
        return [
            next((name for name, least in self._least.items() if scores[name][row] < least), "")
            for row in range(count)
        ]


def _agreement(
    classifier: Loaded, seen: Tensor, before: Mapping[str, Labels], after: Mapping[str, Labels]
) -> Floats:
    """Return (B,) shares of the changed attributes that are recognized; 1 where none is changed."""
    logits = classifier.model(images.sized(seen, classifier.card.spec.size)).cpu().numpy()
    columns = [classifier.card.spec.attributes.index(name) for name in after]
    own, wanted = (np.stack(list(labels.values()), axis=1) for labels in (before, after))
    changed = wanted != own
    right = changed & ((logits[:, columns] > 0) == wanted)
    number = changed.sum(axis=1)
    return np.where(number > 0, right.sum(axis=1) / np.maximum(number, 1), 1.0)


def as_written(made: Tensor) -> tuple[Picture, Tensor]:
    """Return (B, S, S, 3) pictures as their files have them, and these as images again."""
    pictures = images.to_pictures(made)
    return pictures, images.to_images(pictures)
