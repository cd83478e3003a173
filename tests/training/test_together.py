"""Several processes against one with the whole batch."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
import torch

from studio import paths, together
from studio.checkpoints import CheckpointStore
from studio.training.run import run
from studio.training.saves import CARD
from studio.training.status import PROGRESS, REQUEST, STATUS, STOP, write_json

# Rates at which rounding does not grow faster than training: at a recipe's own, weights that differ
# by a ten-millionth at the start differ a hundred-thousand times as much after fifty steps.
CASES = {
    # Batch norm, noise, ratios of means, and critics that judge parts of a batch.
    "genegan": {"recipe": "hinge", "width": 4, "lr": 2e-5},
    # Noise in the latents.
    "beta_vae": {"width": 4, "lr": 3e-5},
}


def start(folder, count=2):
    """Start several processes on a run folder."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(count), "-m", "studio.training", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("ab") as log:
        told = {"stdout": log, "stderr": log}
        return subprocess.Popen(command, env=environment, cwd=paths.REPOSITORY, **told)


def launch(folder):
    """Let them work to their end; return the exit status."""
    return start(folder).wait()


def losses(folder):
    lines = [json.loads(line) for line in (folder / PROGRESS).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("method", CASES)
def test_two_processes_do_what_one_does_with_the_doubled_batch(method, request_, tmp_path):
    many = {"steps": 50, "save_every": 50, "batch_size": 32}
    whole = replace(request_, method=method, fields=CASES[method], tag="one", **many)
    run(whole, tmp_path / "one")
    run(replace(whole, tag="half", batch_size=16), tmp_path / "half")
    folder = tmp_path / "two"
    folder.mkdir()
    write_json(folder / REQUEST, asdict(replace(whole, tag="two", batch_size=16)))
    assert launch(folder) == 0
    one, two, half = (losses(tmp_path / name) for name in ("one", "two", "half"))
    assert len(one) == len(two) == 50
    for mine, theirs in zip(one, two, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)
    # The comparison can fail: half the batch is another training.
    first = next(name for name in one[0] if name not in {"step", "held_out"})
    assert max(abs(a[first] - b[first]) for a, b in zip(one, half, strict=True)) > 1e-3
    store = CheckpointStore(paths.user_checkpoints())
    models = [store.load(f"{method}.{tag}")[0].state_dict() for tag in ("one", "two")]
    for name, tensor in models[0].items():
        # Running statistics among them; weights are kept in half precision.
        assert torch.allclose(tensor.float(), models[1][name].float(), atol=2e-3), name
    assert store.card(f"{method}.two").training["batch_size"] == 32


@pytest.mark.slow
def test_several_processes_pause_together_and_go_on_to_the_same_weights(request_, tmp_path):
    asked = replace(request_, fields=CASES["genegan"], steps=150, batch_size=8, save_every=10)
    straight, paused = tmp_path / "straight", tmp_path / "paused"
    for folder in (straight, paused):
        folder.mkdir()
        write_json(folder / REQUEST, asdict(replace(asked, tag=folder.name)))
    launch(straight)
    begun = start(paused)
    while not (paused / CARD).exists():
        assert begun.poll() is None
        time.sleep(0.05)
    (paused / STOP).touch()
    assert begun.wait() == 0, (paused / "log.txt").read_text()
    assert json.loads((paused / STATUS).read_text())["state"] == "paused"
    (paused / STOP).unlink()
    launch(paused)
    store = CheckpointStore(paths.user_checkpoints())
    one, two = (store.load(f"genegan.{tag}")[0].state_dict() for tag in ("straight", "paused"))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_several_processes_that_wait_are_cancelled_together(request_, tmp_path):
    write_json(tmp_path / REQUEST, asdict(request_))
    (tmp_path / STOP).touch()
    assert launch(tmp_path) == 0
    assert json.loads((tmp_path / STATUS).read_text())["state"] == "cancelled"


@pytest.mark.slow
def test_a_mistake_is_one_sentence_however_many_processes_make_it(request_, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write_json(folder / REQUEST, {**asdict(request_), "data": "/nowhere"})
    assert launch(folder) != 0
    told = json.loads((folder / STATUS).read_text())
    assert told["state"] == "failed"
    assert "/nowhere does not exist" in told["error"]


def test_one_process_is_what_it_would_be_alone():
    torch.manual_seed(0)
    drawn = together.rand(3, 2), together.randn(3, 2)
    torch.manual_seed(0)
    assert torch.equal(drawn[0], torch.rand(3, 2))
    assert torch.equal(drawn[1], torch.randn(3, 2))
    values = torch.rand(5, requires_grad=True)
    assert together.mean(values) == values.mean()
    assert together.agree([True, False]) == [True, False]
    assert together.share([1, 2, 3]) == [1, 2, 3]
    layer = torch.nn.BatchNorm2d(3)
    together.normalize_together(layer)
    assert type(layer) is torch.nn.BatchNorm2d
    assert (together.size(), together.rank()) == (1, 0)
