"""The training loop; there is one.

It is the same for one process and for several, which then each take their share of every batch
(see :mod:`studio.together`), and goes on with parts of a batch where a whole one does not fit.
"""

import contextlib
import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from studio import together
from studio.checkpoints import is_memory_short
from studio.data.batch import Batch
from studio.methods.base import GradientStage, Objective, Update
from studio.training import optimizers
from studio.training.guards import DivergenceError

Precision = Literal["fp32", "bf16"]
Terms = dict[str, float]


class Trainer:
    """Runs the updates that an objective asks for.

    It knows nothing of methods: each update names its player, and each player has an optimizer.
    """

    def __init__(
        self,
        objective: Objective,
        stage: GradientStage,
        *,
        steps: int,
        device: torch.device | str = "cpu",
        precision: Precision = "fp32",
        compiled: bool = False,
    ) -> None:
        """Prepare optimizers and the averaged weights.

        Args:
            objective: Moved to ``device`` in channels-last layout.
            stage: Whose optimizers, averaging and learning-rate decay apply.
            steps: Length of the whole run, which the decay is measured against.
            device: Where to train.
            precision: ``bf16`` runs the forward passes under autocast.
            compiled: Let torch compile the networks; the first steps then take minutes.
        """
        self.device = torch.device(device)
        self.objective = objective.to(self.device).to(memory_format=torch.channels_last)
        together.normalize_together(self.objective)
        together.start_alike(self.objective)
        self.stage = stage
        self.steps = steps
        self.precision = precision
        self.step = 0
        # A batch is taken in so many parts; more than one once memory ran out.
        self.parts = 1
        self.players = objective.players()
        self.optimizers = {
            name: optimizers.build(stage.optimizers[name], parameters)
            for name, parameters in self.players.items()
        }
        self.averaged = copy.deepcopy(objective.model).eval() if stage.averaging else None
        if compiled:
            # The methods of a model and of an objective call these; they themselves are not called.
            for network in (*objective.model.children(), *objective.children()):
                network.compile()

    @property
    def model(self) -> nn.Module:
        """The model to ship: the averaged one, or the raw one where nothing is averaged."""
        return self.objective.model if self.averaged is None else self.averaged

    def fit(
        self,
        batches: Iterator[Batch],
        before_step: Callable[[int], bool] = lambda step: True,
        after_step: Callable[[int, Terms], None] = lambda step, terms: None,
    ) -> None:
        """Run from the current step to the last.

        Args:
            batches: Endless.
            before_step: Called with each step's number; training pauses when it says False.
            after_step: Called with the number of steps taken and the step's terms.

        Raises:
            DivergenceError: A loss is not finite; the message names the player.
        """
        self.objective.train()
        while self.step < self.steps and before_step(self.step):
            terms = self._take_step(_Drawn(batches))
            self._average()
            self.step += 1
            after_step(self.step, terms)

    def _take_step(self, drawn: "_Drawn") -> Terms:
        """Take a step; where memory runs out, again with batches in twice as many parts."""
        while True:
            try:
                return self._whole(drawn) if self.parts == 1 else self._divided(drawn)
            except (MemoryError, RuntimeError) as error:
                if not is_memory_short(error) or not self._divide(drawn):
                    raise
            # Outside the handler the failed step's tensors are gone.
            for parameters in self.players.values():
                for parameter in parameters:
                    parameter.grad = None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _divide(self, drawn: "_Drawn") -> bool:
        """Ask for smaller parts; False where they would have no pair in them any more."""
        # One process that runs out of memory cannot tell the others, who wait for its gradients.
        if together.size() > 1 or len(drawn.first) // 2 < 2 * self.parts:
            return False
        self.parts *= 2
        return True

    def _whole(self, drawn: "_Drawn") -> Terms:
        terms: Terms = {}
        for update in self._updates(iter(drawn)):
            terms |= self._take(update)
        return terms

    def _take(self, update: Update) -> Terms:
        lr_scale, terms = self._numbers(update)
        self._clear(update.player)
        self._backward(update, 1)
        self._move(update.player, lr_scale)
        return terms

    def _divided(self, drawn: "_Drawn") -> Terms:
        """Take a step whose gradients are collected over parts of its batches.

        An objective draws its batch and asks for one update after another, all of which hold on to
        what the first one computed. So each part is brought anew to the update whose turn it is,
        with the random numbers and the counts that it had before; what lies before is computed
        again and not learnt from, so that n updates cost n (n + 1) / 2 forward passes. The step is
        another one than the undivided: statistics are those of parts.
        """
        terms: Terms = {}
        seed = int(torch.randint(2**62, ()))
        begun = [buffer.clone() for buffer in self.objective.buffers()]
        for turn in itertools.count():
            player, found = "", []
            for part in range(self.parts):
                # What the algorithm counts, it counts once in a step, however often it is replayed.
                for buffer, value in zip(self.objective.buffers(), begun, strict=True):
                    buffer.copy_(value)
                with self._own_randomness(seed + part):
                    updates = self._updates(drawn.part(part, self.parts))
                    update = next(itertools.islice(updates, turn, None), None)
                    if update is None:
                        return terms
                    if part == 0:
                        player = update.player
                        self._clear(player)
                    found.append(self._numbers(update))
                    self._backward(update, self.parts)
            self._move(player, sum(scale for scale, _ in found) / self.parts)
            terms |= {
                name: sum(part[name] for _, part in found) / self.parts for name in found[0][1]
            }
        return terms

    @contextlib.contextmanager
    def _own_randomness(self, seed: int) -> Iterator[None]:
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            yield

    def _updates(self, batches: Iterator[Batch]) -> Iterator[Update]:
        """Resume the objective's generator under autocast, one update at a time."""
        moved = (batch.to(self.device) for batch in batches)
        updates = self.objective.updates(moved, self.step)
        while True:
            with self._autocast():
                update = next(updates, None)
            if update is None:
                return
            yield update

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _numbers(self, update: Update) -> tuple[float, Terms]:
        """Return an update's factor on the learning rate and its terms, of all processes.

        Raises:
            DivergenceError: The loss is not finite.
        """
        values = [update.loss.detach(), torch.tensor(update.lr_scale), *update.terms.values()]
        whole = torch.stack([one.float().to(self.device) for one in values])
        loss, lr_scale, *terms = together.average(whole).tolist()
        if not math.isfinite(loss):
            # What was saved after the last step has the weights that gave this.
            text = f"The loss of the {update.player} became {loss}"
            raise DivergenceError(text, self.step - 1)
        return lr_scale, dict(zip(update.terms, terms, strict=True))

    def _clear(self, player: str) -> None:
        self.optimizers[player].zero_grad(set_to_none=True)

    def _backward(self, update: Update, parts: int) -> None:
        # Only this player's parameters collect gradients, so that no switch can be forgotten.
        loss = update.loss if parts == 1 else update.loss / parts
        torch.autograd.backward(loss, inputs=self.players[update.player])

    def _move(self, player: str, lr_scale: float) -> None:
        """Let a player's optimizer take its step along the gradients that were collected."""
        optimizer, config = self.optimizers[player], self.stage.optimizers[player]
        together.average_gradients(self.players[player])
        if config.clip:
            nn.utils.clip_grad_norm_(self.players[player], config.clip)
        for group in optimizer.param_groups:
            group["lr"] = config.lr * lr_scale * self._decay()
        optimizer.step()
        # A scaled rate would otherwise leak into the saved optimizer.
        for group in optimizer.param_groups:
            group["lr"] = config.lr

    def _decay(self) -> float:
        """Return the learning rate's factor: 1, then linearly to 0 over the last fraction."""
        if not self.stage.decay:
            return 1.0
        return min(1.0, (1 - self.step / self.steps) / self.stage.decay)

    def _average(self) -> None:
        if self.averaged is None:
            return
        # An average that starts at the random weights forgets them faster with a warm-up.
        decay = min(self.stage.averaging, (self.step + 1) / (self.step + 10))
        own, raw = self.averaged.state_dict(), self.objective.model.state_dict()
        for name, value in own.items():
            if value.is_floating_point():
                value.lerp_(raw[name], 1 - decay)
            else:
                value.copy_(raw[name])

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on, as one flat dictionary of tensors."""
        state = {f"objective.{name}": t for name, t in self.objective.state_dict().items()}
        if self.averaged is not None:
            state |= {f"averaged.{name}": t for name, t in self.averaged.state_dict().items()}
        for player, optimizer in self.optimizers.items():
            for index, values in optimizer.state_dict()["state"].items():
                state |= {f"optimizer.{player}.{index}.{key}": t for key, t in values.items()}
        state["parts"] = torch.tensor(self.parts)
        state["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            state["random.cuda"] = torch.cuda.get_rng_state(self.device)
        if self.device.type == "mps":
            state["random.mps"] = torch.mps.get_rng_state()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor], step: int) -> None:
        """Restore :meth:`state_dict`, bit for bit.

        Args:
            state: As saved.
            step: Steps taken when it was saved.
        """
        self.objective.load_state_dict(below(state, "objective."))
        if self.averaged is not None:
            self.averaged.load_state_dict(below(state, "averaged."))
        for player, optimizer in self.optimizers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            for key, tensor in below(state, f"optimizer.{player}.").items():
                index, _, name = key.partition(".")
                parameter = self.players[player][int(index)]
                slots.setdefault(int(index), {})[name] = _laid_out_as(parameter, tensor)
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": slots, "param_groups": groups})
        torch.set_rng_state(state["random.cpu"].cpu())
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random.cuda"].cpu(), self.device)
        if self.device.type == "mps":
            torch.mps.set_rng_state(state["random.mps"].cpu())
        # Saves of earlier versions knew no parts.
        self.parts = int(state.get("parts", 1))
        self.step = step


class _Drawn:
    """The batches that a step has drawn, for another try at the same step."""

    def __init__(self, source: Iterator[Batch]) -> None:
        self._source = source
        self._kept: list[Batch] = []

    @property
    def first(self) -> Batch:
        """The step's first batch."""
        return next(iter(self))

    def __iter__(self) -> Iterator[Batch]:
        for number in itertools.count():
            if number == len(self._kept):
                self._kept.append(next(self._source))
            yield self._kept[number]

    def part(self, part: int, parts: int) -> Iterator[Batch]:
        """Yield one of several parts of each batch, with as many pictures of either half."""
        for batch in self:
            halves = torch.arange(len(batch)).chunk(2)
            yield batch.select(torch.cat([half[part::parts] for half in halves]))


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Give a saved moment its parameter's memory layout.

    Files hold contiguous tensors, and the fused optimizer walks through parameter and moments by
    address: with channels-last parameters it would pair each weight with another one's moments.
    """
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
