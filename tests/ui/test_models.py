import numpy as np
import pytest

from studio import images, paths
from studio.checkpoints import SAMPLES
from studio.errors import CheckpointError
from studio.ui.tabs import models


def card(shown, name):
    return next(one for one in shown[2]["cards"] if one["name"] == name)


def test_without_checkpoints_it_says_how_to_get_one(context):
    for name in context.store.names():
        context.store.delete(name)
    memory, problems, value = models.on_show(context)
    assert "latent-studio train" in memory
    assert problems == ""
    assert value == {"cards": []}


def test_metrics_have_units_and_help(context, make_checkpoint):
    name = make_checkpoint(
        tag="measured", metrics={"psnr": 28.54, "swap_success": 0.9512, "pairs": 400.0},
        training={"minutes": 45.2, "device": "cpu"}, terms="CC0", data_set="rendered heads",
    )  # fmt: skip
    shown = card(models.on_show(context), name)
    measured = {label: (value, help_text) for label, value, help_text in shown["metrics"]}
    assert measured["Reproduction"][0] == "28.5 dB"
    assert measured["Object arrives"][0] == "95.1%"
    assert all(help_text for _, help_text in measured.values())
    assert shown["more"] == [["pairs", "400", ""]]
    facts = dict(shown["facts"])
    assert facts["Time"] == "45 minutes on cpu"
    assert facts["Terms"] == "CC0"


def test_warming_and_cooling_changes_the_memory(context):
    warm = models.on_warm(context, {"name": "genegan.other"})
    assert card(warm, "genegan.other")["warm"]
    assert "1 of 2 checkpoints loaded" in warm[0]
    cool = models.on_cool(context, {"name": "genegan.other"})
    assert not card(cool, "genegan.other")["warm"]
    with pytest.raises(CheckpointError):
        models.on_warm(context, {"name": "../../etc"})


def test_damaged_checkpoint_is_listed_with_its_reason_escaped(context):
    folder = paths.user_checkpoints() / "genegan.broken"
    folder.mkdir()
    (folder / "card.json").write_text("{<b>")
    _, problems, value = models.on_show(context)
    assert "genegan.broken is damaged" in problems
    assert "<b>" not in problems
    assert len(value["cards"]) == 2


def test_sample_sheet_is_shown_and_a_damaged_one_is_not(context):
    folder = paths.user_checkpoints() / "genegan.other"
    (folder / SAMPLES).write_bytes(images.encode_png(np.zeros((40, 60, 3), np.uint8)))
    assert card(models.on_show(context), "genegan.other")["samples"].startswith("data:image/jpeg")
    (folder / SAMPLES).write_bytes(b"nothing")
    assert card(models.on_show(context), "genegan.other")["samples"] == ""
