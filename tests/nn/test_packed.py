import gc
import weakref
from functools import partial

import pytest
import torch
from torch import nn

from lilliput.nn import kernels
from lilliput.nn.feed_forward import FeedForward, SwiGLU
from lilliput.nn.kernels import Kernels
from lilliput.nn.norms import rms
from lilliput.nn.packed import forget, packed
from lilliput.nn.projections import attention_heads, projected

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch is built without oneDNN")


class Triple(nn.Module):
    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(48, 64, bias), nn.Linear(48, 16, bias), nn.Linear(48, 16, bias)

    def forward(self, x):
        together, alone = projected(x, self.query, self.key, self.value), (self.query(x), self.key(x), self.value(x))
        return torch.cat([*together, *alone], dim=-1)


class Turned(Triple):
    def forward(self, x):
        q, k, v = attention_heads(x, self.query, self.key, self.value, 8, rms)
        return torch.cat([part.flatten() for part in (q, k, v)])


def made(kind):
    torch.manual_seed(0)
    return {
        "linear": lambda: nn.Sequential(nn.Linear(48, 80)),
        "narrow": lambda: nn.Sequential(nn.Linear(48, 41)),
        "wide": lambda: nn.Sequential(nn.Linear(48, 83)),
        "wide without biases": lambda: nn.Sequential(nn.Linear(48, 83, bias=False)),
        "listed": lambda: nn.ModuleList([nn.Linear(48, 80)]),
        "turned": lambda: Turned(bias=True),
        "norms": lambda: nn.Sequential(nn.LayerNorm(48), nn.RMSNorm(48), nn.Linear(48, 48), nn.RMSNorm(48, eps=1e-3)),
        "dropout": lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(48, 80)).eval(),
        "activated": lambda: FeedForward(48, 80, "gelu_tanh", bias=True),
        "triple": lambda: Triple(bias=True),
        "triple without biases": lambda: Triple(bias=False),
        "gated": lambda: SwiGLU(48, 80),
    }[kind]()


def rows(*shape):
    return torch.randn(*shape, 48, generator=torch.Generator().manual_seed(1))


KINDS = ["linear", "triple", "triple without biases", "turned", "gated", "norms", "dropout", "activated"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (8, 1), (2, 16)])
@torch.no_grad()
def test_the_twin_makes_what_the_model_makes(kind, shape):
    model, x = made(kind), rows(*shape)
    plain, twin = model(x), packed(model)
    found = twin(x)
    assert twin is not model
    assert found.shape == plain.shape
    torch.testing.assert_close(found, plain, rtol=0, atol=2e-6 * (plain.max() - plain.min()).item())


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", ["narrow", "wide", "wide without biases", "triple", "activated"])
@torch.no_grad()
def test_one_row_is_shared_out_among_threads_whatever_the_number_of_outputs(threads, kind, request):
    request.addfinalizer(partial(torch.set_num_threads, torch.get_num_threads()))
    model = made(kind)
    plain = model(rows(1, 1))
    torch.set_num_threads(threads)
    found = packed(model)(rows(1, 1))
    assert found.shape == plain.shape
    torch.testing.assert_close(found, plain, rtol=0, atol=2e-6 * (plain.max() - plain.min()).item())


@torch.no_grad()
def test_another_number_of_threads_shares_out_anew(request):
    request.addfinalizer(partial(torch.set_num_threads, torch.get_num_threads()))
    model = made("linear")
    torch.set_num_threads(1)
    kept = packed(model)
    torch.set_num_threads(2)
    assert packed(model) is not kept


@torch.no_grad()
def test_weights_are_copied_only_in_the_order_that_is_asked_for():
    model = made("linear")
    product = packed(model)[0].joined
    packed(model)(rows(1))
    assert "reordered" not in vars(product)
    packed(model)(rows(2))
    assert "reordered" in vars(product)


def test_weights_copied_while_a_text_is_written_are_good_for_gradients_later():
    model = made("linear")
    with torch.inference_mode():
        packed(model)(rows(1))
    x = rows(1).requires_grad_()
    packed(model)(x).sum().backward()
    torch.testing.assert_close(x.grad[0], model[0].weight.detach().sum(dim=0))


@torch.no_grad()
def test_the_model_itself_stays_as_it_was():
    model, x = made("triple"), rows(2, 1)
    before, forward = model(x), model.query.forward
    packed(model)(x)
    assert torch.equal(model(x), before)
    assert model.query.forward == forward
    assert type(model.query) is nn.Linear
    with torch.enable_grad():
        assert torch.autograd.grad(model(x).sum(), model.query.weight)[0].any()


@torch.no_grad()
def test_lists_are_walked_through():
    model, x = made("listed"), rows(1)
    torch.testing.assert_close(packed(model)[0](x), model[0](x))


@torch.no_grad()
def test_a_part_without_linear_layers_is_the_models_own():
    class Own(nn.Module):
        def forward(self, x):
            return 2 * x

    model = nn.Sequential(Own(), nn.Linear(48, 80))
    assert packed(model)[0] is model[0]
    model = nn.Sequential(Own())
    assert packed(model) is model


@pytest.mark.parametrize("kind", ["gated", "listed"])
def test_a_twin_does_not_keep_its_model(kind):
    model = made(kind)
    packed(model)
    held = weakref.ref(model)
    del model
    gc.collect()
    assert held() is None


def change_in_place(model):
    model[0].weight.mul_(2)


def load(model):
    model.load_state_dict({name: 2 * tensor for name, tensor in model.state_dict().items()})


def exchange(model):
    model[0].weight.data = 2 * model[0].weight.data


@pytest.mark.parametrize("change", [change_in_place, load, exchange])
@torch.no_grad()
def test_changed_weights_are_packed_anew_and_unchanged_ones_are_not(change):
    model, x = nn.Sequential(nn.Linear(48, 80, bias=False)), rows(1)
    before = packed(model)(x)
    kept = packed(model)
    assert packed(model) is kept
    change(model)
    torch.testing.assert_close(packed(model)(x), 2 * before)
    forget(model)
    assert packed(model) is not kept


@pytest.mark.parametrize("model", [nn.Linear(48, 80).double(), nn.Linear(48, 80, device="meta")], ids=["fp64", "meta"])
def test_other_formats_and_devices_have_nothing_packed(model):
    model = nn.Sequential(model)
    assert packed(model) is model


@pytest.mark.parametrize("how", ["forward", "hook"])
def test_a_layer_that_was_given_another_forward_or_a_hook_keeps_it(how):
    model = nn.Sequential(nn.Linear(48, 80), nn.Linear(80, 8))
    if how == "forward":
        model[0].forward = lambda x: torch.ones(1, 80)
    else:
        model[0].register_forward_hook(lambda layer, x, y: torch.ones(1, 80))
    with torch.no_grad():
        torch.testing.assert_close(packed(model)(rows(1)), model[1](torch.ones(1, 80)))


def test_plain_decoding_can_be_asked_for(monkeypatch):
    monkeypatch.setattr(kernels, "_kernels", Kernels(decoding="plain"))
    model = made("gated")
    assert packed(model) is model
