import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio import images
from studio.errors import RecipeError
from studio.images import Photo, read_photo
from studio.recipes import (
    TEXT_KEY,
    VERSION,
    Choice,
    Recipe,
    Source,
    Step,
    donor_role,
    donors_of,
    picture_hash,
)

CROP = {"centre_x": 10.0, "centre_y": 12.5, "eye_distance": 8.0, "angle": -3.0}
SOURCES = (Source("receiver", "ab", CROP), Source("donor", "cd", CROP, "aGk=", (3, 4)))
SWAP = Step("swap", "genegan.x", "0f", ("donor",), 1.5)

steps = st.builds(
    lambda kind, strength, x: Step(
        kind, "genegan.x", "0f", {"swap": ("donor",), "remove": ()}[kind], strength, x
    ),
    st.sampled_from(["swap", "remove"]),
    st.floats(-1, 2),
    st.floats(0, 1),
)


@given(st.lists(steps, max_size=4), st.integers(0, 2**31), st.sampled_from(["full", "crop"]))
def test_a_recipe_survives_json(chain, seed, output):
    recipe = Recipe(SOURCES, tuple(chain), seed, output)
    assert Recipe.from_json(recipe.to_json()) == recipe


CHOICES = {
    "identity": Choice({"donor": 0.5, "donor2": 1.5}),
    "light": Choice.between("receiver", "donor2", 0.25, strength=2.0),
    "gaze": Choice(label="left"),
    "expression": Choice(saved="My smile", saved_digest="0f"),
}
TRANSFER = Step("transfer", "disentangle.x", "0f", ("donor", "donor2"), parts=CHOICES)


def test_a_transfer_survives_json():
    recipe = Recipe((*SOURCES, Source("donor2", "ef", CROP)), (TRANSFER,))
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_recipe_from_before_there_were_transfers_is_read():
    recipe = Recipe(SOURCES, (SWAP,))
    assert Recipe.from_json(damage(lambda v: v["steps"][0].pop("parts"))) == recipe


def test_weights_are_shares_and_those_of_zero_do_not_count():
    assert CHOICES["identity"].shares() == {"donor": 0.25, "donor2": 0.75}
    assert CHOICES["light"].shares() == {"receiver": 0.75, "donor2": 0.25}
    assert Choice.between("donor", "donor2", 0).shares() == {"donor": 1.0}
    assert Choice.between("donor", "donor2", 1).shares() == {"donor2": 1.0}
    assert Choice({"donor": 3.0, "donor2": 0.0}).shares() == {"donor": 1.0}


def test_donors_are_those_that_the_choices_name_each_once():
    assert donors_of(CHOICES) == ("donor", "donor2")
    assert donors_of({"gaze": CHOICES["gaze"]}) == ()
    assert [donor_role(number) for number in (1, 2, 10)] == ["donor", "donor2", "donor10"]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(), "light comes from pictures, from a class or from the bank"),
        (Choice({"donor": 1}, label="left"), "name one of these"),
        (Choice(label="left", saved="Left"), "name one of these"),
        (Choice({"donor": 0.0, "donor2": 0}), "All weights of light are 0"),
        (Choice({"donor": 1, "donor2": -0.5}), "weight of donor2 in light is -0.5"),
        (Choice({"donor": float("nan")}), "weight of donor in light is nan"),
        (Choice({"donor": float("inf")}), "weight of donor in light is inf"),
        (Choice.take("donor", 2.5), r"strength of light must lie in \[0, 2\], not at 2.5"),
        (Choice.take("donor", -0.1), r"strength of light must lie in \[0, 2\]"),
        (Choice.take("donor", float("nan")), r"strength of light must lie in \[0, 2\]"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(choice, message):
    with pytest.raises(RecipeError, match=message):
        Step("transfer", "disentangle.x", "", donors_of({"light": choice}), parts={"light": choice})


@pytest.mark.parametrize(
    ("between", "message"),
    [
        (("donor", "donor2", 1.5), "from 0 to 1, not at 1.5"),
        (("donor", "donor2", float("nan")), "from 0 to 1"),
        (("donor", "donor", 0.5), "Nothing lies between donor and itself"),
    ],
)
def test_what_lies_between_two_pictures_lies_between_them(between, message):
    with pytest.raises(RecipeError, match=message):
        Choice.between(*between)


def test_a_transfers_donors_are_those_of_its_parts():
    for donors in (("donor",), ("donor", "donor2", "donor3"), ()):
        with pytest.raises(RecipeError, match="its parts name donor, donor2"):
            Step("transfer", "disentangle.x", "", donors, parts=CHOICES)


def test_a_recipe_survives_a_png():
    recipe = Recipe(SOURCES, (SWAP,))
    png = images.encode_png(np.zeros((20, 20, 3), np.uint8), text=recipe.to_text())
    assert Recipe.from_photo(read_photo(png)) == recipe


def test_a_picture_without_a_recipe_has_none():
    assert Recipe.from_photo(Photo(np.zeros((2, 2, 3), np.uint8))) is None


def transfer(**choice):
    """Return what makes a step with one donor a transfer of its light."""
    return {"kind": "transfer", "parts": {"light": choice}}


def damage(change):
    values = json.loads(Recipe(SOURCES, (SWAP,)).to_json())
    change(values)
    return json.dumps(values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("null", "damaged"),
        (damage(lambda v: v.update(version=VERSION + 1)), "update Latent Studio"),
        (damage(lambda v: v.pop("version")), "damaged"),
        (damage(lambda v: v.pop("steps")), "damaged"),
        (damage(lambda v: v.update(script="rm")), "damaged"),
        (damage(lambda v: v["steps"][0].update(kind="paint")), "not 'paint'"),
        (damage(lambda v: v["steps"][0].update(strength=2.5)), r"\[-1, 2\]"),
        (damage(lambda v: v["steps"][0].update(strength="much")), "damaged"),
        (damage(lambda v: v["steps"][0].update(donors=[])), "1 donors"),
        (damage(lambda v: v["sources"][0].update(path="/etc")), "damaged"),
        (damage(lambda v: v["steps"][0].update(parts=["light"])), "damaged"),
        (damage(lambda v: v["steps"][0].update(parts={"light": {"paint": 1}})), "damaged"),
        (damage(lambda v: v["steps"][0].update(transfer(weights={"donor": "1"}))), "damaged"),
        (damage(lambda v: v["steps"][0].update(transfer(weights=["donor"]))), "damaged"),
    ],
)
def test_a_recipe_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(RecipeError, match=message):
        Recipe.from_photo(Photo(np.zeros((2, 2, 3), np.uint8), text={TEXT_KEY: text}))


def test_a_strength_that_is_no_number_is_refused():
    with pytest.raises(RecipeError, match="strength"):
        Step("remove", "genegan.x", "", (), float("nan"))


def test_sources_are_found_by_role():
    recipe = Recipe(SOURCES, (SWAP,))
    assert recipe.source("donor").content() == b"hi"
    with pytest.raises(RecipeError, match="names no donor2"):
        recipe.source("donor2")
    with pytest.raises(RecipeError, match="donor in the recipe is damaged"):
        Source("donor", "cd", CROP, "?").content()


def test_the_hash_is_of_the_pixels_and_their_shape():
    wide = np.arange(96, dtype=np.uint8).reshape(4, 8, 3)
    assert picture_hash(Photo(wide)) == picture_hash(Photo(wide.copy()))
    assert picture_hash(Photo(wide)) != picture_hash(Photo(wide.reshape(8, 4, 3)))
    assert picture_hash(Photo(wide)) != picture_hash(Photo(wide + 1))
