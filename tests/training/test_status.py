import json
import os
import subprocess
import sys

import pytest

from studio.training.status import STATUS, alive, born, is_first_in_line, read_status


@pytest.fixture
def ended():
    """Return the number of a process that has ended and that nobody asked for."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


def put(folder, **told):
    folder.mkdir(exist_ok=True)
    (folder / STATUS).write_text(json.dumps(told))
    return folder


def test_a_process_that_ended_is_not_alive_even_before_its_parent_asks(ended):
    assert not alive(ended)
    assert alive(os.getpid())


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_live_state_without_its_process_reads_as_failed(tmp_path, ended, state):
    gone = put(tmp_path / "gone", state=state, pid=ended)
    assert read_status(gone)["state"] == "failed"
    assert "Resume the job" in read_status(gone)["error"]
    there = put(tmp_path / "there", state=state, pid=os.getpid())
    assert read_status(there)["state"] == state


def test_what_has_ended_stays_as_it_was(tmp_path, ended):
    done = put(tmp_path / "done", state="succeeded", pid=ended, checkpoint="x")
    assert read_status(done) == {"state": "succeeded", "pid": ended, "checkpoint": "x"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "running"}', '{"pid": "x"}'])
def test_a_damaged_status_is_none(tmp_path, text):
    (tmp_path / STATUS).write_text(text)
    assert read_status(tmp_path) == {"state": ""}
    assert read_status(tmp_path / "nowhere") == {"state": ""}


def test_only_waiting_runs_with_earlier_names_come_first(tmp_path, ended):
    own = put(tmp_path / "b", state="queued", pid=os.getpid())
    assert is_first_in_line(own, "cpu")
    put(tmp_path / "c", state="queued", pid=os.getpid())
    put(tmp_path / "a0", state="running", pid=os.getpid())
    put(tmp_path / "a1", state="queued", pid=ended)
    (tmp_path / "a.lock").touch()
    assert is_first_in_line(own, "cpu")
    put(tmp_path / "a2", state="queued", pid=os.getpid())
    assert not is_first_in_line(own, "cpu")


def test_who_waits_for_another_device_is_in_nobodys_way(tmp_path):
    own = put(tmp_path / "b", state="queued", pid=os.getpid())
    put(tmp_path / "a", state="queued", pid=os.getpid(), device="cuda")
    assert is_first_in_line(own, "cpu")
    assert not is_first_in_line(own, "cuda")


def test_another_process_of_the_same_number_is_not_taken_for_it(tmp_path):
    own = os.getpid()
    assert alive(own, born(own))
    assert not alive(own, born(own) - 1000)
    folder = put(tmp_path / "old", state="running", pid=own, born=born(own) - 1000)
    assert read_status(folder)["state"] == "failed"
    assert born(2**22 + 1) == 0
