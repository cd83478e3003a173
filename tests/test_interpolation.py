import math
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from PIL import Image

from studio import editing, images, interpolation
from studio.errors import ConfigError, UnsupportedError
from studio.evaluation.interpolation import Judge
from studio.faces.align import Alignment
from studio.interpolation import BILINEAR, CROSS_FADE, Style


@pytest.fixture
def checkpoint(make_checkpoint):
    return make_checkpoint("aeai")


@pytest.fixture
def encode(models, photograph):
    """Return a function that encodes four photographs with a checkpoint."""

    def make(checkpoint):
        whole = Alignment.whole(32, 32)
        return [
            editing.encode(models, checkpoint, photograph(seed, 32, 32), whole) for seed in range(4)
        ]

    return make


@pytest.fixture
def corners(encode, checkpoint):
    return encode(checkpoint)


def alphas(count):
    return [(alpha, 0.0) for alpha in np.linspace(0, 1, count)]


def test_decoding_in_batches_is_decoding_at_once(models, checkpoint, corners, monkeypatch):
    places = editing.grid_places(3)
    whole = interpolation.decode(models, checkpoint, corners, places, BILINEAR)
    monkeypatch.setattr(interpolation, "_BATCH", 4)
    parts = interpolation.decode(models, checkpoint, corners, places, BILINEAR)
    assert whole.shape == (9, 3, 32, 32)
    assert torch.allclose(whole, parts, atol=1e-5)


def test_the_cross_fade_mixes_pixels_of_neighbours(models, corners):
    faded = interpolation.decode(models, CROSS_FADE, corners[:3], alphas(5), "slerp")
    ends = [images.to_images(corner.crop)[0] for corner in corners]
    for place, picture in zip((0, 2, 4), ends, strict=False):
        assert torch.allclose(faded[place], picture, atol=1e-6)
    assert torch.allclose(faded[1], (ends[0] + ends[1]) / 2, atol=1e-6)
    middle = interpolation.decode(models, CROSS_FADE, corners, [(0.5, 0.5)], BILINEAR)
    assert torch.allclose(middle[0], torch.stack(ends).mean(0), atol=1e-6)


@pytest.mark.parametrize("kind", ["linear", BILINEAR])
def test_the_cross_fade_meets_three_conditions(models, corners, kind):
    quality = interpolation.measure(models, CROSS_FADE, corners, kind)
    assert quality[:3] == pytest.approx((0, 0, 1), abs=1e-4)
    assert quality.to_dict()["realness"] is None
    assert "realness" not in quality.text()


def test_the_boundary_error_is_that_of_the_reconstructions(models, checkpoint, corners):
    quality = interpolation.measure(models, checkpoint, corners[:2])
    errors = [corner.error for corner in corners[:2]]
    assert quality.boundary_error == pytest.approx(sum(errors) / 2, rel=1e-3)
    assert quality.step_ratio >= 1


def test_a_judge_scores_in_betweens_only(models, corners):
    seen = []

    def score(shown):
        seen.append(shown)
        return shown.mean((1, 2, 3), keepdim=True)[:, 0, 0]

    judge = Judge(lambda shown: shown.flatten(1), score, 16, torch.device("cpu"))
    real = torch.zeros(3, 3, 32, 32)
    quality = interpolation.measure(models, CROSS_FADE, corners[:2], judge=judge, real=real)
    assert seen[0].shape == (15, 3, 16, 16)
    assert 0 <= quality.realness <= 1
    assert quality.credibility > 0


def test_all_rows_are_measured_and_the_cross_fade_last(
    models, make_checkpoint, encode, checkpoint, heads_folder
):
    other = make_checkpoint("autoencoder")
    make_checkpoint("realness", tag="tiny")
    rows = {checkpoint: encode(checkpoint), other: encode(other)}
    found = interpolation.compare(models, rows, BILINEAR, heads_folder)
    assert list(found) == [checkpoint, other, CROSS_FADE]
    for quality in found.values():
        assert not any(math.isnan(value) for value in quality)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"frames": 1}, "2 to 600 frames, not 1"),
        ({"frames": 40, "grid": True}, "3 to 15 pictures a side, not 40"),
        ({"path": "round"}, "no path 'round'"),
        ({"ease": "fast"}, "no ease 'fast'"),
        ({"size": -4}, "not -4"),
    ],
)
def test_a_style_says_what_is_wrong(values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Style(**values)


def test_easing_slows_down_at_both_ends():
    steps = np.diff([x for x, _ in Style(9, ease="in-out").places()])
    assert steps[0] == pytest.approx(steps[-1])
    assert steps[0] < 1 / 8 < steps[4]
    assert len(Style(4, grid=True).places()) == 16


@pytest.mark.parametrize(
    ("rows", "pictures", "style", "name", "complaint"),
    [
        (1, 2, Style(), "a.bmp", ".png, .gif or .mp4"),
        (9, 2, Style(), "a.png", "1 to 7 models"),
        (0, 2, Style(), "a.png", "1 to 7 models"),
        (1, 1, Style(), "a.png", "two or more"),
        (1, 3, Style(grid=True), "a.png", "between 4 pictures, not 3"),
        (2, 4, Style(grid=True), "a.png", "one model, not 2"),
        (1, 4, Style(grid=True), "a.gif", "one picture"),
    ],
)
def test_what_cannot_be_written_is_a_sentence(
    models, checkpoint, tmp_path, rows, pictures, style, name, complaint
):
    with pytest.raises((ConfigError, UnsupportedError), match=complaint):
        interpolation.check(models, [checkpoint] * rows, pictures, style, tmp_path / name)


def test_what_cannot_interpolate_is_refused_before_it_encodes(models, make_checkpoint, tmp_path):
    name = make_checkpoint("eyes")
    with pytest.raises(UnsupportedError, match=r"eyes\.tiny cannot interpolate"):
        interpolation.check(models, [name], 2, Style(), tmp_path / "a.png")


def test_a_film_that_is_too_large_states_the_limit(models, checkpoint, corners, tmp_path):
    style = Style(400, size=3840)
    with pytest.raises(ConfigError, match=r"5,898 megapixels, more than 150.* 612 pixels a side"):
        interpolation.write(models, {checkpoint: corners}, style, tmp_path / "large.mp4")


def test_strip_and_grid_are_one_picture(models, checkpoint, corners, tmp_path):
    interpolation.write(
        models, {checkpoint: corners}, Style(3, grid=True), tmp_path / "new" / "a.png"
    )
    assert images.read_photo(tmp_path / "new" / "a.png").pixels.shape == (112, 112, 3)
    rows = {checkpoint: corners[:2], CROSS_FADE: corners[:2]}
    interpolation.write(models, rows, Style(4, size=64), tmp_path / "b.png")
    height, width, _ = images.read_photo(tmp_path / "b.png").pixels.shape
    assert height == 4 + 2 * 68
    assert width > 4 * 68


def test_a_clip_goes_there_and_back(models, checkpoint, corners, tmp_path):
    target = tmp_path / "a.gif"
    interpolation.write(models, {checkpoint: corners[:2]}, Style(5, ping_pong=True), target)
    with Image.open(target) as film:
        assert (film.n_frames, film.size) == (8, (32, 32))
    rows = {checkpoint: corners[:2], CROSS_FADE: corners[:2]}
    interpolation.write(models, rows, Style(6), tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 6
    assert frames[0].shape[1] >= 2 * 128


def test_latents_of_another_checkpoint_are_refused(models, checkpoint, corners):
    strange = [corners[0], replace(corners[1], checkpoint="aae.other")]
    with pytest.raises(UnsupportedError, match=r"aae\.other mean nothing to aeai\.tiny"):
        interpolation.decode(models, checkpoint, strange, alphas(3))
