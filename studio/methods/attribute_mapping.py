"""Attribute mapping: faces from attributes alone, and attribute edits of a face's own latent.

Liu, Sun, He, Liu, Su, Chua: "Generating Face Images with Attributes for Free" (IEEE TNNLS 2021).

An autoencoder and an attribute classifier are trained first; then a small network learns to map
attributes to latents that the autoencoder decodes to faces which show them. A photograph is edited
by moving its own latent by the difference that the network makes between two sets of attributes.

Symbols:
    x, a, z: picture, attributes, latent ``G_en(x)``; x̂ = ``G_de(z)`` or ``G_de(ẑ)``.
    Φ, ẑ: the mapping network and the latent ``Φ(a)`` that it makes of attributes.
    C: the classifier. D: the autoencoder's adversary, itself an autoencoder with the energy
    L(v) = |v - D(v)| (Berthelot et al. 2017). D_fc, D_conv: the discriminators of latents and
    pictures of the third stage.
    k: how much weight the adversary has (Eq. 3, 6), γ: the equilibrium's ratio.

Who plays what (the paper's Eq. 5, a log loss on latents, contradicts its text and Eq. 3 and 6):
    Encoder and decoder are the autoencoder that is kept. The discriminator is a second autoencoder
    of the same shape. It minimizes L(x) - k L(x̂), the autoencoder |x - x̂| + k L(x̂).

Beside the paper's losses stand some that may be switched on, because Φ finds latents that fool C
and nobody else:
    In the first stage the autoencoder keeps what the layers of a trained C see, |f(x) - f(x̂)|
    (``feature_weight``): pixels alone give up eyeglasses and beards before anything else.
    In the third stage the perceptual loss also judges edits, C(G_de(z - Φ(a) + Φ(b))) against b
    (``edit_weight``): what sliders do, and what a face is that is drawn around Φ(b).
    C learns from decoded pictures, too (``classifier_decoded``), and reads all pictures moved,
    noisy and off-colour (``jitter``).

Departures from the paper:
    Pictures leave the decoder through a tanh, so that they lie in [-1, 1]. All losses are means
    over pixels, latents or attributes. The two discriminators of the third stage are spectrally
    normalized: unconstrained ones win within a few hundred steps. C has batch normalization.
    A fourth, closed-form stage measures how latents spread around Φ(a), because Φ alone gives
    one face for each set of attributes. Unknown attributes enter Φ as 0.5.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studio import together
from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError
from studio.latents import Latents
from studio.losses import LogLoss, attribute_cross_entropy
from studio.methods.base import (
    AttributeModel,
    Config,
    FitStage,
    Generator,
    GradientStage,
    Method,
    Objective,
    Operation,
    OptimizerConfig,
    Stage,
    Update,
)
from studio.nn.augmentation import degrade, jitter_place
from studio.nn.blocks import constrain
from studio.nn.networks import LinearGrowthEncoder, NearestDecoder, StridedTrunk

_HIDDEN = (128, 128, 256, 256, 128)
# Keeps projections finite where two attributes answer to the same move; relative to the largest.
_RIDGE = 1e-3
# Share of the edits in the third stage that take all attributes from another face.
_ALL_TAKEN = 0.5
# A held edit is lengthened at most so many times to reach what it was meant to do.
_MOST_STRETCH = 4.0


@dataclass(frozen=True)
class AttributeMappingConfig(Config):
    """Settings; the defaults are the paper's or BEGAN's, which are for a large GPU.

    Attributes:
        width: Channels of encoder and decoder at the full resolution.
        levels: Resolutions, each half of the one before.
        blocks: Residual blocks of two convolutions at each resolution.
        latent: Dimensions of z.
        discriminator_width: Of the adversary; 0 takes ``width``.
        classifier_width: Channels of C's first layer.
        critic_width: Channels of D_conv's first layer.
        critic_units: Of each hidden layer of D_fc.
        gamma: γ, the ratio of the energies of x̂ and x in equilibrium.
        k_rate: λ_k (Eq. 6); 0 leaves the adversary out, which a long beginning of the first stage
            can do without.
        image_adversarial_weight: λ_1 (Eq. 17).
        image_weight: λ_2.
        latent_weight: λ_3.
        perceptual_weight: λ_4; 0 is the ablation without perceptual loss.
        feature_weight: Of the loss of C's features in the first stage, for a child whose parent
            has a trained C; 0 leaves it out.
        edit_weight: Of the perceptual loss of edits in the third stage; 0 leaves it out.
        edit_turned: Share of a face's attributes that such an edit turns over, beside one that it
            always does; 0 turns that one alone.
        edit_emphasis: How much what an edit changes counts there against what it leaves.
        edit_gain: How far an edit goes, in differences that Φ makes: Φ's faces are means of many,
            milder than a single one.
        spread: Scale of the residuals that faces are drawn with; the latents of pictures are not
            normally distributed, and far from Φ(a) lie latents of no face.
        classifier_decoded: Share of C's training pictures that are decoded from their latents
            first, in [0, 1].
        jitter: Whether C's training pictures, and those of the perceptual losses, are moved a
            little and degraded at random.
        autoencoder_lr: Learning rate of Adam in the first stage.
        autoencoder_momentum: Adam's first decay rate there; 0.9 learns faster where no adversary
            plays.
        autoencoder_clip: Largest norm of a player's gradient there; 0 sets no limit.
        classifier_lr: In the second.
        mapping_lr: In the third.
        averaging: Decay of the averaged weights.
        decay: Last fraction of each stage over which its learning rate falls to 0.
        autoencoder_share: Part of the steps for the first stage; 0 keeps the parent's autoencoder.
        classifier_share: For the second.
        mapping_share: For the third.
        flip: Mirror training pictures at random.
    """

    width: int = 128
    levels: int = 4
    blocks: int = 2
    latent: int = 64
    discriminator_width: int = 0
    classifier_width: int = 64
    critic_width: int = 64
    critic_units: int = 512
    gamma: float = 0.5
    k_rate: float = 1e-3
    image_adversarial_weight: float = 1.0
    image_weight: float = 10.0
    latent_weight: float = 1.0
    perceptual_weight: float = 10.0
    feature_weight: float = 0.0
    edit_weight: float = 0.0
    edit_turned: float = 0.0
    edit_emphasis: float = 1.0
    edit_gain: float = 1.0
    spread: float = 1.0
    classifier_decoded: float = 0.0
    jitter: bool = False
    autoencoder_lr: float = 8e-5
    autoencoder_momentum: float = 0.5
    autoencoder_clip: float = 0.0
    classifier_lr: float = 1e-4
    mapping_lr: float = 1e-4
    averaging: float = 0.998
    decay: float = 0.3
    autoencoder_share: float = 0.6
    classifier_share: float = 0.15
    mapping_share: float = 0.25
    flip: bool = True


class AttributeMapper(nn.Module):
    """Φ: six linear layers with ELUs, with shortcuts where the width stays (section III-D)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        units = [inputs, *_HIDDEN, outputs]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(units)])

    def forward(self, attributes: Tensor) -> Tensor:
        """Map (B, inputs) attributes, and what else is given, to (B, outputs) latents (Eq. 9)."""
        features = attributes
        for layer in list(self.layers)[:-1]:
            made = F.elu(layer(features))
            features = made + features if made.shape == features.shape else made
        return self.layers[-1](features)


class AttributeMapping(AttributeModel, Generator):
    """Encoder, decoder, classifier and Φ."""

    residual_mean: Tensor
    residual_root: Tensor
    covariance: Tensor

    def __init__(self, config: AttributeMappingConfig, spec: DataSpec) -> None:
        """Build the four networks.

        Raises:
            ConfigError: The data has no attributes, or the picture size does not suit.
        """
        super().__init__()
        check_size(spec, config.levels)
        self.attributes = spec.attributes
        self.noise_size = config.latent
        self.gain, self.spread = config.edit_gain, config.spread
        count, latent = len(spec.attributes), config.latent
        shape = (spec.size, config.width, config.levels, config.blocks, latent)
        self.encoder = LinearGrowthEncoder(*shape)
        self.decoder = NearestDecoder(*shape)
        self.classifier = StridedTrunk(spec.size, config.classifier_width, count, "batch", 0.2)
        self.mapping = AttributeMapper(count, latent)
        # How latents spread around Φ(a), and in all; identity until the last stage has run.
        self.register_buffer("residual_mean", torch.zeros(latent))
        self.register_buffer("residual_root", torch.eye(latent))
        self.register_buffer("covariance", torch.eye(latent))

    def encode(self, images: Tensor) -> Latents:
        """Encode (B, 3, H, W) images in [-1, 1] to ``z``, (B, latent) (Eq. 1)."""
        return Latents({"z": self.encoder(images).float()})

    def decode(self, latents: Latents) -> Tensor:
        """Decode to (B, 3, H, W) images in [-1, 1] (Eq. 2)."""
        return self.decoder(latents.parts["z"])

    def measure(self, images: Tensor) -> Tensor:
        """Return C's (B, A) probabilities (Eq. 7)."""
        return self.classifier(images).float().sigmoid()

    def sensitivity(self, latents: Latents) -> Tensor:
        """Return (A, D), the derivative of C's logits of the decoded picture in z."""
        # Codes may come from inference mode, whose tensors no derivative can be taken in.
        with torch.inference_mode(mode=False), torch.enable_grad():
            z = latents.parts["z"].detach().clone().expand(len(self.attributes), -1)
            z = z.contiguous().requires_grad_()
            logits = self.classifier(self.decoder(z))
            (slopes,) = torch.autograd.grad(logits.diagonal().sum(), z)
        return slopes

    def edit(
        self,
        latents: Latents,
        before: Tensor,
        after: Tensor,
        sensitivity: Tensor | None = None,
        held: Sequence[int] = (),
    ) -> Latents:
        """Add Φ(after) - Φ(before), times the gain, without what would move the held attributes.

        The held attributes' derivatives are projected out of the difference; what is left is
        lengthened until it moves the wanted attributes as far as the whole difference would.
        """
        move = self.gain * (self.mapping(after) - self.mapping(before))
        wanted = after != before
        if sensitivity is not None and held:
            move = torch.cat(
                [
                    _hold(one, sensitivity, signs, held)
                    for one, signs in zip(move.split(1), (after - before).sign(), strict=True)
                ]
            )
        # Rows of a product may round differently: what was not touched must not move at all.
        move = move * wanted.any(1, keepdim=True)
        return Latents({"z": latents.parts["z"] + move})

    def generate(self, attributes: Tensor, noise: Tensor) -> Tensor:
        """Decode Φ(a) with a residual drawn from those of the training pictures."""
        residual = self.residual_mean + self.spread * noise @ self.residual_root.T
        moved = noise.abs().amax(1, keepdim=True) > 0
        return self.decoder(self.mapping(attributes) + residual * moved)


def _hold(move: Tensor, sensitivity: Tensor, signs: Tensor, held: Sequence[int]) -> Tensor:
    """Take out of one (1, D) move what changes held attributes; signs (A,) tell what is wanted."""
    kept = sensitivity[[index for index in held if signs[index] == 0]]
    if not len(kept):
        return move
    # Each attribute's derivative counts alike, whatever its classifier's scale.
    rows = kept / kept.norm(dim=1, keepdim=True).clamp_min(1e-12)
    gram = rows @ rows.T
    ridge = _RIDGE * torch.eye(len(rows), device=rows.device)
    free = move - torch.linalg.solve(gram + ridge, rows @ move.T).T @ rows
    effects = [
        float((sensitivity @ one[0] * signs).sum()) for one in (move.detach(), free.detach())
    ]
    stretch = effects[0] / effects[1] if effects[1] > 0 else 1.0
    return free * min(max(stretch, 1.0), _MOST_STRETCH)


def check_size(spec: DataSpec, levels: int) -> None:
    """Refuse data that networks around a :class:`StridedTrunk` cannot learn from.

    Raises:
        ConfigError: It has no attributes, or a picture size that 32 or the levels do not divide.
    """
    if not spec.attributes:
        raise ConfigError(
            "The data has no attributes, and this method learns from them: add 0/1 columns to its "
            "attributes.csv."
        )
    unit = max(32, 2 ** (levels - 1))
    if spec.size % unit:
        raise ConfigError(f"The networks need a picture size that {unit} divides, not {spec.size}.")


def as_inputs(attributes: Tensor) -> Tensor:
    """Turn (B, A) labels in {0, 1}, -1 where unknown, into inputs of Φ."""
    return torch.where(attributes < 0, 0.5, attributes.float())


class _FixedClassifierObjective(Objective):
    """An objective that reads pictures with the classifier as it is used."""

    model: AttributeMapping

    def train(self, mode: bool = True) -> Self:
        """Keep the classifier, which is fixed here, as it is used."""
        super().train(mode)
        self.model.classifier.eval()
        return self


def _jittered(images: Tensor) -> Tensor:
    return degrade(jitter_place(images))


class EquilibriumObjective(_FixedClassifierObjective):
    """First stage: the autoencoder in equilibrium with its adversary (Eq. 3, 4, 6)."""

    k: Tensor

    def __init__(
        self, model: AttributeMapping, config: AttributeMappingConfig, spec: DataSpec
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        width = config.discriminator_width or config.width
        shape = (spec.size, width, config.levels, config.blocks, config.latent)
        self.adversary = nn.Sequential(LinearGrowthEncoder(*shape), NearestDecoder(*shape))
        self.register_buffer("k", torch.zeros(()))

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the autoencoder and its adversary."""
        model = self.model
        return {
            "adversary": list(self.adversary.parameters()),
            "autoencoder": [*model.encoder.parameters(), *model.decoder.parameters()],
        }

    def energy(self, images: Tensor) -> Tensor:
        """Return the scalar L(v) = |v - D(v)|, mean over pixels."""
        return F.l1_loss(self.adversary(images), images)

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Move the adversary, then the autoencoder, then k."""
        images = next(batches).images
        made = self.model.decoder(self.model.encoder(images))
        reconstruction = F.l1_loss(made, images)
        terms = {"reconstruction": reconstruction.detach()}
        loss = reconstruction
        if self.config.feature_weight > 0:
            unlike = self._unlike(images, made)
            loss = loss + self.config.feature_weight * unlike
            terms["features"] = unlike.detach()
        if self.config.k_rate == 0:
            yield Update("autoencoder", loss, terms)
            return
        if step == 0:
            self._prepare_adversary(images, float(reconstruction.detach()))
        real, fake = self.energy(images), self.energy(made.detach())
        balance = together.mean((self.config.gamma * real - fake).detach())
        # Berthelot et al. 2017, section 3.4: falls when training goes well.
        convergence = real.detach() + balance.abs()
        game = {"k": self.k.clone(), "convergence": convergence, "energy": real.detach()}
        yield Update("adversary", real - self.k * fake, game)
        yield Update("autoencoder", loss + self.k * self.energy(made), terms)
        self.k.add_(self.config.k_rate * balance).clamp_(0, 1)

    def _unlike(self, images: Tensor, made: Tensor) -> Tensor:
        """Return the squared distance of C's features, each place's scaled to length 1; a mean."""
        classifier = self.model.classifier
        with torch.no_grad():
            wanted = classifier.features(images)
        pairs = zip(wanted, classifier.features(made), strict=True)
        lengths = [
            (F.normalize(one.float()) - F.normalize(other.float())).square().sum(1).mean()
            for one, other in pairs
        ]
        return torch.stack(lengths).mean()

    @torch.no_grad()
    def _prepare_adversary(self, images: Tensor, reconstruction: float) -> None:
        """Begin with an adversary that knows the pictures as well as the autoencoder does.

        A parent that was trained without one leaves an untrained one behind, whose energy would
        say nothing for thousands of steps. Both have the same shape, unless a width sets it apart.
        """
        same = self.config.discriminator_width in (0, self.config.width)
        if same and float(self.energy(images)) > reconstruction:
            for own, other in zip(
                self.adversary, (self.model.encoder, self.model.decoder), strict=True
            ):
                own.load_state_dict(other.state_dict())


class ClassifierObjective(Objective):
    """Second stage: the classifier on real pictures (Eq. 7, 8)."""

    model: AttributeMapping

    def __init__(self, model: AttributeMapping, config: AttributeMappingConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the one player."""
        return {"classifier": list(self.model.classifier.parameters())}

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Classify one batch."""
        batch = next(batches)
        images = batch.images
        count = round(self.config.classifier_decoded * len(batch))
        if count:
            with torch.no_grad():
                decoded = self.model.decoder(self.model.encoder(images[:count]))
            images = torch.cat([decoded, images[count:]])
        logits = self.model.classifier(_jittered(images) if self.config.jitter else images)
        loss = attribute_cross_entropy(logits, batch.attributes)
        known = batch.attributes >= 0
        right = ((logits > 0) == (batch.attributes == 1))[known].float().mean()
        yield Update("classifier", loss, {"loss": loss.detach(), "accuracy": right})


class MappingObjective(_FixedClassifierObjective):
    """Third stage: Φ against two discriminators, with all else fixed (Eq. 10 to 17)."""

    def __init__(
        self, model: AttributeMapping, config: AttributeMappingConfig, spec: DataSpec
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        units = [config.latent, *[config.critic_units] * 3]
        layers: list[nn.Module] = []
        for a, b in pairwise(units):
            layers += [constrain(nn.Linear(a, b), "spectral"), nn.LeakyReLU(0.2)]
        self.latent_discriminator = nn.Sequential(
            *layers, constrain(nn.Linear(units[-1], 1), "spectral")
        )
        self.image_discriminator = StridedTrunk(spec.size, config.critic_width, 1, "spectral", 0.0)
        self.adversarial = LogLoss()

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return Φ and both discriminators."""
        return {
            "latent_discriminator": list(self.latent_discriminator.parameters()),
            "image_discriminator": list(self.image_discriminator.parameters()),
            "mapping": list(self.model.mapping.parameters()),
        }

    def updates(self, batches: Iterator[Batch], step: int) -> Iterator[Update]:
        """Move D_fc (Eq. 15), D_conv (Eq. 16) and Φ (Eq. 17)."""
        batch = next(batches)
        with torch.no_grad():
            z = self.model.encoder(batch.images)
        mapped = self.model.mapping(as_inputs(batch.attributes))
        made = self.model.decoder(mapped)
        yield self._discriminate("latent_discriminator", self.latent_discriminator, z, mapped)
        yield self._discriminate(
            "image_discriminator", self.image_discriminator, batch.images, made
        )
        yield self._mapping_update(batch, z, mapped, made)

    def _discriminate(self, name: str, network: nn.Module, real: Tensor, fake: Tensor) -> Update:
        """Tell real latents or pictures from those that Φ made (Eq. 12, 13)."""
        loss = self.adversarial.critic(network(real).float(), network(fake.detach()).float())
        return Update(name, loss, {name: loss.detach()})

    def _mapping_update(self, batch: Batch, z: Tensor, mapped: Tensor, made: Tensor) -> Update:
        config = self.config
        fooled = self.adversarial.generator(self.latent_discriminator(mapped).float())
        fooled_image = self.adversarial.generator(self.image_discriminator(made).float())
        terms = {
            "adversarial": (1.0, fooled),
            "image_adversarial": (config.image_adversarial_weight, fooled_image),
            "image": (config.image_weight, F.l1_loss(made, batch.images)),
            "latent": (config.latent_weight, F.mse_loss(mapped.float(), z.float())),
        }
        if config.perceptual_weight > 0:
            perceptual = self._perceptual(made, batch.attributes)
            terms["perceptual"] = (config.perceptual_weight, perceptual)
        if config.edit_weight > 0:
            terms["edits"] = (config.edit_weight, self._edits(batch, z, mapped))
        loss = sum((weight * term for weight, term in terms.values()), torch.zeros(()))
        return Update("mapping", loss, {name: term.detach() for name, (_, term) in terms.items()})

    def _edits(self, batch: Batch, z: Tensor, mapped: Tensor) -> Tensor:
        """Judge edits of half a batch: attributes turned over, or all taken from another face.

        One alone teaches to leave the others as they are, many together what no face has.
        """
        config, half = self.config, len(batch) // 2
        own = batch.attributes[:half]
        others = together.rand(half, 1, device=own.device) < _ALL_TAKEN
        column = torch.randint(own.shape[1], (half, 1), device=own.device)
        turned = torch.zeros_like(own, dtype=torch.bool).scatter_(1, column, value=True)
        if config.edit_turned > 0:
            turned |= together.rand(*own.shape, device=own.device) < config.edit_turned
        # An unknown one becomes known.
        wanted = torch.where(turned, (own < 1).to(own.dtype), own)
        wanted = torch.where(others, batch.attributes[half : 2 * half], wanted)
        moved = z[:half] - mapped[:half] + self.model.mapping(as_inputs(wanted))
        weights = None
        if config.edit_emphasis != 1:
            weights = torch.where(wanted != own, config.edit_emphasis, 1.0)
        return self._perceptual(self.model.decoder(moved), wanted, weights)

    def _perceptual(self, made: Tensor, wanted: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return how far C is from reading the wanted attributes (Eq. 14)."""
        shown = _jittered(made) if self.config.jitter else made
        return attribute_cross_entropy(self.model.classifier(shown), wanted, weights)


@torch.no_grad()
def fit_residuals(model: AttributeMapping, batches: Iterable[Batch]) -> None:
    """Measure how the training pictures' latents spread, in all and around Φ(a)."""
    pairs = [
        (model.encode(batch.images).parts["z"], model.mapping(as_inputs(batch.attributes)))
        for batch in batches
    ]
    z, mapped = (torch.cat(column).double() for column in zip(*pairs, strict=True))
    residual = z - mapped
    model.residual_mean.copy_(residual.mean(0))
    model.covariance.copy_(torch.cov(z.T))
    values, vectors = torch.linalg.eigh(torch.cov(residual.T))
    model.residual_root.copy_(vectors * values.clamp_min(0).sqrt())


def stages(config: AttributeMappingConfig, spec: DataSpec) -> tuple[Stage, ...]:
    """Describe the three stages of training and the closed-form one behind them."""

    def adam(lr: float, momentum: float = 0.5) -> OptimizerConfig:
        return OptimizerConfig("adam", lr, (momentum, 0.999))

    def stage(
        name: str, objective: Any, optimizer: OptimizerConfig, share: float, *players: str
    ) -> GradientStage:
        return GradientStage(
            name=name,
            objective=objective,
            optimizers=dict.fromkeys(players, optimizer),
            averaging=config.averaging,
            decay=config.decay,
            flip=config.flip,
            share=share,
        )

    return (
        stage(
            "autoencoder",
            lambda model: EquilibriumObjective(model, config, spec),
            replace(
                adam(config.autoencoder_lr, config.autoencoder_momentum),
                clip=config.autoencoder_clip,
            ),
            config.autoencoder_share,
            *("adversary", "autoencoder"),
        ),
        stage(
            "classifier",
            lambda model: ClassifierObjective(model, config),
            adam(config.classifier_lr),
            config.classifier_share,
            "classifier",
        ),
        stage(
            "mapping",
            lambda model: MappingObjective(model, config, spec),
            adam(config.mapping_lr),
            config.mapping_share,
            *("latent_discriminator", "image_discriminator", "mapping"),
        ),
        FitStage("residuals", fit_residuals),
    )


METHOD = Method(
    name="attribute-mapping",
    title="Attribute mapping",
    citation="Liu, Sun, He, Liu, Su, Chua, Generating Face Images with Attributes for Free, "
    "IEEE TNNLS 2021",
    summary="Moves attributes of a face by sliders, and makes faces from attributes alone.",
    operations=frozenset({Operation.EDIT, Operation.GENERATE, Operation.INTERPOLATE}),
    config=AttributeMappingConfig,
    tiny=replace(
        AttributeMappingConfig(),
        width=4,
        levels=3,
        blocks=1,
        latent=6,
        classifier_width=4,
        critic_width=4,
        critic_units=8,
        autoencoder_lr=2e-3,
        classifier_lr=2e-3,
        mapping_lr=2e-3,
        autoencoder_share=1.0,
        classifier_share=1.0,
        mapping_share=1.0,
    ),
    model=AttributeMapping,
    stages=stages,
)
