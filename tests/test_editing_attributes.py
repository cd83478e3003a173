import numpy as np
import pytest
import torch

from studio import directions, editing, images
from studio.checkpoints import MODEL
from studio.editing import Subject
from studio.errors import ConfigError, RecipeError, UnsupportedError
from studio.faces.align import Alignment
from studio.recipes import Recipe, Step
from studio.render import heads

WHOLE = Alignment.whole(32, 32)


@pytest.fixture
def mapping(make_checkpoint):
    return make_checkpoint("attribute-mapping")


def face(models, name, seed=0):
    (pixels,) = images.to_pictures(heads.render([heads.Head(identity=seed)], 32))
    return editing.encode(models, name, pixels, WHOLE)


@pytest.fixture
def own(models, mapping):
    return face(models, mapping)


def test_sliders_begin_at_what_the_checkpoint_measures(models, mapping, own):
    found = editing.measure(models, mapping, own)
    assert found.keys() == {"Eyeglasses", "Smiling"}
    assert all(0 < value < 1 for value in found.values())


def test_nothing_asked_for_gives_the_reconstruction_itself(models, mapping, own):
    assert editing.edit(models, mapping, own, {}) is own.reconstruction
    assert editing.edit(models, mapping, own, {}, ("Smiling",), {"None": 0}) is own.reconstruction
    measured = editing.measure(models, mapping, own)
    assert torch.equal(editing.edit(models, mapping, own, measured), own.reconstruction)


def test_an_edit_changes_the_face_and_holding_changes_the_edit(models, mapping, own):
    free = editing.edit(models, mapping, own, {"Eyeglasses": 1.0})
    held = editing.edit(models, mapping, own, {"Eyeglasses": 1.0}, ("Smiling",))
    assert not torch.equal(free, own.reconstruction)
    assert not torch.equal(held, free)
    slopes = editing.sensitivity(models, mapping, own)
    again = editing.edit(models, mapping, own, {"Eyeglasses": 1.0}, ("Smiling",), slopes=slopes)
    assert torch.equal(again, held)


@pytest.mark.parametrize(
    ("values", "held", "message"),
    [
        ({"Beard": 1}, (), "no attribute 'Beard'; there are Eyeglasses, Smiling"),
        ({"Smiling": 2}, (), "Smiling is 2; give a number from 0"),
        ({"Smiling": "yes"}, (), "Smiling is 'yes'"),
        ({"Smiling": True}, (), "Smiling is True"),
        ({"Smiling": 1}, ("Beard",), "no attribute 'Beard'"),
    ],
)
def test_wrong_names_and_values_are_one_sentence(models, mapping, own, values, held, message):
    with pytest.raises(ConfigError, match=message):
        editing.edit(models, mapping, own, values, held)


def test_a_checkpoint_without_attributes_is_refused(models, make_checkpoint, mapping):
    swapper = make_checkpoint("genegan")
    with pytest.raises(UnsupportedError, match=f"moves no attributes.*{mapping}"):
        editing.edit(models, swapper, face(models, swapper), {"Smiling": 1})
    with pytest.raises(UnsupportedError, match="makes no faces"):
        editing.generate(models, swapper, {"Smiling": 1})


def make_slider(models, name, title="Hat"):
    shown, absent = ([face(models, name, 10 * k + one) for one in range(8)] for k in (0, 1))
    return editing.make_direction(models, name, title, shown, absent)


@pytest.mark.parametrize("method", ["attribute-mapping", "genegan", "aeai"])
def test_own_sliders_move_every_method_that_encodes(models, make_checkpoint, method):
    name = make_checkpoint(method)
    made = make_slider(models, name)
    assert made.measured_in == ("data" if method == "attribute-mapping" else "examples")
    assert directions.names(name) == ["Hat"]
    own = face(models, name, 99)
    moved = editing.edit(models, name, own, {}, moves={"Hat": 2.0})
    assert not torch.equal(moved, own.reconstruction)
    back = editing.edit(models, name, own, {}, moves={"Hat": 0})
    assert back is own.reconstruction


def test_a_slider_of_another_checkpoint_or_other_weights_is_refused(
    models, make_checkpoint, mapping, monkeypatch
):
    make_slider(models, mapping)
    other = make_checkpoint("aeai")
    with pytest.raises(UnsupportedError, match=f"made with {mapping} and means nothing to {other}"):
        editing.edit(models, other, face(models, other), {}, moves={"Hat": 1})
    card = models.store.card(mapping)
    card.hashes[MODEL] = "other"
    monkeypatch.setattr(models.store, "card", lambda name: card)
    with pytest.raises(UnsupportedError, match="other weights"):
        editing.edit(models, mapping, face(models, mapping), {}, moves={"Hat": 1})


def test_a_slider_needs_latents_and_examples(models, make_checkpoint, mapping):
    judge = make_checkpoint("attributes")
    with pytest.raises(UnsupportedError, match="has no latents"):
        editing.make_direction(models, judge, "Hat", [], [])
    with pytest.raises(ConfigError, match="pictures with it and pictures without"):
        editing.make_direction(models, mapping, "Hat", [face(models, mapping)], [])


@pytest.mark.parametrize("method", ["attribute-mapping", "dcgan"])
def test_faces_are_made_from_attributes_and_a_seed(models, make_checkpoint, method):
    name = make_checkpoint(method)
    made = editing.generate(models, name, {"Smiling": 1}, 3, seed=5)
    assert made.shape == (3, 3, 32, 32)
    assert not torch.equal(made[0], made[1])
    # A face of a sheet can be had alone, and a longer sheet begins with the shorter one.
    alone = editing.generate(models, name, {"Smiling": 1}, 1, 7)
    torch.testing.assert_close(alone, made[2:], rtol=1e-3, atol=1e-3)
    typical = editing.generate(models, name, {"Smiling": 1}, 2, variation=0)
    torch.testing.assert_close(typical[0], typical[1], rtol=1e-3, atol=1e-3)
    other = editing.generate(models, name, {"Smiling": 0, "Eyeglasses": 1}, 3, seed=5)
    assert not torch.equal(other, made)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "0 faces were asked for; give 1 to 100"),
        ({"count": 101}, "101 faces"),
        ({"variation": 2.5}, "not at 2.5"),
    ],
)
def test_senseless_numbers_of_faces_are_refused(models, mapping, options, message):
    with pytest.raises(ConfigError, match=message):
        editing.generate(models, mapping, {}, **options)


def test_what_is_left_out_is_as_in_most_portraits():
    names = ["Young", "No_Beard", "Goatee", "Smiling"]
    assert editing.complete({"Smiling": 1}, names) == {
        "Young": 1, "No_Beard": 1, "Goatee": 0, "Smiling": 1,
    }  # fmt: skip
    # A usual attribute gives way to one that was asked for.
    assert editing.complete({"Goatee": 1, "Young": 0}, names) == {
        "Young": 0, "No_Beard": 0, "Goatee": 1, "Smiling": 0,
    }  # fmt: skip


def test_leakage_is_measured_by_judges_that_are_there(models, make_checkpoint, mapping, own):
    edited = editing.edit(models, mapping, own, {"Eyeglasses": 1.0})
    nobody = editing.leakage(models, own.reconstruction, edited)
    assert nobody.changes == {}
    assert np.isnan(nobody.identity)
    make_checkpoint("attributes", "celeba-64")
    make_checkpoint("identity", "celeba-64")
    nothing = editing.leakage(models, own.reconstruction, own.reconstruction)
    assert nothing.changes == {"Eyeglasses": 0, "Smiling": 0}
    assert nothing.identity == pytest.approx(1, abs=1e-5)
    found = editing.leakage(models, own.reconstruction, edited)
    assert any(found.changes.values())
    assert found.identity < 1


def test_the_largest_unwanted_changes_come_first():
    found = editing.Leakage({"A": 0.1, "B": -0.4, "C": 0.2, "D": 0.0}, 0.9)
    assert found.most(["C"], 2) == [("B", -0.4), ("A", 0.1)]


def subject():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)
    return Subject(images.Photo(pixels), Alignment.from_box(10, 10, 60, 0))


def test_an_edit_is_replayed_from_its_record(models, mapping):
    face_of = subject()
    step = {"kind": "edit", "checkpoint": mapping, "values": {"Eyeglasses": 1.0},
            "held": ("Smiling",)}  # fmt: skip
    recipe = editing.record(models, {"receiver": face_of}, [step])
    recipe = Recipe.from_json(recipe.to_json())
    made = editing.replay(models, recipe, {"receiver": face_of})
    assert made.pixels.shape == face_of.photo.pixels.shape
    assert not np.array_equal(made.pixels, face_of.photo.pixels)
    assert Recipe.from_photo(made) == recipe
    untouched = editing.record(models, {"receiver": face_of}, [{**step, "values": {}}])
    same = editing.replay(models, untouched, {"receiver": face_of})
    assert np.array_equal(same.pixels, face_of.photo.pixels)


def test_a_face_made_from_attributes_carries_what_repeats_it(models, mapping):
    step = {"kind": "generate", "checkpoint": mapping, "values": {"Smiling": 1.0}, "strength": 0.7}
    recipe = editing.record(models, {}, [step], seed=11)
    made = editing.replay(models, recipe, {})
    again = editing.replay(models, Recipe.from_photo(made), {})
    assert np.array_equal(made.pixels, again.pixels)
    other = editing.replay(models, editing.record(models, {}, [step], seed=12), {})
    assert not np.array_equal(made.pixels, other.pixels)


def test_a_face_made_from_attributes_is_no_beginning_of_a_chain(models, mapping):
    make = {"kind": "generate", "checkpoint": mapping}
    then = {"kind": "edit", "checkpoint": mapping, "values": {"Smiling": 1.0}}
    with pytest.raises(RecipeError, match="save it and edit it as a photograph"):
        editing.replay(models, editing.record(models, {}, [make, then]), {})


def test_a_step_with_a_senseless_value_is_refused():
    with pytest.raises(RecipeError, match=r"Smiling must lie in \[0, 1\]"):
        Step("edit", "attribute-mapping.x", "", values={"Smiling": 1.2})
