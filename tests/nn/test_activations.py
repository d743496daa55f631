import pytest
import torch
import torch.nn.functional as F

from lilliput.nn.activations import gelu_tanh, relu_squared

PLAIN = {gelu_tanh: lambda x: F.gelu(x, approximate="tanh"), relu_squared: lambda x: F.relu(x).square()}


@pytest.mark.parametrize("activation", PLAIN)
@pytest.mark.parametrize("dtype, near", [(torch.float64, 1e-13), (torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_our_passes_agree_with_torchs(activation, dtype, near):
    x = torch.linspace(-12, 12, 4001, dtype=dtype).requires_grad_()
    share = torch.rand(4001, dtype=dtype)
    found, expected = activation(x), PLAIN[activation](x)
    spread = (expected.max() - expected.min()).item()
    torch.testing.assert_close(found, expected, rtol=near, atol=near * spread)
    slopes = [torch.autograd.grad((y * share).sum(), x)[0] for y in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=near, atol=near * (slopes[1].max() - slopes[1].min()).item())


@pytest.mark.parametrize("activation", PLAIN)
def test_far_values_stay_finite(activation):
    x = torch.tensor([-1e4, -50.0, 0.0, 50.0, 1e4], requires_grad=True)
    activation(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad[:2].tolist() == [0, 0]
