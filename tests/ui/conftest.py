"""What the page's tests share: a context over tiny checkpoints, and uploaded pictures."""

import gc
import json
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import torch

from studio import images, paths
from studio.checkpoints import Card, CheckpointStore
from studio.data.batch import DataSpec
from studio.methods import METHODS
from studio.nn.blocks import initialize
from studio.render.heads import Head, render
from studio.ui import page
from studio.ui.context import Context

PLAIN = Head(identity=850, background=12)
GLASSES = Head(identity=801, eyeglasses="round", background=4)
SMILE = Head(identity=23, expression="smile", intensity=0.9, background=23)
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def heads_pictures():
    """Return three rendered portraits of 96 x 96 pixels."""
    return images.to_pictures(render([PLAIN, GLASSES, SMILE], 96))


@pytest.fixture
def context(make_checkpoint, models):
    make_checkpoint(tag="heads-eyeglasses-64")
    make_checkpoint(tag="other", seed=3)
    return Context(models)


@pytest.fixture
def place(heads_folder):
    """Return where the rendered heads are in the home."""
    paths.data().mkdir(parents=True)
    (paths.data() / "heads").symlink_to(heads_folder)
    return str(paths.data() / "heads")


@pytest.fixture
def upload_folder(tmp_path, monkeypatch):
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


@pytest.fixture
def upload(upload_folder):
    """Return a function that puts bytes where Gradio puts uploads, and describes the event."""

    def make(content, name="photo.png"):
        path = upload_folder / name
        path.write_bytes(content)
        return {"path": str(path), "name": name, "bytes": len(content)}

    return make


@pytest.fixture
def blocks(context):
    """Return the page, not served."""
    with warnings.catch_warnings():
        # Building a page makes event loops that Gradio leaves to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        yield page.build(context)
        gc.collect()


@pytest.fixture(scope="session")
def page_home(tmp_path_factory):
    """Return a home with four tiny checkpoints, for pages that run as processes."""
    home = tmp_path_factory.mktemp("page") / "home"
    faces, things = DataSpec(32, "celeba", ("Eyeglasses",)), DataSpec(32, "none")
    labelled = DataSpec(32, "celeba", ("Eyeglasses", "Smiling"))
    for seed, (method, tag, spec) in enumerate(
        (
            ("genegan", "heads-eyeglasses-64", faces),
            ("genegan", "other", faces),
            ("aeai", "pole-32", things),
            ("attribute-mapping", "faces-32", labelled),
        )
    ):
        torch.manual_seed(seed)
        entry = METHODS[method]
        model = entry.model(entry.tiny, spec)
        initialize(model, 0.2)
        card = Card(f"{method}.{tag}", method, entry.tiny.to_dict(), spec.to_dict(), step=0)
        CheckpointStore.save(home / "checkpoints", card, model.state_dict(), {})
    return home


@pytest.fixture(scope="session")
def serve(page_home):
    """Return a function that serves the page as a process on loopback and gives its URL."""
    running = []

    def start(*arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "app.py", "--port", str(port), "--device", "cpu", *arguments]
        environment = {
            **os.environ,
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": str(page_home.parent / "uploads"),
            "LATENT_STUDIO_HOME": str(page_home),
        }
        running.append(
            subprocess.Popen(
                command, cwd=paths.REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True
            )
        )
        # The address is printed once the page answers.
        for line in running[-1].stdout:
            if "Running on local URL" in line:
                return line.split()[-1].rstrip("/")
        raise RuntimeError("The page did not start.")

    yield start
    for process in running:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def page_url(serve):
    """Return the address of one page for all tests that open it."""
    return serve()


@pytest.fixture
def call(page_url):
    """Return a function that calls an endpoint as any HTTP client does."""
    with httpx.Client(base_url=f"{page_url}/gradio_api", timeout=120) as client:

        def send(name, *data):
            event = client.post(f"/call/{name}", json={"data": list(data)}).json()["event_id"]
            kind, _, text = client.get(f"/call/{name}/{event}").text.partition("\n")
            return kind.removeprefix("event: "), json.loads(text.removeprefix("data: ").strip())

        def upload(picture, name="a.png"):
            content = picture if isinstance(picture, bytes) else images.encode_png(picture)
            path = client.post("/upload", files={"files": (name, content)}).json()[0]
            return {"path": path, "meta": {"_type": "gradio.FileData"}}

        def read(answer):
            return client.get(f"/file={answer[0]['path']}").content

        def fetch(answer):
            return images.read_photo(read(answer))

        yield SimpleNamespace(send=send, upload=upload, read=read, fetch=fetch)


@pytest.fixture
def browser():
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium at /usr/bin/chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser, page_url):
    """Return a function that opens the page as one more visitor; nothing may go wrong on it."""
    faults = []

    def open_page(**options):
        visitor = browser.new_context(**options).new_page()
        visitor.set_default_timeout(60_000)
        visitor.on("pageerror", lambda error: faults.append(str(error)))
        visitor.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((page_url, "data:", "blob:"))
                else faults.append(request.url)
            ),
        )
        visitor.goto(page_url)
        visitor.wait_for_selector(".ls-stage[data-painted]")
        return visitor

    yield open_page
    assert faults == []
