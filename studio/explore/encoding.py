"""Latents of whole data sets: encoded in a stream, kept on disk, there at once the second time."""

import hashlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from studio import images, paths
from studio.checkpoints import MODEL, Loaded, ModelCache
from studio.data.folder import DataSet
from studio.errors import DataError, StudioError, UnsupportedError
from studio.images import Picture
from studio.latents import Latents
from studio.methods.base import LatentModel

# Pictures that are decoded while as many are encoded.
BATCH = 64
CODES, ROWS, FACTS = "latents.npy", "rows.npy", "facts.json"

# Of the latents that are kept; those that were not used for longest go first.
MOST_BYTES = 8 * 2**30
WAITING = "Waiting for another map"
_PAUSE = 0.1
# One map is drawn at a time, however many visitors there are.
_TURN = threading.Lock()

Progress = Callable[[str, int, int], None]
"""Gets what is being done, how much of it is done, and how much there is (0 if that is unknown)."""


class StoppedError(StudioError):
    """A map that somebody stopped before it was drawn."""

    def __init__(self) -> None:
        super().__init__("Stopped; the map that was there is kept.")


@contextmanager
def turn(progress: Progress, stopped: Callable[[], bool]) -> Iterator[None]:
    """Wait until nobody else draws a map.

    Raises:
        StoppedError: ``stopped`` said so meanwhile.
    """
    while not _TURN.acquire(timeout=_PAUSE):
        if stopped():
            raise StoppedError
        progress(WAITING, 0, 0)
    try:
        yield
    finally:
        _TURN.release()


@dataclass(frozen=True, eq=False)
class Codes:
    """Latents of the pictures of a data set.

    Attributes:
        checkpoint: Whose latents they are.
        key: Names checkpoint, weights, pictures; equal where all of them are.
        data: The N pictures that have latents, with their labels.
        matrix: (N, D) float16, mapped from the disk.
        shapes: Shape of one picture's latents by part, in the order of the columns.
        notes: What a person should know, in sentences: pictures left out, a set that changed.
    """

    checkpoint: str
    key: str
    data: DataSet
    matrix: npt.NDArray[np.float16]
    shapes: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.matrix)

    def columns(self, part: str = "") -> slice:
        """Return the columns of a part, or of all.

        Raises:
            UnsupportedError: The checkpoint's latents have no such part.
        """
        if not part:
            return slice(0, self.matrix.shape[1])
        if part not in self.shapes:
            raise UnsupportedError(
                f"{self.checkpoint} has no part {part!r}; its latents have "
                f"{' and '.join(self.shapes)}."
            )
        start = 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            if name == part:
                break
            start += size
        return slice(start, start + size)

    def latents(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> Latents:
        """Return the latents of some pictures."""
        return self.unflatten(self.matrix[np.asarray(rows, np.intp)])

    def unflatten(self, flat: npt.NDArray[Any]) -> Latents:
        """Cut (B, D) rows into parts."""
        whole = torch.from_numpy(np.asarray(flat, np.float32).copy())
        parts: dict[str, Tensor] = {}
        for name, shape in self.shapes.items():
            parts[name] = whole[:, self.columns(name)].reshape(-1, *shape)
        return Latents(parts)


def encode_set(
    models: ModelCache,
    checkpoint: str,
    data: DataSet,
    progress: Progress,
    stopped: Callable[[], bool],
) -> Codes:
    """Encode the pictures of a data set, or take what an earlier call kept.

    Pictures that cannot be read, and those whose latents are no finite numbers, are left out.

    Args:
        models: The loaded models.
        checkpoint: Of a method that encodes.
        data: What to encode.
        progress: Called after each batch.
        stopped: Asked before each batch; whether to stop there.

    Raises:
        UnsupportedError: The checkpoint does not encode.
        DataError: None of the pictures can be used, or the disk refuses.
        StoppedError: ``stopped`` said so; nothing is left behind.
    """
    loaded = models.get(checkpoint)
    if not isinstance(loaded.model, LatentModel):
        raise UnsupportedError(f"{checkpoint} has no latents: it does not encode pictures.")
    key = _key(loaded, data)
    folder = _root() / key
    # Whoever wrote it may delete it while this looks, so it is read and not asked for.
    facts = _facts(folder)
    if facts is None:
        old = list(_older(checkpoint, data))
        with turn(progress, stopped):
            facts = _facts(folder) or _encode(models, loaded, data, folder, progress, stopped)
        prune(_root(), MOST_BYTES, folder)
        if old:
            facts["notes"].append(
                f"{data.name} has changed since it was encoded on {old[0][1]['time'][:10]}; its "
                "pictures were encoded again."
            )
        for stale, _ in old:
            shutil.rmtree(stale, ignore_errors=True)
    os.utime(folder)
    rows = np.load(folder / ROWS)
    return Codes(
        checkpoint,
        key,
        data.select(rows),
        np.load(folder / CODES, mmap_mode="r"),
        {name: tuple(shape) for name, shape in facts["shapes"].items()},
        tuple(facts["notes"]),
    )


def prune(root: Path, most: int, kept: Path) -> None:
    """Delete the folders that were used longest ago until the others fit into so many bytes.

    Args:
        root: Holds the folders.
        most: Bytes.
        kept: A folder that stays in any case.
    """
    folders = sorted(
        (folder for folder in root.iterdir() if folder.is_dir()),
        key=lambda folder: (folder == kept, folder.stat().st_mtime),
    )
    sizes = [sum(file.stat().st_size for file in folder.iterdir()) for folder in folders]
    total = sum(sizes)
    for folder, size in zip(folders[:-1], sizes[:-1], strict=True):
        if total <= most:
            break
        shutil.rmtree(folder, ignore_errors=True)
        total -= size


def _root() -> Path:
    return paths.cache() / "latents"


def _key(loaded: Loaded, data: DataSet) -> str:
    terms = [loaded.card.hashes.get(MODEL, ""), data.digest, data.files]
    return hashlib.sha256(json.dumps(terms).encode()).hexdigest()[:24]


def _facts(folder: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _older(checkpoint: str, data: DataSet) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield what was kept of the same files when they were others."""
    for file in sorted(_root().glob(f"*/{FACTS}")):
        facts = _facts(file.parent) or {}
        own = facts.get("checkpoint"), facts.get("place")
        if own == (checkpoint, str(data.source.place)) and facts.get("digest") != data.digest:
            yield file.parent, facts


def _encode(
    models: ModelCache,
    loaded: Loaded,
    data: DataSet,
    folder: Path,
    progress: Progress,
    stopped: Callable[[], bool],
) -> dict[str, Any]:
    beside = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        beside.mkdir(parents=True)
        rows, shapes = _stream(models, loaded, data, beside / CODES, progress, stopped)
        np.save(beside / ROWS, rows)
        facts = {
            "checkpoint": loaded.card.name,
            "place": str(data.source.place),
            "digest": data.digest,
            "time": datetime.now(UTC).isoformat(),
            "shapes": shapes,
            "notes": _notes(data, rows),
        }
        (beside / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        # Somebody else may have encoded the same meanwhile.
        if not folder.exists():
            beside.rename(folder)
    except OSError as error:
        raise DataError(
            f"The latents of {data.name} cannot be kept in {_root()}: "
            f"{error.strerror or error}. Make room there and try again."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return facts


def _notes(data: DataSet, rows: npt.NDArray[np.intp]) -> list[str]:
    missing = len(data) - len(rows)
    if not missing:
        return []
    first = data.files[int(np.setdiff1d(np.arange(len(data)), rows)[0])]
    some = f"{missing:,} pictures are" if missing > 1 else "One picture is"
    return [
        f"{some} left out ({first}{' and others' if missing > 1 else ''}): unreadable, or the "
        "model makes no numbers of it."
    ]


def _stream(
    models: ModelCache,
    loaded: Loaded,
    data: DataSet,
    file: Path,
    progress: Progress,
    stopped: Callable[[], bool],
) -> tuple[npt.NDArray[np.intp], dict[str, list[int]]]:
    """Write the latents of all pictures that have some, one batch after another."""
    rows: list[npt.NDArray[np.intp]] = []
    shapes: dict[str, list[int]] = {}
    matrix, seen, found = None, 0, 0
    for places, pictures in _batches(data, loaded.card.spec.size):
        if stopped():
            raise StoppedError
        if len(places):
            codes = _encoded(models, loaded, pictures)
            flat = codes.flatten().cpu().numpy().astype(np.float16)
            if matrix is None:
                shapes = {name: list(part.shape[1:]) for name, part in codes.parts.items()}
                matrix = open_memmap(file, "w+", np.float16, (len(data), flat.shape[1]))
            sound = np.isfinite(flat).all(axis=1)
            rows.append(places[sound])
            matrix[found : found + len(rows[-1])] = flat[sound]
            found += len(rows[-1])
        seen = min(seen + BATCH, len(data))
        progress("Encoding", seen, len(data))
    if matrix is None or not found:
        raise DataError(
            f"None of the {len(data)} pictures of {data.name} can be used: they cannot be read, or "
            f"{loaded.card.name} makes no numbers of them."
        )
    matrix.flush()
    if found < len(data):
        _shorten(file, found)
    return np.concatenate(rows), shapes


def _shorten(file: Path, count: int) -> None:
    """Keep the first rows of an array file."""
    whole = np.load(file, mmap_mode="r")
    beside = file.with_suffix(".short")
    short = open_memmap(beside, "w+", whole.dtype, (count, whole.shape[1]))
    short[:] = whole[:count]
    short.flush()
    beside.replace(file)


@torch.inference_mode()
def _encoded(models: ModelCache, loaded: Loaded, pictures: Picture) -> Latents:
    codes: Latents = loaded.model.encode(images.to_images(pictures).to(models.device))
    return codes


def _batches(data: DataSet, size: int) -> Iterator[tuple[npt.NDArray[np.intp], Picture]]:
    """Yield rows and pictures, a batch ahead of whoever takes them; unreadable ones are missing."""
    contents = enumerate(data.attempts())
    with ThreadPoolExecutor(1) as pool:
        ahead: Future[tuple[npt.NDArray[np.intp], Picture] | None] = pool.submit(
            _decode, data, contents, size
        )
        while (batch := ahead.result()) is not None:
            ahead = pool.submit(_decode, data, contents, size)
            yield batch


def _decode(
    data: DataSet, contents: Iterator[tuple[int, bytes | DataError]], size: int
) -> tuple[npt.NDArray[np.intp], Picture] | None:
    some = list(islice(contents, BATCH))
    if not some:
        return None
    rows, pictures = [], []
    for row, content in some:
        if isinstance(content, DataError):
            continue
        try:
            pictures.append(data.decoded(data.files[row], content, size))
        except DataError:
            continue
        rows.append(row)
    stacked = np.stack(pictures) if pictures else np.zeros((0, size, size, 3), np.uint8)
    return np.array(rows, np.intp), stacked
