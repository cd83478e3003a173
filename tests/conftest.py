"""What many tests need: a home of their own, rendered pictures, tiny checkpoints."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import settings

from studio import jobs, paths
from studio.checkpoints import Card, CheckpointStore, ModelCache
from studio.data.batch import DataSpec
from studio.data.folder import open_set
from studio.methods import METHODS
from studio.methods.base import LatentModel
from studio.nn.blocks import initialize
from studio.render import heads
from studio.training.status import STATUS, write_json

# A shared machine makes timing unreliable, and a failure must repeat.
settings.register_profile("studio", deadline=None, derandomize=True, database=None)
settings.load_profile("studio")

ATTRIBUTES = ("Eyeglasses", "Smiling")
CLASSES = (("expression", heads.EXPRESSIONS), ("eyeglasses_kind", heads.EYEGLASSES))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give every test a home of its own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LATENT_STUDIO_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def heads_folder(tmp_path_factory):
    """Return a SET of 40 rendered heads of 32 x 32 pixels; only to be read."""
    folder = tmp_path_factory.mktemp("rendered") / "heads"
    heads.write_set(folder, 40, 32, seed=0)
    return folder


@pytest.fixture
def heads_set(heads_folder):
    return open_set(heads_folder)


@pytest.fixture
def spec():
    return DataSpec(32, "celeba", ATTRIBUTES, CLASSES)


@pytest.fixture
def make_checkpoint(home, spec):
    """Return a function that saves an untrained checkpoint of any method among the person's own."""

    def make(method="genegan", tag="tiny", seed=0, **card):
        entry = METHODS[method]
        torch.manual_seed(seed)
        model = entry.model(entry.tiny, spec)
        if isinstance(model, LatentModel):
            # Weights as small as training starts from would make every edit invisible.
            initialize(model, 0.2)
        values = Card(f"{method}.{tag}", method, entry.tiny.to_dict(), spec.to_dict(), step=0)
        root = paths.user_checkpoints()
        CheckpointStore.save(root, replace(values, **card), model.state_dict(), {})
        return values.name

    return make


@pytest.fixture
def models(home):
    """Return a cache over the person's own checkpoints."""
    return ModelCache(CheckpointStore(paths.user_checkpoints()))


@pytest.fixture
def photograph():
    """Return a function that makes a smooth colourful photograph (H, W, 3) from a seed."""

    def make(seed=0, height=60, width=80):
        rng = np.random.default_rng(seed)
        coarse = torch.from_numpy(rng.random((1, 3, 6, 6), np.float32))
        smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
        pixels = (smooth[0].permute(1, 2, 0).clamp(0, 1) * 255).to(torch.uint8)
        return pixels.contiguous().numpy()

    return make


@pytest.fixture
def put():
    """Return a function that writes what a job's process would say of itself."""

    def write(folder, state, **told):
        write_json(folder / STATUS, {"state": state, "pid": os.getpid(), **told})

    return write


@pytest.fixture
def started(monkeypatch, put):
    """Start no processes; return the folders whose process would have been started."""
    folders = []

    def start(folder):
        folders.append(folder)
        put(folder, "queued")

    monkeypatch.setattr(jobs, "_start", start)
    return folders
