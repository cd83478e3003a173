import json
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file

from studio import images
from studio.recipes import Recipe
from studio.ui import page
from studio.ui.style import theme


def test_only_swap_and_remove_can_be_called_from_outside(context):
    blocks = page.build(context)
    public = {
        function.api_name
        for function in blocks.fns.values()
        if function.api_visibility != "private"
    }
    assert public == {"swap", "remove"}


def test_nothing_is_fetched_from_elsewhere():
    assert theme()._get_theme_css().count("http") == 0
    assert theme()._stylesheets == []


def test_building_the_page_writes_nothing_into_the_source_tree(context):
    page.build(context)
    folder = page.paths.REPOSITORY / "studio"
    assert list(folder.glob("**/*.pyi")) == []


def test_api_swaps_and_removes_uploads(serve, tmp_path, heads_pictures):
    client = Client(serve(), verbose=False, download_files=tmp_path)
    files = []
    for index in range(2):
        files.append(tmp_path / f"{index}.png")
        files[-1].write_bytes(images.encode_png(heads_pictures[index]))
    receiver, donor = (handle_file(str(file)) for file in files)
    made = client.predict(receiver, donor, "genegan.other", 0.0, True, api_name="/swap")
    result = images.read_photo(Path(path_of(made)))
    assert np.array_equal(result.pixels, heads_pictures[0])
    assert Recipe.from_photo(result).steps[0].kind == "swap"
    made = client.predict(receiver, "genegan.other", True, "model", api_name="/remove")
    assert images.read_photo(Path(path_of(made))).pixels.shape == (32, 32, 3)
    for arguments, words in (
        ((receiver, "genegan.none", True), "There is no checkpoint"),
        (({"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "genegan.other"), ""),
        (({"path": "http://127.0.0.1:1/a.png"}, "genegan.other"), "No uploaded file"),
    ):
        with pytest.raises(Exception, match=words):
            client.predict(*arguments, api_name="/remove")


def path_of(made):
    return made["path"] if isinstance(made, dict) else made


def test_password_protects_page_and_api(serve):
    url = serve(auth=("eva", "secret"))
    assert httpx.get(f"{url}/config").status_code == 401
    calls = httpx.post(f"{url}/gradio_api/call/remove", json={"data": []})
    assert calls.status_code == 401
    uploads = httpx.post(f"{url}/gradio_api/upload", files={"files": b"x"})
    assert uploads.status_code == 401
    with httpx.Client() as browser:
        browser.post(f"{url}/login", data={"username": "eva", "password": "secret"})
        assert browser.get(f"{url}/config").status_code == 200


def test_page_is_served_on_this_machine_only_by_default(serve):
    assert serve().startswith("http://127.0.0.1:")


def test_config_shows_no_visitor_and_no_path(context, serve):
    config = httpx.get(f"{serve()}/config").json()
    assert str(context.store.roots[0]) not in json.dumps(config)
    assert isinstance(page.build(context), gr.Blocks)
