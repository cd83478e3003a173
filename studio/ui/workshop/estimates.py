"""How long a training takes here, measured once for settings that cost the same."""

from collections.abc import Hashable
from dataclasses import astuple, replace
from importlib import import_module
from typing import Any

from studio.training.request import TrainRequest, pick_device
from studio.ui.context import Context
from studio.ui.workshop.board import duration

# Seconds that settings rest before something is measured: nobody measures what is being typed.
REST = 0.7
_DEVICES = {"cpu": "this processor", "cuda": "this graphics card", "mps": "this graphics chip"}


def measure(request: TrainRequest) -> Any:
    """Return what a training would cost, measured on this device with random pictures."""
    return import_module("studio.training.estimate").estimate(request)


def _cost(request: TrainRequest) -> Hashable:
    """Return what decides on the cost of a step."""
    alike = replace(
        request, tag="a", data="", steps=1, seed=0, terms="", save_every=1, patience=0, fields={}
    )
    fields = tuple(sorted((name, repr(value)) for name, value in request.fields.items()))
    return ("estimate", fields, *(repr(value) for value in astuple(alike)))


def known(context: Context, request: TrainRequest) -> bool:
    """Say whether settings that cost the same were measured already."""
    return context.memory.find(_cost(request)) is not None


def told(context: Context, request: TrainRequest) -> str:
    """Say how long a training takes, and how much memory.

    Raises:
        StudioError: It cannot be measured: the settings make no sense, or need too much memory.
    """
    found = context.memory.get(_cost(request), lambda: measure(request), lambda made: 256)
    where = _DEVICES[pick_device(request.device).type]
    seconds = found.seconds_per_step * request.steps
    at_most = "at most " if request.patience else ""
    return f"{at_most}about {duration(seconds)} and {_size(found.bytes)} on {where}.".capitalize()


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 // 10 else f"{count / 2**20:.0f} MB"
