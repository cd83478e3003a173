"""From a request to a checkpoint: data, stages in order, saving, exact resume."""

import ctypes
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from studio import methods, paths
from studio.checkpoints import Card, CheckpointStore, compact, load_strict
from studio.data import loading
from studio.data.batch import DataSpec
from studio.data.folder import DataSet, Labelled, open_set
from studio.data.joined import JoinedSet
from studio.errors import CheckpointError, ConfigError, TrainingError
from studio.methods.base import FitStage, GradientStage, Method, Objective, Stage
from studio.methods.evaluators import AttributeClassifier
from studio.training.request import TrainRequest, pick_device, pick_precision, read_only
from studio.training.samples import sample_sheet
from studio.training.status import PROGRESS, REQUEST, STOP, write_json
from studio.training.trainer import Terms, Trainer

STATE = "state.safetensors"
STATE_CARD = "state.json"
# Whoever looks at a run sees lines that are at most so many seconds old.
_FLUSH_EVERY = 2.0
SAMPLINGS: dict[str, loading.Sampling] = {
    "uniform": loading.uniform,
    "contrast": loading.contrast,
}
# glibc's mallopt parameters (malloc.h).
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def run(
    request: TrainRequest,
    folder: Path,
    destination: Path | None = None,
    report: Callable[[int, Terms], None] = lambda step, terms: None,
) -> Path | None:
    """Train, or continue where the run folder's last save stands.

    Args:
        request: What to train.
        folder: The run folder; made if it does not exist.
        destination: Folder that gets the checkpoint, by default the person's own checkpoints.
        report: Called after every step with its number and terms.

    Returns:
        The checkpoint's folder, or None when a stop file paused the run.

    Raises:
        StudioError: The request, the data or the parent is not usable, or training diverged.
    """
    request.check()
    keep_memory()
    folder.mkdir(parents=True, exist_ok=True)
    root = destination or paths.user_checkpoints()
    if (root / request.name).exists():
        raise ConfigError(f"There is a checkpoint {request.name} already; choose another tag.")
    write_json(folder / REQUEST, asdict(request))
    session = _Session(request, folder, root)
    if not session.train(report):
        return None
    return session.save_checkpoint(root)


class _Session:
    """One process's work on a run folder."""

    def __init__(self, request: TrainRequest, folder: Path, root: Path) -> None:
        self.request = request
        self.folder = folder
        # A parent may stand where the child will, as in the folder of an experiment.
        self.store = CheckpointStore(root, *CheckpointStore().roots)
        self.method: Method = methods.find(request.method)
        self.config = self.method.config.from_dict({**self._parents_config(), **request.fields})
        self.device = pick_device(request.device)
        self.data: DataSet = open_set(Path(request.data))
        if request.only:
            self.data = self.data.where(*read_only(request.only))
        self.train_part: Labelled = self.data.part("train")
        if request.also:
            added = open_set(Path(request.also)).part("train")
            self.train_part = JoinedSet((self.data.part("train"), added))
        self.spec = DataSpec(request.size, self.data.alignment, self._attributes())
        torch.manual_seed(request.seed)
        stages = self.method.stages(self.config, self.spec)
        self.stages = [one for one in stages if isinstance(one, FitStage) or one.share > 0]
        self.ends = _ends(self.stages, request.steps)
        self.model: Any = self.method.model(self.config, self.spec)
        # What is left of objectives: critics and the algorithms' own state.
        self.rest: dict[str, Tensor] = {}
        if request.parent:
            self._start_from_parent()
        self.seconds = 0.0
        self._enter(0)

    def _attributes(self) -> tuple[str, ...]:
        """Return the attributes that can be learnt: some training pictures have them, some not."""
        names = tuple(self.data.attributes)
        labels = self.train_part.attribute_matrix(names)
        varied = (labels == 0).any(axis=0) & (labels == 1).any(axis=0)
        return tuple(name for name, varies in zip(names, varied, strict=True) if varies)

    def _enter(self, index: int) -> None:
        """Make a stage the present one."""
        self.index = index
        stage = self.stages[index]
        if isinstance(stage, GradientStage):
            self.trainer = self._build(stage)
            self.batches = self._batches(stage)

    @property
    def _start(self) -> int:
        """Steps that were taken when the present stage began."""
        return self.ends[self.index - 1] if self.index else 0

    def _build(self, stage: GradientStage) -> Trainer:
        objective = stage.objective(self.model)
        if stage.features:
            objective.features = self._feature_maps(stage.features)
        self._give_back(objective)
        precision = pick_precision(self.request.precision, self.device)
        return Trainer(
            objective,
            stage,
            steps=self.ends[self.index] - self._start,
            device=self.device,
            precision="bf16" if precision == "bf16" else "fp32",
        )

    def _parents_config(self) -> dict[str, Any]:
        """Return the configuration that the parent's weights fit; empty where there is none."""
        if not self.request.parent:
            return {}
        card = self.store.card(self.request.parent)
        if card.method != self.request.method:
            raise ConfigError(
                f"{card.name} is a {card.method} checkpoint, not {self.request.method}."
            )
        return card.config

    def _start_from_parent(self) -> None:
        store, parent = self.store, self.request.parent
        card = store.card(parent)
        try:
            load_strict(self.model, store.load(parent)[0].state_dict(), parent)
        except CheckpointError as error:
            raise self._other_attributes(card) or error from None
        self.rest = store.critics(parent)

    def _other_attributes(self, parent: Card) -> ConfigError | None:
        """Say how a parent's attributes differ from the data's, where that may be why it fails."""
        known, there = parent.spec.attributes, self.spec.attributes
        if known == there:
            return None
        missing = [name for name in known if name not in there]
        more = [name for name in there if name not in known]
        told = f"lacks {', '.join(missing)}" if missing else f"also has {', '.join(more)}"
        if not missing and not more:
            told = "has them in another order"
        return ConfigError(
            f"{parent.name} was trained on {len(known)} attributes and {self.data.name} has "
            f"{len(there)}: it {told}. Give it the same columns, or train without a parent."
        )

    def _give_back(self, objective: Objective) -> None:
        """Give an objective the critics that its parent's run left, all of them or none."""
        own = objective.state_dict()
        left = {name: tensor for name, tensor in self.rest.items() if name in own}
        # A stage that the parent's run left out has left nothing, and begins anew.
        if self.request.parent and (left or len(self.stages) == 1):
            model = {name: tensor for name, tensor in own.items() if name.startswith("model.")}
            load_strict(objective, {**model, **left}, self.request.parent)

    def _feature_maps(self, checkpoint: str) -> Callable[[Tensor], list[Tensor]]:
        """Load the evaluator whose feature maps a loss compares.

        A bound method, not a module: the evaluator is no part of what is trained or saved.
        """
        evaluator = self.store.load(checkpoint)[0].to(self.device)
        if not isinstance(evaluator, AttributeClassifier):
            raise ConfigError(f"{checkpoint} is no attribute classifier: it has no feature maps.")
        return evaluator.eval().requires_grad_(False).feature_maps

    def _batches(self, stage: GradientStage) -> loading.Batches:
        sampling = SAMPLINGS[stage.sampling]
        rows = sampling(
            self.train_part, stage.attribute, self.request.batch_size, self.request.seed
        )
        return self._read(rows, flip=stage.flip)

    def _read(self, rows: Callable[[int], loading.Indices], *, flip: bool) -> loading.Batches:
        request = self.request
        attributes = self.spec.attributes
        return loading.Batches(
            self.train_part, request.size, attributes, rows, seed=request.seed, flip=flip
        )

    def train(self, report: Callable[[int, Terms], None]) -> bool:
        """Run to the end; False when a stop file paused it."""
        self._restore()
        self.started = time.monotonic()
        while True:
            stage = self.stages[self.index]
            if isinstance(stage, FitStage):
                self._fit(stage)
            elif self._step(report):
                self._leave()
            else:
                return False
            if self.index == len(self.stages) - 1:
                return True
            self._enter(self.index + 1)

    def _step(self, report: Callable[[int, Terms], None]) -> bool:
        """Take the steps of a stage that gradients solve; False when a stop file paused it."""
        progress = (self.folder / PROGRESS).open("a", encoding="utf-8")
        begun, name = self._start, self.stages[self.index].name
        flushed = time.monotonic()

        def after(step: int, terms: Terms) -> None:
            nonlocal flushed
            done = begun + step
            line: dict[str, Any] = {"step": done, "seconds": round(self._elapsed(), 3)}
            if len(self.stages) > 1:
                line["stage"] = name
            progress.write(json.dumps({**line, **terms}) + "\n")
            report(done, terms)
            if time.monotonic() - flushed > _FLUSH_EVERY:
                progress.flush()
                flushed = time.monotonic()
            if done % self.request.save_every == 0 or done == self.ends[self.index]:
                progress.flush()
                self._save(done)

        with progress:
            self.trainer.fit(self.batches, lambda step: not self._stopped(), after)
        done = begun + self.trainer.step
        if done < self.ends[self.index]:
            self._save(done)
        return done == self.ends[self.index]

    def _fit(self, stage: FitStage) -> None:
        """Solve a stage that has no steps."""
        size, count = self.request.batch_size, min(len(self.train_part), stage.most)
        batches = self._read(loading.in_order(count, size), flip=False)
        model = self.model.to(self.device).eval()
        stage.fit(model, (next(batches).to(self.device) for _ in range(math.ceil(count / size))))

    def _leave(self) -> None:
        """Keep what the present stage has made: the weights to ship, and its critics."""
        self.model.load_state_dict(self.trainer.model.state_dict())
        self.rest |= _critics(self.trainer.objective)

    def _stopped(self) -> bool:
        return (self.folder / STOP).exists()

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def _save(self, step: int) -> None:
        """Write the state beside the old one, then exchange both files' roles by one rename."""
        state = f"{step:08d}.{STATE}"
        left = {f"rest.{name}": tensor for name, tensor in self.rest.items()}
        save_file(compact({**self.trainer.state_dict(), **left}), self.folder / f"{state}.part")
        (self.folder / f"{state}.part").replace(self.folder / state)
        card = {
            "step": step,
            "stage": self.index,
            "file": state,
            "position": self.batches.position,
            "seconds": self._elapsed(),
        }
        write_json(self.folder / STATE_CARD, card)
        for old in self.folder.glob(f"*.{STATE}"):
            if old.name != state:
                old.unlink()
        samples = sample_sheet(self.trainer.model, self.data.part("validation"), self.spec)
        if samples is not None:
            (self.folder / "samples").mkdir(exist_ok=True)
            (self.folder / "samples" / f"{step:08d}.png").write_bytes(samples)

    def _restore(self) -> None:
        if not (self.folder / STATE_CARD).is_file():
            (self.folder / PROGRESS).unlink(missing_ok=True)
            return
        card = json.loads((self.folder / STATE_CARD).read_text(encoding="utf-8"))
        state = load_file(self.folder / card["file"])
        try:
            self._enter(card.get("stage", 0))
            self.trainer.load_state_dict(state, card["step"] - self._start)
        except (RuntimeError, KeyError, ValueError, IndexError) as error:
            raise TrainingError(
                f"The saved state in {self.folder} does not fit the request: {error}. "
                "Start the run in another folder."
            ) from error
        left = {name: tensor for name, tensor in state.items() if name.startswith("rest.")}
        self.rest = {name.removeprefix("rest."): tensor for name, tensor in left.items()}
        self.batches.position = card["position"]
        self.seconds = card["seconds"]
        self._drop_later_lines(card["step"])

    def _drop_later_lines(self, step: int) -> None:
        """Drop progress of steps that will be taken again."""
        path = self.folder / PROGRESS
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            # A killed process may leave half a line, which no save knows of.
            if line.endswith("}") and json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        path.write_text("".join(kept), encoding="utf-8")

    def save_checkpoint(self, root: Path) -> Path:
        """Write the finished checkpoint; critics in half precision, they only start training."""
        request = self.request
        source = f"{self.data.name} ({request.only})" if request.only else self.data.name
        source += f" with {Path(request.also).name}" if request.also else ""
        card = Card(
            name=request.name,
            method=request.method,
            config=self.config.to_dict(),
            data=self.spec.to_dict(),
            step=request.steps,
            parent=request.parent,
            seed=request.seed,
            data_set=f"{source}, {len(self.train_part)} training pictures",
            terms=request.terms,
            training={
                "batch_size": request.batch_size,
                "minutes": round(self.seconds_taken() / 60, 1),
                **self._totals(),
                "device": str(self.device),
                "precision": self.trainer.precision,
            },
        )
        return CheckpointStore.save(
            root,
            card,
            half(self.model.state_dict()),
            half(self.rest),
        )

    def _totals(self) -> dict[str, float]:
        """Add this run's steps and minutes to those of all its ancestors."""
        steps, minutes = self.request.steps, self.seconds_taken() / 60
        if self.request.parent:
            card = self.store.card(self.request.parent)
            steps += card.training.get("total_steps", card.step)
            minutes += card.training.get("total_minutes", card.training.get("minutes", 0))
        return {"total_steps": steps, "total_minutes": round(minutes, 1)}

    def seconds_taken(self) -> float:
        """Return the seconds of training, over all processes."""
        return self._elapsed()


def _ends(stages: Sequence[Stage], steps: int) -> list[int]:
    """Share a run's steps out: return how many were taken at the end of each stage.

    Raises:
        ConfigError: There are fewer steps than stages that need some.
    """
    shares = [one.share if isinstance(one, GradientStage) else 0.0 for one in stages]
    if not any(shares):
        raise ConfigError("All stages have the share 0: nothing would be trained.")
    ends = [round(steps * total / sum(shares)) for total in accumulate(shares)]
    taken = [end - before for before, end in pairwise([0, *ends])]
    for stage, share, count in zip(stages, shares, taken, strict=True):
        if share > 0 and count == 0:
            raise ConfigError(
                f"{steps} steps leave none for the stage {stage.name!r}; ask for more steps."
            )
    return ends


def _critics(objective: Objective) -> dict[str, Tensor]:
    """Return an objective's state without its model."""
    state = objective.state_dict()
    return {name: t for name, t in state.items() if not name.startswith("model.")}


def half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store floating tensors in half precision: the file shrinks, the pictures do not change."""
    return {name: t.half() if t.is_floating_point() else t for name, t in state.items()}


def keep_memory() -> None:
    """Tell glibc to keep freed memory instead of giving it back to the system.

    A training step frees and takes hundreds of large tensors; handing each back and having it
    zeroed again by the kernel costs more than the convolutions themselves.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_MAX, 0)
            libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
