import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from studio import bank, editing, images
from studio.checkpoints import MODEL, CheckpointStore, ModelCache
from studio.editing import Subject
from studio.errors import ConfigError, DataError, RecipeError, UnsupportedError
from studio.faces.align import Alignment
from studio.images import Photo, read_photo
from studio.recipes import Choice, Recipe, donors_of
from studio.render import heads

FACE = Alignment(40.0, 30.0, 9.0, 5.0)
ROLES = ("receiver", "donor", "donor2", "donor3")


@pytest.fixture
def checkpoint(make_checkpoint):
    return make_checkpoint("disentangle")


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


@pytest.fixture
def transfer(models, checkpoint, faces):
    """Return a function that gives the receiver parts of the donors."""
    sources = {role: face for role, face in faces.items() if role != "receiver"}

    def carry_out(**choices):
        return editing.transfer(models, checkpoint, faces["receiver"], sources, choices)

    return carry_out


@pytest.fixture
def decoded(models, checkpoint, faces):
    """Return a function that decodes the receiver's latents with other tensors in some parts."""

    @torch.inference_mode()
    def decode(**parts):
        return models.get(checkpoint).model.decode(faces["receiver"].latents.replace(**parts))

    return decode


def part(face, name="expression"):
    return face.latents.parts[name]


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_taken_part_is_the_sources_and_every_other_one_the_receivers(transfer, decoded, faces):
    made = transfer(expression=Choice.take("donor"))
    close(made, decoded(expression=part(faces["donor"])))
    assert not torch.allclose(made, faces["receiver"].reconstruction, atol=1e-2)
    several = transfer(expression=Choice.take("donor"), eyeglasses_kind=Choice.take("donor2"))
    glasses = part(faces["donor2"], "eyeglasses_kind")
    close(several, decoded(expression=part(faces["donor"]), eyeglasses_kind=glasses))
    assert not torch.allclose(several, made, atol=1e-2)


def test_all_parts_of_a_source_are_its_own_reconstruction(models, checkpoint, transfer, faces):
    everything = editing.transferrer(models, checkpoint).parts
    made = transfer(**{name: Choice.take("donor2") for name in everything})
    close(made, faces["donor2"].reconstruction)


def test_nothing_asked_for_is_the_reconstruction_itself(transfer, faces):
    own = faces["receiver"].reconstruction
    assert transfer() is own
    assert transfer(expression=Choice.take("donor", 0.0)) is own
    close(transfer(expression=Choice.take("receiver")), own)


def test_strength_goes_from_the_own_part_beyond_the_taken_one(transfer, decoded, faces):
    own, other = part(faces["receiver"]), part(faces["donor"])
    for strength in (0.5, 1.0, 2.0):
        made = transfer(expression=Choice.take("donor", strength))
        close(made, decoded(expression=(1 - strength) * own + strength * other))


def test_a_mixture_is_the_weighted_mean_of_the_sources(transfer, decoded, faces):
    weights = {"donor": 0.5, "donor2": 0.3, "donor3": 0.2}
    expected = sum(weight * part(faces[role]) for role, weight in weights.items())
    made = transfer(expression=Choice(weights))
    close(made, decoded(expression=expected))
    # Weights are in proportion, and the receiver may be one of the mixed.
    close(transfer(expression=Choice({role: 7 * w for role, w in weights.items()})), made)
    own = (part(faces["receiver"]) + part(faces["donor"])) / 2
    close(transfer(expression=Choice({"receiver": 1, "donor": 1})), decoded(expression=own))


def test_a_mixture_of_one_is_taking_it(transfer):
    taken = transfer(expression=Choice.take("donor2"))
    assert torch.equal(transfer(expression=Choice({"donor2": 0.2})), taken)
    assert torch.equal(transfer(expression=Choice({"donor": 0.0, "donor2": 3.0})), taken)


def test_interpolation_ends_at_its_sources_and_is_straight_between(transfer, decoded, faces):
    ends = [transfer(expression=Choice.take(role)) for role in ("donor", "donor2")]
    for alpha, end in zip((0, 1), ends, strict=True):
        assert torch.equal(transfer(expression=Choice.between("donor", "donor2", alpha)), end)
    middle = torch.lerp(part(faces["donor"]), part(faces["donor2"]), 0.4)
    made = transfer(expression=Choice.between("donor", "donor2", 0.4))
    close(made, decoded(expression=middle))


def test_a_class_is_its_mean_latent(models, checkpoint, transfer, decoded, faces):
    model = models.get(checkpoint).model
    torch.manual_seed(0)
    model.mean_expression.copy_(torch.randn_like(model.mean_expression))
    assert model.means()["expression"] == heads.EXPRESSIONS
    for place, label in enumerate(heads.EXPRESSIONS[:2]):
        expected = decoded(expression=model.mean_expression[place : place + 1])
        close(transfer(expression=Choice(label=label)), expected)
    half = (part(faces["receiver"]) + model.mean_expression[1:2]) / 2
    label = heads.EXPRESSIONS[1]
    close(transfer(expression=Choice(label=label, strength=0.5)), decoded(expression=half))


def test_a_saved_part_is_the_one_of_the_picture_it_came_from(
    models, checkpoint, transfer, faces, home
):
    saved = editing.save_part(models, "My smile", faces["donor"], "expression")
    taken = transfer(expression=Choice.take("donor"))
    close(transfer(expression=Choice(saved="My smile")), taken)
    close(transfer(expression=Choice(saved="my SMILE", strength=0.5)),
          transfer(expression=Choice.take("donor", 0.5)))  # fmt: skip
    # The picture beside it is what the checkpoint makes of its source.
    shown = images.to_pictures(faces["donor"].reconstruction)[0]
    assert np.array_equal(read_photo(saved.thumbnail).pixels, shown)
    # After a restart everything is read from the disk again.
    again = ModelCache(CheckpointStore())
    made = editing.transfer(
        again, checkpoint, faces["receiver"], {}, {"expression": Choice(saved="My smile")}
    )
    close(made, taken)
    assert bank.load("My smile").checkpoint_hash == again.store.card(checkpoint).hashes[MODEL]


def test_genegans_parts_are_taken_through_the_same_function(models, make_checkpoint, subjects):
    name = make_checkpoint()
    receiver, donor = (
        editing.encode(models, name, subjects[role].photo.pixels, subjects[role].alignment)
        for role in ROLES[:2]
    )
    for strength in (0.5, 1.0, 2.0):
        choices = {"object": Choice.take("donor", strength)}
        made = editing.transfer(models, name, receiver, {"donor": donor}, choices)
        assert torch.equal(made, editing.swap(models, name, receiver, donor, strength))
    choices = {"background": Choice.take("donor")}
    made = editing.transfer(models, name, receiver, {"donor": donor}, choices)
    close(made, editing.swap(models, name, donor, receiver))


def test_own_sliders_move_the_result(models, checkpoint, faces, subjects, home):
    slider = editing.make_direction(
        models, checkpoint, "Wider", [faces["donor2"]], [faces["donor3"]]
    )
    sources, choices = {"donor": faces["donor"]}, {"expression": Choice.take("donor")}
    moves = {"Wider": 0.5}
    made = editing.transfer(models, checkpoint, faces["receiver"], sources, choices, moves)
    codes = faces["receiver"].latents.replace(expression=part(faces["donor"]))
    close(made, models.get(checkpoint).model.decode(slider.move(codes, 0.5)))
    asked = {**step(checkpoint, **choices), "moves": moves}
    recipe = editing.record(models, subjects, [asked], output="model")
    result = editing.replay(models, recipe, subjects)
    assert np.array_equal(result.pixels, images.to_pictures(made)[0])


@pytest.mark.parametrize(
    ("choices", "kind", "message"),
    [
        ({"nose": Choice.take("donor")}, UnsupportedError,
         "no part 'nose'; its parts are expression, eyeglasses_kind, rest"),
        ({"expression": Choice.take("donor9")}, RecipeError,
         "expression comes from donor9, but there are only receiver, donor, donor2, donor3"),
        ({"expression": Choice({"donor": 1, "them": 0})}, RecipeError, "comes from them"),
        ({"expression": Choice({"donor": 0})}, RecipeError, "All weights of expression are 0"),
        ({"expression": Choice()}, RecipeError, "expression comes from pictures, from a class"),
        ({"expression": Choice.take("donor", 3)}, RecipeError, "strength of expression"),
        ({"expression": Choice(label="fury")}, UnsupportedError,
         f"knows no expression 'fury'; it knows {', '.join(heads.EXPRESSIONS)}"),
        ({"rest": Choice(label="scream")}, UnsupportedError,
         "keeps no classes of rest; it does of expression, eyeglasses_kind"),
        ({"expression": Choice(saved="Gone")}, DataError, "no saved part 'Gone' of your own"),
    ],
)  # fmt: skip
def test_a_senseless_transfer_is_one_sentence(models, checkpoint, transfer, choices, kind, message):
    with pytest.raises(kind, match=message) as told:
        transfer(**choices)
    assert "\n" not in str(told.value)
    with pytest.raises(kind, match=message):
        editing.check_transfer(models, checkpoint, ROLES[1:], choices)


def test_a_saved_part_fits_its_own_part_and_checkpoint_only(
    models, make_checkpoint, checkpoint, transfer, faces, subjects, monkeypatch
):
    editing.save_part(models, "My smile", faces["donor"], "expression")
    with pytest.raises(
        UnsupportedError, match="'My smile' is expression, not rest; of that there are none"
    ):
        transfer(rest=Choice(saved="My smile"))
    other = make_checkpoint("disentangle", tag="other", seed=1)
    receiver = editing.encode(models, other, subjects["receiver"].photo.pixels, FACE)
    choices = {"expression": Choice(saved="My smile")}
    with pytest.raises(
        UnsupportedError, match=f"'My smile' was made with {checkpoint} and means nothing"
    ):
        editing.transfer(models, other, receiver, {}, choices)
    card = models.store.card(checkpoint)
    card.hashes[MODEL] = "other"
    monkeypatch.setattr(models.store, "card", lambda name: card)
    with pytest.raises(UnsupportedError, match=f"made with other weights of {checkpoint}"):
        transfer(**choices)


def test_pictures_of_another_checkpoint_are_refused(
    models, make_checkpoint, checkpoint, faces, subjects
):
    other = make_checkpoint("disentangle", tag="other", seed=1)
    stranger = editing.encode(models, other, subjects["donor"].photo.pixels, FACE)
    choices = {"expression": Choice.take("donor")}
    with pytest.raises(UnsupportedError, match=f"latents of {other} mean nothing to {checkpoint}"):
        editing.transfer(models, checkpoint, faces["receiver"], {"donor": stranger}, choices)


def test_checkpoints_without_parts_are_refused(models, make_checkpoint, checkpoint, faces):
    plain = make_checkpoint("aeai")
    with pytest.raises(UnsupportedError, match=rf"{plain} cannot transfer.*{checkpoint}"):
        editing.transfer(models, plain, faces["receiver"], {}, {})
    with pytest.raises(UnsupportedError, match="no part 'nose'"):
        editing.save_part(models, "Nose", faces["donor"], "nose")
    with pytest.raises(ConfigError, match="no name for a saved part"):
        editing.save_part(models, "", faces["donor"], "rest")
    assert bank.names() == []


def step(checkpoint, **choices):
    return {
        "kind": "transfer", "checkpoint": checkpoint, "donors": donors_of(choices),
        "parts": choices,
    }  # fmt: skip


ALL = {
    "expression": Choice({"donor": 0.5, "donor2": 0.3, "donor3": 0.4}),
    "eyeglasses_kind": Choice.between("donor", "donor3", 0.3, strength=1.5),
    "rest": Choice(saved="Rest"),
}


@pytest.fixture
def recorded(models, checkpoint, subjects, faces):
    """Return a recipe with every kind of choice but a class."""
    editing.save_part(models, "Rest", faces["donor2"], "rest")
    return editing.record(models, subjects, [step(checkpoint, **ALL)])


def test_replaying_a_recipe_repeats_the_edit_bit_for_bit(
    models, checkpoint, subjects, faces, recorded
):
    result = editing.replay(models, recorded, subjects)
    again = editing.replay(ModelCache(CheckpointStore()), Recipe.from_photo(result), subjects)
    assert np.array_equal(result.pixels, again.pixels)
    assert not np.array_equal(result.pixels, subjects["receiver"].photo.pixels)
    assert Recipe.from_photo(result) == recorded
    assert [source.role for source in recorded.sources] == list(ROLES)
    (written,) = recorded.steps
    assert written.parts["rest"].saved_digest == bank.load("Rest").digest
    # The plain decode is what the function itself returns.
    plain = editing.replay(models, replace(recorded, output="model"), subjects)
    made = editing.transfer(models, checkpoint, faces["receiver"], faces, ALL)
    assert np.array_equal(plain.pixels, images.to_pictures(made)[0])


def test_a_class_is_replayed(models, checkpoint, subjects):
    choices = {"expression": Choice(label=heads.EXPRESSIONS[1])}
    recipe = editing.record(models, subjects, [step(checkpoint, **choices)])
    result = editing.replay(models, Recipe.from_json(recipe.to_json()), subjects)
    assert [source.role for source in recipe.sources] == ["receiver"]
    assert not np.array_equal(result.pixels, subjects["receiver"].photo.pixels)


def test_strength_zero_is_the_photograph_bit_for_bit(models, checkpoint, subjects):
    choices = {"expression": Choice.take("donor", 0.0)}
    recipe = editing.record(models, subjects, [step(checkpoint, **choices)])
    result = editing.replay(models, recipe, subjects)
    assert np.array_equal(result.pixels, subjects["receiver"].photo.pixels)


def test_pictures_come_back_from_the_result_alone(models, subjects, recorded):
    result = editing.replay(models, recorded, subjects)
    full = editing.embed(models, recorded, subjects, result)
    carried = replace(result, text=dict(full.to_text()))
    back = editing.restore(carried, full)
    assert np.array_equal(back["receiver"].photo.pixels, subjects["receiver"].photo.pixels)
    assert set(back) == set(ROLES)
    again = editing.replay(models, recorded, {**back, "receiver": subjects["receiver"]})
    difference = np.abs(again.pixels.astype(int) - result.pixels)
    assert difference.max() <= 2


def test_a_saved_part_that_is_another_one_by_now_is_not_replayed(models, subjects, faces, recorded):
    bank.delete("Rest")
    with pytest.raises(DataError, match="no saved part 'Rest'"):
        editing.replay(models, recorded, subjects)
    editing.save_part(models, "Rest", faces["donor3"], "rest")
    with pytest.raises(RecipeError, match="'Rest' is another one than the recipe was made with"):
        editing.replay(models, recorded, subjects)


def test_other_weights_and_missing_photographs_are_refused(models, subjects, recorded):
    changed = replace(recorded, steps=(replace(recorded.steps[0], checkpoint_hash="00"),))
    with pytest.raises(RecipeError, match="other weights"):
        editing.replay(models, changed, subjects)
    few = {role: subjects[role] for role in ROLES[:3]}
    with pytest.raises(RecipeError, match="donor3's photograph"):
        editing.replay(models, recorded, few)


def test_a_swap_and_a_transfer_follow_each_other(models, make_checkpoint, checkpoint, subjects):
    swap = {"kind": "swap", "checkpoint": make_checkpoint(), "donors": ("donor",)}
    second = step(checkpoint, expression=Choice.take("donor2"))
    both = editing.replay(models, editing.record(models, subjects, [swap, second]), subjects)
    half = editing.replay(models, editing.record(models, subjects, [swap]), subjects)
    assert not np.array_equal(both.pixels, half.pixels)
    assert not math.isnan(float(both.pixels.mean()))
