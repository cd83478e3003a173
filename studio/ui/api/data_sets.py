"""Endpoints that read whole data sets: what Augment and Explore do."""

import shutil
from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio import editing
from studio.augment import AugmentRequest
from studio.augment import augment as carry_out
from studio.data.folder import open_set
from studio.explore import labels, writing
from studio.explore.charting import MapRequest, chart
from studio.explore.measures import measure
from studio.ui.api.base import corners, file_data, listed, number, register, whole
from studio.ui.augmenting import pack
from studio.ui.context import Context
from studio.ui.guard import guarded
from studio.ui.seats import new_file
from studio.ui.sets import received_set


def build(context: Context) -> None:
    """Register ``/augment`` and ``/explore``."""

    def augment(
        data: gr.FileData,
        checkpoint: str,
        strategy: str = "balancing",
        amount: float = 1.0,
        source: str = "attributes",
        variation: float = 1.0,
        most: int = 8,
        classifier: str = editing.JUDGE,
        agreement: float | None = None,
        ssim: float = 0.0,
        seed: int = 0,
    ) -> tuple[gr.FileData, dict[str, Any]]:
        """Make labelled pictures for a zipped data set; returns a zip of them and a report."""
        asked = {
            "checkpoint": checkpoint,
            "strategy": strategy,
            "amount": amount,
            "source": source,
            "variation": variation,
            "most": most,
            "classifier": classifier,
            "agreement": agreement,
            "ssim": ssim,
            "seed": seed,
        }
        return augmented(data, asked)

    def explore(
        data: gr.FileData,
        checkpoint: str,
        method: str = "pca",
        part: str = "",
        dimensions: int = 2,
        perplexity: float = 30.0,
        most: int = 20_000,
        seed: int = 0,
        colour: str = "",
        pictures: list[gr.FileData] | None = None,
        aligned: bool = False,
    ) -> tuple[gr.FileData, dict[str, Any]]:
        """Draw the map of a zipped data set; returns a CSV of points, and numbers about it."""
        place = (method, part, dimensions, perplexity, most, seed)
        return explored(data, checkpoint, place, colour, pictures, aligned)

    augmented, explored = guarded(context, on_augment), guarded(context, on_explore)
    register(augment, explore)


def on_augment(context: Context, data: Any, asked: Mapping[str, Any]) -> list[Any]:
    """Carry an augmentation of an uploaded zip out; nothing but the result is left behind."""
    least = asked["agreement"]
    request = AugmentRequest(
        str(asked["checkpoint"]),
        str(asked["strategy"]),
        number("amount", asked["amount"]),
        str(asked["source"]),
        number("variation", asked["variation"]),
        whole("most", asked["most"]),
        str(asked["classifier"] or ""),
        None if least is None else number("agreement", least),
        number("ssim", asked["ssim"]),
        whole("seed", asked["seed"]),
    )
    path = received_set(data.get("path") if isinstance(data, dict) else None)
    output = new_file(f"{path.stem}-augmented")
    try:
        report = carry_out(
            context.models, request, open_set(path), output, lambda done, total: None, lambda: False
        )
        target = output.with_name(f"{output.name}.zip")
        pack(output, target)
    finally:
        for folder in (output, output.with_name(f"{output.name}.part")):
            shutil.rmtree(folder, ignore_errors=True)
    return [file_data(target), {**report.to_dict(), "output": target.name}]


def on_explore(
    context: Context,
    data: Any,
    checkpoint: str,
    place: tuple[Any, ...],
    colour: str,
    pictures: Any,
    aligned: bool,
) -> list[Any]:
    """Draw the map of an uploaded zip, and place uploaded pictures on it."""
    method, part, dimensions, perplexity, most, seed = place
    path = received_set(data.get("path") if isinstance(data, dict) else None)
    request = MapRequest(
        str(checkpoint),
        str(part or ""),
        str(method),
        whole("dimensions", dimensions),
        number("perplexity", perplexity),
        whole("most", most),
        whole("seed", seed),
    )
    drawn = chart(context.models, request, open_set(path))
    key = str(colour) if colour else labels.first(drawn.codes.data)
    column = labels.column(drawn.codes.data, key, drawn.scores, drawn.seed)
    target = new_file(f"{path.stem}-{drawn.method}.csv")
    writing.write_table(target, drawn, column)
    encoded = corners(context, request.checkpoint, listed(pictures or []), aligned)
    found = writing.facts(drawn, column, measure(drawn, column))
    found["placed"] = [writing.placed(drawn, one.latents) for one in encoded]
    return [file_data(target), found]
