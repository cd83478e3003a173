import io
import json
import zipfile

import httpx
import numpy as np
import pytest

from studio import exchange, images, paths
from studio.checkpoints import CheckpointStore
from studio.data.folder import open_set
from studio.recipes import Recipe
from studio.ui.style import theme


def test_only_what_is_meant_for_it_can_be_called_from_outside(blocks):
    public = {
        function.api_name
        for function in blocks.fns.values()
        if function.api_visibility != "private"
    }
    assert public == {
        *("swap", "remove", "interpolate", "edit", "measure", "generate", "directions", "augment"),
        *("explore", "models", "model_export", "model_import", "model_rename", "model_delete"),
        *("model_restore", "model_compare", "train", "data_check", "data_label", "jobs", "job"),
        *("train_estimate", "data_take", "data_align", "data_delete", "job_clone", "job_sheet"),
        *("job_stop", "job_resume", "job_save", "job_sample", "job_finish", "job_delete"),
        *("my_data", "delete_my_data", "transfer", "bank", "bank_save", "bank_delete"),
    }


def test_no_font_is_fetched():
    assert not any("http" in sheet for sheet in theme()._stylesheets)


def test_building_the_page_writes_nothing_into_the_source_tree(blocks):
    # Gradio writes a stub beside every module that subclasses one of its components.
    assert list((paths.REPOSITORY / "studio").glob("**/*.pyi")) == []


@pytest.mark.slow
def test_api_swaps_and_removes_uploads(call, heads_pictures):
    receiver, donor = call.upload(heads_pictures[0]), call.upload(heads_pictures[1])
    kind, answer = call.send("swap", receiver, donor, "genegan.other", 0.0, True, "full")
    assert kind == "complete"
    result = call.fetch(answer)
    assert np.array_equal(result.pixels, heads_pictures[0])
    assert Recipe.from_photo(result).steps[0].kind == "swap"
    kind, answer = call.send("remove", receiver, "genegan.other", True, "model")
    assert call.fetch(answer).pixels.shape == (32, 32, 3)


@pytest.mark.slow
def test_api_interpolates_uploads(call, heads_pictures):
    two = [call.upload(picture) for picture in heads_pictures[:2]]
    names = ["aeai.pole-32", "genegan.other"]
    style = ("strip", "slerp", 4, "png", 0, "linear", False, True, True)
    kind, (file, numbers) = call.send("interpolate", two, names, *style)
    assert kind == "complete"
    assert call.fetch([file]).pixels.shape[0] == 3 * 36 + 4
    assert list(numbers) == [*names, "cross-fade"]
    assert numbers["cross-fade"]["step_ratio"] == pytest.approx(1, abs=0.01)
    for pictures, layout in (
        (two, "grid"),
        (two, "round"),
        (two[:1], "strip"),
        ("/etc/passwd", "strip"),
    ):
        kind, _ = call.send("interpolate", pictures, names[:1], layout, *style[1:])
        assert kind == "error"


@pytest.mark.slow
def test_api_measures_edits_and_makes_faces(call, heads_pictures):
    name = "attribute-mapping.faces-32"
    face = call.upload(heads_pictures[0])
    kind, (found,) = call.send("measure", face, name, True)
    assert kind == "complete"
    assert set(found) == {"Eyeglasses", "Smiling"}
    kind, answer = call.send("edit", face, name, found, [], {}, True, "full")
    assert np.array_equal(call.fetch(answer).pixels, heads_pictures[0])
    kind, answer = call.send("edit", face, name, {"Smiling": 1}, ["Eyeglasses"], {}, True, "full")
    edited = call.fetch(answer)
    assert not np.array_equal(edited.pixels, heads_pictures[0])
    assert Recipe.from_photo(edited).steps[0].held == ("Eyeglasses",)
    kind, (files,) = call.send("generate", name, {"Smiling": 1}, 2, 5, 1.0)
    assert kind == "complete"
    assert [Recipe.from_photo(call.fetch([file])).seed for file in files] == [5, 6]
    for data in (
        ("edit", face, name, {}, [], {}, True, "full"),
        ("edit", face, name, {"Beard": 1}, [], {}, True, "full"),
        ("edit", face, name, "Smiling", [], {}, True, "full"),
        ("edit", "/etc/passwd", name, {"Smiling": 1}, [], {}, True, "full"),
        ("measure", face, "genegan.other", True),
        ("generate", name, {"Smiling": 1}, 1000, 0, 1.0),
    ):
        assert call.send(*data)[0] == "error"


@pytest.mark.slow
def test_api_makes_a_slider_of_a_pair(call, heads_pictures):
    one, other = (call.upload(picture) for picture in heads_pictures[:2])
    name = "attribute-mapping.faces-32"
    kind, (facts,) = call.send("directions", name, "Round glasses", [other], [one], True)
    assert kind == "complete"
    assert (facts["name"], facts["examples"]) == ("Round glasses", [1, 1])
    again, _ = call.send("directions", name, "Round glasses", [other], [one], True)
    assert again == "error"
    moves = {"Round glasses": 2.0}
    kind, answer = call.send("edit", one, name, {}, [], moves, True, "model")
    assert call.fetch(answer).pixels.shape == (32, 32, 3)


@pytest.mark.slow
def test_api_enlarges_a_zipped_set(call, heads_pictures, tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for number, picture in enumerate(heads_pictures):
            archive.writestr(f"{number}.png", images.encode_png(picture))
        rows = ["file,Eyeglasses,Smiling,partition", *(f"{n}.png,{n % 2},1,0" for n in range(3))]
        archive.writestr("attributes.csv", "\n".join(rows))
    data = call.upload((tmp_path / "mine.zip").read_bytes(), "mine.zip")
    name = "attribute-mapping.faces-32"
    asked = (name, "doubling", 1.0, "attributes", 1.0, 8, "", None, 0.0, 3)
    kind, answer = call.send("augment", data, *asked)
    assert kind == "complete"
    assert answer[1]["accepted"] == 3
    assert answer[1]["output"] == "mine-augmented.zip"
    (tmp_path / "made.zip").write_bytes(call.read(answer))
    made = open_set(tmp_path / "made.zip")
    assert len(made) == 3
    labels = made.attribute_matrix(("Eyeglasses", "Smiling"))
    assert (labels != np.array([(n % 2, 1) for n in range(3)])).sum(axis=1).tolist() == [1, 1, 1]
    for refused in (
        (data, "genegan.other", *asked[1:]),
        (data, name, "tripling", *asked[2:]),
        (call.upload(heads_pictures[0]), *asked),
    ):
        assert call.send("augment", *refused)[0] == "error"
    kind, told = call.send("augment", data, name, "doubling", "much", *asked[3:])
    assert kind == "error"
    assert "amount must be a number, not 'much'" in str(told)


@pytest.mark.slow
def test_api_looks_after_checkpoints(call, page_home, make_checkpoint, tmp_path):
    name, shipped = make_checkpoint(tag="given", metrics={"psnr": 30.0}), "genegan.smiling-64"
    made = exchange.pack(CheckpointStore(), name, tmp_path).read_bytes()
    kind, (told,) = call.send("model_import", call.upload(made, "given.zip"))
    assert (kind, told) == ("complete", name)
    assert (page_home / "checkpoints" / name).is_dir()
    cards = {one["name"]: one for one in call.send("models")[1][0]}
    assert cards[name]["own"]
    assert cards[name]["metrics"] == {"psnr": 30.0}
    assert cards[name]["loaded"] == 0
    assert not cards[shipped]["own"]
    kind, answer = call.send("model_export", name)
    assert kind == "complete"
    with zipfile.ZipFile(io.BytesIO(call.read(answer))) as archive:
        assert f"{name}/card.json" in archive.namelist()
    assert call.send("model_rename", name, "api") == ("complete", ["genegan.api"])
    kind, (found,) = call.send("model_compare", "genegan.api", shipped)
    assert kind == "complete"
    (psnr,) = (one for one in found["measured"] if one["name"] == "psnr")
    assert psnr["better"] == "genegan.api"
    kind, (gone,) = call.send("model_delete", "genegan.api")
    assert (kind, gone["name"], gone["days_left"]) == ("complete", "genegan.api", 7)
    assert not (page_home / "checkpoints" / "genegan.api").exists()
    # Other tests of the session delete checkpoints, too.
    told = call.send("model_restore", "")[1][0]
    assert (told["restored"], gone in told["deleted"]) == ("", True)
    told = call.send("model_restore", gone["key"])[1][0]
    assert (told["restored"], gone in told["deleted"]) == ("genegan.api", False)
    assert (page_home / "checkpoints" / "genegan.api").is_dir()
    for refused, words in (
        (("model_rename", shipped, "x"), "ships with the program"),
        (("model_delete", shipped), "ships with the program"),
        (("model_restore", "genegan.none"), "no deleted checkpoint"),
        (("model_export", "../../etc"), "no checkpoint name"),
        (("model_import", call.upload(b"nothing", "a.zip")), "it is no zip"),
        (("model_import", "/etc/passwd"), "No file was received"),
        (("model_compare", shipped, "genegan.none"), "no checkpoint 'genegan.none'"),
    ):
        kind, told = call.send(*refused)
        assert kind == "error"
        assert words in str(told)
    call.send("model_delete", "genegan.api")


@pytest.mark.slow
def test_api_draws_the_map_of_a_zipped_set(call, heads_pictures, heads_folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for file in sorted(heads_folder.iterdir()):
            archive.write(file, file.name)
    data = call.upload((tmp_path / "mine.zip").read_bytes(), "mine.zip")
    face, name = call.upload(heads_pictures[0]), "genegan.other"
    place = ("tsne", "object", 2, 8.0, 30, 1)
    kind, answer = call.send("explore", data, name, *place, "attribute:Smiling", [face], True)
    assert kind == "complete"
    lines = call.read(answer).decode().splitlines()
    assert lines[0] == "file,partition,x,y,Smiling"
    assert len(lines) == 31
    assert (answer[1]["pictures"], answer[1]["total"]) == (30, 40)
    assert len(answer[1]["placed"][0]["point"]) == 2
    assert {one["key"] for one in answer[1]["numbers"]} >= {"hopkins", "trustworthiness", "mig"}
    for refused, words in (
        ((data, "stargan.none", *place, "", None, False), "no checkpoint 'stargan.none'"),
        ((data, name, "tsne", "smile", *place[2:], "", None, False), "no part 'smile'"),
        ((data, name, "tsne", "", "two", *place[3:], "", None, False), "dimensions must be"),
        ((data, name, *place, "attribute:Beard", None, False), "cannot be coloured by"),
        ((face, name, *place, "", None, False), "No zip was received"),
    ):
        kind, told = call.send("explore", *refused)
        assert kind == "error"
        assert words in str(told)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/etc/passwd", "http://127.0.0.1:1/a.png", "", None])
def test_api_takes_uploads_only(call, path):
    for data in ({"path": path, "meta": {"_type": "gradio.FileData"}}, {"path": path}, path):
        kind, _ = call.send("remove", data, "genegan.other", True, "full")
        assert kind == "error"


@pytest.mark.slow
def test_password_protects_page_and_api(serve):
    url = serve("--auth", "eva:secret")
    assert httpx.get(f"{url}/config").status_code == 401
    calls = httpx.post(f"{url}/gradio_api/call/remove", json={"data": []})
    assert calls.status_code == 401
    uploads = httpx.post(f"{url}/gradio_api/upload", files={"files": b"x"})
    assert uploads.status_code == 401
    with httpx.Client() as browser:
        browser.post(f"{url}/login", data={"username": "eva", "password": "secret"})
        assert browser.get(f"{url}/config").status_code == 200


def test_configuration_names_no_folder_of_the_server(blocks, context):
    assert str(context.store.roots[0]) not in json.dumps(blocks.get_config_file(), default=str)
