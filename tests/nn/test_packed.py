import pytest
import torch
from torch import nn

from lilliput.nn import kernels
from lilliput.nn.feed_forward import SwiGLU
from lilliput.nn.kernels import Kernels
from lilliput.nn.packed import FEW, Packed, forget, packed

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch is built without oneDNN")


class Triple(nn.Module):
    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(48, 64, bias), nn.Linear(48, 16, bias), nn.Linear(48, 16, bias)

    def forward(self, x):
        return torch.cat([self.query(x), self.key(x), self.value(x)], dim=-1)


def made(kind):
    torch.manual_seed(0)
    return {
        "linear": lambda: nn.Linear(48, 80),
        "triple": lambda: Triple(bias=True),
        "triple without biases": lambda: Triple(bias=False),
        "gated": lambda: SwiGLU(48, 80),
    }[kind]()


def rows(*shape):
    return torch.randn(*shape, 48, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["linear", "triple", "triple without biases", "gated"])
@pytest.mark.parametrize("shape", [(1, 1), (3,), (8, 1), (2, 16)])
@torch.no_grad()
def test_packed_products_are_the_plain_ones(kind, shape):
    model, x = made(kind), rows(*shape)
    plain = model(x)
    with packed(model):
        found = model(x)
    assert found.shape == plain.shape
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-6 * (plain.max() - plain.min()).item())


@torch.no_grad()
def test_the_same_rows_in_another_tensor_and_other_rows_are_multiplied_anew():
    model = made("triple")
    x, y = rows(2, 1), rows(2, 2)[:, 1:]
    with packed(model):
        mixed = model.query(x), model.key(y), model.value(x), model.query(x)
    plain = model.query(x), model.key(y), model.value(x), model.query(x)
    for found, expected in zip(mixed, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_many_rows_gradients_and_whatever_is_outside_stay_plain_to_the_bit():
    model, many = made("triple"), rows(FEW + 1)
    few = many[:2]
    expected, gradient = model(many), torch.autograd.grad(model(few).sum(), model.query.weight)[0]
    with packed(model):
        assert torch.equal(model(many), expected)
        assert torch.equal(torch.autograd.grad(model(few).sum(), model.query.weight)[0], gradient)
    assert not any("forward" in vars(module) for module in model.modules())
    with pytest.raises(RuntimeError, match="stop"), packed(model):
        raise RuntimeError("stop")
    assert not any("forward" in vars(module) for module in model.modules())


def change_in_place(model):
    model.weight.mul_(2)


def load(model):
    model.load_state_dict({name: 2 * tensor for name, tensor in model.state_dict().items()})


def exchange(model):
    model.weight.data = 2 * model.weight.data


@pytest.mark.parametrize("change", [change_in_place, load, exchange])
@torch.no_grad()
def test_changed_weights_are_packed_anew_and_unchanged_ones_are_not(change):
    model, x = nn.Linear(48, 80, bias=False), rows(1)
    with packed(model) as _:
        before = model(x)
    kept = packed(model)
    assert packed(model) is kept
    change(model)
    with packed(model):
        torch.testing.assert_close(model(x), 2 * before)
    forget(model)
    assert packed(model) is not kept


@pytest.mark.parametrize("model", [nn.Linear(48, 80).double(), nn.Linear(48, 80, device="meta")], ids=["fp64", "meta"])
def test_other_formats_and_devices_have_nothing_packed(model):
    with Packed(model):
        assert "forward" not in vars(model)


def test_a_layer_that_was_given_another_forward_keeps_it():
    model = nn.Linear(48, 80)
    model.forward = lambda x: x
    with packed(model):
        assert model(1) == 1
    assert model(1) == 1


def test_plain_decoding_can_be_asked_for(monkeypatch):
    monkeypatch.setattr(kernels, "_kernels", Kernels(decoding="plain"))
    model = nn.Linear(48, 80)
    with packed(model):
        assert "forward" not in vars(model)
