"""The folder in which a data set grows, and how it goes on after a stop."""

import contextlib
import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from studio import images
from studio.data.folder import TABLE
from studio.errors import ConfigError, DataError, is_full
from studio.images import Picture

BATCH = 64
MANIFEST = "manifest.jsonl"
STATE = "augmentation.json"


@dataclass(frozen=True)
class Progress:
    """How far an augmentation is, after a whole batch.

    Attributes:
        batches: That are done.
        made: Pictures.
        accepted: Pictures.
        rejected: Pictures by score.
        counts: The planned attributes' counts, accepted pictures included.
        recent: 1 or 0 for each of the latest pictures, at most ``WINDOW``: whether it was accepted.
        manifest: Bytes of the manifest.
    """

    batches: int = 0
    made: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    recent: str = ""
    manifest: int = 0


class Part:
    """The folder beside the output, and what is known to be complete in it.

    Only what the state counts is there for good; everything behind it is swept away before work
    goes on and when the disk refuses. Nothing in the state depends on when or how often a run was
    stopped.
    """

    def __init__(self, output: Path, terms: Mapping[str, Any]) -> None:
        """Look whether there is anything to go on with.

        Args:
            output: Where the finished data set goes.
            terms: What must be the same for the work to be the same.

        Raises:
            ConfigError: The output exists, or the part folder belongs to another request.
            DataError: The part folder is damaged.
        """
        if output.exists():
            raise ConfigError(f"{output} exists already; name another folder or remove it.")
        self.output = output
        self.folder = output.with_name(f"{output.name}.part")
        self.progress = Progress()
        self.resumed = (self.folder / STATE).is_file()
        self._terms = dict(terms)
        if self.resumed:
            self._read()
        elif self.folder.is_dir() and {file.name for file in self.folder.iterdir()} - {
            _beside(STATE)
        }:
            raise ConfigError(
                f"{self.folder} is no unfinished augmentation; name another output or remove it."
            )

    def _read(self) -> None:
        try:
            saved = json.loads((self.folder / STATE).read_text(encoding="utf-8"))
            progress = Progress(**saved["progress"])
            known = dict(saved["terms"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{self.folder / STATE} is damaged ({error}); remove {self.folder} and start again."
            ) from error
        differing = [name for name, value in self._terms.items() if known.get(name) != value]
        if differing:
            # The same name over other contents is another thing too.
            named = dict.fromkeys(name.removesuffix("_sha256") for name in differing)
            raise ConfigError(
                f"{self.folder} holds an unfinished augmentation with another "
                f"{', another '.join(named)}; repeat that one, name another output or remove the "
                "folder."
            )
        manifest = self.folder / MANIFEST
        if progress.manifest > (manifest.stat().st_size if manifest.is_file() else 0):
            raise DataError(
                f"{manifest} is shorter than it was; remove {self.folder} and start again."
            )
        self.progress = progress

    def begin(self, start: Progress) -> None:
        """Make the folder, or sweep it where it was there.

        Raises:
            DataError: The disk refuses.
        """
        with self._disk():
            if self.resumed:
                self._sweep()
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            self._save(start)

    def add(
        self, pictures: Sequence[Picture], entries: Sequence[dict[str, Any]], progress: Progress
    ) -> None:
        """Add a batch of accepted pictures: each file, then its line.

        Args:
            pictures: (S, S, 3) each.
            entries: Their lines of the manifest, without the file.
            progress: Behind this batch; the manifest's size is filled in here.

        Raises:
            DataError: The disk refuses; then the batch is not there.
        """
        size = self.progress.manifest
        numbers = range(self.progress.accepted, self.progress.accepted + len(pictures))
        with self._disk(), (self.folder / MANIFEST).open("ab") as manifest:
            for number, picture, entry in zip(numbers, pictures, entries, strict=True):
                images.save_png(self.folder / _file(number), picture)
                line = json.dumps({"file": _file(number), **entry}, ensure_ascii=False)
                size += manifest.write(f"{line}\n".encode())
                manifest.flush()
            self._save(replace(progress, manifest=size))

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of the manifest."""
        with (self.folder / MANIFEST).open(encoding="utf-8") as manifest:
            for line in manifest:
                yield json.loads(line)

    def finish(self, rows: Iterator[Mapping[str, object]]) -> None:
        """Write the table and give the folder its name.

        Raises:
            DataError: The disk refuses.
        """
        with self._disk():
            first = next(rows)
            with (self.folder / TABLE).open("w", newline="", encoding="utf-8") as table:
                writer = csv.DictWriter(table, list(first))
                writer.writeheader()
                writer.writerow(first)
                writer.writerows(rows)
            self.folder.rename(self.output)

    def _save(self, progress: Progress) -> None:
        text = json.dumps({"terms": self._terms, "progress": asdict(progress)}, indent=2)
        beside = self.folder / _beside(STATE)
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(self.folder / STATE)
        self.progress = progress

    def _sweep(self) -> None:
        """Remove all that lies behind the last whole batch."""
        accepted = self.progress.accepted
        strays = [_file(number) for number in range(accepted, accepted + BATCH)]
        for name in (*strays, _beside(STATE), TABLE):
            (self.folder / name).unlink(missing_ok=True)
        if (self.folder / MANIFEST).is_file():
            os.truncate(self.folder / MANIFEST, self.progress.manifest)
        if not (self.folder / STATE).is_file():
            self.folder.rmdir()

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        """Turn a refusal of the disk into a sentence, with nothing half-written left."""
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError):
                self._sweep()
            advice = "make room there" if is_full(error) else "mend that"
            raise DataError(
                f"{self.folder} cannot be written: {error.strerror or error}. The "
                f"{self.progress.accepted} pictures before are kept; {advice} and give the same "
                "command again, which goes on from there."
            ) from error


def _file(number: int) -> str:
    return f"{number:06}.png"


def _beside(name: str) -> str:
    return f"{name}.part"
