"""Drawing a map: encode a set, lay it out, keep both on disk."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from studio import paths
from studio.checkpoints import ModelCache
from studio.data.folder import DataSet
from studio.errors import ConfigError, DataError
from studio.explore import worker
from studio.explore.encoding import (
    CODES,
    MOST_BYTES,
    Codes,
    Progress,
    StoppedError,
    encode_set,
    prune,
    turn,
)
from studio.explore.maps import Map
from studio.explore.projection import FEWEST, PERPLEXITY, Pca, usable_perplexity

METHODS = ("pca", "tsne")
MOST = 50_000
# So few pictures are laid out here at once; a process would take longer to start.
_FEW = 2000
_WAIT = 0.1


@dataclass(frozen=True)
class MapRequest:
    """Everything that decides where the points of a map lie.

    Attributes:
        checkpoint: Whose latents are drawn.
        part: One part of them, such as ``object``; empty for all.
        method: ``pca`` or ``tsne``.
        dimensions: 2 or 3.
        perplexity: Of t-SNE, from 2 to 200: about how many neighbours a picture has.
        most: Larger sets are sampled down to so many pictures.
        seed: Of the sample and of the methods.
    """

    checkpoint: str
    part: str = ""
    method: str = "pca"
    dimensions: int = 2
    perplexity: float = PERPLEXITY
    most: int = 20_000
    seed: int = 0

    def check(self) -> None:
        """Check what can be checked without the data.

        Raises:
            ConfigError: A value makes no sense.
        """
        if self.method not in METHODS:
            raise ConfigError(f"There is no method {self.method!r}; there are pca and tsne.")
        if self.dimensions not in (2, 3):
            raise ConfigError(f"A map has 2 or 3 dimensions, not {self.dimensions}.")
        if not 2 <= self.perplexity <= 200:
            raise ConfigError(f"The perplexity goes from 2 to 200, not to {self.perplexity:g}.")
        if not 1 <= self.most <= MOST:
            raise ConfigError(
                f"A map shows 1 to {MOST:,} pictures, not {self.most:,}; larger sets are sampled."
            )
        if self.seed < 0:
            raise ConfigError(f"The seed is a whole number of at least 0, not {self.seed}.")


def chart(
    models: ModelCache,
    request: MapRequest,
    data: DataSet,
    progress: Progress = lambda what, done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Map:
    """Draw the map of a data set, or take it as it was drawn before.

    Args:
        models: The loaded models.
        request: What to draw.
        data: Whose pictures become points.
        progress: Called now and then.
        stopped: Asked several times a second; whether to stop there.

    Raises:
        ConfigError: The request makes no sense.
        UnsupportedError: The checkpoint does not encode, or has no such part.
        CheckpointError: It cannot be loaded.
        DataError: No picture can be used, or the disk refuses.
        StoppedError: ``stopped`` said so.
    """
    request.check()
    notes = []
    total = len(data)
    if total > request.most:
        data = data.select(_sample(total, request.most, request.seed))
        notes.append(
            f"{request.most:,} of the {total:,} pictures of {data.name} are shown, drawn at random "
            f"(seed {request.seed})."
        )
    codes = encode_set(models, request.checkpoint, data, progress, stopped)
    notes += codes.notes
    method = request.method
    if method == "tsne" and len(codes) < FEWEST:
        method = "pca"
        notes.append(
            f"t-SNE needs {FEWEST} pictures or more and there are {len(codes)}; PCA shows them."
        )
    folder = _laid_out(request, codes, method, progress, stopped)
    pca, scores = Pca.load(folder / worker.PCA), np.load(folder / worker.SCORES)
    if pca.total <= 0:
        notes.append(
            "To this model all these pictures are the same: every point lies in one place."
            if len(codes) > 1
            else "There is one picture only: its point lies in the middle."
        )
        method = "pca"
    divergence = float("nan")
    if method == "tsne":
        used = usable_perplexity(request.perplexity, len(codes))
        if used < request.perplexity:
            notes.append(
                f"The perplexity is {used:.1f} instead of {request.perplexity:g}: there are "
                f"{len(codes)} pictures."
            )
        file = worker.tsne_file(request.dimensions, request.perplexity, request.seed)
        with np.load(folder / file) as found:
            points, divergence = found["points"], float(found["divergence"])
    else:
        points = _first(scores, request.dimensions)
    return Map(
        codes=codes,
        part=request.part,
        method=method,
        perplexity=usable_perplexity(request.perplexity, len(codes)),
        seed=request.seed,
        pca=pca,
        scores=scores,
        points=points,
        divergence=divergence,
        total=total,
        notes=tuple(notes),
    )


def _sample(count: int, most: int, seed: int) -> Any:
    chosen = np.random.default_rng([seed, count]).choice(count, most, replace=False)
    return np.sort(chosen)


def _first(scores: Any, dimensions: int) -> Any:
    """Return the first components; with fewer pictures than dimensions, zeros beside them."""
    missing = max(0, dimensions - scores.shape[1])
    return np.pad(scores[:, :dimensions], ((0, 0), (0, missing)))


def _laid_out(
    request: MapRequest,
    codes: Codes,
    method: str,
    progress: Progress,
    stopped: Callable[[], bool],
) -> Path:
    """Return the folder with everything that the map needs, computing what is missing."""
    columns = codes.columns(request.part)
    terms = json.dumps([worker.FORMAT, codes.key, columns.start, columns.stop, request.seed])
    name = hashlib.sha256(terms.encode()).hexdigest()[:24]
    folder = paths.cache() / "maps" / name
    asked: dict[str, Any] = {
        "latents": str(paths.cache() / "latents" / codes.key / CODES),
        "columns": [columns.start, columns.stop],
        "seed": request.seed,
    }
    needed = [worker.PCA, worker.SCORES]
    if method == "tsne":
        asked |= {"dimensions": request.dimensions, "perplexity": request.perplexity}
        needed.append(worker.tsne_file(request.dimensions, request.perplexity, request.seed))
    if all((folder / file).is_file() for file in needed):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with turn(progress, stopped):
            if len(codes) <= _FEW:
                worker.work(folder, asked, _until(progress, stopped))
            else:
                _in_process(folder, asked, progress, stopped)
        prune(folder.parent, MOST_BYTES, folder)
    except OSError as error:
        raise DataError(
            f"The map of {codes.data.name} cannot be kept in {folder.parent}: "
            f"{error.strerror or error}. Make room there and try again."
        ) from error
    return folder


def _until(progress: Progress, stopped: Callable[[], bool]) -> Progress:
    """Return a progress function that ends the work."""

    def report(what: str, done: int, total: int) -> None:
        if stopped():
            raise StoppedError
        progress(what, done, total)

    return report


def _in_process(
    folder: Path, asked: dict[str, Any], progress: Progress, stopped: Callable[[], bool]
) -> None:
    """Work in a process that can be killed; read what it says until it ends."""
    own = folder / f"request-{uuid.uuid4().hex[:8]}.json"
    own.write_text(json.dumps(asked), encoding="utf-8")
    # Threads that wait for each other must not keep a busy machine's processors.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "-m", "studio.explore.worker", str(folder), own.name]
    with subprocess.Popen(
        command,
        cwd=paths.REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said: list[str] = []
        reader = threading.Thread(target=_follow, args=(process, progress, said), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                if stopped():
                    raise StoppedError
                reader.join(_WAIT)
        finally:
            process.kill()
            own.unlink(missing_ok=True)
        process.wait()
    reader.join()
    if said:
        raise DataError(f"The map could not be laid out: {said[-1]}.")


def _follow(process: "subprocess.Popen[str]", progress: Progress, said: list[str]) -> None:
    """Pass progress on; keep the last line of what went wrong."""
    for line in process.stdout or ():
        progress(*json.loads(line))
    problems = (process.stderr.read() if process.stderr else "").strip()
    if process.wait() > 0:
        said.append(problems.splitlines()[-1] if problems else "the process ended at once")
