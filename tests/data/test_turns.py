from dataclasses import replace

import numpy as np
import pytest

from studio.data.folder import DataSet, FolderSource, decode_square
from studio.data.turns import find_turns, require_turns
from studio.errors import DataError


def data_of(factors, tmp_path, **classes):
    count = len(next(iter(factors.values())))
    return DataSet(
        name="turning",
        source=FolderSource(tmp_path),
        files=tuple(f"{k}.png" for k in range(count)),
        attributes={},
        classes={name: np.array(values, np.str_) for name, values in classes.items()},
        factors={name: np.array(values, np.float64) for name, values in factors.items()},
        partition=np.zeros(count, np.int8),
        decode=decode_square,
    )


@pytest.fixture
def pole(tmp_path):
    """Return two altitudes of 72 azimuths, in an order that means nothing."""
    azimuth, altitude = np.meshgrid(np.arange(0, 360, 5), (60, 45))
    order = np.random.default_rng(0).permutation(144)
    factors = {
        "factor_azimuth": azimuth.ravel()[order],
        "factor_altitude": altitude.ravel()[order],
    }
    return data_of(factors, tmp_path)


def test_eighty_degrees_are_sixteen_pictures_seventy_five_degrees_apart(pole):
    turns = require_turns(pole)
    assert (turns.step, turns.pictures(80), turns.span(80)) == (5, 16, 75)
    rows = turns.intervals(80)
    assert rows.shape == (144, 16)
    azimuth, altitude = pole.factors["factor_azimuth"], pole.factors["factor_altitude"]
    assert (np.diff(azimuth[rows], axis=1) % 360 == 5).all()
    assert (np.ptp(altitude[rows], axis=1) == 0).all()
    # Groups are in the order of the altitude, and intervals go around 360 degrees.
    assert altitude[turns.rows[:, 0]].tolist() == [45, 60]
    assert azimuth[rows[71]].tolist() == [355, *range(0, 75, 5)]


def test_a_length_without_in_betweens_is_refused(pole):
    turns = require_turns(pole)
    assert turns.intervals(15).shape == (144, 3)
    for length in (10, 365):
        with pytest.raises(DataError, match="from 15 to 360 degrees"):
            turns.intervals(length)


def test_missing_pictures_are_marked_and_never_ends(pole):
    keep = np.ones(144, bool)
    keep[[3, 50]] = False
    turns = require_turns(pole.select(keep))
    rows = turns.intervals(25)
    assert turns.rows.shape == (2, 72)
    # Each missing picture takes two intervals away and leaves a gap in three others.
    assert rows.shape == (140, 5)
    assert (rows == -1).sum() == 6
    assert (rows[:, [0, -1]] >= 0).all()


def test_objects_are_groups_and_angles_may_be_fractions(tmp_path):
    angles = [k * 360 / 7 for k in range(7)]
    even = data_of({"factor_angle": angles * 2}, tmp_path, object=["b"] * 7 + ["a"] * 7)
    assert find_turns(even) is None
    angles = [k * 2.5 for k in range(144)]
    turns = require_turns(
        data_of({"factor_angle": angles * 2}, tmp_path, object=["b"] * 144 + ["a"] * 144)
    )
    assert turns.step == 2.5
    assert turns.rows[:, 0].tolist() == [144, 0]


def test_what_is_no_turn_is_refused_with_what_is_needed(pole, tmp_path):
    uneven = data_of({"factor_azimuth": [0.0, 7.0, 100.0, 230.0]}, tmp_path)
    without = replace(pole, factors={"factor_altitude": pole.factors["factor_altitude"]})
    for data in (uneven, without):
        assert find_turns(data) is None
        with pytest.raises(DataError, match="factor_azimuth or factor_angle"):
            require_turns(data)
