import gc
import json
import os
import shutil
import subprocess
import sys
import weakref
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from studio import checkpoints, paths
from studio.checkpoints import (
    CARD,
    FORMAT,
    MODEL,
    Card,
    CheckpointStore,
    ModelCache,
    check_name,
    compact,
    sha256,
    size_in_bytes,
)
from studio.errors import CheckpointError
from studio.methods import METHODS
from studio.methods.base import Operation


@pytest.fixture
def saved(make_checkpoint):
    """Return the folder of a sound checkpoint."""
    return paths.user_checkpoints() / make_checkpoint()


@pytest.fixture
def store(home):
    return CheckpointStore(paths.user_checkpoints())


def change_card(folder, **changes):
    values = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**values, **changes}))


def date_card(folder, nanoseconds):
    os.utime(folder / CARD, ns=(nanoseconds, nanoseconds))


def rewrite_tensors(folder, change):
    """Change the weights and describe them honestly in the card."""
    state = load_file(folder / MODEL)
    change(state)
    save_file(compact(state), folder / MODEL)
    change_card(folder, hashes={MODEL: sha256(folder / MODEL)})


def test_a_card_survives_the_disk(saved, store):
    card = store.card(saved.name)
    assert card.method == "genegan"
    assert card.hashes == {MODEL: sha256(saved / MODEL)}
    assert Card.read(saved) == card
    assert not list(saved.parent.glob(".*"))


def test_names_are_listed_by_operation(make_checkpoint, store):
    make_checkpoint("genegan"), make_checkpoint("attributes")
    assert store.names() == ["attributes.tiny", "genegan.tiny"]
    assert store.names(Operation.SWAP) == ["genegan.tiny"]
    assert store.problems() == []


def test_the_persons_own_checkpoint_comes_before_a_shipped_one(make_checkpoint, tmp_path, spec):
    name = make_checkpoint(step=7)
    shipped = tmp_path / "shipped"
    card = replace(Card.read(paths.user_checkpoints() / name), step=1)
    CheckpointStore.save(shipped, card, {"x": torch.zeros(1)}, {})
    both = CheckpointStore(paths.user_checkpoints(), shipped)
    assert both.card(name).step == 7
    assert both.names() == [name]


def test_exchanged_weights_are_noticed(saved, store):
    content = bytearray((saved / MODEL).read_bytes())
    content[-1] ^= 1
    (saved / MODEL).write_bytes(content)
    with pytest.raises(CheckpointError, match="hash differs"):
        store.load(saved.name)


def test_a_truncated_file_is_noticed_even_with_a_fitting_hash(saved, store):
    content = (saved / MODEL).read_bytes()
    (saved / MODEL).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="hash differs"):
        store.load(saved.name)
    change_card(saved, hashes={MODEL: sha256(saved / MODEL)})
    with pytest.raises(CheckpointError, match="cannot be read"):
        store.load(saved.name)


def test_a_missing_file_is_named(saved, store):
    (saved / MODEL).unlink()
    with pytest.raises(CheckpointError, match=r"incomplete: model\.safetensors is missing"):
        store.load(saved.name)


def test_a_missing_key_is_named(saved, store):
    rewrite_tensors(saved, lambda state: state.pop("decoder.to_rgb.bias"))
    with pytest.raises(CheckpointError, match=r"lack 'decoder.to_rgb.bias' \(1 such"):
        store.load(saved.name)


def test_an_unexpected_key_is_named(saved, store):
    rewrite_tensors(saved, lambda state: state.update(extra=torch.zeros(1)))
    with pytest.raises(CheckpointError, match="unexpected 'extra'"):
        store.load(saved.name)


def test_a_wrong_shape_is_named(saved, store):
    rewrite_tensors(saved, lambda state: state.update({"decoder.to_rgb.bias": torch.zeros(5)}))
    with pytest.raises(CheckpointError, match="do not fit its card: size mismatch for decoder"):
        store.load(saved.name)


def test_a_newer_format_asks_for_an_update(saved, store):
    change_card(saved, format=FORMAT + 1)
    with pytest.raises(CheckpointError, match="update Latent Studio"):
        store.load(saved.name)
    assert store.names() == []
    assert "update Latent Studio" in store.problems()[0]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "x", "format": "two"}', "\xff"])
def test_a_damaged_card_is_a_problem_and_no_crash(saved, store, text):
    (saved / CARD).write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"damaged|genegan\.tiny"):
        store.card(saved.name)
    assert store.names() == []
    assert len(store.problems()) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": None}, "name"),
        ({"method": ["genegan"]}, "method"),
        ({"step": "x"}, "step"),
        ({"step": True}, "step"),
        ({"seed": 2**70}, "seed"),
        ({"terms": 5}, "terms"),
        ({"config": []}, "config"),
        ({"config": {"width": None}}, "config"),
        ({"data": {}}, "data"),
        ({"data": []}, "data"),
        ({"data": {"size": "32", "attributes": []}}, "data"),
        ({"data": {"size": 10**6, "attributes": []}}, "data"),
        ({"data": {"size": 32, "attributes": "Smiling"}}, "data"),
        ({"data": {"size": 32, "attributes": ["a"] * 5000}}, "data"),
        ({"data": {"size": 32, "attributes": [], "classes": {"a": 1}}}, "data"),
        ({"data": {"size": 32, "attributes": [], "more": 1}}, "data"),
        ({"training": []}, "training"),
        ({"training": {"total_steps": "x"}}, "training"),
        ({"training": {"total_minutes": None}}, "training"),
        ({"training": {"device": {}}}, "training"),
        ({"metrics": []}, "metrics"),
        ({"metrics": {"psnr": None}}, "metrics"),
        ({"metrics": {"psnr": "28"}}, "metrics"),
        ({"metrics": {"psnr": True}}, "metrics"),
        ({"metrics": {"psnr": 10**400}}, "metrics"),
        ({"metrics": {"psnr": float("nan")}}, "JSON"),
        ({"support": {}}, "support"),
        ({"support": [0.5]}, "support"),
        ({"support": [[0.5], [0.5, 0.5]]}, "support"),
        ({"support": [["x"]]}, "support"),
        ({"hashes": None}, "hashes"),
        ({"hashes": {MODEL: 5}}, "hashes"),
        ({"data_set": "\ud800"}, "surrogates not allowed"),
        ({"terms": "x" * 2**20}, "more than 1 MB"),
    ],
)
def test_a_value_of_another_kind_is_a_problem_and_hides_no_other(
    saved, store, make_checkpoint, changes, field
):
    other = make_checkpoint(tag="other")
    change_card(saved, **changes)
    with pytest.raises(CheckpointError, match=rf"The card of genegan\.tiny is damaged: .*{field}"):
        Card.read(saved)
    assert store.names() == [other]
    assert len(store.problems()) == 1


def test_a_card_that_nests_without_end_or_is_a_folder_is_a_problem(saved, store):
    (saved / CARD).write_text("[" * 200_000)
    assert "is damaged" in store.problems()[0]
    (saved / CARD).unlink()
    (saved / CARD).mkdir()
    assert "cannot be read" in store.problems()[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 64}, "size mismatch"),
        ({"width": 2**40}, "."),
        ({"width": 10**18}, "no network has such settings"),
        ({"width": "inf"}, "no network has such settings"),
        ({"levels": 20_000}, "levels is more than there are weights for"),
        ({"levels": -1}, "fit"),
    ],
)
def test_a_network_of_another_size_than_its_weights_is_never_built(
    saved, store, monkeypatch, changes, words
):
    built = []
    original = nn.Conv2d.reset_parameters

    def reset_parameters(layer):
        built.append(layer.weight.device.type)
        original(layer)

    monkeypatch.setattr(nn.Conv2d, "reset_parameters", reset_parameters)
    change_card(saved, config={**Card.read(saved).config, **changes})
    with pytest.raises(CheckpointError, match=words):
        store.load(saved.name)
    assert set(built) <= {"meta"}


def test_every_network_is_outlined_without_the_compiler_that_takes_150_mb(make_checkpoint, store):
    names = [make_checkpoint(method) for method in METHODS]
    code = (
        "import sys, pathlib; from studio.checkpoints import CheckpointStore\n"
        f"store = CheckpointStore(pathlib.Path({str(store.roots[0])!r}))\n"
        f"for name in {names}: store.load(name)\n"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_card_of_an_unknown_method_or_setting_cannot_be_used(saved, store):
    change_card(saved, config={"depth": 3})
    with pytest.raises(CheckpointError, match="no setting 'depth'"):
        store.load(saved.name)
    change_card(saved, method="stylegan")
    assert store.names() == []
    assert "no method 'stylegan'" in store.problems()[0]


@pytest.mark.parametrize(
    "name", ["../secret.x", "a/b.c", "genegan", ".tag", "genegan.", "a.b.c", "Genegan.x", "a.b\0"]
)
def test_names_that_are_no_names_are_refused(store, name):
    with pytest.raises(CheckpointError, match="no checkpoint name"):
        check_name(name)
    with pytest.raises(CheckpointError, match="no checkpoint name"):
        store.folder(name)


def test_an_absent_checkpoint_is_reported_with_those_that_exist(saved, store):
    with pytest.raises(CheckpointError, match=r"there are genegan\.tiny"):
        store.load("genegan.other")


def test_a_taken_name_is_refused_and_nothing_is_overwritten(saved, store):
    before = (saved / MODEL).read_bytes()
    card = store.card(saved.name)
    with pytest.raises(CheckpointError, match="choose another tag"):
        CheckpointStore.save(saved.parent, card, {"x": torch.zeros(1)}, {})
    assert (saved / MODEL).read_bytes() == before


def test_critics_come_back_widened(saved, store, tmp_path):
    card = replace(store.card(saved.name), name="genegan.critics")
    critic = torch.randn(3, 3)
    CheckpointStore.save(saved.parent, card, {"x": critic}, {"critic": critic.half()})
    assert torch.equal(store.critics("genegan.critics")["critic"], critic.half().float())
    assert store.critics(saved.name) == {}


def test_a_shipped_checkpoint_is_not_the_persons_own(make_checkpoint, monkeypatch):
    name = make_checkpoint()
    assert CheckpointStore().is_own(name)
    monkeypatch.setattr(paths, "SHIPPED_CHECKPOINTS", paths.user_checkpoints())
    assert not CheckpointStore().is_own(name)
    with pytest.raises(CheckpointError, match=r"no checkpoint 'genegan\.none'"):
        CheckpointStore().is_own("genegan.none")


def test_a_folder_that_was_copied_is_a_checkpoint_of_that_name(saved, store):
    shutil.copytree(saved, saved.with_name("genegan.copied"))
    assert store.names() == ["genegan.copied", saved.name]
    assert store.card("genegan.copied").name == "genegan.copied"
    assert store.load("genegan.copied")[1].name == "genegan.copied"


def test_stamps_change_when_a_checkpoint_comes_goes_or_is_exchanged(make_checkpoint, store):
    name = make_checkpoint(tag="a")
    first = store.stamps()
    assert list(first) == [name]
    other = make_checkpoint(tag="b")
    second = store.stamps()
    assert second == {**first, other: second[other]}
    shutil.rmtree(store.folder(other))
    assert store.stamps() == first
    date_card(store.folder(name), 5)
    assert store.stamps() == {name: 5}


def test_the_stamp_of_a_name_is_that_of_the_one_which_counts(make_checkpoint, tmp_path):
    name = make_checkpoint()
    shutil.copytree(paths.user_checkpoints(), tmp_path / "shipped")
    both = CheckpointStore(paths.user_checkpoints(), tmp_path / "shipped")
    date_card(paths.user_checkpoints() / name, 5)
    assert both.stamps() == {name: 5}
    (tmp_path / "shipped" / ".genegan.hidden").mkdir()
    shutil.rmtree(paths.user_checkpoints() / name)
    assert list(both.stamps()) == [name]
    assert both.stamps() != {name: 5}


@pytest.fixture
def three(make_checkpoint):
    return [make_checkpoint(tag=tag, seed=k) for k, tag in enumerate(("a", "b", "c"))]


def test_a_warm_model_is_loaded_once_in_eval_without_gradients(three, models):
    loaded = models.get(three[0])
    assert models.get(three[0]) is loaded
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.bytes == size_in_bytes(loaded.model) > 1000


def test_the_least_recently_used_model_goes_first(three, store):
    a, b, c = three
    one = ModelCache(store).get(a).bytes
    cache = ModelCache(store, limit=2 * one)
    cache.get(a), cache.get(b), cache.get(a), cache.get(c)
    assert list(cache.warm()) == [a, c]
    assert cache.used() == 2 * one


def test_one_model_stays_even_above_the_limit(three, store):
    cache = ModelCache(store, limit=1)
    cache.get(three[0])
    assert list(cache.warm()) == three[:1]
    cache.get(three[1])
    assert list(cache.warm()) == three[1:2]


def test_unloading_gives_the_memory_back(three, models):
    alive = weakref.ref(models.get(three[0]).model)
    models.unload(three[0])
    gc.collect()
    assert alive() is None
    assert models.used() == 0
    models.unload(three[0])


def test_a_lower_limit_takes_effect_at_once(three, store):
    cache = ModelCache(store)
    for name in three:
        cache.get(name)
    cache.limit = cache.get(three[0]).bytes
    assert list(cache.warm()) == three[:1]
    assert cache.limit == cache.used()


def test_a_checkpoint_that_was_made_again_is_loaded_again(three, models, make_checkpoint):
    before = models.get(three[0])
    folder = paths.user_checkpoints() / three[0]
    shutil.rmtree(folder)
    assert make_checkpoint(tag="a", seed=9) == three[0]
    date_card(folder, 5)
    after = models.get(three[0])
    assert not torch.equal(*(next(iter(one.model.parameters())) for one in (before, after)))
    assert models.used() == after.bytes


def test_two_users_with_one_name_have_their_own_models(make_checkpoint, home):
    cache = ModelCache(CheckpointStore())
    found = {}
    for seed, user in enumerate(("anna", "ben")):
        with paths.acting_for(user):
            name = make_checkpoint(seed=seed)
            found[user] = cache.get(name)
    assert found["anna"] is not found["ben"]
    assert cache.used() == found["anna"].bytes + found["ben"].bytes
    with paths.acting_for("anna"):
        assert cache.get(name) is found["anna"]
        assert cache.warm() == {name: found["anna"].bytes}
        cache.unload(name)
    with paths.acting_for("ben"):
        assert cache.get(name) is found["ben"]


def test_sweeping_gives_the_memory_of_what_is_gone_or_exchanged_back(three, models):
    for name in three:
        models.get(name)
    shutil.rmtree(paths.user_checkpoints() / three[0])
    date_card(paths.user_checkpoints() / three[1], 5)
    models.sweep()
    assert list(models.warm()) == three[2:]
    assert models.used() == models.get(three[2]).bytes


SHORT = (
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
)


def refuse(monkeypatch, cache, error, until):
    """Let loading fail until as few models are loaded; note how many there were each time."""
    load, tried = cache._load, []

    def fail(name):
        tried.append(len(cache.warm()))
        if tried[-1] > until:
            raise error
        return load(name)

    monkeypatch.setattr(cache, "_load", fail)
    return tried


@pytest.mark.parametrize("error", SHORT, ids=lambda error: type(error).__name__)
def test_where_memory_is_short_those_go_that_were_not_used_for_longest(
    three, models, monkeypatch, error
):
    a, b, c = three
    models.get(a), models.get(b), models.get(a)
    kept = models.get(a)
    tried = refuse(monkeypatch, models, error, until=1)
    loaded = models.get(c)
    assert tried == [2, 1]
    assert list(models.warm()) == [a, c]
    assert models.get(a) is kept
    assert models.get(c) is loaded


@pytest.mark.parametrize("error", SHORT, ids=lambda error: type(error).__name__)
def test_where_memory_stays_short_the_model_in_use_stays(three, models, monkeypatch, error):
    a, b, c = three
    models.get(b)
    kept = models.get(a)
    tried = refuse(monkeypatch, models, error, until=0)
    with pytest.raises(CheckpointError, match=f"no memory left for {c} on the cpu; what was"):
        models.get(c)
    assert tried == [2, 1]
    assert models.warm() == {a: kept.bytes}
    assert models.get(a) is kept


def test_what_goes_out_is_given_back_to_the_system(three, store, monkeypatch):
    trims = []
    libc = SimpleNamespace(malloc_trim=trims.append)
    monkeypatch.setattr(checkpoints.ctypes, "CDLL", lambda name: libc)
    cache = ModelCache(store, limit=1)
    cache.get(three[0])
    assert trims == []
    cache.get(three[1])
    assert trims == [0]
    cache.unload(three[1])
    assert trims == [0, 0]
    # Other systems have no such function.
    del libc.malloc_trim
    cache.unload(three[1])


def test_another_failure_to_load_costs_no_model(three, models, monkeypatch):
    a, b, c = three
    models.get(a), models.get(b)
    refuse(monkeypatch, models, RuntimeError("size mismatch"), until=0)
    with pytest.raises(RuntimeError, match="size mismatch"):
        models.get(c)
    assert list(models.warm()) == [a, b]


def test_a_model_that_was_loaded_in_inference_mode_has_derivatives(models, make_checkpoint):
    name = make_checkpoint("attributes")
    with torch.inference_mode():
        model = models.get(name).model
    images = torch.zeros(1, 3, 32, 32, requires_grad=True)
    model(images).sum().backward()
    assert images.grad.isfinite().all()
