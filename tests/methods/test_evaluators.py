import math

import pytest
import torch

from studio.data.batch import Batch, DataSpec
from studio.data.folder import CELEBA_EYES
from studio.errors import ConfigError
from studio.methods import evaluators
from studio.methods.evaluators import (
    AttributeObjective,
    EvaluatorConfig,
    IdentityObjective,
)
from studio.nn.augmentation import cover, degrade, jitter_crop, jitter_light, jitter_place

SIZE = 96


class Fixed(torch.nn.Module):
    """Answers the same, whatever it is shown."""

    def __init__(self, answer):
        super().__init__()
        self.answer = torch.nn.Parameter(answer)

    def forward(self, images):
        return self.answer


def batch(attributes=None, identity=None, count=2):
    return Batch(
        images=torch.zeros(count, 3, 16, 16),
        attributes=torch.zeros(count, 0).long() if attributes is None else attributes,
        identity=torch.zeros(count).long() if identity is None else identity,
        eyes=torch.tensor(CELEBA_EYES).expand(count, 2, 2),
    )


def dots(places):
    """Paint one soft dot per picture at (x, y) fractions, (B, 3, SIZE, SIZE) from -1 to 1."""
    centres = (torch.arange(SIZE) + 0.5) / SIZE
    across = (centres[None, None, :] - places[:, 0, None, None]) ** 2
    down = (centres[None, :, None] - places[:, 1, None, None]) ** 2
    spot = torch.exp(-(across + down) / (2 * 0.02**2))
    return spot[:, None].expand(-1, 3, -1, -1) * 2 - 1


def brightest(images):
    """Return the (B, 2) fractions x, y of each picture's brightest pixel, and its value."""
    value, index = images.mean(1).flatten(1).max(1)
    return torch.stack([index % SIZE + 0.5, index // SIZE + 0.5], 1) / SIZE, value


@pytest.mark.parametrize("eye", [0, 1])
def test_jittered_eyes_stand_where_the_pixels_went(eye):
    torch.manual_seed(eye)
    eyes = torch.tensor(CELEBA_EYES).expand(200, 2, 2)
    images, moved = jitter_crop(dots(eyes[:, eye]), eyes)
    found, value = brightest(images)
    inside = ((moved[:, eye] > 0.02) & (moved[:, eye] < 0.98)).all(1) & (value > 0.8)
    error = (found - moved[:, eye]).norm(dim=1)[inside]
    assert inside.sum() > 150
    # One crop in ten is turned away on purpose, and a border may reflect the dot.
    assert (error < 0.02).float().mean() > 0.85
    assert moved[:, eye].std(0).min() > 0.05


def test_jittered_pairs_keep_their_order_and_turn_both_ways():
    torch.manual_seed(0)
    eyes = torch.tensor(CELEBA_EYES).expand(300, 2, 2)
    _, moved = jitter_crop(torch.zeros(300, 3, 8, 8), eyes)
    line = moved[:, 1] - moved[:, 0]
    angle = torch.rad2deg(torch.atan2(line[:, 1], line[:, 0]))
    distance = line.norm(dim=1) / (CELEBA_EYES[1][0] - CELEBA_EYES[0][0])
    assert angle.min() < -25
    assert angle.max() > 25
    assert angle.abs().max() < 35.1
    assert 1 / 1.61 < distance.min() < 0.7
    assert 1.4 < distance.max() < 1.61


def test_light_varies_within_its_limits():
    torch.manual_seed(0)
    images = torch.zeros(200, 3, 4, 4)
    images[:, 0] = 0.5
    varied = jitter_light(images)
    contrast = (varied[:, 0] - varied[:, 1])[:, 0, 0] / 0.5
    coloured = contrast > 0
    assert 0.8 < coloured.float().mean() < 0.99
    assert 0.69 < contrast[coloured].min() < 0.8
    assert 1.2 < contrast[coloured].max() < 1.31
    assert varied[:, 1].abs().max() <= 0.2 + 0.5 / 3 * 1.3 + 1e-6


@pytest.mark.parametrize("vary", [jitter_place, degrade, cover])
def test_variations_change_pictures_within_their_range(vary):
    torch.manual_seed(0)
    images = torch.rand(40, 3, 32, 32) * 2 - 1
    varied = vary(images)
    assert varied.shape == images.shape
    assert varied.abs().max() <= 1
    assert not torch.equal(varied, images)


def test_jittered_places_stay_near():
    torch.manual_seed(0)
    found, _ = brightest(jitter_place(dots(torch.tensor([[0.5, 0.25]]).expand(200, 2))))
    away = (found - torch.tensor([0.5, 0.25])).abs().amax(0)
    # 3 % of shift; 6 % of scale and 5 degrees at a quarter of the picture from the centre.
    assert (away > 0.02).all()
    assert (away < 0.03 + 0.25 * (0.06 + math.radians(5)) + 0.02).all()


def attribute_objective(logits, **fields):
    names = ("Eyeglasses", "Young", "Male")[: logits.shape[1]]
    config = EvaluatorConfig(width=4, **fields)
    return AttributeObjective(Fixed(logits), config, DataSpec(16, attributes=names))


def test_weights_make_attributes_independent_of_a_named_one():
    # Of 100 people 40 wear eyeglasses: 10 young ones and 30 old ones; the others are 45 and 15.
    rows = [(1, 1)] * 10 + [(1, 0)] * 30 + [(0, 1)] * 45 + [(0, 0)] * 15
    labels = torch.tensor(rows)
    objective = attribute_objective(torch.zeros(100, 2), independent_of="Eyeglasses")
    for _ in range(200):
        weights = objective._weights(labels)
    young = weights[:, 1]
    share = [
        (young * (labels[:, 1] == 1) * (labels[:, 0] == worn)).sum()
        / (young * (labels[:, 0] == worn)).sum()
        for worn in (0, 1)
    ]
    assert share[0].item() == pytest.approx(0.55, abs=0.01)
    assert share[1].item() == pytest.approx(0.55, abs=0.01)
    # p(g) p(y) / p(g, y) = 0.4 * 0.55 / 0.1.
    assert young[0].item() == pytest.approx(2.2, abs=0.02)
    assert (weights[:, 0] == 1).all()


def test_shares_survive_a_checkpoints_half_precision():
    objective = attribute_objective(torch.zeros(100, 2), independent_of="Eyeglasses")
    labels = torch.tensor([(1, 1)] * 50 + [(0, 0)] * 50)
    for _ in range(1000):
        weights = objective._weights(labels)
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in objective.state_dict().items()
    }
    objective.load_state_dict(state)
    assert torch.allclose(objective._weights(labels), weights, atol=1e-3)
    assert objective.seen[0, 1] == 4 + 1001 * 100


def test_an_attribute_to_be_independent_of_must_exist():
    with pytest.raises(ConfigError, match="independent_of names 'Hat'"):
        attribute_objective(torch.zeros(1, 2), independent_of="Young,Hat")


def test_a_pixel_more_or_less_and_a_mirror_hardly_matter_outside_training():
    torch.manual_seed(0)
    method = evaluators.ATTRIBUTES
    spec = DataSpec(32, attributes=("Eyeglasses", "Young"))
    model = method.model(method.tiny, spec).eval()
    images = torch.randn(4, 3, 32, 32)
    assert torch.allclose(model(images), model(images.flip(3)), atol=1e-6)
    moved = images.roll(1, dims=3)
    alone = model.head(model.trunk(images)), model.head(model.trunk(moved))
    assert (model(images) - model(moved)).norm() < (alone[0] - alone[1]).norm()


def test_unknown_attributes_do_not_count():
    known = torch.tensor([[1, -1], [-1, 0]])
    logits = torch.tensor([[0.5, 9.0], [-9.0, 1.0]])
    objective = attribute_objective(logits)
    (update,) = objective.updates(iter([batch(known)]), 0)
    expected = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(1.0))) / 2
    assert update.loss.item() == pytest.approx(expected)
    assert update.terms["accuracy"].item() == pytest.approx(0.5)
    update.loss.backward()
    assert (objective.model.answer.grad != 0).tolist() == [[True, False], [False, True]]


def test_a_batch_without_any_known_attribute_asks_for_nothing():
    objective = attribute_objective(torch.ones(2, 2))
    (update,) = objective.updates(iter([batch(torch.full((2, 2), -1))]), 0)
    assert update.loss.item() == 0


def test_the_margin_is_taken_from_the_own_persons_cosine():
    config = EvaluatorConfig(identities=2, margin=0.25, scale=8.0)
    unit = torch.zeros(1, 128)
    unit[0, 0] = 1.0
    objective = IdentityObjective(Fixed(unit), config)
    with torch.no_grad():
        objective.persons.zero_()
        objective.persons[0, 0] = 3.0
        objective.persons[1, 1] = 3.0
    (update,) = objective.updates(iter([batch(identity=torch.tensor([0]), count=1)]), 0)
    # Cosines are 1 and 0; CosFace, Eq. 4.
    own, other = 8.0 * (1 - 0.25), 0.0
    expected = -own + math.log(math.exp(own) + math.exp(other))
    assert update.loss.item() == pytest.approx(expected, abs=1e-5)


def test_embeddings_are_unit_vectors_and_features_are_not():
    method = evaluators.IDENTITY
    model = method.model(method.tiny, DataSpec(32)).eval()
    images = torch.randn(3, 3, 32, 32)
    assert torch.allclose(model(images).norm(dim=1), torch.ones(3))
    assert model.features(images).shape == (3, 8 * method.tiny.width)


def test_the_eye_regressor_starts_at_the_usual_eyes():
    method = evaluators.EYES
    model = method.model(method.tiny, DataSpec(64)).eval()
    guess = model(torch.zeros(1, 3, 64, 64))[0, :4]
    assert torch.allclose(guess, torch.tensor(CELEBA_EYES).flatten(), atol=0.1)


@pytest.mark.parametrize("person", [-1, 64])
def test_identity_refuses_persons_beyond_its_table(person):
    config = EvaluatorConfig(width=4, identities=64)
    objective = IdentityObjective(Fixed(torch.zeros(2, 128)), config)
    with pytest.raises(ConfigError, match="identities=64"):
        next(objective.updates(iter([batch(identity=torch.tensor([0, person]))]), 0))
