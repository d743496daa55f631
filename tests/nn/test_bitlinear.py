import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lilliput.nn.bitlinear import BitLinear
from lilliput.nn.loss import token_nats
from lilliput.nn.ternary import ternary

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "bitlinear.npz")
FACTS = json.loads(str(GOLDEN["config"]))["cases"]


def golden(case, name, dtype):
    return torch.from_numpy(GOLDEN[f"{case}/{name}"]).to(dtype)


def layer_of(case, dtype=torch.float64):
    weight = golden(case, "weight", dtype)
    layer = BitLinear(weight.shape[1], weight.shape[0], FACTS[case]["eps"]).to(dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.norm.copy_(golden(case, "norm_weight", dtype))
    return layer


def assert_rows_near(found, expected, tolerance):
    """Relative to the largest entry of each row: gradients of nearly empty rows are of the order of 1 / sqrt(eps)."""
    largest = expected.abs().amax(dim=-1, keepdim=True).clamp(min=1e-30)
    assert ((found - expected).abs() / largest).max() <= tolerance


@pytest.mark.parametrize("dtype, forward, backward", [(torch.float64, 1e-10, 1e-6), (torch.float32, 1e-5, 1e-4)])
@pytest.mark.parametrize("case", FACTS)
def test_outputs_and_gradients_equal_the_published_code(case, dtype, forward, backward):
    layer, x = layer_of(case, dtype), golden(case, "x", dtype).requires_grad_()
    y, expected = layer(x), golden(case, "y", torch.float64)
    assert (y.double() - expected).abs().max() <= forward * max(1, expected.std().item())
    y.backward(golden(case, "cotangent", dtype))
    assert_rows_near(x.grad, golden(case, "grad_x", dtype), backward)
    for parameter, name in ((layer.weight, "grad_weight"), (layer.norm, "grad_norm_weight")):
        expected = golden(case, name, dtype)
        assert (parameter.grad - expected).abs().max() <= backward * expected.abs().max()


def test_halves_go_to_the_even_neighbour():
    codes = ternary(torch.tensor([[0.5, -0.5, 1.5, -1.5]]), torch.float32)
    assert (codes.codes.tolist(), codes.scale.item()) == ([[0, 0, 1, -1]], 1)


def test_outputs_and_gradients_equal_those_of_transformers():
    bitnet = pytest.importorskip("transformers.integrations.bitnet")
    torch.manual_seed(0)
    theirs = bitnet.AutoBitLinear(
        48, 24, bias=False, dtype=torch.float32, online_quant=True, use_rms_norm=True, rms_norm_eps=1e-6
    )
    nn.init.normal_(theirs.weight, std=0.3)
    nn.init.uniform_(theirs.rms_norm.weight, 0.5, 1.5)
    ours = BitLinear(48, 24)
    with torch.no_grad():
        ours.weight.copy_(theirs.weight)
        ours.norm.copy_(theirs.rms_norm.weight)
    xs = [x.requires_grad_() for x in torch.randn(7, 48).expand(2, -1, -1).clone().unbind()]
    cotangent = torch.randn(7, 24)
    with torch.compiler.set_stance("force_eager"):  # theirs would compile its quantisers, for seconds
        outputs = [layer(x) for layer, x in zip((theirs, ours), xs, strict=True)]
    for output in outputs:
        output.backward(cotangent)
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-5)
    torch.testing.assert_close(xs[1].grad, xs[0].grad, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.norm.grad, theirs.rms_norm.weight.grad, rtol=0, atol=1e-5)


@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("width", [32, 500])
def test_a_row_comes_out_the_same_bit_for_bit_in_any_company(width, learning):
    layer, x = BitLinear(width, 24), torch.randn(600, width)
    together = layer(x)
    with torch.set_grad_enabled(learning):
        for rows in (slice(0, 1), slice(3, 20), slice(100, 400), slice(599, 600)):
            assert torch.equal(layer(x[rows]), together[rows])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_rounds_no_code(dtype):
    """Sums of codes reach 127 x 2,048 = 260,096, four times what fp16 can hold."""
    layer, x = BitLinear(2048, 4), torch.ones(3, 2048)
    nn.init.ones_(layer.weight)
    found = layer.to(dtype)(x.to(dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), torch.full((3, 4), 2048.0), rtol=0.01, atol=0)


@pytest.fixture
def counted(monkeypatch):
    """A layer and the list that grows by one with each quantisation of its weights."""
    import lilliput.nn.bitlinear as module

    calls, real = [], module.ternary
    monkeypatch.setattr(module, "ternary", lambda *given: calls.append(1) or real(*given))
    return BitLinear(8, 4), calls


def same_as_a_fresh_one(layer):
    x = torch.randn(3, 8)
    fresh = BitLinear(8, 4)
    with torch.no_grad():
        fresh.weight.copy_(layer.weight)
        fresh.norm.copy_(layer.norm)
    return torch.equal(layer(x), fresh(x))


def test_weights_are_quantised_once_for_all_micro_batches_of_an_update(counted):
    layer, calls = counted
    for _ in range(3):
        layer(torch.randn(2, 8)).sum().backward()
    assert len(calls) == 1


UPDATES = {
    "SGD": lambda p: torch.optim.SGD(p, lr=1.0),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1.0),
    "fused AdamW": lambda p: torch.optim.AdamW(p, lr=1.0, fused=True),
    "foreach AdamW": lambda p: torch.optim.AdamW(p, lr=1.0, foreach=True),
}


@pytest.mark.parametrize("kind", UPDATES)
def test_an_update_is_seen(counted, kind):
    layer, calls = counted
    optimizer = UPDATES[kind](layer.parameters())
    layer(torch.randn(2, 8)).square().sum().backward()
    optimizer.step()
    assert same_as_a_fresh_one(layer)
    assert len(calls) == 3


CHANGES = {
    "load_state_dict": lambda layer: layer.load_state_dict(BitLinear(8, 4).state_dict()),
    "copy_ to a detached view": lambda layer: layer.weight.detach().copy_(torch.randn(4, 8)),
    "foreach copy": lambda layer: torch._foreach_copy_([layer.weight.detach()], [torch.randn(4, 8)]),
    "data assigned": lambda layer: setattr(layer.weight, "data", torch.randn(4, 8)),
    "another parameter": lambda layer: setattr(layer, "weight", nn.Parameter(torch.randn(4, 8))),
    "forgotten after a write through data": lambda layer: (layer.weight.data.normal_(), layer.forget()),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_weight_is_seen(counted, kind):
    layer, _ = counted
    layer(torch.randn(1, 8))
    CHANGES[kind](layer)
    assert same_as_a_fresh_one(layer)


def test_data_assigned_where_older_data_lay_is_seen(counted):
    layer, _ = counted
    for _ in range(20):  # torch hands a freed block out again at once
        layer(torch.randn(1, 8))
        layer.weight.data = torch.randn(4, 8)
        assert same_as_a_fresh_one(layer)


def test_another_format_is_seen(counted):
    layer, calls = counted
    x = torch.randn(3, 8)
    layer(x)
    lowered = layer.bfloat16()
    assert lowered(x.bfloat16()).dtype == torch.bfloat16
    assert layer.double()(x.double()).dtype == torch.float64
    assert len(calls) == 3


def test_a_copy_of_a_used_layer_has_its_own_weights(counted):
    layer, _ = counted
    layer(torch.randn(1, 8))
    twin = copy.deepcopy(layer)
    with torch.no_grad():
        twin.weight.normal_()
    assert same_as_a_fresh_one(twin)
    assert same_as_a_fresh_one(layer)


def test_a_compiled_pass_keeps_no_weights():
    layer, x = BitLinear(8, 4), torch.randn(3, 8)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    for _ in range(2):
        torch.testing.assert_close(compiled(x), layer(x), rtol=0, atol=1e-6)
        with torch.no_grad():
            layer.weight.normal_()
    layer.forget()
    compiled(x)
    assert layer.kept is None


def test_shares_count_each_code():
    found = ternary(torch.tensor([[1.0, -1, 0, 0], [1, 1, 0, 0]]), torch.float32).shares
    torch.testing.assert_close(found, torch.tensor([1 / 8, 4 / 8, 3 / 8]))


def test_the_loss_takes_a_ternary_head_in_chunks(monkeypatch):
    import lilliput.nn.kernels as kernels

    head, features = BitLinear(8, 5), torch.randn(2, 6, 8)
    targets, mask = torch.randint(5, (2, 6)), torch.ones(2, 6, dtype=torch.bool)
    found = []
    for at_once in (2**26, 20):
        monkeypatch.setattr(kernels, "_kernels", kernels.Kernels(logits_at_once=at_once))
        head.zero_grad()
        nats = token_nats(head, features, targets, mask)
        nats.sum().backward()
        found.append((nats, head.weight.grad, head.norm.grad))
    for whole, chunked in zip(*found, strict=True):
        torch.testing.assert_close(whole, chunked)
