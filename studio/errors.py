"""Mistakes a person can make, with messages for the person at the screen.

Every message says what was given, what is expected and what to do. A programmer's mistake is not
here: it raises ``ValueError`` or ``TypeError``.
"""

import errno


def is_full(error: Exception) -> bool:
    """Say whether an error means that the disk, or one's share of it, is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    # What writes tensors keeps the system's number to itself.
    return "os error 28" in str(error) or "No space left" in str(error)


class StudioError(Exception):
    """A mistake that the person at the screen can mend; its message says how."""


class ImageError(StudioError):
    """A file that is no usable picture."""


class FaceError(StudioError):
    """A photograph in which no usable face was found."""


class DataError(StudioError):
    """A data set that cannot be read or lacks what was asked of it."""


class ConfigError(StudioError):
    """A setting with a wrong name, type or value."""


class CheckpointError(StudioError):
    """A checkpoint that is missing, damaged, too new or of the wrong kind."""


class UnsupportedError(StudioError):
    """An operation that the chosen checkpoint does not offer."""


class RecipeError(StudioError):
    """A recipe that cannot be read or replayed."""


class TrainingError(StudioError):
    """A training run that cannot start or had to stop."""
