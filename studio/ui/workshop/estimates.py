"""How long a training takes here, measured once for settings that cost the same."""

from collections.abc import Callable, Hashable
from dataclasses import astuple, replace

from studio.training.estimate import Estimate, estimate
from studio.training.request import TrainRequest
from studio.ui.context import Context
from studio.ui.workshop.board import duration

# Seconds that settings rest before something is measured: nobody measures what is being typed.
REST = 0.7
_DEVICES = {"cpu": "this processor", "cuda": "this graphics card", "mps": "this graphics chip"}


def _cost(request: TrainRequest) -> Hashable:
    """Return what decides on the cost of a step."""
    alike = replace(request, tag="any", steps=1, seed=0, terms="", save_every=1, patience=0)
    return ("estimate", *map(repr, astuple(alike)))


def known(context: Context, request: TrainRequest) -> bool:
    """Say whether settings that cost the same were measured already."""
    return context.memory.find(_cost(request)) is not None


def measured(
    context: Context, request: TrainRequest, stopped: Callable[[], bool] = lambda: False
) -> Estimate:
    """Measure what a training takes, once for settings that cost the same.

    Args:
        context: The shared context.
        request: What is asked.
        stopped: Whether nobody waits for the answer any more.

    Raises:
        StudioError: It cannot be trained, or nobody waited.
    """
    found: Estimate = context.memory.get(
        _cost(request), lambda: estimate(request, stopped), lambda made: 256
    )
    return replace(found, seconds=found.seconds_per_step * request.steps)


def told(
    context: Context, request: TrainRequest, stopped: Callable[[], bool] = lambda: False
) -> str:
    """Say how long a training takes, and how much memory.

    Args:
        context: The shared context.
        request: What is asked.
        stopped: Whether nobody waits for the answer any more.

    Raises:
        StudioError: It cannot be trained, or nobody waited.
    """
    found = measured(context, request, stopped)
    where, seconds = _DEVICES[found.device], found.seconds
    at_most = "At most about" if request.patience else "About"
    words = f"{at_most} {duration(seconds)} and {_size(found.bytes)} on {where}."
    if found.bytes > found.memory_left:
        words += f" Only {_size(found.memory_left)} are free: it may end for want of memory."
    return words


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GB"
