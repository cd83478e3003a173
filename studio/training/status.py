"""What a run folder says about its process, and whether that process is still there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from studio import paths

STATUS = "status.json"
PROGRESS = "progress.jsonl"
NOTES = "notes.jsonl"
REQUEST = "request.json"
SHEETS = "samples"
# Files by which somebody asks a run for something; it looks for them before each step.
STOP, SAVE, SAMPLE, FINISH = "stop", "save-now", "sample-now", "finish"
QUEUED, RUNNING, PAUSED = "queued", "running", "paused"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
# A process is at work on a run, or waits for its device.
LIVE = frozenset({QUEUED, RUNNING})
# Seconds by which two readings of when a process began may differ.
_SAME = 2.0
GONE = "The process ended without a word: it was killed, or the machine went down. Resume the job."


def born(pid: int) -> float:
    """Return when a process began, seconds of the epoch; 0 where there is none.

    Numbers of processes are given out again, after a restart of the machine from the beginning.
    """
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def read_status(folder: Path) -> dict[str, Any]:
    """Return what a run's process wrote last; a live state whose process is gone reads as failed.

    Returns:
        At least ``state``; empty text where no process has begun.
    """
    try:
        told = json.loads((folder / STATUS).read_text(encoding="utf-8"))
        state, pid = str(told["state"]), int(told["pid"])
        begun = float(told.get("born", 0))
    except (OSError, ValueError, KeyError, TypeError):
        return {"state": ""}
    if state in LIVE and not alive(pid, begun):
        return {**told, "state": FAILED, "error": GONE}
    return {**told, "state": state}


def alive(pid: int, begun: float = 0.0) -> bool:
    """Say whether a process is there and has not ended.

    Args:
        pid: Its number.
        begun: When it began, as :func:`born` said; another process may have its number by now. 0
            where that is not known.
    """
    try:
        process = psutil.Process(pid)
        # One that has ended stays in the table until its parent asks for it.
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return False
        return not begun or abs(process.create_time() - begun) < _SAME
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON beside and rename, so that no reader sees half a file."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)


def answered(folder: Path, asked: str) -> bool:
    """Say whether somebody asked a run for something, and take the request away."""
    try:
        (folder / asked).unlink()
    except FileNotFoundError:
        return False
    return True


def add_note(folder: Path, step: int, text: str) -> None:
    """Keep a sentence on what happened to a run, for whoever looks at it."""
    with (folder / NOTES).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "text": text}, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the whole lines of a file of JSON lines; what a killed process left half is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in map(_parsed, text.splitlines()) if line is not None]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def is_first_in_line(folder: Path, device: str) -> bool:
    """Say whether no run of anyone on this machine, with an earlier name, waits for a device.

    Args:
        folder: Of the run.
        device: Its kind, such as ``cpu``.
    """
    places = {folder.parent, *paths.all_runs()}
    runs = [one for place in places if place.is_dir() for one in place.iterdir()]
    earlier = (one for one in runs if one.name < folder.name and one.is_dir())
    told = (read_status(one) for one in earlier)
    # Who does not say what it waits for may wait for this one.
    return not any(one["state"] == QUEUED and one.get("device", device) == device for one in told)
