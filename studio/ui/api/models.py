"""Endpoints that look after checkpoints: what the tab Models does."""

from dataclasses import asdict
from typing import Any

import gradio as gr

from studio import keeping, readings
from studio.exchange import pack
from studio.ui import shelf
from studio.ui.api.base import file_data, register
from studio.ui.context import Context
from studio.ui.guard import guarded
from studio.ui.seats import new_file


def build(context: Context) -> None:
    """Register ``/models`` and ``/model_...``."""

    def models() -> list[dict[str, Any]]:
        """List the cards of all checkpoints, each with ``own`` and with ``loaded``, in bytes."""
        return listed()

    def model_export(checkpoint: str) -> gr.FileData:
        """Pack a checkpoint; returns a zip."""
        return exported(checkpoint)

    def model_import(file: gr.FileData) -> str:
        """Check a packed checkpoint and take it in; returns its name."""
        return imported(file)

    def model_rename(checkpoint: str, tag: str) -> str:
        """Give one of one's own checkpoints another tag; returns its new name."""
        return renamed(checkpoint, tag)

    def model_delete(checkpoint: str) -> dict[str, Any]:
        """Delete one of one's own checkpoints; ``/model_restore`` takes the key."""
        return deleted(checkpoint)

    def model_restore(checkpoint: str = "") -> dict[str, Any]:
        """Get a deleted checkpoint back, by name or key; without one, list those that can be."""
        return restored(checkpoint)

    def model_compare(one: str, other: str) -> dict[str, Any]:
        """Put two cards side by side; says whose number is the better one where that is known."""
        return compared(one, other)

    listed, compared = guarded(context, on_models), guarded(context, on_compare)
    exported, imported = guarded(context, on_export), guarded(context, on_import)
    renamed, deleted = guarded(context, shelf.rename), guarded(context, on_delete)
    restored = guarded(context, on_restore)
    register(models, model_export, model_import, model_rename, model_delete, model_restore)
    register(model_compare)


def on_models(context: Context) -> list[dict[str, Any]]:
    """Describe all checkpoints."""
    warm = context.models.warm()
    return [
        {
            **asdict(card),
            "own": context.store.is_own(card.name),
            "loaded": warm.get(card.name, 0),
        }
        for card in context.store.cards()
    ]


def on_export(context: Context, checkpoint: str) -> dict[str, Any]:
    """Pack a checkpoint among the uploads."""
    return file_data(pack(context.store, checkpoint, new_file(f"{checkpoint}.zip")))


def on_import(context: Context, file: Any) -> str:
    """Take an uploaded zip in."""
    return shelf.take_in(context, file.get("path") if isinstance(file, dict) else None)


def on_delete(context: Context, checkpoint: str) -> dict[str, Any]:
    """Delete a checkpoint."""
    return _gone(shelf.delete(context, checkpoint))


def on_restore(context: Context, checkpoint: str) -> dict[str, Any]:
    """Restore a checkpoint, and say what else could be."""
    name = shelf.restore(context, checkpoint) if checkpoint else ""
    return {"restored": name, "deleted": [_gone(one) for one in keeping.deleted()]}


def _gone(one: keeping.Deleted) -> dict[str, Any]:
    return {"key": one.key, "name": one.name, "days_left": one.days_left}


def on_compare(context: Context, one: str, other: str) -> dict[str, Any]:
    """Compare two cards."""
    return readings.compare(context.store.card(one), context.store.card(other)).to_dict()
