"""Checkpoints: the card, the store on disk and the cache of loaded models."""

import ctypes
import hashlib
import json
import math
import shutil
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from studio import courtesy, methods, paths
from studio.data.batch import DataSpec
from studio.errors import CheckpointError, ConfigError
from studio.latents import Latents
from studio.methods.base import Config, Method, Operation
from studio.nn.folding import fold_batch_norm

FORMAT = 1
CARD = "card.json"
MODEL = "model.safetensors"
CRITICS = "critics.safetensors"
SAMPLES = "samples.png"
# Latents of pictures of the model's own, for people who have none of the kind that it knows.
CODES = "codes.safetensors"
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
# A card takes a few kilobytes.
_MOST_CARD_BYTES = 2**20
# What a card may ask for without telling of it by the shapes of its weights.
_MOST_PIXELS_A_SIDE, _MOST_ATTRIBUTES = 1024, 1000
# Settings that count layers; a network has at least one tensor for each.
_LAYERS = ("levels", "blocks", "depth")


@dataclass(frozen=True)
class Card:
    """What a checkpoint is and where it comes from; listing reads only this.

    Attributes:
        name: ``METHOD.TAG``, the folder's name.
        method: Key in ``METHODS``.
        config: The method's configuration as plain values.
        data: The data description as plain values.
        step: Training steps of the run, over all its stages.
        parent: Checkpoint that training started from, or empty.
        seed: Of the training run.
        data_set: Name and number of training pictures.
        terms: Under which terms the training data may be used.
        training: Batch size, minutes, device and other facts of the run.
        metrics: Measured numbers, by name.
        command: The command that repeats the measurement.
        support: 16 rows of 16 numbers in [0, 1]: how strongly a swap changes each place of the
            crop on average over held-out pairs; empty where it was not measured.
        hashes: SHA-256 by tensor file.
        format: Of the folder's layout.
    """

    name: str
    method: str
    config: dict[str, Any]
    data: dict[str, Any]
    step: int
    parent: str = ""
    seed: int = 0
    data_set: str = ""
    terms: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    command: str = ""
    support: list[list[float]] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def spec(self) -> DataSpec:
        """The pictures that the model expects."""
        return DataSpec.from_dict(self.data)

    @property
    def entry(self) -> Method:
        """The method's row of ``METHODS``."""
        return methods.find(self.method)

    @property
    def typed_config(self) -> Config:
        """The configuration as the method's own class."""
        return self.entry.config.from_dict(self.config)

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """Read a checkpoint's card.

        Raises:
            CheckpointError: It is missing, damaged, or newer than this program.
        """
        try:
            values = _read_json(folder / CARD)
            if values.get("format", 0) > FORMAT:
                raise CheckpointError(
                    f"The checkpoint {folder.name} has format {values['format']}, this program "
                    f"reads up to {FORMAT}: update Latent Studio to use it."
                )
            card = cls(**values)
            _check_values(card)
            return card
        except FileNotFoundError as error:
            raise CheckpointError(
                f"There is no checkpoint at {folder}: it has no {CARD}."
            ) from error
        except OSError as error:
            raise CheckpointError(
                f"The card of {folder.name} cannot be read: {error.strerror or error}."
            ) from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"The card of {folder.name} is damaged: {error}.") from error

    @property
    def text(self) -> str:
        """The card as it is written."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def write(self, folder: Path) -> None:
        """Write the card into a checkpoint's folder."""
        beside = folder / f"{CARD}.part"
        beside.write_text(self.text, encoding="utf-8")
        beside.replace(folder / CARD)


def _read_json(path: Path) -> Any:
    """Read JSON that can be written and shown again; ``ValueError`` where it cannot."""
    with path.open("rb") as file:
        content = file.read(_MOST_CARD_BYTES + 1)
    if len(content) > _MOST_CARD_BYTES:
        raise ValueError(f"it has more than {_MOST_CARD_BYTES // 2**20} MB")
    values = json.loads(content.decode("utf-8"))
    # JSON knows escapes that are no letters, and Python reads numbers that are none.
    json.dumps(values, ensure_ascii=False, allow_nan=False).encode("utf-8")
    return values


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    # More than 64 bits cannot be sent to the page.
    return type(value) is int and -(2**63) <= value < 2**64


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool) or _is_number(value)


def _is_table(value: Any, is_sound: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(is_sound(one) for one in value.values())


def _is_list(value: Any, is_sound: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(is_sound(one) for one in value)


def _is_spec(data: Any) -> bool:
    """Say whether a data description is one, of no more than a picture can have."""
    if not _is_table(data, lambda one: True) or not _is_whole(data.get("size")):
        return False
    attributes, classes = data.get("attributes"), data.get("classes", {})
    return (
        1 <= data["size"] <= _MOST_PIXELS_A_SIDE
        and _is_text(data.get("alignment", ""))
        and _is_list(attributes, _is_text)
        and _is_table(classes, lambda known: _is_list(known, _is_text))
        and len(attributes) + sum(map(len, classes.values())) <= _MOST_ATTRIBUTES
        and set(data) <= {"size", "alignment", "attributes", "classes"}
    )


def _is_training(facts: Any) -> bool:
    numbers = ("batch_size", "minutes", "total_steps", "total_minutes")
    return _is_table(facts, _is_plain) and all(
        _is_number(facts[name]) for name in numbers if name in facts
    )


def _is_support(rows: Any) -> bool:
    def is_share(value: Any) -> bool:
        return _is_number(value) and 0 <= value <= 1

    return _is_list(rows, lambda row: _is_list(row, is_share) and 0 < len(row) == len(rows[0]))


# What a card's fields have to be, and how that is said.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(
        ("name", "method", "parent", "data_set", "terms", "command"), (_is_text, "a text")
    ),
    **dict.fromkeys(("step", "seed", "format"), (_is_whole, "a whole number")),
    "config": (lambda own: _is_table(own, _is_plain), "texts and numbers by name"),
    "data": (
        _is_spec,
        f"a size of 1 to {_MOST_PIXELS_A_SIDE}, an alignment, attributes and classes",
    ),
    "training": (_is_training, "texts and numbers by name, steps and minutes numbers"),
    "metrics": (lambda own: _is_table(own, _is_number), "numbers by name"),
    "support": (_is_support, "rows of one length of numbers from 0 to 1"),
    "hashes": (lambda own: _is_table(own, _is_text), "texts by the name of a file"),
}


def _check_values(card: Card) -> None:
    """Refuse values that no checkpoint has; anybody may have written the card."""
    for name, (is_sound, expected) in _FIELDS.items():
        if not is_sound(getattr(card, name)):
            raise ValueError(f"its {name!r} must be {expected}")


class CheckpointStore:
    """The checkpoints on disk: those that ship with the program and the person's own."""

    def __init__(self, *roots: Path) -> None:
        """Look in the given folders, by default the person's own and then the shipped ones."""
        self._roots = roots

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders; whose own they are depends on who asks."""
        return self._roots or (paths.user_checkpoints(), paths.SHIPPED_CHECKPOINTS)

    def names(self, operation: Operation | None = None) -> list[str]:
        """List the checkpoints, of one operation if asked; damaged ones are left out."""
        return [
            card.name
            for card in self.cards()
            if operation is None or operation in card.entry.operations
        ]

    def cards(self) -> list[Card]:
        """Read the cards of all usable checkpoints, sorted by name."""
        return [entry for entry in self._entries() if isinstance(entry, Card)]

    def problems(self) -> list[str]:
        """Say what is wrong with the folders that are no usable checkpoint."""
        return [str(entry) for entry in self._entries() if isinstance(entry, CheckpointError)]

    def _entries(self) -> list[Card | CheckpointError]:
        entries: dict[str, Card | CheckpointError] = {}
        for root in self.roots:
            for folder in sorted(root.glob("*.*")) if root.is_dir() else []:
                if folder.is_dir() and folder.name not in entries and folder.name[0] != ".":
                    entries[folder.name] = self._read(folder)
        return [entries[name] for name in sorted(entries)]

    @staticmethod
    def _read(folder: Path) -> Card | CheckpointError:
        try:
            card = _card_of(folder)
            methods.find(card.method)
        except CheckpointError as error:
            return error
        except ConfigError as error:
            return CheckpointError(f"The checkpoint {folder.name} cannot be used: {error}")
        return card

    def folder(self, name: str) -> Path:
        """Return a checkpoint's folder.

        Raises:
            CheckpointError: There is no checkpoint of that name.
        """
        check_name(name)
        for root in self.roots:
            if (root / name / CARD).is_file():
                return root / name
        known = ", ".join(self.names()) or "none"
        raise CheckpointError(f"There is no checkpoint {name!r}; there are {known}.")

    def card(self, name: str) -> Card:
        """Read one card.

        Raises:
            CheckpointError: There is no such checkpoint, or its card is damaged.
        """
        return _card_of(self.folder(name))

    def is_own(self, name: str) -> bool:
        """Say whether a checkpoint is the person's own; the others ship with the program.

        Raises:
            CheckpointError: There is no such checkpoint.
        """
        return not self.folder(name).is_relative_to(paths.SHIPPED_CHECKPOINTS)

    def stamps(self) -> dict[str, int]:
        """Return when each checkpoint's card was written, by name; quick, for asking often."""
        found = {}
        # The person's own come first and count.
        for root in reversed(self.roots):
            for file in root.glob(f"[!.]*.*/{CARD}"):
                # It may be deleted at this moment.
                with suppress(FileNotFoundError):
                    found[file.parent.name] = file.stat().st_mtime_ns
        return found

    def load(self, name: str) -> tuple[nn.Module, Card]:
        """Build a checkpoint's model and load its weights, strictly.

        Raises:
            CheckpointError: A file is missing, changed, truncated or does not fit.
        """
        folder = self.folder(name)
        card = _card_of(folder)
        file = _verified(folder, MODEL, card)
        _check_fit(card, file)
        model = card.entry.model(card.typed_config, card.spec)
        load_strict(model, _tensors(file, card), name)
        return model.eval().requires_grad_(False), card

    def critics(self, name: str) -> dict[str, Tensor]:
        """Read the rest of a checkpoint's objective; empty where it has none.

        Raises:
            CheckpointError: The file is damaged.
        """
        folder = self.folder(name)
        card = _card_of(folder)
        return read_tensors(folder, CRITICS, card) if CRITICS in card.hashes else {}

    def codes(self, name: str) -> Latents | None:
        """Read the latents of a checkpoint's own sample pictures; None where it has none.

        Raises:
            CheckpointError: The file is damaged.
        """
        folder = self.folder(name)
        card = _card_of(folder)
        return Latents(read_tensors(folder, CODES, card)) if CODES in card.hashes else None

    def write_codes(self, name: str, codes: Latents) -> None:
        """Put latents of sample pictures into a checkpoint's folder, in half precision."""
        folder = self.folder(name)
        card = _card_of(folder)
        halved = codes.map(Tensor.half)
        save_file(compact(halved.parts), folder / CODES)
        hashes = {**card.hashes, CODES: sha256(folder / CODES)}
        Card(**{**asdict(card), "hashes": hashes}).write(folder)

    @staticmethod
    def save(
        root: Path,
        card: Card,
        model: Mapping[str, Tensor],
        critics: Mapping[str, Tensor],
        samples: bytes | None = None,
    ) -> Path:
        """Write a checkpoint to a temporary folder and rename it.

        Args:
            root: The folder that gets the checkpoint's folder.
            card: Its hashes are filled in here.
            model: State of the model, averaged weights.
            critics: The rest of the objective; may be empty.
            samples: A PNG that shows what the model does.

        Returns:
            The checkpoint's folder.

        Raises:
            CheckpointError: The name is taken or not usable.
        """
        check_name(card.name)
        folder = root / card.name
        if folder.exists():
            raise CheckpointError(
                f"There is a checkpoint {card.name} in {root} already; choose another tag."
            )
        partial = root / f".{card.name}.{uuid.uuid4().hex[:8]}"
        try:
            partial.mkdir(parents=True)
            hashes = {}
            for name, state in ((MODEL, model), (CRITICS, critics)):
                if state:
                    save_file(compact(state), partial / name)
                    hashes[name] = sha256(partial / name)
            if samples is not None:
                (partial / SAMPLES).write_bytes(samples)
            Card(**{**asdict(card), "hashes": hashes}).write(partial)
            partial.rename(folder)
        finally:
            # A full disk must not be filled with what is left of every try.
            shutil.rmtree(partial, ignore_errors=True)
        return folder


def _card_of(folder: Path) -> Card:
    """Read a checkpoint's card; where the two differ, the folder's name is the checkpoint's.

    So a folder that was copied is a checkpoint of its own, and renaming one is a single step.
    """
    return replace(Card.read(folder), name=folder.name)


def check_name(name: str) -> None:
    """Refuse names that are no METHOD.TAG, such as paths.

    Raises:
        CheckpointError: The name has other characters than a-z, 0-9, - and _ around one dot.
    """
    method, dot, tag = name.partition(".")
    if not (method and dot and tag) or set(method + tag) - NAME_CHARACTERS:
        raise CheckpointError(
            f"{name!r} is no checkpoint name; it is METHOD.TAG of small letters, digits, - and _."
        )


def compact(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make tensors ready for safetensors: on the CPU, contiguous, sharing no memory."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}


def sha256(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_tensors(folder: Path, file: str, card: Card) -> dict[str, Tensor]:
    """Read a tensor file whose hash the card knows; half precision is widened.

    Raises:
        CheckpointError: It is missing, changed or damaged.
    """
    return _tensors(_verified(folder, file, card), card)


def _verified(folder: Path, file: str, card: Card) -> Path:
    """Return the path of a file that is there and is the one which the card describes."""
    path = folder / file
    if not path.is_file():
        raise CheckpointError(f"The checkpoint {card.name} is incomplete: {file} is missing.")
    if sha256(path) != card.hashes.get(file):
        raise CheckpointError(
            f"{file} of {card.name} is not the file that its card describes (the hash differs): "
            "it is damaged or was exchanged; copy the checkpoint again."
        )
    return path


def _tensors(path: Path, card: Card) -> dict[str, Tensor]:
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} of {card.name} cannot be read: {error}.") from error
    return {
        name: tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in state.items()
    }


class _Outline(TorchFunctionMode):
    """Leave out what fills weights that have no memory.

    PyTorch would do it by rules for its compiler, and load that: a second, and 150 MB that stay.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func is nn.init.normal_:
            return named["tensor"] if "tensor" in named else args[0]
        if func is torch.eye:
            return torch.empty(args[0], args[0])
        return func(*args, **named)


def _check_fit(card: Card, path: Path) -> None:
    """Refuse a card that asks for another network than its weights are of, before one is built.

    A few letters in a card can ask for more memory than there is. So the network is made without
    memory first, and compared with the shapes that the file of the weights begins with; those are
    known to be no more than the file holds.
    """
    try:
        with safe_open(path, "pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} of {card.name} cannot be read: {error}.") from error
    with torch.device("meta"), _Outline():
        model = _network(card, len(shapes))
        load_strict(model, {name: torch.empty(shape) for name, shape in shapes.items()}, card.name)


def _network(card: Card, most_layers: int) -> nn.Module:
    try:
        config = card.typed_config
        for name in _LAYERS:
            if getattr(config, name, 0) > most_layers:
                raise ConfigError(f"{name} is more than there are weights for.")
        return card.entry.model(config, card.spec)
    except ConfigError as error:
        raise CheckpointError(
            f"The card of {card.name} does not fit its method: {error}"
        ) from error
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"The card of {card.name} does not fit its method: no network has such settings."
        ) from error


def load_strict(module: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Load a state that must fit exactly.

    Raises:
        CheckpointError: A key is missing or unexpected, or a shape differs; the message names it.
    """
    try:
        incompatible = module.load_state_dict(state, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"The weights of {name} do not fit its card: {reason}") from error
    for kind, keys in (
        ("lack", incompatible.missing_keys),
        ("have an unexpected", incompatible.unexpected_keys),
    ):
        if keys:
            raise CheckpointError(
                f"The weights of {name} {kind} {keys[0]!r} ({len(keys)} such keys): "
                "the file belongs to another version or configuration."
            )


@dataclass(frozen=True)
class Loaded:
    """A warm model.

    Attributes:
        model: In ``eval``, without gradients, on its device.
        card: Its card.
        bytes: Memory of its parameters and buffers.
    """

    model: Any
    card: Card
    bytes: int


class ModelCache:
    """Models on one device under a memory limit, least recently used out first.

    A model is known by its checkpoint's folder and the date of its card: two users may have
    checkpoints of one name, and a checkpoint may be deleted and made again.
    """

    def __init__(
        self, store: CheckpointStore, device: torch.device | str = "cpu", limit: int = 512 * 2**20
    ) -> None:
        """Start empty.

        Args:
            store: Where checkpoints are read.
            device: Where models live.
            limit: Bytes of parameters and buffers that stay loaded; the newest model always does.
        """
        self.store = store
        self.device = torch.device(device)
        self._limit = limit
        self._loaded: OrderedDict[tuple[Path, int], Loaded] = OrderedDict()
        self._lock = threading.RLock()

    @property
    def limit(self) -> int:
        """Bytes that stay loaded at most, but for the newest model."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        with self._lock:
            self._limit = limit
            self._evict()

    def get(self, name: str) -> Loaded:
        """Return a loaded model, loading it if it is not warm.

        Raises:
            CheckpointError: It cannot be loaded; those that are warm stay so.
        """
        courtesy.claim(self.device.type)
        with self._lock:
            key = self._key(name)
            if key not in self._loaded:
                self._forget(key[0])
                self._loaded[key] = self._make_room_for(name)
            self._loaded.move_to_end(key)
            self._evict()
            return self._loaded[key]

    def _key(self, name: str) -> tuple[Path, int]:
        folder = self.store.folder(name)
        return folder, _stamp(folder)

    def _forget(self, folder: Path) -> None:
        for key in [key for key in self._loaded if key[0] == folder]:
            del self._loaded[key]

    def _make_room_for(self, name: str) -> Loaded:
        """Load a model; where memory is short, those go that were not used for longest."""
        while True:
            try:
                return self._load(name)
            except (MemoryError, RuntimeError) as error:
                if not is_memory_short(error):
                    raise
                # The last one is what somebody is working with.
                if len(self._loaded) < 2:
                    raise CheckpointError(
                        f"There is no memory left for {name} on the {self.device.type}; what was "
                        "loaded stays. Close other programs, or take a smaller checkpoint."
                    ) from error
                self._loaded.popitem(last=False)
                self._give_back()

    # Weights that are read in inference mode could never be part of a derivative.
    @torch.inference_mode(mode=False)
    def _load(self, name: str) -> Loaded:
        model, card = self.store.load(name)
        fold_batch_norm(model)
        model.to(self.device)
        if self.device.type == "cpu":
            model.to(memory_format=torch.channels_last)
        return Loaded(model, card, size_in_bytes(model))

    def _evict(self) -> None:
        before = len(self._loaded)
        while len(self._loaded) > 1 and self.used() > self.limit:
            self._loaded.popitem(last=False)
        if len(self._loaded) < before:
            self._give_back()

    def _give_back(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        # glibc keeps for itself what many small tensors leave behind.
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)

    def unload(self, name: str) -> None:
        """Give a model's memory back; nothing happens if it is not loaded."""
        with self._lock, suppress(CheckpointError):
            self._forget(self.store.folder(name))
        self._give_back()

    def sweep(self) -> None:
        """Give the memory of models back whose checkpoint is gone, or is another one by now."""
        with self._lock:
            for key in [key for key in self._loaded if key[1] != _stamp(key[0])]:
                del self._loaded[key]
        self._give_back()

    def used(self) -> int:
        """Return the bytes of all loaded models."""
        return sum(loaded.bytes for loaded in self._loaded.values())

    def warm(self) -> dict[str, int]:
        """Return the loaded models' names and bytes, least recently used first.

        Other users' models are left out, and checkpoints that are there no more.
        """
        with self._lock:
            return {
                folder.name: loaded.bytes
                for (folder, _), loaded in self._loaded.items()
                if folder.parent in self.store.roots and folder.is_dir()
            }


def _stamp(folder: Path) -> int:
    """Return when a checkpoint's card was written; 0 where it is gone."""
    try:
        return (folder / CARD).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def is_memory_short(error: BaseException) -> bool:
    """Say whether an error means that there was no memory left, on the CPU or elsewhere."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # What the allocator of the CPU and that of Apple's devices say has no class of its own.
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


def size_in_bytes(module: nn.Module) -> int:
    """Return the memory of a module's parameters and buffers."""
    tensors: Iterable[Tensor] = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
