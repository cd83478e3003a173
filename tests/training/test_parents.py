"""What a child learns from a parent that knew other attributes."""

from dataclasses import replace

import pytest
import torch

from studio import paths
from studio.checkpoints import Card, CheckpointStore
from studio.data.batch import DataSpec
from studio.methods import METHODS
from studio.methods.base import AttributeModel, GradientStage, Translator
from studio.nn.blocks import initialize
from studio.training.parents import Parent, attribute_axes

KNOWN = ("Eyeglasses", "Smiling", "Bangs")
CLASSES = (("expression", ("neutral", "smile")), ("eyeglasses_kind", ("none", "round")))
# One is gone, one is new, and the order is another.
WANTED = ("Smiling", "Wearing_Hat", "Eyeglasses")


def knows_attributes(method):
    spec = DataSpec(32, "celeba", KNOWN, CLASSES)
    return bool(attribute_axes(method, method.tiny, spec))


SHAPED = [name for name, method in METHODS.items() if knows_attributes(method)]


@pytest.fixture
def make_parent(home):
    """Return a function that saves an untrained checkpoint of a method with its critics."""

    def make(name, spec):
        method = METHODS[name]
        torch.manual_seed(0)
        model = method.model(method.tiny, spec)
        initialize(model, 0.2)
        critics = {}
        for stage in method.stages(method.tiny, spec):
            if isinstance(stage, GradientStage):
                state = stage.objective(model).state_dict()
                critics |= {k: v for k, v in state.items() if not k.startswith("model.")}
        card = Card(f"{name}.parent", name, method.tiny.to_dict(), spec.to_dict(), step=1)
        CheckpointStore.save(paths.user_checkpoints(), card, model.state_dict(), critics)
        return card.name

    return make


@pytest.fixture
def raised(request, make_parent, spec):
    """Return a method, a model of it that knew other attributes, its child's, and the parent."""
    method = METHODS[request.param]
    name = make_parent(request.param, replace(spec, attributes=KNOWN))
    wanted = replace(spec, attributes=WANTED)
    parent = Parent(CheckpointStore(), name, method, method.tiny, wanted)
    child = method.model(method.tiny, wanted)
    initialize(child, 0.2)
    parent.raise_model(child)
    return method, CheckpointStore().load(name)[0], child.eval(), parent


def test_the_methods_that_have_something_for_each_attribute_are_these():
    assert SHAPED == ["attribute-mapping", "dcgan", "stargan", "attributes"]


@pytest.mark.parametrize("raised", ["attributes", "attribute-mapping"], indirect=True)
def test_a_classifier_reads_what_it_read_under_the_names_it_knew(raised):
    _, old, new, parent = raised
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        if isinstance(old, AttributeModel):
            before, after = old.measure(images), new.measure(images)
        else:
            before, after = old(images), new(images)
    assert torch.allclose(after[:, 0], before[:, 1], atol=1e-5)
    assert torch.allclose(after[:, 2], before[:, 0], atol=1e-5)
    assert (parent.new, parent.forgotten) == (("Wearing_Hat",), ("Bangs",))


@pytest.mark.parametrize("raised", ["attribute-mapping", "dcgan"], indirect=True)
def test_a_generator_makes_the_same_faces_of_the_attributes_it_knew(raised):
    _, old, new, _ = raised
    noise = torch.randn(2, old.noise_size)
    with torch.no_grad():
        # Glasses and no smile, under the old names and the new.
        before = old.generate(torch.tensor([[1.0, 0.0, 0.0]] * 2), noise)
        after = new.generate(torch.tensor([[0.0, 0.0, 1.0]] * 2), noise)
        other = new.generate(torch.tensor([[1.0, 0.0, 0.0]] * 2), noise)
    assert torch.allclose(before, after, atol=1e-5)
    assert not torch.allclose(before, other, atol=1e-4)


@pytest.mark.parametrize("raised", ["stargan"], indirect=True)
def test_a_translator_makes_the_same_changes_of_the_attributes_it_knew(raised):
    _, old, new, _ = raised
    assert isinstance(new, Translator)
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        before = old(images, torch.tensor([[1, 0, 0]] * 2))
        after = new(images, torch.tensor([[0, 0, 1]] * 2))
    assert torch.allclose(before, after, atol=1e-5)


@pytest.mark.parametrize("raised", ["dcgan", "stargan"], indirect=True)
def test_critics_are_carried_over_too(raised):
    method, _, new, parent = raised
    spec = DataSpec(32, "celeba", WANTED)
    (stage,) = method.stages(method.tiny, spec)
    objective = stage.objective(new)
    parent.raise_critics(objective, parent.critics)
    state = objective.state_dict()
    known = DataSpec(32, "celeba", KNOWN)
    axes = attribute_axes(method, method.tiny, known)
    critics = [key for key in axes if not key.startswith("model.")]
    assert critics
    for key in critics:
        begin = 1 if key.startswith("discriminator.") else 0
        theirs = parent.critics[key].movedim(axes[key], 0)[begin:]
        ours = state[key].movedim(axes[key], 0)[begin:]
        assert torch.equal(ours[0], theirs[1])
        assert torch.equal(ours[2], theirs[0])
        if begin:
            assert torch.equal(state[key][0], parent.critics[key][0])


def test_the_same_attributes_are_carried_over_as_they_are(make_parent, spec):
    same = replace(spec, attributes=KNOWN)
    method = METHODS["attributes"]
    name = make_parent("attributes", same)
    parent = Parent(CheckpointStore(), name, method, method.tiny, same)
    child = method.model(method.tiny, same)
    parent.raise_model(child)
    loaded = CheckpointStore().load(name)[0].state_dict()
    assert all(torch.equal(child.state_dict()[key], loaded[key]) for key in loaded)
    assert (parent.new, parent.forgotten) == ((), ())
