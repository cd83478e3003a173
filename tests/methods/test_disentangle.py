import math
from dataclasses import replace

import pytest
import torch

from studio.checkpoints import CheckpointStore
from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.latents import Latents
from studio.methods.disentangle import (
    METHOD,
    REST,
    Disentangle,
    DisentangleConfig,
    DisentangleObjective,
    fit_means,
)
from studio.training.request import TrainRequest
from studio.training.run import run

SPEC = DataSpec(32, classes=(("identity", tuple("abcdef")), ("expression", ("neutral", "scream"))))
CONFIG = replace(METHOD.tiny, parts="identity,expression")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Disentangle(CONFIG, SPEC)


@pytest.fixture
def objective(model):
    return DisentangleObjective(model, CONFIG, SPEC)


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(6, 3, 32, 32, generator=rng) * 2 - 1
    labels = torch.stack([torch.arange(6), torch.tensor([0, 0, 0, 1, 1, 1])], 1)
    return Batch(images, torch.zeros(6, 0), torch.zeros(6), torch.zeros(6, 2, 2), labels)


def test_each_part_has_an_encoder_and_the_latent_fits_the_classifiers(model, objective, batch):
    latents = model.encode(batch.images)
    assert list(latents) == ["identity", "expression", REST]
    assert {tuple(part.shape) for part in latents.parts.values()} == {(6, 16, 8, 8)}
    features = objective.classifier("identity").features(batch.images)
    assert features.shape == latents.parts["identity"].shape
    assert objective.classifier("identity").read(features).shape == (6, 6)


def test_a_part_depends_on_its_own_encoder_only(model, batch):
    before = model.encode(batch.images)
    with torch.no_grad():
        for parameter in model.encoders["expression"].parameters():
            parameter.add_(0.1)
    after = model.encode(batch.images)
    assert torch.equal(before.parts["identity"], after.parts["identity"])
    assert not torch.equal(before.parts["expression"], after.parts["expression"])


def test_shuffling_moves_attributes_with_their_labels_and_leaves_the_rest(objective):
    # Latents that say whose they are.
    marks = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 16, 8, 8)
    latents = Latents(dict.fromkeys(("identity", "expression", REST), marks))
    labels = {"identity": torch.arange(6), "expression": torch.tensor([0, 0, 0, 1, 1, 1])}
    torch.manual_seed(1)
    moved, wanted = objective.shuffle(latents, labels)
    assert torch.equal(moved.parts[REST], marks)
    orders = {name: moved.parts[name][:, 0, 0, 0].long() for name in labels}
    assert sorted(orders["identity"].tolist()) == list(range(6))
    assert orders["identity"].tolist() != orders["expression"].tolist()
    for name in labels:
        assert torch.equal(wanted[name], labels[name][orders[name]])


def test_disentanglement_is_0_for_uniform_posteriors_and_counts_all_other_pairs(objective):
    latents = Latents({name: torch.randn(4, 16, 8, 8) for name in objective.model.parts})
    for classifier in objective.classifiers.values():
        torch.nn.init.zeros_(classifier.head.weight)
        torch.nn.init.zeros_(classifier.head.bias)
    assert objective.disentanglement(latents).item() == pytest.approx(0, abs=1e-6)
    # Only the classifier of expressions prefers one of two, by odds of e to 1 for all latents.
    with torch.no_grad():
        objective.classifier("expression").head.bias.copy_(torch.tensor([1.0, 0.0]))
    sure = -(math.log(math.e / (math.e + 1)) + math.log(1 / (math.e + 1))) / 2 - math.log(2)
    # Two of the four pairs: identity and the rest under the eyes of the expressions' classifier.
    assert objective.disentanglement(latents).item() == pytest.approx(sure / 2, abs=1e-5)


def test_pictures_without_a_known_class_do_not_count(objective, batch):
    unknown = replace(batch, classes=torch.full((6, 2), -1))
    updates = objective.updates(iter([unknown]), 0)
    terms = {}
    for update in updates:
        assert update.loss.isfinite()
        terms.update(update.terms)
    assert terms["classification"] == 0
    assert terms["transfer"] == 0
    assert terms["recognition"] == 0


def test_mean_latents_are_those_of_each_class(model, batch):
    fit_means(model, [batch.select(torch.arange(3)), batch.select(torch.arange(3, 6))])
    latents = model.encode(batch.images).parts["expression"]
    mean = model.mean("expression", "scream")
    assert torch.allclose(mean[0], latents[3:].mean(0), atol=1e-5)
    alone = model.encode(batch.images[2:3]).parts["identity"]
    assert torch.allclose(model.mean("identity", "c"), alone, atol=1e-5)
    with pytest.raises(ConfigError, match="no expression 'grin'; it knows neutral, scream"):
        model.mean("expression", "grin")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parts": "identity"}, "names 1 attribute; at least two"),
        ({"parts": ""}, "names 0 attribute"),
        ({"parts": "identity,gaze"}, "'gaze', which is no column .* has identity, expression"),
        ({"critic_levels": 6}, "picture size that 64 divides, not 32"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        Disentangle(replace(CONFIG, **changes), SPEC)


def test_one_encoder_more_makes_the_decoder_wider():
    three = replace(SPEC, classes=(*SPEC.classes, ("light", tuple("xyz"))))
    model = Disentangle(replace(CONFIG, parts="identity,expression,light"), three)
    latents = model.encode(torch.zeros(1, 3, 32, 32))
    assert list(latents) == ["identity", "expression", "light", REST]


def test_a_run_learns_classes_and_attributes_of_a_set(heads_folder, tmp_path):
    fields = {**METHOD.tiny.to_dict(), "parts": "expression, Smiling"}
    request = TrainRequest(
        "disentangle", "mine", str(heads_folder), fields=fields, steps=2, batch_size=8, size=32
    )
    made = run(request, tmp_path)
    model, card = CheckpointStore(made.parent).load("disentangle.mine")
    known = dict(card.spec.classes)
    assert known["Smiling"] == ("with", "without")
    assert set(known["expression"]) <= {"neutral", "smile", "scream", "surprise", "squint"}
    assert model.mean("expression", known["expression"][0]).abs().sum() > 0
    alone = replace(request, tag="alone", fields={**fields, "parts": "expression,Sepia"})
    with pytest.raises(ConfigError, match="'Sepia', which is no column"):
        run(alone, tmp_path / "alone")


def test_the_defaults_are_the_papers():
    config = DisentangleConfig()
    assert (config.width, config.blocks, config.critic_levels) == (32, 6, 6)
    assert (config.reconstruction_weight, config.penalty_weight) == (10, 10)
