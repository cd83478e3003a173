"""Transfers and the object bank over HTTP."""

import base64
from pathlib import Path

import numpy as np
import pytest

from studio import bank, editing, images
from studio.editing import Subject
from studio.errors import ConfigError, DataError, ImageError, RecipeError, UnsupportedError
from studio.faces.align import Alignment
from studio.recipes import Choice, Recipe
from studio.ui.api import transfer as api


@pytest.fixture
def checkpoint(make_checkpoint):
    return make_checkpoint("disentangle")


@pytest.fixture
def uploads(upload, heads_pictures):
    """Return three uploaded portraits."""
    return [
        upload(images.encode_png(picture), f"{number}.png")
        for number, picture in enumerate(heads_pictures)
    ]


@pytest.fixture
def send(context, checkpoint, uploads):
    """Return a function that asks for a transfer to the first portrait from the others."""

    def call(choices, sources=None, moves=None, output="full"):
        given = uploads[1:] if sources is None else sources
        answer = api.on_transfer(
            context, uploads[0], given, choices, checkpoint, moves, True, output
        )
        return images.read_photo(Path(answer["path"]))

    return call


def test_every_kind_of_choice_is_carried_out_and_recorded(
    context, checkpoint, uploads, heads_pictures, send
):
    facts = api.on_save(context, uploads[2], checkpoint, "rest", "My rest", True)
    assert facts == bank.load("My rest").facts()
    made = send(
        {
            "expression": {"mix": {"donor": 1, "donor2": 3}, "strength": 0.5},
            "eyeglasses_kind": {"between": ["donor2", "donor"], "alpha": 0.25},
            "rest": {"bank": "My rest", "strength": 2},
        }
    )
    recipe = Recipe.from_photo(made)
    (step,) = recipe.steps
    assert step.parts == {
        "expression": Choice({"donor": 1.0, "donor2": 3.0}, strength=0.5),
        "eyeglasses_kind": Choice({"donor2": 0.75, "donor": 0.25}),
        "rest": Choice(saved="My rest", saved_digest=bank.load("My rest").digest, strength=2.0),
    }
    subjects = {
        role: Subject(images.read_photo(images.encode_png(picture)), Alignment.whole(96, 96))
        for role, picture in zip(("receiver", "donor", "donor2"), heads_pictures, strict=True)
    }
    again = editing.replay(context.models, recipe, subjects)
    assert np.array_equal(again.pixels, made.pixels)
    assert not np.array_equal(made.pixels, heads_pictures[0])


def test_only_the_sources_that_choices_name_are_read(send, uploads):
    made = send({"expression": {"from": "donor2"}}, ["/etc/passwd", uploads[2]], output="model")
    assert made.pixels.shape == (32, 32, 3)
    assert [source.role for source in Recipe.from_photo(made).sources] == ["receiver", "donor2"]
    made = send({"expression": {"class": "scream"}}, [])
    assert Recipe.from_photo(made).steps[0].parts == {"expression": Choice(label="scream")}


@pytest.mark.parametrize(
    ("choices", "kind", "message"),
    [
        (None, ConfigError, "choices say by part where it comes from"),
        ({}, ConfigError, "choices say by part where it comes from"),
        ("expression", ConfigError, "choices say by part"),
        ({"expression": "donor"}, ConfigError, "expression needs one of from, mix, between, class"),
        ({"expression": {}}, ConfigError, "expression needs one of from"),
        ({"expression": {"from": "donor", "class": "scream"}}, ConfigError, "needs one of from"),
        ({"expression": {"from": "donor", "strenght": 1}}, ConfigError, "has strenght, which"),
        ({"expression": {"from": "donor", "strength": "1"}}, ConfigError,
         "strength of expression must be a number"),
        ({"expression": {"from": "donor", "strength": 3}}, RecipeError, "strength of expression"),
        ({"expression": {"from": "donor9"}}, RecipeError, "only receiver, donor, donor2"),
        ({"expression": {"mix": ["donor"]}}, ConfigError, "mix of expression are numbers by name"),
        ({"expression": {"mix": {"donor": "1"}}}, ConfigError, "give a number"),
        ({"expression": {"mix": {"donor": True}}}, ConfigError, "must be a number, not True"),
        ({"expression": {"mix": {"donor": 0}}}, RecipeError, "All weights of expression are 0"),
        ({"expression": {"between": "donor", "alpha": 0.5}}, ConfigError, "between two sources"),
        ({"expression": {"between": ["donor", "donor2"]}}, ConfigError, "alpha of expression"),
        ({"expression": {"between": ["donor", "donor2"], "alpha": 2}}, RecipeError, "from 0 to 1"),
        ({"expression": {"class": "fury"}}, UnsupportedError, "knows no expression 'fury'"),
        ({"expression": {"bank": "Gone"}}, DataError, "no saved part 'Gone'"),
        ({"nose": {"from": "donor"}}, UnsupportedError, "no part 'nose'"),
    ],
)  # fmt: skip
def test_a_senseless_request_is_one_sentence(send, choices, kind, message):
    with pytest.raises(kind, match=message) as told:
        send(choices)
    assert "\n" not in str(told.value)


def test_paths_that_are_no_uploads_and_unknown_sliders_are_refused(send):
    with pytest.raises(ImageError, match="No uploaded file"):
        send({"expression": {"from": "donor"}}, ["/etc/passwd"])
    with pytest.raises(DataError, match="no slider 'Hat'"):
        send({"expression": {"from": "donor"}}, moves={"Hat": 1})


def test_the_bank_is_listed_with_pictures_and_emptied(context, checkpoint, uploads, home):
    assert api.on_bank(context, "", "") == []
    api.on_save(context, uploads[1], checkpoint, "expression", "Grin", True)
    (one,) = api.on_bank(context, checkpoint, "expression")
    assert (one["name"], one["part"], one["checkpoint"]) == ("Grin", "expression", checkpoint)
    assert images.read_photo(base64.b64decode(one["picture"])).pixels.shape == (32, 32, 3)
    assert api.on_bank(context, "", "rest") == api.on_bank(context, "disentangle.other", "") == []
    for name, part, kind, message in (
        ("Grin", "rest", ConfigError, "a saved part 'Grin' already"),
        ("...", "rest", ConfigError, "no name for a saved part"),
        ("Nose", "nose", UnsupportedError, "no part 'nose'"),
    ):
        with pytest.raises(kind, match=message):
            api.on_save(context, uploads[1], checkpoint, part, name, True)
    assert api.on_delete(context, "Grin") == "Grin"
    with pytest.raises(DataError, match="no saved part 'Grin' of your own; there are none"):
        api.on_delete(context, "Grin")


@pytest.mark.slow
def test_api_transfers_uploads_and_keeps_a_part(call, heads_pictures, page_home):
    receiver, donor = (call.upload(picture) for picture in heads_pictures[:2])
    name = "genegan.other"
    kind, (facts,) = call.send("bank_save", donor, name, "object", "Round glasses", True)
    assert (kind, facts["part"]) == ("complete", "object")
    answers = [
        call.send("transfer", receiver, sources, {"object": choice}, name, {}, True, "model")
        for sources, choice in (([donor], {"from": "donor"}), ([], {"bank": "Round glasses"}))
    ]
    assert [kind for kind, _ in answers] == ["complete"] * 2
    taken, kept = (call.fetch(answer) for _, answer in answers)
    assert np.abs(taken.pixels.astype(int) - kept.pixels).max() <= 1
    assert Recipe.from_photo(taken).steps[0].kind == "transfer"
    kind, (listed,) = call.send("bank", name, "")
    assert [one["name"] for one in listed] == ["Round glasses"]
    assert call.send("bank_delete", "Round glasses") == ("complete", ["Round glasses"])
    for data in (
        ("bank_delete", "Round glasses"),
        ("transfer", receiver, [donor], {"nose": {"from": "donor"}}, name, {}, True, "full"),
        ("transfer", "/etc/passwd", [donor], {"object": {"from": "donor"}}, name, {}, True, "full"),
        ("bank_save", "/etc/passwd", name, "object", "Mine", True),
    ):
        assert call.send(*data)[0] == "error"
