import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from studio import paths
from studio.checkpoints import CARD, CRITICS, MODEL, Card, CheckpointStore
from studio.errors import CheckpointError, ConfigError, DataError, TrainingError
from studio.training import __main__ as process
from studio.training import preparing
from studio.training.request import TrainRequest
from studio.training.run import run
from studio.training.status import (
    NOTES,
    PROGRESS,
    REQUEST,
    STATUS,
    STOP,
    read_lines,
    write_json,
)
from studio.training.trainer import Trainer

FIELDS = {"recipe": "hinge", "width": 4}


def progress(folder):
    return [json.loads(line) for line in (folder / PROGRESS).read_text().splitlines()]


def status(folder):
    return json.loads((folder / STATUS).read_text())


def state(folder):
    return load_file(folder / json.loads((folder / "state.json").read_text())["file"])


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_a_run_leaves_a_checkpoint_that_says_where_it_comes_from(request_, tmp_path):
    made = run(replace(request_, seed=3, terms="ours"), tmp_path / "run")
    assert made == paths.user_checkpoints() / "genegan.test"
    card = CheckpointStore(made.parent).card("genegan.test")
    assert (card.step, card.seed, card.terms, card.parent) == (4, 3, "ours", "")
    assert card.spec.size == 32
    assert "Eyeglasses" in card.spec.attributes
    assert card.config["width"] == 4
    assert card.data_set.startswith("heads, ")
    assert card.training["precision"] == "fp32"
    assert set(card.hashes) == {MODEL, CRITICS}
    assert [line["step"] for line in progress(tmp_path / "run")] == [1, 2, 3, 4]
    assert len(list((tmp_path / "run" / "samples").glob("*.png"))) == 2
    # The newest, and the one before it for when the newest turns out bad.
    left = sorted(path.name for path in (tmp_path / "run").glob("*.state.safetensors"))
    assert left == ["00000002.state.safetensors", "00000004.state.safetensors"]


def test_a_run_may_learn_from_some_classes_only(request_, tmp_path, heads_set):
    only = "expression=smile, neutral"
    made = run(replace(request_, only=only), tmp_path / "run")
    some = heads_set.where("expression", ["smile", "neutral"]).part("train")
    assert 0 < len(some) < len(heads_set.part("train"))
    card = CheckpointStore(made.parent).card("genegan.test")
    assert card.data_set == f"heads ({only}), {len(some)} training pictures"


def test_what_is_shipped_is_the_average_in_half_precision(request_, tmp_path):
    made = run(request_, tmp_path / "run")
    stored = load_file(made / MODEL)
    averaged = state(tmp_path / "run")
    weight = averaged["averaged.decoder.to_rgb.weight"]
    assert stored["decoder.to_rgb.weight"].dtype == torch.float16
    assert torch.equal(stored["decoder.to_rgb.weight"], weight.half())
    assert not torch.equal(weight, averaged["objective.model.decoder.to_rgb.weight"])


def test_a_taken_tag_is_refused_before_anything_is_trained(request_, tmp_path):
    run(request_, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"genegan\.test already"):
        run(request_, tmp_path / "again")
    assert not (tmp_path / "again" / PROGRESS).exists()


def test_progress_of_steps_that_are_taken_again_is_dropped(request_, tmp_path):
    folder = tmp_path / "run"

    def die_at_three(step, terms):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(request_, folder, report=die_at_three)
    with (folder / PROGRESS).open("a") as file:
        file.write('{"step": 4, "seco')
    run(request_, folder)
    assert [line["step"] for line in progress(folder)] == [1, 2, 3, 4]
    seconds = [line["seconds"] for line in progress(folder)]
    assert seconds == sorted(seconds)


def test_a_state_of_another_network_is_refused(request_, tmp_path):
    folder = tmp_path / "run"

    def stop_at_two(step, terms):
        if step == 2:
            (folder / STOP).touch()

    assert run(request_, folder, report=stop_at_two) is None
    (folder / STOP).unlink()
    wider = replace(request_, fields={**FIELDS, "width": 8})
    with pytest.raises(TrainingError, match="does not fit the request"):
        run(wider, folder)


def test_fine_tuning_starts_from_the_parents_average_and_critics(request_, tmp_path, monkeypatch):
    parent = run(request_, tmp_path / "run")
    child = replace(request_, tag="child", parent="genegan.test", steps=1, seed=5)
    seen = {}

    class Watching(Trainer):
        def fit(self, *arguments):
            seen.update({n: t.clone() for n, t in self.objective.state_dict().items()})
            assert not any(o.state for o in self.optimizers.values())
            super().fit(*arguments)

    monkeypatch.setattr(preparing, "Trainer", Watching)
    made = run(child, tmp_path / "child")
    stored = {f"model.{n}": t for n, t in load_file(parent / MODEL).items()}
    stored |= load_file(parent / CRITICS)
    assert same({n: t.float() for n, t in stored.items()}, {n: t.float() for n, t in seen.items()})
    assert json.loads((made / CARD).read_text())["parent"] == "genegan.test"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"parent": "genegan.none"}, CheckpointError, "no checkpoint 'genegan.none'"),
        ({"parent": "attributes.tiny"}, ConfigError, "is a attributes checkpoint, not genegan"),
        (
            {"parent": "genegan.tiny", "size": 48},
            ConfigError,
            "32 pixels.* set size to 32, not to 48",
        ),
        ({"fields": {**FIELDS, "attribute": "Moustache"}}, DataError, "no attribute 'Moustache'"),
        ({"data": "/nowhere"}, DataError, "does not exist"),
        ({"only": "eyeglasses_kind=monocle"}, DataError, "no eyeglasses_kind 'monocle'; it has"),
        ({"only": "shape=round"}, DataError, "no classes 'shape'"),
    ],
)
def test_what_cannot_be_trained_is_said(
    request_, make_checkpoint, tmp_path, changes, error, message
):
    make_checkpoint("attributes"), make_checkpoint("genegan")
    with pytest.raises(error, match=message):
        run(replace(request_, **changes), tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be a whole number"),
        ({"batch_size": 7}, "batch_size must be even"),
        ({"save_every": 2.5}, "save_every"),
        ({"precision": "fp16"}, "precision is auto"),
        ({"device": "tpu"}, "device is auto, cpu, cuda or mps"),
        ({"method": "vae"}, "no method 'vae'"),
        ({"tag": "../../x"}, "no checkpoint name"),
        ({"fields": {"lamda": 1}}, "no setting 'lamda'"),
        ({"colour": "red"}, "no 'colour'"),
        ({"only": "object"}, "only is COLUMN=VALUE.*not 'object'"),
        ({"only": "object=1,"}, "only is COLUMN=VALUE"),
        ({"only": "=1"}, "only is COLUMN=VALUE"),
        ({"only": 14}, "only is COLUMN=VALUE.*not 14"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(request_, tmp_path, changes, message):
    values = {**vars(request_), **changes}
    with pytest.raises((ConfigError, CheckpointError), match=message):
        run(TrainRequest.from_dict(values), tmp_path / "run")


def test_a_request_needs_method_tag_and_data():
    with pytest.raises(ConfigError, match="lacks data, tag"):
        TrainRequest.from_dict({"method": "genegan"})


@pytest.mark.parametrize("broken", ["nan", "inf"])
def test_a_diverging_run_stops_and_keeps_its_last_save(request_, tmp_path, monkeypatch, broken):
    original = Trainer._updates
    folder = tmp_path / "run"

    def diverge(self, batches):
        for update in original(self, batches):
            if self.step == 3 and update.player == "generator":
                yield replace(update, loss=update.loss * float(broken))
            else:
                yield update

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_updates", diverge)
        words = rf"generator became -?{broken} at step 3: .* last good save, step 2"
        with pytest.raises(TrainingError, match=words):
            run(request_, folder)
    assert json.loads((folder / "state.json").read_text())["step"] == 2
    assert run(request_, folder) is not None


@pytest.fixture
def job(request_, tmp_path):
    """Return the run folder of a written request."""
    folder = tmp_path / "job"
    folder.mkdir()
    write_json(folder / REQUEST, vars(request_))
    return folder


def test_a_process_says_that_it_succeeded(job):
    assert process.main([str(job)]) == 0
    told = status(job)
    assert told["state"] == "succeeded"
    assert told["pid"] == os.getpid()
    assert told["checkpoint"].endswith("genegan.test")


def test_a_process_says_why_it_failed(job, request_, capsys):
    write_json(job / REQUEST, {**vars(request_), "data": "/nowhere"})
    assert process.main([str(job)]) == 1
    assert status(job)["state"] == "failed"
    assert "/nowhere does not exist" in status(job)["error"]
    assert "Traceback" in capsys.readouterr().err
    (job / REQUEST).write_text("{")
    assert process.main([str(job)]) == 1
    assert "no readable request.json" in status(job)["error"]


def test_an_unforeseen_failure_reaches_the_status_too(job, monkeypatch):
    def fail(*arguments):
        raise MemoryError("too large")

    monkeypatch.setattr(process, "run", fail)
    assert process.main([str(job)]) == 1
    assert status(job)["error"] == "MemoryError: too large"


def test_wrong_arguments_are_answered_with_the_usage(tmp_path, capsys):
    assert process.main([]) == 2
    assert process.main([str(tmp_path / "none")]) == 2
    assert "RUN_FOLDER" in capsys.readouterr().err


def test_a_stopped_process_says_paused(job, monkeypatch):
    def stop(request, folder):
        (folder / STOP).touch()
        return run(request, folder)

    monkeypatch.setattr(process, "run", stop)
    assert process.main([str(job)]) == 0
    assert status(job)["state"] == "paused"


def test_a_process_waits_for_its_device_and_can_be_cancelled_there(job, monkeypatch):
    monkeypatch.setattr(process, "PATIENCE", 0.01)
    paths.home().mkdir()
    waits = []
    original = FileLock.acquire

    def acquire(self, *arguments, **options):
        if Path(self.lock_file).parent != job:
            waits.append(status(job)["state"])
        if len(waits) == 3:
            (job / STOP).touch()
        return original(self, *arguments, **options)

    with FileLock(paths.device_lock("cpu")):
        monkeypatch.setattr(FileLock, "acquire", acquire)
        assert process.main([str(job)]) == 0
    assert waits == ["queued"] * 3
    assert status(job)["state"] == "cancelled"
    assert not (job / PROGRESS).exists()


def test_whoever_was_queued_first_takes_the_device_first(job, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "PATIENCE", 0.01)
    earlier = tmp_path / "a job before"
    earlier.mkdir()
    write_json(earlier / STATUS, {"state": "queued", "pid": os.getpid()})
    slept = []

    def sleep(seconds):
        slept.append(status(job)["state"])
        write_json(earlier / STATUS, {"state": "running", "pid": os.getpid()})

    monkeypatch.setattr(process.time, "sleep", sleep)
    assert process.main([str(job)]) == 0
    assert slept == ["queued"]
    assert status(job)["state"] == "succeeded"


@pytest.mark.slow
def test_a_killed_process_loses_nothing_but_the_steps_since_its_save(request_, tmp_path, home):
    request = replace(request_, steps=40, save_every=10)
    whole = run(replace(request, tag="whole"), tmp_path / "whole")
    folder = tmp_path / "killed"
    folder.mkdir()
    write_json(folder / REQUEST, vars(request))
    command = [sys.executable, "-m", "studio.training", str(folder)]
    environment = {**os.environ, "LATENT_STUDIO_HOME": str(home), "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w") as log:
        child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while not (folder / "state.json").is_file() and time.monotonic() < deadline:
            assert child.poll() is None, (folder / "log.txt").read_text()
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert status(folder)["state"] == "running"
    assert json.loads((folder / "state.json").read_text())["step"] < request.steps
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert status(folder)["state"] == "succeeded"
    assert same(state(tmp_path / "whole"), state(folder))
    made = paths.user_checkpoints() / request.name
    assert (made / MODEL).read_bytes() == (whole / MODEL).read_bytes()
    assert [line["step"] for line in progress(folder)] == list(range(1, 41))


STAGED = {"width": 4, "levels": 3, "blocks": 1, "latent": 6, "classifier_width": 4,
          "critic_width": 4, "critic_units": 8, "autoencoder_share": 2.0, "classifier_share": 1.0,
          "mapping_share": 1.0}  # fmt: skip


@pytest.fixture
def staged(request_):
    return replace(request_, method="attribute-mapping", fields=STAGED, steps=8, save_every=3)


def test_stages_share_the_steps_out_and_run_in_order(staged, tmp_path):
    made = run(staged, tmp_path / "run")
    lines = progress(tmp_path / "run")
    assert [line["step"] for line in lines] == list(range(1, 9))
    named = [line["stage"] for line in lines]
    assert named == ["autoencoder"] * 4 + ["classifier"] * 2 + ["mapping"] * 2
    card = CheckpointStore(made.parent).card("attribute-mapping.test")
    assert card.step == 8
    # Critics of all stages, for a child that continues any of them.
    kept = {name.split(".")[0] for name in load_file(made / CRITICS)}
    assert kept == {"adversary", "k", "latent_discriminator", "image_discriminator"}
    # The closed-form stage has run.
    spread = load_file(made / MODEL)["residual_root"].float()
    assert not torch.equal(spread, torch.eye(6))


def test_a_child_may_leave_stages_out(staged, tmp_path):
    parent = run(staged, tmp_path / "run")
    only_mapping = {**STAGED, "autoencoder_share": 0.0, "classifier_share": 0.0}
    child = replace(
        staged, tag="child", parent="attribute-mapping.test", fields=only_mapping, steps=2
    )
    made = run(child, tmp_path / "child")
    assert {line["stage"] for line in progress(tmp_path / "child")} == {"mapping"}
    before, after = load_file(parent / MODEL), load_file(made / MODEL)
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert "mapping" in changed
    assert not changed & {"encoder", "decoder", "classifier"}
    # What the parent left of other stages is handed on.
    assert load_file(made / CRITICS).keys() == load_file(parent / CRITICS).keys()


def test_a_stage_without_steps_is_refused(staged, tmp_path):
    with pytest.raises(ConfigError, match="2 steps leave none for the stage"):
        run(replace(staged, steps=2), tmp_path / "run")
    nothing = {**STAGED, "autoencoder_share": 0.0, "classifier_share": 0.0, "mapping_share": 0.0}
    with pytest.raises(ConfigError, match="nothing would be trained"):
        run(replace(staged, fields=nothing), tmp_path / "other")


def test_another_sets_training_pictures_can_be_added(request_, tmp_path, heads_folder, heads_set):
    made = run(replace(request_, also=str(heads_folder)), tmp_path / "run")
    card = CheckpointStore(made.parent).card("genegan.test")
    count = 2 * len(heads_set.part("train"))
    assert card.data_set == f"heads with heads, {count} training pictures"
    assert json.loads((tmp_path / "run" / REQUEST).read_text())["also"] == str(heads_folder)


def test_a_child_may_learn_other_attributes_than_its_parent(staged, tmp_path, heads_folder):
    run(staged, tmp_path / "run")
    changed = tmp_path / "changed"
    shutil.copytree(heads_folder, changed)
    table = (changed / "attributes.csv").read_text().splitlines()
    heads = table[0].replace("Smiling", "Grinning")
    (changed / "attributes.csv").write_text("\n".join([heads, *table[1:]]) + "\n")
    child = replace(staged, tag="child", parent="attribute-mapping.test", data=str(changed))
    made = run(child, tmp_path / "child")
    assert "Grinning" in Card.read(made).spec.attributes
    told = [line["text"] for line in read_lines(tmp_path / "child" / NOTES)]
    assert told[0] == "attribute-mapping.test did not know Grinning."
    assert told[1].startswith("changed has no Smiling to learn from")


def test_what_all_pictures_share_is_no_attribute_to_learn(staged, tmp_path, heads_folder):
    alike = tmp_path / "alike"
    shutil.copytree(heads_folder, alike)
    table = (alike / "attributes.csv").read_text().splitlines()
    column = table[0].split(",").index("Smiling")
    rows = [line.split(",") for line in table[1:]]
    for row in rows:
        row[column] = "0"
    lines = [table[0], *(",".join(row) for row in rows)]
    (alike / "attributes.csv").write_text("\n".join(lines) + "\n")
    made = run(replace(staged, data=str(alike)), tmp_path / "run")
    names = CheckpointStore(made.parent).card("attribute-mapping.test").spec.attributes
    assert "Smiling" not in names
    assert "Eyeglasses" in names
