"""Where assets, checkpoints and a person's own things are; no other file knows.

On a page that asks for a password, every user has a home below the one of the machine, and nobody
sees another's. Who asks is set around a call, not handed through it: whatever names one of the
folders below means the folder of whoever asked.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ASSETS = REPOSITORY / "assets"
SHIPPED_CHECKPOINTS = REPOSITORY / "checkpoints"


# Tells a process that works for a user of the page whose it is.
USER = "LATENT_STUDIO_USER"
_user: ContextVar[str] = ContextVar("user", default="")


def machine_home() -> Path:
    """Return the folder of everything that is made on this machine, ``$LATENT_STUDIO_HOME``."""
    return Path(os.environ.get("LATENT_STUDIO_HOME") or Path.home() / ".latent-studio")


def user() -> str:
    """Return who asks; empty where the page knows no users."""
    return _user.get() or os.environ.get(USER, "")


@contextmanager
def acting_for(name: str) -> Iterator[None]:
    """Let everything inside belong to a user.

    Args:
        name: Of the user, usable as the name of a folder; empty changes nothing.
    """
    token = _user.set(name or _user.get())
    try:
        yield
    finally:
        _user.reset(token)


def home() -> Path:
    """Return the folder of everything that the person who asks makes."""
    return users() / user() if user() else machine_home()


def users() -> Path:
    """Return the folder that holds the homes of a page's users."""
    return machine_home() / "users"


def user_checkpoints() -> Path:
    """Return the folder of the person's own checkpoints."""
    return home() / "checkpoints"


def runs() -> Path:
    """Return the folder that holds one folder per training run."""
    return home() / "runs"


def _all_homes() -> list[Path]:
    """Return the homes of everyone on this machine."""
    return [machine_home(), *sorted(users().glob("[!.]*"))]


def all_runs() -> list[Path]:
    """Return the folders of runs of everyone on this machine, who share its devices."""
    return [one / "runs" for one in _all_homes()]


def device_lock(device: str) -> Path:
    """Return the file that the one process which trains on a device holds a lock of."""
    return machine_home() / f"{device}.lock"


def data() -> Path:
    """Return the folder of the person's own data sets."""
    return home() / "data"


def directions() -> Path:
    """Return the folder of the person's own sliders."""
    return home() / "directions"


def bank() -> Path:
    """Return the folder of the parts that the person saved."""
    return home() / "bank"


def trash() -> Path:
    """Return the folder of what the person deleted and can still get back."""
    return home() / "trash"


def all_trash() -> list[Path]:
    """Return the same folders of everyone on this machine."""
    return [one / "trash" for one in _all_homes()]


def cache() -> Path:
    """Return the folder of files that can be deleted at any time."""
    return home() / "cache"
