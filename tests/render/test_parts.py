import csv

import pytest

from studio.errors import ConfigError
from studio.render import heads, parts
from studio.render.parts import COLOURS, EXPRESSIONS, GAZES, LIGHTS, sample_portraits, write_set

PERSONS = 20


@pytest.fixture(scope="module")
def drawn():
    return sample_portraits(4 * PERSONS * 10, 0, PERSONS)


def test_every_person_is_seen_with_every_expression_equally_often(drawn):
    pairs = [(head.identity, head.expression) for head in drawn[0]]
    assert {pairs.count((one, kind)) for one in range(PERSONS) for kind in EXPRESSIONS} == {10}


def test_classes_say_what_is_rendered(drawn):
    for head, named in zip(*drawn, strict=True):
        assert (head.light_azimuth, head.light_elevation) == LIGHTS[named["light"]]
        assert (head.gaze_yaw, head.gaze_pitch) == GAZES[named["gaze"]]
        assert head.colour_cast == COLOURS[named["colour"]]
        assert (head.intensity == 0) == (head.expression == "neutral")
        assert head.expression == "neutral" or head.intensity >= 0.3
        assert (head.eyeglasses, head.hat, head.blink, head.mouth_open) == ("none", False, 0, 0)


def test_parts_are_drawn_independently(drawn):
    named = drawn[1]
    for one, other in (("light", "gaze"), ("light", "colour"), ("gaze", "colour")):
        pairs = {(row[one], row[other]) for row in named}
        values = {name: {row[name] for row in named} for name in (one, other)}
        assert len(pairs) == len(values[one]) * len(values[other])


def test_a_longer_set_continues_a_shorter_one(drawn):
    again = sample_portraits(8, 0, PERSONS)
    assert (again[0], again[1]) == (drawn[0][:8], drawn[1][:8])
    assert sample_portraits(8, 1, PERSONS)[0] != again[0]


def test_ten_persons_are_only_tested_on_and_four_only_watched(tmp_path):
    assert write_set(tmp_path / "set", 40, 8, 0, persons=PERSONS) == 40
    with (tmp_path / "set" / "attributes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    persons = {part: {int(row["identity"]) for row in rows if row["partition"] == part}
               for part in "012"}  # fmt: skip
    assert persons["2"] == set(range(10))
    assert persons["1"] == set(range(10, 14))
    assert persons["0"] == set(range(14, PERSONS))
    assert {"light", "gaze", "colour", "expression", "factor_intensity", "size"} <= rows[0].keys()
    # Attributes such as eyeglasses are the same in all, and nothing to learn.
    assert "Eyeglasses" not in rows[0]
    with pytest.raises(ConfigError, match="has a data set already"):
        write_set(tmp_path / "set", 40, 8, 0, persons=PERSONS)


def test_too_few_persons_are_refused():
    with pytest.raises(ConfigError, match="15 persons are too few"):
        sample_portraits(8, 0, 15)


def test_expressions_are_among_those_that_can_be_rendered():
    assert set(EXPRESSIONS) <= set(heads.EXPRESSIONS)
    assert len(parts.LIGHTS) >= 9
