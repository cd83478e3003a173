"""What goes wrong in training without an error, and when to stop for it."""

import math
import statistics
from collections import deque
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from studio.data.batch import Batch, DataSpec
from studio.errors import TrainingError
from studio.methods.base import Generator, LatentModel, Translator
from studio.nn.modes import evaluating

# A term counts as exploding when for so many steps in a row ...
_STEPS = 10
# ... it is so many times as large as it used to be, and larger than any healthy loss.
_TIMES, _LARGE = 100.0, 10.0
# Steps that say what is usual.
_USUAL = 400
# Pictures that differ less than this, in parts of what real ones differ, are all the same.
_COLLAPSED = 0.1
# Real pictures that differ less than this, of a range of 2, say nothing about made ones.
_ALIKE = 0.02
# Above this they have been different once.
_HEALTHY = 0.3
# BEGAN's k that stood at a bound for so many steps regulates nothing.
_STUCK = 500
# By this part of the steps, and not before so many, pictures must differ and k have left 0.
_BY_NOW, _AT_LEAST = 0.5, 1000


class DivergenceError(TrainingError):
    """Training went wrong at a step.

    Attributes:
        since: The step at which it began; a save from before is good.
    """

    def __init__(self, text: str, since: int) -> None:
        super().__init__(text)
        self.since = since


class Guard:
    """Looks at every step's terms, and at samples now and then.

    What it remembers is what one process saw: a run that was continued is watched anew.
    """

    def __init__(self, steps: int) -> None:
        """Start watching.

        Args:
            steps: Of the stage, whose first half excuses what has not begun yet.
        """
        self._steps = steps
        self._sizes: dict[str, deque[float]] = {}
        self._loud: dict[str, int] = {}
        self._peak = 0.0
        # Where pictures were found to be all the same, and not since found to differ.
        self._flat_since = 0
        self._k_left_zero = False
        self._k_still = 0

    def see(self, step: int, terms: Mapping[str, float]) -> None:
        """Look at what a step logged.

        Args:
            step: Steps that were taken in this stage.
            terms: Losses and other numbers, by name.

        Raises:
            DivergenceError: A term is no number or explodes, or BEGAN's k is stuck.
        """
        for name, value in terms.items():
            if not math.isfinite(value):
                # The step before had the weights that gave this.
                raise DivergenceError(f"{name} became {value}", step - 2)
            self._see_size(step, name, abs(value))
        if "k" in terms:
            self._see_balance(step, terms["k"])

    def _see_size(self, step: int, name: str, size: float) -> None:
        usual = self._sizes.setdefault(name, deque(maxlen=_USUAL))
        # Most steps end at the first comparison.
        is_loud = (
            size > _LARGE and len(usual) >= _STEPS and size > _TIMES * statistics.median(usual)
        )
        self._loud[name] = self._loud.get(name, 0) + 1 if is_loud else 0
        if self._loud[name] >= _STEPS:
            raise DivergenceError(
                f"{name} grew to {size:.3g}, more than {_TIMES:.0f} times what it was",
                step - _STEPS - 1,
            )
        if not is_loud:
            usual.append(size)

    def _see_balance(self, step: int, k: float) -> None:
        self._k_left_zero |= k > 0.01
        late = self._is_late(step)
        at_bound = k >= 1 or (k <= 0 and (self._k_left_zero or late))
        self._k_still = self._k_still + 1 if at_bound else 0
        if self._k_still >= _STUCK:
            raise DivergenceError(
                f"k, which balances the autoencoder and its adversary, stood at {k:.0f} for "
                f"{_STUCK} steps",
                step - _STUCK,
            )

    def _is_late(self, step: int) -> bool:
        return step > max(_AT_LEAST, _BY_NOW * self._steps)

    def see_samples(self, step: int, diversity: float | None) -> None:
        """Look at how different the model's pictures are.

        Args:
            step: Steps that were taken in this stage.
            diversity: From :func:`measure_diversity`.

        Raises:
            DivergenceError: They are all the same, though they were not, or though it is late.
        """
        if diversity is None:
            return
        if not math.isfinite(diversity):
            raise DivergenceError("The model's pictures are no numbers any more", step - 1)
        self._peak = max(self._peak, diversity)
        if diversity >= _COLLAPSED or not (self._peak > _HEALTHY or self._is_late(step)):
            self._flat_since = 0
        elif not self._flat_since:
            # Once may be a bad moment.
            self._flat_since = step
        else:
            raise DivergenceError(
                f"The model's pictures are all the same: they differ {diversity:.1%} as much as "
                "real ones",
                self._flat_since - 1,
            )


@torch.no_grad()
def measure_diversity(model: nn.Module, batch: Batch, spec: DataSpec) -> float | None:
    """Compare how much a model's pictures and real ones differ from picture to picture.

    Args:
        model: On the batch's device.
        batch: Held-out pictures, at least 2.
        spec: Whose attributes the batch's columns are.

    Returns:
        The ratio of the mean standard deviations over the pictures: about 1 where the model's are
        as different as real ones, 0 where all are the same; None where it makes no pictures, or
        where the real ones hardly differ.
    """
    with evaluating(model):
        made = _make(model, batch, spec)
    if made is None or len(batch) < 2:
        return None
    real = batch.images.std(0).mean()
    return None if real < _ALIKE else float(made.float().std(0).mean() / real)


def _make(model: nn.Module, batch: Batch, spec: DataSpec) -> Tensor | None:
    if isinstance(model, LatentModel):
        return model.decode(model.encode(batch.images))
    if not isinstance(model, Generator | Translator):
        return None
    columns = [spec.attributes.index(name) for name in model.attributes]
    wanted = batch.attributes[:, columns].clamp_min(0)
    if isinstance(model, Translator):
        return model(batch.images, 1 - wanted)
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(len(batch), model.noise_size, generator=rng)
    return model.generate(wanted.float(), noise.to(batch.images.device))
