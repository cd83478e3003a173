"""The best weights so far, for training that ends when nothing gets better any more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from studio import together
from studio.checkpoints import compact

FILE = "best.safetensors"


class Best:
    """What came out best on held-out pictures, and how long ago.

    Attributes:
        step: At which it did; 0 where nothing was measured yet.
        held_out: The result.
        waited: Saves since then.
        is_over: Whether these outlived the patience.
    """

    def __init__(self, folder: Path, patience: int) -> None:
        """Begin.

        Args:
            folder: The run folder.
            patience: Saves to wait for something better; 0 keeps and ends nothing.
        """
        self._folder = folder
        self._patience = patience
        self.step, self.held_out, self.waited = 0, float("inf"), 0

    @property
    def is_over(self) -> bool:
        """Whether it has been the best for as long as somebody had patience."""
        return 0 < self._patience <= self.waited

    def compare(self, step: int, held_out: float, state: Mapping[str, Tensor]) -> None:
        """Keep a state if it is the best so far.

        Args:
            step: Steps that were taken.
            held_out: Smaller is better.
            state: What is kept; the first process writes it.
        """
        if not self._patience:
            return
        if not together.agree([held_out < self.held_out])[0]:
            self.waited += 1
            return
        self.step, self.held_out, self.waited = step, held_out, 0
        if together.rank() == 0:
            partial = self._folder / f"{FILE}.part"
            try:
                save_file(compact(state), partial)
                partial.replace(self._folder / FILE)
            finally:
                partial.unlink(missing_ok=True)

    def load(self) -> dict[str, Tensor]:
        """Return the state that was kept."""
        together.wait()
        return load_file(self._folder / FILE)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; empty where nothing was measured."""
        if not self.step:
            return {}
        return {"step": self.step, "held_out": self.held_out, "waited": self.waited}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Take back what :meth:`to_dict` returned."""
        self.step = int(values.get("step", 0))
        self.held_out = float(values.get("held_out", float("inf")))
        self.waited = int(values.get("waited", 0))
