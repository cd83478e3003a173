import base64
import csv
import io
import json
import re
import shutil
import threading
import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from studio import directions, images, paths
from studio.data.folder import open_set
from studio.errors import ConfigError, DataError
from studio.explore.charting import MapRequest
from studio.ui.atlas import bench, screen
from studio.ui.atlas.draft import OWN, View, Views
from studio.ui.context import Context
from studio.ui.draft import RECEIVER, History
from studio.ui.portrait.draft import Portraits
from studio.ui.seats import on_whole
from studio.ui.sets import changed
from studio.ui.tabs import attributes, explore, interpolate, swap
from studio.ui.walk.draft import Walks

NAME = "genegan.tiny"


@pytest.fixture
def context(make_checkpoint, models):
    make_checkpoint()
    make_checkpoint("attribute-mapping")
    make_checkpoint("stargan")
    return Context(models)


@pytest.fixture
def views(context, place):
    view = View(location=place, request=MapRequest(NAME))
    return Views(bench.settle(context, view))


@pytest.fixture
def shown(context, views):
    """Return what the page shows of the map."""
    return screen.atlas(context, views.present)


def ask(context, shown, handler, **data):
    return explore.answer(context, handler, {"token": shown["token"], **data})


def unpacked(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def drawn_through(context, views):
    """Draw a map and return all that the page showed meanwhile."""
    drawing = explore.on_begin(context, views, None)
    return drawing, [told[1:] for told in explore.on_draw(context, drawing)]


def picture_of(uri):
    return images.read_photo(base64.b64decode(uri.partition(",")[2])).pixels


# What is offered.


def test_the_tab_begins_with_rendered_heads_and_a_checkpoint_that_encodes(context):
    view = explore.on_show(context, Views()).present
    assert (view.location, view.request.checkpoint) == ("", "attribute-mapping.tiny")
    assert view.colour == "attribute:Eyeglasses"
    example = bench.open_data(context, view)
    assert len(example) == 600
    assert example.part("test")
    painted = dict(zip(explore_labels(), explore.paint(context, Views(view)), strict=True))
    assert [name for _, name in painted["checkpoint"].choices] == ["attribute-mapping.tiny", NAME]
    assert painted["sets"].choices == [("Rendered heads", "")]


def explore_labels():
    return (
        "drop", "sets", "checkpoint", "about", "part", "method", "dimensions", "colour", "most",
        "perplexity", "seed",
    )  # fmt: skip


def test_sets_without_labels_are_offered_too(context, place, heads_folder):
    plain = paths.data() / "plain"
    plain.mkdir()
    (plain / "a.png").write_bytes((heads_folder / "000000.png").read_bytes())
    (paths.data() / "empty").mkdir()
    history = explore.on_set(context, Views(View(request=MapRequest(NAME))), "plain")
    sets = explore.paint(context, history)[1]
    assert [name for _, name in sets.choices] == ["", "heads", "plain"]
    assert sets.value == "plain"
    assert history.present.colour == "cluster:"
    with pytest.raises(DataError, match="no data set 'empty'"):
        explore.on_set(context, history, "empty")


def test_only_parts_that_the_checkpoint_has_can_be_compared(context, views):
    parted = explore.on_part(context, views, "object")
    radio = explore.paint(context, parted)[4]
    assert [name for _, name in radio.choices] == ["", "background", "object"]
    assert radio.value == "object"
    whole = explore.on_checkpoint(context, parted, "attribute-mapping.tiny")
    assert whole.present.request.part == ""
    assert not explore.paint(context, whole)[4].visible


def test_without_a_checkpoint_the_tab_says_what_to_do(models, home):
    empty = Context(models)
    history = explore.on_show(empty, Views())
    assert "--method genegan" in explore.paint(empty, history)[3]
    with pytest.raises(ConfigError, match="no checkpoint that encodes"):
        explore.on_begin(empty, history, None)


def test_an_upload_stays_on_offer_beside_the_example(context, views, upload, heads_folder):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(heads_folder.iterdir()):
            archive.write(file, file.name)
    given = upload(content.getvalue(), "mine.zip")
    history = explore.on_upload(context, views, given["path"])
    sets = explore.paint(context, history)[1]
    assert [label for label, _ in sets.choices] == ["Rendered heads", "heads", "mine.zip"]
    assert dict(sets.choices)["mine.zip"] == sets.value
    example = explore.on_set(context, history, "")
    assert len(bench.open_data(context, example.present)) == 600
    back = explore.on_set(context, example, sets.value)
    assert len(bench.open_data(context, back.present)) == 40


@pytest.mark.parametrize(
    ("handler", "value", "words"),
    [
        (explore.on_most, 10**6, "1 to 50,000 pictures"),
        (explore.on_perplexity, 1, "from 2 to 200"),
        (explore.on_method, "umap", "no method 'umap'"),
        (explore.on_dimensions, 5, "2 or 3 dimensions"),
        (explore.on_seed, -3, "at least 0, not -3"),
    ],
)
def test_settings_that_make_no_sense_are_refused(context, views, handler, value, words):
    with pytest.raises(ConfigError, match=words):
        handler(context, views, value)


# Drawing.


def test_a_map_has_a_point_and_a_colour_for_every_picture(context, views, heads_set):
    drawing, told = drawn_through(context, views)
    value, status, stop, again, numbers = told[-1]
    points = unpacked(value["points"], "<f4").reshape(-1, 2)
    np.testing.assert_array_equal(points, bench.found(context, drawing.view).points)
    codes = unpacked(value["colour"]["codes"], "<i2")
    np.testing.assert_array_equal(codes, heads_set.attributes["Eyeglasses"])
    assert len(value["colour"]["colours"]) == len(value["colour"]["values"]) == 2
    assert (status, stop.visible, again.visible) == ("", False, False)
    assert "Counting" in numbers
    assert [tab for tab, _ in value["opens"]] == ["attributes", "swap", "interpolate"]


def test_a_sample_is_said(context, views):
    fewer = explore.on_most(context, views, 20)
    value, status, *_ = drawn_through(context, fewer)[1][-1]
    assert value["count"] == 20
    assert "20 of the 40 pictures of heads are shown" in status


def test_a_new_map_stops_the_one_that_is_being_drawn(context, views):
    first = explore.on_begin(context, views, None)
    # The same again is the same drawing.
    assert explore.on_begin(context, views, first) is first
    second = explore.on_begin(context, explore.on_method(context, views, "tsne"), first)
    assert first.stop.is_set()
    assert not second.stop.is_set()
    told = list(explore.on_draw(context, first))[-1]
    assert "Stopped" in told[2]
    # The map that is there stays, and another attempt is a click away.
    assert "points" not in told[1]
    assert told[4].visible


def test_what_was_stopped_does_not_begin_again(context, views, monkeypatch):
    drawing = explore.on_begin(context, views, None)
    drawing.stop.set()
    list(explore.on_draw(context, drawing))

    def broken(*values):
        raise AssertionError("drawn again")

    monkeypatch.setattr(bench, "chart", broken)
    assert "Hopkins" not in str(explore.on_numbers(context, drawing))


def test_stop_ends_a_drawing(context, views):
    drawing = explore.on_begin(context, views, None)
    words, button = explore.on_stop(context, drawing)
    assert "Stopping" in words
    assert not button.interactive
    assert drawing.stop.is_set()
    with pytest.raises(ConfigError, match="No map is being drawn"):
        explore.on_stop(context, None)


def test_progress_is_shown_while_a_map_is_drawn(context, views, monkeypatch):
    waiting, go_on = threading.Event(), threading.Event()
    plain = bench.chart

    def slow(models, request, data, progress, stopped):
        progress("Encoding", 3, 40)
        waiting.set()
        go_on.wait(20)
        return plain(models, request, data, progress, stopped)

    monkeypatch.setattr(bench, "chart", slow)
    monkeypatch.setattr(bench, "_AT_ONCE", 0.01)
    monkeypatch.setattr(bench, "_PAUSE", 0.01)
    telling = explore.on_draw(context, explore.on_begin(context, views, None))
    words = next(telling)[2]
    waiting.wait(20)
    words = next(telling)[2]
    assert "Encoding: 3 of 40." in words
    assert '<progress class="ls-progress" max="40" value="3">' in words
    go_on.set()
    assert list(telling)[-1][1]["count"] == 40


def test_what_cannot_be_drawn_is_a_sentence_in_place(context, views, tmp_path):
    broken = paths.data() / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"no picture")
    history = explore.on_set(context, views, "broken")
    value, status, *_ = drawn_through(context, history)[1][-1]
    assert "points" not in value
    assert "None of the 1 pictures of broken can be used" in status
    assert 'role="alert"' in status


def test_a_picture_that_was_exchanged_is_drawn_anew_and_said(context, heads_folder):
    folder = paths.data() / "mine"
    shutil.copytree(heads_folder, folder)
    view = View(location=str(folder), request=MapRequest(NAME))
    views = Views(bench.settle(context, view))
    before = drawn_through(context, views)[1][-1][0]["points"]
    (folder / "000000.png").write_bytes((folder / "000001.png").read_bytes())
    # Some seconds later.
    changed(folder)
    # Whatever is changed next, the map is of what is there now.
    again = explore.on_colour(context, views, "class:expression")
    value, status, *_ = drawn_through(context, again)[1][-1]
    assert value["points"] != before
    assert "mine has changed since it was encoded" in status


def test_numbers_stand_beside_the_map_with_how_to_read_them(context, views):
    drawing, _ = drawn_through(context, views)
    table = explore.on_numbers(context, drawing)
    for words in ("Hopkins statistic", "Gaussian 0.", "How to read it", "MIG", "“Eyeglasses”"):
        assert words in table
    assert table.count("<tr>") == 11


def test_colours_change_and_the_points_stay(context, views, shown):
    other = explore.on_colour(context, views, "class:expression")
    again = screen.atlas(context, other.present)
    assert again["token"] == shown["token"]
    assert again["points"] == shown["points"]
    assert again["colour"]["label"] == "Expression"
    assert len(again["colour"]["colours"]) == len(again["colour"]["values"])


# What the map asks.


def test_pictures_of_points_come_on_one_sheet(context, shown, heads_set):
    answer = ask(context, shown, explore.on_look, rows=[4, 9, 2], size=32)
    sheet = picture_of(answer["src"])
    assert answer["columns"] == 2
    assert sheet.shape == (64, 64, 3)
    own = heads_set.decode(heads_set.source.read(heads_set.files[2]), 32)
    # The third picture begins the second line.
    assert np.abs(sheet[32:, :32].astype(int) - own).mean() < 6
    assert answer["names"] == ["000004.png", "000009.png", "000002.png"]


def test_a_point_is_told_with_its_labels_and_neighbours(context, views, shown):
    answer = ask(context, shown, explore.on_point, row=3, near=True)
    assert answer["names"] == ["000003.png"]
    assert picture_of(answer["src"]).shape == (192, 192, 3)
    assert any(line.startswith("Expression: ") for line in answer["lines"])
    near = bench.found(context, views.present).near(3)
    assert answer["rows"] == near.rows.tolist()
    assert "rows" not in ask(context, shown, explore.on_point, row=3)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_an_empty_place_is_decoded_and_said_how(context, views, method):
    history = explore.on_method(context, views, method)
    shown = screen.atlas(context, history.present)
    answer = ask(context, shown, explore.on_spot, x=0.1, y=0.2, rest=-1)
    assert picture_of(answer["picture"]).shape == (32, 32, 3)
    assert len(answer["rows"]) == (0 if method == "pca" else 3)
    assert answer["restName"] == ""


def test_what_a_part_leaves_open_comes_from_a_named_picture(context, views):
    history = explore.on_part(context, views, "object")
    shown = screen.atlas(context, history.present)
    assert shown["part"] == "object"
    answer = ask(context, shown, explore.on_spot, x=0.0, y=0.0, rest=6)
    assert answer["restName"] == "000006.png"


def test_a_path_is_decoded_along_the_way(context, shown):
    answer = ask(context, shown, explore.on_path, start=1, end=5)
    assert len(answer["pictures"]) == len(answer["points"]) == explore.PATH_STEPS
    points = unpacked(shown["points"], "<f4").reshape(-1, 2)
    np.testing.assert_allclose(answer["points"][0], points[1])
    np.testing.assert_allclose(answer["points"][-1], points[5])


def test_file_names_are_found(context, shown):
    answer = ask(context, shown, explore.on_find, text="00003")
    assert answer["rows"] == [3, *range(30, 40)]
    assert ask(context, shown, explore.on_find, text=" ")["rows"] == []


@pytest.mark.parametrize(
    ("handler", "data"),
    [
        (explore.on_look, {"rows": [40], "size": 32}),
        (explore.on_look, {"rows": [], "size": 32}),
        (explore.on_look, {"rows": [1], "size": 5000}),
        (explore.on_point, {"row": -1}),
        (explore.on_spot, {"x": "here", "y": 0}),
        (explore.on_path, {"start": 1}),
        (explore.on_find, {}),
    ],
)
def test_what_is_not_there_is_an_answer_and_no_failure(context, shown, handler, data):
    assert set(ask(context, shown, handler, **data)) == {"error"}


def test_a_guessed_name_of_a_map_opens_none(context, shown):
    answer = explore.answer(context, explore.on_find, {"token": "0" * 32, "text": "0"})
    assert "too long ago" in answer["error"]


def test_a_value_names_no_folder_of_the_server(context, shown):
    value = {key: text for key, text in shown.items() if key != "script"}
    assert str(paths.home()) not in json.dumps(value)


# On from the map.


@pytest.fixture
def said(monkeypatch):
    """Collect what the page tells."""
    told = []
    monkeypatch.setattr(gr, "Info", told.append)
    return told


def test_two_groups_make_a_slider(context, shown, said):
    event = {
        "token": shown["token"],
        "name": " Left ",
        "shown": list(range(10)),
        "absent": list(range(20, 30)),
    }
    explore.on_slider(context, event)
    assert directions.names(NAME) == ["Left"]
    score = directions.load("Left").separation
    assert f"tells left-out pictures apart in {score:.0%}" in said[0]
    with pytest.raises(ConfigError, match="already"):
        explore.on_slider(context, event)
    with pytest.raises(ConfigError, match="8 or more"):
        explore.on_slider(context, {**event, "name": "Few", "shown": [1, 2]})


def test_two_groups_of_points_become_labels(context, place, shown, said, heads_folder):
    # The shared heads are only to be read, and a set of the home is marked itself.
    Path(place).unlink()
    shutil.copytree(heads_folder, place)
    event = {"token": shown["token"], "name": " Left ", "shown": [1, 2, 3], "absent": [5, 8]}
    explore.on_label(context, event)
    marked = open_set(Path(place))
    assert marked.attribute("Left")[[1, 2, 3, 5, 8, 9]].tolist() == [1, 1, 1, 0, 0, -1]
    assert "Eyeglasses" in marked.attributes
    assert "3 pictures with and 2 without “Left” are marked in the data set heads" in said[0]
    with pytest.raises(ConfigError, match="identity"):
        explore.on_label(context, {**event, "name": "identity"})


def test_labels_of_what_is_not_the_visitors_go_into_a_copy(context, said, monkeypatch):
    history = explore.on_show(context, Views())
    drawn = screen.atlas(context, history.present)
    event = {"token": drawn["token"], "name": "Left", "shown": [1, 2], "absent": [3]}
    explore.on_label(context, event)
    marked = open_set(paths.data() / "heads-Left.zip")
    assert sorted(marked.attribute("Left").tolist())[-3:] == [0, 1, 1]
    assert "in the data set heads-Left.zip" in said[0]


@pytest.mark.parametrize(
    ("tab", "history", "role"),
    [(swap, History(), RECEIVER), (attributes, Portraits(), RECEIVER), (interpolate, Walks(), "a")],
)
def test_a_point_opens_in_another_tab(context, views, shown, upload_folder, tab, history, role):
    name, seats = explore.on_open(context, {"token": shown["token"], "row": 3})
    assert name == NAME
    following = tab.enter(context, history, seats, NAME)[0]
    seat = following.present.seats[role]
    assert seat.name == "000003"
    assert not seat.detected
    assert following.present.checkpoint == NAME
    pixels = images.read_photo(Path(seat.path)).pixels
    own = bench.open_data(context, views.present)
    plain = own.decode(own.source.read("000003.png"), pixels.shape[0])
    np.testing.assert_array_equal(pixels, plain)


def test_a_path_opens_as_a_strip(context, shown, upload_folder):
    _, seats = explore.on_open(context, {"token": shown["token"], "start": 1, "end": 5})
    walk = interpolate.enter(context, Walks(), seats, NAME)[0].present
    assert [walk.seats[corner].name for corner in ("a", "b")] == ["000001", "000005"]
    assert walk.ready


def test_a_place_opens_as_what_is_decoded_there(context, shown, upload_folder):
    _, (seat,) = explore.on_open(context, {"token": shown["token"], "x": 0.5, "y": -0.5})
    assert (seat.width, seat.height) == (32, 32)


def test_ones_own_photograph_finds_its_place_and_its_neighbours(context, views, upload, heads_set):
    content = heads_set.source.read("000012.png")
    history = explore.on_photo(context, OWN, upload(content), views)
    assert history.present.photo.doubt
    assert screen.atlas(context, history.present)["own"] is None
    settled = on_whole(context, OWN, history)
    own = screen.atlas(context, settled.present)["own"]
    assert own["rows"][0] == 12
    points = bench.found(context, settled.present).points
    np.testing.assert_allclose(own["point"], points[12], atol=0.05 * np.ptp(points))


def test_points_are_saved_as_a_table_and_the_map_as_a_page(context, views, upload_folder):
    table = explore.on_save(context, ".csv", views.present).value
    path = table["path"] if isinstance(table, dict) else table
    rows = list(csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()))
    points = bench.found(context, views.present).points
    assert [row["file"] for row in rows[:2]] == ["000000.png", "000001.png"]
    np.testing.assert_allclose([float(row["x"]) for row in rows], points[:, 0], rtol=1e-4)
    assert {row["Eyeglasses"] for row in rows} == {"With", "Without"}
    page = explore.on_save(context, ".html", views.present).value
    path = page["path"] if isinstance(page, dict) else page
    text = Path(path).read_text(encoding="utf-8")
    assert "000007.png" in text
    # It needs nothing but itself.
    assert not re.search(r'<(script|link)[^>]+(src|href)="http', text)


def test_the_script_of_the_map_is_the_packages_own():
    assert screen.plotly_file().stat().st_size > 10**6
