"""The autoencoders of the AEAI experiments, trained alike on one set of pictures around a turn.

Every method gets the same number of steps and pictures and the settings that one search with the
same number of trials for each found (``benchmarks/interpolation_search.py``). All tables share the
runs, so that each model is trained once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from studio.checkpoints import NAME_CHARACTERS, CheckpointStore, ModelCache
from studio.data.folder import PARTITIONS, DataSet, open_set
from studio.data.turns import NOBODY, Rows, Turns, require_turns
from studio.errors import ConfigError, UnsupportedError
from studio.evaluation.bench import Bench
from studio.evaluation.interpolation import CrossFade
from studio.images import Picture, to_images
from studio.latents import Latents
from studio.methods.base import LatentModel
from studio.render import pole
from studio.reproduce.options import ReproduceOptions, train_once, trained
from studio.training.request import TrainRequest, read_only

STEPS = 4000
BATCH_SIZE = 32
FADE = "Cross-fade"
SPLITS = ("held-out", "seen")
# Where several objects are in a set, a model learns one of them, as in the paper.
OBJECT = "object"

# The best of five trials of 800 steps at 32 pixels (of three for GAIA, whose step costs as much as
# six of the plain autoencoder's), on a validation part that was taken out of the training part; {}
# is the method's default. A learning rate of 0.004 won with AEAI, ACAI and GAIA, but did not repeat
# with more steps: AEAI's second best trial stands here, half of that rate for GAIA, and a quarter
# for ACAI, whose unbounded critic exploded after 1,300 steps at half.
SETTINGS: dict[str, dict[str, Any]] = {
    "aeai": {
        "lr": 0.002,
        "reconstruction": "l1",
        "adversarial_weight": 0.001,
        "cycle_weight": 0.1,
        "smoothness_weight": 0.003,
    },
    "aae": {},
    "acai": {"lr": 0.001, "real_share": 0.1},
    "beta_vae": {"lr": 0.002, "beta": 0.1},
    "amr": {},
    "gaia": {
        "lr": 0.002,
        "reconstruction": "l2",
        "adversarial_weight": 0.15,
        "distance_weight": 0.05,
    },
    "autoencoder": {"lr": 0.002, "reconstruction": "l1"},
}


@dataclass(frozen=True)
class Contestant:
    """One way to train.

    Attributes:
        label: In tables and figures.
        method: Key in ``METHODS``.
        tag: In the checkpoint's name, where it is not the method's own form.
        fields: Of its configuration, on top of ``SETTINGS``.
    """

    label: str
    method: str
    tag: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


AEAI = Contestant("AEAI", "aeai")
PLAIN = Contestant("Autoencoder", "autoencoder")
CONTESTANTS = (
    AEAI,
    Contestant("AAE", "aae"),
    Contestant("ACAI", "acai"),
    Contestant("Beta-VAE", "beta_vae"),
    Contestant("AMR", "amr"),
    Contestant("GAIA", "gaia"),
    PLAIN,
)


@dataclass(frozen=True, eq=False)
class Run:
    """A trained contestant, or the cross-fade.

    Attributes:
        label: In tables and figures.
        seed: Of the training run.
        bench: The model.
        codes: Of all pictures of the contest.
    """

    label: str
    seed: int
    bench: Bench
    codes: Latents


@dataclass(frozen=True, eq=False)
class Contest:
    """What is learnt, and who learns it.

    Attributes:
        options: Of the table.
        location: Folder or zip of the pictures.
        data: The pictures.
        turns: Their order around the turn.
    """

    options: ReproduceOptions
    location: Path
    data: DataSet
    turns: Turns

    @cached_property
    def pictures(self) -> Picture:
        """All pictures, (N, S, S, 3) uint8."""
        return np.array(self.data.pictures(self.options.size))

    @cached_property
    def images(self) -> Tensor:
        """All pictures, (N, 3, S, S) in [-1, 1] on the CPU."""
        return to_images(self.pictures)

    @cached_property
    def angles(self) -> Tensor:
        """Degrees of all pictures around the turn, (N,)."""
        return self.factor(self.turns.factor)

    def factor(self, name: str) -> Tensor:
        """Return the true values of a factor, (N,)."""
        return torch.from_numpy(self.data.factors[name]).float()

    @property
    def steps(self) -> int:
        """Training steps of every contestant."""
        return self.options.steps or STEPS

    def splits(self, rows: Rows) -> dict[str, Tensor]:
        """Say which pictures of intervals were held out of training and which were seen, (P, K)."""
        there, trained_on = rows != NOBODY, self.data.partition[rows] == PARTITIONS["train"]
        masks = (there & ~trained_on, there & trained_on)
        return dict(zip(SPLITS, map(torch.from_numpy, masks), strict=True))

    def runs(self, contestants: Sequence[Contestant], seeds: int | None = None) -> Iterator[Run]:
        """Train every contestant with every seed; the cross-fade comes first.

        Args:
            contestants: In the order of the table.
            seeds: Repetitions, by default those of the options.
        """
        yield self._run(FADE, 0, CrossFade(), torch.device("cpu"))
        for contestant in contestants:
            yield from self.trained(contestant, seeds)

    def trained(self, contestant: Contestant, seeds: int | None = None) -> Iterator[Run]:
        """Train one contestant with every seed."""
        models = ModelCache(CheckpointStore(trained(self.options)), self.options.models.device)
        for seed in range(seeds or self.options.seeds):
            checkpoint = train_once(self.options, self.request(contestant, seed))
            model = models.get(checkpoint).model
            if not isinstance(model, LatentModel):
                raise UnsupportedError(f"{checkpoint} does not interpolate.")
            yield self._run(contestant.label, seed, model, models.device)

    def _run(self, label: str, seed: int, model: LatentModel, device: torch.device) -> Run:
        bench = Bench(model, self.options.size, device)
        return Run(label, seed, bench, bench.encode(self.pictures))

    def request(self, contestant: Contestant, seed: int) -> TrainRequest:
        """Return what trains a contestant."""
        options = self.options
        parts = [_slug(self.data.name), _slug(options.only.partition("=")[2]), contestant.tag]
        parts += [str(options.size), str(self.steps), f"seed{seed}"]
        return TrainRequest(
            method=contestant.method,
            tag="-".join(part for part in parts if part),
            data=str(self.location),
            only=options.only,
            fields={**SETTINGS[contestant.method], **contestant.fields},
            steps=self.steps,
            batch_size=BATCH_SIZE,
            size=options.size,
            seed=seed,
            device=options.models.device.type,
            terms="" if options.data else "Rendered by Latent Studio.",
        )


def open_contest(options: ReproduceOptions) -> Contest:
    """Open the pictures of ``options.data``, or render the pole below ``options.output``.

    Raises:
        DataError: The pictures do not stand at equal steps around a full turn.
        ConfigError: They show several objects, of which none is chosen.
    """
    location = options.data or _rendered(options)
    data = open_set(location)
    if options.only:
        data = data.where(*read_only(options.only))
    objects = np.unique(data.classes.get(OBJECT, np.zeros(0, np.str_)))
    if len(objects) > 1:
        raise ConfigError(
            f"{data.name} shows {len(objects)} objects and a model learns one: choose it with "
            f"--only object={objects[0]}."
        )
    return Contest(options, location, data, require_turns(data))


def _rendered(options: ReproduceOptions) -> Path:
    folder = options.output / f"pole-{options.size}"
    if not (folder / "attributes.csv").is_file():
        options.report("Rendering the pole under 576 lights.")
        pole.write_set(folder, options.size)
    return folder


def _slug(text: str) -> str:
    """Return a text in characters of which a checkpoint's name is made."""
    return "".join(sign if sign in NAME_CHARACTERS else "-" for sign in text.lower())
