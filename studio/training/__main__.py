"""A training process: ``python -m studio.training RUN_FOLDER``.

It reads ``request.json`` of the run folder, waits until its device is free, trains or continues,
and keeps ``status.json`` up to date, which is all that anyone needs to know about it.

``torchrun --nproc-per-node N -m studio.training RUN_FOLDER`` does the same with N processes.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from filelock import FileLock, Timeout

from studio import paths, together
from studio.errors import ConfigError, StudioError
from studio.training.request import TrainRequest, pick_device
from studio.training.run import run
from studio.training.status import (
    CANCELLED,
    FAILED,
    PAUSED,
    QUEUED,
    REQUEST,
    RUNNING,
    STATUS,
    STOP,
    SUCCEEDED,
    born,
    is_first_in_line,
    write_json,
)

# Held by the one process that works on a run.
LOCK = "run.lock"
# People who look at pictures go first.
NICENESS = 10
# How often a waiting process looks whether it is to give up.
PATIENCE = 1.0


def main(arguments: list[str]) -> int:
    """Work on one run folder.

    Args:
        arguments: The run folder.

    Returns:
        The exit status: 0 where the run ended, paused or was cancelled, 1 where it failed, 2
        where the arguments make no sense.
    """
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m studio.training RUN_FOLDER\n")
        return 2
    folder = Path(arguments[0])
    if not folder.is_dir():
        sys.stderr.write(f"There is no run folder {folder}.\n")
        return 2
    try:
        request = _read_request(folder)
        with _joined(request) as leads:
            _work(folder, request, leads=leads)
    except Exception as error:
        # Whoever reads the run folder must learn of any failure; the log has the details.
        traceback.print_exc()
        known = isinstance(error, StudioError)
        # A mistake is one in all processes, and the first one says it.
        if not known or not int(os.environ.get("RANK", "0")):
            told = str(error) if known else f"{type(error).__name__}: {error}"
            # A full disk may take no word either; then the process is gone without one.
            with suppress(OSError):
                _write(folder, FAILED, error=told)
        return 1
    return 0


@contextmanager
def _joined(request: TrainRequest) -> Iterator[bool]:
    """Join the other processes that torchrun has started, if it has; say whether this one leads."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield True
        return
    # The first one may wait for the device for as long as another job takes.
    patience = timedelta(days=30)
    if pick_device(request.device).type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl", timeout=patience)
    else:
        dist.init_process_group("gloo", timeout=patience)
    try:
        yield dist.get_rank() == 0
        # Who leaves while others still talk would look like a failure to them.
        together.wait()
    finally:
        # All is said and saved by now; how the connection ends is nobody's concern.
        with suppress(RuntimeError):
            dist.destroy_process_group()


def _read_request(folder: Path) -> TrainRequest:
    try:
        return TrainRequest.from_dict(json.loads((folder / REQUEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{folder} has no readable {REQUEST}: {error}.") from error


def _work(folder: Path, request: TrainRequest, *, leads: bool) -> None:
    """Wait for the device and train; only the process that leads says so."""

    def say(state: str, **details: str) -> None:
        if leads:
            _write(folder, state, **details)

    own = FileLock(folder / LOCK)
    if not together.agree([not leads or _is_free(own)])[0]:
        # Another process works on this run, and says how it stands.
        return
    device = pick_device(request.device).type
    say(QUEUED, device=device)
    lock = _take_device(folder, device) if leads else None
    if not together.agree([lock is not None])[0]:
        say(CANCELLED)
        return
    with lock or nullcontext():
        say(RUNNING)
        checkpoint = run(request, folder)
    if checkpoint is None:
        say(PAUSED)
    else:
        say(SUCCEEDED, checkpoint=str(checkpoint))


def _is_free(own: FileLock) -> bool:
    """Take a run for this process; False where another one has it."""
    try:
        own.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _take_device(folder: Path, device: str) -> FileLock | None:
    """Wait for the device's lock; None where a stop file came first."""
    place = paths.device_lock(device)
    place.parent.mkdir(parents=True, exist_ok=True)
    # The system releases the lock of a process that is killed.
    lock = FileLock(place)
    while not (folder / STOP).exists():
        if not is_first_in_line(folder, device):
            time.sleep(PATIENCE)
            continue
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            continue
        return lock
    return None


def _write(folder: Path, state: str, **details: str) -> None:
    pid = os.getpid()
    values: dict[str, Any] = {"state": state, "pid": pid, "born": born(pid), "time": time.time()}
    values |= details
    write_json(folder / STATUS, values)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    sys.exit(main(sys.argv[1:]))
