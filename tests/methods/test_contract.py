"""What every method of ``METHODS`` promises, at its ``tiny`` size."""

import copy
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from studio import editing
from studio.checkpoints import MODEL, Card, CheckpointStore
from studio.data import loading
from studio.data.batch import Batch, DataSpec
from studio.errors import ConfigError, UnsupportedError
from studio.faces.align import Alignment
from studio.methods import METHODS, find
from studio.methods.base import (
    AttributeModel,
    Evaluator,
    Generator,
    GradientStage,
    LatentModel,
    Operation,
    Translator,
)
from studio.recipes import Choice
from studio.training.request import TrainRequest
from studio.training.run import SAMPLINGS, run
from studio.training.status import STOP
from studio.training.trainer import Trainer


def pytest_generate_tests(metafunc):
    """Run on every method, or on every stage that gradients solve where a test takes a stage."""
    if "stage" in metafunc.fixturenames:
        cases = {
            f"{name}-{stage.name}": (method, stage)
            for name, method in METHODS.items()
            for stage in gradient_stages(method)
        }
        metafunc.parametrize(("method", "stage"), list(cases.values()), ids=list(cases))
    elif "method" in metafunc.fixturenames:
        metafunc.parametrize("method", list(METHODS.values()), ids=list(METHODS))


def gradient_stages(method):
    stages = method.stages(method.tiny, DataSpec(32, "celeba", ("Eyeglasses", "Smiling")))
    return [stage for stage in stages if isinstance(stage, GradientStage)]


# Stages without a loss that falls by itself: a game of two, and one that needs trained networks.
GAMES = {("dcgan", "generator"), ("attribute-mapping", "mapping")}


def build(method, stage, spec, seed=0):
    torch.manual_seed(seed)
    return stage.objective(method.model(method.tiny, spec))


def draw(heads_set, stage, spec, seed=0):
    data = heads_set.part("train")
    rows = SAMPLINGS[stage.sampling](data, stage.attribute, 8, seed)
    known = {"classes": spec.classes, "flip": stage.flip}
    return loading.Batches(data, spec.size, spec.attributes, rows, seed=seed, **known)


def outputs(model, images):
    """Return all tensors that a model of any kind makes of images."""
    if isinstance(model, LatentModel):
        latents = model.encode(images)
        return [*latents.parts.values(), model.decode(latents)]
    if isinstance(model, Generator):
        chosen = torch.arange(len(images))[:, None] % 2
        noise = torch.ones(len(images), model.noise_size)
        return [model.generate(chosen.expand(-1, len(model.attributes)).float(), noise)]
    if isinstance(model, Translator):
        targets = torch.arange(len(images))[:, None] % 2
        return [model(images, targets.expand(-1, len(model.attributes)))]
    return [model(images)]


class WatchingTrainer(Trainer):
    """Notes which players each update moves, and which of its own parameters lack a gradient."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.moves = []
        self.idle = []

    def _take(self, update):
        before = copy.deepcopy(self.players)
        terms = super()._take(update)
        moved = {
            player
            for player, parameters in self.players.items()
            if any(not torch.equal(a, b) for a, b in zip(parameters, before[player], strict=True))
        }
        self.moves.append((update.player, moved))
        for index, parameter in enumerate(self.players[update.player]):
            # A hinge critic's bias is pushed up and down alike until the scores leave [-1, 1].
            if parameter.grad is None or (parameter.dim() > 1 and not parameter.grad.any()):
                self.idle.append((update.player, index))
        return terms


def test_shapes_and_range(method, spec, heads_set, stage):
    model = method.model(method.tiny, spec).eval()
    images = next(draw(heads_set, stage, spec)).images
    *_, last = made = outputs(model, images)
    assert {len(tensor) for tensor in made} == {len(images)}
    assert all(tensor.isfinite().all() for tensor in made)
    if isinstance(model, Evaluator):
        assert last.dim() == 2
    else:
        assert last.shape == images.shape
        assert last.abs().max() <= 1


def test_each_update_moves_its_own_player_with_all_its_parameters(method, stage, spec, heads_set):
    trainer = WatchingTrainer(build(method, stage, spec), stage, steps=2)
    trainer.fit(draw(heads_set, stage, spec))
    assert [moved for _, moved in trainer.moves] == [{player} for player, _ in trainer.moves]
    assert {player for player, _ in trainer.moves} == set(trainer.players)
    assert trainer.idle == []


def test_players_cover_all_parameters_once(method, spec):
    model = method.model(method.tiny, spec)
    own = {id(p) for p in model.parameters()}
    covered = set()
    for stage in gradient_stages(method):
        objective = stage.objective(model)
        players = [id(p) for parameters in objective.players().values() for p in parameters]
        assert len(players) == len(set(players))
        # A stage may leave parts of the model to another one, but none of its critics.
        assert set(players) - own == {id(p) for p in objective.parameters()} - own
        assert objective.players().keys() == stage.optimizers.keys()
        covered |= set(players)
    assert own <= covered


def test_reconstruction_on_one_batch_falls(method, stage, spec, heads_set):
    one = next(draw(heads_set, stage, spec))
    seen = []
    steady = replace(stage, averaging=0.0, decay=0.0)
    trainer = Trainer(build(method, stage, spec), steady, steps=40)
    trainer.fit(iter(lambda: one, None), after_step=lambda step, terms: seen.append(terms))
    if (method.name, stage.name) in GAMES:
        return
    values = [terms.get("reconstruction", terms.get("loss")) for terms in seen]
    assert sum(values[-8:]) < 0.9 * sum(values[:8])


def test_same_seed_same_weights(method, stage, spec, heads_set):
    def train(seed):
        trainer = Trainer(build(method, stage, spec, seed), stage, steps=2)
        trainer.fit(draw(heads_set, stage, spec, seed))
        return trainer.state_dict()

    first, second, other = train(0), train(0), train(1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_saved_and_loaded_makes_the_same_pictures(method, stage, spec, heads_set, tmp_path):
    trainer = Trainer(build(method, stage, spec), stage, steps=2)
    trainer.fit(draw(heads_set, stage, spec))
    model = trainer.model.eval()
    card = Card(f"{method.name}.x", method.name, method.tiny.to_dict(), spec.to_dict(), step=2)
    CheckpointStore.save(tmp_path, card, model.state_dict(), {})
    loaded, read = CheckpointStore(tmp_path).load(card.name)
    images = next(draw(heads_set, stage, spec)).images
    assert read.spec == spec
    assert read.typed_config == method.tiny
    with torch.no_grad():
        pairs = zip(outputs(model, images), outputs(loaded, images), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_stop_and_continue_equals_not_stopping(method, heads_folder, tmp_path):
    request = TrainRequest(
        method.name,
        "whole",
        str(heads_folder),
        fields=method.tiny.to_dict(),
        steps=6,
        batch_size=8,
        size=32,
        precision="fp32",
    )
    whole = run(request, tmp_path / "whole", tmp_path / "checkpoints")
    folder = tmp_path / "halves"

    def stop_at_three(step, terms):
        # In a method of three stages: in the middle of the second one.
        if step == 3:
            (folder / STOP).touch()

    halves = replace(request, tag="halves")
    assert run(halves, folder, tmp_path / "checkpoints", stop_at_three) is None
    (folder / STOP).unlink()
    continued = run(halves, folder, tmp_path / "checkpoints")
    assert (whole / MODEL).read_bytes() == (continued / MODEL).read_bytes()
    states = [next(f.glob("*.state.safetensors")) for f in (tmp_path / "whole", folder)]
    first, second = map(load_file, states)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def encoded(models, name, picture):
    return editing.encode(models, name, picture, Alignment.whole(80, 60))


def swap(models, name, picture):
    face = encoded(models, name, picture)
    return editing.swap(models, name, face, face)


def interpolate(models, name, picture):
    face = encoded(models, name, picture)
    return editing.interpolate(models, name, [face] * 4, [(0.5, 0.5)], "bilinear")


def transfer(models, name, picture):
    part = (getattr(models.get(name).model, "parts", ()) or ("object",))[0]
    face = encoded(models, name, picture)
    return editing.transfer(models, name, face, {"donor": face}, {part: Choice.take("donor")})


def translate(models, name, picture):
    wanted = {"Eyeglasses": 1, "Smiling": 0}
    known = getattr(models.get(name).model, "attributes", wanted)
    return editing.translate(
        models, name, torch.zeros(1, 3, 32, 32), {key: wanted[key] for key in known}
    )


SERVICES = {
    Operation.SWAP: swap,
    Operation.TRANSFER: transfer,
    Operation.INTERPOLATE: interpolate,
    Operation.TRANSLATE: translate,
}


@pytest.mark.parametrize("operation", SERVICES)
def test_declared_operations_work_and_others_are_refused(
    method, operation, make_checkpoint, models, photograph
):
    name = make_checkpoint(method.name)
    if operation in method.operations:
        assert SERVICES[operation](models, name, photograph()).shape == (1, 3, 32, 32)
    else:
        with pytest.raises(UnsupportedError, match=name):
            SERVICES[operation](models, name, photograph())


def test_operations_belong_to_the_kind_of_model(method, spec):
    model = method.model(method.tiny, spec)
    assert method.operations
    assert (Operation.EVALUATE in method.operations) == isinstance(model, Evaluator)
    assert (Operation.TRANSLATE in method.operations) == isinstance(model, Translator)
    assert (Operation.EDIT in method.operations) == isinstance(model, AttributeModel)
    assert (Operation.GENERATE in method.operations) == isinstance(model, Generator)
    assert (Operation.SWAP in method.operations) == bool(getattr(model, "swap_part", ""))
    assert (Operation.TRANSFER in method.operations) == bool(getattr(model, "parts", ()))


def test_config_survives_json_and_refuses_what_it_does_not_know(method):
    assert method.config.from_dict(method.tiny.to_dict()) == method.tiny
    with pytest.raises(ConfigError, match="no setting 'lamda'"):
        method.config.from_dict({"lamda": 1})
    with pytest.raises(ConfigError, match="width must be a int"):
        method.config.from_dict({"width": "broad"})


def test_an_unknown_method_is_refused_by_name():
    with pytest.raises(ConfigError, match="no method 'genegun'"):
        find("genegun")


def test_batches_hold_what_objectives_read(heads_set, spec):
    data = heads_set.part("train")
    rows = loading.uniform(data, "", 8, 0)
    batch = next(loading.Batches(data, spec.size, spec.attributes, rows, seed=0))
    assert isinstance(batch, Batch)
    assert batch.images.shape == (8, 3, 32, 32)
    assert batch.attributes.shape == (8, 2)
    assert batch.eyes.shape == (8, 2, 2)
    assert batch.identity.min() >= 0
