import pytest
import torch
from torch.nn import functional as F

from studio.nn.activations import ELU


def test_it_is_pytorchs_elu_with_pytorchs_gradient():
    inputs = torch.linspace(-20, 5, 401, requires_grad=True)
    ours, theirs = ELU()(inputs), F.elu(inputs)
    assert torch.allclose(ours, theirs, atol=2e-7)
    mine, other = (
        torch.autograd.grad((result * inputs.detach()).sum(), inputs)[0]
        for result in (ours, theirs)
    )
    assert torch.allclose(mine, other, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_comes_back_and_is_rounded_once(dtype):
    inputs = torch.linspace(-4, 4, 97).to(dtype)
    made = ELU()(inputs)
    assert made.dtype == dtype
    assert torch.equal(made, F.elu(inputs.float()).to(dtype))


def test_large_inputs_do_not_overflow():
    inputs = torch.tensor([200.0, -200.0])
    assert torch.equal(ELU()(inputs), torch.tensor([200.0, -1.0]))


def test_a_result_that_is_changed_later_leaves_the_inputs_alone():
    inputs = torch.tensor([-1.0, 1.0])
    ELU()(inputs)
    assert torch.equal(inputs, torch.tensor([-1.0, 1.0]))
