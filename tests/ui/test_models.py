import io
import json
import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from studio import exchange, images, keeping, paths
from studio.checkpoints import SAMPLES
from studio.errors import CheckpointError, ConfigError
from studio.ui import shelf
from studio.ui.tabs import models

NOBODY = (None, None)
OTHER = "genegan.other"


def cards(shown):
    return shown[5]["cards"]


def card(shown, name):
    return next(one for one in cards(shown) if one["name"] == name)


def names(shown):
    return [one["name"] for one in cards(shown)]


@pytest.fixture
def packed(context, upload, tmp_path):
    """Return a function that uploads a packed checkpoint which is not there any more."""

    def make(change=lambda content: content, name=f"{OTHER}.zip"):
        file = exchange.pack(context.store, OTHER, tmp_path)
        keeping.delete(context.store, OTHER)
        return upload(change(file.read_bytes()), name)

    return make


def test_without_checkpoints_it_says_how_to_get_one(context):
    for name in context.store.names():
        keeping.delete(context.store, name)
    shown = models.paint(context, *NOBODY)
    assert "latent-studio train" in shown[5]["empty"]
    assert shown[1] == ""
    assert cards(shown) == []


def test_metrics_have_units_and_help(context, make_checkpoint):
    name = make_checkpoint(
        tag="measured", metrics={"psnr": 28.54, "swap_success": 0.9512, "pairs": 400.0},
        training={"minutes": 45.2, "device": "cpu"}, terms="CC0", data_set="rendered heads",
    )  # fmt: skip
    shown = card(models.paint(context, *NOBODY), name)
    measured = {label: (value, help_text) for label, value, help_text in shown["metrics"]}
    assert measured["Reproduction"][0] == "28.5 dB"
    assert measured["Object arrives"][0] == "95.1%"
    assert all(help_text for _, help_text in measured.values())
    assert shown["more"] == [["pairs", "400", ""]]
    facts = dict(shown["facts"])
    assert facts["Time"] == "45 minutes on cpu"
    assert facts["Terms"] == "CC0"


def test_ones_own_come_first_and_are_marked(context, make_checkpoint, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "SHIPPED_CHECKPOINTS", paths.user_checkpoints())
    monkeypatch.setattr(paths, "user_checkpoints", lambda: tmp_path / "own")
    context.models.store._roots = ()
    make_checkpoint(tag="zebra")
    shown = models.paint(context, *NOBODY)
    assert [(one["name"], one["own"]) for one in cards(shown)] == [
        ("genegan.zebra", True),
        ("genegan.heads-eyeglasses-64", False),
        (OTHER, False),
    ]


def test_warming_and_cooling_changes_the_memory(context):
    warm = models.on_warm(context, {"name": OTHER}, *NOBODY)
    assert card(warm, OTHER)["warm"]
    size = context.models.used()
    assert warm[0]["items"] == [{"name": OTHER, "text": shelf.megabytes(size)}]
    assert warm[0]["share"] == size / context.models.limit
    cool = models.on_cool(context, {"name": OTHER}, *NOBODY)
    assert not card(cool, OTHER)["warm"]
    assert cool[0]["items"] == []
    with pytest.raises(CheckpointError):
        models.on_warm(context, {"name": "../../etc"}, *NOBODY)


def test_a_lower_limit_throws_the_least_recently_used_out_at_once(context, monkeypatch):
    monkeypatch.setattr(shelf, "MEGABYTE", 1)
    for name in context.store.names():
        context.models.get(name)
    size = context.models.get(OTHER).bytes
    shown = models.on_limit(context, {"megabytes": size + 1}, *NOBODY)
    assert [one["name"] for one in shown[0]["items"]] == [OTHER]
    assert shown[0]["limit"] == context.models.limit == size + 1
    with pytest.raises(ConfigError, match="1 MB or more, not 0"):
        models.on_limit(context, {"megabytes": 0}, *NOBODY)


def test_memory_of_other_users_is_counted_and_not_named(context, make_checkpoint):
    context.models.store._roots = ()
    with paths.acting_for("anna"):
        context.models.get(make_checkpoint(tag="hers"))
    shown = shelf.memory(context)
    assert shown["items"] == []
    assert shown["others"] == f"Of other visitors: {shelf.megabytes(context.models.used())}"


def test_damaged_checkpoint_is_listed_with_its_reason_escaped(context):
    folder = paths.user_checkpoints() / "genegan.broken"
    folder.mkdir()
    (folder / "card.json").write_text("{<b>")
    shown = models.paint(context, *NOBODY)
    assert "genegan.broken is damaged" in shown[1]
    assert "<b>" not in shown[1]
    assert len(cards(shown)) == 2


@pytest.mark.parametrize(
    "change",
    [{"metrics": {"psnr": None}}, {"training": []}, {"training": {"total_steps": "x"}}],
)
def test_one_damaged_card_leaves_the_others_on_the_page(context, change):
    file = paths.user_checkpoints() / OTHER / "card.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    shown = models.paint(context, *NOBODY)
    assert names(shown) == ["genegan.heads-eyeglasses-64"]
    assert f"The card of {OTHER} is damaged" in shown[1]


def test_sample_sheet_is_shown_and_a_damaged_one_is_not(context):
    folder = paths.user_checkpoints() / OTHER
    (folder / SAMPLES).write_bytes(images.encode_png(np.zeros((40, 60, 3), np.uint8)))
    assert card(models.paint(context, *NOBODY), OTHER)["ratio"] == 1.5
    assert models.on_sheet(context, {"name": OTHER})["src"].startswith("data:image/jpeg")
    (folder / SAMPLES).write_bytes(b"nothing")
    assert card(models.paint(context, *NOBODY), OTHER)["ratio"] == 0
    assert models.on_sheet(context, {"name": OTHER}) == {"src": ""}


def test_what_is_exported_can_be_taken_in(context, upload_folder, upload):
    button = models.on_export(context, {"name": OTHER})
    path = button.value["path"] if isinstance(button.value, dict) else button.value
    assert path.endswith(f"{OTHER}.zip")
    keeping.delete(context.store, OTHER)
    shown = models.on_take(context, upload(Path(path).read_bytes(), "a.zip"), *NOBODY)
    assert shown[0]["told"] == f"{OTHER} is among your models now."
    assert "problem" not in shown[0]
    assert OTHER in names(shown[1:])
    with pytest.raises(CheckpointError):
        models.on_export(context, {"name": "../../etc"})


def without(part):
    def change(content):
        made = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
            for entry in old.infolist():
                if not entry.filename.endswith(part):
                    new.writestr(entry, old.read(entry))
        return made.getvalue()

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: b"nothing", "it is no zip, or a damaged one"),
        (without("card.json"), "is not one checkpoint with one card"),
        (without("model.safetensors"), "model.safetensors is missing"),
        (lambda content: content[:2000] + b"\0\0\0" + content[2003:], "damaged"),
    ],
)
def test_what_cannot_be_taken_in_is_one_sentence_in_its_place(context, packed, change, words):
    shown = models.on_take(context, packed(change), *NOBODY)
    assert words in shown[0]["problem"]
    assert "told" not in shown[0]
    assert OTHER not in names(shown[1:])


def test_a_taken_name_and_a_file_that_is_too_large_or_none_are_sentences(context, upload, tmp_path):
    file = exchange.pack(context.store, OTHER, tmp_path)
    shown = models.on_take(context, upload(file.read_bytes(), "a.zip"), *NOBODY)
    assert "already; rename or delete that one first" in shown[0]["problem"]
    large = {"path": "", "name": "huge.zip", "bytes": models.MOST_BYTES + 1}
    shown = models.on_take(context, large, *NOBODY)
    assert "huge.zip is larger than 200 MB" in shown[0]["problem"]
    for path in ("", str(file), "/etc/passwd"):
        event = {"path": path, "name": "a.zip", "bytes": 10}
        assert "No file was received" in models.on_take(context, event, *NOBODY)[0]["problem"]


def test_a_format_from_the_future_asks_for_an_update(context, packed):
    def change(content):
        made = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
            for entry in old.infolist():
                read = old.read(entry)
                if entry.filename.endswith("card.json"):
                    read = json.dumps({**json.loads(read), "format": 99}).encode()
                new.writestr(entry, read)
        return made.getvalue()

    assert "update Latent Studio" in models.on_take(context, packed(change), *NOBODY)[0]["problem"]


def test_renaming_shows_the_new_name_and_remembers_the_old_one(context):
    shown = models.on_rename(context, {"name": OTHER, "tag": " better "}, *NOBODY)
    assert "genegan.better" in names(shown)
    assert OTHER not in names(shown)
    assert context.called(OTHER) == "genegan.better"
    with pytest.raises(CheckpointError, match="choose another tag"):
        models.on_rename(context, {"name": "genegan.better", "tag": "heads-eyeglasses-64"}, *NOBODY)


def test_what_was_deleted_can_be_got_back_at_once_and_later(context):
    shown = models.on_delete(context, {"name": OTHER}, *NOBODY)
    value = shown[5]
    assert OTHER not in names(shown)
    assert value["undo"]["name"] == OTHER
    later = models.paint(context, *NOBODY)[5]
    assert later["undo"] == {}
    assert later["deleted"] == [
        {"key": value["undo"]["key"], "name": OTHER, "left": "kept for 7 more days"}
    ]
    back = models.on_restore(context, {"key": value["undo"]["key"]}, *NOBODY)
    assert OTHER in names(back)
    assert back[5]["deleted"] == []


def choice(update):
    return update.value if isinstance(update, gr.Dropdown) else update["value"]


def test_two_cards_are_compared_with_the_better_number_marked(context, make_checkpoint):
    one = make_checkpoint(tag="one", metrics={"psnr": 28.5, "ssim": 0.9})
    two = make_checkpoint(tag="two", metrics={"psnr": 26.0, "ssim": 0.95}, data_set="<b>x")
    opened, first, second, table = models.on_pick(context, {"name": one}, None, None)
    assert (opened.open, choice(first), choice(second)) == (True, one, None)
    assert "Choose two models" in table
    _, first, second, table = models.on_pick(context, {"name": two}, one, None)
    assert (choice(first), choice(second)) == (one, two)
    assert '<td data-better="true">28.5 dB <span>better</span></td><td>26.0 dB</td>' in table
    assert '<td>0.9</td><td data-better="true">0.95 <span>better</span></td>' in table
    assert "&lt;b&gt;x" in table
    assert "<b>" not in table
    assert models.on_compare(context, one, two) == table
    _, first, second, _ = models.on_pick(context, {"name": one}, two, one)
    assert (choice(first), choice(second)) == (one, None)


def test_a_comparison_follows_a_new_name_and_ends_with_what_is_deleted(context):
    pair = ("genegan.heads-eyeglasses-64", OTHER)
    shown = models.on_rename(context, {"name": OTHER, "tag": "better"}, *pair)
    assert [choice(one) for one in shown[2:4]] == [pair[0], "genegan.better"]
    assert "genegan.better" in shown[4]
    pair = (pair[0], "genegan.better")
    shown = models.on_delete(context, {"name": "genegan.better"}, *pair)
    assert [choice(one) for one in shown[2:4]] == [pair[0], None]
    assert "Choose two models" in shown[4]
    still = models.paint(context, pair[0], None)
    assert still[4] == gr.skip()
