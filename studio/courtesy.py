"""Interactive work goes before training on the same device.

Whoever decodes for a person leaves a mark; a training process looks for it before each step and
waits a moment while it is fresh. On a processor the system's priorities do the rest.
"""

import time
from contextlib import suppress
from pathlib import Path

from studio import paths

# So long after the last sign of a person a device is theirs.
FRESH = 0.3
# A process that was held up for so long takes a step all the same: training goes on.
PATIENCE = 1.0
# Marking more often than this says nothing new.
_RARELY = 0.1
_marked: dict[str, float] = {}


def claim(device: str) -> None:
    """Say that a person is waiting for a device."""
    now = time.monotonic()
    if now - _marked.get(device, -_RARELY) < _RARELY:
        return
    _marked[device] = now
    # A home that cannot be written to has no jobs either.
    with suppress(OSError):
        _mark(device).parent.mkdir(parents=True, exist_ok=True)
        _mark(device).touch()


def is_claimed(device: str) -> bool:
    """Say whether a person is waiting for a device, or was a moment ago."""
    try:
        return 0 <= time.time() - _mark(device).stat().st_mtime < FRESH
    except OSError:
        return False


def give_way(device: str) -> float:
    """Wait while a device is claimed, but not for ever.

    Returns:
        The seconds that were waited.
    """
    begun = time.monotonic()
    while is_claimed(device) and time.monotonic() - begun < PATIENCE:
        time.sleep(0.02)
    return time.monotonic() - begun


def _mark(device: str) -> Path:
    return paths.machine_home() / f"{device}.claimed"
