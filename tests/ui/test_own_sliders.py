"""One's own sliders in the tabs whose work is something else."""

import numpy as np
import pytest
import torch

from studio import directions, editing, images
from studio.editing import own as codes_along
from studio.errors import ConfigError, DataError, UnsupportedError
from studio.faces.align import Alignment
from studio.recipes import Recipe
from studio.ui import bench as photos
from studio.ui import own, repaint, screen, seats
from studio.ui.context import Context
from studio.ui.draft import Draft, History
from studio.ui.tabs import interpolate, swap
from studio.ui.walk import bench, samples
from studio.ui.walk.draft import Walks

SWAPPER = "genegan.heads-eyeglasses-64"
SPEC = {"size": 32, "alignment": "none", "attributes": []}


@pytest.fixture
def context(make_checkpoint, models):
    make_checkpoint(tag="heads-eyeglasses-64")
    make_checkpoint("aeai", tag="pole-32", data=SPEC)
    make_checkpoint("autoencoder", tag="pole-32", data=SPEC, seed=1)
    return Context(models)


def add_slider(context, checkpoint, pictures, name="Brighter"):
    """Make a slider of a pair: the pictures, and the same turned."""
    pair = [
        editing.encode(context.models, checkpoint, one, Alignment.whole(*one.shape[1::-1]))
        for one in (pictures, pictures[::-1])
    ]
    return editing.make_direction(context.models, checkpoint, name, pair[:1], pair[1:])


@pytest.fixture
def history(context, upload, heads_pictures, monkeypatch):
    """Return a visitor's swap of two crops, with one slider to move."""
    monkeypatch.setattr(photos, "find_faces", lambda *_, **__: [])
    add_slider(context, SWAPPER, heads_pictures[0])
    history = History(Draft(checkpoint=SWAPPER))
    for role, picture in zip(("receiver", "donor"), heads_pictures, strict=False):
        event = upload(images.encode_png(picture), f"{role}.png")
        history = swap.on_photo(context, role, event, history)
        history = seats.on_whole(context, role, history)
    return history


@pytest.fixture
def strip(context, heads_pictures):
    """Return a visitor's path of two checkpoints, with a slider of the one on the stage."""
    labels = [one.label for one in samples.available(context)]
    walks = interpolate.on_example(context, {"index": labels.index("Pole, strip")}, Walks())
    walks = interpolate.on_others(context, walks, ["autoencoder.pole-32"])
    add_slider(context, walks.present.checkpoint, heads_pictures[0])
    return walks


def slide(steps, name="Brighter"):
    return {"name": name, "value": steps, "own": True}


def test_a_swap_is_moved_and_its_recipe_repeats_it(context, history):
    assert [one["label"] for one in own.alone(SWAPPER, {})["own"]] == ["Brighter"]
    moved, stage = swap.on_own(context, slide(1.5), history)
    assert "Brighter +1.5" in stage["caption"]
    assert not stage["base"]
    receiver, donor = (
        photos.encoded(context, SWAPPER, photos.ground(context, history.present, role))
        for role in ("receiver", "donor")
    )
    wanted = editing.swap(context.models, SWAPPER, receiver, donor, 1.0, {"Brighter": 1.5})
    plain = editing.swap(context.models, SWAPPER, receiver, donor, 1.0)
    assert torch.equal(photos.edit(context, moved.present, "receives").edited, wanted)
    assert not torch.equal(wanted, plain)
    result = photos.result(context, moved.present, with_pictures=False)
    recipe = Recipe.from_photo(result)
    assert recipe is not None
    assert recipe.steps[0].moves == {"Brighter": 1.5}
    assert not np.array_equal(
        result.pixels, photos.result(context, history.present, with_pictures=False).pixels
    )


def test_moves_of_one_slider_are_undone_as_one_and_not_with_the_strength(context, history):
    moved = history
    for steps in (0.5, 1.0, 1.5):
        moved, _ = swap.on_own(context, slide(steps), moved)
    for strength in (0.9, 0.8):
        moved, _ = swap.on_slide(context, moved, strength)
    moved = swap.on_strength(context, moved, 0.8)
    back = repaint.on_undo(context, moved)
    assert (back.present.strength, back.present.moves) == (1.0, {"Brighter": 1.5})
    assert repaint.on_undo(context, back).present == history.present


def test_put_back_and_applied_steps_leave_no_move(context, history):
    moved, _ = swap.on_own(context, slide(2.0), history)
    assert swap.on_back(context, {"name": "Brighter"}, moved).present == history.present
    settled = swap.on_settle(context, moved).present
    assert settled.moves == {}
    assert settled.applied[0].moves == {"Brighter": 2.0}
    assert "Brighter +2.0" in screen.screen(context, settled).steps[0]


def test_a_deleted_slider_moves_nothing_more(context, history):
    moved, _ = swap.on_own(context, slide(2.0), history)
    directions.delete("Brighter")
    same = photos.edit(context, moved.present, "receives").edited
    assert torch.equal(same, photos.edit(context, history.present, "receives").edited)
    assert "Brighter" not in screen.caption(context, moved.present)


def test_a_result_made_with_a_slider_that_is_gone_says_so(context, history, upload):
    moved, _ = swap.on_own(context, slide(2.0), history)
    result = photos.result(context, moved.present)
    saved = upload(images.encode_png(result.pixels, text=result.text), "saved.png")
    restored = swap.on_photo(context, "receiver", saved, History()).present
    assert restored.moves == {"Brighter": 2.0}
    directions.delete("Brighter")
    with pytest.raises(DataError, match="no slider 'Brighter'"):
        swap.on_photo(context, "receiver", saved, History())


@pytest.mark.parametrize("steps", [-3.1, 4.0])
def test_a_slider_goes_no_further_than_its_ends(context, history, steps):
    with pytest.raises(ConfigError, match="from -3 to 3"):
        swap.on_own(context, slide(steps), history)


def test_blend_and_removal_are_moved(context, heads_pictures):
    add_slider(context, SWAPPER, heads_pictures[0])
    whole = Alignment.whole(96, 96)
    faces = [editing.encode(context.models, SWAPPER, one, whole) for one in heads_pictures]
    donors = [faces[1]] * 4
    for make in (
        lambda moves: editing.remove(context.models, SWAPPER, faces[0], moves),
        lambda moves: editing.blend(
            context.models, SWAPPER, faces[0], donors, [(0, 0)], moves=moves
        ),
        lambda moves: editing.swap(context.models, SWAPPER, faces[0], faces[1], 0, moves),
    ):
        assert torch.equal(make(None), make({"Brighter": 0.0}))
        assert not torch.allclose(make(None), make({"Brighter": 2.0}))


def test_a_path_is_moved_where_its_slider_belongs(context, strip):
    walk = strip.present
    name, other = walk.rows
    moved = interpolate.on_own(context, slide(1.0), strip)[0].present
    plain, shifted = (bench.strip(context, one, name) for one in (walk, moved))
    assert not np.array_equal(plain, shifted)
    assert np.array_equal(bench.strip(context, walk, other), bench.strip(context, moved, other))
    first = bench.corners(context, walk, name)[0]
    codes = codes_along.along(context.models, name, first.latents, {"Brighter": 1.0})
    wanted = images.to_pictures(context.models.get(name).model.decode(codes))[0]
    assert np.array_equal(shifted[0], wanted)
    back = interpolate.on_back(context, {"name": ""}, strip.then(moved)).present
    assert back == walk


def test_another_model_on_the_stage_takes_no_foreign_move(context, strip):
    moved = interpolate.on_own(context, slide(1.0), strip)[0].present
    assert moved.show(moved.rows[1]).moves == {}


def test_an_unmoved_picture_is_itself_and_strangers_are_refused(context, heads_pictures):
    add_slider(context, SWAPPER, heads_pictures[0])
    whole = Alignment.whole(96, 96)
    face = editing.encode(context.models, SWAPPER, heads_pictures[0], whole)
    assert editing.moved(context.models, face, {"Brighter": 0.0}) is face
    other = editing.encode(context.models, "aeai.pole-32", heads_pictures[0], whole)
    with pytest.raises(UnsupportedError, match="made with genegan"):
        editing.moved(context.models, other, {"Brighter": 1.0})
