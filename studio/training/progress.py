"""The lines that a run writes, one to a step."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from studio.training.status import PROGRESS, read_lines

# Whoever looks at a run sees lines that are at most so many seconds old.
_FLUSH_EVERY = 2.0


class Progress:
    """The file of a run's lines, open; processes that do not lead write none."""

    def __init__(self, folder: Path, *, leads: bool) -> None:
        """Open the file."""
        self._file = (folder / PROGRESS).open("a", encoding="utf-8") if leads else None
        self._flushed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file:
            self._file.close()

    def add(self, line: Mapping[str, Any]) -> None:
        """Write a line, which is seen a moment later."""
        if self._file:
            self._file.write(json.dumps(line) + "\n")
        if time.monotonic() - self._flushed > _FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Show what was written."""
        self._flushed = time.monotonic()
        if self._file:
            self._file.flush()


def drop_later(folder: Path, step: int) -> None:
    """Drop the lines of steps that will be taken again."""
    path = folder / PROGRESS
    kept = [line for line in read_lines(path) if _step(line) <= step]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def _step(line: Mapping[str, Any]) -> float:
    """Return a line's step; lines that somebody else wrote have none and count as later."""
    step = line.get("step")
    return step if isinstance(step, int) else float("inf")
