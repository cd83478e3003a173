"""Training over HTTP, as any client does it."""

import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from studio import images, intake, jobs, paths
from studio.data.folder import open_set
from studio.errors import ConfigError, DataError, StudioError, TrainingError
from studio.training.estimate import Estimate
from studio.ui.api import training
from studio.ui.workshop import estimates, marks

# All tests of a session share one home.
NAME = "heads-by-api"
SMALL = {"attribute": "Smiling", "recipe": "hinge", "width": 4}


@pytest.fixture
def zipped(call, heads_folder, tmp_path):
    """Return the rendered heads as an upload."""
    with zipfile.ZipFile(tmp_path / "heads.zip", "w") as archive:
        for file in sorted(heads_folder.iterdir()):
            archive.write(file, file.name)
    return call.upload((tmp_path / "heads.zip").read_bytes(), f"{NAME}.zip")


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert condition()


def train(call, tag, data="", upload=None, **changed):
    asked = {"parent": "", "fields": SMALL, "steps": 6, "batch_size": 4, "size": 32, "seed": 0}
    asked |= {"save_every": 3, "patience": 0, "terms": "Ours.", "device": "cpu"} | changed
    more = ("fp32", 1, False, "", "")
    return call.send("train", "genegan", tag, data, upload, *asked.values(), *more)


@pytest.mark.slow
def test_api_trains_with_an_uploaded_zip_and_follows_the_job(call, zipped, page_home):
    kind, (name,) = train(call, "by-api", upload=zipped)
    assert kind == "complete"
    assert len(open_set(page_home / "data" / f"{NAME}.zip")) == 40
    try:
        until(lambda: call.send("job", name)[1][0]["state"] == "succeeded")
        kind, (job,) = call.send("job", name)
        assert (job["checkpoint"], job["step"]) == ("genegan.by-api", 6)
        assert (job["request"]["data"], job["request"]["terms"]) == (f"{NAME}.zip", "Ours.")
        assert [line["step"] for line in job["history"]] == [1, 2, 3, 4, 5, 6]
        assert job["sheets"][-1:] in ([6], [])
        assert (page_home / "checkpoints" / "genegan.by-api").is_dir()
        assert name in [one["name"] for one in call.send("jobs")[1][0]]
        assert call.send("job_stop", name)[0] == "error"
        # The set is there by now; a taken tag, an unknown set and odd settings are refused.
        for refused in (
            train(call, "by-api", f"{NAME}.zip"),
            train(call, "next", "no-set"),
            train(call, "next", "/etc"),
            train(call, "next", f"{NAME}.zip", steps=1.5),
            train(call, "next", f"{NAME}.zip", fields="width=4"),
            train(call, "next", f"{NAME}.zip", fields={"attribute": "Beard"}),
            train(call, "next", upload="/etc/passwd"),
        ):
            assert refused[0] == "error"
    finally:
        assert call.send("job_delete", name) == ("complete", [name])
    assert call.send("job", name)[0] == "error"


@pytest.mark.slow
def test_api_checks_and_labels_sets(call, zipped, page_home):
    kind, (report,) = call.send("data_check", "", zipped)
    assert kind == "complete"
    assert (report["pictures"], report["checked"]) == (40, 40)
    assert report["attributes"]["Smiling"]["train"] > 0
    for wrong in (("no-set", None), ("", None), ("", "/etc/passwd")):
        assert call.send("data_check", *wrong)[0] == "error"
    kind, (taken,) = call.send("data_label", "example:heads", "Odd", ["000001.jpg"], [], "odd")
    assert kind == "complete"
    made = open_set(page_home / "data" / taken)
    assert made.attribute("Odd")[made.files.index("000001.jpg")] == 1
    assert call.send("data_label", "example:heads", "Odd", ["000001.jpg"], [], "odd")[0] == "error"
    assert call.send("data_label", "example:heads", "Odd", ["no.jpg"], [], "more")[0] == "error"


def asked(tag="mine", **changed):
    """Return what ``/train`` hands on: words, numbers, fields and the rest."""
    words = {"method": "genegan", "tag": tag, "parent": "", "terms": "", "device": "cpu"}
    numbers = {"steps": 6, "batch_size": 4, "size": 32, "seed": 0, "save_every": 3, "patience": 0}
    more = {"compile": True, "only": "expression=smile", "also": "example:heads"}
    fields = changed.pop("fields", SMALL)
    numbers |= {"processes": 1, **changed}
    return {**words, "precision": "fp32"}, numbers, fields, more


def test_all_of_a_request_can_be_asked_for(context, place, started):
    name = training.on_train(context, "heads", None, *asked())
    request = jobs.read(name).request
    assert (request.compile, request.only, request.processes) == (True, "expression=smile", 1)
    assert request.also.endswith("assets/heads.zip")
    told = training.on_job(context, name)["request"]
    assert (told["data"], told["also"]) == ("heads", "heads.zip")
    for wrong in ({"processes": 0}, {"fields": "width=4"}, {"steps": 1.5}):
        with pytest.raises(ConfigError):
            training.on_train(context, "heads", None, *asked("next", **wrong))
    words, numbers, fields, more = asked("next")
    for wrong in ({"only": "smile"}, {"also": "/etc"}):
        with pytest.raises(StudioError):
            training.on_train(context, "heads", None, words, numbers, fields, {**more, **wrong})
    assert [job.name for job in jobs.jobs()] == [name]


def test_an_upload_that_is_not_trained_with_is_not_kept(context, upload, heads_folder, started):
    file = upload(b"", "mine.zip")
    with zipfile.ZipFile(file["path"], "w") as archive:
        for one in sorted(heads_folder.iterdir()):
            archive.write(one, one.name)
    with pytest.raises(ConfigError, match="Beard cannot be learnt"):
        training.on_train(context, "", file, *asked(fields={"attribute": "Beard"}))
    with pytest.raises(ConfigError, match=r"genegan\.other already"):
        training.on_train(context, "", file, *asked("other"))
    assert list(paths.data().iterdir()) == []
    training.on_train(context, "", file, *asked())
    assert [one.name for one in paths.data().iterdir()] == ["mine.zip"]


def test_a_job_is_cloned_with_changes_by_name(context, place, started):
    request = jobs.read(training.on_train(context, "heads", None, *asked())).request
    name = jobs.jobs()[0].name
    again = jobs.read(training.on_clone(context, name, "again", None)).request
    assert again == replace(request, tag="again")
    changes = {"seed": 7, "fields": {"flip": False}, "data": "example:heads", "also": ""}
    changes |= {"compile": False}
    other = jobs.read(training.on_clone(context, name, "other-seed", changes)).request
    assert other == replace(
        request, tag="other-seed", seed=7, fields={**request.fields, "flip": False}, compile=False,
        data=request.also, also="",
    )  # fmt: skip
    for tag, wrong in (
        *(("next", one) for one in ({"method": "aeai"}, {"seed": "x"}, {"data": "/etc"}, "seed=1")),
        ("again", None), ("", None), ("next", {"fields": {"width": "wide"}}), ("next", {"n": 1}),
    ):  # fmt: skip
        with pytest.raises(StudioError):
            training.on_clone(context, name, tag, wrong)
    assert len(jobs.jobs()) == 3


def test_a_sample_sheet_is_handed_out(context, place, started, upload_folder, heads_pictures):
    name = training.on_train(context, "heads", None, *asked())
    folder = paths.runs() / name / jobs.SHEETS
    folder.mkdir()
    images.save_png(folder / "00000003.png", heads_pictures[0])
    answer = training.on_sheet(context, name, 3)
    assert (images.read_photo(Path(answer["path"])).pixels == heads_pictures[0]).all()
    for wrong in ((name, 4), ("../x", 3)):
        with pytest.raises(TrainingError):
            training.on_sheet(context, *wrong)


def test_what_a_training_takes_is_measured(context, place, monkeypatch):
    measured = []

    def estimate(request, stopped):
        measured.append(request)
        return Estimate(0.5, 0.5 * request.steps, 2**20, 2**30, "cpu")

    monkeypatch.setattr(estimates, "estimate", estimate)
    words, numbers, fields, more = asked()
    del words["tag"], words["terms"], numbers["processes"]
    told = training.on_estimate(context, "heads", words, numbers, fields, more)
    assert (told["seconds"], told["bytes"], told["device"]) == (3.0, 2**20, "cpu")
    numbers["steps"] = 60
    assert training.on_estimate(context, "heads", words, numbers, fields, more)["seconds"] == 30.0
    assert len(measured) == 1


def test_sets_are_taken_aligned_and_deleted(context, upload, heads_folder, started, monkeypatch):
    file = upload(b"", "mine.zip")
    with zipfile.ZipFile(file["path"], "w") as archive:
        for one in sorted(heads_folder.iterdir()):
            archive.write(one, one.name)
    assert training.on_take(context, file, "taken") == "taken.zip"
    with pytest.raises(ConfigError, match="There is a data set taken already"):
        training.on_take(context, file, "taken")
    with pytest.raises(DataError, match="No zip was received"):
        training.on_take(context, {"path": "/etc/passwd"}, "more")

    def align(location, name, *_):
        return intake.AlignReport(paths.data() / name, True, len(open_set(location)), 40)

    monkeypatch.setattr(intake, "align", align)
    assert training.on_align(context, "taken.zip", "made")["output"] == "made"
    marks.mark(context, "taken.zip", {0: "1"})
    job = training.on_train(context, "taken.zip", None, *asked())
    with pytest.raises(ConfigError, match=r"learns from taken\.zip; let it end"):
        training.on_delete(context, "taken.zip")
    jobs.stop(job)
    (paths.runs() / job / "status.json").write_text('{"state": "cancelled", "pid": 1}')
    assert training.on_delete(context, "taken.zip") == "taken.zip"
    assert list((paths.cache() / "marks").iterdir()) == []
    for wrong in ("taken.zip", "", "../runs", "example:heads", f"job:{job}"):
        with pytest.raises(StudioError):
            training.on_delete(context, wrong)
