from dataclasses import replace

import numpy as np
import pytest
import torch

from studio import editing, images
from studio.editing import Subject
from studio.errors import RecipeError, UnsupportedError
from studio.faces.align import Alignment
from studio.images import Photo, read_photo
from studio.recipes import Recipe

FACE = Alignment(40.0, 30.0, 9.0, 5.0)
ROLES = ("receiver", "donor", "donor2", "donor3", "donor4")


@pytest.fixture
def checkpoint(make_checkpoint):
    return make_checkpoint()


@pytest.fixture
def subjects(photograph):
    return {
        role: Subject(Photo(photograph(seed=seed)), replace(FACE, angle=5.0 * seed))
        for seed, role in enumerate(ROLES)
    }


@pytest.fixture
def faces(models, checkpoint, subjects):
    return {
        role: editing.encode(models, checkpoint, subject.photo.pixels, subject.alignment)
        for role, subject in subjects.items()
    }


def swap_step(checkpoint, strength=1.0, donor="donor"):
    return {"kind": "swap", "checkpoint": checkpoint, "donors": (donor,), "strength": strength}


def test_encoding_reports_what_the_model_saw(models, checkpoint, faces):
    face = faces["receiver"]
    original = images.to_images(face.crop)
    assert face.crop.shape == (32, 32, 3)
    assert face.error == pytest.approx((face.reconstruction - original).abs().mean().item())
    part = face.latents.parts["object"]
    assert face.object_norm == pytest.approx(part.abs().mean().item())


def test_strength_zero_is_the_photograph_bit_for_bit(models, checkpoint, subjects):
    recipe = editing.record(models, subjects, [swap_step(checkpoint, 0.0)])
    result = editing.replay(models, recipe, subjects)
    assert np.array_equal(result.pixels, subjects["receiver"].photo.pixels)


def test_swap_interpolates_between_the_own_and_the_donors_object(models, checkpoint, faces):
    receiver, donor = faces["receiver"], faces["donor"]
    model = models.get(checkpoint).model
    own, other = receiver.latents.parts["object"], donor.latents.parts["object"]
    for strength in (-1.0, 0.0, 0.5, 1.0, 2.0):
        mixed = receiver.latents.replace(object=(1 - strength) * own + strength * other)
        made = editing.swap(models, checkpoint, receiver, donor, strength)
        assert torch.allclose(made, model.decode(mixed), atol=1e-4)
    assert editing.swap(models, checkpoint, receiver, donor, 0) is receiver.reconstruction


def test_removal_decodes_the_zero_object(models, checkpoint, faces):
    face = faces["donor"]
    bare = face.latents.replace(object=torch.zeros_like(face.latents.parts["object"]))
    expected = models.get(checkpoint).model.decode(bare)
    assert torch.equal(editing.remove(models, checkpoint, face), expected)


def test_the_blends_corners_are_the_donors_swaps(models, checkpoint, faces):
    receiver, *donors = (faces[role] for role in ROLES)
    places = editing.grid_places(3)
    grid = editing.blend(models, checkpoint, receiver, donors, places)
    assert len(grid) == 9
    for place, donor in zip((0, 2, 6, 8), donors, strict=True):
        swapped = editing.swap(models, checkpoint, receiver, donor)
        assert torch.allclose(grid[place], swapped[0], atol=1e-5)
    assert not torch.allclose(grid[0], grid[8], atol=1e-2)


def test_grid_places_run_row_by_row():
    assert editing.grid_places(2) == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert editing.grid_places(3)[4] == (0.5, 0.5)


@pytest.mark.parametrize("kind", ["swap", "remove", "blend"])
def test_replaying_a_recipe_repeats_the_edit(kind, models, checkpoint, subjects, faces):
    donors = {"swap": ROLES[1:2], "remove": (), "blend": ROLES[1:]}[kind]
    step = {"kind": kind, "checkpoint": checkpoint, "donors": donors, "x": 0.25, "y": 1.0}
    recipe = editing.record(models, subjects, [step])
    result = editing.replay(models, recipe, subjects)
    again = editing.replay(models, Recipe.from_json(recipe.to_json()), subjects)
    assert np.array_equal(result.pixels, again.pixels)
    assert not np.array_equal(result.pixels, subjects["receiver"].photo.pixels)
    assert Recipe.from_photo(result) == recipe
    assert [source.role for source in recipe.sources] == ["receiver", *donors]


def test_model_output_is_the_plain_decode_of_the_edit(models, checkpoint, subjects, faces):
    recipe = editing.record(models, subjects, [swap_step(checkpoint)], output="model")
    result = editing.replay(models, recipe, subjects)
    swapped = editing.swap(models, checkpoint, faces["receiver"], faces["donor"])
    assert np.array_equal(result.pixels, images.to_pictures(swapped)[0])


def test_the_crop_of_a_result_is_its_face(models, checkpoint, subjects):
    recipe = editing.record(models, subjects, [swap_step(checkpoint)], output="crop")
    result = editing.replay(models, recipe, subjects)
    side = round(subjects["receiver"].alignment.side)
    assert result.pixels.shape == (side, side, 3)


def test_several_objects_follow_each_other(models, make_checkpoint, subjects):
    first, second = make_checkpoint(tag="first"), make_checkpoint(tag="second", seed=1)
    chain = [swap_step(first), swap_step(second, donor="donor2")]
    both = editing.replay(models, editing.record(models, subjects, chain), subjects)
    half = editing.replay(models, editing.record(models, subjects, chain[:1]), subjects)
    # The second step works on the picture that the first one made.
    alignment = subjects["receiver"].alignment
    middle = {**subjects, "receiver": Subject(Photo(half.pixels), alignment)}
    rest = editing.replay(models, editing.record(models, middle, chain[1:]), middle)
    assert np.array_equal(both.pixels, rest.pixels)
    assert not np.array_equal(both.pixels, half.pixels)


def test_other_weights_are_refused(models, checkpoint, subjects):
    recipe = editing.record(models, subjects, [swap_step(checkpoint)])
    changed = replace(recipe, steps=(replace(recipe.steps[0], checkpoint_hash="00"),))
    with pytest.raises(RecipeError, match="other weights"):
        editing.replay(models, changed, subjects)


def test_a_missing_photograph_is_named(models, checkpoint, subjects):
    recipe = editing.record(models, subjects, [swap_step(checkpoint)])
    with pytest.raises(RecipeError, match="donor's photograph"):
        editing.replay(models, recipe, {"receiver": subjects["receiver"]})


def test_alpha_and_profile_stay_and_the_recipe_survives_the_file(models, checkpoint, subjects):
    pixels = subjects["receiver"].photo.pixels
    alpha = np.full(pixels.shape[:2], 200, np.uint8)
    keeping = {**subjects, "receiver": Subject(Photo(pixels, alpha, b"profile"), FACE)}
    recipe = editing.record(models, keeping, [swap_step(checkpoint)])
    result = editing.replay(models, recipe, keeping)
    assert np.array_equal(result.alpha, alpha)
    assert result.icc == b"profile"
    file = images.encode_png(result.pixels, text=result.text)
    assert Recipe.from_photo(read_photo(file)) == recipe


def test_an_evaluator_neither_encodes_nor_swaps(models, make_checkpoint, faces, subjects):
    name = make_checkpoint("attributes")
    with pytest.raises(UnsupportedError, match="no latents"):
        editing.encode(models, name, subjects["receiver"].photo.pixels, FACE)
    with pytest.raises(UnsupportedError, match=r"such as genegan\.tiny"):
        editing.swap(models, name, faces["receiver"], faces["donor"])


def test_translation_needs_exactly_the_checkpoints_attributes(models, make_checkpoint):
    name = make_checkpoint("cyclic")
    originals = torch.rand(2, 3, 32, 32) * 2 - 1
    model = models.get(name).model
    added = editing.translate(models, name, originals, {"Eyeglasses": 1})
    assert torch.equal(added, model.add(originals))
    removed = editing.translate(models, name, originals, {"Eyeglasses": 0})
    assert torch.equal(removed, model.remove(originals))
    with pytest.raises(UnsupportedError, match="translates Eyeglasses, not Smiling"):
        editing.translate(models, name, originals, {"Smiling": 1})


@pytest.mark.parametrize(("error", "level"), [(0.05, "well"), (0.1, "fairly"), (0.3, "poorly")])
def test_the_verdict_compares_with_validation(models, make_checkpoint, subjects, error, level):
    name = make_checkpoint(metrics={editing.ERROR_WELL: 0.08, editing.ERROR_FAIR: 0.2})
    pixels = subjects["receiver"].photo.pixels
    face = replace(editing.encode(models, name, pixels, FACE), error=error)
    assert editing.verdict(models.get(name).card, face).level == level


def test_a_verdict_on_other_pictures_does_not_speak_of_faces(models, checkpoint, faces):
    card = models.get(checkpoint).card
    metrics = {editing.ERROR_WELL: 0.0, editing.ERROR_FAIR: 0.0}
    face, other = (
        editing.verdict(replace(card, data={**card.data, "alignment": kind}, metrics=metrics), one)
        for kind, one in (("celeba", faces["receiver"]), ("none", faces["receiver"]))
    )
    assert (face.level, other.level) == ("poorly", "poorly")
    assert "face" in face.sentence
    assert "face" not in other.sentence


def test_without_validation_numbers_nothing_is_claimed(models, checkpoint, faces):
    verdict = editing.verdict(models.get(checkpoint).card, faces["receiver"])
    assert "not been evaluated" in verdict.sentence


def test_a_donor_without_the_object_is_warned_about(models, make_checkpoint, faces):
    card = models.get(make_checkpoint(tag="b", metrics={editing.OBJECT_THRESHOLD: 0.5})).card
    weak, strong = (replace(faces["donor"], object_norm=norm) for norm in (0.4, 0.6))
    assert "eyeglasses" in editing.donor_warning(card, weak)
    assert editing.donor_warning(card, strong) == ""
