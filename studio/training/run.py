"""From a request to a checkpoint: data, stages in order, saving, exact resume."""

import ctypes
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from studio import courtesy, paths, together
from studio.checkpoints import Card, CheckpointStore
from studio.data import loading
from studio.errors import ConfigError, TrainingError, is_full
from studio.methods.base import FitStage, GradientStage, Objective
from studio.training.best import Best
from studio.training.guards import DivergenceError, Guard
from studio.training.heldout import LEAST, HeldOut
from studio.training.parents import Origin
from studio.training.preparing import Prepared
from studio.training.progress import Progress, drop_later
from studio.training.request import TrainRequest
from studio.training.samples import sample_sheet
from studio.training.saves import STATE, Save, Saves
from studio.training.status import (
    FINISH,
    NOTES,
    PROGRESS,
    REQUEST,
    SAMPLE,
    SAVE,
    SHEETS,
    STOP,
    add_note,
    answered,
    write_json,
)
from studio.training.trainer import Terms, below

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
    if together.rank() == 0:
        write_json(folder / REQUEST, asdict(request))
    try:
        session = _Session(request, folder, root)
        if not session.train(report):
            return None
        if not session.leads:
            return root / request.name
        return session.save_checkpoint(root)
    except (OSError, SafetensorError) as error:
        if not is_full(error):
            raise
        raise TrainingError(
            f"There is no space left for {folder} ({error}). The run stands at its last save; free "
            "some space and resume it."
        ) from error


class _Session:
    """One process's work on a run folder."""

    def __init__(self, request: TrainRequest, folder: Path, root: Path) -> None:
        self.request = request
        self.folder = folder
        self.saves = Saves(folder)
        self.origin = Origin.of(request, root, folder)
        # Everything is in a save, and the parent may have gone since.
        self.prepared = Prepared(request, root, self.origin, anew=not self.saves.kept())
        self.stages, self.ends = self.prepared.stages, self.prepared.ends
        self.model, self.rest = self.prepared.model, self.prepared.rest
        self.spec, self.device = self.prepared.spec, self.prepared.device
        self.data = self.prepared.data
        self.seconds = 0.0
        # Steps that were taken when the last stage ended.
        self.taken = 0
        self.leads = together.rank() == 0
        self.held_out = HeldOut(self.data.part("validation"), self.spec, self.device)
        self.parts = 1
        self.best = Best(folder, request.patience)
        self.finishing = False
        self._check_patience()
        self._enter(0)

    def _check_patience(self) -> None:
        """Refuse to stop early where nothing says when.

        Raises:
            ConfigError: The method or the data gives no held-out result to wait for.
        """
        if not self.request.patience:
            return
        title = self.prepared.method.title
        if sum(isinstance(one, GradientStage) for one in self.stages) > 1:
            raise ConfigError(f"{title} trains in stages; it cannot stop early.")
        if self.held_out.error(self.model.to(self.device)) is None:
            raise ConfigError(
                f"To stop early, {title} needs a result on held-out pictures: either it has none, "
                f"or the validation part of {self.data.name} has fewer than {LEAST}. Set patience "
                "to 0."
            )

    def _enter(self, index: int) -> None:
        """Make a stage the present one."""
        self.index = index
        stage = self.stages[index]
        if isinstance(stage, GradientStage):
            steps = self.ends[index] - self._start
            self.trainer = self.prepared.trainer(stage, steps)
            self.batches = self._batches(stage)
            self.guard = Guard(self.trainer.steps)

    @property
    def _start(self) -> int:
        """Steps that were taken when the present stage began."""
        return self.ends[self.index - 1] if self.index else 0

    def _batches(self, stage: GradientStage) -> loading.Batches:
        sampling = SAMPLINGS[stage.sampling]
        whole = self.request.batch_size * together.size()
        rows = sampling(self.prepared.train_part, stage.attribute, whole, self.request.seed)
        return self._read(rows, flip=stage.flip, shared=True)

    def _read(self, rows: Callable[[int], loading.Indices], **options: bool) -> loading.Batches:
        return loading.Batches(
            self.prepared.train_part,
            self.request.size,
            self.spec.attributes,
            rows,
            seed=self.request.seed,
            classes=self.spec.classes,
            device=self.device,
            **options,
        )

    def train(self, report: Callable[[int, Terms], None]) -> bool:
        """Run to the end; False when somebody paused it.

        Raises:
            DivergenceError: Training went wrong; the run stands at its last good save.
        """
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
        """Take the steps of a stage that gradients solve; False when somebody paused it."""
        with Progress(self.folder, leads=self.leads) as progress:

            def after(step: int, terms: Terms) -> None:
                done = self._start + step
                line = self._line(done, terms)
                self.guard.see(step, terms)
                due = done % self.request.save_every == 0 or done == self.ends[self.index]
                if due:
                    line |= self._look(step)
                progress.add(line)
                report(done, terms)
                self._tell_parts(done)
                if due:
                    progress.flush()
                    self._save(done)

            self.progress = progress
            try:
                self.trainer.fit(self.batches, self._before, after)
                done = self._start + self.trainer.step
                ended = self.finishing or self.best.is_over
                if ended or done < self.ends[self.index]:
                    self._save(done)
            except DivergenceError as error:
                raise self._rolled_back(error) from error
        return ended or done == self.ends[self.index]

    def _before(self, step: int) -> bool:
        """Do what was asked for, and say whether to go on."""
        courtesy.give_way(self.device.type)
        # Only one process reads and answers; the others hear of it.
        here = self.leads
        stop, finish, save, sample = together.agree(
            (
                here and (self.folder / STOP).exists(),
                here and (self.folder / FINISH).exists(),
                here and answered(self.folder, SAVE),
                here and answered(self.folder, SAMPLE),
            )
        )
        done = self._start + step
        if save:
            self._save(done)
        elif sample:
            self._draw_samples(done)
        self.finishing = finish and self._may_finish(done)
        return not (stop or self.finishing or self.best.is_over)

    def _may_finish(self, done: int) -> bool:
        """Say whether what follows could do without the steps that are left."""
        rest = self.stages[self.index + 1 :]
        later = [one.name for one in rest if isinstance(one, GradientStage)]
        missing = f"the stage {later[0]} has not begun" if later else ""
        missing = missing or ("" if done else "nothing was trained yet")
        if missing and self.leads:
            (self.folder / FINISH).unlink(missing_ok=True)
            add_note(self.folder, done, f"It cannot end here: {missing}. It goes on.")
        return not missing

    def _line(self, done: int, terms: Terms) -> dict[str, Any]:
        """Return what is written of a step."""
        line: dict[str, Any] = {"step": done, "seconds": round(self._elapsed(), 3)}
        if len(self.stages) > 1:
            line["stage"] = self.stages[self.index].name
        return {**line, **terms}

    def _tell_parts(self, done: int) -> None:
        """Say it when memory ran out and batches are taken in parts."""
        if self.trainer.parts == self.parts:
            return
        self.parts = self.trainer.parts
        self._note(
            done,
            f"Memory ran out: each batch of {self.request.batch_size} is taken in {self.parts} "
            "parts from here on, which is slower and trains nearly the same.",
        )

    def _tell_attributes(self) -> None:
        """Say which attributes a child learns anew, and which it does not know any more."""
        parent = self.prepared.parent
        if parent and parent.new:
            add_note(self.folder, 0, f"{parent.name} did not know {', '.join(parent.new)}.")
        if parent and parent.forgotten:
            add_note(
                self.folder,
                0,
                f"{self.data.name} has no {', '.join(parent.forgotten)} to learn from, which "
                f"{parent.name} knew: the new checkpoint will not know it.",
            )

    def _note(self, done: int, text: str) -> None:
        if self.leads:
            add_note(self.folder, done, text)

    def _look(self, step: int) -> dict[str, float]:
        """Look at held-out pictures before a save: is it going well, and better than before?

        Raises:
            DivergenceError: The pictures are all the same.
        """
        model = self.trainer.model
        trouble = None
        try:
            self.guard.see_samples(step, self.held_out.diversity(model))
        except DivergenceError as found:
            trouble = found
        # Processes that stop must all do so.
        if together.agree([trouble is not None])[0]:
            raise trouble or DivergenceError("The model's pictures are all the same", step - 1)
        error = self.held_out.error(model)
        if error is None:
            return {}
        state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        state |= {f"rest.{name}": one for name, one in _critics(self.trainer.objective).items()}
        self.best.compare(self._start + step, error, state)
        return {"held_out": round(error, 6)}

    def _rolled_back(self, error: DivergenceError) -> DivergenceError:
        """Go back to the last good save, and say what happened."""
        done = self._start + self.trainer.step
        back = self.saves.roll_back(self._start + error.since) if self.leads else 0
        text = (
            f"{error} at step {done}: training stopped and went back to "
            + (f"its last good save, step {back}" if back else "its beginning, having no save")
            + ". Clone the job with a lower learning rate"
            + (", or finish it where it stands." if back else ".")
        )
        self._note(done, text)
        return DivergenceError(text, error.since)

    def _fit(self, stage: FitStage) -> None:
        """Solve a stage that has no steps."""
        size, count = self.request.batch_size, min(len(self.prepared.train_part), stage.most)
        batches = self._read(loading.in_order(count, size), flip=False)
        model = self.model.to(self.device).eval()
        stage.fit(model, (next(batches) for _ in range(math.ceil(count / size))))

    def _leave(self) -> None:
        """Keep what the present stage has made: the weights to ship, and its critics."""
        self.taken = self._start + self.trainer.step
        self.model.load_state_dict(self.trainer.model.state_dict())
        self.rest.update(_critics(self.trainer.objective))
        if not self.best.is_over:
            return
        kept = self.best.load()
        self.model.load_state_dict(below(kept, "model."))
        self.rest.update(below(kept, "rest."))
        self._note(
            self.taken,
            "It ended early: the result on pictures that it does not learn from was best at step "
            f"{self.best.step}, and the checkpoint is what it was then.",
        )
        self.taken = self.best.step

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def _save(self, step: int) -> None:
        """Keep everything that the next step depends on, and show what the model does."""
        left = {f"rest.{name}": tensor for name, tensor in self.rest.items()}
        state = {**self.trainer.state_dict(), **left}
        broken = [name for name, one in state.items() if not torch.isfinite(one).all()]
        if broken:
            raise DivergenceError(
                f"{broken[0]} has values that are no numbers", self.trainer.step - 1
            )
        if not self.leads:
            return
        self.progress.flush()
        save = Save(
            step=step,
            file=f"{step:08d}.{STATE}",
            stage=self.index,
            position=self.batches.position,
            seconds=self._elapsed(),
            facts={"best": self.best.to_dict(), "data": self.data.digest},
        )
        self.saves.write(save, state)
        self._draw_samples(step)

    def _draw_samples(self, step: int) -> None:
        """Write a sheet of the same held-out pictures each time."""
        if not self.leads:
            return
        samples = sample_sheet(self.trainer.model, self.data.part("validation"), self.spec)
        if samples is not None:
            (self.folder / SHEETS).mkdir(exist_ok=True)
            (self.folder / SHEETS / f"{step:08d}.png").write_bytes(samples)

    def _restore(self) -> None:
        saves = self.saves.kept()
        if not saves:
            if self.leads:
                for old in (PROGRESS, NOTES):
                    (self.folder / old).unlink(missing_ok=True)
                self._tell_attributes()
            return
        save, state = self._readable(saves)
        try:
            self._enter(save.stage)
            self.trainer.load_state_dict(state, save.step - self._start)
        except (RuntimeError, KeyError, ValueError, IndexError) as error:
            raise TrainingError(
                f"The saved state in {self.folder} does not fit the request: {error}. "
                "Start the run in another folder."
            ) from error
        self.rest.clear()
        self.rest.update(below(state, "rest."))
        self.batches.position = save.position
        self.seconds = save.seconds
        self.parts = self.trainer.parts
        self.best.restore(save.facts.get("best", {}))
        if save.facts.get("data", self.data.digest) != self.data.digest:
            self._note(
                save.step, f"{self.data.name} was changed since this save; it goes on with it."
            )
        if self.leads:
            drop_later(self.folder, save.step)

    def _readable(self, saves: list[Save]) -> tuple[Save, dict[str, Tensor]]:
        """Return the newest save whose tensors can be read.

        Raises:
            TrainingError: None can.
        """
        for save, is_last in ((one, one is saves[-1]) for one in saves):
            try:
                return save, self.saves.read(save)
            except TrainingError as error:
                if is_last:
                    raise
                self._note(save.step, f"{error} It goes on from the save before.")
        raise ValueError("There are no saves.")

    def save_checkpoint(self, root: Path) -> Path:
        """Write the finished checkpoint; critics in half precision, they only start training."""
        request = self.request
        source = f"{self.data.name} ({request.only})" if request.only else self.data.name
        source += f" with {Path(request.also).name}" if request.also else ""
        card = Card(
            name=request.name,
            method=request.method,
            config=self.prepared.config.to_dict(),
            data=self.spec.to_dict(),
            step=self.taken,
            parent=request.parent,
            seed=request.seed,
            data_set=f"{source}, {len(self.prepared.train_part)} training pictures",
            terms=request.terms,
            training={
                "batch_size": request.batch_size * together.size(),
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
        minutes = self.origin.minutes + self.seconds_taken() / 60
        return {
            "total_steps": self.origin.steps + self.taken,
            "total_minutes": round(minutes, 1),
        }

    def seconds_taken(self) -> float:
        """Return the seconds of training, over all processes."""
        return self._elapsed()


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
