import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file

from studio import images, paths
from studio.recipes import Recipe
from studio.ui.style import theme


def test_only_swap_and_remove_can_be_called_from_outside(blocks):
    public = {
        function.api_name
        for function in blocks.fns.values()
        if function.api_visibility != "private"
    }
    assert public == {"swap", "remove"}


def test_no_font_is_fetched():
    assert not any("http" in sheet for sheet in theme()._stylesheets)


def test_building_the_page_writes_nothing_into_the_source_tree(blocks):
    # Gradio writes a stub beside every module that subclasses one of its components.
    assert list((paths.REPOSITORY / "studio").glob("**/*.pyi")) == []


@pytest.mark.slow
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
    assert str(context.store.roots[0]) not in json.dumps(blocks.get_config_file())
