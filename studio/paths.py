"""Where assets, checkpoints and a person's own things are; no other file knows."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ASSETS = REPOSITORY / "assets"
SHIPPED_CHECKPOINTS = REPOSITORY / "checkpoints"


def home() -> Path:
    """Return the folder of everything the person makes, ``$LATENT_STUDIO_HOME``."""
    return Path(os.environ.get("LATENT_STUDIO_HOME") or Path.home() / ".latent-studio")


def user_checkpoints() -> Path:
    """Return the folder of the person's own checkpoints."""
    return home() / "checkpoints"


def runs() -> Path:
    """Return the folder that holds one folder per training run."""
    return home() / "runs"


def data() -> Path:
    """Return the folder of the person's own data sets."""
    return home() / "data"


def directions() -> Path:
    """Return the folder of the person's own sliders."""
    return home() / "directions"


def cache() -> Path:
    """Return the folder of files that can be deleted at any time."""
    return home() / "cache"
