"""Search the settings of AEAI and its rivals: as many trials for each, none on a test picture.

    python benchmarks/interpolation_search.py --output FOLDER [--data SET] [--only object=14]

The data set's training part is copied, and a fifth of the copy is held out for validation; its test
part is left behind. The first trial of a method has its own defaults, the others are drawn from the
grid below, with the same seed. A trial's score is the mean squared error of held-out in-betweens at
80 degrees. ``search.json`` gets all trials, best first; an interrupted search goes on where it was.
"""

import argparse
import json
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from studio.checkpoints import CheckpointStore, ModelCache
from studio.data.folder import PARTITIONS, DataSet
from studio.images import to_images
from studio.methods import METHODS
from studio.render import sets
from studio.reproduce import ReproduceOptions, curves
from studio.reproduce.contest import CONTESTANTS, Contest, Contestant, open_contest
from studio.training.request import pick_device

SHARED: dict[str, tuple[Any, ...]] = {
    "lr": (3e-4, 5e-4, 1e-3, 2e-3, 4e-3),
    "reconstruction": ("l1", "l2"),
}
GRID: dict[str, dict[str, tuple[Any, ...]]] = {
    "aeai": {
        "adversarial_weight": (0.001, 0.003, 0.01, 0.03),
        "cycle_weight": (0.001, 0.01, 0.1),
        "smoothness_weight": (0.001, 0.003, 0.01, 0.03, 0.1),
    },
    "aae": {"adversarial_weight": (0.001, 0.003, 0.01, 0.03, 0.1)},
    "acai": {"adversarial_weight": (0.05, 0.15, 0.5, 1.5), "real_share": (0.1, 0.2, 0.4)},
    "beta_vae": {"beta": (0.02, 0.1, 0.5, 2.0, 8.0)},
    "amr": {
        "adversarial_weight": (0.002, 0.006, 0.02, 0.06),
        "consistency_weight": (0.0, 0.01, 0.1, 1.0),
    },
    "gaia": {
        "adversarial_weight": (0.05, 0.15, 0.5, 1.5),
        "distance_weight": (5e-5, 5e-4, 5e-3, 5e-2),
    },
    "autoencoder": {},
}


def main() -> None:
    """Read the arguments, search, print the best."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="by default the rendered pole")
    parser.add_argument("--only", default="", help="such as object=14")
    parser.add_argument("--methods", nargs="+", choices=tuple(GRID), default=list(GRID))
    parser.add_argument("--trials", type=int, default=5, help="of each method")
    parser.add_argument("--steps", type=int, default=800, help="of each trial")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    contest = inner_contest(arguments)
    trials = [
        score(contest, contestant)
        for contestant in CONTESTANTS
        if contestant.method in arguments.methods
        for contestant in candidates(contestant, arguments.trials)
    ]
    trials.sort(key=lambda trial: (trial["method"], trial["between_mse"]))
    best = {trial["method"]: trial["fields"] for trial in reversed(trials)}
    facts = {"data": contest.data.name, "only": arguments.only, "steps": arguments.steps}
    result = {**facts, "trials_of_each": arguments.trials, "best": best, "trials": trials}
    (arguments.output / "search.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(best, indent=2))


def inner_contest(arguments: argparse.Namespace) -> Contest:
    """Open the contest on the training part alone."""
    store = CheckpointStore(arguments.output / "checkpoints")
    options = ReproduceOptions(
        output=arguments.output,
        data=arguments.data,
        models=ModelCache(store, pick_device(arguments.device)),
        steps=arguments.steps,
        seeds=1,
        size=arguments.size,
        report=lambda line: print(line, file=sys.stderr),
        only=arguments.only,
    )
    outer = open_contest(options)
    folder = arguments.output / "training-part"
    if not (folder / sets.TABLE).is_file():
        copy_training_part(outer.data.part("train"), folder, arguments.size)
    return open_contest(replace(options, data=folder, only=""))


def copy_training_part(data: DataSet, folder: Path, size: int) -> None:
    """Write the pictures with their factors, a fifth of them as the validation part."""
    images = to_images(np.array(data.pictures(size)))
    parts = sets.held_out(len(data), 0, "search")
    rows = [
        {
            "file": f"{number:06d}.png",
            "partition": PARTITIONS["validation"] if part else PARTITIONS["train"],
            "alignment": "none",
            **{name: column[number] for name, column in data.factors.items()},
        }
        for number, part in enumerate(parts)
    ]
    sets.write_set(folder, rows, lambda part: images[part])


def candidates(contestant: Contestant, count: int) -> list[Contestant]:
    """Return a method's trials: its defaults, then draws from its grid without repetition."""
    grid = {**SHARED, **GRID[contestant.method]}
    default = METHODS[contestant.method].config()
    fields = [{name: getattr(default, name) for name in grid}]
    every = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    every = [values for values in every if values != fields[0]]
    order = np.random.default_rng(0).permutation(len(every))
    fields += [every[place] for place in order[: count - 1]]
    return [
        replace(contestant, tag=f"trial{number}", fields=values)
        for number, values in enumerate(fields)
    ]


def score(contest: Contest, contestant: Contestant) -> dict[str, Any]:
    """Train one trial, and measure its in-betweens that were held out."""
    (run,) = contest.trained(contestant)
    with torch.inference_mode():
        rows = curves.between(list(curves.error_rows(contest, run)))
    own = [row for row in rows if row["split"] == "held-out"]
    numbers = {"between_mse": curves.mean_of("mean")(own), "mse_std": curves.mean_of("std")(own)}
    trial = {"method": contestant.method, "fields": dict(contestant.fields), **numbers}
    print(json.dumps(trial), file=sys.stderr)
    return trial


if __name__ == "__main__":
    main()
