import os
import time

import pytest

from studio import courtesy, paths


@pytest.fixture(autouse=True)
def unmarked(monkeypatch):
    monkeypatch.setattr(courtesy, "_marked", {})


def test_training_waits_while_somebody_works_on_the_device_and_then_goes_on(monkeypatch):
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        # Time goes by for whoever looks at the mark.
        old = time.time() - len(waits) * courtesy.FRESH / 4
        os.utime(paths.machine_home() / "cpu.claimed", (old, old))

    monkeypatch.setattr(courtesy.time, "sleep", sleep)
    courtesy.give_way("cpu")
    assert waits == []
    courtesy.claim("cpu")
    assert courtesy.is_claimed("cpu")
    assert not courtesy.is_claimed("cuda")
    courtesy.give_way("cpu")
    assert len(waits) == 4
    assert not courtesy.is_claimed("cpu")


def test_nobody_holds_training_up_for_ever(monkeypatch):
    monkeypatch.setattr(courtesy, "PATIENCE", 0.05)
    monkeypatch.setattr(courtesy, "FRESH", 1000)
    courtesy.claim("cpu")
    assert 0.05 <= courtesy.give_way("cpu") < 5


def test_a_home_that_cannot_be_written_to_costs_nobody_the_picture(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LATENT_STUDIO_HOME", str(tmp_path / "file"))
    courtesy.claim("cpu")
    assert not courtesy.is_claimed("cpu")


def test_using_a_model_claims_its_device(models, make_checkpoint):
    models.get(make_checkpoint())
    assert courtesy.is_claimed("cpu")
