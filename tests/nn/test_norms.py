import pytest
import torch
import torch.nn.functional as F

from lilliput.nn.norms import rms


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 0.02)])
def test_rows_are_divided_by_their_root_mean_square(dtype, tolerance):
    x = torch.randn(3, 5, 16, dtype=torch.float64) * torch.logspace(-2, 2, 5, dtype=torch.float64)[:, None]
    expected = x / x.square().mean(-1, keepdim=True).add(1e-6).sqrt()
    torch.testing.assert_close(rms(x.to(dtype)).double(), expected, rtol=tolerance, atol=tolerance)


def test_gradients_are_those_of_the_formula():
    x = torch.randn(2, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rms, (x,))
    share = torch.randn(2, 7, dtype=torch.float64)
    (found,) = torch.autograd.grad((rms(x, 0.1) * share).sum(), x)
    (expected,) = torch.autograd.grad((F.rms_norm(x, (7,), eps=0.1) * share).sum(), x)
    torch.testing.assert_close(found, expected)


def test_a_row_of_zeros_stays_zero_with_a_finite_gradient():
    x = torch.zeros(1, 4, requires_grad=True)
    rms(x).sum().backward()
    assert not rms(x).any()
    assert x.grad.isfinite().all()
