"""What a run folder says about its process, and whether that process is still there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
GONE = "The process ended without a word: it was killed, or the machine went down. Resume the job."


def read_status(folder: Path) -> dict[str, Any]:
    """Return what a run's process wrote last; a live state whose process is gone reads as failed.

    Returns:
        At least ``state``; empty text where no process has begun.
    """
    try:
        told = json.loads((folder / STATUS).read_text(encoding="utf-8"))
        state, pid = str(told["state"]), int(told["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return {"state": ""}
    if state in LIVE and not alive(pid):
        return {**told, "state": FAILED, "error": GONE}
    return {**told, "state": state}


def alive(pid: int) -> bool:
    """Say whether a process is there and has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    # One that has ended stays in the table until its parent asks for it.
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


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


def is_first_in_line(folder: Path) -> bool:
    """Say whether no run of anyone on this machine, with an earlier name, waits for a device."""
    places = {folder.parent, *paths.all_runs()}
    runs = [one for place in places if place.is_dir() for one in place.iterdir()]
    earlier = (one for one in runs if one.name < folder.name and one.is_dir())
    return not any(read_status(one)["state"] == QUEUED for one in earlier)
