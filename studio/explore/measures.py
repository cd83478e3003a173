"""The numbers beside a map, each with a sentence on how to read it."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.explore.labels import Column, factors
from studio.explore.maps import Map
from studio.metrics import clusters, disentanglement

# Components in which the Hopkins statistic is taken: in more, all distances are alike.
HOPKINS_COMPONENTS = 10
# Latents with more numbers are described by their first components where factors are looked for.
MOST_NUMBERS = 64
DESCRIBED_BY = 32
NEIGHBOURS = 10
# Forests are grown on so many pictures at most.
MOST_ROWS = 2000


@dataclass(frozen=True)
class Measure:
    """A number and how to read it.

    Attributes:
        key: For machines.
        label: For people.
        value: NaN where it cannot be computed.
        reading: One sentence.
        beside: Numbers to compare with, by what they are; may be empty.
        unit: ``share`` for shares of 1, else empty.
    """

    key: str
    label: str
    value: float
    reading: str
    beside: tuple[tuple[str, float], ...] = ()
    unit: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; None stands for NaN."""
        values = asdict(self)
        values["value"] = None if math.isnan(self.value) else self.value
        values["beside"] = {name: None if math.isnan(n) else n for name, n in self.beside}
        return values


def measure(found: Map, column: Column) -> list[Measure]:
    """Measure a map: its components, its clusters, how true it is, and one label on it.

    Args:
        found: The map.
        column: What it is coloured by.
    """
    return [*_shape(found), *_truth(found), *_label(found, column), *_factors(found)]


def _shape(found: Map) -> Iterator[Measure]:
    ratios, drawn = found.pca.ratios, found.dimensions
    shown = float(ratios[:drawn].sum())
    half = int(np.searchsorted(np.cumsum(ratios), 0.5)) + 1
    enough = float(ratios.sum()) >= 0.5
    yield Measure(
        "explained_variance", f"Variance in the first {drawn} components", shown,
        "How much of all differences between the latents a PCA map of this size can show; "
        + (
            f"half of them take {half} component{'s' if half > 1 else ''}."
            if enough
            else f"all {len(ratios)} that are kept together hold {ratios.sum():.0%}."
        ),
        tuple(
            (f"first {count}", float(ratios[:count].sum()))
            for count in (5, 10, 20, 50)
            if drawn < count <= len(ratios)
        ),
        "share",
    )  # fmt: skip
    space = found.scores[:, :HOPKINS_COMPONENTS]
    yield Measure(
        "hopkins", "Hopkins statistic", clusters.hopkins(space, seed=found.seed),
        f"Whether the latents form clumps (first {space.shape[1]} components, distances to the "
        "power 1): 0.5 is evenly strewn, 1 is clumps; clumps show where it is above the value of a "
        "structureless Gaussian of the same spread.",
        (("Gaussian", clusters.hopkins_baseline(space, seed=found.seed)),),
    )  # fmt: skip


def _truth(found: Map) -> Iterator[Measure]:
    yield Measure(
        "trustworthiness", "Trustworthiness of the map",
        clusters.trustworthiness(found.scores, found.points, seed=found.seed),
        f"Whether pictures that are neighbours on the map are neighbours in the first "
        f"{found.scores.shape[1]} components, too: 1 is always, 0.5 is chance.",
    )  # fmt: skip
    if found.method == "tsne":
        yield Measure(
            "divergence", "Divergence of t-SNE", found.divergence,
            "What t-SNE could not bring into the map (Kullback-Leibler divergence, nats); it "
            "compares runs on the same pictures, lower is better.",
        )  # fmt: skip


def _label(found: Map, column: Column) -> Iterator[Measure]:
    if len(column.values) < 2:
        return
    labels, named = column.codes.astype(np.int64), f"“{column.label}”"
    known = f" ({len(labels) - column.unknown:,} pictures are labelled)" if column.unknown else ""
    yield Measure(
        "silhouette", f"Silhouette of {named}",
        clusters.silhouette(found.scores, labels, seed=found.seed),
        "Whether the values of this label are clumps of their own: 1 is far apart, 0 is mixed, "
        f"below 0 is on the wrong side{known}.",
    )  # fmt: skip
    own = clusters.purity(found.scores, labels, neighbours=NEIGHBOURS, seed=found.seed)
    yield Measure(
        "purity", f"Neighbours alike in {named}", own.value,
        f"How many of a picture's {NEIGHBOURS} nearest neighbours have the same value; by chance "
        f"it is the number beside it{known}.",
        (("chance", own.chance),), "share",
    )  # fmt: skip


def _factors(found: Map) -> Iterator[Measure]:
    names, values = factors(found.codes.data)
    if not names:
        return
    described, space = _numbers(found)
    if len(values) > MOST_ROWS:
        rows = np.random.default_rng(found.seed).choice(len(values), MOST_ROWS, replace=False)
        space, values = space[rows], values[rows]
    of = f"{described}, {len(names)} true factors"
    gaps, scores = disentanglement.mig(space, values), disentanglement.dci(space, values)
    yield Measure(
        "mig", "Mutual information gap (MIG)", gaps.value,
        f"Whether each factor stands in one number alone: 1 is yes, 0 is spread out ({of}).",
    )  # fmt: skip
    yield Measure(
        "dci_disentanglement", "DCI disentanglement", scores.disentanglement,
        f"Whether each number tells about one factor only: 1 is yes, 0 is all alike ({of}).",
    )  # fmt: skip
    yield Measure(
        "dci_completeness", "DCI completeness", scores.completeness,
        f"Whether each factor is told by one number only: 1 is yes, 0 is all alike ({of}).",
    )  # fmt: skip
    yield Measure(
        "dci_informativeness", "DCI informativeness", scores.informativeness,
        f"How well a forest reads the factors off held-out latents: 1 is exactly, 0 not at all "
        f"({of}).",
    )  # fmt: skip
    yield Measure(
        "sap", "Separated predictability (SAP)", disentanglement.sap(space, values).value,
        "How far the best number for a factor is ahead of the second best: up to 1, 0 where two "
        f"are as good ({of}).",
    )  # fmt: skip


def _numbers(found: Map) -> tuple[str, npt.NDArray[Any]]:
    """Return the numbers that the factors are looked for in, and what they are."""
    columns = found.codes.columns(found.part)
    width = columns.stop - columns.start
    if width <= MOST_NUMBERS:
        return f"all {width} latent numbers", np.asarray(found.codes.matrix[:, columns], np.float32)
    kept = min(DESCRIBED_BY, found.scores.shape[1])
    return f"the first {kept} of {width:,} latent dimensions' components", found.scores[:, :kept]
