"""Checkpoints come and go while a page is open."""

import shutil
import warnings
from dataclasses import replace

import gradio as gr
import pytest

from studio import keeping, paths
from studio.data.batch import DataSpec
from studio.recipes import Step
from studio.ui import arrivals, augmenting, shelf
from studio.ui.atlas.draft import View, Views
from studio.ui.context import Memory
from studio.ui.draft import Draft, History, Seat
from studio.ui.portrait.draft import Portrait, Portraits
from studio.ui.tabs import attributes, explore, interpolate, swap
from studio.ui.walk.draft import Walk, Walks

FIRST, OTHER = "genegan.heads-eyeglasses-64", "genegan.other"


@pytest.fixture
def told(monkeypatch):
    """Return the warnings that the visitor sees."""
    found = []
    monkeypatch.setattr(gr, "Warning", found.append)
    return found


def offered(update):
    return [name for _, name in update.choices]


def remade(make_checkpoint, tag):
    shutil.rmtree(paths.user_checkpoints() / f"genegan.{tag}")
    return make_checkpoint(tag=tag, seed=9)


# What the page asks.


def test_the_answer_changes_only_when_a_checkpoint_comes_goes_or_is_exchanged(
    context, make_checkpoint
):
    seen = [arrivals.on_look(context, {})]
    assert arrivals.on_look(context, {}) == seen[0]
    make_checkpoint(tag="new")
    seen.append(arrivals.on_look(context, {}))
    remade(make_checkpoint, "new")
    seen.append(arrivals.on_look(context, {}))
    keeping.delete(context.store, "genegan.new")
    assert arrivals.on_look(context, {}) == seen[0]
    assert len({one["seen"] for one in seen}) == 3


def test_each_user_is_told_of_her_own(context, make_checkpoint):
    context.models.store._roots = ()
    before = arrivals.on_look(context, {})
    with paths.acting_for("anna"):
        make_checkpoint()
        assert arrivals.on_look(context, {}) != before
    assert arrivals.on_look(context, {}) == before


def test_what_was_derived_with_an_exchanged_checkpoint_is_forgotten_and_nothing_else(
    context, make_checkpoint
):
    context.notice()
    for key in ("encoded", OTHER, 1), ("encoded", FIRST, 1), ("preview", "a.png"):
        context.memory.get(key, lambda: "old", lambda _: 8)
    before = context.models.get(OTHER)
    remade(make_checkpoint, "other")
    context.notice()
    assert context.memory.used == 16
    assert context.memory.get(("encoded", OTHER, 1), lambda: "new", lambda _: 8) == "new"
    assert context.memory.get(("encoded", FIRST, 1), lambda: "new", lambda _: 8) == "old"
    assert context.models.used() == 0
    assert context.models.get(OTHER) is not before


def test_a_new_checkpoint_costs_nobody_what_is_warm(context, make_checkpoint):
    context.notice()
    context.memory.get(("encoded", OTHER), lambda: "old", lambda _: 8)
    loaded = context.models.get(OTHER)
    make_checkpoint(tag="new")
    context.notice()
    assert context.memory.used == 8
    assert context.models.get(OTHER) is loaded


def test_another_users_things_of_that_name_are_kept():
    memory = Memory()
    with paths.acting_for("anna"):
        memory.get(("encoded", OTHER), lambda: 1, lambda _: 8)
    memory.forget([OTHER])
    assert memory.used == 8
    with paths.acting_for("anna"):
        memory.forget([OTHER])
    assert memory.used == 0


# What tabs do about it.


def painted(module, context, history):
    """Paint a tab; what a page would refuse is an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return module.paint(context, history)


def seat(tmp_path):
    return Seat(str(tmp_path / "a.png"), "a", 32, 32, None, doubt="look", detected=False)


TABS = {
    swap: lambda name: History(Draft(checkpoint=name, strength=1.5)),
    attributes: lambda name: Portraits(Portrait(checkpoint=name, moves={"Hat": 1.0})),
    interpolate: lambda name: Walks(Walk(checkpoint=name, rows=(name,) if name else (), frames=7)),
    explore: lambda name: Views(View(location="x", colour="y")).then(
        explore.bench.request_of(View(), checkpoint=name, most=300)
    ),
}


def chosen(history):
    present = history.present
    return present.request.checkpoint if isinstance(present, View) else present.checkpoint


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.__name__.rpartition(".")[2])
def test_pickers_offer_what_arrived_and_not_what_went(context, make_checkpoint, tab):
    history = TABS[tab](OTHER)
    assert offered(tab.on_choices(context, history)[0]).count("genegan.new") == 0
    make_checkpoint(tag="new")
    assert "genegan.new" in offered(tab.on_choices(context, history)[0])
    keeping.delete(context.store, "genegan.new")
    assert "genegan.new" not in offered(tab.on_choices(context, history)[0])


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.__name__.rpartition(".")[2])
def test_what_is_set_up_stays_when_nothing_of_it_is_gone(context, make_checkpoint, told, tab):
    history = TABS[tab](OTHER)
    make_checkpoint(tag="new")
    keeping.delete(context.store, FIRST)
    assert arrivals.mend(history, tab.healer(context)) == history
    assert arrivals.mend(TABS[tab](""), tab.healer(context)) == TABS[tab]("")
    assert told == []


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.__name__.rpartition(".")[2])
def test_another_takes_the_place_of_a_deleted_one_with_a_word(context, told, tab):
    history = TABS[tab](OTHER)
    keeping.delete(context.store, OTHER)
    mended = arrivals.mend(history, tab.healer(context))
    assert chosen(mended) == FIRST
    assert told == [f"{OTHER} was deleted or renamed; {FIRST} takes its place here."]
    assert arrivals.mend(mended, tab.healer(context)) == mended
    assert len(told) == 1


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.__name__.rpartition(".")[2])
def test_where_no_other_is_left_nothing_is_chosen(context, told, tab):
    history = TABS[tab](OTHER)
    for name in (FIRST, OTHER):
        keeping.delete(context.store, name)
    mended = arrivals.mend(history, tab.healer(context))
    assert chosen(mended) == ""
    assert told == [f"{OTHER} was deleted, and there is no other model for this tab."]
    if tab is not explore:
        painted(tab, context, mended)


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.__name__.rpartition(".")[2])
def test_all_that_is_set_up_follows_a_new_name(context, told, tab):
    history = TABS[tab](OTHER)
    shelf.rename(context, OTHER, "better")
    mended = arrivals.mend(history, tab.healer(context))
    assert mended.present == TABS[tab]("genegan.better").present
    assert told == []
    shelf.rename(context, "genegan.better", "best")
    shelf.rename(context, "genegan.best", "other")
    assert arrivals.mend(history, tab.healer(context)) == history


def test_undo_leads_to_nothing_that_is_gone(context, told):
    history = History(Draft(checkpoint=OTHER)).then(Draft(checkpoint=FIRST))
    history = history.then(Draft(checkpoint=OTHER, strength=0.5)).undo()
    keeping.delete(context.store, OTHER)
    mended = arrivals.mend(history, swap.healer(context))
    assert mended == History(Draft(checkpoint=FIRST))
    assert told == []


@pytest.mark.parametrize(
    ("tab", "draft"), [(swap, Draft(checkpoint=FIRST)), (attributes, Portrait(checkpoint=FIRST))]
)
def test_applied_steps_follow_a_name_and_fall_with_their_checkpoint(context, told, tab, draft):
    steps = Step("remove", FIRST, ""), Step("remove", OTHER, "")
    history = {swap: History, attributes: Portraits}[tab](replace(draft, applied=steps))
    shelf.rename(context, OTHER, "better")
    mended = arrivals.mend(history, tab.healer(context))
    assert [step.checkpoint for step in mended.present.applied] == [FIRST, "genegan.better"]
    keeping.delete(context.store, "genegan.better")
    mended = arrivals.mend(history, tab.healer(context))
    assert mended.present.applied == ()
    assert told == [f"{OTHER} was deleted, and what it had changed for good is not in the photo."]


def test_a_row_goes_with_its_checkpoint_and_the_stage_stays(context, make_checkpoint, told):
    third = make_checkpoint(tag="third")
    walk = Walk(checkpoint=FIRST, rows=(OTHER, FIRST, third))
    keeping.delete(context.store, OTHER)
    mended = arrivals.mend(Walks(walk), interpolate.healer(context)).present
    assert (mended.checkpoint, mended.rows) == (FIRST, (FIRST, third))
    assert told == ["A model of a row was deleted; the row is gone with it."]
    keeping.delete(context.store, FIRST)
    mended = arrivals.mend(Walks(mended), interpolate.healer(context)).present
    assert (mended.checkpoint, mended.rows) == (third, (third,))


def test_pictures_keep_a_model_of_their_kind(context, make_checkpoint, told, tmp_path):
    plain = make_checkpoint("aeai", tag="a", data_set="toys", data=DataSpec(32, "none").to_dict())
    cards = interpolate.samples.interpolators(context)
    assert cards[0].name == plain
    walk = Walk({"a": seat(tmp_path)}, checkpoint=OTHER, rows=(OTHER,))
    keeping.delete(context.store, OTHER)
    mended = arrivals.mend(Walks(walk), interpolate.healer(context)).present
    assert mended.checkpoint == FIRST


def test_moves_of_own_sliders_go_with_the_checkpoint_but_not_with_its_name(context, told):
    history = History(Draft(checkpoint=OTHER, moves={"Hat": 1.0}))
    shelf.rename(context, OTHER, "better")
    assert arrivals.mend(history, swap.healer(context)).present.moves == {"Hat": 1.0}
    keeping.delete(context.store, "genegan.better")
    assert arrivals.mend(history, swap.healer(context)).present.moves == {}


def test_augment_goes_on_with_another_maker_and_without_a_deleted_classifier(
    context, make_checkpoint, told
):
    maker, other = (make_checkpoint("attribute-mapping", tag=tag) for tag in ("a", "b"))
    judge = make_checkpoint("attributes", tag="judge")
    settings = augmenting.Settings(checkpoint=maker, classifier=judge)
    assert augmenting.mend(context, settings) == (settings, "")
    assert augmenting.mend(context, augmenting.Settings()) == (augmenting.Settings(), "")
    keeping.delete(context.store, judge)
    mended, words = augmenting.mend(context, settings)
    assert (mended.checkpoint, mended.classifier) == (maker, "")
    assert words == f"{judge} was deleted; it checks new pictures no more."
    keeping.delete(context.store, maker)
    mended, words = augmenting.mend(context, mended)
    assert mended.checkpoint == other
    assert f"{other} takes its place" in words


# How tabs are bound to it.


def following(blocks, tab_picker):
    """Return the functions that fill a picker when checkpoints change."""
    (watch,) = (one for one in blocks.blocks.values() if "ls-unseen" in (one.elem_classes or []))
    (picker,) = (one for one in blocks.blocks.values() if one.elem_id == tab_picker)
    return [
        function
        for function in blocks.fns.values()
        if (watch._id, "changed") in function.targets and picker in function.outputs
    ]


@pytest.mark.parametrize(
    "picker",
    [
        "checkpoint", "face-checkpoint", "walk-checkpoint", "explore-checkpoint",
        "augment-checkpoint", "models-one",
    ],
)  # fmt: skip
def test_every_picker_hears_of_changes_out_of_sight_and_beside_the_models(blocks, picker):
    (function,) = following(blocks, picker)
    assert function.api_visibility == "private"
    assert function.show_progress == "hidden"
    assert function.concurrency_id == "arrivals"


@pytest.mark.parametrize(
    ("picker", "tab"),
    [
        ("checkpoint", "swap"), ("face-checkpoint", "attributes"),
        ("walk-checkpoint", "interpolate"), ("explore-checkpoint", "explore"),
        ("augment-checkpoint", "augment"), ("models-one", "models"),
    ],
)  # fmt: skip
def test_every_tab_looks_at_the_store_when_it_is_opened(blocks, picker, tab):
    (shown,) = (one for one in blocks.blocks.values() if isinstance(one, gr.Tab) and one.id == tab)
    (filled,) = (one for one in blocks.blocks.values() if one.elem_id == picker)
    assert any(
        (shown._id, "select") in function.targets and filled in function.outputs
        for function in blocks.fns.values()
    )


def test_only_the_picker_is_sent_where_nothing_is_gone(blocks, context, make_checkpoint):
    (function,) = following(blocks, "checkpoint")
    make_checkpoint(tag="new")
    answer = function.fn(History(Draft(checkpoint=OTHER)))
    ((picker, update),) = answer.items()
    assert picker.elem_id == "checkpoint"
    assert "genegan.new" in offered(update)
    assert "value" not in update._constructor_args[0]


def test_all_is_painted_where_the_chosen_one_is_gone(blocks, context, told):
    (function,) = following(blocks, "checkpoint")
    keeping.delete(context.store, OTHER)
    answer = function.fn(History(Draft(checkpoint=OTHER)))
    assert list(answer) == function.outputs
    assert answer[function.outputs[0]].present.checkpoint == FIRST
