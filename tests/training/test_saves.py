import errno
import json

import pytest
import torch

from studio.errors import TrainingError
from studio.training import saves as module
from studio.training.saves import CARD, STATE, Save, Saves


def save_at(step, **facts):
    return Save(step, f"{step:08d}.{STATE}", 0, 2 * step, step / 10, facts)


@pytest.fixture
def saves(tmp_path):
    """Return a folder with three saves made, of which two are kept."""
    made = Saves(tmp_path)
    for step in (10, 20, 30):
        made.write(save_at(step, best={"step": step}), {"value": torch.tensor(float(step))})
    return made


def test_the_newest_and_the_one_before_are_kept(saves):
    assert [one.step for one in saves.kept()] == [30, 20]
    assert saves.kept()[0] == save_at(30, best={"step": 30})
    assert len(list(saves.folder.glob(f"*.{STATE}"))) == 2
    assert [float(saves.read(one)["value"]) for one in saves.kept()] == [30, 20]


def test_the_same_step_saved_twice_is_one_save(saves):
    saves.write(save_at(30), {"value": torch.tensor(31.0)})
    assert [one.step for one in saves.kept()] == [30, 20]
    assert float(saves.read(saves.kept()[0])["value"]) == 31


@pytest.mark.parametrize(("since", "left"), [(35, [30, 20]), (29, [20]), (20, [20]), (5, [20])])
def test_rolling_back_forgets_what_was_saved_after_it_went_wrong(saves, since, left):
    assert saves.roll_back(since) == left[0]
    assert [one.step for one in saves.kept()] == left
    assert len(list(saves.folder.glob(f"*.{STATE}"))) == len(left)


def test_a_run_without_a_save_rolls_back_to_its_beginning(tmp_path):
    assert Saves(tmp_path).roll_back(3) == 0
    assert Saves(tmp_path).kept() == []


def test_a_full_disk_is_one_sentence_and_costs_no_save(saves, monkeypatch):
    def full(tensors, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(TrainingError, match=r"No space left.*stands at its save of step 30"):
        saves.write(save_at(40), {})
    assert [one.step for one in saves.kept()] == [30, 20]
    assert not list(saves.folder.glob("*.part"))


ODD = '{"step": "9", "file": "a", "stage": 0, "position": 1, "seconds": 2, "facts": {}}'
OUTSIDE = ODD.replace('"9"', "9").replace('"a"', '"../a"')


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"step": 3}', '{"step": 1, "other": 2}', ODD, OUTSIDE]
)
def test_a_list_that_was_edited_is_refused(saves, text):
    (saves.folder / CARD).write_text(text)
    with pytest.raises(TrainingError, match=r"was changed or damaged\. Clone the job"):
        saves.kept()


def test_a_state_that_is_gone_or_damaged_is_refused(saves):
    (newest, older) = saves.kept()
    (saves.folder / newest.file).write_bytes(b"nothing")
    (saves.folder / older.file).unlink()
    for one in (newest, older):
        with pytest.raises(TrainingError, match=f"{one.file} .* cannot be read"):
            saves.read(one)
    assert json.loads((saves.folder / CARD).read_text())["previous"]["step"] == 20
