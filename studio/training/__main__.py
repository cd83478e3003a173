"""A training process: ``python -m studio.training RUN_FOLDER``.

It reads ``request.json`` of the run folder, waits until its device is free, trains or continues,
and keeps ``status.json`` up to date, which is all that anyone needs to know about it.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from studio import paths
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
    is_first_in_line,
    write_json,
)

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
        _work(folder, _read_request(folder))
    except Exception as error:
        # Whoever reads the run folder must learn of any failure; the log has the details.
        traceback.print_exc()
        known = isinstance(error, StudioError)
        _write(folder, FAILED, error=str(error) if known else f"{type(error).__name__}: {error}")
        return 1
    return 0


def _read_request(folder: Path) -> TrainRequest:
    try:
        return TrainRequest.from_dict(json.loads((folder / REQUEST).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} has no readable {REQUEST}: {error}.") from error


def _work(folder: Path, request: TrainRequest) -> None:
    _write(folder, QUEUED)
    lock = _take_device(folder, pick_device(request.device).type)
    if lock is None:
        _write(folder, CANCELLED)
        return
    with lock:
        _write(folder, RUNNING)
        checkpoint = run(request, folder)
    if checkpoint is None:
        _write(folder, PAUSED)
    else:
        _write(folder, SUCCEEDED, checkpoint=str(checkpoint))


def _take_device(folder: Path, device: str) -> FileLock | None:
    """Wait for the device's lock; None where a stop file came first."""
    place = paths.device_lock(device)
    place.parent.mkdir(parents=True, exist_ok=True)
    # The system releases the lock of a process that is killed.
    lock = FileLock(place)
    while not (folder / STOP).exists():
        if not is_first_in_line(folder):
            time.sleep(PATIENCE)
            continue
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            continue
        return lock
    return None


def _write(folder: Path, state: str, **details: str) -> None:
    values: dict[str, Any] = {"state": state, "pid": os.getpid(), "time": time.time(), **details}
    write_json(folder / STATUS, values)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
