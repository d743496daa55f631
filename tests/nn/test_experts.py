import math

import pytest
import torch
import torch.nn.functional as F

from lilliput.nn import kernels
from lilliput.nn.experts import (
    Mixture,
    Router,
    Stack,
    balance_loss,
    clamped_swiglu,
    load,
    refuse_experts,
    route,
    swiglu,
    told,
    z_loss,
)
from lilliput.nn.kernels import Kernels

ACTIVATIONS = {"swiglu": (swiglu, False), "clamped": (clamped_swiglu, True)}


@pytest.fixture(autouse=True)
def afterwards():
    before = kernels.kernels()
    yield
    kernels.use(before)


def mixture(activation, bias, experts=5, active=2, dtype=torch.float32):
    torch.manual_seed(0)
    made = Mixture(16, 24, experts, active, activation, bias=bias).to(dtype)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.5)
    return made


def draw(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def by_hand(mixture, x):
    """Every expert on every token, weighted by zero where it was not chosen."""
    flat = x.flatten(0, 1)
    logits = F.linear(flat, mixture.router.weight, mixture.router.bias)
    best, chosen = logits.topk(mixture.active)
    weights = torch.zeros_like(logits).scatter(1, chosen, best.softmax(-1))
    each = []
    for expert in range(mixture.num_experts):
        h = flat @ mixture.gate_up.weight[expert].T
        h = h if mixture.gate_up.bias is None else h + mixture.gate_up.bias[expert]
        y = mixture.activation(h) @ mixture.down.weight[expert].T
        each.append(y if mixture.down.bias is None else y + mixture.down.bias[expert])
    return (torch.stack(each, dim=1) * weights[..., None]).sum(dim=1).view_as(x)


def results(run, mixture, x):
    """Output and gradients of everything."""
    x = x.detach().requires_grad_()
    mixture.zero_grad()
    y = run(x)
    (y * draw(*y.shape, dtype=y.dtype)).sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in mixture.parameters())]


@pytest.mark.parametrize("form", ["grouped", "sliced"])
@pytest.mark.parametrize("activation, bias", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_each_form_equals_all_experts_on_all_tokens_and_so_do_gradients(form, activation, bias):
    kernels.use(Kernels(experts=form))
    made, x = mixture(activation, bias), draw(3, 7, 16)
    found = results(lambda x: made(x)[0], made, x)
    expected = results(lambda x: by_hand(made, x), made, x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6 * (1 + other.abs().max().item()))


@pytest.mark.parametrize("activation, bias", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_experts_are_exact_in_float64_which_cannot_be_grouped(activation, bias):
    kernels.use(Kernels(experts="grouped"))
    made, x = mixture(activation, bias, dtype=torch.float64), draw(3, 7, 16, dtype=torch.float64)
    found = results(lambda x: made(x)[0], made, x)
    expected = results(lambda x: by_hand(made, x), made, x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12 * (1 + other.abs().max().item()))


@pytest.mark.parametrize("form", ["grouped", "sliced"])
def test_an_expert_without_tokens_costs_nothing_and_gets_a_zero_gradient(form):
    kernels.use(Kernels(experts=form))
    made, x = mixture(clamped_swiglu, True), draw(1, 6, 16)
    with torch.no_grad():
        made.router.bias[3] = -1000.0
    results(lambda x: made(x)[0], made, x)
    for part in (made.gate_up, made.down):
        assert not part.weight.grad[3].any() and not part.bias.grad[3].any()
        assert part.weight.grad[0].any() and part.bias.grad[0].any()


@pytest.mark.parametrize("activation, bias", ACTIVATIONS.values(), ids=ACTIVATIONS)
@pytest.mark.parametrize("form", ["grouped", "sliced"])
def test_a_compiled_graph_has_the_same_results_and_gradients(form, activation, bias):
    kernels.use(Kernels(experts=form))
    made, x = mixture(activation, bias), draw(3, 7, 16)
    compiled = torch.compile(lambda x: made(x)[0], backend="aot_eager", fullgraph=True)
    found, expected = results(compiled, made, x), results(lambda x: made(x)[0], made, x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6 * (1 + other.abs().max().item()))


def test_widths_that_cannot_be_grouped_are_sliced():
    kernels.use(Kernels(experts="grouped"))
    made = Mixture(6, 10, 3, 2, swiglu)
    assert torch.allclose(made(x := draw(2, 3, 6))[0], by_hand(made, x), atol=1e-6)


def test_a_router_works_in_float32_whatever_its_weights_are():
    router, x = Router(16, 8).bfloat16(), draw(5, 16).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        logits = router(x)
    assert torch.equal(logits, F.linear(x.float(), router.weight.float(), router.bias.float()))
    assert Router(16, 8).double()(draw(5, 16).double()).dtype == torch.float64


def test_a_softmax_over_the_chosen_is_the_softmax_over_all_scaled_to_one():
    logits = draw(9, 6)
    routing = route(logits, 3)
    over_all, chosen = logits.softmax(-1).topk(3)
    assert torch.equal(routing.chosen, chosen)
    assert torch.allclose(routing.weights, over_all / over_all.sum(-1, keepdim=True))


def test_a_router_of_one_expert_learns_from_what_follows():
    made = mixture(swiglu, False, active=1)
    made(draw(2, 5, 16))[0].square().sum().backward()
    assert made.router.weight.grad.abs().max() > 1e-3


def test_the_order_of_the_experts_does_not_matter():
    made, x, order = mixture(clamped_swiglu, True), draw(2, 9, 16), torch.tensor([3, 0, 4, 2, 1])
    before = made(x)[0]
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(parameter[order])
    torch.testing.assert_close(made(x)[0], before, rtol=0, atol=2e-5)


@pytest.mark.parametrize("form", ["grouped", "sliced"])
def test_a_row_alone_equals_the_row_in_a_batch(form):
    kernels.use(Kernels(experts=form))
    made, x = mixture(swiglu, False), draw(4, 9, 16)
    torch.testing.assert_close(made(x[2:3])[0], made(x)[0][2:3], rtol=0, atol=2e-5)
    torch.testing.assert_close(made(x[2:3, :1])[0], made(x)[0][2:3, :1], rtol=0, atol=2e-5)


def test_the_clamped_activation_cuts_gates_above_and_values_on_both_sides():
    h = torch.tensor([[9.0, 2.0, -9.0, 9.0, 1.0, -9.0]])
    gates, values = torch.tensor([7.0, -9.0, 1.0]), torch.tensor([2.0, 7.0, -7.0])
    assert torch.allclose(clamped_swiglu(h), (gates / (1 + torch.exp(-1.702 * gates)) * (values + 1))[None])


def test_an_even_load_has_the_least_balance_loss_and_the_greatest_entropy():
    even = route(torch.eye(4) * 30, 1)
    assert load(even).tolist() == [0.25] * 4
    assert balance_loss(even).item() == pytest.approx(1)
    aux, monitors = told({3: even}, None, balance=0.5, router_z=0.1)
    assert aux["balance"].item() == pytest.approx(0.5)
    assert aux["router_z"].item() == pytest.approx(0.1 * z_loss(even).item())
    assert monitors["experts.3.entropy"].item() == pytest.approx(math.log(4))
    assert (monitors["experts.3.load.0"], monitors["experts.3.largest"], monitors["experts.largest"]) == (0.25,) * 3
    assert monitors["experts.router_entropy"] == monitors["experts.3.router_entropy"]


def test_a_layer_that_collapses_costs_up_to_the_number_of_experts():
    alone = route(torch.tensor([[30.0, 0.0, 0.0]] * 5), 1)
    assert balance_loss(alone).item() == pytest.approx(3)
    monitors = told({0: alone}, None, balance=1.0, router_z=0.0)[1]
    assert (monitors["experts.0.entropy"], monitors["experts.0.largest"]) == (0, 1)


def test_losses_are_means_over_layers_and_a_weight_of_zero_leaves_one_out():
    one, other = (route(draw(8, 4) * scale, 2) for scale in (1, 3))
    aux = told({0: one, 5: other}, None, balance=2.0, router_z=0.0)[0]
    assert aux.keys() == {"balance"}
    assert aux["balance"].item() == pytest.approx((balance_loss(one) + balance_loss(other)).item())


def test_padding_counts_in_no_loss_and_no_monitor():
    logits = draw(6, 4)
    documents = torch.tensor([[-1, 0, 0], [-1, -1, 2]])
    found = told({0: route(logits, 2)}, documents, balance=1.0, router_z=1.0)
    expected = told({0: route(logits[[1, 2, 5]], 2)}, None, balance=1.0, router_z=1.0)
    for one, other in zip(found, expected, strict=True):
        assert {n: t.item() for n, t in one.items()} == pytest.approx({n: t.item() for n, t in other.items()})


def test_a_batch_of_padding_alone_has_finite_losses():
    aux, monitors = told({0: route(draw(3, 4), 2)}, torch.full((1, 3), -1), balance=1.0, router_z=1.0)
    assert all(value.isfinite() for value in (*aux.values(), *monitors.values()))


def test_more_active_experts_than_there_are_is_refused():
    with pytest.raises(ValueError, match=r"num_active_experts \(4\) must be at most num_experts \(3\)"):
        refuse_experts(3, 4)


def test_a_stack_starts_each_expert_with_values_of_its_own():
    stack = Stack(3, 8, 8, bias=True)
    assert not torch.equal(stack.weight[0], stack.weight[1]) and not stack.bias.any()
