"""Carrying a plan out, a batch at a time."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from studio import images, paths
from studio.augment.asking import AugmentReport, AugmentRequest
from studio.augment.judging import Judge, as_written
from studio.augment.making import Task, check_fit, find_maker, find_scope
from studio.augment.part import BATCH, Part, Progress
from studio.augment.plans import (
    NOISE,
    Balance,
    Balancing,
    Doubling,
    Indices,
    Labels,
    Plan,
    Planner,
    class_counts,
)
from studio.checkpoints import MODEL, ModelCache
from studio.data.folder import PARTITIONS, UNKNOWN, DataSet
from studio.errors import ConfigError, DataError
from studio.images import Picture

# A run stops where fewer than one in so many of the latest pictures are accepted.
WINDOW = 1000
ONE_IN = 50


class _Augmentation:
    """A request with everything that it needs, checked."""

    def __init__(self, models: ModelCache, request: AugmentRequest, data: DataSet) -> None:
        request.check()
        self.request = request
        self.loaded = models.get(request.checkpoint)
        self.maker = find_maker(self.loaded.model, request)
        self.judge = Judge(models, request)
        check_fit(request, self.loaded, data)
        known = {request.checkpoint: self.loaded.model.attributes, **self.judge.known}
        self.scope = find_scope(request, data, known)
        self.data_name = data.name
        self.rows = np.flatnonzero(data.partition == PARTITIONS["train"])
        self.train = data.select(self.rows)
        self.labels = self.train.attribute_matrix(self.scope.written)
        self.planned = [self.scope.written.index(name) for name in self.scope.planned]
        self.planner = self._planner()
        self._device = models.device
        self._pictures: Picture | None = None

    def _planner(self) -> Planner:
        request, labels = self.request, self.labels[:, self.planned]
        if request.strategy == "doubling":
            return Doubling(labels, request.seed)
        return Balancing(labels, round(request.amount * len(labels)), request.seed, request.most)

    @property
    def terms(self) -> dict[str, Any]:
        """What decides every byte of the result."""
        labels = self.train.attribute_matrix(tuple(self.train.attributes))
        fingerprint = hashlib.sha256(
            json.dumps([self.train.files, tuple(self.train.attributes)]).encode() + labels.tobytes()
        )
        return {
            **asdict(self.request),
            "data": self.data_name,
            "data_sha256": fingerprint.hexdigest(),
            "checkpoint_sha256": self.loaded.card.hashes[MODEL],
            "classifier_sha256": self.judge.digest,
        }

    def start(self) -> Progress:
        """Return the progress before the first batch."""
        counts = class_counts(self.labels[:, self.planned]).tolist()
        return Progress(rejected=dict.fromkeys(self.request.least, 0), counts=counts)

    def read_pictures(self) -> None:
        """Decode the training pictures, if they are needed.

        Raises:
            DataError: One cannot be read, or there is no room for them.
        """
        if self.request.source == "photo":
            try:
                self._pictures = self.train.pictures(self.loaded.card.spec.size)
            except OSError as error:
                raise DataError(
                    f"The decoded pictures of {self.data_name} cannot be kept in {paths.cache()}: "
                    f"{error.strerror or error}. Make room there and give the same command again."
                ) from error

    @torch.inference_mode()
    def batch(self, part: Part) -> None:
        """Plan, make, judge and add one batch.

        Raises:
            DataError: The disk refuses.
        """
        progress = part.progress
        size = min(BATCH, self.planner.left(progress.made, progress.accepted))
        plan = self.planner.plan(progress.made, size, np.array(progress.counts, np.int64))
        after = self.labels[plan.sources]
        after[:, self.planned] = plan.targets
        chance = np.random.default_rng([self.request.seed, NOISE, progress.batches])
        seeds = chance.integers(2**32, size=size).tolist()
        task = self._task(plan.sources, after, seeds)
        pictures, made = as_written(self.maker.make(task))
        before = self.labels[plan.sources]
        scores = self.judge.scores(
            made, lambda: self.maker.origin(task), self._by_name(before), self._by_name(after)
        )
        reasons = self.judge.reasons(scores, size)
        kept = [row for row, reason in enumerate(reasons) if not reason]
        entries = [
            {
                **self._origin(int(plan.sources[row]), after[row], seeds[row]),
                "scores": {name: float(values[row]) for name, values in scores.items()},
            }
            for row in kept
        ]
        part.add([pictures[row] for row in kept], entries, _advance(progress, reasons, plan, kept))

    def _task(self, sources: Indices, after: Labels, seeds: Sequence[int]) -> Task:
        size = self.loaded.model.noise_size if self.request.source == "attributes" else 0
        chosen = (
            torch.empty(0)
            if self._pictures is None
            else images.to_images(np.array(self._pictures[sources]))
        )
        return Task(
            self._columns(self.labels[sources]).to(self._device),
            self._columns(after).to(self._device),
            chosen.to(self._device),
            (self.request.variation * _noise(seeds, size)).to(self._device),
        )

    def _columns(self, labels: Labels) -> Tensor:
        """Bring (B, W) written labels into the (B, A) columns of the model; -1 where unknown."""
        names: Sequence[str] = self.loaded.model.attributes
        columns = np.full((len(labels), len(names)), UNKNOWN, np.int64)
        for column, name in enumerate(names):
            if name in self.scope.written:
                columns[:, column] = labels[:, self.scope.written.index(name)]
        return torch.from_numpy(columns)

    def _by_name(self, labels: Labels) -> dict[str, Labels]:
        return {self.scope.written[column]: labels[:, column] for column in self.planned}

    def _origin(self, source: int, after: Labels, seed: int) -> dict[str, Any]:
        """Say in the manifest where a picture comes from."""
        own = self.labels[source]
        return {
            "source": self.train.files[source],
            "source_row": int(self.rows[source]),
            "checkpoint": self.request.checkpoint,
            "checkpoint_sha256": self.loaded.card.hashes[MODEL],
            "operations": [
                {
                    "attribute": self.scope.written[column],
                    "from": None if own[column] == UNKNOWN else int(own[column]),
                    "to": int(after[column]),
                }
                for column in np.flatnonzero(after != own).tolist()
            ],
            "noise_seed": seed if self.request.source == "attributes" else None,
        }

    def table(self, entries: Iterator[dict[str, Any]]) -> Iterator[dict[str, object]]:
        """Yield the rows of ``attributes.csv`` for the lines of a manifest."""
        row_of = {int(row): number for number, row in enumerate(self.rows)}
        for entry in entries:
            own = self.labels[row_of[entry["source_row"]]].tolist()
            labels = dict(zip(self.scope.written, own, strict=True))
            labels.update({change["attribute"]: change["to"] for change in entry["operations"]})
            yield {
                "file": entry["file"],
                **{name: "" if value == UNKNOWN else value for name, value in labels.items()},
                "partition": PARTITIONS["train"],
                "alignment": self.train.alignment,
            }


def _noise(seeds: Sequence[int], size: int) -> Tensor:
    """Return (B, size) standard normal numbers, each row from a seed of its own."""
    rows = [torch.randn(size, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows)


def _advance(
    progress: Progress, reasons: Sequence[str], plan: Plan, kept: Sequence[int]
) -> Progress:
    """Return the progress behind a batch."""
    flags = "".join("0" if reason else "1" for reason in reasons)
    rejected = {name: count + reasons.count(name) for name, count in progress.rejected.items()}
    counts = np.array(progress.counts, np.int64) + class_counts(plan.targets[list(kept)])
    return replace(
        progress,
        batches=progress.batches + 1,
        made=progress.made + len(plan),
        accepted=progress.accepted + len(kept),
        rejected=rejected,
        counts=counts.tolist(),
        recent=(progress.recent + flags)[-WINDOW:],
    )


def augment(
    models: ModelCache,
    request: AugmentRequest,
    data: DataSet,
    output: Path,
    progress: Callable[[int, int], None],
    stopped: Callable[[], bool],
) -> AugmentReport:
    """Make new labelled pictures out of the training pictures of a data set.

    Everything grows in ``OUTPUT.part``, which the same call goes on with after it was stopped,
    killed or out of room, and which becomes ``OUTPUT`` at the end; the result is the same, byte for
    byte. It has only new pictures, all in the partition train.

    Args:
        models: The loaded models.
        request: What to make.
        data: Whose training pictures are augmented.
        output: The new data set's folder; must not exist.
        progress: Gets the pictures that are done and their number after each batch. For balancing
            these are the accepted pictures, for doubling the sources.
        stopped: Asked before each batch; whether to stop there.

    Returns:
        What was made; not finished where ``stopped`` said so.

    Raises:
        ConfigError: The request makes no sense for this data, ``output`` exists or is being made by
            another request, or fewer than one in 50 of the last 1000 pictures were accepted.
        UnsupportedError: A checkpoint cannot do what it is asked for.
        CheckpointError: A checkpoint cannot be loaded.
        DataError: Pictures cannot be read, or the new ones cannot be written.
    """
    began = time.monotonic()
    work = _Augmentation(models, request, data)
    part = Part(output, work.terms)
    work.read_pictures()
    part.begin(work.start())
    finished = _work_through(work, part, progress, stopped)
    if finished:
        part.finish(work.table(part.entries()))
    counts = part.progress
    balance = Balance(
        work.scope.planned,
        tuple(work.start().counts),
        tuple(counts.counts),
        len(work.train),
        len(work.train) + counts.accepted,
    )
    return AugmentReport(
        output=part.output if finished else part.folder,
        finished=finished,
        resumed=part.resumed,
        total=work.planner.total,
        made=counts.made,
        accepted=counts.accepted,
        rejected=counts.rejected,
        left_out=work.scope.left_out,
        balance=balance,
        seconds=time.monotonic() - began,
    )


def _work_through(
    work: _Augmentation,
    part: Part,
    progress: Callable[[int, int], None],
    stopped: Callable[[], bool],
) -> bool:
    """Make batches until all are made, or until it is time to stop; say whether all are made."""
    total = work.planner.total
    while left := work.planner.left(part.progress.made, part.progress.accepted):
        progress(total - left, total)
        if stopped():
            return False
        work.batch(part)
        recent = part.progress.recent
        if len(recent) == WINDOW and recent.count("1") * ONE_IN < WINDOW:
            raise _too_few(part)
    progress(total, total)
    if not part.progress.accepted:
        raise _too_few(part)
    return True


def _too_few(part: Part) -> ConfigError:
    recent = part.progress.recent
    refused = " and ".join(
        f"{count} by {name}" for name, count in part.progress.rejected.items() if count
    )
    return ConfigError(
        f"Only {recent.count('1')} of the last {len(recent)} pictures were accepted ({refused} "
        f"refused in all): ask for less agreement or a smaller ssim, or choose another checkpoint "
        f"or source; then remove {part.folder} or name another output."
    )
