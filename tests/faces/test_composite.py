import numpy as np
import pytest
import torch
from skimage import data

from studio.faces.align import Alignment, crop
from studio.faces.composite import Compositor, composite
from studio.images import to_images

ALIGNMENT = Alignment(223.0, 112.0, 44.0, 4.0)
SIZE = 64


@pytest.fixture(scope="module")
def photo():
    return data.astronaut()


@pytest.fixture(scope="module")
def plain(photo):
    return to_images(crop(photo, ALIGNMENT, SIZE))[0]


def spectacles(image, value=-0.8):
    edited = image.clone()
    for rows, columns in (((27, 29), (18, 46)), ((37, 39), (18, 46))):
        edited[:, slice(*rows), slice(*columns)] = value
    return edited


def changed_part(before, after):
    return (before != after).any(axis=2)


def test_no_edit_is_the_photograph_bit_for_bit(photo, plain):
    result = composite(photo, ALIGNMENT, plain, plain)
    assert np.array_equal(result, photo)
    assert result is not photo
    assert Compositor(photo, ALIGNMENT, SIZE).patch(plain, plain).pixels.size == 0


def test_what_the_edit_does_not_touch_is_exact(photo, plain):
    result = composite(photo, ALIGNMENT, plain, spectacles(plain))
    changed = changed_part(photo, result)
    matrix = ALIGNMENT.matrix(SIZE)
    rows, columns = np.nonzero(changed)
    inside = np.stack([columns + 0.5, rows + 0.5], 1) @ matrix[:, :2].T + matrix[:, 2]
    assert changed.any()
    assert inside[:, 0].min() > 12
    assert inside[:, 0].max() < 52
    assert inside[:, 1].min() > 21
    assert inside[:, 1].max() < 45


def test_edit_arrives_in_the_photo(photo, plain):
    edited = spectacles(plain)
    result = to_images(crop(composite(photo, ALIGNMENT, plain, edited), ALIGNMENT, SIZE))[0]
    where = (edited != plain).any(0)
    before, after = (edited - plain)[:, where].mean(), (edited - result)[:, where].mean()
    assert abs(after) < 0.35 * abs(before)


def test_colour_drift_is_left_out(photo, plain):
    drift = torch.linspace(-0.06, 0.06, SIZE).expand(3, SIZE, SIZE)
    clean = composite(photo, ALIGNMENT, plain, spectacles(plain))
    drifted = composite(photo, ALIGNMENT, plain, spectacles(plain) + drift)
    added = np.abs(drifted.astype(int) - clean)
    assert added.mean(where=changed_part(photo, clean)[..., None]) < 4
    assert changed_part(photo, drifted).sum() < 1.3 * changed_part(photo, clean).sum()


def tinted(image):
    return (image + torch.tensor([0.2, 0.0, -0.2])[:, None, None]).clamp(-1, 1)


def test_another_colour_arrives_everywhere_but_at_the_border_where_it_may(photo, plain):
    edited = tinted(plain)
    left_out = composite(photo, ALIGNMENT, plain, edited)
    broad = Compositor(photo, ALIGNMENT, SIZE, broad=True).apply(plain, edited)
    inner = np.s_[:, 12:-12, 12:-12]
    wanted = (edited - plain)[inner].abs().mean()
    for result, least, most in ((left_out, -0.1, 0.3), (broad, 0.8, 1.1)):
        seen = to_images(crop(result, ALIGNMENT, SIZE))[0] - plain
        assert least <= (seen[inner] * (edited - plain)[inner].sign()).mean() / wanted <= most
    box = np.zeros(photo.shape[:2], bool)
    x0, y0, x1, y1 = ALIGNMENT.box()
    box[y0:y1, x0:x1] = True
    assert not changed_part(photo, broad)[~box].any()


def test_a_broad_edit_grows_evenly_with_its_strength(photo, plain):
    compositor = Compositor(photo, ALIGNMENT, SIZE, broad=True)
    shown = [compositor.apply(plain, torch.lerp(plain, tinted(plain), s)) for s in (0.0, 0.5, 1.0)]
    start, half, full = (to_images(crop(one, ALIGNMENT, SIZE))[0] for one in shown)
    assert np.array_equal(shown[0], photo)
    assert (half - start).abs().mean() / (full - start).abs().mean() == pytest.approx(0.5, abs=0.05)


def test_a_local_edit_is_the_same_where_broad_ones_may_be(photo, plain):
    edited = spectacles(plain)
    broad = Compositor(photo, ALIGNMENT, SIZE, broad=True).apply(plain, edited)
    assert np.array_equal(broad, composite(photo, ALIGNMENT, plain, edited))


def test_removal_takes_the_sharp_frame_away(photo, plain):
    wearing = photo.copy()
    left, right = ALIGNMENT.eyes().round().astype(int)
    wearing[left[1] + 14 : left[1] + 17, left[0] - 12 : right[0] + 12] = 20
    plain_wearing = to_images(crop(wearing, ALIGNMENT, SIZE))[0]
    result = composite(wearing, ALIGNMENT, plain_wearing, plain).astype(int)
    row = left[1] + 15
    part = np.s_[row, left[0] : right[0]]
    assert (
        np.abs(result[part] - photo[part]).mean()
        < 0.3 * np.abs(wearing[part].astype(int) - photo[part]).mean()
    )


def test_strength_fades_in_from_nothing(photo, plain):
    edited = spectacles(plain)
    compositor = Compositor(photo, ALIGNMENT, SIZE)
    changes = []
    for strength in (0.0, 0.05, 0.1, 0.5, 1.0):
        result = compositor.apply(plain, torch.lerp(plain, edited, strength))
        changes.append(np.abs(result.astype(int) - photo).sum())
    assert changes[0] == 0
    assert changes == sorted(changes)
    assert changes[1] < 0.15 * changes[-1]


def test_patch_is_the_changed_part_of_the_result(photo, plain):
    compositor = Compositor(photo, ALIGNMENT, SIZE)
    edited = spectacles(plain)
    patch, whole = compositor.patch(plain, edited), compositor.apply(plain, edited)
    height, width = patch.pixels.shape[:2]
    assert np.array_equal(
        whole[patch.y : patch.y + height, patch.x : patch.x + width], patch.pixels
    )
    rest = changed_part(photo, whole)
    rest[patch.y : patch.y + height, patch.x : patch.x + width] = False
    assert not rest.any()


def test_strips_join_without_a_seam(photo, plain, monkeypatch):
    edited = spectacles(plain)
    whole = composite(photo, ALIGNMENT, plain, edited)
    monkeypatch.setattr("studio.faces.composite._STRIP_ROWS", 7)
    assert np.abs(composite(photo, ALIGNMENT, plain, edited).astype(int) - whole).max() <= 1


def test_arrays_and_tensors_give_the_same(photo, plain):
    edited = spectacles(plain)
    arrays = [image.permute(1, 2, 0).numpy() for image in (plain, edited)]
    assert np.array_equal(
        composite(photo, ALIGNMENT, *arrays), composite(photo, ALIGNMENT, plain, edited)
    )


def test_preview_shows_the_same_edit_smaller(photo, plain):
    edited = spectacles(plain)
    small = Compositor.preview(photo, ALIGNMENT, SIZE, longest=256).apply(plain, edited)
    assert small.shape == (256, 256, 3)
    full = composite(photo, ALIGNMENT, plain, edited)
    reduced = full.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - reduced).mean() < 4


def test_face_that_leaves_the_photo_is_no_problem(photo, plain):
    outside = Alignment(10.0, 20.0, 60.0)
    result = composite(photo, outside, plain, spectacles(plain))
    assert result.shape == photo.shape
    assert changed_part(photo, result).any()
