import base64
import io
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from studio import directions, images
from studio.errors import ConfigError, ImageError, RecipeError
from studio.recipes import Recipe
from studio.render import heads
from studio.ui import bench as photos
from studio.ui import repaint, seats
from studio.ui.context import Context
from studio.ui.portrait import bench, screen
from studio.ui.portrait.draft import Portrait, Portraits
from studio.ui.tabs import attributes, swap


@pytest.fixture
def context(make_checkpoint, models):
    make_checkpoint("attribute-mapping", tag="faces-32")
    make_checkpoint("dcgan", tag="faces-32")
    make_checkpoint("genegan", tag="faces-32")
    return Context(models)


@pytest.fixture
def begun(context):
    """Return the history of a visitor who opened the tab."""
    return attributes.on_show(context, Portraits())


def slide(context, history, name, value, own=False):
    event = {"name": name, "value": value, "own": own}
    return attributes.on_slide(context, event, history)[0]


def picture(uri):
    return np.array(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def file_of(update):
    return Path(update.value["path"] if isinstance(update.value, dict) else update.value)


def by_name(value):
    return {one["name"]: one for group in value["groups"] for one in group["sliders"]}


def test_the_tab_opens_with_a_face_whose_sliders_stand_where_it_is(context, begun):
    portrait = begun.present
    assert (portrait.checkpoint, portrait.mode) == ("attribute-mapping.faces-32", "photo")
    shown = by_name(screen.sliders(context, portrait))
    found = bench.measured(context, portrait)
    assert {name: one["value"] for name, one in shown.items()} == pytest.approx(found, abs=1e-4)
    assert all(one["value"] == one["origin"] and not one["moved"] for one in shown.values())
    assert "patch" not in screen.stage(context, portrait)


def test_without_checkpoints_the_tab_says_what_to_do(models):
    context = Context(models)
    history = attributes.on_show(context, Portraits())
    shown = attributes.paint(context, history)
    assert history == Portraits()
    assert any("--method attribute-mapping" in str(value) for value in shown)


def test_every_checkpoint_of_faces_can_get_sliders_those_that_have_some_come_first(
    context, begun, make_checkpoint
):
    make_checkpoint("aeai", tag="pole-32", data={"size": 32, "alignment": "none", "attributes": []})
    make_checkpoint("stargan", tag="faces-32")
    names = [card.name for card in bench.editors(context)]
    assert names == ["attribute-mapping.faces-32", "genegan.faces-32"]
    bare = attributes.on_checkpoint(context, begun, "genegan.faces-32").present
    shown = screen.sliders(context, bare)
    assert not shown["groups"]
    assert "make your own" in shown["hint"]
    assert "the sliders that you make" in screen.about(context.store.card("genegan.faces-32"))


def test_only_what_knows_attributes_is_loaded_to_compare(context, begun, monkeypatch):
    moved = slide(context, begun, "Smiling", 0.9).present
    loaded, load = [], context.models.get
    monkeypatch.setattr(context.models, "get", lambda name: (loaded.append(name), load(name))[1])
    bench.rivals(context, moved)
    assert "genegan.faces-32" not in loaded


def test_what_a_visitor_has_stays_when_the_tab_is_opened_again(context, begun):
    moved = slide(context, begun, "Smiling", 0.9)
    assert attributes.on_show(context, moved) is moved


def test_a_slider_sends_the_changed_part_alone(context, begun):
    event = {"name": "Eyeglasses", "value": 1.0, "own": False}
    moved, stage = attributes.on_slide(context, event, begun)
    assert stage["base"] == ""
    assert stage["serial"] == "Eyeglasses 1.000"
    assert picture(stage["patch"]["src"]).size
    assert "Eyeglasses 100%" in stage["caption"]
    shown = by_name(screen.sliders(context, moved.present))["Eyeglasses"]
    assert (shown["value"], shown["moved"]) == (1.0, True)
    assert shown["origin"] < 1


def test_one_drag_is_one_undo_and_another_slider_another(context, begun):
    history = begun
    for value in (0.2, 0.4, 0.6):
        history = slide(context, history, "Eyeglasses", value)
    history = slide(context, history, "Smiling", 0.5)
    history = slide(context, history, "Smiling", 0.7)
    assert dict(history.present.values) == {"Eyeglasses": 0.6, "Smiling": 0.7}
    back = repaint.on_undo(context, history)
    assert dict(back.present.values) == {"Eyeglasses": 0.6}
    assert dict(repaint.on_undo(context, back).present.values) == {}
    assert repaint.on_redo(context, back).present == history.present


def test_sliders_are_put_back_one_or_all(context, begun):
    history = slide(context, slide(context, begun, "Eyeglasses", 1), "Smiling", 1)
    one = attributes.on_reset(context, {"name": "Smiling"}, history)
    assert dict(one.present.values) == {"Eyeglasses": 1}
    every = attributes.on_reset(context, {"name": ""}, history)
    assert not every.present.moved
    assert "patch" not in screen.stage(context, every.present)


def test_holding_changes_the_picture_and_can_be_let_go(context, begun):
    moved = slide(context, begun, "Eyeglasses", 1)
    held = attributes.on_hold(context, {"name": "Smiling"}, moved)
    assert held.present.held == ("Smiling",)
    assert by_name(screen.sliders(context, held.present))["Smiling"]["held"]
    free, kept = (bench.edit(context, one.present).edited for one in (moved, held))
    assert not np.array_equal(free, kept)
    assert attributes.on_hold(context, {"name": "Smiling"}, held).present.held == ()


def test_values_beyond_a_slider_are_refused(context, begun):
    with pytest.raises(ConfigError, match=r"Smiling goes from 0 to 1, not to 1\.5"):
        slide(context, begun, "Smiling", 1.5)
    with pytest.raises(ConfigError, match="from -3 to 3, not to 4"):
        slide(context, begun, "Hat", 4, own=True)
    with pytest.raises(ConfigError, match="no attribute 'Beard'"):
        slide(context, begun, "Beard", 1)


def test_what_else_changed_is_told_when_the_hand_rests(context, make_checkpoint, begun):
    assert screen.leaks(context, begun.present) == {}
    moved = slide(context, begun, "Eyeglasses", 1)
    assert screen.leaks(context, moved.present)["judged"] is False
    make_checkpoint("attributes", tag="celeba-64")
    make_checkpoint("identity", tag="celeba-64")
    again = slide(context, begun, "Eyeglasses", 0.9)
    value, *_ = attributes.on_rest(context, again)
    leaks = value["leaks"]
    assert set(leaks["changes"]) == {"Eyeglasses", "Smiling"}
    assert leaks["same"].startswith("Identity ")
    assert not any(words.startswith("Eyeglasses") for words in leaks["most"])


@pytest.mark.parametrize(
    ("cosine", "words"), [(0.9, "the same person"), (0.6, "alike"), (0.1, "someone else")]
)
def test_the_identity_is_told_in_words(cosine, words):
    assert screen.same_person(cosine).endswith(words)
    assert screen.same_person(float("nan")) == ""


def test_the_same_edit_by_other_checkpoints_stands_below(context, make_checkpoint, begun):
    moved = slide(context, begun, "Eyeglasses", 1)
    assert screen.strip(context, moved.present) == {"items": []}
    make_checkpoint("attribute-mapping", tag="other-32", seed=4)
    make_checkpoint("stargan", tag="faces-32")
    strip = screen.strip(context, moved.present)
    assert [one["label"] for one in strip["items"]] == [
        "Attribute mapping · faces-32",
        "Attribute mapping · other-32",
        "StarGAN · faces-32",
    ]
    chosen = attributes.on_choice(context, {"index": 1}, moved)
    assert chosen.present.checkpoint == "attribute-mapping.other-32"
    assert dict(chosen.present.values) == {"Eyeglasses": 1}
    with pytest.raises(ConfigError, match=r"stargan\.faces-32 has no sliders"):
        attributes.on_choice(context, {"index": 2}, moved)


def test_another_model_begins_with_its_own_measurement(context, make_checkpoint, begun):
    make_checkpoint("attribute-mapping", tag="other-32", seed=4)
    moved = attributes.on_hold(context, {"name": "Smiling"}, slide(context, begun, "Eyeglasses", 1))
    other = attributes.on_checkpoint(context, moved, "attribute-mapping.other-32").present
    assert (dict(other.values), other.held) == ({}, ())


def test_applied_edits_stay_under_the_next_ones(context, begun):
    moved = slide(context, begun, "Eyeglasses", 1)
    settled = attributes.on_settle(context, moved)
    assert len(settled.present.applied) == 1
    assert not settled.present.moved
    before, after = (bench.ground(context, one.present).photo for one in (begun, settled))
    assert not np.array_equal(before.pixels, after.pixels)
    with pytest.raises(RecipeError, match="move a slider first"):
        attributes.on_settle(context, settled)


def test_a_preset_moves_its_sliders(context, begun, monkeypatch):
    preset = attributes.traits.Preset("Glad", {"Smiling": 1})
    monkeypatch.setattr(attributes.traits, "PRESETS", (preset,))
    assert screen.sliders(context, begun.present)["presets"] == ["Glad"]
    moved = attributes.on_preset(context, {"index": 0, "label": "Glad"}, begun)
    assert dict(moved.present.values) == {"Smiling": 1}
    with pytest.raises(ConfigError, match="no preset 'Sad'"):
        attributes.on_preset(context, {"index": 0, "label": "Sad"}, begun)


def test_faces_are_composed_from_attributes_alone(context, begun):
    composing = attributes.on_mode(context, begun, "compose")
    assert composing.present.mode == "compose"
    value = screen.sliders(context, composing.present)
    assert value["composing"]
    assert value["own"] == []
    asked = slide(context, composing, "Smiling", 1.0)
    strip = screen.strip(context, asked.present)
    assert len(strip["items"]) == 9
    assert strip["items"][4]["label"] == "Seed 4"
    chosen = attributes.on_choice(context, {"index": 4}, asked)
    stage = screen.stage(context, chosen.present)
    assert "Seed 4" in stage["caption"]
    assert "32 × 32 pixels, enlarged" in stage["caption"]  # noqa: RUF001
    seeded = attributes.on_seed(context, asked, 4)
    assert screen.stage(context, seeded.present)["base"] == stage["base"]
    fewer = attributes.on_count(context, asked, 3)
    assert len(screen.strip(context, fewer.present)["items"]) == 3
    typical = attributes.on_variation(context, asked, 0).present
    faces = bench.sheet(context, typical)
    assert np.abs(faces[0].astype(int) - faces[1]).max() <= 1


def test_contradictions_are_pointed_out_where_a_face_is_composed(context, begun, monkeypatch):
    pair = frozenset({frozenset({"Smiling", "Eyeglasses"})})
    monkeypatch.setattr(attributes.traits, "CONTRADICTIONS", pair)
    composing = attributes.on_mode(context, begun, "compose")
    both = slide(context, slide(context, composing, "Smiling", 1.0), "Eyeglasses", 1.0)
    (sentence,) = screen.sliders(context, both.present)["notes"]
    assert "exclude each other" in sentence
    assert screen.sliders(context, composing.present)["notes"] == []


def test_composing_keeps_a_model_that_can_and_takes_another_otherwise(context):
    history = Portraits(Portrait(checkpoint="genegan.faces-32"))
    composing = attributes.on_mode(context, history, "compose")
    assert composing.present.checkpoint == "attribute-mapping.faces-32"
    rival = attributes.on_checkpoint(context, composing, "dcgan.faces-32")
    assert bench.sheet(context, rival.present).shape == (9, 32, 32, 3)


def test_an_edit_is_saved_with_what_restores_it(context, begun, upload_folder, upload):
    moved = attributes.on_hold(
        context, {"name": "Smiling"}, slide(context, begun, "Eyeglasses", 0.8)
    )
    path = file_of(attributes.on_save(context, moved, "full", True))
    assert path.name == "astronaut.png"
    dropped = upload(path.read_bytes(), "dropped.png")
    back = attributes.on_photo(context, "receiver", dropped, Portraits()).present
    assert (dict(back.values), back.held) == ({"Eyeglasses": 0.8}, ("Smiling",))
    again = file_of(attributes.on_save(context, Portraits(back), "full", True))
    assert np.array_equal(images.read_photo(path).pixels, images.read_photo(again).pixels)


def test_a_composed_face_is_saved_with_its_seed_and_comes_back(
    context, begun, upload_folder, upload
):
    composing = attributes.on_choice(
        context, {"index": 2}, attributes.on_seed(
            context, slide(context, attributes.on_mode(context, begun, "compose"), "Smiling", 1.0),
            5,
        ),
    )  # fmt: skip
    path = file_of(attributes.on_save(context, composing, "full", True))
    assert path.name == "face-000007.png"
    photo = images.read_photo(path)
    assert Recipe.from_photo(photo).seed == 7
    dropped = upload(path.read_bytes(), "dropped.png")
    back = attributes.on_photo(context, "receiver", dropped, Portraits()).present
    assert (back.mode, back.seed, back.chosen) == ("compose", 7, 0)
    assert np.array_equal(bench.sheet(context, back)[0], photo.pixels)


def test_there_is_nothing_to_save_before_an_edit(context):
    history = Portraits(Portrait(checkpoint="attribute-mapping.faces-32"))
    with pytest.raises(RecipeError, match="add a photo and move a slider first"):
        attributes.on_save(context, history, "full", True)


def crops(upload_folder, first):
    """Return eight uploads of rendered heads on plain ground."""
    files = []
    made = heads.render([heads.Head(identity=first + number) for number in range(8)], 96)
    for number, one in enumerate(images.to_pictures(made)):
        path = upload_folder / f"{first + number}.png"
        images.save_png(path, one)
        files.append(str(path))
    return files


@pytest.fixture
def whole_pictures(monkeypatch):
    """Take every picture as a crop: finding small rendered faces is another test's business."""
    reader = attributes.bulk.Reader
    monkeypatch.setattr(
        attributes.bulk,
        "Reader",
        lambda refine, aligned, note: reader(None, aligned=True, note=note),
    )
    told = []
    monkeypatch.setattr(gr, "Info", told.append)
    monkeypatch.setattr(gr, "Warning", told.append)
    return told


def test_a_slider_is_made_moved_and_deleted(context, begun, upload_folder, whole_pictures):
    groups = crops(upload_folder, 100), crops(upload_folder, 200)
    history = attributes.on_create(context, begun, *groups, "Straw hat")
    assert directions.names() == ["Straw hat"]
    assert any("Straw hat" in words for words in whole_pictures)
    (own,) = screen.sliders(context, history.present)["own"]
    assert (own["name"], own["value"]) == ("Straw hat", 0.0)
    moved = slide(context, history, "Straw hat", 2.0, own=True)
    assert "patch" in screen.stage(context, moved.present)
    assert "Straw hat +2.0" in screen.stage(context, moved.present)["caption"]
    gone = attributes.on_delete(context, moved, "Straw hat")
    assert directions.names() == []
    assert not gone.present.moved


def test_unusable_examples_are_named_and_too_few_refused(
    context, begun, upload_folder, whole_pictures
):
    shown, absent = crops(upload_folder, 100), crops(upload_folder, 200)
    Path(shown[0]).write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="7 with and 8 without"):
        attributes.on_create(context, begun, shown, absent, "Hat")
    assert any(words.startswith("Left out: 100.png") for words in whole_pictures)
    with pytest.raises(ConfigError, match="pictures with it and pictures without"):
        attributes.on_create(context, begun, None, absent, "Hat")
    with pytest.raises(ConfigError, match="Choose a model first"):
        attributes.on_create(context, Portraits(), shown, absent, "Hat")


def test_files_that_were_not_uploaded_are_no_examples(
    context, begun, upload_folder, tmp_path, whole_pictures
):
    stranger = tmp_path / "stranger.png"
    images.save_png(stranger, np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(ConfigError):
        attributes.on_create(context, begun, [str(stranger)], [], "Hat")
    assert any("No uploaded file" in words for words in whole_pictures)


def test_a_photo_in_doubt_waits_for_its_crop(context, upload, upload_folder):
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    history = Portraits(Portrait(checkpoint="attribute-mapping.faces-32"))
    event = upload(images.encode_png(noise))
    seated = attributes.on_photo(context, "receiver", event, history)
    assert seated.present.photo.doubt
    assert "Check the crop" in screen.stage(context, seated.present)["caption"]
    assert screen.sliders(context, seated.present)["groups"] == []
    settled = seats.on_confirm(context, "receiver", seated)
    assert screen.sliders(context, settled.present)["groups"]
    removed = seats.on_remove(context, "receiver", settled)
    assert removed.present.photo is None


def test_a_broken_upload_is_one_sentence(context, upload, upload_folder):
    history = Portraits(Portrait(checkpoint="attribute-mapping.faces-32"))
    with pytest.raises(ImageError):
        attributes.on_photo(context, "receiver", upload(b"nothing"), history)


def test_everything_painted_has_a_value(context, begun):
    desk = len(attributes.Desk.__dataclass_fields__)
    for history in (Portraits(), begun, attributes.on_mode(context, begun, "compose")):
        painted = attributes.paint(context, history)
        assert len(painted) == 19 < desk


def test_a_result_of_sliders_is_a_photograph_in_the_swap_tab(context, begun, upload_folder, upload):
    moved = slide(context, begun, "Eyeglasses", 1.0)
    path = file_of(attributes.on_save(context, moved, "full", True))
    event = upload(path.read_bytes(), "edited.png")
    seated = swap.on_photo(context, "receiver", event, swap.History()).present
    shown = photos.preview(context, seated.seats["receiver"].path).pixels
    assert np.array_equal(shown, images.read_photo(path).pixels)
    assert seated.applied == ()
