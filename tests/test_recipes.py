import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio import images
from studio.errors import RecipeError
from studio.images import Photo, read_photo
from studio.recipes import TEXT_KEY, VERSION, Recipe, Source, Step, picture_hash

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


def test_a_recipe_survives_a_png():
    recipe = Recipe(SOURCES, (SWAP,))
    png = images.encode_png(np.zeros((20, 20, 3), np.uint8), text=recipe.to_text())
    assert Recipe.from_photo(read_photo(png)) == recipe


def test_a_picture_without_a_recipe_has_none():
    assert Recipe.from_photo(Photo(np.zeros((2, 2, 3), np.uint8))) is None


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
