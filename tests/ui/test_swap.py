import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from studio import editing, images
from studio.errors import ImageError, RecipeError, StudioError
from studio.faces.align import Alignment
from studio.faces.detect import Face
from studio.recipes import Recipe
from studio.ui import bench, examples, repaint, screen, seats
from studio.ui.context import Context
from studio.ui.draft import Draft, History, Seat
from studio.ui.guard import guarded
from studio.ui.tabs import swap


@pytest.fixture
def pair(context, upload, heads_pictures, monkeypatch):
    """Return the history of a visitor who uploaded two crops."""
    monkeypatch.setattr(bench, "find_faces", lambda *_, **__: [])
    history = History(Draft(checkpoint="genegan.heads-eyeglasses-64"))
    for role, name, picture in zip(
        ("receiver", "donor"), ("anna", "ben"), heads_pictures, strict=False
    ):
        event = upload(images.encode_png(picture), f"{name}.png")
        history = swap.on_photo(context, role, event, history)
        history = seats.on_whole(context, role, history)
    return history


def saved(context, history, output="full", pictures=True):
    update = swap.on_save(context, history, output, pictures)
    return images.read_photo(io_path(update))


def io_path(update):
    return Path(update.value["path"] if isinstance(update.value, dict) else update.value)


def jpeg(uri):
    return np.array(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_a_chosen_model_leaves_the_slider_to_the_hand(context, pair):
    history = swap.on_strength(context, pair, 1.5)
    place = [type(one) for one in swap.paint(context, history)].index(gr.Slider)
    answer = swap.beside_hand(swap.on_checkpoint)(context, history, "genegan.other")
    assert "value" not in answer[1 + place]._constructor_args[0]
    assert swap.paint(context, history)[place].value == 1.5


def test_first_screen_is_a_finished_example(context):
    history = swap.on_load(context, History())
    values = swap.paint(context, history)
    stage, strip = values[6], values[7]
    assert stage["patch"]
    assert stage["caption"].startswith("A with B's eyeglasses")
    assert len(strip["items"]) == 4
    assert swap.on_load(context, history) is history


def test_without_a_checkpoint_the_page_says_what_to_do(models):
    context = Context(models)
    history = swap.on_load(context, History())
    shown = screen.screen(context, history.present)
    assert "latent-studio train" in shown.stage["caption"]
    assert not shown.strip["items"]


def test_every_example_can_be_set_up(context, make_checkpoint, monkeypatch):
    monkeypatch.setattr(bench, "find_faces", lambda *_, **__: [])
    make_checkpoint(tag="eyeglasses-64")
    offered = examples.available(context.swappers())
    assert {one.label for one in offered} == {"Glasses", "Glasses, photo", "Four glasses"}
    for index in range(len(offered)):
        history = swap.on_example(context, {"index": index}, History())
        draft = history.present
        history = History(
            replace(draft, seats={r: replace(s, doubt="") for r, s in draft.seats.items()})
        )
        assert "patch" in swap.paint(context, history)[6]


def test_sliding_sends_only_the_changed_part_and_encodes_nothing(context, pair, monkeypatch):
    swap.paint(context, pair)
    monkeypatch.setattr(editing, "encode", None)
    history, stage = swap.on_slide(context, pair, 0.5)
    assert history.present.strength == 0.5
    assert stage["base"] == ""
    assert stage["key"] == swap.paint(context, pair)[6]["key"]
    assert jpeg(stage["patch"]["src"]).shape[0] <= 96


def test_strength_zero_changes_nothing(context, pair):
    _, stage = swap.on_slide(context, pair, 0.0)
    assert "patch" not in stage


def test_upload_that_is_no_picture_is_one_sentence_and_changes_nothing(context, pair, upload):
    answer = guarded(context, swap.on_photo, "donor")
    for content in (b"", b"no picture", b"%PDF-1.7", b"GIF89a"):
        with pytest.raises(gr.Error) as caught:
            answer(upload(content, "bad.jpg"), pair)
        assert len(str(caught.value.message)) > 20


def test_path_outside_the_uploads_is_refused(context, pair, tmp_path, heads_pictures):
    outside = tmp_path / "secret.png"
    outside.write_bytes(images.encode_png(heads_pictures[0]))
    for path in (str(outside), "/etc/passwd", "", None, f"{tmp_path}/uploads/../secret.png"):
        with pytest.raises(ImageError, match="upload"):
            swap.on_photo(context, "donor", {"path": path}, pair)


def test_too_large_upload_is_told_before_it_is_sent(context, pair):
    with pytest.raises(ImageError, match="25 MB"):
        swap.on_photo(context, "donor", {"path": "", "name": "a.tif", "bytes": 10**8}, pair)


def test_photo_without_a_face_is_not_edited_until_its_crop_is_set(
    context, upload, photograph, pair
):
    event = upload(images.encode_png(photograph(1, 120, 200)), "landscape.png")
    history = swap.on_photo(context, "receiver", event, pair)
    shown = screen.screen(context, history.present)
    assert shown.drops["receiver"]["doubt"] == bench.NO_FACE
    assert "patch" not in shown.stage
    assert "photo A" in shown.stage["caption"]
    frame = {"x": 0.4, "y": 0.3, "side": 0.4, "angle": 10}
    history = seats.on_frame(context, "receiver", frame, history)
    shown = screen.screen(context, history.present)
    assert shown.stage["patch"]
    assert shown.drops["receiver"]["frame"] == pytest.approx(frame)


def test_doubted_face_is_edited_once_confirmed(context, upload, photograph, pair, monkeypatch):
    doubted = Face(Alignment(60, 50, 20), False, 1.0, False, "The eyes were not found.")
    monkeypatch.setattr(bench, "find_faces", lambda *_, **__: [doubted])
    event = upload(images.encode_png(photograph(2, 120, 120)), "doubted.png")
    history = swap.on_photo(context, "receiver", event, pair)
    assert history.present.shown == ""
    history = seats.on_confirm(context, "receiver", history)
    assert history.present.shown == "receives"


def test_of_several_faces_the_person_chooses(context, upload, photograph, pair, monkeypatch):
    found = [Face(Alignment(40 + 30 * i, 60, 12), True, 0.03, True) for i in range(12)]
    monkeypatch.setattr(bench, "find_faces", lambda *_, **__: found)
    event = upload(images.encode_png(photograph(3, 120, 420)), "group.png")
    history = swap.on_photo(context, "receiver", event, pair)
    drop = screen.screen(context, history.present).drops["receiver"]
    assert len(drop["faces"]) == 12
    assert drop["chosen"] == 0
    history = seats.on_face(context, "receiver", {"index": 5}, history)
    assert history.present.seats["receiver"].alignment.centre_x == pytest.approx(190)


def test_frame_outside_the_photo_is_said_and_can_be_mended(context, pair):
    history = seats.on_frame(
        context, "receiver", {"x": 9.0, "y": 9.0, "side": 0.3, "angle": 0}, pair
    )
    with pytest.raises(StudioError):
        swap.painted(repaint.on_refresh)(context, history)


def test_undo_and_redo_walk_through_the_settings(context, pair):
    moved = pair
    for strength in (0.9, 0.8, 0.7):
        moved, _ = swap.on_slide(context, moved, strength)
    other = swap.on_choice(context, {"index": 2}, moved)
    assert other.present.child == "without"
    back = repaint.on_undo(context, other)
    assert back.present.strength == 0.7
    assert repaint.on_undo(context, back).present == pair.present
    assert repaint.on_redo(context, back).present == other.present
    assert repaint.on_undo(context, History()).present == Draft()


def test_saved_file_restores_pictures_and_settings(context, pair, upload):
    history, _ = swap.on_slide(context, pair, 1.4)
    made = saved(context, history)
    dropped = upload(images.encode_png(made.pixels, text=made.text), "anna__ben.png")
    restored = swap.on_photo(context, "donor", dropped, History())
    draft = restored.present
    assert (draft.checkpoint, draft.strength, draft.child) == (
        "genegan.heads-eyeglasses-64", 1.4, "receives",
    )  # fmt: skip
    original = images.read_photo(io_path_of(pair, "receiver"))
    again = images.read_photo(io_path_of(restored, "receiver"))
    assert np.array_equal(original.pixels, again.pixels)
    assert np.array_equal(saved(context, restored).pixels, made.pixels)


def test_a_result_may_be_larger_than_a_photograph(context, pair, upload, monkeypatch):
    made = saved(context, pair)
    monkeypatch.setattr(swap, "MAX_BYTES", 1000)
    with pytest.raises(ImageError, match="The file is larger than"):
        swap.on_photo(context, "donor", upload(images.encode_png(made.pixels), "a.png"), pair)
    dropped = upload(images.encode_png(made.pixels, text=made.text), "anna__ben.png")
    assert swap.on_photo(context, "donor", dropped, History()).present.seats.keys() == {
        "receiver",
        "donor",
    }


def io_path_of(history, role):
    return Path(history.present.seats[role].path)


@pytest.mark.parametrize("output", ["crop", "model"])
def test_other_outputs_restore_too(context, pair, upload, output):
    made = saved(context, pair, output)
    dropped = upload(images.encode_png(made.pixels, text=made.text), "crop.png")
    restored = swap.on_photo(context, "receiver", dropped, History())
    assert {"receiver", "donor"} == set(restored.present.seats)
    assert "patch" in swap.paint(context, restored)[6]


def test_without_photos_inside_only_settings_are_restored(context, pair, upload):
    made = saved(context, replace_strength(pair, 0.3), pictures=False)
    assert not any(s["picture"] for s in json.loads(made.text["latent-studio"])["sources"])
    dropped = upload(images.encode_png(made.pixels, text=made.text), "private.png")
    restored = swap.on_photo(context, "receiver", dropped, pair)
    assert restored.present.seats == pair.present.seats
    assert restored.present.strength == 0.3


def replace_strength(history, strength):
    return History(replace(history.present, strength=strength))


def test_result_that_was_repainted_is_not_restored(context, pair, upload):
    made = saved(context, pair)
    pixels = made.pixels.copy()
    pixels[:4] ^= 255
    dropped = upload(images.encode_png(pixels, text=made.text), "painted.png")
    with pytest.raises(RecipeError, match="changed after"):
        swap.on_photo(context, "receiver", dropped, History())


def test_full_size_result_at_strength_zero_is_the_photo(context, pair):
    made = saved(context, replace_strength(pair, 0.0))
    original = images.read_photo(io_path_of(pair, "receiver"))
    assert np.array_equal(made.pixels, original.pixels)


def test_changing_photo_b_makes_it_the_receiver_of_the_recipe(context, pair):
    history = swap.on_choice(context, {"index": 1}, pair)
    made = saved(context, history)
    recipe = Recipe.from_photo(made)
    donor = images.read_photo(io_path_of(pair, "donor"))
    changed = (made.pixels != donor.pixels).any(axis=2)
    assert 0 < changed.mean() < 1
    assert recipe.steps[0].donors == ("donor",)


def test_apply_and_continue_stacks_steps(context, pair, upload, heads_pictures):
    settled = swap.on_settle(context, pair)
    assert len(settled.present.applied) == 1
    third = upload(images.encode_png(heads_pictures[2]), "carla.png")
    history = swap.on_photo(context, "donor", third, settled)
    history = seats.on_whole(context, "donor", history)
    history = swap.on_checkpoint(context, history, "genegan.other")
    shown = screen.screen(context, history.present)
    assert shown.steps == ["Eyeglasses of ben, strength 1.00"]
    made = saved(context, history)
    recipe = Recipe.from_photo(made)
    assert [step.checkpoint for step in recipe.steps] == [
        "genegan.heads-eyeglasses-64", "genegan.other",
    ]  # fmt: skip
    assert [step.donors for step in recipe.steps] == [("step1-donor",), ("donor",)]
    first = saved(context, pair)
    assert not np.array_equal(first.pixels, made.pixels)


def test_settling_photo_b_seats_it_as_photo_a(context, pair):
    history = swap.on_settle(context, swap.on_choice(context, {"index": 1}, pair))
    seats = history.present.seats
    assert seats["receiver"].name == "ben"
    assert seats["donor"].name == "anna"
    assert len(history.present.applied) == 1


def test_nothing_to_save_is_a_sentence(context):
    with pytest.raises(RecipeError, match="no result yet"):
        swap.on_save(context, History(Draft(checkpoint="genegan.other")), "full", True)


def test_blend_of_four_shows_a_grid_whose_cells_go_on_the_stage(context):
    history = swap.on_example(context, {"index": 1}, History())
    assert history.present.mode == "blend"
    shown = screen.screen(context, history.present)
    assert len(shown.strip["items"]) == 25
    corner = swap.on_choice(context, {"index": 4}, history)
    assert corner.present.place == (1.0, 0.0)
    assert "100% right, 0% down" in screen.caption(context, corner.present)
    finer = swap.on_side(context, corner, 3)
    assert len(screen.screen(context, finer.present).strip["items"]) == 9
    step = Recipe.from_photo(saved(context, corner)).steps[0]
    assert (step.kind, step.x, step.y, len(step.donors)) == ("blend", 1.0, 0.0, 4)
    pair = swap.on_mode(context, corner, "swap")
    assert len(screen.screen(context, pair.present).strip["items"]) == 4


def test_transparent_photo_keeps_its_alpha(context, pair, upload, heads_pictures):
    alpha = np.full((96, 96), 255, np.uint8)
    alpha[:20] = 0
    event = upload(images.encode_png(heads_pictures[0], alpha=alpha), "cutout.png")
    history = seats.on_whole(context, "receiver", swap.on_photo(context, "receiver", event, pair))
    assert np.array_equal(saved(context, history).alpha, alpha)
    stage = swap.paint(context, history)[6]
    assert (jpeg(stage["base"])[:10] > 240).all()


def test_removing_a_photo_leaves_the_other(context, pair):
    history = seats.on_remove(context, "donor", pair)
    shown = screen.screen(context, history.present)
    assert [item["label"] for item in shown.strip["items"]] == ["A without eyeglasses"]
    assert not shown.has_strength
    with pytest.raises(RecipeError):
        seats.on_confirm(context, "donor", history)


def test_applied_steps_go_with_the_photo_they_were_made_on():
    seat = Seat("a.png", "a", 10, 10, Alignment.whole(10, 10))
    done = Draft(seats={"receiver": seat}, applied=("a step",))
    assert done.seat("receiver", replace(seat, doubt="?")).applied
    assert not done.seat("receiver", replace(seat, path="b.png")).applied
    assert done.seat("donor", seat).applied


def test_two_pictures_from_another_tab_are_the_pair(context, pair):
    two = [pair.present.seats[role] for role in ("donor", "receiver")]
    entered = swap.enter(context, pair, two, "genegan.other")[0].present
    assert [entered.seats[role] for role in ("receiver", "donor")] == two
    assert entered.checkpoint == "genegan.other"
    one = swap.enter(context, pair, two[:1], "genegan.other")[0].present
    assert one.seats["receiver"] == one.seats["donor"] == two[0]
