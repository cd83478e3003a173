"""A person's own checkpoints: renamed, deleted, and got back from the trash.

Each of these is one renaming of the checkpoint's folder, so that it is done or not, whatever
happens meanwhile; what it brings along with it comes after that.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from studio import bank, directions, paths
from studio.checkpoints import CheckpointStore, check_name
from studio.errors import CheckpointError

KEPT_DAYS = 7
_DAY = 86_400 * 10**9


@dataclass(frozen=True)
class Deleted:
    """A checkpoint in the trash.

    Attributes:
        key: Tells it from others of the same name.
        name: It had and gets again.
        when: It was deleted, in nanoseconds since 1970.
    """

    key: str
    name: str
    when: int

    @property
    def days_left(self) -> int:
        """How many more days it is kept, begun ones included."""
        return max(0, -((time.time_ns() - self.when - KEPT_DAYS * _DAY) // _DAY))


def rename(store: CheckpointStore, name: str, tag: str) -> str:
    """Give one of the person's own checkpoints another tag; what was made with it follows.

    Checkpoints that were trained from it say the old name further on: it is where they come from.

    Args:
        store: Where it is.
        name: Of the checkpoint, ``METHOD.TAG``.
        tag: The new one.

    Returns:
        The new name.

    Raises:
        CheckpointError: There is no such checkpoint of the person's own, its card is damaged, or
            the new name is taken or none.
    """
    folder, card = _own(store, name), store.card(name)
    renamed = f"{name.partition('.')[0]}.{tag}"
    check_name(renamed)
    if renamed in store.stamps() or folder.with_name(renamed).exists():
        raise CheckpointError(f"There is a checkpoint {renamed} already; choose another tag.")
    with _refused(f"{name} cannot be renamed"):
        target = folder.rename(folder.with_name(renamed))
        replace(card, name=renamed).write(target)
        directions.follow(name, renamed)
        bank.follow(name, renamed)
    return renamed


def delete(store: CheckpointStore, name: str) -> Deleted:
    """Put one of the person's own checkpoints into the trash.

    Raises:
        CheckpointError: There is no such checkpoint, or it ships with the program.
    """
    folder, now = _own(store, name), time.time_ns()
    empty_old(paths.trash())
    key = f"{name}@{now}"
    with _refused(f"{name} cannot be deleted"):
        _folder().mkdir(parents=True, exist_ok=True)
        folder.rename(_folder() / key)
    return Deleted(key, name, now)


def deleted() -> list[Deleted]:
    """List the person's checkpoints in the trash, the last deleted first."""
    found = [one for one in map(_read, _folder().glob("*.*@*")) if one and one.days_left]
    return sorted(found, key=lambda one: -one.when)


def restore(name: str) -> str:
    """Get a deleted checkpoint back.

    Args:
        name: Of the checkpoint, where several had it the last deleted; or a key.

    Returns:
        The checkpoint's name.

    Raises:
        CheckpointError: There is none in the trash, or its name is taken meanwhile.
    """
    found = next((one for one in deleted() if name in (one.key, one.name)), None)
    if found is None:
        known = ", ".join(dict.fromkeys(one.name for one in deleted())) or "none"
        raise CheckpointError(f"There is no deleted checkpoint {name!r}; there are {known}.")
    target = paths.user_checkpoints() / found.name
    if target.exists():
        raise CheckpointError(
            f"There is a checkpoint {found.name} again; rename or delete that one first."
        )
    with _refused(f"{found.name} cannot be restored"):
        target.parent.mkdir(parents=True, exist_ok=True)
        (_folder() / found.key).rename(target)
    return found.name


def empty_old(trash: Path) -> None:
    """Delete what has been in a trash for so long that nobody will want it back."""
    for folder in (trash / "checkpoints").glob("*.*@*"):
        one = _read(folder)
        if one and not one.days_left:
            shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    return paths.trash() / "checkpoints"


def _read(folder: Path) -> Deleted | None:
    name, _, when = folder.name.partition("@")
    return Deleted(folder.name, name, int(when)) if when.isdecimal() else None


def _own(store: CheckpointStore, name: str) -> Path:
    folder = store.folder(name)
    if not store.is_own(name):
        raise CheckpointError(f"{name} ships with the program and stays as it is.")
    return folder


@contextmanager
def _refused(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{what}: {error.strerror or error}.") from error
