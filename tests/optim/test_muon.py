import torch
from torch import nn

from lilliput.nn import kernels
from lilliput.optim.muon import Muon, orthogonalize

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def test_each_matrix_of_a_stack_is_orthogonalised_as_if_alone():
    torch.manual_seed(0)
    for shape in ((5, 6, 6), (3, 12, 4), (3, 4, 12)):
        matrices = torch.randn(shape)
        together = orthogonalize(matrices, COEFFICIENTS, 5, 1e-7)
        alone = [orthogonalize(matrix[None], COEFFICIENTS, 5, 1e-7)[0] for matrix in matrices]
        assert torch.allclose(together, torch.stack(alone), atol=2e-2)


def test_singular_values_end_near_one():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(4, 16, 32), COEFFICIENTS, 5, 1e-7).float())
    assert values.min() > 0.4 and values.max() < 1.6


def test_iterations_run_in_bfloat16_only_where_the_device_has_it(monkeypatch):
    matrices = torch.randn(2, 8, 8)
    for has in (True, False):
        monkeypatch.setattr(kernels, "has_bfloat16", lambda _, has=has: has)
        assert orthogonalize(matrices, COEFFICIENTS, 5, 1e-7).dtype == (torch.bfloat16 if has else torch.float32)


def test_a_zero_gradient_stays_zero():
    assert not orthogonalize(torch.zeros(1, 4, 4), COEFFICIENTS, 5, 1e-7).any()


def test_each_expert_of_a_stack_moves_as_a_matrix_of_its_own(in_bfloat16):
    torch.manual_seed(0)
    stack, gradients = nn.Parameter(torch.randn(3, 12, 4)), torch.randn(4, 3, 12, 4)
    alone = [nn.Parameter(matrix.clone()) for matrix in stack.detach()]
    options = {"momentum": 0.95, "nesterov": True, "ns_steps": 5}
    together = Muon([{"params": [stack], "lr": 0.02, "weight_decay": 0.1}], **options)
    apart = torch.optim.Muon(alone, lr=0.02, weight_decay=0.1, **options)
    for gradient in gradients:
        stack.grad = gradient.clone()
        for matrix, its in zip(alone, gradient, strict=True):
            matrix.grad = its.clone()
        together.step()
        apart.step()
    torch.testing.assert_close(stack, torch.stack(list(alone)), rtol=0, atol=1e-3)
    assert len(together.param_groups) == 1
