"""Users of a page that asks for a password: everything of theirs, and its end."""

import os
import shutil
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from studio import jobs, paths
from studio.errors import ConfigError, StudioError
from studio.training.status import alive, read_status

# Seconds that jobs have to end by themselves.
PATIENCE = 3.0
_LOOK = 0.05


@dataclass(frozen=True)
class Belongings:
    """What somebody has made.

    Attributes:
        jobs: Number of training jobs.
        sets: Of data sets.
        checkpoints: Of checkpoints.
        sliders: Of own sliders.
        bytes: Of all files.
    """

    jobs: int
    sets: int
    checkpoints: int
    sliders: int
    bytes: int


def users() -> list[str]:
    """Name the users who have made something on this machine."""
    return [one.name for one in sorted(paths.users().glob("[!.]*")) if one.is_dir()]


def belongings() -> Belongings:
    """Count what whoever asks has made."""
    size = 0
    for folder, _, names in os.walk(paths.home()):
        for name in names:
            # A job may take a file away while it is counted.
            with suppress(OSError):
                size += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
    return Belongings(
        jobs=_count(paths.runs()),
        sets=_count(paths.data()),
        checkpoints=_count(paths.user_checkpoints()),
        sliders=_count(paths.directions()),
        bytes=size,
    )


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.glob("[!.]*"))


def delete_everything() -> None:
    """Delete all that whoever asks has made, and end their jobs.

    Raises:
        ConfigError: Nobody asks: the page knows no users, and the home is everybody's.
    """
    if not paths.user():
        raise ConfigError(
            "Nobody is logged in, so all things here are everybody's; delete them one by one."
        )
    _end_jobs()
    home = paths.home()
    if not home.exists():
        return
    # Out of sight at once, however long it takes to delete.
    grave = home.with_name(f".{home.name}.{uuid.uuid4().hex[:8]}")
    home.rename(grave)
    shutil.rmtree(grave, ignore_errors=True)


def _end_jobs() -> None:
    live = [job.name for job in jobs.jobs() if job.is_live]
    for name in live:
        with suppress(StudioError):
            jobs.stop(name)
    told = [read_status(paths.runs() / name) for name in live]
    processes = [(int(one.get("pid", 0)), float(one.get("born", 0))) for one in told]
    deadline = time.monotonic() + PATIENCE
    while any(alive(*one) for one in processes) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    for process in processes:
        # Its number alone may be another's by now; without its birth nobody is killed.
        if process[1] and alive(*process):
            _kill(process[0])


def _kill(pid: int) -> None:
    """End a process and all that it has started."""
    with suppress(psutil.Error):
        leader = psutil.Process(pid)
        for one in (*leader.children(recursive=True), leader):
            with suppress(psutil.Error):
                one.kill()
