import gc
import json
import weakref
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio import paths
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


def test_own_checkpoints_can_be_deleted_and_shipped_ones_not(saved, store, monkeypatch):
    monkeypatch.setattr(paths, "SHIPPED_CHECKPOINTS", saved.parent)
    with pytest.raises(CheckpointError, match="ships with the program"):
        store.delete(saved.name)
    monkeypatch.undo()
    CheckpointStore(saved.parent).delete(saved.name)
    assert not saved.exists()


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


def test_a_model_that_was_loaded_in_inference_mode_has_derivatives(models, make_checkpoint):
    name = make_checkpoint("attributes")
    with torch.inference_mode():
        model = models.get(name).model
    images = torch.zeros(1, 3, 32, 32, requires_grad=True)
    model(images).sum().backward()
    assert images.grad.isfinite().all()
