import errno
import json
import os
import signal
import time
from dataclasses import replace

import pytest

from studio import jobs, paths
from studio.checkpoints import CheckpointStore
from studio.cli import main
from studio.errors import ConfigError, StudioError, TrainingError
from studio.training.request import TrainRequest
from studio.training.saves import CARD as STATE_CARD
from studio.training.status import NOTES, PROGRESS, REQUEST, STATUS, STOP


@pytest.fixture
def request_(heads_folder):
    return TrainRequest(
        "genegan",
        "mine",
        str(heads_folder),
        fields={"recipe": "hinge", "width": 4},
        steps=40,
        batch_size=8,
        size=32,
        precision="fp32",
        device="cpu",
        save_every=10,
    )


def place(name):
    return paths.runs() / name


def test_a_job_is_a_folder_with_its_request(started, request_, monkeypatch, heads_folder):
    monkeypatch.chdir(heads_folder.parent)
    name = jobs.submit(replace(request_, data=heads_folder.name))
    assert name.endswith("genegan.mine")
    assert started == [place(name)]
    job = jobs.read(name)
    # A process that starts elsewhere finds the data, too.
    assert job.request == request_
    assert (job.state, job.step, job.is_live) == ("queued", 0, True)
    assert jobs.jobs() == [job]


def test_names_sort_by_when_they_were_made(started, request_):
    names = [jobs.submit(replace(request_, tag=f"tag{number}")) for number in range(12)]
    assert [job.name for job in jobs.jobs()] == names == sorted(names)


def test_a_tag_that_is_taken_is_refused(started, request_, make_checkpoint, put):
    make_checkpoint(tag="done")
    with pytest.raises(ConfigError, match=r"checkpoint genegan\.done already"):
        jobs.submit(replace(request_, tag="done"))
    name = jobs.submit(request_)
    with pytest.raises(ConfigError, match=f"The job {name} is making"):
        jobs.submit(request_)
    put(place(name), "cancelled")
    assert jobs.submit(request_) != name
    with pytest.raises(ConfigError):
        jobs.submit(replace(request_, method="nothing"))
    assert len(started) == 2


def test_a_parent_that_does_not_suit_is_refused_at_once(started, request_, make_checkpoint):
    parent = make_checkpoint("dcgan")
    for changes, words in (
        ({"parent": parent}, "dcgan.tiny is a dcgan checkpoint, not genegan"),
        ({"parent": make_checkpoint(), "size": 64}, "32 pixels"),
        ({"parent": "genegan.none"}, "no checkpoint 'genegan.none'"),
    ):
        with pytest.raises(StudioError, match=words):
            jobs.submit(replace(request_, **changes))
    assert jobs.jobs() == started == []


def test_more_processes_than_the_machine_has_are_refused(started, request_):
    with pytest.raises(ConfigError, match=r"5000 processes .* this machine has \d+ cores"):
        jobs.submit(replace(request_, processes=5000))


def test_a_job_that_waits_cannot_be_finished(started, request_):
    name = jobs.submit(request_)
    with pytest.raises(TrainingError, match="has not trained anything yet"):
        jobs.finish(name)


def test_progress_is_read_from_the_last_whole_line(started, request_):
    name = jobs.submit(request_)
    lines = [{"step": step, "seconds": step / 2, "loss": 1.5, "stage": "one"} for step in (9, 10)]
    text = "\n".join(json.dumps(line) for line in lines)
    (place(name) / PROGRESS).write_text(text + '\n{"step": 11, "sec')
    job = jobs.read(name)
    assert (job.step, job.seconds, job.terms) == (10, 5.0, {"loss": 1.5})
    assert job.left == pytest.approx(15.0)


def test_what_is_new_is_read_from_where_somebody_stopped_reading(started, request_):
    name = jobs.submit(request_)
    assert jobs.news(name) == ([], 0, True)
    lines = [json.dumps({"step": step, "loss": 1.0}) + "\n" for step in range(1, 6)]
    (place(name) / PROGRESS).write_text("".join(lines[:2]) + lines[2][:5])
    found, here, anew = jobs.news(name)
    assert ([line["step"] for line in found], anew) == ([1, 2], True)
    (place(name) / PROGRESS).write_text("".join(lines))
    found, there, anew = jobs.news(name, here)
    assert ([line["step"] for line in found], anew) == ([3, 4, 5], False)
    assert jobs.news(name, there) == ([], there, False)
    # A job that went back to its last save has a shorter file, or one of other lines.
    (place(name) / PROGRESS).write_text(lines[0])
    assert jobs.news(name, there)[0] == jobs.history(name) == [{"step": 1, "loss": 1.0}]


def test_a_curve_has_no_more_points_than_were_asked_for_and_all_that_were_held_out(
    started, request_
):
    name = jobs.submit(request_)
    lines = [{"step": step, **({"held_out": 0.1} if step == 33 else {})} for step in range(100)]
    (place(name) / PROGRESS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    steps = [line["step"] for line in jobs.history(name, most=10)]
    assert steps == [0, 10, 20, 30, 33, 40, 50, 60, 70, 80, 90, 99]


def test_a_job_without_a_status_does_not_start_for_ever(started, request_):
    name = jobs.submit(request_)
    (place(name) / STATUS).unlink()
    assert jobs.read(name).is_live
    os.utime(place(name) / REQUEST, (0, 0))
    assert jobs.read(name).state == "failed"
    assert "status.json is missing" in jobs.read(name).error
    jobs.resume(name)
    assert jobs.read(name).state == "queued"


def test_a_full_disk_is_said_and_leaves_nothing(started, request_, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(jobs, "write_json", full)
    with pytest.raises(ConfigError, match="There is no space left for a job"):
        jobs.submit(request_)
    assert list(paths.runs().iterdir()) == []


def test_only_a_live_job_is_stopped_and_only_another_resumed(started, request_, put):
    name = jobs.submit(request_)
    with pytest.raises(TrainingError, match="need not be resumed"):
        jobs.resume(name)
    with pytest.raises(TrainingError, match="live; stop it first"):
        jobs.delete(name)
    jobs.stop(name)
    assert (place(name) / STOP).exists()
    put(place(name), "paused")
    with pytest.raises(TrainingError, match="only a live one can do that"):
        jobs.stop(name)
    jobs.resume(name)
    assert not (place(name) / STOP).exists()
    assert len(started) == 2
    put(place(name), "succeeded", checkpoint="somewhere")
    with pytest.raises(TrainingError, match="is succeeded; it need not"):
        jobs.resume(name)
    jobs.delete(name)
    assert jobs.jobs() == []


@pytest.mark.parametrize("name", ["nothing", "../runs", "", ".."])
def test_what_is_no_job_is_refused_with_those_there_are(started, request_, name):
    own = jobs.submit(request_)
    for work in (jobs.read, jobs.stop, jobs.resume, jobs.delete, jobs.log_tail):
        with pytest.raises(TrainingError, match=f"There is no job .*{own}"):
            work(name)


def test_a_folder_that_was_edited_by_hand_is_listed_with_what_is_wrong(started, request_, put):
    name = jobs.submit(request_)
    put(place(name), "paused")
    (place(name) / REQUEST).write_text('{"method": "genegan"}')
    (job,) = jobs.jobs()
    assert job.request is None
    assert "request.json cannot be used: The request lacks" in job.error
    with pytest.raises(ConfigError, match="cannot go on"):
        jobs.resume(name)
    jobs.delete(name)


def test_the_end_of_the_log_is_kept_at_hand(started, request_):
    name = jobs.submit(request_)
    assert jobs.log_tail(name) == ""
    (place(name) / jobs.LOG).write_text("\n".join(map(str, range(100))))
    assert jobs.log_tail(name).splitlines()[0] == "60"


def test_the_command_line_does_what_the_functions_do(started, heads_folder, capsys, put):
    options = ["--method", "genegan", "--data", str(heads_folder), "--tag", "cli", "--steps", "9"]
    assert main(["jobs", "submit", *options, "--json"]) == 0
    name = json.loads(capsys.readouterr().out)["job"]
    assert main(["jobs", "list"]) == 0
    assert f"{name}  queued, step 0 of 9" in capsys.readouterr().out
    assert main(["jobs", "stop", name]) == 0
    put(place(name), "failed", error="The loss is not finite.")
    (place(name) / jobs.LOG).write_text("Traceback of it")
    capsys.readouterr()
    assert main(["jobs", "show", name]) == 0
    shown = capsys.readouterr().out
    assert "The loss is not finite." in shown
    assert "Traceback of it" in shown
    assert main(["jobs", "resume", name]) == 0
    put(place(name), "cancelled")
    assert main(["jobs", "delete", name]) == 0
    assert main(["jobs", "show", name]) == 2
    assert "There is no job" in capsys.readouterr().err


def test_the_command_line_asks_clones_and_watches(started, request_, capsys, put):
    name = jobs.submit(request_)
    put(place(name), "running")
    for verb, file in (("save", "save-now"), ("sample", "sample-now"), ("finish", "finish")):
        assert main(["jobs", verb, name]) == 0
        assert (place(name) / file).exists()
    (place(name) / NOTES).write_text('{"step": 3, "text": "It went back."}\n')
    (place(name) / "samples").mkdir()
    (place(name) / "samples" / "00000003.png").touch()
    capsys.readouterr()
    assert main(["jobs", "show", name]) == 0
    shown = capsys.readouterr().out
    assert "Step 3: It went back." in shown
    assert "1 sample sheets, the latest: " in shown
    assert main(["jobs", "clone", name]) == 2
    assert "is making genegan.mine" in capsys.readouterr().err
    assert main(["jobs", "clone", name, "--tag", "next", "--set", "width=8", "--steps", "7"]) == 0
    cloned = jobs.jobs()[-1].request
    assert cloned == replace(
        request_, tag="next", steps=7, fields={"recipe": "hinge", "width": "8"}
    )
    put(place(name), "failed", error="The loss is not finite.")
    capsys.readouterr()
    assert main(["jobs", "watch", name]) == 1
    told = capsys.readouterr()
    assert "Step 3: It went back." in told.err
    assert told.out == f"The job {name} is failed. The loss is not finite.\n"
    assert main(["jobs", "watch", "none"]) == 2


def test_watching_tells_each_change_once(started, request_, capsys, monkeypatch, put):
    name = jobs.submit(request_)
    put(place(name), "running")
    steps = iter((1, 1, 2))

    def go_on(seconds):
        step = next(steps, None)
        if step is None:
            put(place(name), "succeeded", checkpoint="genegan.mine")
            return
        line = json.dumps({"step": step, "seconds": 1.0, "loss": 0.5})
        (place(name) / PROGRESS).write_text(line + "\n")

    monkeypatch.setattr("studio.cli.jobs.time.sleep", go_on)
    assert main(["jobs", "watch", name]) == 0
    told = capsys.readouterr()
    assert [line.partition("step ")[2][:4] for line in told.err.splitlines()] == [
        *("0 of", "1 of", "2 of", "2 of")
    ]
    assert told.out == f"The job {name} is succeeded. genegan.mine\n"


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


@pytest.mark.slow
def test_jobs_run_one_after_another_survive_a_kill_and_go_on(request_, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # Long enough to be caught in the middle, short enough to wait for.
    first = jobs.submit(replace(request_, steps=400))
    second = jobs.submit(replace(request_, tag="next", steps=4))
    until((place(first) / STATE_CARD).is_file)
    assert jobs.read(second).state == "queued"
    os.kill(json.loads((place(first) / STATUS).read_text())["pid"], signal.SIGKILL)
    until(lambda: jobs.read(first).state == "failed")
    assert "Resume the job" in jobs.read(first).error
    # The system gave the device to the one that waited.
    until(lambda: jobs.read(second).state == "succeeded")
    jobs.resume(first)
    until(lambda: jobs.read(first).state == "running")
    jobs.stop(first)
    until(lambda: jobs.read(first).state == "paused")
    assert 10 <= jobs.read(first).step < 400
    for process in jobs._started:
        process.wait()
    assert "genegan.next" in CheckpointStore(paths.user_checkpoints()).names()
