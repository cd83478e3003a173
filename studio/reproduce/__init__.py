"""The papers' tables and figures, one function each: ``latent-studio reproduce TABLE``."""

from collections.abc import Callable

from studio.reproduce import (
    attributes,
    experiments,
    figures,
    interpolation,
    lighting,
    manifold,
    parameters,
    recognition,
    strips,
    unseen,
)
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
    "aeai-mse": interpolation.mse,
    "aeai-interval": interpolation.interval,
    "aeai-alpha": interpolation.alpha,
    "aeai-parameters": parameters.parameters,
    "aeai-ablation": interpolation.ablation,
    "aeai-manifold": manifold.manifold,
    "aeai-strips": strips.strips,
    "aeai-grids": strips.grids,
    "attributes-fid": attributes.fid,
    "attributes-edits": attributes.edits,
    "attributes-augmentation": recognition.augmentation,
    "attributes-13": recognition.thirteen,
    "attributes-recursion": recognition.recursion,
    "attributes-per-class": recognition.per_class,
    "attributes-size": recognition.size,
}
