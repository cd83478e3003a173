"""From a request to a checkpoint: data, stages in order, saving, exact resume."""

import ctypes
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from studio import methods, paths
from studio.checkpoints import Card, CheckpointStore, check_name, compact, load_strict
from studio.data import loading
from studio.data.batch import DataSpec
from studio.data.folder import DataSet, open_set
from studio.errors import ConfigError, TrainingError
from studio.methods.base import GradientStage, Method, Objective
from studio.methods.evaluators import AttributeClassifier
from studio.training.samples import sample_sheet
from studio.training.trainer import Terms, Trainer

STATE = "state.safetensors"
STATE_CARD = "state.json"
PROGRESS = "progress.jsonl"
REQUEST = "request.json"
STATUS = "status.json"
STOP = "stop"
SAMPLINGS: dict[str, loading.Sampling] = {
    "uniform": loading.uniform,
    "contrast": loading.contrast,
}
# glibc's mallopt parameters (malloc.h).
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


@dataclass(frozen=True)
class TrainRequest:
    """Everything that decides what a training run does.

    Attributes:
        method: Key in ``METHODS``.
        tag: Second half of the checkpoint's name.
        data: Folder or zip of the data set.
        fields: Changed fields of the method's configuration.
        steps: Training steps.
        batch_size: Pictures per batch; a contrast batch has half of each kind.
        size: Of the pictures, in pixels.
        seed: Of weights, shuffling and noise.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        parent: Checkpoint whose averaged weights and critics training starts from, or empty.
        save_every: Steps from save to save; at most these are lost when the process is killed.
        terms: Under which terms the data may be used; the card repeats it.
        only: Classes of the data set to learn from, such as ``object=14`` or ``object=14,25``;
            everything where empty.
    """

    method: str
    tag: str
    data: str
    fields: dict[str, Any] = field(default_factory=dict)
    steps: int = 5000
    batch_size: int = 64
    size: int = 64
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    parent: str = ""
    save_every: int = 250
    terms: str = ""
    only: str = ""

    @property
    def name(self) -> str:
        """Of the checkpoint that the run makes."""
        return f"{self.method}.{self.tag}"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainRequest":
        """Build from JSON values and check them.

        Raises:
            ConfigError: A key is unknown or missing, or a value makes no sense.
        """
        known = {entry.name for entry in fields(cls)}
        unknown = values.keys() - known
        if unknown:
            raise ConfigError(f"A request has no {sorted(unknown)[0]!r}; it has {sorted(known)}.")
        missing = {"method", "tag", "data"} - values.keys()
        if missing:
            raise ConfigError(f"The request lacks {', '.join(sorted(missing))}.")
        request = cls(**values)
        request.check()
        return request

    def check(self) -> None:
        """Check what can be checked without the data.

        Raises:
            ConfigError: A value makes no sense.
            CheckpointError: The tag makes no checkpoint name.
        """
        method = methods.find(self.method)
        method.config.from_dict(self.fields)
        check_name(self.name)
        for name in ("steps", "batch_size", "size", "save_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}.")
        if self.batch_size % 2:
            raise ConfigError(f"batch_size must be even, not {self.batch_size}.")
        if self.precision not in {"auto", "fp32", "bf16"}:
            raise ConfigError(f"precision is auto, fp32 or bf16, not {self.precision!r}.")
        if self.only:
            read_only(self.only)


def read_only(text: str) -> tuple[str, list[str]]:
    """Read ``COLUMN=VALUE[,VALUE]``, as in :attr:`TrainRequest.only`.

    Returns:
        The column and its values, for :meth:`studio.data.folder.DataSet.where`.

    Raises:
        ConfigError: The text is not of this form.
    """
    column, _, listed = str(text).partition("=")
    values = [value.strip() for value in listed.split(",")]
    if not (column and all(values)):
        raise ConfigError(f"only is COLUMN=VALUE[,VALUE], such as object=14,25, not {text!r}.")
    return column, values


def pick_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device.

    Raises:
        ConfigError: The name is none of these, or there is no such device here.
    """
    if name not in {"auto", "cpu", "cuda"}:
        raise ConfigError(f"device is auto, cpu or cuda, not {name!r}.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("This machine has no usable CUDA device; choose auto or cpu.")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """Choose bf16 where the device computes it faster than fp32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if torch.cpu.get_capabilities().get("avx512_bf16", False) else "fp32"


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
    session = _Session(request, folder)
    if not session.train(report):
        return None
    return session.save_checkpoint(root)


class _Session:
    """One process's work on a run folder."""

    def __init__(self, request: TrainRequest, folder: Path) -> None:
        self.request = request
        self.folder = folder
        self.method: Method = methods.find(request.method)
        self.config = self.method.config.from_dict(request.fields)
        self.device = pick_device(request.device)
        self.data: DataSet = open_set(Path(request.data))
        if request.only:
            self.data = self.data.where(*read_only(request.only))
        self.train_part = self.data.part("train")
        self.spec = DataSpec(request.size, self.data.alignment, tuple(self.data.attributes))
        torch.manual_seed(request.seed)
        (self.stage,) = self.method.stages(self.config, self.spec)
        self.trainer = self._build(self.stage)
        self.batches = self._batches(self.stage)
        self.seconds = 0.0

    def _build(self, stage: GradientStage) -> Trainer:
        model = self.method.model(self.config, self.spec)
        objective = stage.objective(model)
        if stage.features:
            objective.features = self._feature_maps(stage.features)
        if self.request.parent:
            self._start_from_parent(objective)
        precision = pick_precision(self.request.precision, self.device)
        return Trainer(
            objective,
            stage,
            steps=self.request.steps,
            device=self.device,
            precision="bf16" if precision == "bf16" else "fp32",
        )

    def _start_from_parent(self, objective: Objective) -> None:
        store = CheckpointStore()
        parent = self.request.parent
        card = store.card(parent)
        if card.method != self.request.method:
            raise ConfigError(f"{parent} is a {card.method} checkpoint, not {self.request.method}.")
        weights = {f"model.{k}": v for k, v in store.load(parent)[0].state_dict().items()}
        load_strict(objective, {**weights, **store.critics(parent)}, parent)

    def _feature_maps(self, checkpoint: str) -> Callable[[Tensor], list[Tensor]]:
        """Load the evaluator whose feature maps a loss compares.

        A bound method, not a module: the evaluator is no part of what is trained or saved.
        """
        evaluator = CheckpointStore().load(checkpoint)[0].to(self.device)
        if not isinstance(evaluator, AttributeClassifier):
            raise ConfigError(f"{checkpoint} is no attribute classifier: it has no feature maps.")
        return evaluator.eval().requires_grad_(False).feature_maps

    def _batches(self, stage: GradientStage) -> loading.Batches:
        request = self.request
        sampling = SAMPLINGS[stage.sampling]
        rows = sampling(self.train_part, stage.attribute, request.batch_size, request.seed)
        return loading.Batches(
            self.train_part,
            request.size,
            self.spec.attributes,
            rows,
            seed=request.seed,
            flip=stage.flip,
        )

    def train(self, report: Callable[[int, Terms], None]) -> bool:
        """Run to the end; False when a stop file paused it."""
        self._restore()
        self.started = time.monotonic()
        progress = (self.folder / PROGRESS).open("a", encoding="utf-8")

        def after(step: int, terms: Terms) -> None:
            line = {"step": step, "seconds": round(self._elapsed(), 3), **terms}
            progress.write(json.dumps(line) + "\n")
            report(step, terms)
            if step % self.request.save_every == 0 or step == self.request.steps:
                progress.flush()
                self._save(step)

        with progress:
            self.trainer.fit(self.batches, lambda step: not self._stopped(), after)
        if self.trainer.step < self.request.steps:
            self._save(self.trainer.step)
            return False
        return True

    def _stopped(self) -> bool:
        return (self.folder / STOP).exists()

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def _save(self, step: int) -> None:
        """Write the state beside the old one, then exchange both files' roles by one rename."""
        state = f"{step:08d}.{STATE}"
        save_file(compact(self.trainer.state_dict()), self.folder / f"{state}.part")
        (self.folder / f"{state}.part").replace(self.folder / state)
        card = {
            "step": step,
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
            self.trainer.load_state_dict(state, card["step"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise TrainingError(
                f"The saved state in {self.folder} does not fit the request: {error}. "
                "Start the run in another folder."
            ) from error
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
        card = Card(
            name=request.name,
            method=request.method,
            config=self.config.to_dict(),
            data=self.spec.to_dict(),
            step=self.trainer.step,
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
            half(self.trainer.model.state_dict()),
            half(self._rest()),
        )

    def _totals(self) -> dict[str, float]:
        """Add this run's steps and minutes to those of all its ancestors."""
        steps, minutes = self.trainer.step, self.seconds_taken() / 60
        if self.request.parent:
            card = CheckpointStore().card(self.request.parent)
            steps += card.training.get("total_steps", card.step)
            minutes += card.training.get("total_minutes", card.training.get("minutes", 0))
        return {"total_steps": steps, "total_minutes": round(minutes, 1)}

    def seconds_taken(self) -> float:
        """Return the seconds of training, over all processes."""
        return self._elapsed()

    def _rest(self) -> dict[str, Tensor]:
        state = self.trainer.objective.state_dict()
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


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON beside and rename, so that no reader sees half a file."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)
