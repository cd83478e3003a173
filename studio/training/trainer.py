"""The training loop; there is one."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from studio.data.batch import Batch
from studio.errors import TrainingError
from studio.methods.base import GradientStage, Objective, Update
from studio.training import optimizers

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
    ) -> None:
        """Prepare optimizers and the averaged weights.

        Args:
            objective: Moved to ``device`` in channels-last layout.
            stage: Whose optimizers, averaging and learning-rate decay apply.
            steps: Length of the whole run, which the decay is measured against.
            device: Where to train.
            precision: ``bf16`` runs the forward passes under autocast.
        """
        self.device = torch.device(device)
        self.objective = objective.to(self.device).to(memory_format=torch.channels_last)
        self.stage = stage
        self.steps = steps
        self.precision = precision
        self.step = 0
        self.players = objective.players()
        self.optimizers = {
            name: optimizers.build(stage.optimizers[name], parameters)
            for name, parameters in self.players.items()
        }
        self.averaged = copy.deepcopy(objective.model).eval() if stage.averaging else None

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
            TrainingError: A loss is not finite; the message names the player and the step.
        """
        self.objective.train()
        while self.step < self.steps and before_step(self.step):
            terms: Terms = {}
            for update in self._updates(batches):
                self._take(update)
                terms.update({name: float(value) for name, value in update.terms.items()})
            self._average()
            self.step += 1
            after_step(self.step, terms)

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

    def _take(self, update: Update) -> None:
        if not torch.isfinite(update.loss):
            raise TrainingError(
                f"The loss of the {update.player} is {update.loss.item()} at step {self.step}: "
                "training stopped. Lower the learning rate, or resume from an earlier save."
            )
        optimizer = self.optimizers[update.player]
        optimizer.zero_grad(set_to_none=True)
        # Only this player's parameters collect gradients, so that no switch can be forgotten.
        torch.autograd.backward(update.loss, inputs=self.players[update.player])
        config = self.stage.optimizers[update.player]
        if config.clip:
            nn.utils.clip_grad_norm_(self.players[update.player], config.clip)
        for group in optimizer.param_groups:
            group["lr"] = config.lr * update.lr_scale * self._decay()
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
        state["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            state["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def load_state_dict(self, state: Mapping[str, Tensor], step: int) -> None:
        """Restore :meth:`state_dict`, bit for bit.

        Args:
            state: As saved.
            step: Steps taken when it was saved.
        """
        self.objective.load_state_dict(_below(state, "objective."))
        if self.averaged is not None:
            self.averaged.load_state_dict(_below(state, "averaged."))
        for player, optimizer in self.optimizers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            for key, tensor in _below(state, f"optimizer.{player}.").items():
                index, _, name = key.partition(".")
                parameter = self.players[player][int(index)]
                slots.setdefault(int(index), {})[name] = _laid_out_as(parameter, tensor)
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": slots, "param_groups": groups})
        torch.set_rng_state(state["random.cpu"].cpu())
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random.cuda"].cpu(), self.device)
        self.step = step


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Give a saved moment its parameter's memory layout.

    Files hold contiguous tensors, and the fused optimizer walks through parameter and moments by
    address: with channels-last parameters it would pair each weight with another one's moments.
    """
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
