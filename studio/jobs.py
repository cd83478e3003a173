"""Training jobs: started, read, stopped and continued through their run folders.

The truth is on disk. A job is a folder below ``paths.runs()`` with its request; its process writes
what it does there and works on whether or not anyone looks. One job runs at a time on a device:
the processes hold a lock of the system, and wait in the order of the folders' names.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from studio import paths
from studio.checkpoints import CheckpointStore
from studio.errors import ConfigError, StudioError, TrainingError, is_full
from studio.training import status
from studio.training.parents import config_of
from studio.training.request import TrainRequest, check_processes
from studio.training.saves import CARD as STATE_CARD
from studio.training.status import (
    FINISH,
    LIVE,
    NOTES,
    PROGRESS,
    QUEUED,
    REQUEST,
    SAMPLE,
    SAVE,
    SHEETS,
    STOP,
    read_lines,
    read_status,
    write_json,
)

LOG = "log.txt"
_TAIL = 40
# More points than a curve on a screen can show say nothing.
_MOST_POINTS = 2000
# Seconds that a job has to write its first word.
_STARTS = 60.0
# Processes that this one started; those that ended are asked for, or the system keeps their names.
_started: list["subprocess.Popen[bytes]"] = []


@dataclass(frozen=True)
class Job:
    """A job as its folder tells it.

    Attributes:
        name: Of the folder; names sort by when they were made.
        request: What is trained; None where the folder's request cannot be read.
        state: ``queued``, ``running``, ``paused``, ``succeeded``, ``failed``, ``cancelled``, or
            empty between its making and its process's first word.
        step: Steps that were taken.
        seconds: Of training, over all its processes.
        terms: The latest losses and other numbers, by name.
        error: Why it failed.
        checkpoint: Where the finished checkpoint is.
        notes: Sentences on what happened to it, the oldest first.
    """

    name: str
    request: TrainRequest | None
    state: str
    step: int = 0
    seconds: float = 0.0
    terms: Mapping[str, float] | None = None
    error: str = ""
    checkpoint: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether a process is at work on it, or waits for its device."""
        return self.state in LIVE or not self.state

    @property
    def left(self) -> float:
        """Seconds that are left, as the steps so far went; NaN before the first."""
        if not self.step or self.request is None:
            return float("nan")
        return self.seconds * (self.request.steps - self.step) / self.step

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "terms": dict(self.terms or {})}


def submit(request: TrainRequest) -> str:
    """Make a job and start its process, which waits for its device.

    Returns:
        The job's name.

    Raises:
        ConfigError: The request makes no sense, its parent does not suit, or its tag is taken by a
            checkpoint or a live job.
        CheckpointError: There is no such parent.
    """
    request.check()
    # A parent that does not suit is better named now than when the job's turn comes.
    config_of(CheckpointStore(), request)
    check_processes(request)
    if request.name in CheckpointStore().names():
        raise ConfigError(f"There is a checkpoint {request.name} already; choose another tag.")
    for other in jobs():
        if other.is_live and other.request is not None and other.request.name == request.name:
            raise ConfigError(f"The job {other.name} is making {request.name}; choose another tag.")
    # Relative paths would mean something else to a process that starts elsewhere.
    here = {name: str(Path(getattr(request, name)).resolve()) for name in ("data", "also")}
    request = replace(request, data=here["data"], also=here["also"] if request.also else "")
    folder = _new_folder(request.name)
    try:
        write_json(folder / REQUEST, asdict(request))
        _start(folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _refusal(error) from error
    return folder.name


def _new_folder(name: str) -> Path:
    """Make a folder whose name sorts behind those of earlier jobs."""
    folder = paths.runs() / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{name}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise _refusal(error) from error
    return folder


def _refusal(error: OSError) -> ConfigError:
    if is_full(error):
        return ConfigError(
            f"There is no space left for a job in {paths.runs()}; make room, such as by deleting "
            "old jobs, and start it again."
        )
    return ConfigError(f"The job cannot be kept in {paths.runs()}: {error.strerror or error}.")


def _start(folder: Path) -> None:
    """Start a process of its own session, which outlives this one."""
    command = [sys.executable, "-m", *_launcher(folder), "studio.training", str(folder)]
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=paths.REPOSITORY,
            # The variable of whoever asks, and no context, reaches another process.
            env={**os.environ, paths.USER: paths.user()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started[:] = [*(one for one in _started if one.poll() is None), process]
    # Until the process speaks for itself, which takes the seconds of an import.
    told = {"state": QUEUED, "pid": process.pid, "born": status.born(process.pid)}
    write_json(folder / status.STATUS, {**told, "time": time.time()})


def _launcher(folder: Path) -> list[str]:
    """Return the arguments by which several processes are started together, if that is asked."""
    request = _read(folder).request
    if request is None or request.processes == 1:
        return []
    count = str(request.processes)
    return ["torch.distributed.run", "--standalone", "--nproc-per-node", count, "-m"]


def jobs() -> list[Job]:
    """Read all jobs, the oldest first."""
    folder = paths.runs()
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [_read(one) for one in found if (one / REQUEST).is_file()]


def read(name: str) -> Job:
    """Read one job.

    Raises:
        TrainingError: There is none of that name.
    """
    return _read(folder_of(name))


def folder_of(name: str) -> Path:
    """Return the folder of a job.

    Raises:
        TrainingError: There is none of that name.
    """
    folder = paths.runs() / name
    if Path(name).name != name or not (folder / REQUEST).is_file():
        known = ", ".join(job.name for job in jobs()) or "none"
        raise TrainingError(f"There is no job {name!r}; there are {known}.")
    return folder


def _read(folder: Path) -> Job:
    told = _told(folder)
    last = _last_line(folder)
    try:
        request = TrainRequest.from_dict(json.loads((folder / REQUEST).read_text(encoding="utf-8")))
        problem = ""
    except (OSError, ValueError, TypeError, AttributeError, StudioError) as error:
        request, problem = None, f"Its {REQUEST} cannot be used: {error}"
    numbers = {name: value for name, value in last.items() if isinstance(value, int | float)}
    step, seconds = int(numbers.pop("step", 0)), float(numbers.pop("seconds", 0.0))
    return Job(
        folder.name,
        request,
        told["state"],
        step,
        seconds,
        numbers,
        problem or str(told.get("error", "")),
        str(told.get("checkpoint", "")),
        tuple(
            f"Step {line['step']}: {line['text']}"
            for line in read_lines(folder / NOTES)
            if {"step", "text"} <= line.keys()
        ),
    )


def _told(folder: Path) -> dict[str, Any]:
    """Return a job's status; a job whose status is gone is not kept as one that starts for ever."""
    told = read_status(folder)
    if told["state"] or time.time() - (folder / REQUEST).stat().st_mtime < _STARTS:
        return told
    return {
        "state": status.FAILED,
        "error": f"Its {status.STATUS} is missing or damaged. Resume or delete the job.",
    }


def _last_line(folder: Path) -> dict[str, Any]:
    """Return the last whole line of the progress; a few kilobytes hold it."""
    try:
        with (folder / PROGRESS).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 8192))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    return next(iter(list(_parsed(lines))[-1:]), {})


def _parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Read lines of a progress; what is none, half a line or somebody's own, is left out."""
    for line in lines:
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict) and isinstance(values.get("step"), int):
            yield values


def history(name: str, most: int = _MOST_POINTS) -> list[dict[str, Any]]:
    """Read a job's losses over its steps.

    Args:
        name: Of the job.
        most: Lines that are returned at most; those that hold a measurement on held-out pictures
            are always among them.

    Returns:
        What the run wrote: ``step``, ``seconds``, terms by name, ``held_out`` at saves where it
        was measured, and ``stage`` where there are several.

    Raises:
        TrainingError: There is no such job.
    """
    return news(name, most=most)[0]


def news(
    name: str, place: int = 0, most: int = _MOST_POINTS
) -> tuple[list[dict[str, Any]], int, bool]:
    """Read what a job wrote since somebody looked last, however long it is.

    Args:
        name: Of the job.
        place: Returned last; 0 reads everything.
        most: Lines that are returned at most, as for :func:`history`.

    Returns:
        The lines, the place behind them, and whether these are all there are: a job that went back
        to its last save has written its progress anew.

    Raises:
        TrainingError: There is no such job.
    """
    try:
        with (folder_of(name) / PROGRESS).open("rb") as file:
            # What stands before the place must still end a line.
            file.seek(max(0, place - 1))
            anew = place <= 0 or file.read(1) != b"\n"
            file.seek(0 if anew else place)
            whole, end, _ = file.read().rpartition(b"\n")
    except OSError:
        return [], 0, True
    read = list(_parsed(whole.decode("utf-8", "replace").splitlines()))
    return _thinned(read, most), (0 if anew else place) + len(whole + end), anew


def _thinned(lines: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    every = max(1, -(-len(lines) // most))
    return [
        line
        for place, line in enumerate(lines)
        if place % every == 0 or place == len(lines) - 1 or "held_out" in line
    ]


def sheets(name: str) -> list[tuple[int, Path]]:
    """List the sample sheets of a job by step, the oldest first.

    Raises:
        TrainingError: There is no such job.
    """
    found = (folder_of(name) / SHEETS).glob("[0-9]*.png")
    return sorted((int(path.stem), path) for path in found if path.stem.isdecimal())


def save_now(name: str) -> None:
    """Ask a running job for a save before its next step.

    Raises:
        TrainingError: There is no such job, or it is not live.
    """
    _ask(name, SAVE)


def sample_now(name: str) -> None:
    """Ask a running job for a sample sheet before its next step.

    Raises:
        TrainingError: There is no such job, or it is not live.
    """
    _ask(name, SAMPLE)


def finish(name: str) -> None:
    """Let a job end where it is and become a checkpoint.

    Raises:
        TrainingError: There is no such job, it is done, or it has nothing to end with.
    """
    folder = folder_of(name)
    job = _read(folder)
    if job.state == status.SUCCEEDED:
        raise TrainingError(f"The job {name} is a checkpoint already: {job.checkpoint}.")
    if job.state != status.RUNNING and not (folder / STATE_CARD).is_file():
        raise TrainingError(f"The job {name} has not trained anything yet; nothing can be kept.")
    (folder / FINISH).touch()
    if not job.is_live:
        resume(name)


def _ask(name: str, wish: str) -> None:
    folder = folder_of(name)
    job = _read(folder)
    if not job.is_live:
        raise TrainingError(f"The job {name} is {job.state}; only a live one can do that.")
    (folder / wish).touch()


def log_tail(name: str) -> str:
    """Return the last lines of what a job's process printed.

    Raises:
        TrainingError: There is no such job.
    """
    file = folder_of(name) / LOG
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    return "\n".join(lines[-_TAIL:])


def stop(name: str) -> None:
    """Ask a job to stop: a running one saves and pauses, a waiting one is cancelled.

    Raises:
        TrainingError: There is no such job, or it is not live.
    """
    _ask(name, STOP)


def resume(name: str) -> None:
    """Let a job go on where its last save stands.

    Raises:
        TrainingError: There is no such job, or it is live or done.
        ConfigError: Its request was damaged.
    """
    folder = folder_of(name)
    # Two pages may ask at once.
    with FileLock(folder / "resume.lock"):
        job = _read(folder)
        if job.request is None:
            raise ConfigError(f"The job {name} cannot go on. {job.error}")
        if job.is_live or job.state == status.SUCCEEDED:
            told = job.state or "starting"
            raise TrainingError(f"The job {name} is {told}; it need not be resumed.")
        (folder / STOP).unlink(missing_ok=True)
        _start(folder)


def delete(name: str) -> None:
    """Delete a job's folder; its checkpoint, if it made one, stays.

    Raises:
        TrainingError: There is no such job, or it is live.
    """
    folder = folder_of(name)
    if _read(folder).is_live:
        raise TrainingError(f"The job {name} is live; stop it first.")
    shutil.rmtree(folder)
