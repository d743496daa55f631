import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lilliput.nn import kernels
from lilliput.nn.kernels import Kernels
from lilliput.nn.loss import summed_nats, token_nats, token_scores


@pytest.fixture
def small_chunks():
    before = kernels.kernels()
    kernels.use(Kernels(logits_at_once=200))  # 11 ids: chunks of 4 tokens
    yield
    kernels.use(before)


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return nn.Linear(6, 11), torch.randn(2, 13, 6), torch.randint(11, (2, 13)), torch.rand(2, 13) < 0.7


def test_nats_are_minus_the_logarithm_of_each_targets_share(batch):
    head, features, targets, mask = batch
    expected = -head(features).softmax(-1).log().gather(-1, targets[..., None])[..., 0]
    torch.testing.assert_close(token_nats(head, features, targets, mask), expected * mask)


def test_chunks_change_neither_nats_nor_gradients(batch, small_chunks):
    head, features, targets, mask = batch
    features.requires_grad_()
    share = torch.rand(2, 13)
    chunked = token_nats(head, features, targets, mask)
    found = torch.autograd.grad((chunked * share).sum(), [features, head.weight, head.bias])
    whole = F.cross_entropy(head(features).flatten(0, 1), targets.flatten(), reduction="none").view(2, 13) * mask
    expected = torch.autograd.grad((whole * share).sum(), [features, head.weight, head.bias])
    torch.testing.assert_close(chunked, whole)
    torch.testing.assert_close(found, expected)


def test_chunked_training_never_holds_all_logits(small_chunks, batch):
    head, features, targets, mask = batch
    held = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: held.append(x.shape) or x, lambda x: x):
        token_nats(head, features.requires_grad_(), targets, mask).sum().backward()
    assert held
    assert max(shape.numel() for shape in held) < targets.numel() * 11


def test_masked_targets_cost_nothing_and_teach_nothing(batch):
    head, features, targets, mask = batch
    features.requires_grad_()
    token_nats(head, features, targets, mask).sum().backward()
    assert not features.grad[~mask].any()
    assert features.grad[mask].abs().sum(-1).all()


def test_half_precision_features_give_float32_nats(batch):
    head, features, targets, mask = batch
    nats = token_nats(head.bfloat16(), features.bfloat16(), targets, mask)
    assert nats.dtype == torch.float32


def test_hits_are_the_likeliest_and_the_five_likeliest(batch, small_chunks):
    head, features, targets, mask = batch
    scores = token_scores(head, features, targets, mask)
    ranked = head(features).argsort(dim=-1, descending=True)
    torch.testing.assert_close(scores.nats, token_nats(head, features, targets, mask))
    assert torch.equal(scores.top1, (ranked[..., 0] == targets) & mask)
    assert torch.equal(scores.top5, (ranked[..., :5] == targets[..., None]).any(-1) & mask)


def test_a_head_that_knows_nothing_hits_by_chance_only():
    head, targets = nn.Linear(4, 10), torch.arange(10)[None]
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    scores = token_scores(head, torch.randn(1, 10, 4), targets, torch.ones(1, 10, dtype=torch.bool))
    assert (scores.top1.sum(), scores.top5.sum()) == (1, 5)


@pytest.mark.parametrize("count", [token_nats, token_scores])
def test_nothing_is_kept_for_a_backward_pass_that_will_not_come(batch, small_chunks, count):
    with torch.no_grad():
        found = count(*batch)
    assert not (found if isinstance(found, torch.Tensor) else found.nats).requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
def test_the_sum_with_its_gradient_agrees_with_the_plain_loss(dtype, bias, small_chunks, batch):
    _, features, targets, mask = batch
    head = nn.Linear(6, 11, bias=bias, dtype=dtype)
    features = features.to(dtype).requires_grad_()
    of = [features, *head.parameters()]
    plain = token_nats(head, features, targets, mask).sum()
    found = summed_nats(head, features, targets, mask)
    assert found.dtype == plain.dtype
    torch.testing.assert_close(found, plain)
    expected = torch.autograd.grad(3 * plain, of)
    near = {"rtol": 0.02, "atol": 0.05} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(torch.autograd.grad(3 * found, of), expected, **near)


def test_a_sure_and_wrong_model_has_a_finite_loss():
    head = nn.Linear(1, 2, bias=False)
    head.weight.data = torch.tensor([[500.0], [-500.0]])
    target = torch.ones(1, 1, dtype=torch.long)
    assert summed_nats(head, torch.ones(1, 1, 1), target, target == 1).item() == 1000


def test_training_holds_as_many_logits_whatever_the_number_of_tokens(small_chunks, monkeypatch):
    held = []
    monkeypatch.setattr(torch, "mm", lambda *a, out, mm=torch.mm: held.append(len(out)) or mm(*a, out=out))
    head = nn.Linear(6, 11, bias=False)
    for tokens in (13, 130):
        features, targets = torch.randn(1, tokens, 6, requires_grad=True), torch.zeros(1, tokens, dtype=torch.long)
        summed_nats(head, features, targets, targets == 0).backward()
    assert max(held) == 4
