"""Resident memory while checkpoints are switched: does it stay where the first round left it?

    python benchmarks/memory.py [--switches 100] [--limit 24] [--device cpu]

All checkpoints in turn, each asked for one picture, through a cache whose limit holds a few of
them, so that every switch loads one and lets others go. Needs psutil; exits with status 1 where
memory grew by more than 5 %.
"""

import argparse
import sys
import time

import psutil
import torch

from studio.checkpoints import CheckpointStore, Loaded, ModelCache
from studio.methods.base import Generator, LatentModel, Translator

MOST_GROWTH = 0.05


def main() -> int:
    """Print the numbers, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--switches", type=int, default=100)
    parser.add_argument("--limit", type=int, default=24, help="MB of models that stay loaded")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    models = ModelCache(CheckpointStore(), options.device, options.limit * 2**20)
    names = models.store.names()
    if options.switches < 2 * len(names):
        parser.error(f"two rounds of {len(names)} checkpoints are the least")
    start = time.perf_counter()
    first = []
    for number in range(options.switches):
        use(models.get(names[number % len(names)]), models.device)
        if number + 1 >= len(names):
            first.append(resident())
    growth = first[-1] / first[0] - 1
    print(f"checkpoints            {len(names)}")
    print(f"switches               {options.switches}")
    print(f"limit                  {options.limit} MB")
    print(f"after the first round  {first[0] / 2**20:.1f} MB resident")
    print(f"greatest after that    {max(first) / 2**20:.1f} MB")
    print(f"at the end             {first[-1] / 2**20:.1f} MB, {growth:+.1%}")
    print(f"loaded at the end      {models.used() / 2**20:.1f} MB in {len(models.warm())} models")
    print(f"time                   {time.perf_counter() - start:.0f} s")
    return int(growth > MOST_GROWTH)


def resident() -> int:
    """Return the bytes of this process in memory."""
    return psutil.Process().memory_info().rss


@torch.inference_mode()
def use(loaded: Loaded, device: torch.device) -> None:
    """Ask a model for one picture, or for what it reads off one."""
    size, model = loaded.card.spec.size, loaded.model
    grey = torch.zeros(1, 3, size, size, device=device)
    if isinstance(model, LatentModel):
        model.decode(model.encode(grey))
    elif isinstance(model, Generator):
        columns = torch.zeros(1, len(model.attributes), device=device)
        model.generate(columns, torch.zeros(1, model.noise_size, device=device))
    elif isinstance(model, Translator):
        model(grey, torch.zeros(1, len(model.attributes), dtype=torch.int64, device=device))
    else:
        model(grey)


if __name__ == "__main__":
    sys.exit(main())
