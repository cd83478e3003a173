"""A larger labelled data set out of one that is there: what to make, how to make and judge it.

Liu, Sun, He, Liu, Su, Chua: "Generating Face Images with Attributes for Free" (IEEE TNNLS 2021),
section IV. A plan says which labels new pictures are to have and from which training pictures these
labels come; it is arithmetic on labels alone. :func:`augment` carries a plan out, a batch at a
time, keeps the pictures that pass a classifier and a likeness filter, and writes them as a data set
of their own, with a manifest that says where each of them comes from.

Departures from the paper: pictures that a filter refuses are left out, and balancing counts only
those that are kept; a picture may also be made by moving or translating its source instead of from
labels and noise. Within a batch, balancing takes all pictures to be kept.
"""

from studio.augment.asking import AGREEMENT, SOURCES, STRATEGIES, AugmentReport, AugmentRequest
from studio.augment.part import BATCH, MANIFEST, STATE
from studio.augment.plans import (
    Balance,
    Plan,
    Spread,
    class_counts,
    dynamic_balancing,
    joint_counts,
    random_doubling,
)
from studio.augment.work import ONE_IN, WINDOW, augment

__all__ = [
    "AGREEMENT",
    "BATCH",
    "MANIFEST",
    "ONE_IN",
    "SOURCES",
    "STATE",
    "STRATEGIES",
    "WINDOW",
    "AugmentReport",
    "AugmentRequest",
    "Balance",
    "Plan",
    "Spread",
    "augment",
    "class_counts",
    "dynamic_balancing",
    "joint_counts",
    "random_doubling",
]
