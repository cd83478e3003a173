import json
import os
import subprocess
import threading
import time

import numpy as np
import pytest
import torch

from studio import directions, editing, paths
from studio.data.folder import open_set
from studio.errors import ConfigError, DataError, UnsupportedError
from studio.explore import charting, worker
from studio.explore.charting import MapRequest, chart
from studio.explore.encoding import StoppedError
from studio.explore.maps import decode, picture
from studio.explore.projection import EARLY, LATE, fit_pca, fit_tsne, project
from studio.faces.align import Alignment


def test_a_pca_map_shows_the_first_components_of_all_latents(draw):
    found = draw()
    flat = np.asarray(found.codes.matrix)
    pca = fit_pca(flat, 0, lambda done, total: None)
    np.testing.assert_allclose(found.points, project(pca, flat)[:, :2], atol=1e-4)
    assert found.axes[0].startswith("Component 1 (")
    assert len(found) == 40


def test_a_part_alone_is_laid_out(draw):
    found = draw(part="object")
    own = np.asarray(found.codes.matrix[:, found.codes.columns("object")])
    assert found.pca.axes.shape[1] == own.shape[1]
    assert not np.allclose(found.points, draw().points)
    with pytest.raises(UnsupportedError, match="has no part 'smile'"):
        draw(part="smile")


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_in_three_dimensions_has_three(draw, method):
    found = draw(method=method, dimensions=3)
    assert found.points.shape == (40, 3)
    assert len(found.axes) == 3
    with pytest.raises(ConfigError, match="choose 2-D"):
        found.at(0, 0)


def test_the_second_time_nothing_is_laid_out(draw, monkeypatch):
    first = draw(method="tsne", perplexity=8.0)

    def broken(*values):
        raise AssertionError("laid out again")

    monkeypatch.setattr(worker, "work", broken)
    np.testing.assert_array_equal(draw(method="tsne", perplexity=8.0).points, first.points)
    # PCA is part of it, whatever the perplexity.
    assert draw().points.shape == (40, 2)
    with pytest.raises(AssertionError, match="laid out again"):
        draw(method="tsne", perplexity=9.0)


def test_a_larger_set_is_sampled_and_the_map_says_so(draw):
    found = draw(most=25)
    assert len(found) == len(found.codes.data) == 25
    assert found.total == 40
    assert "25 of the 40 pictures of heads are shown, drawn at random" in found.notes[0]
    assert draw(most=25, seed=1).codes.data.files != found.codes.data.files


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"method": "umap"}, "There is no method 'umap'"),
        ({"dimensions": 4}, "2 or 3 dimensions, not 4"),
        ({"perplexity": 1.0}, "from 2 to 200, not to 1"),
        ({"most": 10**6}, "1 to 50,000 pictures, not 1,000,000"),
        ({"seed": -1}, "not -1"),
    ],
)
def test_what_makes_no_sense_is_refused(draw, request_, words):
    with pytest.raises(ConfigError, match=words):
        draw(**request_)


def test_five_pictures_are_drawn_by_pca(draw, heads_set):
    found = draw(heads_set.select(np.arange(5)), method="tsne")
    assert found.method == "pca"
    assert "t-SNE needs 10 pictures or more and there are 5" in found.notes[-1]
    assert np.isfinite(found.points).all()
    assert len(found.near(0, 12).rows) == 4


def test_one_picture_lies_in_the_middle(draw, heads_set):
    found = draw(heads_set.select(np.arange(1)))
    np.testing.assert_array_equal(found.points, [[0, 0]])
    assert "one picture only" in found.notes[-1]
    assert len(found.near(0).rows) == 0


def test_equal_pictures_lie_in_one_place(draw, heads_folder, tmp_path):
    folder = tmp_path / "same"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.png").write_bytes((heads_folder / "000003.png").read_bytes())
    found = draw(open_set(folder), method="tsne")
    assert np.ptp(found.points, axis=0).max() < 1e-3
    assert "every point lies in one place" in found.notes[-1]
    found.at(0, 0)
    found.place(found.codes.latents([2]))


def test_a_small_set_lowers_the_perplexity_and_says_so(draw):
    found = draw(method="tsne")
    assert found.perplexity == 13
    assert "The perplexity is 13.0 instead of 30: there are 40 pictures." in found.notes


def test_neighbours_are_those_of_the_latents(draw):
    found = draw()
    distances = np.linalg.norm(found.scores - found.scores[7], axis=1)
    near = found.near(7, 5)
    np.testing.assert_array_equal(near.rows, np.argsort(distances)[1:6])
    np.testing.assert_allclose(near.distances, np.sort(distances)[1:6], rtol=1e-5)
    with pytest.raises(ConfigError, match="points 0 to 39, not 40"):
        found.near(40)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_picture_of_the_set_is_placed_where_it_lies(draw, models, encoder, method):
    found = draw(method=method)
    pixels = picture(found, 9, 32)
    own = editing.encode(models, encoder, pixels, Alignment.whole(32, 32))
    point, near = found.place(own.latents)
    assert near.rows[0] == 9
    spread = np.ptp(found.points, axis=0).max()
    assert np.linalg.norm(point - found.points[9]) < (0.001 if method == "pca" else 0.25) * spread


def test_placing_does_not_move_the_map(draw):
    found = draw(method="tsne")
    before = found.points.copy()
    found.place(found.codes.latents([0]))
    np.testing.assert_array_equal(found.points, before)


def test_an_empty_place_of_a_pca_map_is_its_inverse(draw):
    found = draw()
    spot = found.at(0.7, -0.3)
    assert spot.rows == ()
    assert spot.rest == -1
    scores = found.pca.transform(spot.latents.flatten().numpy())[0]
    np.testing.assert_allclose(scores[:2], [0.7, -0.3], atol=1e-3)
    np.testing.assert_allclose(scores[2:], 0, atol=1e-3)


def test_an_empty_place_of_a_tsne_map_is_mixed_from_the_corners_around_it(draw):
    found = draw(method="tsne")
    rows = found._triangles.simplices[0]
    place = np.array([0.5, 0.3, 0.2]) @ found.points[rows]
    spot = found.at(*place)
    assert sorted(spot.rows) == sorted(rows.tolist())
    np.testing.assert_allclose(np.array(spot.weights) @ found.points[list(spot.rows)], place, 1e-3)
    mixed = np.array(spot.weights) @ np.asarray(found.codes.matrix[list(spot.rows)], np.float32)
    np.testing.assert_allclose(spot.latents.flatten().numpy()[0], mixed, rtol=1e-3, atol=1e-3)


def test_outside_all_points_the_nearest_three_are_mixed(draw):
    found = draw(method="tsne")
    spot = found.at(1000.0, 1000.0)
    far = np.linalg.norm(found.points - 1000, axis=1)
    assert set(spot.rows) == set(np.argsort(far)[:3].tolist())
    assert sum(spot.weights) == pytest.approx(1)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_what_is_not_drawn_comes_from_one_picture(draw, method):
    found = draw(part="object", method=method)
    spot = found.at(*found.points[4], rest=11)
    assert spot.rest == 11
    own = found.codes.latents([11])
    torch.testing.assert_close(spot.latents.parts["background"], own.parts["background"])
    nearest = found.at(*found.points[4])
    assert nearest.rest == 4


def test_a_path_is_straight_in_the_latent_space_and_ends_on_its_points(draw, models):
    found = draw()
    codes, points = found.path(3, 8, 5)
    ends = found.codes.latents([3, 8]).flatten()
    torch.testing.assert_close(codes.flatten()[2], ends.mean(0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(points[[0, -1]], found.points[[3, 8]])
    np.testing.assert_allclose(points[2], found.points[[3, 8]].mean(axis=0), atol=1e-3)
    assert decode(models, found, codes).shape == (5, 32, 32, 3)


def test_two_groups_make_a_slider_of_the_drawn_part(draw, models):
    found = draw(part="object")
    made = found.direction(models, "Left", range(10), range(20, 30))
    assert made.unit.parts["background"].abs().max() == 0
    assert made.examples == (10, 10)
    assert directions.load("Left").checkpoint == found.codes.checkpoint
    own = found.codes.latents(list(range(10))).flatten("object").mean(0)
    other = found.codes.latents(list(range(20, 30))).flatten("object").mean(0)
    way = (own - other) / (own - other).norm()
    torch.testing.assert_close(made.unit.flatten("object")[0], way, rtol=1e-3, atol=1e-4)
    with pytest.raises(ConfigError, match="1 of the points are in both groups"):
        found.direction(models, "Both", range(10), range(9, 20))
    with pytest.raises(ConfigError, match="points 0 to 39, not 40"):
        found.direction(models, "Far", range(10), range(32, 41))


def test_a_picture_that_is_gone_is_said_in_a_sentence(draw, tmp_path, heads_folder):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes((heads_folder / f"00000{number}.png").read_bytes())
    found = draw(open_set(folder))
    assert picture(found, 1, 48).shape == (48, 48, 3)
    (folder / "1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1\.png of mine cannot be read any more"):
        picture(found, 1, 48)
    (folder / "1.png").unlink()
    with pytest.raises(DataError):
        picture(found, 1, 48)


# In a process.


@pytest.fixture
def apart(monkeypatch):
    """Lay every map out in a process of its own."""
    monkeypatch.setattr(charting, "_FEW", 0)


@pytest.mark.slow
def test_a_process_lays_out_the_same_map(draw, apart, models, encoder, heads_set):
    told = []
    request = MapRequest(encoder, method="tsne", perplexity=8.0)
    found = chart(models, request, heads_set, lambda *values: told.append(values))
    assert ("t-SNE", EARLY + LATE, EARLY + LATE) in told
    alone = fit_tsne(found.scores, 2, 8.0, 0, lambda done, total: None)
    np.testing.assert_allclose(found.points, alone.points, rtol=1e-4, atol=1e-4)
    assert not list((paths.cache() / "maps").glob("*/request*"))


@pytest.mark.slow
def test_stopping_ends_the_process(draw, apart, models, encoder, heads_set, monkeypatch):
    begun = []
    plain = subprocess.Popen

    def kept(*values, **options):
        begun.append(plain(*values, **options))
        return begun[-1]

    monkeypatch.setattr(charting.subprocess, "Popen", kept)
    stop = threading.Event()

    def progress(what, done, total):
        if what == "t-SNE":
            stop.set()

    before = time.monotonic()
    with pytest.raises(StoppedError):
        chart(models, MapRequest(encoder, method="tsne"), heads_set, progress, stop.is_set)
    assert time.monotonic() - before < 60
    with pytest.raises(ProcessLookupError):
        os.kill(begun[0].pid, 0)


def test_a_process_that_fails_says_why(tmp_path, monkeypatch):
    asked = {"latents": str(tmp_path / "nowhere.npy"), "columns": [0, 2], "seed": 0}
    with pytest.raises(DataError, match="could not be laid out: FileNotFoundError"):
        charting._in_process(tmp_path, asked, lambda *values: None, lambda: False)


def test_a_request_can_be_read_back(tmp_path):
    np.save(tmp_path / "latents.npy", np.random.default_rng(0).normal(size=(12, 4)))
    asked = {"latents": str(tmp_path / "latents.npy"), "columns": [1, 3], "seed": 0}
    worker.work(tmp_path, json.loads(json.dumps(asked)), lambda *values: None)
    assert np.load(tmp_path / worker.SCORES).shape == (12, 2)
