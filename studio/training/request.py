"""What decides a training run, and the device it runs on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch

from studio import methods
from studio.checkpoints import check_name
from studio.errors import ConfigError


@dataclass(frozen=True)
class TrainRequest:
    """Everything that decides what a training run does.

    Attributes:
        method: Key in ``METHODS``.
        tag: Second half of the checkpoint's name.
        data: Folder or zip of the data set.
        fields: Changed fields of the method's configuration, or of the parent's where there is one:
            its weights fit no other.
        steps: Training steps, of all stages together.
        batch_size: Pictures per batch; a contrast batch has half of each kind.
        size: Of the pictures, in pixels.
        seed: Of weights, shuffling and noise.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        parent: Checkpoint whose averaged weights and critics training starts from, or empty.
        save_every: Steps from save to save; at most these are lost when the process is killed.
        terms: Under which terms the data may be used; the card repeats it.
        only: Classes of the data set to learn from, such as ``object=14`` or ``object=14,25``;
            everything where empty.
        also: Folder or zip of another set whose training pictures are added, such as one that
            ``augment`` made; nothing is held out of it.
        patience: Saves without a better result on held-out pictures after which training ends with
            the best one, for sets so small that they are soon learnt by heart; 0 trains all steps.
        processes: Processes that train together, one to a device, each on batches of
            ``batch_size``; a job starts so many. Under torchrun its own number counts.
        compile: Let torch compile the networks, which pays on long runs.
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
    also: str = ""
    patience: int = 0
    processes: int = 1
    compile: bool = False

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
        for name in ("steps", "batch_size", "size", "save_every", "processes", "patience"):
            value, least = getattr(self, name), int(name != "patience")
            if not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"{name} must be a whole number of at least {least}, not {value!r}."
                )
        if self.batch_size % 2:
            raise ConfigError(f"batch_size must be even, not {self.batch_size}.")
        if not isinstance(self.compile, bool):
            raise ConfigError(f"compile is true or false, not {self.compile!r}.")
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
    """Turn ``auto``, ``cpu``, ``cuda`` or ``mps`` into a device.

    Raises:
        ConfigError: The name is none of these, or there is no such device here.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, usable in there.items() if usable))
    if name not in there:
        raise ConfigError(f"device is auto, cpu, cuda or mps, not {name!r}.")
    if not there[name]:
        raise ConfigError(f"This machine has no usable {name} device; choose auto or cpu.")
    return torch.device(name)


def check_processes(request: TrainRequest) -> None:
    """Refuse more processes than this machine can give a device of their own.

    Raises:
        ConfigError: There are too many.
    """
    device = pick_device(request.device).type
    most = {"cuda": torch.cuda.device_count(), "mps": 1}.get(device, os.cpu_count() or 1)
    if request.processes > most:
        what = "cores" if device == "cpu" else "devices"
        raise ConfigError(
            f"{request.processes} processes were asked for, and this machine has {most} {what}; "
            f"ask for {most} at most."
        )


def pick_precision(name: str, device: torch.device) -> str:
    """Choose bf16 where the device computes it faster than fp32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if torch.cpu.get_capabilities().get("avx512_bf16", False) else "fp32"
