from dataclasses import replace

import numpy as np
import pytest

from studio.data.joined import JoinedSet
from studio.errors import DataError


@pytest.fixture
def halves(heads_set):
    first, second = heads_set.part("train"), heads_set.part("test")
    labels = {"Eyeglasses": second.attributes["Eyeglasses"]}
    return first, replace(second, attributes=labels, name="more")


def test_rows_stand_one_set_after_another(halves):
    joined = JoinedSet(halves)
    first, second = halves
    assert len(joined) == len(first) + len(second)
    assert joined.name == "heads and more"
    both = [one.pictures(32) for one in halves]
    assert np.array_equal(joined.pictures(32), np.concatenate(both))
    glasses = np.concatenate([one.attribute("Eyeglasses") for one in halves])
    assert np.array_equal(joined.attribute("Eyeglasses"), glasses)
    assert joined.eyes().shape == (len(joined), 2, 2)


def test_what_one_set_does_not_know_is_unknown_in_its_rows(halves):
    joined = JoinedSet(halves)
    smiles = joined.attribute("Smiling")
    assert set(smiles[: len(halves[0])]) <= {0, 1}
    assert (smiles[len(halves[0]) :] == -1).all()
    assert (joined.identity()[len(halves[0]) :] == -1).all()
    with pytest.raises(DataError, match="no attribute 'Beard'"):
        joined.attribute("Beard")


def test_sets_that_do_not_fit_are_refused(halves):
    first, second = halves
    with pytest.raises(DataError, match="only sets of one alignment"):
        JoinedSet((first, replace(second, alignment="none")))
    with pytest.raises(DataError, match="more shares no attribute with heads"):
        JoinedSet((first, replace(second, attributes={"Hat": second.attributes["Eyeglasses"]})))
