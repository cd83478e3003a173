"""Checkpoints as single files: packed for somebody else, and taken in after they were checked."""

import shutil
import uuid
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from studio import methods, paths
from studio.checkpoints import (
    CARD,
    CODES,
    CRITICS,
    MODEL,
    SAMPLES,
    Card,
    CheckpointStore,
    check_name,
    read_tensors,
)
from studio.data.reading import ZIP_DAMAGE, check_packing
from studio.errors import CheckpointError, DataError

# Everything that a checkpoint's folder may hold; nothing else is taken in.
FILES = (CARD, MODEL, CRITICS, CODES, SAMPLES)
MOST_BYTES = 2 * 2**30


def pack(store: CheckpointStore, name: str, target: Path) -> Path:
    """Write a checkpoint as one zip.

    Args:
        store: Where it is.
        name: Of the checkpoint.
        target: A ``.zip`` file, or a folder that gets ``NAME.zip``.

    Returns:
        The file.

    Raises:
        CheckpointError: There is no such checkpoint, its card is damaged, or the file cannot be
            written.
    """
    folder, card = store.folder(name), store.card(name)
    file = target / f"{name}.zip" if target.is_dir() else target
    if file.suffix.lower() != ".zip":
        raise CheckpointError(f"A checkpoint is packed as a .zip, not as {file.name!r}.")
    beside = file.with_name(f"{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Weights do not shrink.
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(f"{name}/{CARD}", card.text)
            for part in FILES[1:]:
                if (folder / part).is_file():
                    archive.write(folder / part, f"{name}/{part}")
        beside.replace(file)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise CheckpointError(
            f"{name} cannot be packed to {file}: {error.strerror or error}."
        ) from error
    return file


def unpack(source: Path, root: Path | None = None) -> str:
    """Take a packed checkpoint in, whole and checked, or not at all.

    Args:
        source: What ``pack`` wrote.
        root: The folder that gets it, by default the person's own checkpoints.

    Returns:
        The checkpoint's name.

    Raises:
        CheckpointError: It is no packed checkpoint, is damaged or too large, does not fit its own
            card, or there is one of that name already.
    """
    own = root or paths.user_checkpoints()
    beside = own / f".import.{uuid.uuid4().hex[:8]}"
    try:
        beside.mkdir(parents=True)
        _take_out(source, beside)
        card = Card.read(beside)
        _check(card, source)
        if (own / card.name).exists():
            raise CheckpointError(
                f"There is a checkpoint {card.name} already; rename or delete that one first."
            )
        if card.name in CheckpointStore().stamps():
            raise CheckpointError(
                f"There is a checkpoint {card.name} already, which ships with the program."
            )
        return _settle(beside, own, card)
    except OSError as error:
        raise CheckpointError(
            f"{source.name} cannot be taken in: {error.strerror or error}."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _take_out(source: Path, target: Path) -> None:
    """Copy the files of a checkpoint out of a zip, whatever it may be."""
    try:
        _extract(source, target)
    except DataError as error:
        raise CheckpointError(f"{source.name} cannot be taken in: {error}") from error
    except OSError:
        raise
    except ZIP_DAMAGE as error:
        raise CheckpointError(
            f"{source.name} cannot be taken in: it is no zip, or a damaged one ({error})."
        ) from error


def _extract(source: Path, target: Path) -> None:
    """Copy the files of a checkpoint out of a zip, and refuse everything else."""
    with zipfile.ZipFile(source) as archive:
        parts = [one for one in archive.infolist() if not one.is_dir()]
        names = [PurePosixPath(one.filename).name for one in parts]
        strange = [
            one.filename for one, name in zip(parts, names, strict=True) if name not in FILES
        ]
        if strange or CARD not in names or len(set(names)) < len(names):
            what = f"holds {strange[0]}" if strange else "is not one checkpoint with one card"
            raise CheckpointError(
                f"{source.name} {what}; a packed checkpoint holds {', '.join(FILES)} and no more."
            )
        if sum(one.file_size for one in parts) > MOST_BYTES:
            raise CheckpointError(
                f"{source.name} unpacks to more than {MOST_BYTES // 2**30} GB; that is no "
                "checkpoint of this program."
            )
        for one, name in zip(parts, names, strict=True):
            check_packing(source.name, one)
            with archive.open(one) as packed, (target / name).open("wb") as plain:
                shutil.copyfileobj(packed, plain)


def _check(card: Card, source: Path) -> None:
    """Refuse a card whose names would lead elsewhere, or that this program cannot use."""
    check_name(card.name)
    methods.find(card.method)
    strange = sorted(set(card.hashes) - set(FILES))
    if strange or MODEL not in card.hashes:
        raise CheckpointError(
            f"The card in {source.name} knows "
            + (f"a file {strange[0]!r}, which no checkpoint has." if strange else "no weights.")
        )


def _settle(folder: Path, root: Path, card: Card) -> str:
    """Load a checkpoint where it was unpacked, then put it in its place."""
    trial = folder / card.name
    trial.mkdir()
    for part in FILES:
        if (folder / part).is_file():
            (folder / part).rename(trial / part)
    CheckpointStore(folder).load(card.name)
    for part in card.hashes:
        read_tensors(trial, part, card)
    trial.rename(root / card.name)
    return card.name
