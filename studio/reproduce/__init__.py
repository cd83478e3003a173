"""The papers' tables and figures, one function each: ``latent-studio reproduce TABLE``."""

from collections.abc import Callable

from studio.reproduce import experiments, figures, lighting, unseen
from studio.reproduce.options import ReproduceOptions

__all__ = ["TABLES", "ReproduceOptions"]

TABLES: dict[str, Callable[[ReproduceOptions], dict[str, object]]] = {
    "genegan-matrix": figures.matrix,
    "genegan-light": lighting.light,
    "genegan-unseen": unseen.unseen,
    "genegan-interpolation": figures.interpolation,
    "genegan-drift": experiments.drift,
    "genegan-stacked": experiments.stacked,
    "genegan-cycle": experiments.cycle,
}
