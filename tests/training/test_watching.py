"""What people ask of a run while it goes on, and what it notices by itself."""

import csv
import errno
import json
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch

from studio import paths
from studio.checkpoints import Card, CheckpointStore
from studio.data.folder import TABLE
from studio.errors import ConfigError, TrainingError
from studio.training import run as run_module
from studio.training.guards import DivergenceError
from studio.training.heldout import HeldOut
from studio.training.run import run
from studio.training.saves import Saves
from studio.training.status import (
    FINISH,
    NOTES,
    PROGRESS,
    SAMPLE,
    SAVE,
    SHEETS,
    STOP,
    read_lines,
)
from studio.training.trainer import Trainer

WISHES = {"save": SAVE, "sample": SAMPLE, "finish": FINISH, "stop": STOP}


@pytest.fixture
def request_(request_, heads_folder, tmp_path_factory):
    """Return the request on a set of which every fifth picture is held out."""
    folder = tmp_path_factory.mktemp("held") / "heads"
    shutil.copytree(heads_folder, folder)
    with (folder / TABLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / TABLE).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "partition": int(k % 5 == 0)} for k, row in enumerate(rows))
    return replace(request_, data=str(folder))


def asking(folder, **wishes):
    """Return a report that asks for things after given steps."""

    def report(step, terms):
        for wish, at in wishes.items():
            if step == at:
                (folder / WISHES[wish]).touch()

    return report


def notes(folder):
    return [line["text"] for line in read_lines(folder / NOTES)]


def card_of(request):
    return Card.read(paths.user_checkpoints() / request.name)


def weights(name):
    return CheckpointStore(paths.user_checkpoints()).load(name)[0].state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_save_and_a_sheet_are_made_when_asked_for(request_, tmp_path):
    request = replace(request_, steps=8, save_every=100)
    run(request, tmp_path, report=asking(tmp_path, sample=2, save=5))
    assert sorted(path.stem for path in (tmp_path / SHEETS).iterdir()) == [
        "00000002",
        "00000005",
        "00000008",
    ]
    assert [one.step for one in Saves(tmp_path).kept()] == [8, 5]
    assert not (tmp_path / SAVE).exists()
    assert not (tmp_path / SAMPLE).exists()


def test_asking_changes_nothing_of_the_training(request_, tmp_path):
    run(request_, tmp_path / "plain")
    asked = replace(request_, tag="asked")
    run(asked, tmp_path / "asked", report=asking(tmp_path / "asked", sample=1, save=3))
    assert same(weights(request_.name), weights(asked.name))


def test_a_run_that_is_finished_early_becomes_a_checkpoint_of_so_many_steps(request_, tmp_path):
    request = replace(request_, steps=50, save_every=100)
    assert run(request, tmp_path, report=asking(tmp_path, finish=3)) is not None
    assert card_of(request).step == 3
    assert card_of(request).training["total_steps"] == 3


def test_a_paused_run_can_be_finished_where_it_stands(request_, tmp_path):
    request = replace(request_, steps=50, save_every=100)
    assert run(request, tmp_path, report=asking(tmp_path, stop=4)) is None
    (tmp_path / STOP).unlink()
    (tmp_path / FINISH).touch()
    assert run(request, tmp_path) is not None
    assert card_of(request).step == 4
    assert len(read_lines(tmp_path / PROGRESS)) == 4


def test_a_stage_that_others_follow_cannot_be_the_last(request_, tmp_path):
    fields = {"width": 4, "levels": 3, "blocks": 1, "latent": 6, "classifier_width": 4,
              "critic_width": 4, "critic_units": 8}  # fmt: skip
    staged = replace(request_, method="attribute-mapping", fields=fields, steps=12)
    run(staged, tmp_path, report=asking(tmp_path, finish=1))
    assert card_of(staged).step == 12
    assert notes(tmp_path) == [
        "It cannot end here: the stage classifier has not begun. It goes on."
    ]
    assert not (tmp_path / FINISH).exists()


@pytest.fixture
def judged(monkeypatch):
    """Let held-out results be those of a list, then its last."""

    def judge(results):
        numbers = count()

        def error(self, model):
            if self.batch is None:
                return None
            return results[min(next(numbers), len(results) - 1)]

        monkeypatch.setattr(HeldOut, "error", error)

    return judge


def test_held_out_results_stand_beside_the_losses(request_, tmp_path):
    run(request_, tmp_path)
    lines = read_lines(tmp_path / PROGRESS)
    assert [line["step"] for line in lines if "held_out" in line] == [2, 4]
    assert all(0 < line["held_out"] < 2 for line in lines if "held_out" in line)


def test_training_ends_when_nothing_got_better_for_as_long_as_asked(request_, tmp_path, judged):
    # The first is asked for before training, to see whether there is one.
    judged([9.0, 0.5, 0.3, 0.4, 0.31, 0.2])
    request = replace(request_, steps=100, patience=2, tag="early")
    run(request, tmp_path / "early")
    assert [line["step"] for line in read_lines(tmp_path / "early" / PROGRESS)][-1] == 8
    assert card_of(request).step == 4
    assert "best at step 4" in notes(tmp_path / "early")[0]
    # What is shipped is what it was then.
    run(replace(request, tag="best", patience=0, steps=4), tmp_path / "best")
    assert same(weights("genegan.early"), weights("genegan.best"))


def test_how_long_it_has_waited_survives_a_pause(request_, tmp_path, judged):
    judged([9.0, 0.3, 0.4, 9.0, 0.5, 0.2])
    request = replace(request_, steps=100, patience=2)
    assert run(request, tmp_path, report=asking(tmp_path, stop=4)) is None
    (tmp_path / STOP).unlink()
    run(request, tmp_path)
    assert [line["step"] for line in read_lines(tmp_path / PROGRESS)][-1] == 6
    assert card_of(request).step == 2


def test_to_stop_early_takes_a_result_on_held_out_pictures(request_, tmp_path):
    with pytest.raises(ConfigError, match="DCGAN needs a result on held-out pictures"):
        run(replace(request_, method="dcgan", fields={}, patience=1), tmp_path / "one")
    staged = replace(request_, method="attribute-mapping", fields={}, steps=40, patience=1)
    with pytest.raises(ConfigError, match="trains in stages"):
        run(staged, tmp_path / "two")


def test_a_run_that_goes_wrong_goes_back_to_a_save_from_before(request_, tmp_path, monkeypatch):
    def see(self, step, terms):
        if step == 7:
            raise DivergenceError("The loss grew", 3)

    with monkeypatch.context() as patch:
        patch.setattr(run_module.Guard, "see", see)
        with pytest.raises(
            TrainingError, match=r"The loss grew at step 7: .*last good save, step 4"
        ):
            run(replace(request_, steps=10), tmp_path)
    assert "step 4" in notes(tmp_path)[0]
    # Saves of 4 and 6 were kept, 3 is before both: the older one is what there is.
    assert [one.step for one in Saves(tmp_path).kept()] == [4]
    # What went wrong can be looked at until somebody goes on.
    assert read_lines(tmp_path / PROGRESS)[-1]["step"] == 6
    run(replace(request_, steps=10), tmp_path)
    run(replace(request_, steps=10, tag="straight"), tmp_path / "straight")
    assert same(weights("genegan.test"), weights("genegan.straight"))


def test_a_run_that_goes_wrong_before_a_save_says_so(request_, tmp_path, monkeypatch):
    def see(self, step, terms):
        raise DivergenceError("The loss grew", step)

    monkeypatch.setattr(run_module.Guard, "see", see)
    with pytest.raises(TrainingError, match="went back to its beginning, having no save"):
        run(request_, tmp_path)


def test_collapsed_pictures_are_not_saved_over_good_ones(request_, tmp_path, monkeypatch):
    results = iter([0.8, 0.8, 0.01, 0.01])
    monkeypatch.setattr(HeldOut, "diversity", lambda self, model: next(results))
    with pytest.raises(TrainingError, match=r"all the same.* at step 8: .*last good save, step 4"):
        run(replace(request_, steps=10), tmp_path)
    assert [one.step for one in Saves(tmp_path).kept()] == [4]


def test_weights_that_are_no_numbers_are_never_saved(request_, tmp_path, monkeypatch):
    original = Trainer._whole

    def spoil(self, drawn):
        terms = original(self, drawn)
        if self.step == 5:
            with torch.no_grad():
                next(iter(self.objective.critic_with.parameters()))[0] = float("nan")
        return terms

    monkeypatch.setattr(Trainer, "_whole", spoil)
    with pytest.raises(TrainingError, match=r"no numbers at step 6: .*last good save, step 4"):
        run(replace(request_, steps=10), tmp_path)
    assert [one.step for one in Saves(tmp_path).kept()] == [4, 2]


def test_a_loss_that_a_save_s_own_weights_give_is_not_gone_back_to(request_, tmp_path, monkeypatch):
    original = Trainer._updates

    def diverge(self, batches):
        for update in original(self, batches):
            yield replace(update, loss=update.loss * (float("nan") if self.step == 4 else 1))

    monkeypatch.setattr(Trainer, "_updates", diverge)
    with pytest.raises(TrainingError, match=r"last good save, step 2"):
        run(replace(request_, steps=10), tmp_path)


def test_a_parent_that_goes_while_its_child_trains_is_not_missed(request_, tmp_path):
    run(request_, tmp_path / "parent")
    straight = replace(request_, tag="straight", parent="genegan.test")
    run(straight, tmp_path / "straight")
    child = replace(straight, tag="child")
    assert run(child, tmp_path / "child", report=asking(tmp_path / "child", stop=2)) is None
    shutil.rmtree(paths.user_checkpoints() / "genegan.test")
    (tmp_path / "child" / STOP).unlink()
    run(child, tmp_path / "child")
    assert same(weights("genegan.child"), weights("genegan.straight"))
    assert card_of(child).training["total_steps"] == 8


def test_where_the_newest_save_is_damaged_the_one_before_serves(request_, tmp_path):
    request = replace(request_, steps=8)
    assert run(request, tmp_path, report=asking(tmp_path, stop=6)) is None
    (tmp_path / STOP).unlink()
    newest = Saves(tmp_path).kept()[0]
    (tmp_path / newest.file).write_bytes(b"")
    run(request, tmp_path)
    assert "cannot be read" in notes(tmp_path)[0]
    assert "It goes on from the save before." in notes(tmp_path)[0]
    run(replace(request, tag="straight"), tmp_path / "straight")
    assert same(weights("genegan.test"), weights("genegan.straight"))


def test_a_full_disk_is_one_sentence_wherever_it_is_noticed(request_, tmp_path, monkeypatch):
    def full(self, step):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_module._Session, "_draw_samples", full)
    with pytest.raises(TrainingError, match="There is no space left"):
        run(request_, tmp_path)


def test_data_that_changed_in_between_is_noted(request_, tmp_path):
    assert run(request_, tmp_path, report=asking(tmp_path, stop=2)) is None
    (tmp_path / STOP).unlink()
    table = Path(request_.data) / TABLE
    table.write_text(table.read_text() + "\n")
    run(request_, tmp_path)
    assert "was changed since this save" in notes(tmp_path)[0]


def test_nothing_that_was_not_trained_becomes_a_checkpoint(request_, tmp_path):
    tmp_path.joinpath(FINISH).touch()
    run(request_, tmp_path)
    assert card_of(request_).step == 4
    assert notes(tmp_path) == ["It cannot end here: nothing was trained yet. It goes on."]


def test_a_run_that_divides_its_batches_says_so_once(request_, tmp_path, monkeypatch):
    original = Trainer._whole

    def short(self, drawn):
        if self.step >= 1:
            raise torch.OutOfMemoryError("none left")
        return original(self, drawn)

    monkeypatch.setattr(Trainer, "_whole", short)
    run(request_, tmp_path)
    (note,) = notes(tmp_path)
    assert "Memory ran out: each batch of 8 is taken in 2 parts" in note
    assert read_lines(tmp_path / NOTES)[0]["step"] == 2


def test_compiling_without_a_compiler_is_refused(request_, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match="there is no no-such-compiler here"):
        run(replace(request_, compile=True), tmp_path)


def test_a_childs_fields_stand_on_top_of_its_parents(request_, tmp_path):
    run(request_, tmp_path / "parent")
    child = replace(
        request_, tag="child", parent="genegan.test", fields={"attribute": "Wearing_Hat"}
    )
    run(child, tmp_path / "child")
    config = card_of(child).config
    assert (config["width"], config["recipe"], config["attribute"]) == (4, "hinge", "Wearing_Hat")


def test_a_child_may_begin_to_count_what_its_parent_did_not(request_, tmp_path):
    run(request_, tmp_path / "parent")
    fields = {"adaptive_augmentation": True}
    child = replace(request_, tag="child", parent="genegan.test", fields=fields)
    run(child, tmp_path / "child")
    assert "augmentation" in read_lines(tmp_path / "child" / PROGRESS)[-1]


@pytest.mark.parametrize("text", ["nothing", '{"seconds": 1}', "[1]", '{"step": "two"}'])
def test_progress_that_somebody_edited_is_no_reason_to_fail(request_, tmp_path, text):
    run(request_, tmp_path, report=asking(tmp_path, stop=2))
    (tmp_path / STOP).unlink()
    with (tmp_path / PROGRESS).open("a") as file:
        file.write(text + "\n")
    assert run(request_, tmp_path) is not None
    lines = (tmp_path / PROGRESS).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
