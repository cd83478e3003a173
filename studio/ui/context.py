"""What every tab needs: the models, the checkpoints, and a bounded memory of derived pictures."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from studio import editing, paths
from studio.checkpoints import CheckpointStore, ModelCache
from studio.faces.detect import EyeRefiner
from studio.methods.base import Operation

T = TypeVar("T")

# In order of preference for the first screen.
_FIRST = ("genegan.eyeglasses-64", "genegan.heads-eyeglasses-64", "genegan.smiling-64")


class Memory:
    """Derived things by what they were derived from, least recently used out first.

    Keys are plain data (paths, crops, checkpoint names), so that equal questions have one answer
    and a session has nothing to hold. It is bounded by bytes, whatever the number of visitors.
    """

    def __init__(self, limit: int = 256 * 2**20) -> None:
        """Start empty.

        Args:
            limit: Bytes that are kept; the newest thing always is.
        """
        self.limit = limit
        self._kept: OrderedDict[tuple[str, Hashable], tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T], cost: Callable[[T], int]) -> T:
        """Return what is kept under a key, making it if it is not there.

        Args:
            key: Everything that the thing depends on.
            make: Makes it; two visitors who ask at once may both do so.
            cost: Bytes of what was made.
        """
        # What is found under a name is found in somebody's home.
        place = paths.user(), key
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place][0]
        made = make()
        with self._lock:
            if place not in self._kept:
                self._kept[place] = made, cost(made)
                self._bytes += self._kept[place][1]
            while len(self._kept) > 1 and self._bytes > self.limit:
                _, (_, freed) = self._kept.popitem(last=False)
                self._bytes -= freed
        return made

    def find(self, key: Hashable) -> Any:
        """Return what is kept under a key, or None."""
        with self._lock:
            return self._kept.get((paths.user(), key), (None, 0))[0]

    def forget(self, names: Collection[str]) -> None:
        """Forget what was derived with checkpoints that mean something else from now on.

        Args:
            names: Of checkpoints of the user who asks.
        """
        with self._lock:
            for key in list(self._kept):
                user, rest = key
                told = repr(rest) if user == paths.user() else ""
                if any(name in told for name in names):
                    self._bytes -= self._kept.pop(key)[1]

    def forget_user(self) -> None:
        """Forget everything that was made for the user who asks."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == paths.user()]:
                self._bytes -= self._kept.pop(key)[1]

    @property
    def used(self) -> int:
        """Bytes that are kept."""
        return self._bytes


@dataclass
class Context:
    """Shared by all tabs and visitors; holds nothing that belongs to one of them alone.

    Attributes:
        models: The loaded models, with the store behind them.
        memory: Previews, encoded faces and compositors.
        decoding: Held by a call that follows a pointer beside the page's queue.
        stamps: The checkpoints of each user as they were looked at last.
        renamed: New names by user and old name, so that tabs follow.
    """

    models: ModelCache
    memory: Memory = field(default_factory=Memory)
    decoding: threading.Lock = field(default_factory=threading.Lock)
    stamps: dict[str, dict[str, int]] = field(default_factory=dict)
    renamed: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def open(cls, device: torch.device | str = "cpu") -> "Context":
        """Open the checkpoints of this machine on a device."""
        return cls(ModelCache(CheckpointStore(), device))

    @property
    def store(self) -> CheckpointStore:
        """The checkpoints on disk."""
        return self.models.store

    @property
    def refine(self) -> EyeRefiner | None:
        """The shipped eye regressor, or None."""
        return editing.eye_refiner(self.models)

    def notice(self) -> str:
        """Look for checkpoints that came or went, whoever did it; forget what went.

        Returns:
            A text that is another one whenever any checkpoint came, went or was exchanged.
        """
        now = self.store.stamps()
        before = self.stamps.get(paths.user(), {})
        self.stamps[paths.user()] = now
        gone = [name for name, stamp in before.items() if now.get(name) != stamp]
        if gone:
            self.memory.forget(gone)
            self.models.sweep()
        return hashlib.sha256(repr(sorted(now.items())).encode()).hexdigest()[:16]

    def moved(self, name: str, renamed: str) -> None:
        """Note that a checkpoint was renamed on this page."""
        # Whatever had the new name before is not meant by it any more; so there are no circles.
        self.renamed.pop((paths.user(), renamed), None)
        self.renamed[paths.user(), name] = renamed

    def called(self, name: str) -> str:
        """Return what a checkpoint that is not there under its name is called now."""
        while (paths.user(), name) in self.renamed:
            name = self.renamed[paths.user(), name]
        return name

    def forget_user(self) -> None:
        """Forget whatever is known of the user who asks and of what they had."""
        self.memory.forget_user()
        self.stamps.pop(paths.user(), None)
        for key in [key for key in self.renamed if key[0] == paths.user()]:
            del self.renamed[key]
        self.models.sweep()

    def swappers(self) -> list[str]:
        """Name the checkpoints that can swap."""
        return self.store.names(Operation.SWAP)

    def first_swapper(self) -> str:
        """Name the checkpoint to begin with; empty where there is none."""
        names = self.swappers()
        preferred = [name for name in _FIRST if name in names]
        return next(iter([*preferred, *names]), "")
