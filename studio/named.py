"""What a person keeps under names of their own: tensors and facts about them, a file for each."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from studio.errors import ConfigError, DataError

MOST_LETTERS = 40
_TENSORS = "parts"
Facts = dict[str, Any]


@dataclass(frozen=True)
class Shelf:
    """Things of one kind, each made with a checkpoint.

    Facts are plain values; ``name`` and ``checkpoint`` are among them.

    Attributes:
        kind: What a person calls one of them.
        key: The facts' name in a file's metadata.
        folder: Returns the folder of whoever asks.
        is_sound: Says whether facts make sense.
    """

    kind: str
    key: str
    folder: Callable[[], Path]
    is_sound: Callable[[Facts], bool]

    def check(self, name: str) -> None:
        """Refuse names that cannot be shown or kept.

        Raises:
            ConfigError: It is empty, too long, or has other characters than letters, digits and
                spaces.
        """
        if not _file_name(name) or len(name) > MOST_LETTERS or not name.isprintable():
            raise ConfigError(
                f"{name!r} is no name for a {self.kind}; give 1 to {MOST_LETTERS} letters, digits "
                "and spaces."
            )

    def listing(self, checkpoint: str = "") -> list[Facts]:
        """Return the facts of all, of one checkpoint if asked; damaged files are left out."""
        found = []
        for path in sorted(self.folder().glob("*.safetensors")):
            try:
                facts = self._facts(path)
            except DataError:
                continue
            if checkpoint in ("", facts["checkpoint"]):
                found.append(facts)
        return found

    def names(self, checkpoint: str = "") -> list[str]:
        """List the names, as :meth:`listing`."""
        return [str(facts["name"]) for facts in self.listing(checkpoint)]

    def belongs(self, name: str, checkpoint: str) -> bool:
        """Say whether there is one of that name, whole, and of that checkpoint."""
        try:
            return bool(self._facts(self._path(name))["checkpoint"] == checkpoint)
        except (ConfigError, DataError):
            return False

    def load(self, name: str) -> tuple[Facts, dict[str, Tensor]]:
        """Read one.

        Raises:
            ConfigError: The name is none.
            DataError: There is none of that name, or its file is damaged.
        """
        path = self._path(name)
        if not path.is_file():
            known = ", ".join(self.names()) or "none"
            raise DataError(f"There is no {self.kind} {name!r} of your own; there are {known}.")
        facts = self._facts(path)
        with safe_open(path, "pt") as file:
            return facts, {part: file.get_tensor(part) for part in facts.pop(_TENSORS)}

    def _facts(self, path: Path) -> Facts:
        try:
            with safe_open(path, "pt") as file:
                facts: Facts = dict(json.loads((file.metadata() or {})[self.key]))
                missing = set(facts[_TENSORS]) - set(file.keys())
            if missing or not self.is_sound(facts):
                raise KeyError(", ".join(missing) or "the facts")
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"The {self.kind} in {path.name} is damaged: {error}.") from error
        return facts

    def save(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
        """Write a new one.

        Raises:
            ConfigError: There is one of that name already, or the name is none.
        """
        path = self._free(str(facts["name"]))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write(path, facts, tensors)
        return path

    def _free(self, name: str) -> Path:
        path = self._path(name)
        if path.exists():
            raise ConfigError(
                f"There is a {self.kind} {name!r} already; choose another name or delete it."
            )
        return path

    def _write(self, path: Path, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        beside = path.with_suffix(".part")
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            beside,
            metadata={self.key: json.dumps({**facts, _TENSORS: list(tensors)})},
        )
        beside.replace(path)

    def rename(self, name: str, new: str) -> None:
        """Give one another name.

        Raises:
            ConfigError: There is one of the new name already, or the new name is none.
            DataError: There is none of the old name.
        """
        facts, tensors = self.load(name)
        before = self._path(name)
        # The same file still fits a name in other letters, such as capitals.
        after = before if self._path(new) == before else self._free(new)
        self._write(after, {**facts, "name": new}, tensors)
        if after != before:
            before.unlink()

    def follow(self, checkpoint: str, renamed: str) -> None:
        """Let everything of a checkpoint belong to its new name."""
        for name in self.names(checkpoint):
            facts, tensors = self.load(name)
            self._write(self._path(name), {**facts, "checkpoint": renamed}, tensors)

    def delete(self, name: str) -> None:
        """Delete one.

        Raises:
            DataError: There is none of that name.
        """
        self.load(name)
        self._path(name).unlink()

    def _path(self, name: str) -> Path:
        self.check(name)
        return self.folder() / f"{_file_name(name)}.safetensors"


def _file_name(name: str) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in name.lower()).split()
    return "-".join(words)
