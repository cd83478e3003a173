import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from studio import latents
from studio.latents import Latents

numbers = st.floats(-2, 3, allow_nan=False)
seeds = st.integers(0, 1000)


def codes(seed, count=1):
    rng = torch.Generator().manual_seed(seed)
    return Latents(
        {
            "background": torch.randn(count, 3, 2, 2, generator=rng),
            "object": torch.randn(count, 2, 2, 2, generator=rng),
        }
    )


def close(one, other, tolerance=1e-5):
    return all(torch.allclose(one.parts[n], other.parts[n], atol=tolerance) for n in one)


def test_parts_must_share_their_batch():
    with pytest.raises(ValueError, match="one batch size"):
        Latents({"a": torch.zeros(2, 1), "b": torch.zeros(3, 1)})
    with pytest.raises(ValueError, match="at least one part"):
        Latents({})


def test_rows_are_selected_in_every_part():
    five = codes(0, 5)
    assert len(five[1:3]) == 2
    assert torch.equal(five[torch.tensor([4])].parts["object"], five.parts["object"][4:])


def test_replacing_an_unknown_part_is_a_mistake():
    with pytest.raises(ValueError, match="No part named"):
        codes(0).replace(objekt=torch.zeros(1))


def test_flatten_takes_the_named_parts_in_order():
    two = codes(0, 2)
    assert two.flatten().shape == (2, 20)
    assert torch.equal(two.flatten("object"), two.parts["object"].flatten(1))
    both = two.flatten("object", "background")
    assert torch.equal(both[:, 8:], two.parts["background"].flatten(1))


def test_cat_joins_batches():
    joined = latents.cat([codes(0, 2), codes(1, 3)])
    assert len(joined) == 5
    assert close(joined[2:], codes(1, 3))


@given(numbers, seeds)
def test_lerp_is_the_weighted_sum(alpha, seed):
    start, end = codes(seed), codes(seed + 1)
    expected = (1 - alpha) * start.parts["object"] + alpha * end.parts["object"]
    made = latents.lerp(start, end, alpha).parts["object"]
    assert torch.allclose(made, expected, atol=1e-5)


def test_lerp_takes_one_alpha_per_row():
    start, end = codes(0, 3), codes(1, 3)
    mixed = latents.lerp(start, end, torch.tensor([0.0, 1.0, 0.5]))
    assert close(mixed[:1], start[:1])
    assert close(mixed[1:2], end[1:2])


@given(st.floats(0, 1), seeds)
def test_slerp_walks_evenly_on_the_arc(alpha, seed):
    start, end = codes(seed), codes(seed + 1)
    a, b, made = (
        c.parts["object"].flatten() for c in (start, end, latents.slerp(start, end, alpha))
    )
    norm = (1 - alpha) * a.norm() + alpha * b.norm()
    assert made.norm().item() == pytest.approx(norm.item(), rel=1e-3)
    omega = math.acos((a @ b / a.norm() / b.norm()).clamp(-1, 1).item())
    angle = math.acos((a @ made / a.norm() / made.norm()).clamp(-1, 1).item())
    assert angle == pytest.approx(alpha * omega, abs=2e-3)


def test_slerp_of_parallel_codes_is_the_straight_line():
    start = codes(0)
    doubled = start.map(lambda part: 2 * part)
    expected = start.map(lambda part: 1.5 * part)
    assert close(latents.slerp(start, doubled, 0.5), expected)


@given(st.floats(0, 1), st.floats(0, 1), seeds)
def test_bilinear_is_equation_6(x, y, seed):
    u11, u21, u12, u22 = corners = [codes(seed + k) for k in range(4)]
    weights = [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y]
    # Corners of the figure: upper left, upper right, lower left, lower right.
    parts = [corner.parts["object"] for corner in (u11, u21, u12, u22)]
    expected = sum(w * part for w, part in zip(weights, parts, strict=True))
    made = latents.bilinear(corners, x, y).parts["object"]
    assert torch.allclose(made, expected, atol=1e-5)


@given(numbers, seeds)
def test_swap_moves_the_named_part_only(strength, seed):
    receiver, donor = codes(seed), codes(seed + 1)
    swapped = latents.swap(receiver, donor, ["object"], strength)
    assert torch.equal(swapped.parts["background"], receiver.parts["background"])
    own, other = receiver.parts["object"], donor.parts["object"]
    expected = (1 - strength) * own + strength * other
    assert torch.allclose(swapped.parts["object"], expected, atol=1e-5)


def test_swap_ends_are_exact():
    receiver, donor = codes(0), codes(1)
    for strength, source in ((0.0, receiver), (1.0, donor)):
        swapped = latents.swap(receiver, donor, ["object"], strength)
        assert torch.equal(swapped.parts["object"], source.parts["object"])


@pytest.mark.parametrize("kind", latents.PATHS)
def test_a_path_passes_its_key_frames(kind):
    frames = [codes(seed) for seed in range(4)]
    walk = latents.along(frames, torch.linspace(0, 1, 4), kind)
    for place, frame in enumerate(frames):
        assert close(walk[place : place + 1], frame, 1e-4)


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_between_two_key_frames_a_path_is_straight_and_even(kind):
    start, end = codes(0), codes(1)
    alpha = torch.tensor([0.0, 0.2, 0.7, 1.0])
    walk = latents.along([start, end], alpha, kind)
    expected = latents.lerp(latents.cat([start] * 4), latents.cat([end] * 4), alpha)
    assert close(walk, expected, 1e-4)


def test_a_slerp_path_keeps_the_norms_of_its_ends():
    start, end = codes(0), codes(1)
    walk = latents.along([start, end], torch.linspace(0, 1, 5), "slerp")
    norms = walk.parts["object"].flatten(1).norm(dim=1)
    assert norms.tolist() == pytest.approx(
        torch.linspace(norms[0], norms[-1], 5).tolist(), rel=1e-3
    )


def test_a_cubic_path_has_no_corners():
    frames = [codes(seed) for seed in range(3)]
    # Steps just before and just after the key-frame in the middle.
    alpha = torch.tensor([0.5 - 1e-3, 0.5, 0.5 + 1e-3])
    bends = {}
    for kind in ("linear", "cubic"):
        before, after = latents.along(frames, alpha, kind).flatten("object").diff(dim=0)
        bends[kind] = ((after - before).norm() / before.norm()).item()
    assert bends["cubic"] < 0.02
    assert bends["linear"] > 0.5


def test_a_path_needs_two_key_frames_and_a_known_kind():
    with pytest.raises(ValueError, match="at least 2 key-frames"):
        latents.along([codes(0)], torch.zeros(1))
    with pytest.raises(ValueError, match="slerp"):
        latents.along([codes(0), codes(1)], torch.zeros(1), "spline")
