"""What the page's tests share: a context over tiny checkpoints, and uploaded pictures."""

import pytest

from studio import images
from studio.render.heads import Head, render
from studio.ui import page
from studio.ui.context import Context

PLAIN = Head(identity=850, background=12)
GLASSES = Head(identity=801, eyeglasses="round", background=4)
SMILE = Head(identity=23, expression="smile", intensity=0.9, background=23)


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
def serve(context, upload_folder, monkeypatch):
    """Return a function that serves the page on the loopback address and gives its URL."""
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    served = []

    def start(**options):
        blocks = page.serve(block=False, **options)
        served.append(blocks)
        return blocks.local_url.rstrip("/")

    yield start
    for blocks in served:
        blocks.close()
