import os
import subprocess
import sys
from dataclasses import replace

import pytest

from studio import accounts, jobs, paths
from studio.checkpoints import CheckpointStore
from studio.errors import ConfigError
from studio.training.request import TrainRequest
from studio.training.status import STATUS, alive, born, is_first_in_line, write_json


@pytest.fixture
def request_(heads_folder):
    return TrainRequest("genegan", "mine", str(heads_folder), fields={"width": 4}, size=32)


def test_everything_of_a_user_is_theirs_alone(home, started, request_, make_checkpoint):
    make_checkpoint(tag="everybodys")
    with paths.acting_for("eva"):
        assert paths.home() == home / "users" / "eva"
        make_checkpoint(tag="evas")
        name = jobs.submit(request_)
        assert [job.name for job in jobs.jobs()] == [name]
        assert "genegan.evas" in CheckpointStore().names()
        assert "genegan.everybodys" not in CheckpointStore().names()
    with paths.acting_for("otto"):
        assert jobs.jobs() == []
        assert "genegan.evas" not in CheckpointStore().names()
        # A tag is taken only where it is seen.
        jobs.submit(request_)
    assert jobs.jobs() == []
    assert paths.home() == home


def test_who_asks_is_set_back_whatever_happens():
    def fail():
        with paths.acting_for("eva"):
            assert paths.user() == "eva"
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    assert paths.user() == ""
    with paths.acting_for("eva"), paths.acting_for(""):
        assert paths.user() == "eva"


def test_a_process_works_for_whom_it_was_started(monkeypatch, request_):
    asked = {}

    class Popen:
        pid = 1

        def __init__(self, command, env, **options):
            asked.update(env)

        def poll(self):
            return 0

    with monkeypatch.context() as patch, paths.acting_for("eva"):
        patch.setattr(jobs.subprocess, "Popen", Popen)
        jobs.submit(request_)
    command = [sys.executable, "-c", "from studio import paths; print(paths.home())"]
    done = subprocess.run(command, env=asked, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("users/eva")


def test_users_share_the_devices_in_the_order_of_their_jobs(started, request_):
    with paths.acting_for("eva"):
        first = paths.runs() / jobs.submit(request_)
    with paths.acting_for("otto"):
        second = paths.runs() / jobs.submit(request_)
    third = paths.runs() / jobs.submit(request_)
    assert [is_first_in_line(one, "cpu") for one in (first, second, third)] == [True, False, False]
    write_json(first / STATUS, {"state": "running", "pid": os.getpid()})
    assert [is_first_in_line(one, "cpu") for one in (second, third)] == [True, False]


def test_all_that_a_user_made_is_deleted_and_nothing_else(
    home, started, request_, make_checkpoint, monkeypatch
):
    monkeypatch.setattr(accounts, "PATIENCE", 0.0)
    make_checkpoint(tag="everybodys")
    with paths.acting_for("otto"):
        jobs.submit(request_)
    with paths.acting_for("eva"):
        make_checkpoint(tag="evas")
        folder = paths.runs() / jobs.submit(request_)
        process = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
        )
        told = {"state": "running", "pid": process.pid, "born": born(process.pid)}
        write_json(folder / STATUS, told)
        jobs.submit(replace(request_, tag="waits"))
        write_json(paths.runs() / jobs.jobs()[1].name / STATUS, {"state": "queued", "pid": 2**22})
        found = accounts.belongings()
        assert (found.jobs, found.sets, found.checkpoints, found.sliders) == (2, 0, 1, 0)
        assert found.bytes > 1000
        accounts.delete_everything()
        assert accounts.belongings() == accounts.Belongings(0, 0, 0, 0, 0)
        accounts.delete_everything()
    process.wait()
    assert not alive(process.pid)
    assert not list((home / "users").glob("*eva*"))
    with paths.acting_for("otto"):
        assert len(jobs.jobs()) == 1
    assert "genegan.everybodys" in CheckpointStore().names()


def test_where_nobody_is_logged_in_nothing_is_deleted(make_checkpoint):
    name = make_checkpoint()
    with pytest.raises(ConfigError, match="Nobody is logged in"):
        accounts.delete_everything()
    assert name in CheckpointStore().names()
