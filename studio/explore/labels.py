"""What a map can be coloured by: attributes, classes, factors, the parts of a set, clusters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans

from studio import traits
from studio.data.folder import PARTITIONS, DataSet
from studio.errors import ConfigError
from studio.explore.projection import Floats

# Classes that have a colour of their own; the others share one.
MOST_CLASSES = 10
BINS = 5
CLUSTERS = 8
OTHERS = "All others"
_USUAL = ("attribute:Eyeglasses", "attribute:Smiling", "attribute:Male")
UNKNOWN = -1

Codes = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Column:
    """One label of all pictures, as a few values.

    Attributes:
        key: ``kind:name``, such as ``attribute:Smiling``.
        label: For people.
        values: What each code means.
        codes: (N,) places in ``values``, -1 where unknown.
        ordered: Whether the values go from less to more.
    """

    key: str
    label: str
    values: tuple[str, ...]
    codes: Codes
    ordered: bool = False

    @property
    def unknown(self) -> int:
        """Pictures whose value is not known."""
        return int((self.codes == UNKNOWN).sum())


def choices(data: DataSet) -> list[tuple[str, str]]:
    """List keys and labels of everything that a set's pictures can be coloured by."""
    found = [(f"attribute:{name}", traits.label(name)) for name in data.attributes]
    found += [(f"class:{name}", _words(name)) for name in data.classes]
    found += [
        (f"factor:{name}", f"{_words(name.removeprefix('factor_'))} (amount)")
        for name in data.factors
        if name.startswith("factor_")
    ]
    if len(set(data.partition.tolist())) > 1:
        found.append(("partition:", "Train, validation, test"))
    return [*found, ("cluster:", f"Clusters ({CLUSTERS} by k-means)"), ("none:", "Nothing")]


def first(data: DataSet, key: str = "") -> str:
    """Return a key if the set has it, else one that people look for, else any."""
    known = [one for one, _ in choices(data)]
    return next(one for one in (key, *_USUAL, *known) if one in known)


def check(data: DataSet, key: str) -> dict[str, str]:
    """Return the keys and labels of a set's columns, one of which is asked for.

    Raises:
        ConfigError: The data has no such label.
    """
    known = dict(choices(data))
    if key not in known:
        raise ConfigError(f"{data.name} cannot be coloured by {key!r}; it has {', '.join(known)}.")
    return known


def column(data: DataSet, key: str, scores: Floats, seed: int = 0) -> Column:
    """Return a label of all pictures.

    Args:
        data: The N pictures.
        key: One of ``choices``.
        scores: (N, K), clustered where clusters are asked for.
        seed: Of the clusters.

    Raises:
        ConfigError: The data has no such label.
    """
    known = check(data, key)
    kind, _, name = key.partition(":")
    if kind == "attribute":
        codes = data.attributes[name].astype(np.int16)
        return Column(key, known[key], ("Without", "With"), codes)
    if kind == "class":
        return _classes(key, known[key], data.classes[name])
    if kind == "factor":
        return _factor(key, known[key], data.factors[name])
    if kind == "partition":
        return Column(key, known[key], tuple(PARTITIONS), data.partition.astype(np.int16))
    if kind == "cluster":
        return _clusters(key, known[key], scores, seed)
    return Column(key, known[key], ("Pictures",), np.zeros(len(data), np.int16))


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _classes(key: str, label: str, values: npt.NDArray[np.str_]) -> Column:
    """Give the commonest classes a code each; their order is the alphabet's, or of numbers."""
    there, counts = np.unique(values[values != ""], return_counts=True)
    common = there[np.argsort(-counts, kind="stable")[:MOST_CLASSES]]
    names = sorted(common.tolist(), key=_natural)
    codes = np.full(len(values), UNKNOWN, np.int16)
    codes[values != ""] = len(names)
    for code, name in enumerate(names):
        codes[values == name] = code
    more = [OTHERS] if len(there) > len(names) else []
    return Column(key, label, (*names, *more), codes)


def _natural(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text


def _factor(key: str, label: str, values: npt.NDArray[np.float64]) -> Column:
    """Give few different values a code each, many equally full ranges."""
    known = np.isfinite(values)
    there = np.unique(values[known])
    codes = np.full(len(values), UNKNOWN, np.int16)
    if len(there) <= MOST_CLASSES:
        codes[known] = np.searchsorted(there, values[known])
        return Column(key, label, tuple(f"{value:g}" for value in there), codes, ordered=True)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, BINS + 1)))
    codes[known] = np.clip(np.searchsorted(edges, values[known], "right") - 1, 0, len(edges) - 2)
    names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    return Column(key, label, tuple(names), codes, ordered=True)


def _clusters(key: str, label: str, scores: Floats, seed: int) -> Column:
    different = len(np.unique(scores, axis=0))
    count = min(CLUSTERS, different)
    if count < 2:
        return Column(key, label, ("All",), np.zeros(len(scores), np.int16))
    found = KMeans(count, n_init=4, random_state=seed).fit_predict(scores)
    names = tuple(f"Cluster {number + 1}" for number in range(count))
    return Column(key, label, names, found.astype(np.int16))


def told(data: DataSet, row: int) -> list[str]:
    """Say what is known of one picture: its attributes, classes and factors."""
    has = [name for name, values in data.attributes.items() if values[row] == 1]
    lines = [traits.label(name) for name in has]
    lines += [
        f"{_words(name)}: {values[row]}" for name, values in data.classes.items() if values[row]
    ]
    lines += [
        f"{_words(name.removeprefix('factor_'))}: {values[row]:.3g}"
        for name, values in data.factors.items()
        if name.startswith("factor_") and np.isfinite(values[row])
    ]
    return lines


def factors(data: DataSet) -> tuple[Sequence[str], npt.NDArray[Any]]:
    """Return the names of the true factors and their (N, F) values, NaN where unknown."""
    names = [name for name in data.factors if name.startswith("factor_")]
    columns = [data.factors[name] for name in names]
    return names, np.stack(columns, axis=1) if columns else np.zeros((len(data), 0))
