import csv
import io
import json
import shutil
import zipfile
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from studio import paths
from studio.augment import STATE, part, random_doubling, work
from studio.augment import augment as carry_out
from studio.data.folder import TABLE, open_set
from studio.errors import ConfigError, DataError, UnsupportedError
from studio.ui import augmenting, figures
from studio.ui.augmenting import BALANCED, BEFORE, DOUBLED, Settings
from studio.ui.context import Context
from studio.ui.sets import EXAMPLE, EXAMPLE_KEY, find_set, sets
from studio.ui.tabs import augment

MAPPING, DCGAN, STARGAN = (f"{name}.tiny" for name in ("attribute-mapping", "dcgan", "stargan"))
CLASSIFIER = "attributes.tiny"
PLAIN = Settings(checkpoint=MAPPING, most=1, name="new", seed=3)
# Where paint puts things, behind the location.
SETS, ABOUT_DATA, ABOUT, BEGUN = range(1, 5)
CHECKPOINT, STRATEGY, SOURCE, AMOUNT, MOST, VARIATION, JUDGE, AGREEMENT, SSIM, NAME, SEED = range(
    5, 16
)
LEAD, TAIL, TAIL_TABLE, PAIRS_LEAD, PAIRS, PAIRS_TABLE = range(16, 22)
# Where a run puts things.
STATUS, START, STOP, RESULT, REPORT, MADE, PACK = range(7)


@pytest.fixture
def context(make_checkpoint, models):
    for method in ("attribute-mapping", "dcgan", "stargan", "attributes", "genegan"):
        make_checkpoint(method)
    return Context(models)


@pytest.fixture
def training(heads_set):
    return heads_set.part("train")


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(part, "BATCH", 8)
    monkeypatch.setattr(work, "BATCH", 8)


def values(settings):
    """Return what the page sends for settings."""
    return [getattr(settings, name) for name in Settings.__dataclass_fields__]


def changed(context, place, settings=PLAIN):
    return augment.on_change(context, place, *values(settings))


def begun(context, place, settings=PLAIN):
    return augment.on_begin(context, place, *values(settings))[0]


def run_through(context, place, settings=PLAIN):
    """Start a run and return its handle and all that the page showed."""
    run = begun(context, place, settings)
    return run, list(augment.on_run(context, run))


def zipped(folder, table=True):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(folder.iterdir()):
            if table or file.name != TABLE:
                archive.write(file, file.name)
    return content.getvalue()


def labels_of(data):
    return data.attribute_matrix(("Eyeglasses", "Smiling"))


# Where the data comes from.


def test_sets_of_the_home_are_listed_and_unfinished_ones_are_not(place, heads_folder):
    shutil.copy(heads_folder / TABLE, paths.data() / "faces.csv")
    (paths.data() / "faces.zip").write_bytes(zipped(heads_folder, table=False))
    for name in ("begun.part", ".hidden", "no table"):
        (paths.data() / name).mkdir()
    (paths.data() / "begun.part" / TABLE).touch()
    assert sets(labelled=True) == ["faces.zip", "heads"]
    assert len(open_set(paths.data() / "faces.zip").attributes) == 8


def test_the_tab_opens_with_the_first_set_that_can_be_read(context, place, training):
    (paths.data() / "a.zip").write_bytes(b"no zip")
    shown = augment.on_show(context, "", *values(Settings()))
    assert shown[0] == place
    assert (shown[SETS].value, shown[NAME]) == ("heads", "heads-new")
    assert [name for name, _ in shown[SETS].choices] == ["a.zip", "heads", "Rendered heads"]
    assert shown[CHECKPOINT].value == MAPPING
    counts = {name: int((column == 1).sum()) for name, column in training.attributes.items()}
    rare, common = (choose(counts.values()) / len(training) for choose in (min, max))
    assert f"{len(training)} training pictures and 8 attributes" in shown[ABOUT_DATA]
    assert f"({rare:.1%}), the commonest" in shown[ABOUT_DATA]
    assert f"({common:.1%})." in shown[ABOUT_DATA]
    again = augment.on_show(context, place, *values(replace(PLAIN, name="mine")))
    assert again[NAME] == "mine"


def test_where_nobody_has_data_the_rendered_heads_are_there(context):
    shown = augment.on_show(context, "", *values(Settings()))
    assert shown[0] == str(EXAMPLE)
    assert shown[SETS].value == EXAMPLE_KEY
    assert "heads has 480 training pictures" in shown[ABOUT_DATA]
    assert shown[TAIL].visible
    again = augment.on_pick(context, "", EXAMPLE_KEY, *values(PLAIN))
    assert again[0] == str(EXAMPLE)


def test_without_data_or_models_the_tab_says_what_to_do(models, home, monkeypatch, tmp_path):
    monkeypatch.setattr(augmenting, "EXAMPLE", tmp_path / "nowhere.zip")
    empty = Context(models)
    shown = augment.on_show(empty, "", *values(Settings()))
    assert shown[0] == ""
    assert "latent-studio data render heads --count 400" in shown[LEAD]
    assert "--method attribute-mapping" in shown[ABOUT]
    assert not shown[TAIL].visible
    with pytest.raises(ConfigError, match="Choose or upload a data set first"):
        augment.on_begin(empty, "", *values(PLAIN))
    assert not home.exists()


def test_a_set_that_is_gone_or_unreadable_is_refused(context, place):
    (paths.data() / "bad.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"^bad\.zip is not a readable zip file"):
        augment.on_pick(context, place, "bad.zip", *values(PLAIN))
    for name in ("gone", "../heads"):
        with pytest.raises(DataError, match="There is no data set"):
            augment.on_pick(context, place, name, *values(PLAIN))


def test_an_uploaded_zip_is_used_where_it_is(context, upload, heads_folder, training):
    file = upload(zipped(heads_folder), "faces.zip")["path"]
    shown = augment.on_upload(context, "", file, *values(PLAIN))
    assert shown[0] == file
    assert shown[NAME] == "faces-new"
    assert f"faces has {len(training)} training pictures" in shown[ABOUT_DATA]
    assert shown[SETS].value is None


@pytest.mark.parametrize("name", ["/etc/passwd", "", None])
def test_only_uploads_are_taken(context, upload_folder, name):
    with pytest.raises(DataError, match="No zip was received"):
        augment.on_upload(context, "", name, *values(PLAIN))


def test_uploads_that_are_no_set_are_refused(context, upload, heads_folder):
    for content, name, message in (
        (b"pixels", "a.png", "No zip was received"),
        (b"no zip", "a.zip", r"^a\.zip is not a readable zip file"),
        (zipped(heads_folder, table=False), "b.zip", r"b\.zip has no attributes: it needs a table"),
    ):
        with pytest.raises(DataError, match=message):
            augment.on_upload(context, "", upload(content, name)["path"], *values(PLAIN))


# Plans.


def test_plots_hold_the_counts_before_and_after(context, place, training):
    shown = augmenting.preview(context, place, PLAIN)
    labels, count = labels_of(training), len(training)
    before = (labels == 1).sum(axis=0)
    order = np.argsort(-before, kind="stable")
    doubled = before + (random_doubling(labels, 3).targets == 1).sum(axis=0)
    series = shown.singles.series
    assert shown.singles.names == tuple(np.array(["Eyeglasses", "Smiling"])[order])
    assert series[BEFORE] == tuple(before[order])
    assert series[DOUBLED] == tuple(doubled[order])
    # With two attributes each new picture has the one that is rarer so far, and lacks the other.
    assert sum(series[BALANCED]) == before.sum() + count
    assert abs(np.subtract(*series[BALANCED])) <= 1
    both = int((labels == 1).all(axis=1).sum())
    assert (shown.pairs.series[BEFORE], shown.pairs.series[BALANCED]) == ((both,), (both,))
    assert shown.pictures == {BEFORE: count, DOUBLED: 2 * count, BALANCED: 2 * count}
    words = list(shown.sentences())
    assert words[0] == (
        f"Now, an attribute is in {before.min()} to {before.max()} of {count} pictures."
    )
    assert len(words) == 3


def test_the_page_shows_them_as_figures_and_as_tables(context, place):
    shown = changed(context, place)
    preview = augmenting.preview(context, place, PLAIN)
    for plot, table, tails in (
        (TAIL, TAIL_TABLE, preview.singles),
        (PAIRS, PAIRS_TABLE, preview.pairs),
    ):
        traces = json.loads(shown[plot].value["plot"])["data"]
        assert {trace["name"]: tuple(trace["x"]) for trace in traces} == tails.series
        assert len(traces) == 3
        assert shown[plot].visible
        for name, *counts in zip(tails.names, *tails.series.values(), strict=True):
            cells = "".join(f"<td>{number}</td>" for number in counts)
            assert f'<th scope="row">{name}</th>{cells}' in shown[table]


def test_figures_name_their_axes_and_what_they_count():
    figure = figures.tails(
        ["A\n+ b", "B"],
        {"Before": [5, 1], "After": [5, 4]},
        kind="Attribute",
        unit="Pictures",
        gap=1,
    )
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == (
        "Pictures",
        "Attribute",
    )
    assert [trace.name for trace in figure.data] == ["Before", "After"]
    assert figure.layout.yaxis.ticktext == ("A<br>+ b", "B")
    # The first name is on top, and a finger that scrolls the page moves no axis.
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    assert figure.layout.xaxis.fixedrange
    assert figure.layout.yaxis.fixedrange
    assert figure.layout.shapes[0].y0 == 0.5
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_of_many_pairs_the_commonest_and_the_rarest_are_shown(context, place):
    shown = augmenting.preview(context, place, replace(PLAIN, checkpoint=""))
    assert len(shown.singles.names) == 8
    # 8 attributes make 28 pairs, fewer than are shown.
    assert (len(shown.pairs.names), shown.gap) == (28, None)
    many = np.random.default_rng(0).integers(0, 2, (50, 12)).astype(np.int8)
    tails, gap = augmenting._pairs([f"A{number}" for number in range(12)], {BEFORE: many})
    assert (len(tails.names), gap) == (40, 20)
    counts = tails.series[BEFORE]
    assert all(one >= other for one, other in pairwise(counts))


def test_large_sets_are_counted_in_part_and_that_is_said(context, place, monkeypatch):
    monkeypatch.setattr(augmenting, "MOST_PICTURES", 10)
    shown = augmenting.preview(context, place, PLAIN)
    assert shown.pictures[BEFORE] == shown.counted == 10
    assert list(shown.sentences())[-1].startswith("The plots count 10 of the ")


def test_what_cannot_be_planned_is_said_instead(context, place):
    shutil.copytree(place, paths.data() / "one")
    with (paths.data() / "one" / TABLE).open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["file", "partition", "Smiling"])
        writer.writerows([f"{number:06}.png", 0, number % 2] for number in range(40))
    one = find_set("one", labelled=True)
    shown = changed(context, one)
    assert "Dynamic balancing is not possible: Balancing sets the 1 commonest" in shown[LEAD]
    assert not shown[MOST].visible
    with pytest.raises(ConfigError, match="share only Smiling; choose random doubling"):
        augment.on_begin(context, one, *values(PLAIN))
    with (paths.data() / "one" / TABLE).open("w", newline="") as table:
        csv.writer(table).writerows([["file", "Beard"], ["000000.png", 1], ["000001.png", 0]])
    stranger = changed(context, find_set("one", labelled=True))
    assert "none of which attribute-mapping.tiny knows" in stranger[LEAD]
    assert not stranger[TAIL].visible


# Options.


@pytest.mark.parametrize(
    ("checkpoint", "known"),
    [(MAPPING, ["attributes", "photo"]), (DCGAN, ["attributes"]), (STARGAN, ["photo"])],
)
def test_what_pictures_are_made_from_follows_the_checkpoint(context, place, checkpoint, known):
    shown = changed(context, place, replace(PLAIN, checkpoint=checkpoint))
    assert [value for _, value in shown[SOURCE].choices] == known
    assert shown[SOURCE].value == known[0]
    assert shown[VARIATION].visible == (known[0] == "attributes")


def test_only_checkpoints_that_make_or_change_faces_are_offered(context, place):
    shown = changed(context, place)
    assert [name for _, name in shown[CHECKPOINT].choices] == [MAPPING, DCGAN, STARGAN]
    assert [name for _, name in shown[JUDGE].choices] == ["", CLASSIFIER]


def test_options_follow_strategy_and_data(context, place):
    balancing = changed(context, place)
    assert balancing[AMOUNT].visible
    assert not balancing[MOST].visible  # two attributes allow one each way
    assert balancing[AGREEMENT] == 0.6
    doubling = augment.on_strategy(context, place, *values(replace(PLAIN, strategy="doubling")))
    assert not doubling[AMOUNT].visible
    assert doubling[AGREEMENT] == 1.0
    assert "exactly one attribute" in doubling[STRATEGY].info
    wide = changed(context, place, replace(PLAIN, most=8))
    assert wide[MOST].value == 1


def test_moving_a_slider_plans_anew_and_leaves_the_controls(context, place, training):
    shown = augment.on_plan(context, place, *values(replace(PLAIN, amount=2)))
    assert len(shown) == 6
    assert f"of {3 * len(training)} pictures" in shown[0]


# Runs.


def test_a_run_writes_a_set_with_the_labels_of_its_plan(context, place, training):
    run, shown = run_through(context, place)
    made = open_set(paths.data() / "new")
    assert len(made) == len(training)
    assert run.report.finished
    counts = (labels_of(made) == 1).sum(axis=0) + (labels_of(training) == 1).sum(axis=0)
    planned = augmenting.preview(context, place, PLAIN).singles.series[BALANCED]
    assert sorted(counts) == sorted(planned)
    last = shown[-1]
    assert "new is ready: " in last[REPORT]
    assert last[RESULT].visible
    assert last[PACK].visible
    assert (last[START].interactive, last[STOP].interactive) == (True, False)
    assert len(last[MADE]["items"]) == augmenting.SHOWN
    assert all(item["src"].startswith("data:image/png") for item in last[MADE]["items"])
    assert "new" in sets(labelled=True)


@pytest.mark.parametrize("checkpoint", [DCGAN, STARGAN])
def test_doubling_turns_over_one_label_of_each(context, place, training, checkpoint):
    source = "photo" if checkpoint == STARGAN else "attributes"
    asked = replace(PLAIN, checkpoint=checkpoint, strategy="doubling", source=source, amount=3.0)
    run_through(context, place, asked)
    made = open_set(paths.data() / "new")
    assert ((labels_of(made) != labels_of(training)).sum(axis=1) == 1).all()


def test_a_stopped_run_is_kept_and_start_goes_on(context, place, small_batches, monkeypatch):
    run = begun(context, place)

    def stop_early(done, total):
        run.stop.set() if done >= 16 else None
        run.done, run.total = done, total

    monkeypatch.setattr(run, "progress", stop_early)
    *_, last = augment.on_run(context, run)
    assert "new stopped at 16 of " in last[REPORT]
    assert not last[PACK].visible
    assert len(list((paths.data() / "new.part").glob("*.png"))) == 16
    assert (paths.data() / "new.part" / STATE).is_file()
    assert sets(labelled=True) == ["heads"]
    shown = changed(context, place)
    assert [name for _, name in shown[BEGUN].choices] == ["new"]
    # A visitor who comes later gets the settings back, and goes on.
    restored = augment.on_restore(context, place, "new", *values(Settings()))
    again = replace(PLAIN, seed=restored[SEED], name=restored[NAME])
    assert again == PLAIN
    second, _ = run_through(context, place, again)
    assert second.report.finished
    assert second.report.resumed
    assert not (paths.data() / "new.part").exists()
    assert augmenting.unfinished() == []


def test_stopping_reaches_a_run_that_waits_for_its_turn(context, place):
    run = begun(context, place)
    status, button = augment.on_stop(context, run)
    assert "Stopping" in status
    assert not button.interactive
    *_, last = augment.on_run(context, run)
    assert "new stopped at 0 of" in last[REPORT]
    assert last[MADE]["items"] == []
    with pytest.raises(ConfigError, match="Nothing is being made"):
        augment.on_stop(context, None)


def test_leaving_the_page_stops_the_run(context, place, monkeypatch, small_batches):
    monkeypatch.setattr(augmenting, "PAUSE", 0)
    run = begun(context, place, replace(PLAIN, amount=3.0))
    shown = augment.on_run(context, run)
    next(shown)
    shown.close()
    assert run.stop.is_set()
    assert not (paths.data() / "new").exists()


def test_a_mistake_in_a_run_is_told_in_its_place(context, place):
    (paths.data() / "new.part").mkdir()
    (paths.data() / "new.part" / "other").touch()
    _, shown = run_through(context, place)
    assert 'role="alert"' in shown[-1][STATUS]
    assert "is no unfinished augmentation" in shown[-1][STATUS]
    assert (shown[-1][START].interactive, shown[-1][STOP].interactive) == (True, False)


@pytest.mark.parametrize("name", ["", "a b", "../new", "a/b", "é", "x" * 65])
def test_names_are_checked(context, place, name):
    with pytest.raises(ConfigError, match="letters, digits, - and _"):
        augment.on_begin(context, place, *values(replace(PLAIN, name=name)))


def test_taken_names_and_senseless_numbers_are_refused(context, place):
    for changes, message in (
        ({"name": "heads"}, "There is a data set heads already"),
        ({"amount": 100.0}, r"amount goes from 0\.25 to 3, not to 100"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"checkpoint": ""}, "no model yet that makes or changes faces"),
    ):
        with pytest.raises(ConfigError, match=message):
            augment.on_begin(context, place, *values(replace(PLAIN, **changes)))
    assert [path.name for path in paths.data().iterdir()] == ["heads"]


def test_suggested_names_are_free(heads_set, place):
    assert augmenting.suggest(heads_set) == "heads-new"
    (paths.data() / "heads-new.part").mkdir()
    assert augmenting.suggest(heads_set) == "heads-new-2"
    assert augmenting.suggest(replace(heads_set, name="my heads é")) == "my-heads-new"


def test_the_report_says_what_was_refused_and_how_counts_are_spread(context, place, training):
    run = begun(context, place, replace(PLAIN, strategy="doubling"))
    quiet = (lambda done, total: None, lambda: False)
    data = augmenting.open_data(context, place)
    report = carry_out(context.models, run.request, data, run.output, *quiet)
    refused = replace(
        report,
        accepted=report.accepted - 3,
        rejected={"agreement": 3, "ssim": 0},
        left_out={MAPPING: ("Bald", "Wearing_Hat"), CLASSIFIER: ()},
    )
    words = list(augmenting.told(run, refused))
    count = len(training)
    assert len(words) == 4
    assert words[0].startswith(f"new is ready: {count - 3} new pictures with their labels, out of ")
    assert words[1] == (
        "3 were refused: the classifier did not see enough of the changed attributes in them."
    )
    assert words[2] == f"Not changed, because {MAPPING} does not know them: bald, wearing hat."
    before = report.balance.before
    assert f"was in {before.least} to {before.most} of {count} pictures" in words[3]
    assert f"(standard deviation {before.deviation:.1f})" in words[3]
    pictures, captions = zip(*augmenting.samples(report), strict=True)
    assert pictures[0].shape == (32, 32, 3)
    assert all(len(caption.split(",")) == 1 for caption in captions)


def test_captions_name_what_came_before_what_went():
    asked = [("Smiling", 0), ("Wearing_Hat", 1), ("Bald", 1), ("Young", 0), ("Male", 0)]
    operations = [{"attribute": name, "to": value} for name, value in asked]
    words = augmenting.changes(operations).replace("\N{NO-BREAK SPACE}", " ")
    assert words == f"+ wearing hat, + bald, {augmenting.MINUS} smiling and 2 more"
    assert augmenting.changes([]) == "nothing changed"


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0, 96, 0, 0.5), "0 of 96 pictures."),
        ((64, 96, 64, 2.0), "64 of 96 pictures, 32 a second, about 1 s left."),
        ((1200, 30000, 200, 1.0), "1,200 of 30,000 pictures, 200 a second, about 2 min left."),
        ((1, 61, 1, 60.0), "1 of 61 pictures, 1 a minute, about 60 min left."),
    ],
)
def test_progress_says_how_long_it_takes(numbers, words):
    assert augmenting.progress_words(*numbers) == words


def test_a_finished_set_is_packed_on_request_and_opens_again(context, place, upload_folder):
    with pytest.raises(ConfigError, match="no finished set"):
        augment.on_pack(context, begun(context, place))
    run, _ = run_through(context, place)
    assert list(upload_folder.iterdir()) == []
    value = augment.on_pack(context, run).value
    packed = open_set(next(upload_folder.glob("*/new.zip")))
    assert "new.zip" in str(value)
    made = open_set(run.output)
    assert packed.files == made.files
    assert np.array_equal(labels_of(packed), labels_of(made))
    shutil.rmtree(run.output)
    with pytest.raises(DataError, match="new cannot be packed"):
        augment.on_pack(context, run)


def test_unfinished_sets_that_cannot_go_on_here_are_refused(context, place, small_batches):
    run = begun(context, place)
    run.stop.set()
    list(augment.on_run(context, run))
    with pytest.raises(ConfigError, match="no unfinished set 'other'"):
        augment.on_restore(context, place, "other", *values(PLAIN))
    shutil.rmtree(paths.user_checkpoints() / MAPPING)
    with pytest.raises(ConfigError, match=f"begun with {MAPPING}, which is not there"):
        augment.on_restore(context, place, "new", *values(PLAIN))
    (paths.data() / "new.part" / STATE).write_text("{}")
    with pytest.raises(ConfigError, match="is damaged; give the new set another name"):
        augment.on_restore(context, place, "new", *values(PLAIN))


def test_data_that_the_checkpoint_would_misread_is_refused_in_place(context, place):
    shutil.copytree(place, paths.data() / "free")
    table = paths.data() / "free" / TABLE
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([f"{head},alignment", *(f"{row},none" for row in rows)]) + "\n")
    _, shown = run_through(context, find_set("free", labelled=True))
    assert "works on pictures of alignment celeba" in shown[-1][STATUS]
    assert not (paths.data() / "new.part").exists()
    with pytest.raises(UnsupportedError):
        augmenting.planned(
            context,
            replace(augmenting.open_data(context, place), attributes={"Beard": np.ones(40)}),
            PLAIN,
        )
