from itertools import islice

import numpy as np
import pytest
import torch

from studio.data import loading
from studio.errors import DataError

ATTRIBUTES = ("Eyeglasses", "Smiling")


@pytest.fixture
def train(heads_set):
    return heads_set.part("train")


def batches(data, sampling=loading.uniform, size=6, seed=0, **options):
    rows = sampling(data, "Eyeglasses", size, seed)
    return loading.Batches(data, 32, ATTRIBUTES, rows, seed=seed, **options)


def test_every_picture_comes_once_an_epoch(train):
    rows = loading.uniform(train, "", 5, 0)
    count = len(train)
    stream = np.concatenate([rows(position) for position in range(count)])
    epochs = stream.reshape(5, count)
    assert (np.sort(epochs, axis=1) == np.arange(count)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 5


def test_a_batch_may_be_larger_than_the_set(train):
    rows = loading.uniform(train, "", 3 * len(train), 0)(2)
    assert np.array_equal(np.bincount(rows), np.full(len(train), 3))


def test_a_contrast_batch_has_the_attribute_in_its_first_half_only(train):
    for batch in islice(batches(train, loading.contrast), 8):
        assert batch.attributes[:, 0].tolist() == [1, 1, 1, 0, 0, 0]


def test_each_side_of_a_contrast_comes_once_an_epoch(train):
    rows = loading.contrast(train, "Eyeglasses", 4, 0)
    side = np.flatnonzero(train.attribute("Eyeglasses") == 1)
    firsts = np.concatenate([rows(position)[:2] for position in range(len(side))])
    assert (np.sort(firsts.reshape(2, -1), axis=1) == side).all()


def test_unknown_labels_are_on_neither_side(heads_set):
    known = heads_set.attribute("Side_Light")
    rows = loading.contrast(heads_set, "Side_Light", 2, 0)
    drawn = np.concatenate([rows(position) for position in range(60)])
    assert set(known[drawn]) == {0, 1}


def test_a_side_with_too_few_pictures_is_refused(train):
    alone = train.select(train.attribute("Eyeglasses") == 1)
    with pytest.raises(DataError, match="and 0 without; at least 2"):
        loading.contrast(alone, "Eyeglasses", 4, 0)
    with pytest.raises(DataError, match="no attribute 'Moustache'"):
        loading.contrast(train, "Moustache", 4, 0)


def test_the_position_is_the_whole_state(train):
    running = batches(train)
    for _ in range(7):
        next(running)
    resumed = batches(train)
    resumed.position = running.position
    for one, other in zip(islice(running, 10), islice(resumed, 10), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.attributes, other.attributes)
        assert torch.equal(one.eyes, other.eyes)


def test_another_seed_is_another_order(train):
    one, other = next(batches(train, seed=0)), next(batches(train, seed=1))
    assert not torch.equal(one.images, other.images)


def test_images_are_the_pictures_in_the_models_range(train):
    batch = next(batches(train, flip=False))
    rows = loading.uniform(train, "", 6, 0)(0)
    expected = torch.from_numpy(train.pictures(32)[rows].astype(np.float32)) / 127.5 - 1
    assert torch.allclose(batch.images, expected.permute(0, 3, 1, 2), atol=1e-6)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(
        batch.attributes, torch.from_numpy(train.attribute_matrix(ATTRIBUTES)[rows]).long()
    )


def test_mirrored_pictures_take_their_eyes_along(train):
    # Eyes that stand unevenly show which pictures were mirrored.
    count = len(train)
    factors = {"left_eye_x": 8.0, "left_eye_y": 16.0, "right_eye_x": 20.0, "right_eye_y": 18.0}
    columns = {name: np.full(count, value) for name, value in factors.items()}
    uneven = type(train)(**{**vars(train), "factors": {**columns, "size": np.full(count, 32.0)}})
    plain = next(batches(uneven, size=count, flip=False))
    mixed = next(batches(uneven, size=count, flip=True))
    mirrored = (mixed.images != plain.images).flatten(1).any(1)
    assert 0.2 < mirrored.float().mean() < 0.8
    assert torch.equal(mixed.images[mirrored], plain.images[mirrored].flip(3))
    assert torch.equal(mixed.eyes[~mirrored], plain.eyes[~mirrored])
    expected = torch.tensor([[1 - 20 / 32, 18 / 32], [1 - 8 / 32, 16 / 32]])
    assert torch.allclose(mixed.eyes[mirrored], expected.expand_as(mixed.eyes[mirrored]))


def test_classes_stand_in_the_batch_as_places_among_their_values(train):
    classes = (("expression", ("smile", "neutral")), ("Smiling", ("without", "with")))
    batch = next(batches(train, classes=classes))
    rows = loading.uniform(train, "Eyeglasses", 6, 0)(0)
    expressions = [{"smile": 0, "neutral": 1}.get(text, -1)
                   for text in train.classes["expression"][rows]]  # fmt: skip
    assert batch.classes[:, 0].tolist() == expressions
    assert batch.classes[:, 1].tolist() == train.attribute("Smiling")[rows].tolist()
    assert next(batches(train)).classes is None
    few = batch.select(torch.tensor([1, 2]))
    assert few.classes.tolist() == batch.classes[1:3].tolist()
    assert few.to(torch.device("cpu")).classes.shape == (2, 2)


@pytest.mark.parametrize("sampling", [loading.uniform, loading.contrast])
def test_batches_that_are_read_ahead_are_the_same(train, sampling):
    one, two = batches(train, sampling), batches(train, sampling, ahead=True)
    for plain, ahead in zip(islice(one, 4), islice(two, 4), strict=True):
        assert torch.equal(plain.images, ahead.images)
        assert torch.equal(plain.eyes, ahead.eyes)
    # A run that goes on elsewhere does not get what was read ahead.
    one.position = two.position = 1
    assert torch.equal(next(one).images, next(two).images)


def test_processes_share_a_batch_without_losing_or_doubling_a_picture(train, monkeypatch):
    whole = batches(train, loading.contrast, size=8)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(loading.together, "size", lambda: 2)
        monkeypatch.setattr(loading.together, "rank", lambda rank=rank: rank)
        shares.append(next(batches(train, loading.contrast, size=8, shared=True)))
    batch = next(whole)
    assert torch.equal(shares[0].images, batch.images[::2])
    assert torch.equal(shares[1].images, batch.images[1::2])
    # Either has as many pictures with the attribute as without.
    assert [share.attributes[:, 0].tolist() for share in shares] == [[1, 1, 0, 0]] * 2
