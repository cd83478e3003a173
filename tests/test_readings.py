import json
import re

import pytest

from studio import readings
from studio.checkpoints import CheckpointStore
from studio.cli import main

ONE = {"psnr": 28.5, "swap_success": 0.9512, "frechet_swap": 1.25, "pairs": 400.0, "ssim": 0.91}
OTHER = {"psnr": 26.04, "swap_success": 0.9514, "frechet_swap": 0.5, "pairs": 300.0, "removed": 0.9}


@pytest.fixture
def two(make_checkpoint):
    """Return the cards of two checkpoints of one method."""
    names = (
        make_checkpoint(tag="one", metrics=ONE, data_set="heads", step=1200, seed=1),
        make_checkpoint(tag="other", metrics=OTHER, data_set="heads", parent="genegan.one"),
    )
    return [CheckpointStore().card(name) for name in names]


def line(found, name):
    every = (*found.facts, *found.measured, *found.more)
    return next(one for one in every if one.name == name)


def test_the_better_number_is_marked_whichever_way_is_better(two):
    found = readings.compare(*two)
    assert line(found, "psnr").texts == ("28.5 dB", "26.0 dB")
    assert line(found, "psnr").better == "genegan.one"
    assert line(found, "frechet_swap").better == "genegan.other"
    swapped = readings.compare(*two[::-1])
    assert line(swapped, "psnr").better == "genegan.one"
    assert line(swapped, "psnr").texts == ("26.0 dB", "28.5 dB")


def test_nothing_is_marked_where_both_read_alike_or_better_is_unknown_or_one_is_missing(two):
    found = readings.compare(*two)
    assert [line(found, name).better for name in ("swap_success", "pairs", "ssim", "removed")] == [
        ""
    ] * 4
    assert line(found, "swap_success").texts == ("95.1%", "95.1%")
    assert line(found, "removed").texts == ("", "90.0%")


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("ssim", 1), ("step_ratio", -1), ("credibility", -1), ("realness", 1), ("realness_real", 0),
        ("between_mse_fade", 0), ("swap_recognized_low", 0), ("crosses_Young", 1), ("donors", 0),
        ("judge_Young", 0),
    ],
)  # fmt: skip
def test_it_is_known_which_way_is_better(make_checkpoint, name, way):
    names = [make_checkpoint(tag=f"t{value}", metrics={name: float(value)}) for value in (1, 2)]
    found = readings.compare(*(CheckpointStore().card(one) for one in names))
    assert line(found, name).better == {1: "genegan.t2", -1: "genegan.t1", 0: ""}[way]


def test_facts_stand_side_by_side_with_the_settings_that_differ(two):
    changed = {**two[1].config, "width": 99}
    other = type(two[1])(**{**vars(two[1]), "config": changed})
    found = readings.compare(two[0], other)
    assert line(found, "Steps").texts == ("1,200", "")
    assert line(found, "Started from").texts == ("", "genegan.one")
    assert line(found, "width").texts == (str(two[0].config["width"]), "99")
    assert line(found, "width").label == "Setting: width"
    assert not any(one.name == "recipe" for one in found.facts)


@pytest.mark.parametrize(
    ("minutes", "words"), [(0.2, "under a minute"), (1.3, "1 minute"), (45.2, "45 minutes")]
)
def test_time_reads_as_people_say_it(make_checkpoint, minutes, words):
    name = make_checkpoint(training={"minutes": minutes, "device": "cpu"})
    assert readings.facts(CheckpointStore().card(name))["Time"] == f"{words} on cpu"


def test_numbers_of_different_things_come_with_a_warning(two, make_checkpoint):
    assert readings.compare(*two).note == ""
    elsewhere = CheckpointStore().card(make_checkpoint(tag="x", metrics=ONE, data_set="faces"))
    assert "different pictures" in readings.compare(two[0], elsewhere).note
    bare = CheckpointStore().card(make_checkpoint(tag="bare"))
    assert readings.compare(two[0], bare).note == "No number was measured of both."


def test_every_number_of_the_shipped_cards_can_be_read():
    for card in CheckpointStore().cards():
        told = len(readings.measured(card)) + len(readings.more(card))
        assert told == len(card.metrics)


def test_the_command_line_compares_and_shows(two, capsys):
    assert main(["models", "compare", "genegan.one", "genegan.other"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^Reproduction +28\.5 dB \* +26\.0 dB$", out, re.M)
    assert re.search(r"^frechet swap +1\.25 +0\.5 \*$", out, re.M)
    assert main(["models", "compare", "genegan.one", "genegan.other", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["names"] == ["genegan.one", "genegan.other"]
    assert told["measured"][0]["name"] == "swap_success"
    assert main(["models", "compare", "genegan.one", "genegan.none"]) == 2
    assert "no checkpoint 'genegan.none'" in capsys.readouterr().err
    assert main(["models", "show", "genegan.one"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^Reproduction +28\.5 dB$", out, re.M)
    assert re.search(r"^pairs +400$", out, re.M)
    assert main(["models", "show", "genegan.one", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["metrics"] == ONE
