"""Endpoints of whoever is logged in: what is theirs, and its end."""

from dataclasses import asdict
from typing import Any

from studio import accounts, paths
from studio.errors import ConfigError
from studio.ui import account
from studio.ui.api.base import register
from studio.ui.context import Context
from studio.ui.guard import guarded


def build(context: Context) -> None:
    """Register ``/my_data`` and ``/delete_my_data``."""

    def my_data() -> dict[str, Any]:
        """Count what the user who is logged in has made."""
        return counted()

    def delete_my_data(confirm: bool = False) -> dict[str, Any]:
        """End the user's jobs and delete all that they made; ``confirm`` must be true."""
        return deleted(confirm)

    counted, deleted = guarded(context, on_count), guarded(context, on_delete)
    register(my_data, delete_my_data)


def on_count(context: Context) -> dict[str, Any]:
    """Count what is there."""
    del context
    return {"user": paths.user(), **asdict(accounts.belongings())}


def on_delete(context: Context, confirm: Any) -> dict[str, Any]:
    """Delete everything of the user who asks."""
    if confirm is not True:
        raise ConfigError("Nothing was deleted: confirm must be true.")
    account.forget(context)
    return on_count(context)
