import io
import json
import sys
import time
from dataclasses import asdict, replace

import pytest

from studio.errors import ConfigError, TrainingError
from studio.training import estimate as module
from studio.training.estimate import Estimate, estimate, measure
from studio.training.run import run
from studio.training.status import PROGRESS, read_lines


def test_an_estimate_comes_from_steps_of_the_same_kind(request_, tmp_path):
    found = measure(replace(request_, steps=20))
    assert found.seconds == pytest.approx(20 * found.seconds_per_step)
    assert found.device == "cpu"
    assert 2**27 < found.bytes < 2**34
    assert found.memory_left > 0
    run(replace(request_, steps=20), tmp_path)
    seconds = [line["seconds"] for line in read_lines(tmp_path / PROGRESS)]
    # Other work on the machine makes either several times slower.
    assert 0.1 < (seconds[-1] - seconds[4]) / 15 / found.seconds_per_step < 10


def test_stages_count_by_their_steps(request_, monkeypatch):
    fields = {"width": 4, "levels": 3, "blocks": 1, "latent": 6, "classifier_width": 4,
              "critic_width": 4, "critic_units": 8, "autoencoder_share": 2.0,
              "classifier_share": 1.0, "mapping_share": 1.0}  # fmt: skip
    staged = replace(request_, method="attribute-mapping", fields=fields, steps=40)
    seconds = {"autoencoder": 1.0, "classifier": 10.0, "mapping": 100.0}
    monkeypatch.setattr(module, "_step_seconds", lambda prepared, stage: seconds[stage.name])
    assert measure(staged).seconds == 20 * 1 + 10 * 10 + 10 * 100


def test_a_large_model_is_not_tried_for_long(request_, monkeypatch):
    now, steps = [0.0], []
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    original = module._random_batches

    def slow(spec, request):
        for batch in original(spec, request):
            now[0] += 5.0
            steps.append(batch)
            yield batch

    monkeypatch.setattr(module, "_random_batches", slow)
    assert measure(request_).seconds_per_step == 5
    assert len(steps) == 1


@pytest.mark.slow
def test_a_process_of_its_own_measures(request_):
    found = estimate(request_)
    assert isinstance(found, Estimate)
    assert found.seconds > 0


@pytest.mark.slow
def test_what_cannot_be_trained_says_why(request_):
    with pytest.raises(ConfigError, match="/nowhere does not exist"):
        estimate(replace(request_, data="/nowhere"))


def test_an_answer_that_is_not_wanted_ends_the_process(request_):
    began = time.monotonic()
    with pytest.raises(TrainingError, match="not waited for"):
        estimate(request_, stopped=lambda: True)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("told", "complaint", "words"),
    [
        ("", "Traceback\nValueError: no", "ValueError: no"),
        ("", "", "killed, perhaps for its memory"),
    ],
)
def test_a_process_that_fails_says_so(told, complaint, words):
    with pytest.raises(TrainingError, match=f"could not be tried: .*{words}"):
        module._read(told, complaint)


def test_the_process_answers_in_json(request_, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asdict(request_))))
    assert module.main() == 0
    assert set(json.loads(capsys.readouterr().out)) == set(Estimate.__dataclass_fields__)
    monkeypatch.setattr(sys, "stdin", io.StringIO("{}"))
    assert module.main() == 0
    assert "lacks" in json.loads(capsys.readouterr().out)["error"]
