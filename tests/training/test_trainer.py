from dataclasses import replace

import pytest
import torch
from torch import nn

from studio.data.batch import Batch, DataSpec
from studio.errors import TrainingError
from studio.methods import METHODS
from studio.methods.base import GradientStage, Objective, OptimizerConfig, Update
from studio.training import optimizers
from studio.training.trainer import Trainer

STAGE = GradientStage(
    name="toy",
    objective=lambda model: None,
    optimizers={
        "one": OptimizerConfig("rmsprop", 0.1, (0.0, 0.9)),
        "two": OptimizerConfig("adam", 0.1),
    },
)


class Toy(Objective):
    """Two players pull one number each; what they ask for comes from outside."""

    def __init__(self, script):
        super().__init__()
        self.model = nn.Linear(1, 1, bias=False)
        self.other = nn.Linear(1, 1, bias=False)
        for layer in (self.model, self.other):
            nn.init.ones_(layer.weight)
        self.script = script
        self.trace = []

    def players(self):
        return {"one": [self.model.weight], "two": [self.other.weight]}

    def updates(self, batches, step):
        yield from self.script(self, next(batches), step)

    def both(self):
        """Return a scalar that depends on both players."""
        return (self.model.weight * self.other.weight).sum()


def batches():
    while True:
        zero = torch.zeros(2)
        yield Batch(torch.randn(2, 3, 4, 4), zero[:, None].long(), zero, torch.zeros(2, 2, 2))


def trainer(script, steps=3, **changes):
    return Trainer(Toy(script), replace(STAGE, **changes), steps=steps)


def alternate(toy, batch, step):
    yield Update("one", toy.both(), {"one": toy.both().detach()})
    yield Update("two", toy.both(), {"two": toy.both().detach()})


def test_control_returns_after_the_step_is_taken():
    def script(toy, batch, step):
        before = toy.model.weight.item()
        yield Update("one", toy.both())
        toy.trace.append(before - toy.model.weight.item())

    run = trainer(script)
    run.fit(batches())
    assert len(run.objective.trace) == 3
    assert min(run.objective.trace) > 0.05


def test_other_players_collect_no_gradients():
    run = trainer(alternate, steps=1)
    run.objective.script = lambda toy, batch, step: iter([Update("one", toy.both())])
    run.fit(batches())
    assert run.objective.model.weight.grad is not None
    assert run.objective.other.weight.grad is None


def test_terms_and_step_numbers_are_reported():
    seen = []
    run = trainer(alternate)
    run.fit(batches(), after_step=lambda step, terms: seen.append((step, set(terms))))
    assert seen == [(k, {"one", "two"}) for k in (1, 2, 3)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_player_and_step(value):
    def script(toy, batch, step):
        yield Update("one", toy.both())
        yield Update("two", toy.both() * (value if step == 2 else 1.0))

    run = trainer(script, steps=5)
    with pytest.raises(TrainingError, match=rf"loss of the two became {value}"):
        run.fit(batches())
    assert run.step == 2
    assert run.objective.other.weight.isfinite().all()


def test_a_scaled_rate_holds_for_one_step_and_does_not_leak():
    def script(toy, batch, step):
        before = toy.other.weight.item()
        yield Update("two", toy.other.weight.sum(), lr_scale=0.5 if step == 1 else 1.0)
        toy.trace.append(before - toy.other.weight.item())

    run = trainer(script)
    run.fit(batches())
    # Adam's steps under a constant gradient are as long as the rate.
    assert run.objective.trace == pytest.approx([0.1, 0.05, 0.1], rel=1e-3)
    assert run.optimizers["two"].param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize(("clip", "norm"), [(0.0, 3.0), (0.1, 0.1), (9.0, 3.0)])
def test_a_gradient_longer_than_the_clip_is_scaled_down_to_it(clip, norm):
    seen = []

    def script(toy, batch, step):
        yield Update("one", 3 * toy.both(), {})
        seen.append(float(toy.model.weight.grad.norm()))

    config = OptimizerConfig("rmsprop", 0.1, (0.0, 0.9), clip=clip)
    trainer(script, steps=1, optimizers={**STAGE.optimizers, "one": config}).fit(batches())
    assert seen == [pytest.approx(norm)]


def test_the_rate_falls_to_zero_over_the_last_fraction():
    def script(toy, batch, step):
        before = toy.other.weight.item()
        yield Update("two", toy.other.weight.sum())
        toy.trace.append(before - toy.other.weight.item())

    run = trainer(script, steps=8, decay=0.5)
    run.fit(batches())
    expected = [0.1, 0.1, 0.1, 0.1, 0.1, 0.075, 0.05, 0.025]
    assert run.objective.trace == pytest.approx(expected, rel=1e-3)


def test_a_pause_keeps_the_step_and_goes_on_from_there():
    run = trainer(alternate, steps=5)
    run.fit(batches(), before_step=lambda step: step < 2)
    assert run.step == 2
    run.fit(batches())
    assert run.step == 5


def test_averaged_weights_follow_with_a_warm_up_and_are_shipped():
    def script(toy, batch, step):
        yield Update("one", toy.model.weight.sum())

    run = trainer(script, steps=4, averaging=0.5)
    weights, average = [], 1.0
    run.fit(batches(), after_step=lambda s, t: weights.append(run.objective.model.weight.item()))
    for step, weight in enumerate(weights):
        decay = min(0.5, (step + 1) / (step + 10))
        average = decay * average + (1 - decay) * weight
    assert run.model.weight.item() == pytest.approx(average, rel=1e-5)
    assert run.model is not run.objective.model
    assert not run.model.training
    assert trainer(script).model.weight.item() == 1.0


def test_optimizers_are_what_their_description_says():
    parameter = nn.Parameter(torch.zeros(1))
    rmsprop = optimizers.build(OptimizerConfig("rmsprop", 5e-5, (0.0, 0.8)), [parameter])
    assert isinstance(rmsprop, torch.optim.RMSprop)
    assert (rmsprop.defaults["alpha"], rmsprop.defaults["momentum"]) == (0.8, 0)
    adam = optimizers.build(OptimizerConfig("adam", 2e-4, (0.5, 0.9), 0.01), [parameter])
    assert isinstance(adam, torch.optim.AdamW)
    assert adam.defaults["betas"] == (0.5, 0.9)
    assert adam.defaults["weight_decay"] == 0.01


@pytest.fixture
def genegan(spec):
    """Return a function that builds a GeneGAN trainer, the same each time."""

    def build(precision):
        method = METHODS["genegan"]
        torch.manual_seed(0)
        (stage,) = method.stages(method.tiny, spec)
        objective = stage.objective(method.model(method.tiny, spec))
        return Trainer(objective, stage, steps=4, precision=precision)

    return build


def fixed_batches():
    rng = torch.Generator().manual_seed(3)
    while True:
        images = torch.rand(8, 3, 32, 32, generator=rng) * 2 - 1
        images = images.to(memory_format=torch.channels_last)
        yield Batch(images, torch.zeros(8, 0).long(), torch.zeros(8), torch.zeros(8, 2, 2))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_state_that_went_through_contiguous_tensors_goes_on_bit_for_bit(genegan, precision):
    source, whole = fixed_batches(), genegan(precision)
    whole.fit(source)
    source, first, second = fixed_batches(), genegan(precision), genegan(precision)
    first.fit(source, before_step=lambda step: step < 2)
    saved = {name: t.detach().contiguous().clone() for name, t in first.state_dict().items()}
    second.load_state_dict(saved, first.step)
    second.fit(source)
    expected, continued = whole.state_dict(), second.state_dict()
    assert expected.keys() == continued.keys()
    assert [n for n in expected if not torch.equal(expected[n], continued[n])] == []


def test_a_resumed_run_draws_the_same_random_numbers(genegan):
    run = genegan("fp32")
    saved = {name: t.clone() for name, t in run.state_dict().items()}
    expected = torch.rand(3)
    torch.manual_seed(99)
    genegan("fp32").load_state_dict(saved, 0)
    assert torch.equal(torch.rand(3), expected)


def test_bf16_runs_under_autocast_and_keeps_fp32_weights(genegan):
    run = genegan("bf16")
    run.fit(fixed_batches(), before_step=lambda step: step < 1)
    assert {p.dtype for p in run.objective.parameters()} == {torch.float32}
    other = genegan("fp32")
    other.fit(fixed_batches(), before_step=lambda step: step < 1)
    pairs = zip(run.objective.parameters(), other.objective.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


class Contrasting(Objective):
    """Learns one number from the two halves of a batch, with noise and a second player."""

    def __init__(self, most):
        super().__init__()
        self.model = nn.Linear(1, 1, bias=False)
        self.other = nn.Linear(1, 1, bias=False)
        for layer in (self.model, self.other):
            nn.init.ones_(layer.weight)
        # Pictures that fit into memory.
        self.most = most
        self.seen = []

    def players(self):
        return {"one": [self.model.weight], "two": [self.other.weight]}

    def updates(self, batches, step):
        batch = next(batches)
        self.seen.append(batch.attributes[:, 0].tolist())
        if len(batch) > self.most:
            raise self.shortage
        noise = torch.rand(len(batch) // 2)
        first, second = batch.images.mean((1, 2, 3)).chunk(2)
        gap = (first - second + noise).mean()
        yield Update("one", (self.model.weight * self.other.weight).sum() * gap, {"gap": gap})
        again = next(batches).images.mean()
        yield Update("two", (self.model.weight * self.other.weight).sum() * again, {"again": again})


def contrasts(count=8):
    rng = torch.Generator().manual_seed(0)
    labels = (torch.arange(count) < count // 2).long()[:, None]
    while True:
        zero = torch.zeros(count)
        yield Batch(
            torch.rand(count, 3, 4, 4, generator=rng), labels, zero, torch.zeros(count, 2, 2)
        )


def contrasting(most, shortage=None):
    objective = Contrasting(most)
    objective.shortage = shortage or torch.OutOfMemoryError("no memory")
    stage = replace(
        STAGE, optimizers={name: OptimizerConfig("adam", 0.1) for name in STAGE.optimizers}
    )
    return Trainer(objective, stage, steps=3)


@pytest.mark.parametrize(
    "shortage",
    [
        torch.OutOfMemoryError("no memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
    ],
)
def test_where_memory_runs_out_batches_are_taken_in_parts_of_both_halves(shortage):
    torch.manual_seed(0)
    run = contrasting(2, shortage)
    run.fit(contrasts())
    assert (run.step, run.parts) == (3, 4)
    sizes = [len(seen) for seen in run.objective.seen]
    # Eight fail, four fail, then each of four parts is brought to both updates and once beyond.
    assert sizes[:3] == [8, 4, 2]
    # As many with the attribute as without, in every part.
    assert all(sum(seen) * 2 == len(seen) for seen in run.objective.seen)


def test_parts_add_up_to_the_whole_step(monkeypatch):
    # Without noise a step in parts is the undivided one.
    monkeypatch.setattr(torch, "rand", lambda *shape, **options: torch.zeros(*shape))
    numbers = {}
    for most in (8, 2):
        source = contrasts()
        run, logged = contrasting(most), []
        run.fit(source, after_step=lambda step, terms, logged=logged: logged.append(terms))
        numbers[most] = logged, run.objective.model.weight.item(), run.objective.other.weight.item()
    (whole, *ends), (parts, *others) = numbers[8], numbers[2]
    assert ends == pytest.approx(others, abs=1e-5)
    for one, two in zip(whole, parts, strict=True):
        assert one == pytest.approx(two, abs=1e-5)


def test_a_part_has_the_same_noise_at_each_of_its_updates():
    torch.manual_seed(3)
    run, drawn = contrasting(4), []
    original = run.objective.updates

    def spy(batches, step):
        for update in original(batches, step):
            drawn.append((update.player, float(update.terms.get("gap", 0))))
            yield update

    run.objective.updates = spy
    run.parts, run.steps = 2, 1
    run.fit(contrasts())
    gaps = [gap for player, gap in drawn if player == "one"]
    # Two parts, at the first update, at the second, and the first part once more at the end.
    assert gaps == [gaps[0], gaps[1]] * 2 + [gaps[0]]
    assert gaps[0] != gaps[1]


def test_a_pair_that_does_not_fit_is_a_failure():
    with pytest.raises(torch.OutOfMemoryError):
        contrasting(1).fit(contrasts())
    other = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else"):
        contrasting(1, other).fit(contrasts())


def test_parts_are_kept_with_the_state():
    run = contrasting(4)
    run.fit(contrasts(), before_step=lambda step: step < 1)
    assert run.parts == 2
    again = contrasting(8)
    again.load_state_dict(run.state_dict(), 1)
    assert again.parts == 2
    older = {name: tensor for name, tensor in run.state_dict().items() if name != "parts"}
    again.load_state_dict(older, 1)
    assert again.parts == 1


def test_compiled_networks_have_the_same_names_and_are_called_compiled(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    method, spec = METHODS["genegan"], DataSpec(32)
    (stage,) = method.stages(method.tiny, spec)
    objective = stage.objective(method.model(method.tiny, spec))
    plain = set(Trainer(objective, stage, steps=1).state_dict())
    assert compiled == []
    assert set(Trainer(objective, stage, steps=1, compiled=True).state_dict()) == plain
    assert {objective.model.encoder, objective.model.decoder, objective.critic_with} <= set(
        compiled
    )
