import math

import pytest
import torch

from studio.metrics import interpolation as metrics


def path_of(*levels):
    """Return flat pictures of the given values, (N, 3, 4, 4)."""
    return torch.tensor(levels).reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4).contiguous()


START, END = path_of(-1.0)[0], path_of(1.0)[0]
PERFECT = path_of(-1.0, -0.5, 0.0, 0.5, 1.0)


def test_a_perfect_path_meets_every_condition():
    features = PERFECT.flatten(1)
    found = metrics.conditions(PERFECT, START, END, features, features)
    assert found.boundary_error == found.monotonicity_violations == 0
    assert found.step_ratio == pytest.approx(1)
    assert found.credibility == pytest.approx(0, abs=1e-6)


def test_a_useless_path_meets_none():
    # It begins at the wrong end and jumps once, to a picture that is like no other.
    backwards = path_of(1.0, 1.0, 1.0, 1.0, -1.0)
    real = torch.zeros(1, 48)
    found = metrics.conditions(backwards, START, END, backwards.flatten(1), real)
    assert found.boundary_error == 2
    # Of four steps one goes back, and it does so by both distances.
    assert found.monotonicity_violations == 0.25
    assert found.step_ratio == 4
    assert found.credibility == pytest.approx(math.sqrt(48))


def test_without_features_credibility_is_unknown():
    assert math.isnan(metrics.conditions(PERFECT, START, END).credibility)


def test_the_boundary_is_compared_with_the_pictures_themselves():
    # 0.1 off at the start, 0.3 at the end.
    assert metrics.boundary_error(path_of(-0.9, 0.7), START, END) == pytest.approx(0.2)


def test_standing_still_is_monotonous_and_even():
    still = path_of(0.0, 0.0, 0.0)
    assert metrics.monotonicity_violations(still, START, END) == 0
    assert metrics.step_ratio(still) == 1


def test_steps_and_distances_by_hand():
    # Steps 0.5, 1.5, -0.5, 0.5: one of them goes back.
    path = path_of(-1.0, -0.5, 1.0, 0.5, 1.0)
    assert metrics.monotonicity_violations(path, START, END) == pytest.approx(2 / 8)
    assert metrics.step_ratio(path) == pytest.approx(1.5 / 0.75)


def test_another_distance_sees_another_path():
    def brightest(images, others):
        return (images.amax((-3, -2, -1)) - others.amax((-3, -2, -1))).abs()

    path = path_of(-1.0, 0.0, 1.0)
    path[1, :, 1:] = 1.0
    assert metrics.monotonicity_violations(path, START, END, brightest) == 0
    assert metrics.step_ratio(path, brightest) == pytest.approx(2)
    assert metrics.step_ratio(path) < 2


def test_the_nearest_picture_is_found_with_its_error():
    candidates = path_of(-1.0, 0.0, 0.5)
    found = metrics.nearest(path_of(-0.9, 0.3, 5.0), candidates)
    assert found.row.tolist() == [0, 2, 2]
    assert found.error.tolist() == pytest.approx([0.01, 0.04, 20.25], rel=1e-4)


def test_the_nearest_of_many_is_that_of_a_plain_search():
    images, candidates = torch.rand(700, 3, 2, 2), torch.rand(90, 3, 2, 2)
    found = metrics.nearest(images, candidates)
    every = (images[:, None] - candidates).square().mean((2, 3, 4))
    assert torch.equal(found.row, every.argmin(1))
    assert torch.allclose(found.error, every.amin(1), atol=1e-6)


def test_credibility_is_the_distance_to_the_nearest_real_features():
    real = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    assert metrics.credibility(torch.tensor([[3.0, 4.0], [10.0, 2.0]]), real).tolist() == (
        pytest.approx([5.0, 2.0])
    )


@pytest.mark.parametrize(
    ("found", "start", "span", "alpha"),
    [
        (20, 10, 40, 0.25),
        (10, 10, 40, 0.0),
        (50, 10, 40, 1.0),
        # Across 360 degrees, and a little before the start.
        (5, 350, 20, 0.75),
        (345, 350, 20, -0.25),
        # Right of the middle by 170 degrees, not left of it by 190.
        (200, 10, 40, 4.75),
    ],
)
def test_alpha_is_read_off_the_angle(found, start, span, alpha):
    angles = (torch.tensor([float(value)]) for value in (found, start))
    assert metrics.retrieved_alpha(*angles, span).item() == pytest.approx(alpha)


def test_parameters_wrap_around_in_azimuth_only():
    distance = metrics.parameter_distance(torch.tensor([3.0, 357.0]), torch.tensor([4.0, -4.0]))
    assert distance.tolist() == pytest.approx([5.0, 5.0])


def test_spread_by_hand():
    values = torch.tensor([[1.0, 2.0], [3.0, 100.0]])
    found = metrics.spread(values, torch.tensor([[True, True], [True, False]]))
    assert found["count"] == 3
    assert found["mean"] == found["median"] == 2
    assert found["std"] == pytest.approx(math.sqrt(2 / 3))
    assert (found["q25"], found["q75"]) == (1.5, 2.5)
