import math

import numpy as np
import pytest
import torch

from studio import directions, paths
from studio.directions import Direction, make
from studio.errors import ConfigError, DataError
from studio.latents import Latents

FROM = ("aeai.x", "0f")


def codes(count, shift=0.0, seed=0):
    """Latents of two parts whose first number tells the two kinds apart."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(count, 3, generator=rng)
    z[:, 0] += shift
    return Latents({"z": z, "map": torch.randn(count, 2, 2, 2, generator=rng)})


def test_a_direction_leads_from_one_mean_to_the_other_with_length_one():
    shown, absent = codes(50, 4.0), codes(60, seed=1)
    made = make("Hat", FROM, shown, absent)
    way = shown.flatten().mean(0) - absent.flatten().mean(0)
    torch.testing.assert_close(made.unit.flatten()[0], way / way.norm(), rtol=1e-5, atol=1e-6)
    assert made.examples == (50, 60)
    assert made.unit.parts["map"].shape == (1, 2, 2, 2)


def test_one_step_is_one_deviation_of_the_examples_around_their_means():
    shown, absent = codes(500, 4.0), codes(500, seed=1)
    made = make("Hat", FROM, shown, absent)
    scores = [group.flatten() @ made.unit.flatten()[0] for group in (shown, absent)]
    pooled = np.sqrt(np.mean([float(one.var()) for one in scores]))
    assert made.measured_in == "examples"
    assert made.deviation == pytest.approx(pooled, rel=1e-3)
    moved = made.move(absent, 2.0)
    far = (moved.flatten() - absent.flatten()) @ made.unit.flatten()[0]
    torch.testing.assert_close(far, torch.full((500,), 2 * made.deviation), rtol=1e-4, atol=1e-4)


def test_where_the_spread_of_the_data_is_known_a_step_is_measured_in_it():
    flat = Latents({"z": torch.eye(2)[:1] * 3}), Latents({"z": torch.zeros(1, 2)})
    covariance = torch.tensor([[4.0, 0.0], [0.0, 100.0]])
    made = make("Pair", FROM, *flat, covariance)
    assert (made.deviation, made.measured_in) == (2.0, "data")


def test_a_step_along_a_pair_is_the_whole_way():
    one, other = codes(1, 4.0), codes(1, seed=1)
    made = make("Pair", FROM, one, other)
    assert made.measured_in == "pair"
    assert math.isnan(made.separation)
    arrived = made.move(other, 1.0)
    torch.testing.assert_close(arrived.flatten(), one.flatten(), rtol=1e-4, atol=1e-5)


def test_no_step_changes_nothing():
    made = make("Hat", FROM, codes(9, 4.0), codes(9, seed=1))
    own = codes(3, seed=2)
    assert torch.equal(made.move(own, 0.0).flatten(), own.flatten())


def test_steps_may_differ_from_row_to_row():
    made = make("Hat", FROM, codes(9, 4.0), codes(9, seed=1))
    own = codes(2, seed=2)
    moved = made.move(own, torch.tensor([0.0, 1.0]))
    assert torch.equal(moved.flatten()[0], own.flatten()[0])
    torch.testing.assert_close(moved.flatten()[1], made.move(own, 1.0).flatten()[1])


def test_the_separation_counts_examples_that_the_direction_was_not_made_of():
    # Pure noise in many dimensions: a direction always separates its own examples.
    alike = make("Noise", FROM, codes(12), codes(12, seed=1))
    apart = make("Hat", FROM, codes(12, 8.0), codes(12, seed=1))
    assert alike.separation < 0.8
    assert apart.separation > 0.95


@pytest.mark.parametrize("counts", [(8, 7), (7, 8), (2, 2), (1, 2)])
def test_too_few_examples_are_refused(counts):
    with pytest.raises(ConfigError, match=f"8 or more.*{counts[0]} with and {counts[1]} without"):
        make("Hat", FROM, codes(counts[0], 4.0), codes(counts[1], seed=1))


def test_equal_examples_are_refused():
    with pytest.raises(ConfigError, match="the same to this checkpoint"):
        make("Hat", FROM, codes(1), codes(1))


@pytest.mark.parametrize("name", ["", "...", "a" * 41, "two\nlines"])
def test_names_that_cannot_be_kept_are_refused(name):
    with pytest.raises(ConfigError, match="no name for a slider"):
        make(name, FROM, codes(9, 4.0), codes(9, seed=1))


def test_a_saved_direction_comes_back_and_can_be_deleted(home):
    made = make("Straw Hat", FROM, codes(9, 4.0), codes(9, seed=1))
    directions.save(made)
    back = directions.load("straw hat")
    assert back.facts() == made.facts()
    assert torch.equal(back.unit.flatten(), made.unit.flatten())
    assert directions.names() == directions.names("aeai.x") == ["Straw Hat"]
    assert directions.names("aeai.y") == []
    with pytest.raises(ConfigError, match="'Straw Hat' already"):
        directions.save(made)
    directions.delete("Straw Hat")
    with pytest.raises(DataError, match="no slider 'Straw Hat' of your own; there are none"):
        directions.load("Straw Hat")


def test_a_pair_survives_the_disk_without_a_separation(home):
    directions.save(make("Pair", FROM, codes(1, 4.0), codes(1, seed=1)))
    assert math.isnan(directions.load("Pair").separation)


def test_a_damaged_file_is_named_and_left_out_of_the_list(home):
    directions.save(make("Good", FROM, codes(9, 4.0), codes(9, seed=1)))
    bad = paths.directions() / "bad.safetensors"
    bad.write_bytes(b"nothing")
    assert directions.names() == ["Good"]
    with pytest.raises(DataError, match=r"bad\.safetensors is damaged"):
        directions.load("bad")


def test_a_direction_needs_no_name_of_a_path(home):
    with pytest.raises(DataError, match="no slider"):
        directions.load("../../etc/passwd")
    assert isinstance(make("a b", FROM, codes(9, 4.0), codes(9, seed=1)), Direction)
