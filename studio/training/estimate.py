"""How long a request will take on this device and how much memory, measured by a few steps of it.

The steps are taken on random pictures in a process of their own, whose memory can be told apart:
``python -m studio.training.estimate`` reads a request from standard input.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import psutil
import torch

from studio import paths
from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError, StudioError, TrainingError
from studio.methods.base import GradientStage
from studio.training.parents import Origin
from studio.training.preparing import Prepared
from studio.training.request import TrainRequest, pick_device

# Steps that are taken of each stage, of which the fastest counts: the first ones warm up.
_STEPS = 4
# Seconds after which a stage gets no further step: large ones need no second look.
_ENOUGH = 3.0
_LOOK = 0.1


@dataclass(frozen=True)
class Estimate:
    """What a request will need.

    Attributes:
        seconds_per_step: On average over the stages.
        seconds: Of all steps; saves and the reading of the pictures come on top.
        bytes: Of memory that training takes at its peak.
        memory_left: Bytes that are free on the device now.
        device: ``cpu``, ``cuda`` or ``mps``.
    """

    seconds_per_step: float
    seconds: float
    bytes: int
    memory_left: int
    device: str


def estimate(request: TrainRequest, stopped: Callable[[], bool] = lambda: False) -> Estimate:
    """Measure a few steps of a request.

    Args:
        request: What will be trained.
        stopped: Says whether the answer is wanted no more.

    Raises:
        StudioError: The request cannot be trained, for the reason that training would give, or
            the answer was not wanted any more.
    """
    request.check()
    command = [sys.executable, "-m", "studio.training.estimate"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        cwd=paths.REPOSITORY,
        env={**os.environ, paths.USER: paths.user()},
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    ) as process:
        asked: str | None = json.dumps(asdict(request))
        while True:
            try:
                told, complaint = process.communicate(asked, timeout=_LOOK)
                break
            except subprocess.TimeoutExpired:
                asked = None
                if stopped():
                    process.kill()
                    raise TrainingError("The estimate was not waited for.") from None
    return _read(told, complaint)


def _read(told: str, complaint: str) -> Estimate:
    try:
        answer = json.loads(told.splitlines()[-1])
    except (ValueError, IndexError) as error:
        last = (complaint.strip().splitlines() or ["it was killed, perhaps for its memory"])[-1]
        raise TrainingError(f"A step of this training could not be tried: {last}.") from error
    if "error" in answer:
        raise ConfigError(answer["error"])
    return Estimate(**answer)


def measure(request: TrainRequest) -> Estimate:
    """Take the steps, in this process.

    Raises:
        StudioError: The request cannot be trained.
    """
    root = paths.user_checkpoints()
    prepared = Prepared(request, root, Origin.of(request, root))
    device, total = pick_device(request.device), 0.0
    for stage, (begin, end) in zip(prepared.stages, pairwise([0, *prepared.ends]), strict=True):
        if isinstance(stage, GradientStage):
            total += (end - begin) * _step_seconds(prepared, stage)
    if device.type == "cuda":
        taken, left = torch.cuda.max_memory_allocated(), torch.cuda.mem_get_info()[0]
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # Kilobytes, but bytes on a Mac.
        taken = peak if sys.platform == "darwin" else peak * 1024
        left = psutil.virtual_memory().available
    return Estimate(total / request.steps, total, taken, left, device.type)


def _step_seconds(prepared: Prepared, stage: GradientStage) -> float:
    trainer = prepared.trainer(stage, _STEPS)
    times = [time.perf_counter()]

    def note(step: int, terms: Any) -> None:
        del step, terms
        times.append(time.perf_counter())

    def is_unsure(step: int) -> bool:
        return step == 0 or times[-1] - times[0] < _ENOUGH

    trainer.fit(_random_batches(prepared.spec, prepared.request), is_unsure, note)
    return min(after - before for before, after in pairwise(times))


def _random_batches(spec: DataSpec, request: TrainRequest) -> Iterator[Batch]:
    count = request.batch_size
    attributes = torch.randint(2, (count, len(spec.attributes)))
    identity = torch.arange(count) % max(1, count // 2)
    eyes = torch.rand(count, 2, 2)
    columns = [torch.randint(len(values), (count,)) for _, values in spec.classes]
    classes = torch.stack(columns, 1) if columns else None
    while True:
        images = torch.rand(count, spec.size, spec.size, 3).permute(0, 3, 1, 2) * 2 - 1
        yield Batch(images, attributes, identity, eyes, classes)


def main() -> int:
    """Answer one request."""
    try:
        request = TrainRequest.from_dict(json.loads(sys.stdin.read()))
        answer = asdict(measure(request))
    except StudioError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
