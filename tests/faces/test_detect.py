import cv2
import numpy as np
import pytest
import torch
from skimage import data
from torch import nn

from studio.faces import detect
from studio.faces.align import Alignment, centre_based
from studio.faces.detect import CROP_SIZE, find_faces, misalignment, module_refiner
from studio.images import to_pictures
from studio.render.heads import eye_positions, render, sample_heads

# The pupils, read off the picture.
ASTRONAUT_EYES = np.array([(203.8, 101.0), (246.5, 103.1)])


@pytest.fixture(scope="module")
def photo():
    return data.astronaut()


def off(face, eyes):
    return np.hypot(*(face.alignment.eyes() - eyes).T).max() / np.hypot(*(eyes[1] - eyes[0]))


def turned(photo, degrees):
    height, width = photo.shape[:2]
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([width, height]) / 2
    matrix = np.column_stack([rotation, middle - rotation @ middle])
    pixels = cv2.warpAffine(photo, centre_based(matrix), (width, height))
    return pixels, ASTRONAUT_EYES @ rotation.T + matrix[:, 2]


class Oracle:
    """A refiner that knows one crop's place: it looks at the bright spots painted on the eyes."""

    def __init__(self, error=0.005):
        self.error = error

    def __call__(self, crops):
        eyes = []
        for crop in crops.astype(float):
            points = []
            for channel, other in ((0, 2), (2, 0)):
                weight = np.clip(crop[..., channel] - crop[..., other] - 60, 0, None) + 1e-6
                y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE] + 0.5
                points.append(((weight * x).sum(), (weight * y).sum()) / weight.sum() / CROP_SIZE)
            eyes.append(points)
        return np.array(eyes), np.full(len(crops), self.error)


@pytest.fixture(scope="module")
def marked(photo):
    pixels = np.repeat(photo.mean(axis=2, keepdims=True), 3, 2).astype(np.uint8)
    for colour, (x, y) in zip(((255, 0, 0), (0, 0, 255)), ASTRONAUT_EYES, strict=True):
        cv2.circle(pixels, (round(x), round(y)), 6, colour, -1)
    return pixels


def test_cascades_find_the_astronaut(photo):
    face = find_faces(photo)[0]
    assert face.trusted
    assert off(face, ASTRONAUT_EYES) < 0.12


@pytest.mark.parametrize("degrees", [-25, 25])
def test_turned_faces_are_found(photo, degrees):
    pixels, eyes = turned(photo, degrees)
    face = find_faces(pixels)[0]
    assert off(face, eyes) < 0.35
    assert face.alignment.angle == pytest.approx(degrees, abs=12)


def test_large_photos_are_searched_small_and_answered_large(photo):
    large = np.repeat(np.repeat(photo, 5, 0), 5, 1)
    assert off(find_faces(large)[0], 5 * ASTRONAUT_EYES) < 0.12


def test_refiner_moves_the_crop_onto_the_eyes(marked):
    face = find_faces(marked, Oracle())[0]
    assert face.trusted
    assert off(face, ASTRONAUT_EYES) < 0.05


@pytest.fixture
def one_search(monkeypatch):
    """Look once only: the further searches for a better face change nothing here."""
    monkeypatch.setattr(detect, "_SEARCHES", detect._SEARCHES[:1])


@pytest.mark.usefixtures("one_search")
def test_uncertain_refiner_is_not_trusted(marked):
    face = find_faces(marked, Oracle(error=0.03))[0]
    assert not face.trusted
    assert face.reason.endswith(".")


@pytest.mark.usefixtures("one_search")
def test_disagreeing_views_are_not_trusted(marked):
    rng = np.random.default_rng(0)

    def restless(crops):
        eyes = np.array([(50, 66), (78, 66)]) / 128 + rng.normal(0, 0.05, (len(crops), 2, 2))
        return eyes, np.full(len(crops), 0.001)

    assert not any(face.trusted for face in find_faces(marked, restless))


@pytest.mark.usefixtures("one_search")
def test_refiner_that_runs_away_is_not_trusted(marked):
    def runaway(crops):
        return np.tile([(0.9, 0.9), (1.2, 0.9)], (len(crops), 1, 1)), np.full(len(crops), 0.001)

    assert not any(face.trusted for face in find_faces(marked, runaway))


def test_misplaced_crop_is_noticed(marked):
    left, right = ASTRONAUT_EYES
    lower_left, lower_right = ASTRONAUT_EYES + np.array([0, 15])
    assert misalignment(marked, Alignment.from_eyes(left, right), Oracle()) == ""
    beside = Alignment.from_eyes(lower_left, lower_right)
    assert "not where" in misalignment(marked, beside, Oracle())
    assert "No pair" in misalignment(marked, beside, Oracle(error=0.1))


def test_several_faces_come_largest_first(photo):
    small = cv2.resize(photo, (384, 384), interpolation=cv2.INTER_AREA)
    both = np.full((512, 800, 3), 127, np.uint8)
    both[:, :430] = photo[:, :430]
    both[100:484, 430:] = small[:, :370]
    faces = [face for face in find_faces(both) if face.trusted]
    assert len(faces) == 2
    assert faces[0].alignment.eye_distance > faces[1].alignment.eye_distance
    assert off(faces[1], ASTRONAUT_EYES * 0.75 + (430, 100)) < 0.15


def test_twelve_faces_are_found(photo):
    face = cv2.resize(photo[20:220, 120:320], (160, 160), interpolation=cv2.INTER_AREA)
    crowd = np.tile(face, (3, 4, 1))
    assert len(find_faces(crowd)) == 12


@pytest.mark.parametrize("pixels", [np.full((300, 300, 3), 200, np.uint8), None])
def test_no_face_gives_an_empty_list(pixels):
    if pixels is None:
        pixels = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 256, 3))
    assert find_faces(pixels) == []


@pytest.mark.usefixtures("one_search")
def test_rendered_heads_are_found():
    heads = sample_heads(4, 3)
    pictures = to_pictures(render(heads, 96))
    eyes = eye_positions(heads, 96).numpy()
    found = 0
    for picture, truth in zip(pictures, eyes, strict=True):
        photo = np.full((200, 200, 3), 120, np.uint8)
        photo[52:148, 52:148] = picture
        faces = find_faces(photo)
        found += bool(faces) and off(faces[0], truth + 52) < 0.3
    assert found >= 2


def test_module_becomes_a_refiner():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.outputs = nn.Parameter(torch.tensor([0.4, 0.5, 0.6, 0.5, -2.0]))

        def forward(self, images):
            assert images.shape[1:] == (3, CROP_SIZE, CROP_SIZE)
            return self.outputs.expand(len(images), 5)

    eyes, errors = module_refiner(Fixed())(np.zeros((2, CROP_SIZE, CROP_SIZE, 3), np.uint8))
    assert eyes[1] == pytest.approx(np.array([(0.4, 0.5), (0.6, 0.5)]))
    assert errors == pytest.approx(np.exp([-2.0, -2.0]))


def test_face_box_surrounds_the_eyes(photo):
    x0, y0, x1, y1 = find_faces(photo)[0].box
    assert x0 < ASTRONAUT_EYES[0, 0] < x1
    assert y0 < ASTRONAUT_EYES[0, 1] < y1
    assert isinstance(find_faces(photo)[0].alignment, Alignment)
