from dataclasses import replace

import numpy as np
import pytest
import torch

from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.latents import Latents
from studio.methods.attribute_mapping import (
    METHOD,
    AttributeMapping,
    ClassifierObjective,
    EquilibriumObjective,
    MappingObjective,
    as_inputs,
    fit_residuals,
    stages,
)
from studio.nn.blocks import initialize
from studio.training.trainer import Trainer

SPEC = DataSpec(32, "celeba", ("Eyeglasses", "Smiling", "Bald", "Male"))
CONFIG = METHOD.tiny


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = AttributeMapping(CONFIG, SPEC)
    initialize(made, 0.2)
    return made.eval()


@pytest.fixture
def latents(model):
    return Latents({"z": torch.randn(1, CONFIG.latent)})


def batch(count=8, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return Batch(
        torch.rand(count, 3, 32, 32, generator=rng) * 2 - 1,
        torch.randint(-1, 2, (count, 4), generator=rng),
        torch.zeros(count, dtype=torch.int64),
        torch.zeros(count, 2, 2),
    )


def probabilities(*values):
    return torch.tensor([values], dtype=torch.float32)


def test_untouched_sliders_leave_the_latents_as_they_are(model, latents):
    own = model.measure(torch.zeros(1, 3, 32, 32))
    moved = own.clone()
    moved[0, 1] = 1
    edited = model.edit(latents, own, torch.cat([own, moved, own])).parts["z"]
    assert torch.equal(edited[0], latents.parts["z"][0])
    assert torch.equal(edited[2], latents.parts["z"][0])
    assert not torch.equal(edited[1], latents.parts["z"][0])


def test_moves_add_up_in_any_order(model, latents):
    own, glasses = probabilities(0.1, 0.2, 0.3, 0.4), probabilities(1, 0.2, 0.3, 0.4)
    both, smile = probabilities(1, 0.9, 0.3, 0.4), probabilities(0.1, 0.9, 0.3, 0.4)
    at_once = model.edit(latents, own, both).parts["z"]
    for first in (glasses, smile):
        halfway = model.edit(latents, own, first)
        torch.testing.assert_close(model.edit(halfway, first, both).parts["z"], at_once)


def test_the_sensitivity_is_the_derivative_of_the_measured_logits(model, latents):
    slopes = model.sensitivity(latents)
    assert slopes.shape == (4, CONFIG.latent)

    def logits(z):
        return model.classifier(model.decoder(z))[0]

    expected = torch.autograd.functional.jacobian(logits, latents.parts["z"])[:, 0]
    torch.testing.assert_close(slopes, expected, rtol=1e-3, atol=1e-5)


def test_codes_of_inference_mode_have_a_sensitivity_too(model, latents):
    with torch.inference_mode():
        codes = model.encode(torch.zeros(1, 3, 32, 32))
        slopes = model.sensitivity(codes)
    assert slopes.isfinite().all()
    assert slopes.abs().sum() > 0


def test_held_attributes_do_not_answer_to_the_move(model, latents):
    own, wanted = probabilities(0.1, 0.2, 0.3, 0.4), probabilities(1, 0.2, 0.3, 0.4)
    slopes = model.sensitivity(latents)
    free = model.edit(latents, own, wanted).parts["z"] - latents.parts["z"]
    held = model.edit(latents, own, wanted, slopes, (1, 2)).parts["z"] - latents.parts["z"]
    before, after = (slopes @ free[0])[[1, 2]].abs(), (slopes @ held[0])[[1, 2]].abs()
    assert (after < 0.02 * before.max()).all()
    assert held.norm() > 0


def test_what_is_wanted_is_never_held(model, latents):
    own, wanted = probabilities(0.1, 0.2, 0.3, 0.4), probabilities(1, 0.2, 0.3, 0.4)
    slopes = model.sensitivity(latents)
    alone = model.edit(latents, own, wanted, slopes, (0,)).parts["z"]
    assert torch.equal(alone, model.edit(latents, own, wanted).parts["z"])


def test_a_held_move_still_reaches_what_it_was_meant_to_do(model, latents):
    own, wanted = probabilities(0.1, 0.2, 0.3, 0.4), probabilities(1, 0.2, 0.3, 0.4)
    slopes = torch.zeros(4, CONFIG.latent)
    move = (model.edit(latents, own, wanted).parts["z"] - latents.parts["z"])[0].detach()
    # The wanted attribute answers along the move, the held one to half of the same direction.
    other = torch.randn(CONFIG.latent)
    other -= (other @ move) / (move @ move) * move
    slopes[0] = move / move.norm()
    slopes[1] = move / move.norm() + other / other.norm()
    held = (model.edit(latents, own, wanted, slopes, (1,)).parts["z"] - latents.parts["z"])[0]
    held = held.detach()
    assert float(slopes[1] @ held) == pytest.approx(0, abs=0.01 * float(move.norm()))
    assert float(slopes[0] @ held) == pytest.approx(float(slopes[0] @ move), rel=0.01)


def test_noise_of_zero_gives_the_face_of_the_mapping(model):
    attributes = probabilities(1, 0, 0, 1)
    model.residual_mean.fill_(3.0)
    with torch.no_grad():
        made = model.generate(attributes.expand(2, -1), torch.tensor([[0.0], [1.0]]).expand(-1, 6))
        torch.testing.assert_close(made[:1], model.decoder(model.mapping(attributes)))
    assert not torch.equal(made[0], made[1])


def test_the_last_stage_measures_how_latents_spread(model):
    batches = [batch(seed=seed) for seed in range(3)]
    with torch.no_grad():
        z = torch.cat([model.encode(one.images).parts["z"] for one in batches]).double().numpy()
        mapped = torch.cat([model.mapping(as_inputs(one.attributes)) for one in batches])
    residual = z - mapped.double().numpy()
    fit_residuals(model, iter(batches))
    root = model.residual_root.double().numpy()
    np.testing.assert_allclose(root @ root.T, np.cov(residual.T), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(model.residual_mean, residual.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.covariance, np.cov(z.T), rtol=1e-3, atol=1e-6)


def test_unknown_attributes_enter_as_one_half():
    assert as_inputs(torch.tensor([[1, 0, -1]])).tolist() == [[1.0, 0.0, 0.5]]


def trainer_of(objective, index, steps=3):
    stage = replace(stages(CONFIG, SPEC)[index], averaging=0.0)
    return Trainer(objective, stage, steps=steps)


def test_k_follows_the_balance_of_the_energies_within_its_range(model):
    objective = EquilibriumObjective(model, replace(CONFIG, k_rate=0.5), SPEC)
    seen = []
    trainer = trainer_of(objective, 0)
    trainer.fit(iter(batch, None), after_step=lambda step, terms: seen.append((terms, objective.k)))
    terms = seen[0][0]
    assert terms["k"] == 0
    # Eq. 6, with the convergence measure of Berthelot et al. solved for the balance's size.
    balance = terms["convergence"] - terms["energy"]
    assert abs(seen[1][0]["k"]) == pytest.approx(0.5 * balance, abs=1e-6) or seen[1][0]["k"] == 0
    objective.config = replace(CONFIG, k_rate=1e6)
    trainer.steps = 6
    trainer.fit(iter(batch, None))
    assert float(objective.k) in (0.0, 1.0)


def test_without_weight_the_adversary_learns_to_reproduce_alone(model):
    objective = EquilibriumObjective(model, CONFIG, SPEC)
    updates = list(objective.updates(iter(batch, None), 0))
    assert updates[0].loss.item() == pytest.approx(float(updates[0].terms["energy"]))
    assert updates[1].loss.item() == pytest.approx(float(updates[1].terms["reconstruction"]))


def test_the_adversary_can_be_left_out(model):
    objective = EquilibriumObjective(model, replace(CONFIG, k_rate=0.0), SPEC)
    (update,) = objective.updates(iter(batch, None), 0)
    assert (update.player, set(update.terms)) == ("autoencoder", {"reconstruction"})
    assert update.loss.item() == pytest.approx(update.terms["reconstruction"].item())


def test_a_weighted_adversary_pushes_the_energies_apart(model):
    objective = EquilibriumObjective(model, CONFIG, SPEC)
    objective.k.fill_(0.5)
    adversary, autoencoder = objective.updates(iter(batch, None), 0)
    images = batch().images
    with torch.no_grad():
        made = objective.energy(model.decode(model.encode(images)))
        assert adversary.loss.item() == pytest.approx(
            float(objective.energy(images) - 0.5 * made), rel=1e-4
        )
        assert autoencoder.loss.item() == pytest.approx(
            float(autoencoder.terms["reconstruction"] + 0.5 * made), rel=1e-4
        )


def test_the_classifier_ignores_labels_that_are_unknown(model):
    objective = ClassifierObjective(model, CONFIG)
    unknown = replace(batch(), attributes=torch.full((8, 4), -1))
    (update,) = objective.updates(iter(lambda: unknown, None), 0)
    assert update.loss.item() == 0


def test_the_mapping_stage_leaves_everything_else_alone(model):
    trainer = trainer_of(MappingObjective(model, CONFIG, SPEC), 2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer.fit(iter(batch, None))
    after = model.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    # Not even the running statistics of the classifier.
    assert changed == {"mapping"}


@pytest.mark.parametrize(("weight", "named"), [(10.0, True), (0.0, False)])
def test_the_ablation_has_no_perceptual_loss(model, weight, named):
    objective = MappingObjective(model, replace(CONFIG, perceptual_weight=weight), SPEC)
    *_, update = objective.updates(iter(batch, None), 0)
    assert ("perceptual" in update.terms) == named


def test_the_mapping_weighs_its_losses_as_the_paper_does(model):
    config = replace(
        CONFIG, image_adversarial_weight=2, image_weight=3, latent_weight=5, perceptual_weight=7
    )
    *_, update = MappingObjective(model, config, SPEC).updates(iter(batch, None), 0)
    weights = {"adversarial": 1, "image_adversarial": 2, "image": 3, "latent": 5, "perceptual": 7}
    total = sum(weights[name] * float(term) for name, term in update.terms.items())
    assert update.loss.item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (DataSpec(32, "celeba", ()), "has no attributes"),
        (DataSpec(48, "celeba", ("Bald",)), "size that 32 divides, not 48"),
    ],
)
def test_data_that_does_not_suit_is_refused(spec, message):
    with pytest.raises(ConfigError, match=message):
        AttributeMapping(CONFIG, spec)


def test_features_are_those_of_the_first_four_layers(model):
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    features = model.classifier.features(images)
    assert [tuple(one.shape[1:]) for one in features] == [
        (4, 16, 16),
        (8, 8, 8),
        (16, 4, 4),
        (32, 2, 2),
    ]
    rest = list(model.classifier)[4:]
    last = features[-1]
    for layer in rest:
        last = layer(last)
    assert torch.equal(last, model.classifier(images))


def test_the_autoencoder_is_asked_to_keep_what_the_classifier_sees(model):
    objective = EquilibriumObjective(model, replace(CONFIG, k_rate=0, feature_weight=2.0), SPEC)
    objective.train()
    before = model.classifier[1][0].weight.clone()
    (update,) = objective.updates(iter([batch()]), 0)
    terms = update.terms
    expected = terms["reconstruction"] + 2 * terms["features"]
    assert update.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert 0 < terms["features"] <= 4
    assert not model.classifier.training
    plain = EquilibriumObjective(model, replace(CONFIG, k_rate=0), SPEC)
    (without,) = plain.updates(iter([batch()]), 0)
    assert "features" not in without.terms
    assert torch.equal(before, model.classifier[1][0].weight)


def same_weights(objective):
    pairs = zip(
        objective.adversary, (objective.model.encoder, objective.model.decoder), strict=True
    )
    return all(
        torch.equal(one, other)
        for a, b in pairs
        for one, other in zip(a.parameters(), b.parameters(), strict=True)
    )


def taught(model, images):
    """Make the decoder draw the pictures' mean: better than an untrained network's pictures."""
    with torch.no_grad():
        for weight in model.decoder.to_rgb.parameters():
            weight.zero_()
        model.decoder.to_rgb.bias.copy_(torch.atanh(images.mean((0, 2, 3)).clamp(-0.9, 0.9)))


@pytest.mark.parametrize(("step", "copied"), [(0, True), (7, False)])
def test_an_untrained_adversary_begins_as_a_copy_of_a_trained_autoencoder(model, step, copied):
    data = batch()
    taught(model, data.images)
    objective = EquilibriumObjective(model, CONFIG, SPEC)
    with torch.no_grad():
        objective.adversary[1].to_rgb.bias.fill_(2)
    list(objective.updates(iter([data]), step))
    assert same_weights(objective) == copied


def test_a_trained_adversary_goes_on_as_it_is(model):
    data = batch()
    objective = EquilibriumObjective(model, CONFIG, SPEC)
    objective.adversary[0].load_state_dict(model.encoder.state_dict())
    objective.adversary[1].load_state_dict(model.decoder.state_dict())
    with torch.no_grad():
        model.decoder.to_rgb.bias.fill_(2)
    list(objective.updates(iter([data]), 0))
    assert not same_weights(objective)


def test_edits_turn_one_attribute_over_or_take_all_of_another_face(model, monkeypatch):
    objective = MappingObjective(model, replace(CONFIG, edit_weight=3.0), SPEC)
    asked = []

    def judged(logits, wanted, weights=None):
        asked.append(wanted)
        return logits.square().mean()

    monkeypatch.setattr("studio.methods.attribute_mapping.attribute_cross_entropy", judged)
    torch.manual_seed(3)
    data = batch(64)
    updates = list(objective.updates(iter([data]), 0))
    assert "edits" in updates[-1].terms
    wanted = asked[-1]
    assert wanted.shape == (32, 4)
    own, others = data.attributes[:32], data.attributes[32:]
    changed = (wanted != own).sum(1)
    taken = (wanted == others).all(1)
    assert ((changed == 1) | taken).all()
    assert (changed == 1).any()
    assert (taken & (changed > 1)).any()
    flipped = (wanted != own) & ~taken[:, None]
    assert ((wanted == 1) == (own < 1))[flipped].all()


def test_the_classifier_learns_from_decoded_pictures_too(model):
    seen = []
    model.classifier.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    data = batch(8)
    objective = ClassifierObjective(model, replace(CONFIG, classifier_decoded=0.25))
    list(objective.updates(iter([data]), 0))
    assert torch.equal(seen[0][2:], data.images[2:])
    assert torch.equal(seen[0][:2], model.decoder(model.encoder(data.images[:2])))


def test_jitter_moves_what_the_classifier_reads_and_nothing_else(model):
    seen = []
    model.classifier.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    data = batch(8)
    list(ClassifierObjective(model, replace(CONFIG, jitter=True)).updates(iter([data]), 0))
    assert seen[0].shape == data.images.shape
    assert not torch.equal(seen[0], data.images)
    objective = MappingObjective(model, replace(CONFIG, jitter=True, edit_weight=1.0), SPEC)
    updates = list(objective.updates(iter([data]), 0))
    made = model.decoder(model.mapping(as_inputs(data.attributes)))
    assert updates[-1].terms["image"] == pytest.approx(
        float((made - data.images).abs().mean().detach()), rel=1e-5
    )
    assert not torch.equal(seen[1], made)
    (gradient,) = torch.autograd.grad(updates[-1].loss, model.mapping.layers[0].weight)
    assert gradient.isfinite().all()


def test_many_attributes_are_turned_and_what_changes_counts_more(model, monkeypatch):
    asked = []

    def judged(logits, wanted, weights=None):
        asked.append((wanted, weights))
        return logits.square().mean()

    monkeypatch.setattr("studio.methods.attribute_mapping.attribute_cross_entropy", judged)
    config = replace(CONFIG, edit_weight=1.0, edit_turned=0.9, edit_emphasis=5.0)
    torch.manual_seed(0)
    data = batch(64)
    list(MappingObjective(model, config, SPEC).updates(iter([data]), 0))
    wanted, weights = asked[-1]
    changed = wanted != data.attributes[:32]
    assert (changed.sum(1) > 2).sum() > 8
    assert torch.equal(weights, torch.where(changed, 5.0, 1.0))


def test_faces_spread_as_far_as_they_are_told(model, monkeypatch):
    monkeypatch.setattr(model, "decoder", torch.nn.Identity())
    attributes, noise = torch.rand(2, 4), torch.randn(2, CONFIG.latent)
    wide = model.generate(attributes, noise) - model.mapping(attributes)
    model.spread = 0.5
    narrow = model.generate(attributes, noise) - model.mapping(attributes)
    torch.testing.assert_close(narrow - model.residual_mean, 0.5 * (wide - model.residual_mean))


def test_the_gain_lengthens_an_edit_and_nothing_else(model, latents):
    own, glasses = probabilities(0.1, 0.2, 0.3, 0.4), probabilities(1, 0.2, 0.3, 0.4)
    once = model.edit(latents, own, glasses).parts["z"] - latents.parts["z"]
    model.gain = 1.5
    more = model.edit(latents, own, glasses).parts["z"] - latents.parts["z"]
    torch.testing.assert_close(more, 1.5 * once)
    assert torch.equal(model.edit(latents, own, own).parts["z"], latents.parts["z"])
