"""Measure the aligner on photographs whose eye positions are known.

``python benchmarks/alignment.py --data SHARED --refiner CHECKPOINT`` looks for the eyes in the
plain photographs and in the same ones turned by up to 25 degrees, scaled and recompressed (seeded).
A photograph counts if both eyes are within 10 % of the eye distance. Without ``--refiner`` OpenCV's
cascades are measured alone.
"""

import argparse
import csv
import json
import math
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from studio import paths
from studio.checkpoints import CheckpointStore
from studio.faces.align import centre_based
from studio.faces.detect import EyeRefiner, find_faces, module_refiner
from studio.images import read_photo

SETS = {"photos_unseen": "", "london_faces": "unaligned512/"}
SIDES = ("left", "right")
LIMIT = 0.10
# Rows whose "eyes", looked at, lie at the mouth (zoom) or on the forehead (143).
WRONG_TRUTH = {"143_smiling.jpg", *(f"zoom_{distance}cm.jpg" for distance in (15, 30, 45, 60))}


@dataclass(frozen=True)
class Shot:
    """A photograph (H, W, 3) uint8 and its true (2, 2) eyes, left then right."""

    collection: str
    file: str
    pixels: np.ndarray
    eyes: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What was found: worst eye's error in eye distances (infinite for no face) and trust."""

    collection: str
    file: str
    error: float
    trusted: bool


def shots(data: Path) -> Iterator[Shot]:
    """Yield every photograph that carries eye positions."""
    for collection, folder in SETS.items():
        with (data / f"{collection}.csv").open(newline="") as table:
            rows = [row for row in csv.DictReader(table) if row["left_eye_x"]]
        with zipfile.ZipFile(data / f"{collection}.zip") as archive:
            for row in rows:
                eyes = [[float(row[f"{side}_eye_{axis}"]) for axis in "xy"] for side in SIDES]
                pixels = read_photo(archive.read(folder + row["file"])).pixels
                yield Shot(collection, row["file"], pixels, np.array(eyes))


def perturbed(shot: Shot, rng: np.random.Generator) -> Shot:
    """Turn by up to 25 degrees, scale by 0.4 to 1.4, recompress as a JPEG of quality 35 to 94."""
    angle = math.radians(rng.uniform(-25, 25))
    scale = 0.4 * 3.5 ** rng.random()
    quality = int(rng.integers(35, 95))
    height, width = shot.pixels.shape[:2]
    cosine, sine = math.cos(angle), math.sin(angle)
    rotation = scale * np.array([[cosine, -sine], [sine, cosine]])
    wide = math.ceil(scale * (width * abs(cosine) + height * abs(sine)))
    high = math.ceil(scale * (width * abs(sine) + height * abs(cosine)))
    offset = np.array([wide, high]) / 2 - rotation @ np.array([width, height]) / 2
    matrix = centre_based(np.column_stack([rotation, offset]))
    soft = cv2.GaussianBlur(shot.pixels, (0, 0), 0.4 / scale) if scale < 1 else shot.pixels
    turned = cv2.warpAffine(soft, matrix, (wide, high), borderValue=(127, 127, 127))
    _, packed = cv2.imencode(".jpg", turned[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    pixels = read_photo(packed.tobytes()).pixels
    return Shot(shot.collection, shot.file, pixels, shot.eyes @ rotation.T + offset)


def measure(shot: Shot, refine: EyeRefiner | None) -> Outcome:
    """Compare the largest face's eyes with the true ones."""
    faces = find_faces(shot.pixels, refine)
    if not faces:
        return Outcome(shot.collection, shot.file, math.inf, False)
    distances = np.hypot(*(faces[0].alignment.eyes() - shot.eyes).T)
    error = float(distances.max() / np.hypot(*(shot.eyes[1] - shot.eyes[0])))
    return Outcome(shot.collection, shot.file, error, faces[0].trusted)


def summary(outcomes: list[Outcome], seconds: float) -> dict[str, object]:
    """Count hits, and mistakes that were not noticed."""
    errors = np.array([outcome.error for outcome in outcomes])
    true = [outcome for outcome in outcomes if outcome.file not in WRONG_TRUTH]
    missed = [outcome for outcome in outcomes if not outcome.error <= LIMIT]
    return {
        "photos": len(outcomes),
        "within_limit": float((errors <= LIMIT).mean()),
        "within_limit_of_rows_with_true_eyes": float(
            np.mean([outcome.error <= LIMIT for outcome in true])
        ),
        "median_error": float(np.median(errors)),
        "wrong_but_trusted": [outcome.file for outcome in missed if outcome.trusted],
        "wrong_and_noticed": [outcome.file for outcome in missed if not outcome.trusted],
        "milliseconds_per_photo": round(1000 * seconds / len(outcomes)),
    }


def run(data: Path, refine: EyeRefiner | None, seed: int) -> dict[str, dict[str, object]]:
    """Measure both conditions."""
    results = {}
    for condition in ("plain", "perturbed"):
        rng = np.random.default_rng(seed)
        outcomes, seconds = [], 0.0
        for plain in shots(data):
            shot = plain if condition == "plain" else perturbed(plain, rng)
            start = time.perf_counter()
            outcomes.append(measure(shot, refine))
            seconds += time.perf_counter() - start
        results[condition] = summary(outcomes, seconds)
    return results


def main() -> None:
    """Print a table, then one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the shared sets")
    parser.add_argument("--refiner", help="name of the eye regressor's checkpoint")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    refine = None
    if arguments.refiner:
        store = CheckpointStore(paths.user_checkpoints(), paths.SHIPPED_CHECKPOINTS)
        refine = module_refiner(store.load(arguments.refiner)[0].eval())
    results = run(arguments.data, refine, arguments.seed)
    print(f"{'':45}" + "".join(f"{condition:>14}" for condition in results))
    for name, value in results["plain"].items():
        if isinstance(value, int | float):
            print(f"{name:45}" + "".join(f"{part[name]:14.4g}" for part in results.values()))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
