import errno
import io
import json
import os
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from studio import images, intake, jobs, paths
from studio.data.folder import FolderSource, open_set
from studio.errors import CheckpointError, ConfigError, DataError, TrainingError
from studio.training.estimate import Estimate
from studio.training.request import TrainRequest
from studio.training.status import PROGRESS, REQUEST, STATUS
from studio.ui import sets
from studio.ui.guard import beside
from studio.ui.sets import EXAMPLE, EXAMPLE_KEY
from studio.ui.tabs import train
from studio.ui.workshop import asked, board, checks, estimates, knobs, marks, proposals, sources
from studio.ui.workshop.form import Form, of_job, request_of
from studio.ui.workshop.layout import DATA, JOBS
from studio.ui.workshop.work import Work

# Where painting.data puts things.
(
    SETS,
    VERDICT,
    STATUS_LINE,
    CHECK,
    STOP,
    REPORT,
    PLOT,
    TABLE,
    ALIGNING,
    ALIGNED,
    FLAWS,
    LABELS,
    TO,
    DELETE,
) = range(14)
FORM = 15
PARENT = "genegan.heads-eyeglasses-64"
# What a request of the tiny parent can be trained with.
SMALL = Form(parent=PARENT, attribute="Smiling", tag="mine", steps=40, save_every=10, batch_size=8)


@pytest.fixture
def quick(monkeypatch):
    """Measure nothing; return the requests that would have been measured."""
    measured = []

    def estimate(request, stopped):
        measured.append(request)
        return Estimate(0.1, 0.1 * request.steps, 3 * 2**29, 2**30, "cpu")

    monkeypatch.setattr(estimates, "estimate", estimate)
    monkeypatch.setattr(estimates, "REST", 0.0)
    return measured


def place_of(name):
    return paths.runs() / name


def shown_form(painted):
    """Return the form in a handler's answer, without the updates around its values."""
    values = [getattr(one, "value", one) for one in painted[: len(Form.__dataclass_fields__)]]
    return Form.read(*values)


def settled(context, key, form=None, before=train.FIRST):
    """Return the form that the page shows, and what is proposed by now."""
    proposed, *painted = train.on_settle(context, key, before, *train._sent(form or Form()))
    return shown_form(painted), proposed


def begun(context, form=SMALL, key="heads"):
    """Start a job and return its name."""
    return train.on_start(context, key, train.FIRST, *train._sent(form))[1]["show"]


def packed(folder, most=1000, **table):
    """Return a zip of a set's first pictures; the table's lines can be exchanged."""
    content = io.BytesIO()
    lines = (folder / "attributes.csv").read_text().splitlines()[: most + 1]
    with zipfile.ZipFile(content, "w") as archive:
        for line in lines[1:]:
            name = line.partition(",")[0]
            archive.write(folder / name, name)
        archive.writestr("attributes.csv", "\n".join(table.get("lines") or lines))
    return content.getvalue()


# Data.


def test_the_tab_opens_with_the_newest_set_that_can_be_read(context, place, heads_folder):
    (paths.data() / "bad.zip").write_bytes(b"no zip")
    shown = train.on_show(context, None, train.FIRST, *train._sent(Form()))
    assert shown[0].selected == DATA
    assert shown[1].value == "heads"
    assert [key for _, key in shown[1].choices] == ["bad.zip", "heads", EXAMPLE_KEY]
    assert "40 pictures" in shown[2]
    assert "were not looked at yet" in shown[2]
    again = train.on_show(context, EXAMPLE_KEY, train.FIRST, *train._sent(Form()))
    assert again[1].value == EXAMPLE_KEY
    # The view, and names that were typed, stay.
    assert [one["__type__"] for one in (again[0], again[1 + ALIGNED], again[1 + TO])] == [
        *("update", "update", "update")
    ]


def test_where_nobody_has_data_the_rendered_heads_are_there(context):
    assert sources.first(context) == EXAMPLE_KEY
    assert sources.place(EXAMPLE_KEY) == EXAMPLE
    with pytest.raises(DataError, match="Choose a data set first"):
        sources.place("")
    with pytest.raises(DataError, match=r"There is no data set '\.\./runs'"):
        sources.place("../runs")


def test_a_page_that_is_opened_anew_shows_what_goes_on(context, place, started, put):
    (paths.data() / "newer").mkdir()
    (paths.data() / "newer" / "a.png").write_bytes(images.encode_png(np.zeros((32, 32, 3), "u1")))
    name = begun(context)
    shown = train.on_show(context, None, train.FIRST, *train._sent(Form()))
    assert (shown[0].selected, shown[1].value) == (JOBS, "heads")
    put(place_of(name), "paused")
    assert train.on_show(context, None, train.FIRST, *train._sent(Form()))[0].selected == DATA


def test_an_uploaded_zip_becomes_a_set_of_the_home(context, upload, heads_folder):
    file = upload(packed(heads_folder), "My hats!.zip")["path"]
    cleared, *shown = train.on_upload(context, file, None, train.FIRST, *train._sent(Form()))
    assert cleared is None
    assert shown[SETS].value == "My-hats.zip"
    assert len(open_set(paths.data() / "My-hats.zip")) == 40
    again = train.on_upload(context, file, None, train.FIRST, *train._sent(Form()))
    assert again[1 + SETS].value == "My-hats-2.zip"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.zip", b"", "not a readable zip"),
        ("b.png", b"x", "No zip was received"),
        ("c.zip", None, "empty zip"),
    ],
)
def test_what_is_no_set_is_refused_and_nothing_is_kept(context, upload, name, content, message):
    if content is None:
        empty = io.BytesIO()
        zipfile.ZipFile(empty, "w").close()
        content = empty.getvalue()
    with pytest.raises(DataError, match=message):
        sources.take(upload(content, name)["path"])
    assert not paths.data().exists() or list(paths.data().iterdir()) == []


def test_a_zip_bomb_is_refused_before_it_is_unpacked(context, upload):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2**26))
    with pytest.raises(DataError, match=r"bomb\.zip"):
        sources.take(upload(bomb.getvalue(), "bomb.zip")["path"])


def test_a_full_disk_is_said_in_one_sentence(context, upload, heads_folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(intake.shutil, "copyfile", full)
    with pytest.raises(DataError, match="There is no space left for mine"):
        sources.take(upload(packed(heads_folder), "mine.zip")["path"])


def test_three_pictures_are_too_few_to_learn_from(context, upload, heads_folder, started):
    key = sources.take(upload(packed(heads_folder, most=3), "three.zip")["path"])
    told = train.on_pick(context, key, train.FIRST, *train._sent(Form()))
    assert 'data-level="bad"' in told[VERDICT]
    assert "at least 20 are needed" in told[VERDICT]
    with pytest.raises(DataError, match="three has 3 pictures to learn from; at least 20"):
        begun(context, key=key)
    assert started == []


def test_every_picture_is_looked_at_once(context, heads_folder):
    shutil.copytree(heads_folder, paths.data() / "heads")
    work = train.on_check_begin(context, None, "heads")
    *_, last = train.on_check(context, work)
    status, check, stop, *shown = last
    assert (status, check.visible, stop.visible) == ("", True, False)
    assert 'data-level="fair"' in shown[VERDICT] or 'data-level="good"' in shown[VERDICT]
    assert shown[CHECK].value == "Look again"
    assert '<th scope="row">Smiling</th>' in shown[TABLE]
    assert shown[PLOT].visible
    report = checks.report_of(context, "heads")
    assert report.checked == 40
    assert checks.check(context, "heads") is report
    # Another file asks for another look, once what was seen counts no more.
    (paths.data() / "heads" / "new.txt").touch()
    assert checks.report_of(context, "heads") is report
    sets.changed(paths.data() / "heads")
    assert checks.report_of(context, "heads") is None


def test_one_event_looks_through_a_folder_once(context, place, monkeypatch):
    looks, now = [], [100.0]
    look = FolderSource.fingerprint
    monkeypatch.setattr(FolderSource, "fingerprint", lambda self: looks.append(1) or look(self))
    monkeypatch.setattr(sets.time, "monotonic", lambda: now[0])
    train.on_pick(context, "heads", train.FIRST, *train._sent(SMALL))
    looks.clear()
    for _ in range(2):
        now[0] += sets.COUNTS
        shown = train.on_pick(context, "heads", train.FIRST, *train._sent(SMALL))
        request_of(context, "heads", shown_form(shown[FORM:]))
    assert len(looks) == 2
    for number in range(2 * sets._MOST_SEEN):
        (paths.data() / f"more {number}").mkdir()
        sets.version_of(paths.data() / f"more {number}")
    assert len(sets._seen) == sets._MOST_SEEN


def test_what_is_wrong_with_pictures_is_shown_and_forbids_training(
    context, upload, heads_folder, started
):
    folder = io.BytesIO()
    lines = (heads_folder / "attributes.csv").read_text().splitlines()
    tiny = images.encode_png(np.zeros((20, 20, 3), np.uint8))
    with zipfile.ZipFile(folder, "w") as archive:
        for number, line in enumerate(lines[1:]):
            name = line.partition(",")[0]
            content = {0: b"nonsense", 1: tiny}.get(number, (heads_folder / name).read_bytes())
            archive.writestr(name, content)
        archive.writestr("attributes.csv", "\n".join(lines))
    key = sources.take(upload(folder.getvalue(), "odd.zip")["path"])
    *_, last = train.on_check(context, train.on_check_begin(context, None, key))
    shown = last[3:]
    assert shown[REPORT].startswith('<p class="ls-problem" role="alert">')
    assert "1 cannot be decoded" in shown[FLAWS]
    assert "1 are too small" in shown[FLAWS]
    assert "It has only 20 x 20 pixels" in shown[FLAWS]
    # One that cannot be decoded has no picture; the other one does.
    assert shown[FLAWS].count("<img") == 1
    with pytest.raises(DataError, match="cannot be decoded"):
        begun(context, key=key)


def test_a_set_of_the_home_is_deleted_unless_a_job_learns_from_it(
    context, place, upload, heads_folder, started, put, monkeypatch
):
    told = []
    monkeypatch.setattr(train.gr, "Info", told.append)
    key = sources.take(upload(packed(heads_folder), "mine.zip")["path"])
    shown = train.on_pick(context, key, train.FIRST, *train._sent(Form()))
    assert shown[DELETE] == {"set": "mine.zip"}
    name = begun(context, key=key)
    with pytest.raises(ConfigError, match=r"learns from mine\.zip; let it end or delete the job"):
        train.on_delete(context, key, train.FIRST, *train._sent(Form()))
    put(place_of(name), "cancelled")
    shown = train.on_delete(context, key, train.FIRST, *train._sent(Form()))
    assert shown[SETS].value == "heads"
    assert told == ["mine.zip is deleted."]
    assert sets.sets(labelled=False) == ["heads"]
    # What ships with the program stays; what is damaged can go.
    shown = train.on_pick(context, EXAMPLE_KEY, train.FIRST, *train._sent(Form()))
    assert shown[DELETE] == {}
    (paths.data() / "bad.zip").write_bytes(b"no zip")
    shown = train.on_pick(context, "bad.zip", train.FIRST, *train._sent(Form()))
    assert shown[DELETE] == {"set": "bad.zip"}


def test_a_newer_check_takes_the_place_of_an_older_one(context, place):
    first = train.on_check_begin(context, None, "heads")
    second = train.on_check_begin(context, first, EXAMPLE_KEY)
    assert (first.left, first.stop.is_set(), second.left) == (True, True, False)
    for shown in train.on_check(context, first):
        assert len(shown) == 17
        assert "update" in str(shown[3 + VERDICT])
    assert checks.report_of(context, "heads") is None
    train.on_stop(context, second, None)
    assert second.stop.is_set()


def test_a_set_that_is_gone_is_told_beside_it_and_the_form_stays(context, place):
    form = replace(SMALL, tag="typed", steps=77)
    shown = train.on_pick(context, "gone", train.FIRST, *train._sent(form))
    assert "There is no data set &#x27;gone&#x27; any more" in shown[VERDICT]
    after = shown_form(shown[FORM:])
    assert (after.tag, after.steps) == ("typed", 77)


def test_alignment_is_offered_and_the_copy_is_taken(context, place, monkeypatch):
    report = checks.check(context, "heads")
    assert not checks.can_align(report)
    faces = replace(report.faces, elsewhere=3)
    monkeypatch.setattr(report, "faces", faces)
    shown = train.on_pick(context, "heads", train.FIRST, *train._sent(Form()))
    assert (shown[ALIGNING].visible, shown[ALIGNED]) == (True, "heads-aligned")

    def align(location, name, progress, stopped, refine):
        progress(20, 40)
        output = paths.data() / name
        output.symlink_to(location.resolve())
        return intake.AlignReport(output, True, 40, 38, {"a.png": "No face.", "b.png": "No."}, [])

    monkeypatch.setattr(intake, "align", align)
    told = []
    monkeypatch.setattr(train.gr, "Info", told.append)
    *_, last = train.on_align(context, train.on_align_begin(context, "heads", " copy "))
    assert last[-1].value == "copy"
    assert told == ["38 of 40 faces were aligned, 2 without a face were left out."]

    def refused(*_):
        raise ConfigError("There is a data set copy already.")

    monkeypatch.setattr(intake, "align", refused)
    for key, words in (("heads", "There is a data set copy already"), ("gone", "no data set")):
        *_, last = train.on_align(context, train.on_align_begin(context, key, "copy"))
        assert words in last[0]
        assert last[1].visible


# Marks.


def ask(context, work, **data):
    return beside(context, work)(data)


def test_marks_are_kept_for_each_set_and_outlive_the_session(context, place, heads_set):
    assert ask(context, asked.mark, set="heads", marks={"0": "1", "2": "0"}) == {}
    assert ask(context, asked.mark, set="heads", marks={"3": "1", "2": "?"}) == {}
    shown = marks.shown(context, "heads")
    assert shown["marks"] == "1??1" + "?" * 36
    assert marks.shown(context, EXAMPLE_KEY)["marks"].strip("?") == ""
    assert marks.kept("heads") == {heads_set.files[0]: "1", heads_set.files[3]: "1"}
    marks.file_of("heads").write_text("damaged")
    assert marks.kept("heads") == {}


def test_marks_can_begin_with_labels_and_be_forgotten(context, place, heads_set):
    shown = ask(context, asked.begin_with, set="heads", attribute="Smiling")
    values = heads_set.attribute("Smiling").tolist()
    assert shown["marks"] == "".join({1: "1", 0: "0", -1: "?"}[value] for value in values)
    assert ask(context, asked.forget, set="heads")["marks"] == "?" * 40
    wrong = ask(context, asked.begin_with, set="heads", attribute="Beard")
    assert "no attribute 'Beard'" in wrong["error"]


def test_a_page_of_pictures_is_one_sheet(context, place, heads_set):
    page = ask(context, asked.pictures, set="heads", rows=[3, 1, 4], size=32)
    assert page["names"] == [heads_set.files[row] for row in (3, 1, 4)]
    assert (page["columns"], page["size"]) == (2, 32)
    assert page["src"].startswith("data:image/jpeg;base64,")
    for rows in ([40], [-1], [], list(range(40)) * 4):
        assert "error" in ask(context, asked.pictures, set="heads", rows=rows, size=32)
    for wrong in ({"set": "heads", "marks": {"0": "yes"}}, {"set": "heads"}, {"set": "no"}):
        assert "error" in ask(context, asked.mark, **wrong)


def test_marks_are_saved_as_an_attribute_of_a_new_set(context, place, heads_set):
    with pytest.raises(ConfigError, match="Say first what you marked"):
        train.on_label(context, "heads", " ", "hats")
    with pytest.raises(DataError, match="No picture is marked"):
        train.on_label(context, "heads", "Funny", "hats")
    marks.mark(context, "heads", {0: "1", 1: "0", 5: "1"})
    chosen = train.on_label(context, "heads", "Funny", "hats")
    assert chosen.value == "hats"
    made = open_set(paths.data() / "hats")
    assert made.attribute("Funny").tolist()[:7] == [1, 0, -1, -1, -1, 1, -1]
    assert marks.kept("heads") == {}
    # Its own name adds the marks to a set.
    marks.mark(context, "hats", {2: "0"})
    assert train.on_label(context, "hats", "Funny", "hats").value == "hats"
    assert sources.data_of(context, "hats").attribute("Funny").tolist()[:3] == [1, 0, 0]


def test_marks_that_cannot_be_kept_are_refused(context, place, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(marks, "write_json", full)
    told = ask(context, asked.mark, set="heads", marks={"0": "1"})
    assert "The marks cannot be kept" in told["error"]
    assert "No space left" in told["error"]


# The form.


def test_two_clicks_suffice(context, place, started):
    (paths.data() / "smiling-heads").symlink_to((paths.data() / "heads").resolve())
    shown, _ = settled(context, "smiling-heads")
    # What the set is called after, from a model of such pictures, with what suits few of them.
    assert (shown.method, shown.parent, shown.tag) == ("genegan", PARENT, "my-smiling")
    assert (shown.attribute, shown.size) == ("Smiling", 32)
    assert (shown.steps, shown.batch_size, shown.save_every) == (2000, 16, 100)
    assert shown.few
    request = request_of(context, "smiling-heads", shown)
    assert request.fields == {"attribute": "Smiling", "adaptive_augmentation": True}
    assert (request.size, request.parent) == (32, PARENT)
    name = begun(context, shown, "smiling-heads")
    assert jobs.read(name).request.name == "genegan.my-smiling"
    # The next one gets another name at once.
    again, _ = settled(context, "smiling-heads")
    assert again.tag == "my-smiling-2"


def test_what_somebody_changed_is_not_proposed_anew(context, place):
    shown, proposed = settled(context, "heads")
    changed = replace(shown, steps=77, tag="mine", parent="", few=False)
    after, proposed = settled(context, "heads", changed, proposed)
    assert (after.steps, after.tag, after.parent, after.few) == (77, "mine", "", False)
    assert after.batch_size == 16
    # Nothing to start from: more steps are proposed where nobody asked for fewer.
    assert proposed.steps == proposals.STEPS["scratch"]
    other, _ = settled(context, "heads", replace(after, attribute="Eyeglasses"), proposed)
    assert (other.attribute, other.parent, other.steps) == ("Eyeglasses", "", 77)


def test_another_method_offers_its_own_parents_and_settings(context, place, make_checkpoint):
    make_checkpoint("attribute-mapping", tag="faces")
    shown, proposed = settled(context, "heads")
    fields = {"width": 8}
    method = replace(shown, method="attribute-mapping", fields=fields)
    proposed, *painted = train.on_settle(context, "heads", proposed, *train._sent(method))
    after = shown_form(painted)
    assert painted[1].choices == [
        ("attribute-mapping.faces", "attribute-mapping.faces"),
        ("Nothing (from scratch)", ""),
    ]
    # Rendered heads do not begin with a model of photographs.
    assert (after.parent, after.fields) == ("", {})
    assert painted[2].visible is False
    assert after.patience == 0
    assert not after.few


def test_a_model_that_came_can_be_started_from_at_once(context, place, make_checkpoint):
    make_checkpoint(tag="new")
    offered = train.on_arrival(context, "genegan", PARENT)
    assert [key for _, key in offered.choices] == ["genegan.heads-eyeglasses-64", "genegan.new",
                                                   "genegan.other", ""]  # fmt: skip
    # It sets no choice: another one may be on its way.
    assert "value" not in offered._constructor_args[0]
    assert train.on_arrival(context, "genegan", "genegan.gone").value == ""


def test_patience_is_proposed_only_where_something_is_held_out(context, place, monkeypatch):
    facts = sources.facts_of(context, "heads")
    for held_out, patience in ((4, proposals.PATIENCE), (3, 0)):
        known = replace(facts, validation=held_out)
        monkeypatch.setattr(sources, "facts_of", lambda *_, known=known: known)
        assert settled(context, "heads")[0].patience == patience


def test_names_are_checked_as_they_are_typed(context, place, started):
    def told(tag):
        return train.on_name(context, *train._sent(replace(SMALL, tag=tag)))

    assert "It will be called genegan.mine." in told("mine")
    assert "ls-refused" not in told("mine")
    assert "It needs a name." in told(" ")
    assert "is no checkpoint name" in told("My Hat")
    assert "There is a model genegan.other already" in told("other")
    begun(context)
    assert "A job is making genegan.mine already" in told("mine")


@pytest.mark.parametrize(
    ("form", "error", "message"),
    [
        (replace(SMALL, tag=""), ConfigError, "Give the new model a name"),
        (replace(SMALL, tag="other"), ConfigError, "checkpoint genegan.other already"),
        (replace(SMALL, tag="No name"), CheckpointError, "is no checkpoint name"),
        (replace(SMALL, attribute=""), ConfigError, "Choose what is to be learnt"),
        (replace(SMALL, attribute="Beard"), ConfigError, "Beard cannot be learnt from heads"),
        (replace(SMALL, parent="aeai.x"), CheckpointError, "no checkpoint 'aeai.x'"),
        (replace(SMALL, method="cyclic"), ConfigError, "was made by GeneGAN, and Cyclic GAN can"),
        (replace(SMALL, steps=0), ConfigError, "steps must be a whole number"),
        (replace(SMALL, batch_size=7), ConfigError, "batch_size must be even"),
        (replace(SMALL, fields={"width": "wide"}), ConfigError, "width must be a int"),
        (replace(SMALL, fields={"recipe": "mine"}), ConfigError, "recipe must be one of"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(
    context, place, started, form, error, message
):
    with pytest.raises(error, match=message):
        begun(context, form)
    assert started == []
    assert jobs.jobs() == []


def test_a_set_without_two_sides_says_where_to_mark(context, upload, heads_folder, started):
    lines = (heads_folder / "attributes.csv").read_text().splitlines()
    names = [line.partition(",")[0] for line in lines[1:]]
    one = packed(heads_folder, lines=["file,Hat", *(f"{name},1" for name in names)])
    key = sources.take(upload(one, "one.zip")["path"])
    for form in (SMALL, replace(SMALL, method="attributes", parent="", attribute="")):
        with pytest.raises(DataError, match=r"No attribute of one can be learnt.* under Label"):
            begun(context, form, key)


def test_a_full_disk_starts_nothing(context, place, started, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(jobs, "write_json", full)
    with pytest.raises(ConfigError, match="There is no space left for a job"):
        begun(context)
    assert list(paths.runs().iterdir()) == []


def test_settings_of_any_method_are_described(context):
    described = knobs.describe(context.store, "genegan", PARENT, {"width": 4, "flip": False})
    items = {item["name"]: item for item in described["items"]}
    assert {items[name]["kind"] for name in items} == {"switch", "whole", "number", "text"}
    assert items["width"]["base"] == 4
    assert items["nulling_weight"]["help"] == "Of |ε|."
    assert "attribute" not in items
    # What is as it was is not changed.
    assert described["changed"] == {"flip": False}
    scratch = knobs.describe(context.store, "genegan", "", {})["items"]
    assert {item["name"]: item["base"] for item in scratch}["width"] == 32
    other = knobs.describe(context.store, "genegan", "", {"recipe": "wgan-clip"})
    assert {item["name"]: item["base"] for item in other["items"]}["burst"] == 100
    assert other["changed"] == {"recipe": "wgan-clip"}
    assert all(
        knobs.describe(context.store, name, "", {})["items"] for name in proposals.METHOD_WORDS
    )


def test_every_method_has_words_and_none_is_left_out():
    offered = [name for _, name in proposals.method_choices()]
    assert sorted(offered) == sorted(knobs.methods.METHODS)


def test_only_what_was_changed_goes_into_the_request(context, place):
    request = request_of(context, "heads", replace(SMALL, fields={"nulling_weight": 2.0}))
    assert request.fields == {
        "nulling_weight": 2.0, "attribute": "Smiling", "adaptive_augmentation": False,
    }  # fmt: skip
    scratch = request_of(context, "heads", replace(SMALL, parent=""))
    assert scratch.fields["recipe"] == "hinge"
    plain = request_of(context, "heads", replace(SMALL, parent=""), modest=False)
    assert "recipe" not in plain.fields


def test_a_clone_fills_the_form_under_another_name(context, place, started):
    name = begun(context, replace(SMALL, fields={"nulling_weight": 2.0}, few=True))
    shown = train.on_clone(context, {"name": name})
    form = shown_form(shown[FORM:])
    assert (form.tag, form.steps, form.attribute, form.few) == ("mine-2", 40, "Smiling", True)
    assert form.fields == {"nulling_weight": 2.0}
    assert shown[SETS].value == "heads"
    after = replace(form, tag="mine")
    assert of_job(context.store, jobs.read(name)) == after


def cloned(context, request):
    """Start a job; return the key and the form of its clone, as the page sends them back."""
    shown = train.on_clone(context, {"name": jobs.submit(request)})
    return shown[SETS].value, shown_form(shown[FORM:]), shown


@pytest.mark.parametrize("fields", [{}, {"width": 8, "attribute": "Smiling"}])
def test_a_clone_asks_for_exactly_the_same(context, place, started, fields):
    (paths.data() / "more").mkdir()
    request = TrainRequest(
        "genegan", "far", place, fields, steps=2000, batch_size=16, size=32, save_every=100,
        only="expression=smile,neutral", also=str(paths.data() / "more"), terms="Ours.",
    )  # fmt: skip
    key, form, shown = cloned(context, request)
    assert request.only in shown[-1]
    assert "more are added" in shown[-1]
    job = jobs.jobs()[0].request
    again = request_of(context, key, form)
    assert replace(again, tag="far", data=job.data) == job
    # What is changed on the page changes alone, although other things would be proposed with it.
    proposed = shown[FORM - 1]
    changed = replace(form, fields={**form.fields, "flip": False}, seed=7)
    proposed, *painted = train.on_settle(context, key, proposed, *train._sent(changed))
    after = request_of(context, key, shown_form(painted))
    assert after.fields == {**fields, "flip": False}
    assert replace(after, fields=again.fields, seed=0) == again
    parent = replace(shown_form(painted), parent=PARENT)
    _, *painted = train.on_settle(context, key, proposed, *train._sent(parent))
    child = request_of(context, key, shown_form(painted))
    assert (child.parent, child.steps, child.fields["flip"]) == (PARENT, 2000, False)


def test_a_clone_on_other_data_keeps_its_settings_but_no_classes_of_the_old(
    context, place, started
):
    request = TrainRequest("genegan", "far", place, size=32, only="expression=smile")
    _, form, shown = cloned(context, request)
    told = train.on_pick(context, EXAMPLE_KEY, shown[FORM - 1], *train._sent(form))
    assert told[-1] == ""
    other = request_of(context, EXAMPLE_KEY, shown_form(told[FORM:]))
    assert (other.only, other.steps, "recipe" in other.fields) == ("", 5000, False)
    # Another method is another wish.
    method = replace(form, method="cyclic")
    _, *painted = train.on_settle(context, "heads", shown[FORM - 1], *train._sent(method))
    assert shown_form(painted).cloned is None


def test_a_clone_knows_data_that_is_not_in_the_home(context, heads_folder, started):
    request = TrainRequest("genegan", "far", str(heads_folder), {"attribute": "Smiling"}, size=32)
    name = jobs.submit(request)
    shown = train.on_clone(context, {"name": name})
    assert shown[SETS].value == f"job:{name}"
    assert sources.place(f"job:{name}") == heads_folder
    (place_of(name) / REQUEST).write_text("{}")
    with pytest.raises(ConfigError, match="cannot be cloned"):
        train.on_clone(context, {"name": name})


# The estimate.


def test_an_estimate_is_measured_once_for_what_costs_the_same(context, place, quick):
    def told(form):
        return list(train.on_measure(context, Work(""), "heads", *train._sent(form)))

    first = told(SMALL)
    assert "Measuring" in first[0]
    assert "About 4 s and 1.5 GB on this processor. Only 1.0 GB are free" in first[1]
    again = told(replace(SMALL, steps=6000, tag="other-one", patience=3))
    assert len(again) == 1
    assert "At most about 10 min" in again[0]
    assert len(quick) == 1
    told(replace(SMALL, batch_size=16))
    assert len(quick) == 2


def test_an_estimate_gives_way(context, place, quick, started, put):
    work = train.on_measure_begin(context, None)
    newer = train.on_measure_begin(context, work)
    assert list(train.on_measure(context, work, "heads", *train._sent(SMALL))) == []
    refused = list(train.on_measure(context, newer, "heads", *train._sent(replace(SMALL, tag=""))))
    assert "Give the new model a name" in refused[0]
    put(place_of(begun(context)), "running")
    busy = list(train.on_measure(context, newer, "heads", *train._sent(replace(SMALL, tag="next"))))
    assert "when nothing else trains" in busy[0]
    assert quick == []


# Jobs.


def looked(context, **data):
    return board.look(context, data)


def test_jobs_are_listed_the_newest_first_with_what_can_be_done(context, place, started, put):
    assert looked(context) | {"script": ""} == {
        "wait": board.LATER, "script": "", "jobs": [], "job": None, "seen": looked(context)["seen"],
    }  # fmt: skip
    first = begun(context)
    second = begun(context, replace(SMALL, tag="next"))
    put(place_of(first), "running")
    shown = looked(context)
    assert shown["wait"] == board.SOON
    assert [one["title"] for one in shown["jobs"]] == ["genegan.next", "genegan.mine"]
    assert [one["state"] for one in shown["jobs"]] == ["Waiting", "Training"]
    assert shown["job"]["name"] == second
    assert shown["job"]["status"] == "It waits until genegan.mine is through: one trains at a time."
    assert dict(shown["job"]["verbs"]) == {"cancel": "Cancel"}
    same = looked(context, name=second, seen=shown["seen"])
    assert "jobs" not in same
    other = looked(context, name=first, seen=shown["seen"])
    assert other["job"]["name"] == first
    verbs = [verb for verb, _ in other["job"]["verbs"]]
    assert verbs == ["stop", "save", "sample", "finish"]
    assert ["Learns", "Smiling"] in other["job"]["facts"]


def test_a_job_that_waits_for_somebody_else_is_not_next(context, place, started, put):
    with paths.acting_for("otto"):
        theirs = jobs.submit(TrainRequest("genegan", "ottos", place, size=32))
        folder = place_of(theirs)
    name = begun(context)
    put(place_of(name), "queued", device="cpu")
    for state, device, words in (
        ("queued", "cpu", "It waits for the device."),
        ("running", "cpu", "It waits for the device."),
        ("running", "cuda", "It is next."),
        ("succeeded", "cpu", "It is next."),
    ):
        put(folder, state, device=device)
        shown = looked(context, name=name)
        assert shown["job"]["status"] == words
        assert "otto" not in json.dumps(shown)
    # Whoever came later is not ahead.
    put(folder.rename(folder.with_name("9-later")), "queued", device="cpu")
    assert looked(context, name=name)["job"]["status"] == "It is next."


@pytest.mark.parametrize(
    ("state", "words", "verbs"),
    [
        ("paused", "Paused", ["resume", "delete"]),
        ("failed", "Failed", ["resume", "delete"]),
        ("cancelled", "Cancelled", ["resume", "delete"]),
        ("succeeded", "Done", ["delete"]),
    ],
)
def test_each_state_has_its_word_and_its_buttons(context, place, started, state, words, verbs, put):
    name = begun(context)
    put(place_of(name), state, error="The loss is not finite." if state == "failed" else "")
    (place_of(name) / jobs.LOG).write_text("Traceback of it")
    shown = looked(context)
    assert shown["job"]["state"] == words
    assert [verb for verb, _ in shown["job"]["verbs"]] == verbs
    assert shown["job"]["log"] == ("Traceback of it" if state == "failed" else "")
    (place_of(name) / board.STATE_CARD).write_text("{}")
    offered = [verb for verb, _ in looked(context)["job"]["verbs"]]
    assert ("finish" in offered) == (state in ("paused", "failed"))


def write_lines(name, *steps, extra=""):
    lines = [{"step": step, "seconds": step / 4, "loss": 1 / 3 + step} for step in steps]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    with (place_of(name) / PROGRESS).open("a") as file:
        file.write(text + extra)


def test_losses_come_as_they_are_written(context, place, started, put):
    name = begun(context)
    put(place_of(name), "running")
    write_lines(name, 1, 2, extra='{"step": 3, "los')
    shown = looked(context)
    assert shown["job"]["status"] == "Step 2 of 40, 4.0 steps/s, about 10 s left."
    news = shown["news"]
    assert (news["anew"], news["steps"]) == (True, [1, 2])
    assert news["terms"] == {"loss": [1.3333, 2.3333]}
    (place_of(name) / PROGRESS).write_text("")
    write_lines(name, 1, 2, 3, 4)
    more = looked(context, name=name, place=news["place"])["news"]
    assert (more["anew"], more["steps"]) == (False, [3, 4])
    assert looked(context, name=name, place=more["place"])["news"]["steps"] == []
    # It went back to a save: the file is shorter.
    (place_of(name) / PROGRESS).write_text("")
    write_lines(name, 1)
    back = looked(context, name=name, place=more["place"])["news"]
    assert (back["anew"], back["steps"]) == (True, [1])
    # Another job's place means nothing here.
    assert looked(context, name="other", place=more["place"])["news"]["steps"] == [1]


def test_sample_sheets_are_listed_and_named_row_by_row(context, place, started):
    name = begun(context)
    folder = place_of(name) / board.jobs.SHEETS
    folder.mkdir()
    png = images.encode_png(np.zeros((8, 8, 3), np.uint8))
    for step in (10, 20):
        (folder / f"{step:08d}.png").write_bytes(png)
    (folder / "notes.txt").touch()
    job = looked(context)["job"]
    assert job["sheets"] == [10, 20]
    assert job["rows"] == list(board._SWAP_ROWS)
    shown = ask(context, asked.sheet, name=name, step=20)
    assert (shown["step"], shown["src"][:22]) == (20, "data:image/png;base64,")
    assert "no sample sheet of step 15" in ask(context, asked.sheet, name=name, step=15)["error"]


def test_buttons_do_what_they_say(context, place, started, put):
    name = begun(context)
    put(place_of(name), "running")
    for verb, file in (("stop", "stop"), ("save", "save-now"), ("sample", "sample-now")):
        assert ask(context, asked.act, name=name, verb=verb) == {}
        assert (place_of(name) / file).exists()
    assert ask(context, asked.act, name=name, verb="finish") == {}
    assert "stop it first" in ask(context, asked.act, name=name, verb="delete")["error"]
    put(place_of(name), "paused")
    assert ask(context, asked.act, name=name, verb="resume") == {}
    assert started == [place_of(name)] * 2
    put(place_of(name), "cancelled")
    assert ask(context, asked.act, name=name, verb="delete") == {}
    assert jobs.jobs() == []
    assert "There is no job" in ask(context, asked.act, name=name, verb="stop")["error"]
    assert (
        "cannot be asked to explode" in ask(context, asked.act, name=name, verb="explode")["error"]
    )
    assert "error" in ask(context, asked.act, name=name)


def test_a_folder_that_was_edited_by_hand_spoils_no_other_job(context, place, started, put):
    sound = begun(context)
    put(place_of(sound), "paused")
    broken = [begun(context, replace(SMALL, tag=f"tag{number}")) for number in range(4)]
    for name in broken:
        put(place_of(name), "paused")
    (place_of(broken[0]) / REQUEST).write_text("[1, 2]")
    (place_of(broken[1]) / PROGRESS).write_text('5\nnull\n{"step": "x"}\n\x00\n{"step": 7}\n{')
    (place_of(broken[2]) / STATUS).unlink()
    os.utime(place_of(broken[2]) / REQUEST, (0, 0))
    (place_of(broken[3]) / jobs.NOTES).write_text('{"text": 5}\nnonsense\n')
    shown = looked(context, name=broken[0])
    assert len(shown["jobs"]) == 5
    assert "request.json cannot be used" in shown["job"]["error"]
    assert [verb for verb, _ in shown["job"]["verbs"]] == ["delete"]
    assert looked(context, name=broken[1])["news"]["steps"] == [7]
    gone = looked(context, name=broken[2])["job"]
    assert (gone["state"], gone["error"][:27]) == ("Failed", "Its status.json is missing ")
    jobs.delete(broken[2])
    assert looked(context, name=broken[3])["job"]["notes"] == []
    assert looked(context, name=sound)["job"]["title"] == "genegan.mine"


def test_what_happened_to_a_job_is_told(context, place, started):
    name = begun(context)
    (place_of(name) / jobs.NOTES).write_text('{"step": 9, "text": "It went back."}\n')
    assert looked(context)["job"]["notes"] == ["Step 9: It went back."]


def test_a_finished_model_is_opened_with_pictures_of_its_own_data(
    context, place, started, make_checkpoint, upload_folder, put
):
    name = begun(context)
    with pytest.raises(TrainingError, match="has made no model that is still there"):
        train.on_open(context, {"name": name})
    make_checkpoint(
        tag="mine", config={**context.store.card(PARENT).config, "attribute": "Smiling"}
    )
    put(place_of(name), "succeeded", checkpoint="anywhere/genegan.mine")
    job = looked(context)["job"]
    assert (job["checkpoint"], job["share"]) == ("genegan.mine", 1.0)
    assert {key for key, _ in job["opens"]} == {"attributes", "swap", "interpolate"}
    model, (without, with_it) = train.on_open(context, {"name": name})
    assert model == "genegan.mine"
    labels = dict(zip((file[:-4] for file in open_set(place_data()).files), smiles(), strict=True))
    assert (labels[without.name], labels[with_it.name]) == (0, 1)
    assert (with_it.width, with_it.height) == (256, 256)
    assert train.on_card(context, {"checkpoint": "genegan.mine"}).selected == "models"
    with pytest.raises(CheckpointError):
        train.on_card(context, {"checkpoint": "genegan.gone"})


def place_data():
    return paths.data() / "heads"


def smiles():
    return open_set(place_data()).attribute("Smiling").tolist()
