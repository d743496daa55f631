import pytest
import torch
import torch.nn.functional as F

from lilliput.nn import cross_entropy as module
from lilliput.nn.cross_entropy import cross_entropy


@pytest.fixture(params=[1, 40, 2**20], ids=["row by row", "three rows", "at once"])
def logits(request, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", request.param)
    torch.manual_seed(0)
    return torch.randn(7, 13, dtype=torch.float64) * 5


def test_values_and_gradients_are_torchs(logits):
    labels, share = torch.randint(13, (7,)), torch.randn(7, dtype=torch.float64)
    found, expected = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    nats, reference = cross_entropy(found, labels), F.cross_entropy(expected, labels, reduction="none")
    torch.testing.assert_close(nats, reference)
    (nats * share).sum().backward()
    (reference * share).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)


def test_half_precision_logits_lose_nothing_more(logits):
    labels, half = torch.randint(13, (7,)), logits.bfloat16().requires_grad_()
    nats = cross_entropy(half, labels)
    nats.sum().backward()
    exact = half.detach().double().requires_grad_()
    reference = F.cross_entropy(exact, labels, reduction="none")
    reference.sum().backward()
    assert nats.dtype == torch.float32
    torch.testing.assert_close(nats.double(), reference, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(half.grad.double(), exact.grad, rtol=0.01, atol=0.01)


def test_large_logits_stay_finite(logits):
    nats = cross_entropy((logits * 1e4).float(), logits.argmax(1))
    assert nats.isfinite().all()
    assert nats.max() < 1e-3
