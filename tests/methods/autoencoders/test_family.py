"""What is peculiar to each autoencoder of the family; the contract tests cover the rest."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.methods.autoencoders import aae, acai, aeai, amr, base, beta_vae, gaia, plain

SPEC = DataSpec(16, "none")


def batch(count=6, seed=0):
    torch.manual_seed(seed)
    images = torch.rand(count, 3, 16, 16) * 2 - 1
    unknown = torch.full((count, 0), -1)
    return Batch(images, unknown, torch.full((count,), -1), torch.zeros(count, 2, 2))


def objective(module, **fields):
    torch.manual_seed(0)
    method = module.METHOD
    config = replace(method.tiny, **fields)
    (stage,) = method.stages(config, SPEC)
    return stage.objective(method.model(config, SPEC))


def one_step(built):
    return {update.player: update for update in built.updates(iter([batch()]), 0)}


def test_the_papers_network_has_its_shape():
    config = plain.METHOD.config()
    model = plain.METHOD.model(config, DataSpec(64, "none"))
    maps = [layer.out_channels for layer in model.encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert maps == [16, 32, 64, 128]
    assert config.latent == 256
    assert model.encode(torch.zeros(2, 3, 64, 64)).parts["z"].shape == (2, 256)


def test_blocks_must_divide_the_picture():
    with pytest.raises(ConfigError, match="4 blocks need a picture size that 16 divides, not 40"):
        plain.METHOD.model(plain.METHOD.config(), DataSpec(40, "none"))


def test_a_mix_lies_between_neighbours_and_knows_its_derivative():
    z = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    mixed = base.mix(z, torch.tensor([[0.25], [1.0]]))
    assert mixed.z.tolist() == [[0.25, 0.5], [0.0, 0.0]]
    assert mixed.tangent.tolist() == [[1.0, 2.0], [-1.0, -2.0]]


@pytest.mark.parametrize(("kind", "expected"), [("l1", 0.5), ("l2", 0.25)])
def test_reconstruction_is_a_mean_over_pixels(kind, expected):
    built = objective(plain, reconstruction=kind)
    loss = built._reconstruction(torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5))
    assert loss.item() == pytest.approx(expected)


def test_an_unknown_reconstruction_is_refused():
    with pytest.raises(ConfigError, match="l1, l2 or features, not 'ssim'"):
        objective(plain, reconstruction="ssim")


def test_feature_space_compares_feature_maps_beside_pixels():
    built = objective(plain, reconstruction="features")
    with pytest.raises(ConfigError, match=r"attributes\.celeba-64"):
        one_step(built)
    built.features = lambda images: [images.mean((2, 3)), 2 * images]
    loss = built._reconstruction(torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5))
    assert loss.item() == pytest.approx(0.25 + (0.25 + 1.0) / 2)
    (stage,) = plain.METHOD.stages(replace(plain.METHOD.tiny, reconstruction="features"), SPEC)
    assert stage.features == base.FEATURES


def test_the_derivative_is_that_of_finite_differences():
    decoder = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4))
    at, tangent = torch.randn(2, 3), torch.randn(2, 3)
    value, slope = aeai.derivative(decoder, at, tangent)
    step = 1e-2
    ahead, behind = decoder(at + step * tangent), decoder(at - step * tangent)
    assert torch.allclose(value, decoder(at))
    assert torch.allclose(slope, (ahead - behind) / (2 * step), atol=1e-3)


def test_smoothness_reaches_the_decoder_in_training_mode():
    built = objective(aeai).train()
    weight = built.model.decoder.to_rgb.weight
    z = torch.randn(4, built.config.latent)
    _, slope = aeai.derivative(built.model.decoder, z, torch.randn_like(z))
    (gradient,) = torch.autograd.grad(slope.square().mean(), weight)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("term", ["adversarial", "cycle", "smoothness"])
def test_every_term_of_aeai_switches_off_by_its_weight(term):
    everything = one_step(objective(aeai))
    less = one_step(objective(aeai, **{f"{term}_weight": 0.0}))
    assert set(everything["autoencoder"].terms) == {
        "reconstruction",
        "adversarial",
        "cycle",
        "smoothness",
    }
    assert set(less["autoencoder"].terms) == set(everything["autoencoder"].terms) - {term}
    assert ("discriminator" in less) == (term != "adversarial")


def test_aeai_weighs_its_terms_as_equation_1():
    built = objective(aeai, adversarial_weight=0.5, cycle_weight=2.0, smoothness_weight=3.0)
    update = one_step(built)["autoencoder"]
    terms = {name: value.item() for name, value in update.terms.items()}
    expected = (
        terms["reconstruction"]
        + 0.5 * terms["adversarial"]
        + 2 * terms["cycle"]
        + 3 * terms["smoothness"]
    )
    assert update.loss.item() == pytest.approx(expected, rel=1e-5)


def test_beta_vae_scales_the_divergence_by_beta_and_pixels():
    update = one_step(objective(beta_vae, beta=3.0))["autoencoder"]
    terms = {name: value.item() for name, value in update.terms.items()}
    assert update.loss.item() == pytest.approx(terms["reconstruction"] + 3 * terms["kl"], rel=1e-5)


def test_beta_vae_encodes_to_the_mean():
    model = objective(beta_vae).model.eval()
    images = batch().images
    mean, _ = model.encoder(images).chunk(2, dim=1)
    assert torch.equal(model.encode(images).parts["z"], mean)


def test_acai_reads_positions_up_to_one_half(monkeypatch):
    seen = []
    monkeypatch.setattr(acai, "mix", lambda z, alpha: seen.append(alpha) or base.mix(z, alpha))
    built = objective(acai)
    for seed in range(20):
        list(built.updates(iter([batch(seed=seed)]), 0))
    positions = torch.cat(seen)
    assert positions.min() >= 0
    assert 0.4 < positions.max() <= 0.5


def test_aae_compares_latents_with_the_prior():
    built = objective(aae)
    shown = []
    built.discriminator.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    one_step(built)
    assert {tensor.shape for tensor in shown} == {torch.Size([6, built.config.latent])}


def test_amr_looks_for_mixed_latents_only_if_asked():
    assert "consistency" not in one_step(objective(amr))["autoencoder"].terms
    asked = one_step(objective(amr, consistency_weight=0.1))
    assert "consistency" in asked["autoencoder"].terms


def test_gaia_slows_the_discriminator_that_is_ahead(monkeypatch):
    scales = {}
    for name, fake in (("ahead", 1.0), ("behind", 0.0)):
        built = objective(gaia)
        errors = iter([0.2, fake, fake, fake, fake])
        monkeypatch.setattr(
            built, "_error", lambda *_, values=errors: torch.tensor(next(values)).requires_grad_()
        )
        scales[name] = one_step(built)["discriminator"].lr_scale
    assert scales["ahead"] < 0.01
    assert scales["behind"] > 0.97


def test_gaia_asks_for_the_pictures_distances():
    images = torch.randn(4, 3, 2, 2)
    same = images.flatten(1) * 7
    assert gaia.distance_loss(images, same).item() == pytest.approx(0, abs=1e-6)
    assert gaia.distance_loss(images, torch.randn(4, 12)).item() > 1e-3
