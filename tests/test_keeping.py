import errno
import json
import os
from pathlib import Path

import pytest
import torch

from studio import bank, directions, keeping, paths
from studio.checkpoints import CARD, CheckpointStore
from studio.cli import main
from studio.errors import CheckpointError
from studio.latents import Latents

DAY = 86_400 * 10**9


@pytest.fixture
def store(home):
    return CheckpointStore()


@pytest.fixture
def own(make_checkpoint):
    return make_checkpoint(tag="mine", seed=4)


def code(store, name):
    return store.load(name)[0].encode(torch.zeros(1, 3, 32, 32)).flatten()


def save_slider(name, checkpoint):
    codes = [Latents({"z": torch.eye(2)[:1] * size}) for size in (3.0, 0.0)]
    directions.save(directions.make(name, (checkpoint, "0f"), *codes))
    return directions.load(name)


def trashed():
    folder = paths.trash() / "checkpoints"
    return sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []


def age(days):
    """Let the only thing in the trash have been there for so long."""
    (key,) = trashed()
    name, _, when = key.partition("@")
    folder = paths.trash() / "checkpoints"
    (folder / key).rename(folder / f"{name}@{int(when) - round(days * DAY)}")


def test_a_renamed_checkpoint_is_the_same_under_another_tag(store, own):
    before = code(store, own)
    assert keeping.rename(store, own, "better-2") == "genegan.better-2"
    assert own not in store.names()
    assert store.card("genegan.better-2").name == "genegan.better-2"
    written = json.loads((paths.user_checkpoints() / "genegan.better-2" / CARD).read_text())
    assert written["name"] == "genegan.better-2"
    assert torch.equal(code(store, "genegan.better-2"), before)


def test_where_renaming_broke_off_after_the_folder_the_name_is_the_new_one(store, own):
    folder = paths.user_checkpoints() / own
    folder.rename(folder.with_name("genegan.moved"))
    assert "genegan.moved" in store.names()
    assert store.load("genegan.moved")[1].name == "genegan.moved"


def test_own_sliders_follow_and_those_of_others_stay(store, own):
    mine, other = save_slider("Hat", own), save_slider("Scarf", "genegan.other")
    keeping.rename(store, own, "better")
    followed = directions.load("Hat")
    assert followed.checkpoint == "genegan.better"
    assert followed.facts() == {**mine.facts(), "checkpoint": "genegan.better"}
    assert torch.equal(followed.unit.flatten(), mine.unit.flatten())
    assert directions.load("Scarf").facts() == other.facts()


def test_saved_parts_follow_and_those_of_others_stay(store, own):
    for name, checkpoint in (("Smile", own), ("Light", "genegan.other")):
        bank.save(bank.SavedPart(name, "object", checkpoint, "0f", torch.ones(1, 2), b"png"))
    keeping.rename(store, own, "better")
    followed = bank.load("Smile")
    assert followed.checkpoint == "genegan.better"
    assert (followed.part, followed.checkpoint_hash, followed.thumbnail) == ("object", "0f", b"png")
    assert torch.equal(followed.latent, torch.ones(1, 2))
    assert bank.load("Light").checkpoint == "genegan.other"


def test_children_say_the_old_name_and_work_on(store, own, make_checkpoint):
    child = make_checkpoint(tag="child", parent=own)
    keeping.rename(store, own, "better")
    assert store.load(child)[1].parent == own


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("other", r"There is a checkpoint genegan\.other already"),
        ("eyeglasses-64", r"genegan\.eyeglasses-64 already; choose another tag"),
        ("mine", r"genegan\.mine already"),
        ("My Tag", "is no checkpoint name"),
        ("", "is no checkpoint name"),
        ("a/../../b", "is no checkpoint name"),
    ],
)
def test_a_taken_or_unusable_tag_changes_nothing(store, own, make_checkpoint, tag, words):
    make_checkpoint(tag="other")
    before = store.stamps()
    with pytest.raises(CheckpointError, match=words):
        keeping.rename(store, own, tag)
    assert store.stamps() == before


def test_shipped_checkpoints_stay_as_they_are(store):
    for change in (
        lambda: keeping.rename(store, "genegan.eyeglasses-64", "mine"),
        lambda: keeping.delete(store, "genegan.eyeglasses-64"),
    ):
        with pytest.raises(CheckpointError, match=r"eyeglasses-64 ships with the program"):
            change()
    assert "genegan.eyeglasses-64" in store.names()


def test_a_damaged_checkpoint_is_not_renamed_but_can_be_deleted(store, own):
    (paths.user_checkpoints() / own / CARD).write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        keeping.rename(store, own, "better")
    keeping.delete(store, own)
    assert not (paths.user_checkpoints() / own).exists()


def test_a_deleted_checkpoint_comes_back_as_it_was(store, own):
    before, stamp = code(store, own), store.stamps()[own]
    gone = keeping.delete(store, own)
    assert own not in store.names()
    assert [(one.key, one.name, one.days_left) for one in keeping.deleted()] == [
        (gone.key, own, keeping.KEPT_DAYS)
    ]
    assert keeping.restore(own) == own
    assert torch.equal(code(store, own), before)
    assert store.stamps()[own] == stamp
    assert keeping.deleted() == []


def test_of_two_deleted_ones_a_name_means_the_last_and_a_key_any(store, make_checkpoint):
    keys = []
    for step in (1, 2):
        keys.append(keeping.delete(store, make_checkpoint(tag="twice", step=step)).key)
    assert [one.key for one in keeping.deleted()] == keys[::-1]
    assert store.card(keeping.restore("genegan.twice")).step == 2
    with pytest.raises(CheckpointError, match=r"genegan\.twice again; rename or delete that one"):
        keeping.restore(keys[0])
    keeping.rename(store, "genegan.twice", "second")
    assert store.card(keeping.restore(keys[0])).step == 1


def test_what_was_never_deleted_is_not_restored(store, own):
    keeping.delete(store, own)
    for name in ("genegan.none", "../checkpoints/genegan.x", ""):
        with pytest.raises(CheckpointError, match=r"there are genegan\.mine"):
            keeping.restore(name)


def test_deleting_one_that_hides_a_shipped_one_shows_that_one_again(make_checkpoint, store):
    name = make_checkpoint(tag="eyeglasses-64", step=7)
    keeping.delete(store, name)
    assert store.card(name).step != 7
    assert keeping.restore(name) == name
    assert store.card(name).step == 7


def test_the_trash_keeps_for_a_week_and_is_emptied_when_something_is_deleted(
    store, make_checkpoint
):
    old, new = make_checkpoint(tag="old"), make_checkpoint(tag="new")
    keeping.delete(store, old)
    age(keeping.KEPT_DAYS - 0.01)
    assert keeping.deleted()[0].days_left == 1
    keeping.restore(old)
    keeping.delete(store, old)
    age(keeping.KEPT_DAYS + 0.01)
    assert keeping.deleted() == []
    with pytest.raises(CheckpointError, match="there are none"):
        keeping.restore(old)
    keeping.delete(store, new)
    assert [key.partition("@")[0] for key in trashed()] == [new]


def test_strange_things_in_the_trash_are_left_alone(store, own):
    keeping.delete(store, own)
    (paths.trash() / "checkpoints" / "genegan.x@yesterday").mkdir()
    keeping.empty_old(paths.trash())
    assert [one.name for one in keeping.deleted()] == [own]
    assert len(trashed()) == 2


def test_each_user_has_a_trash_and_all_are_found(store, make_checkpoint):
    with paths.acting_for("anna"):
        keeping.delete(store, make_checkpoint())
        hers = paths.trash()
    assert keeping.deleted() == []
    assert paths.all_trash() == [paths.trash(), hers]


def test_a_folder_that_cannot_be_moved_is_a_sentence(store, own, monkeypatch):
    def full(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(CheckpointError, match="mine cannot be deleted: Invalid cross-device link"):
        keeping.delete(store, own)
    with pytest.raises(CheckpointError, match="mine cannot be renamed: Invalid"):
        keeping.rename(store, own, "better")
    assert own in store.names()


def test_the_command_line_renames_deletes_and_restores(own, capsys):
    assert main(["models", "rename", own, "better"]) == 0
    assert "genegan.mine is genegan.better now" in capsys.readouterr().out
    assert main(["models", "delete", "genegan.better"]) == 0
    assert "`latent-studio models restore genegan.better`" in capsys.readouterr().out
    assert main(["models", "restore"]) == 0
    assert "genegan.better" in capsys.readouterr().out
    assert main(["models", "restore", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"deleted": [{"name": "genegan.better", "days_left": 7}]}
    assert main(["models", "restore", "genegan.better"]) == 0
    capsys.readouterr()
    assert main(["models", "restore"]) == 0
    assert "There are no deleted checkpoints." in capsys.readouterr().out
    assert main(["models", "delete", "genegan.eyeglasses-64"]) == 2
    assert "ships with the program" in capsys.readouterr().err
