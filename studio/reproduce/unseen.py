"""Unseen photographs (Fig. 7): found, aligned, encoded and swapped as on the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from studio import editing
from studio.data.folder import DataSet, open_set
from studio.editing import Encoded
from studio.errors import ConfigError
from studio.faces.align import Alignment
from studio.faces.detect import find_faces
from studio.images import Picture, read_photo, sheet, to_pictures
from studio.reproduce.options import ReproduceOptions, swapping_checkpoints, write_results

PAIRS = 6
# Photographs of the everyday set that are searched for donors and receivers.
SEARCHED = 40


@dataclass(frozen=True, eq=False)
class Unseen:
    """A group of pairs for one checkpoint.

    Attributes:
        group: Where the photographs come from.
        checkpoint: That swaps.
        pairs: Receiver's name, receiver, donor's name, donor.
    """

    group: str
    checkpoint: str
    pairs: Sequence[tuple[str, Encoded, str, Encoded]]


def unseen(options: ReproduceOptions) -> dict[str, object]:
    """Swap between photographs that no training set has (Fig. 7).

    Columns: receiver, donor, the receiver with the donor's object, the donor without it. The
    object's norm is read again off the two results: it should arrive and it should be gone.

    Args:
        options: ``data`` is a folder with ``london_faces.zip``, ``yale_faces.zip`` and
            ``photos_unseen.zip``, or some of them.

    Raises:
        ConfigError: There is no such folder, or no checkpoint for what it holds.
    """
    groups = [group for group in _groups(options) if group.pairs]
    if not groups:
        raise ConfigError("No faces with and without the checkpoints' objects were found.")
    rows, lines, labels = [], [], []
    for group in groups:
        options.report(f"{group.group} with {group.checkpoint}: {len(group.pairs)} pairs.")
        for receiver_name, receiver, donor_name, donor in group.pairs:
            row, line = _swap(options, group.checkpoint, receiver, donor)
            names = {"receiver": receiver_name, "donor": donor_name}
            rows.append({"group": group.group, "checkpoint": group.checkpoint, **names, **row})
            lines.append(line)
            labels.append(group.group)
    figure = sheet(lines, row_labels=labels)
    return write_results(options, "genegan-unseen", rows, figure)


def _swap(
    options: ReproduceOptions, checkpoint: str, receiver: Encoded, donor: Encoded
) -> tuple[dict[str, float], list[Picture]]:
    models = options.models
    swapped = to_pictures(editing.swap(models, checkpoint, receiver, donor))[0]
    removed = to_pictures(editing.remove(models, checkpoint, donor))[0]
    whole = Alignment.whole(len(swapped), len(swapped))
    again = [editing.encode(models, checkpoint, made, whole) for made in (swapped, removed)]
    row = {
        "receiver_error": receiver.error,
        "donor_error": donor.error,
        "receiver_object": receiver.object_norm,
        "donor_object": donor.object_norm,
        "swapped_object": again[0].object_norm,
        "removed_object": again[1].object_norm,
    }
    return row, [receiver.crop, donor.crop, swapped, removed]


def _groups(options: ReproduceOptions) -> list[Unseen]:
    folder = options.data
    if folder is None or not folder.is_dir():
        raise ConfigError(f"genegan-unseen needs --data, a folder with {' or '.join(FINDERS)}.")
    return [
        finder(options, checkpoint, open_set(folder / file))
        for file, finder in FINDERS.items()
        for checkpoint in swapping_checkpoints(options, rendered=False)
        if (folder / file).is_file()
    ]


def _london(options: ReproduceOptions, checkpoint: str, data: DataSet) -> Unseen:
    """Give smiles to the next person, whose face is neutral."""
    kinds = data.classes["expression"]
    names = [f"unaligned512/{PurePosixPath(file).name}" for file in data.files]
    donors = _named(names, kinds == "smiling", options, checkpoint, "Smiling")
    receivers = _named(names, kinds == "neutral", options, checkpoint, "Smiling")
    return _paired(options, Unseen("London", checkpoint, ()), data, receivers[1:], donors)


def _yale(options: ReproduceOptions, checkpoint: str, data: DataSet) -> Unseen:
    """Give eyeglasses to the next person, who wears none."""
    kinds = data.classes["condition"]
    donors = _named(data.files, kinds == "glasses", options, checkpoint, "Eyeglasses")
    receivers = _named(data.files, kinds == "noglasses", options, checkpoint, "Eyeglasses")
    return _paired(options, Unseen("Yale", checkpoint, ()), data, receivers[1:], donors)


def _everyday(options: ReproduceOptions, checkpoint: str, data: DataSet) -> Unseen:
    """Give the object of the photographs that show it most to those that show it least."""
    names = [file for file in data.files if PurePosixPath(file).name.startswith("lfw_")][:SEARCHED]
    found = _encode(options, checkpoint, data, names)
    found.sort(key=lambda item: item[1].object_norm)
    count = min(PAIRS, len(found) // 2)
    receivers, donors = found[:count], found[len(found) - count :]
    pairs = [(*receiver, *donor) for receiver, donor in zip(receivers, donors, strict=True)]
    return Unseen("LFW", checkpoint, pairs)


FINDERS: dict[str, Callable[[ReproduceOptions, str, DataSet], Unseen]] = {
    "london_faces.zip": _london,
    "yale_faces.zip": _yale,
    "photos_unseen.zip": _everyday,
}


def _named(
    names: Sequence[str],
    chosen: NDArray[np.bool_],
    options: ReproduceOptions,
    checkpoint: str,
    attribute: str,
) -> list[str]:
    """Return the chosen files, or none where the checkpoint swaps another attribute."""
    if options.models.get(checkpoint).card.config["attribute"] != attribute:
        return []
    return [name for name, wanted in zip(names, chosen, strict=True) if wanted]


def _paired(
    options: ReproduceOptions,
    group: Unseen,
    data: DataSet,
    receivers: Sequence[str],
    donors: Sequence[str],
) -> Unseen:
    """Encode receivers and donors, and keep the pairs in which both faces were found."""
    count = min(PAIRS, len(receivers), len(donors))
    chosen = [*receivers[:count], *donors[:count]]
    faces = dict(_encode(options, group.checkpoint, data, chosen))
    pairs = [
        (receiver, faces[receiver], donor, faces[donor])
        for receiver, donor in zip(receivers[:count], donors[:count], strict=True)
        if receiver in faces and donor in faces
    ]
    return replace(group, pairs=pairs)


def _encode(
    options: ReproduceOptions, checkpoint: str, data: DataSet, names: Sequence[str]
) -> list[tuple[str, Encoded]]:
    """Find and encode the largest face of every photograph that shows one."""
    refine = editing.eye_refiner(options.models)
    encoded = []
    for name in names:
        photo = read_photo(data.source.read(name))
        faces = find_faces(photo.pixels, refine)
        if not faces:
            options.report(f"No face was found in {name}.")
            continue
        face = editing.encode(options.models, checkpoint, photo.pixels, faces[0].alignment)
        encoded.append((name, face))
    return encoded
