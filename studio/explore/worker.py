"""What lays a map out, as a process: ``python -m studio.explore.worker FOLDER REQUEST``.

The folder has a request, a JSON file (``latents``: an array file, ``columns``: first and last,
``seed``, and for t-SNE ``dimensions`` and ``perplexity``); it gets ``pca.npz``, ``scores.npy`` and
the points of t-SNE, each where it is not there. Progress goes to standard output, one JSON list a
line.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from studio.explore.projection import EARLY, LATE, Floats, Pca, fit_pca, fit_tsne, project

# Counts changes of what is computed from the same request: older maps are drawn anew.
FORMAT = 1
PCA, SCORES = "pca.npz", "scores.npy"

Report = Callable[[str, int, int], None]


def tsne_file(dimensions: int, perplexity: float, seed: int) -> str:
    """Name the file of a t-SNE map."""
    return f"tsne-{dimensions}-{perplexity:g}-{seed}.npz"


def work(folder: Path, request: dict[str, Any], report: Report, jobs: int = 1) -> None:
    """Carry a request out, with so many threads; what is there already is left as it is."""
    scores = _scores(folder, request, report)
    # Equal pictures have no neighbours that t-SNE could keep together.
    if request.get("dimensions") and Pca.load(folder / PCA).total > 0:
        terms = request["dimensions"], request["perplexity"], request["seed"]
        file = folder / tsne_file(*terms)
        if not file.is_file():
            # The neighbours are looked for first.
            report("t-SNE", 0, EARLY + LATE)
            found = fit_tsne(
                scores,
                *terms,
                lambda done, total: report("t-SNE", done, total),
                jobs,
            )
            beside = file.with_suffix(".part.npz")
            np.savez(beside, points=found.points, divergence=found.divergence)
            beside.replace(file)


def _scores(folder: Path, request: dict[str, Any], report: Report) -> Floats:
    file = folder / SCORES
    if not file.is_file():
        first, last = request["columns"]
        flat = np.load(request["latents"], mmap_mode="r")[:, first:last]
        pca = fit_pca(flat, request["seed"], lambda done, total: report("PCA", done, total))
        pca.save(folder / PCA)
        beside = file.with_suffix(".part.npy")
        np.save(beside, project(pca, flat))
        beside.replace(file)
    scores: Floats = np.load(file)
    return scores


def main() -> None:
    """Work on the folder and the request that the command line names."""
    folder = Path(sys.argv[1])
    request = json.loads((folder / sys.argv[2]).read_text(encoding="utf-8"))

    def report(what: str, done: int, total: int) -> None:
        sys.stdout.write(json.dumps([what, done, total]) + "\n")
        sys.stdout.flush()

    work(folder, request, report, os.cpu_count() or 1)


if __name__ == "__main__":
    main()
