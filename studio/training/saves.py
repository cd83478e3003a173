"""The saved states of a run: the newest, and the one before it for when that turns out bad."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from studio.checkpoints import compact
from studio.errors import TrainingError
from studio.training.status import write_json

STATE = "state.safetensors"
CARD = "state.json"


@dataclass(frozen=True)
class Save:
    """What stands beside a saved state's tensors.

    Attributes:
        step: Steps that were taken, over all stages.
        file: The tensors' file.
        stage: Index of the stage.
        position: Of the next batch.
        seconds: Of training so far.
        facts: What else the run needs to go on.
    """

    step: int
    file: str
    stage: int
    position: int
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)


class Saves:
    """A run folder's saves."""

    def __init__(self, folder: Path) -> None:
        """Look into a run folder."""
        self.folder = folder

    def kept(self) -> list[Save]:
        """List what is there, the newest first.

        Raises:
            TrainingError: The list was damaged.
        """
        path = self.folder / CARD
        if not path.is_file():
            return []
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            older = values.pop("previous", None)
            return [_checked(Save(**one)) for one in (values, older) if one]
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise TrainingError(
                f"{CARD} in {self.folder} cannot be used ({error}): it was changed or damaged. "
                "Clone the job to begin again."
            ) from error

    def write(self, save: Save, tensors: Mapping[str, Tensor]) -> None:
        """Keep a state; the one before the last goes.

        Raises:
            TrainingError: The disk refuses; the earlier saves are untouched.
        """
        earlier = [one for one in self.kept() if one.step < save.step]
        partial = self.folder / f"{save.file}.part"
        try:
            save_file(compact(tensors), partial)
            # After a power cut the list must not name a file whose bytes never came to the disk.
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(self.folder / save.file)
            self._list([save, *earlier[:1]])
        except (OSError, SafetensorError) as error:
            partial.unlink(missing_ok=True)
            told = f"its save of step {earlier[0].step}" if earlier else "its beginning"
            raise TrainingError(
                f"Step {save.step} cannot be saved in {self.folder} ({error}); the run stands at "
                f"{told}. Free some space and resume it."
            ) from error

    def read(self, save: Save) -> dict[str, Tensor]:
        """Return a save's tensors.

        Raises:
            TrainingError: The file is gone or damaged.
        """
        try:
            return load_file(self.folder / save.file)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"{save.file} in {self.folder} cannot be read ({error}): it was changed or "
                "damaged. Clone the job to begin again."
            ) from error

    def roll_back(self, since: int) -> int:
        """Forget what was saved after training went wrong.

        Args:
            since: The step at which it did.

        Returns:
            The step of the save that is left; 0 where none is.
        """
        kept = self.kept()
        # Where even the older save is later than that, it is what there is.
        good = [one for one in kept if one.step <= since] or kept[-1:]
        if good:
            self._list(good)
        return good[0].step if good else 0

    def _list(self, saves: list[Save]) -> None:
        newest, *older = map(asdict, saves)
        write_json(self.folder / CARD, {**newest, "previous": older[0] if older else None})
        named = {one.file for one in saves}
        for file in self.folder.glob(f"*.{STATE}"):
            if file.name not in named:
                file.unlink()


def _checked(save: Save) -> Save:
    """Refuse what somebody wrote by hand.

    Raises:
        TypeError: A value is of another type.
    """
    whole = (save.step, save.stage, save.position)
    if not all(type(one) is int and one >= 0 for one in whole):
        raise TypeError("a step, a stage or a position is no whole number")
    if not isinstance(save.file, str) or Path(save.file).name != save.file:
        raise TypeError("a file is no name")
    if not isinstance(save.seconds, int | float) or not isinstance(save.facts, dict):
        raise TypeError("seconds are no number, or facts are none")
    return save
