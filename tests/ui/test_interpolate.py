import base64
import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from studio import editing, images, latents
from studio.errors import CheckpointError, ConfigError, ImageError, UnsupportedError
from studio.ui import bench as photos
from studio.ui import repaint, seats
from studio.ui.context import Context
from studio.ui.tabs import interpolate
from studio.ui.walk import bench, samples, screen
from studio.ui.walk.draft import Walk, Walks

SPEC = {"size": 32, "alignment": "none", "attributes": []}


@pytest.fixture
def context(make_checkpoint, models):
    make_checkpoint("aeai", tag="pole-32", data=SPEC)
    make_checkpoint("autoencoder", tag="pole-32", data=SPEC, seed=1)
    make_checkpoint("autoencoder", tag="mug-32", data=SPEC, seed=2)
    make_checkpoint("genegan", tag="faces-32")
    return Context(models)


@pytest.fixture
def grid(context):
    """Return the history of a visitor who began with the pole."""
    return example(context, "Pole, grid")


@pytest.fixture
def strip(context):
    return example(context, "Pole, strip")


def example(context, label):
    labels = [one.label for one in samples.available(context)]
    return interpolate.on_example(context, {"index": labels.index(label)}, Walks())


def picture(uri):
    return np.array(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def file_of(update):
    return Path(update.value["path"] if isinstance(update.value, dict) else update.value)


def test_tab_opens_with_faces(context):
    opened = interpolate.on_show(context, Walks()).present
    assert (opened.mode, opened.checkpoint) == ("grid", "genegan.faces-32")
    assert list(opened.seats) == list("abcd")


def test_an_example_is_a_finished_grid(context, grid):
    walk = grid.present
    assert (walk.mode, walk.checkpoint) == ("grid", "aeai.pole-32")
    values = interpolate.paint(context, grid)
    stage, rows = values[7], values[8]
    assert picture(stage["picture"]).shape == (32, 32, 3)
    assert picture(stage["map"]).shape == (9 * 32, 9 * 32, 3)
    assert [corner["label"] for corner in stage["corners"]] == list("ABCD")
    assert [row["label"] for row in rows["rows"]] == ["AEAI · pole-32", "Pixel cross-fade"]
    assert interpolate.on_show(context, grid) is grid


def test_without_a_checkpoint_the_tab_says_what_to_do(models):
    context = Context(models)
    history = interpolate.on_show(context, Walks())
    values = interpolate.paint(context, history)
    assert "latent-studio train" in values[7]["caption"]
    assert values[8] == {"rows": []}


def test_every_example_can_be_set_up(context, monkeypatch):
    monkeypatch.setattr(photos, "find_faces", lambda *_, **__: [])
    labels = [one.label for one in samples.available(context)]
    assert labels == [
        "Faces, grid", "Faces, strip", "Pole, grid", "Pole, strip", "Mug, grid", "Mug, strip",
    ]  # fmt: skip
    for label in labels:
        values = interpolate.paint(context, example(context, label))
        assert values[7]["token"]
        assert values[8]["rows"]
    assert len(screen.example_row(context)["items"]) == 6


def test_a_strip_has_a_row_of_each_checkpoint_above_the_cross_fade(context, strip):
    shown = screen.rows(context, strip.present)
    assert [row["label"] for row in shown["rows"]] == [
        "AEAI · pole-32", "Plain autoencoder · pole-32", "Pixel cross-fade",
    ]  # fmt: skip
    assert all(len(row["frames"]) == 9 for row in shown["rows"])
    assert [number for number, _ in shown["rows"][-1]["numbers"]] == ["0.0%", "0%", "1.0 x", "—"]
    assert shown["chosen"] == [0, 4]
    # Of two contestants one is better, or both are; the cross-fade is none.
    ends = [row["numbers"][0][1] for row in shown["rows"]]
    assert any(ends[:2])
    assert not ends[2]


def test_moving_decodes_and_encodes_nothing(context, grid, monkeypatch):
    stage = screen.stage(context, grid.present)
    corners = bench.corners(context, grid.present, "aeai.pole-32")
    monkeypatch.setattr(editing, "encode", None)
    answer = interpolate.on_move(context, {"token": stage["token"], "x": 0.3, "y": 0.8})
    mixed = latents.bilinear([corner.latents for corner in corners], 0.3, 0.8)
    expected = images.to_pictures(context.models.get("aeai.pole-32").model.decode(mixed))[0]
    made = picture(answer["picture"]).astype(int)
    assert np.abs(made - expected).max() <= 1
    assert not np.array_equal(made, picture(stage["picture"]))


@pytest.mark.parametrize(
    "data", [{"token": "guess", "x": 0, "y": 0}, {"x": 0.5, "y": 0.5}, {"token": "x", "x": "a"}]
)
def test_moving_without_a_walk_is_an_answer_not_a_crash(context, data):
    assert set(interpolate.on_move(context, data)) == {"error"}


def test_moves_are_undone_as_one(context, grid):
    moved = grid
    for x in (0.1, 0.2, 0.3):
        moved, undo, _ = interpolate.on_rest(context, {"x": x, "y": 2.0}, moved)
        assert undo.interactive
    assert moved.present.place == (0.3, 1.0)
    assert repaint.on_undo(context, moved).present == grid.present
    assert repaint.on_redo(context, repaint.on_undo(context, moved)).present == moved.present


def test_a_grid_of_three_pictures_is_asked_for_the_fourth(context, grid):
    three = seats.on_remove(context, "d", grid)
    stage = screen.stage(context, three.present)
    assert "between four pictures: add picture D" in stage["caption"]
    with pytest.raises(UnsupportedError, match="between 4 pictures, not 3"):
        save(context, three, ".png")
    strip = interpolate.on_mode(context, three, "strip")
    assert len(screen.stage(context, strip.present)["corners"]) == 3


def test_samples_fill_the_empty_corner_and_then_one_after_another(context, strip):
    turns = []
    history = strip
    for index in range(4):
        turns.append(history.present.turn)
        history = interpolate.on_sample(context, {"index": index + 2}, history)
    assert turns == ["c", "d", "a", "b"]
    assert history.present.seats["b"].name == "pole-300-45"
    assert len(screen.sample_row(context, history.present)["items"]) == 12


def test_uploads_are_cropped_at_their_middle_where_no_faces_are_known(
    context, strip, upload, photograph, monkeypatch
):
    monkeypatch.setattr(photos, "find_faces", None)
    event = upload(images.encode_png(photograph(1, 60, 100)), "thing.png")
    history = interpolate.on_photo(context, "a", event, strip)
    seat = history.present.seats["a"]
    assert (seat.name, seat.doubt, seat.alignment.box()) == ("thing", "", (20, 0, 80, 60))
    assert "differ in size" in screen.stage(context, history.present)["note"]


def test_uploads_are_cropped_at_their_face_where_faces_are_known(
    context, upload, photograph, monkeypatch
):
    history = example(context, "Faces, strip")
    monkeypatch.setattr(photos, "find_faces", lambda *_, **__: [])
    event = upload(images.encode_png(photograph(1, 60, 100)), "nobody.png")
    history = interpolate.on_photo(context, "b", event, history)
    assert history.present.seats["b"].doubt == photos.NO_FACE
    assert "Check the crop of picture B" in screen.stage(context, history.present)["caption"]
    with pytest.raises(ImageError, match="in doubt"):
        save(context, history, ".gif")
    settled = seats.on_whole(context, "b", history)
    assert screen.stage(context, settled.present)["token"]


def test_a_path_that_is_no_upload_is_refused(context, strip):
    with pytest.raises(ImageError, match="upload"):
        interpolate.on_photo(context, "a", {"path": "/etc/passwd"}, strip)


def test_the_picture_under_the_dot_becomes_a_corner(context, grid, upload_folder):
    event = {"corner": "d", "x": 0.25, "y": 0.75}
    history = interpolate.on_corner(context, event, grid)
    seat = history.present.seats["d"]
    expected = bench.pictures(context, grid.present, "aeai.pole-32", [(0.25, 0.75)])[0]
    assert np.array_equal(images.read_photo(Path(seat.path)).pixels, expected)
    assert history.present.place == (0.25, 0.75)
    with pytest.raises(ConfigError, match="corners"):
        interpolate.on_corner(context, {**event, "corner": "z"}, grid)


def test_a_frame_goes_on_the_stage_with_its_checkpoint(context, strip):
    history = interpolate.on_frame_chosen(context, {"row": 1, "column": 2}, strip)
    walk = history.present
    assert (walk.checkpoint, walk.place) == ("autoencoder.pole-32", (0.25, 0.5))
    assert walk.rows == strip.present.rows
    assert screen.rows(context, walk)["chosen"] == [1, 2]
    faded = interpolate.on_frame_chosen(context, {"row": 2, "column": 8}, strip).present
    assert (faded.checkpoint, faded.place[0]) == ("aeai.pole-32", 1.0)


def test_a_checkpoint_for_other_pictures_brings_its_own(context, grid):
    same = interpolate.on_checkpoint(context, grid, "autoencoder.pole-32")
    assert same.present.seats == grid.present.seats
    other = interpolate.on_checkpoint(context, grid, "autoencoder.mug-32")
    assert other.present.seats["a"].name == "mug-000"
    assert (other.present.mode, other.present.rows) == ("grid", ("autoencoder.mug-32",))
    with pytest.raises(CheckpointError):
        interpolate.on_checkpoint(context, grid, "aeai.gone")


def test_at_most_seven_checkpoints_are_compared():
    walk = Walk().show("a.a").compare([f"b.{k}" for k in range(9)])
    assert len(walk.rows) == 7
    assert walk.show("c.c").rows[0] == "c.c"
    assert walk.compare([]).rows == ("a.a",)


def test_settings_change_what_is_shown(context, strip, grid):
    longer = interpolate.on_frames(context, strip, 15.0)
    assert len(screen.rows(context, longer.present)["rows"][0]["frames"]) == 15
    arc = interpolate.on_path(context, strip, "slerp")
    before, after = (screen.rows(context, one.present)["rows"] for one in (strip, arc))
    assert before[0]["frames"] != after[0]["frames"]
    assert before[2] == after[2]
    alone = interpolate.on_others(context, strip, None)
    assert len(screen.rows(context, alone.present)["rows"]) == 2
    coarse = interpolate.on_side(context, grid, 3.0)
    assert picture(screen.stage(context, coarse.present)["map"]).shape == (96, 96, 3)


def save(context, history, form, count=6, size=0, ease="linear", ping_pong=False, every=False):
    return interpolate.on_save(context, history, form, count, size, ease, ping_pong, every)


def test_saved_files_have_the_pictures_that_were_asked_for(context, strip, grid, upload_folder):
    file = file_of(save(context, strip, ".gif", ping_pong=True))
    assert file.name == "pole-000-45__pole-120-45.gif"
    with Image.open(file) as film:
        assert (film.n_frames, film.size) == (10, (32, 32))
    shown = images.read_photo(file_of(save(context, grid, ".png"))).pixels
    assert shown.shape == (9 * 36 + 4, 9 * 36 + 4, 3)
    every = images.read_photo(file_of(save(context, strip, ".png", every=True))).pixels
    assert every.shape[0] == 3 * 36 + 4
    assert file_of(save(context, grid, ".mp4", size=64)).stat().st_size > 500


@pytest.mark.parametrize(
    ("count", "size", "complaint"),
    [(None, 0, "how many frames"), (601, 0, "2 to 600"), (400, 3840, "megapixels, more than 150")],
)
def test_a_clip_that_cannot_be_is_a_sentence(context, strip, upload_folder, count, size, complaint):
    with pytest.raises(ConfigError, match=complaint):
        save(context, strip, ".gif", count, size)


def test_nothing_to_save_is_a_sentence(context):
    with pytest.raises(UnsupportedError, match="nothing between"):
        save(context, Walks(Walk().show("aeai.pole-32")), ".gif")


def test_a_clip_has_a_pace_and_a_picture_has_none():
    assert [update.visible for update in interpolate.on_format(".png")] == [False] * 3
    assert [update.visible for update in interpolate.on_format(".mp4")] == [True] * 3


def test_equal_numbers_have_no_best():
    ends = screen.COLUMNS[0]
    assert screen._best(ends, [[0.3], [0.2]], 0) == 0.2
    assert math.isnan(screen._best(ends, [[0.2], [0.2]], 0))
    assert math.isnan(screen._best(ends, [[0.2], [math.nan]], 0))


def test_a_checkpoint_of_somebody_elses_objects_brings_samples_of_its_own(context, make_checkpoint):
    name = make_checkpoint(
        "aeai", tag="coil14-64", seed=5, data=SPEC, data_set="coil100 (object=14), 58 pictures"
    )
    kind = samples.kind_of(context.store.card(name))
    assert samples.names(context, kind) == []
    assert screen.sample_row(context, Walk(checkpoint=name, rows=(name,)))["items"] == []
    z = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    context.store.write_codes(name, latents.Latents({"z": torch.from_numpy(z)}))
    row = screen.sample_row(context, Walk(checkpoint=name, rows=(name,)))
    assert len(row["items"]) == 12
    opened = example(context, "Coil100 14, grid").present
    assert (opened.checkpoint, list(opened.seats)) == (name, list("abcd"))
    model = context.models.get(name).model
    (expected,) = images.to_pictures(
        model.decode(latents.Latents({"z": torch.from_numpy(z[:1]).half().float()}))
    )
    shown = images.read_photo(Path(opened.seats["a"].path)).pixels
    assert np.abs(shown.astype(int) - expected).max() <= 1
