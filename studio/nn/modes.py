"""Networks between training and use."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Use a module as it is used outside training; every layer gets back the mode that it had.

    ``train(True)`` would set layers training that an objective keeps as they are used.
    """
    modes = {layer: layer.training for layer in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for layer, training in modes.items():
            layer.training = training
