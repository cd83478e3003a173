"""Making pictures with the wanted attributes, and what they are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from studio import latents
from studio.augment.asking import AugmentRequest
from studio.checkpoints import Loaded
from studio.data.folder import DataSet
from studio.errors import UnsupportedError
from studio.methods.attribute_mapping import as_inputs
from studio.methods.base import AttributeModel, Generator, Translator


@dataclass(frozen=True, eq=False)
class Task:
    """What a batch of pictures is made from, on the model's device.

    Attributes:
        before: (B, A) int64 labels of the sources in {0, 1}, -1 where unknown; the model's columns.
        after: As ``before``, what is wanted.
        sources: (B, 3, S, S) in [-1, 1]; empty where pictures come from attributes.
        noise: (B, D); D is 0 where pictures come from photographs.
    """

    before: Tensor
    after: Tensor
    sources: Tensor
    noise: Tensor


class Maker(Protocol):
    """Makes new pictures, and what they are compared with."""

    def make(self, task: Task) -> Tensor:
        """Return (B, 3, S, S) in [-1, 1] with the wanted attributes."""
        ...

    def origin(self, task: Task) -> Tensor:
        """Return (B, 3, S, S) in [-1, 1], the same without any change."""
        ...


@dataclass(frozen=True, eq=False)
class _FromAttributes:
    """New faces from labels and noise; the origin has the source's labels and the same noise."""

    model: Generator

    def make(self, task: Task) -> Tensor:
        return self.model.generate(as_inputs(task.after), task.noise)

    def origin(self, task: Task) -> Tensor:
        return self.model.generate(as_inputs(task.before), task.noise)


@dataclass(frozen=True, eq=False)
class _FromLatents:
    """The source's own latent, moved; the origin is its reconstruction."""

    model: AttributeModel

    def make(self, task: Task) -> Tensor:
        codes = self.model.encode(task.sources)
        before, after = as_inputs(task.before), as_inputs(task.after)
        rows = [slice(row, row + 1) for row in range(len(codes))]
        moved = [self.model.edit(codes[row], before[row], after[row]) for row in rows]
        return self.model.decode(latents.cat(moved))

    def origin(self, task: Task) -> Tensor:
        return self.model.decode(self.model.encode(task.sources))


@dataclass(frozen=True, eq=False)
class _FromTranslator:
    """The source, translated; the origin is the source."""

    model: Translator

    def make(self, task: Task) -> Tensor:
        # As in training, what is unknown is translated as absent.
        return self.model(task.sources, task.after.clamp_min(0))

    def origin(self, task: Task) -> Tensor:
        return task.sources


def find_maker(model: Any, request: AugmentRequest) -> Maker:
    """Choose how a checkpoint makes pictures.

    Raises:
        UnsupportedError: It cannot, from this source.
    """
    if request.source == "attributes":
        if isinstance(model, Generator):
            return _FromAttributes(model)
        raise UnsupportedError(
            f"{request.checkpoint} makes no pictures from attributes alone; choose the source "
            "photo or another checkpoint."
        )
    if isinstance(model, AttributeModel):
        return _FromLatents(model)
    if isinstance(model, Translator):
        return _FromTranslator(model)
    raise UnsupportedError(
        f"{request.checkpoint} changes no attributes of photographs; choose the source attributes "
        "or another checkpoint."
    )


@dataclass(frozen=True)
class Scope:
    """The attributes of an augmentation.

    Attributes:
        planned: Those that a plan may change, in the order of the data.
        written: Those whose labels the new pictures have: the planned ones and what the source's
            labels still say of the new picture.
        left_out: As in :class:`AugmentReport`.
    """

    planned: tuple[str, ...]
    written: tuple[str, ...]
    left_out: dict[str, tuple[str, ...]]


def find_scope(request: AugmentRequest, data: DataSet, known: Mapping[str, Sequence[str]]) -> Scope:
    """Find the attributes that the data and all checkpoints know.

    Args:
        request: Of the augmentation.
        data: To augment.
        known: Attributes by checkpoint: the one that makes pictures, then the classifier if any.

    Raises:
        UnsupportedError: There are none.
    """
    names = tuple(data.attributes)
    left_out = {
        checkpoint: tuple(name for name in names if name not in theirs)
        for checkpoint, theirs in known.items()
    }
    planned = tuple(
        name for name in names if not any(name in theirs for theirs in left_out.values())
    )
    if not planned:
        raise UnsupportedError(
            f"{data.name} labels {', '.join(names) or 'no attributes'}, none of which "
            f"{' and '.join(known)} know{'' if len(known) > 1 else 's'}; choose another checkpoint "
            "or data set."
        )
    # A photograph keeps what is not planned; a picture from attributes has what went into it.
    kept = names if request.source == "photo" else known[request.checkpoint]
    written = tuple(name for name in names if name in kept)
    return Scope(planned, written, left_out)


def check_fit(request: AugmentRequest, loaded: Loaded, data: DataSet) -> None:
    """Refuse data that the checkpoint would misread.

    Raises:
        UnsupportedError: It is aligned otherwise, or lacks an attribute that would be changed in
            every picture.
    """
    if loaded.card.spec.alignment != data.alignment:
        raise UnsupportedError(
            f"{request.checkpoint} works on pictures of alignment {loaded.card.spec.alignment}, "
            f"but those of {data.name} are of alignment {data.alignment}; choose another "
            "checkpoint or data set."
        )
    if isinstance(loaded.model, Translator):
        missing = [name for name in loaded.model.attributes if name not in data.attributes]
        if missing:
            raise UnsupportedError(
                f"{request.checkpoint} also translates {', '.join(missing)}, which {data.name} "
                "does not label, so that every picture would lose it; choose another checkpoint or "
                "add these columns."
            )
