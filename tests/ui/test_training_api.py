"""Training over HTTP, as any client does it."""

import time
import zipfile

import pytest

from studio.data.folder import open_set

pytestmark = pytest.mark.slow
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
    return call.send("train", "genegan", tag, data, upload, *asked.values(), "fp32")


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
