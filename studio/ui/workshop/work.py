"""Long work of one visitor beside the page: how far it is, how it is stopped."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from studio.ui.augmenting import progress_words

_PAUSE = 0.4
Doing = Callable[[Callable[[int, int], None], Callable[[], bool]], Any]


@dataclass(eq=False)
class Work:
    """Something that takes seconds or minutes; a handle, not to be copied.

    Attributes:
        key: Of the data set that it reads.
        name: Of what it makes, where it makes something.
        stop: Set by whoever wants it to end.
        done: Pictures so far.
        total: Pictures in all; 0 before the first.
        result: What came of it; None before.
        left: Whether nobody waits for it any more.
    """

    key: str
    name: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    total: int = 0
    result: Any = None
    left: bool = False
    _began: float = 0.0

    def leave(self) -> None:
        """Stop it, and show nothing of it any more: something else took its place."""
        self.left = True
        self.stop.set()

    def progress(self, done: int, total: int) -> None:
        """Take how far it is."""
        self._began = self._began or time.monotonic()
        self.done, self.total = done, total

    def status(self) -> str:
        """Say how far it is and how long it takes."""
        if self.stop.is_set():
            return "Stopping."
        if not self.total:
            return "Opening the pictures."
        return progress_words(self.done, self.total, self.done, time.monotonic() - self._began)


def carry_out(work: Work, doing: Doing) -> Iterator[str]:
    """Do it in a thread and say several times a second how far it is.

    Whoever closes this iterator stops the work.

    Args:
        work: The handle; it gets the result.
        doing: Takes what it tells of its progress, and what it asks whether to stop.

    Raises:
        StudioError: As ``doing`` does.
    """
    with ThreadPoolExecutor(1, "workshop") as pool:
        # The thread works for whoever asked.
        future = pool.submit(copy_context().run, doing, work.progress, work.stop.is_set)
        try:
            while wait([future], _PAUSE).not_done:
                yield work.status()
        except GeneratorExit:
            work.stop.set()
            raise
    work.result = future.result()
