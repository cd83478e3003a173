"""What a run folder says about its process, and whether that process is still there."""

import json
import os
from pathlib import Path
from typing import Any

STATUS = "status.json"
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


def is_first_in_line(folder: Path) -> bool:
    """Say whether no run beside this one, with an earlier name, waits for a device, too."""
    earlier = (one for one in sorted(folder.parent.iterdir()) if one.name < folder.name)
    return not any(read_status(one)["state"] == QUEUED for one in earlier if one.is_dir())
