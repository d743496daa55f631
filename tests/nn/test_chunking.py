import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lilliput.nn.chunking import Chunks, Cuts, Router, beginnings, smooth, straight_through

GOLDEN = Path(__file__).parents[1] / "golden" / "hnet_parts.npz"


@pytest.fixture(scope="module")
def golden():
    """goombalab/hnet's routing, chunking, dechunking and ratio loss, in float64."""
    with np.load(GOLDEN) as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored.files if name != "config"}
        return {name: a.double() if a.is_floating_point() else a for name, a in arrays.items()} | {
            "config": json.loads(str(stored["config"]))
        }


@pytest.fixture
def router(golden):
    router = Router(32).double()
    with torch.no_grad():
        router.query.weight.copy_(golden["router_query"])
        router.key.weight.copy_(golden["router_key"])
    return router


def documents(golden):
    """Rows of the given lengths, padding on the right."""
    return torch.where(torch.arange(19) < golden["lengths"][:, None], 0, -1)


def cut(router, items, ids):
    return router(items, beginnings(ids), ids >= 0)[0]


def near(found, expected, atol=1e-7):
    """Stored gradients are rounded to float32: a relative 6e-8 of entries up to about 1."""
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=atol)


def test_probabilities_and_boundaries_equal_the_reference_with_gradients(golden, router):
    items, ids = golden["encoder_output"].clone().requires_grad_(), documents(golden)
    cuts = cut(router, items, ids)
    valid = ids >= 0
    torch.testing.assert_close(cuts.probability[valid], golden["probability"][valid], rtol=0, atol=1e-12)
    assert torch.equal(cuts.boundary[valid], golden["boundary"][valid])
    assert not cuts.boundary[~valid].any()
    torch.testing.assert_close(cuts.confidence[valid], golden["selected_probability"][valid], rtol=0, atol=1e-12)
    (cuts.probability * golden["cotangent_probability"])[valid].sum().backward()
    near(items.grad, golden["routing/grad_encoder_output"])
    near(router.query.weight.grad, golden["routing/grad_router_query"])
    near(router.key.weight.grad, golden["routing/grad_router_key"])


@pytest.mark.parametrize("case", ["tie", "zero_row"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_tie_is_no_boundary(golden, case, dtype):
    items = golden[f"{case}/encoder_output"]
    cuts = cut(Router(32).to(dtype), items.to(dtype), torch.zeros(1, 8, dtype=torch.long))
    assert torch.equal(cuts.boundary, golden[f"{case}/boundary"])
    expected = golden[f"{case}/probability"].to(cuts.probability.dtype)
    torch.testing.assert_close(cuts.probability, expected, rtol=0, atol=1e-2 if dtype == torch.bfloat16 else 1e-6)
    assert (cuts.probability == 0.5).any()


def test_chunks_lie_back_to_back_and_documents_stay_apart(golden, router):
    cuts = cut(router, golden["encoder_output"], documents(golden))
    chunks = Chunks(cuts)
    offsets = golden["chunked_packed_offsets"].tolist()
    assert torch.equal(chunks.first(golden["encoder_output"])[0], golden["chunked"][golden["chunked_valid"]])
    assert torch.equal(chunks.documents[0].bincount(), torch.tensor(offsets).diff())
    assert chunks.begins[0].nonzero().flatten().tolist() == offsets[:-1]


def test_the_average_spread_over_items_equals_the_reference_with_gradients(golden, router):
    ids = documents(golden)
    chunks = Chunks(cut(router, golden["encoder_output"], ids))
    probability = golden["probability"].clone().requires_grad_()
    inner = golden["dechunk/inner_output"].clone().requires_grad_()
    packed = inner[golden["chunked_valid"]][None]
    spread = chunks.spread(smooth(packed, probability.flatten()[chunks.places][None], chunks.begins))
    valid = ids >= 0
    torch.testing.assert_close(spread[valid], golden["dechunk/expanded"][valid], rtol=0, atol=1e-12)
    (spread * golden["cotangent_expanded"])[valid].sum().backward()
    near(inner.grad, golden["dechunk/grad_inner_output"])
    near(probability.grad, golden["dechunk/grad_probability"])
    assert (probability.grad[:, 0] == 0).all()


def test_the_average_goes_on_from_where_it_stood():
    torch.manual_seed(0)
    y, p = torch.randn(2, 9, 3).double(), torch.rand(2, 9).double()
    begins = torch.zeros(2, 9, dtype=torch.bool)
    begins[:, 0] = begins[1, 6] = True
    whole = smooth(y, p, begins)
    first = smooth(y[:, :4], p[:, :4], begins[:, :4])
    rest = smooth(y[:, 4:], p[:, 4:], begins[:, 4:], before=first[:, -1])
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole, rtol=0, atol=1e-14)


def test_confidence_changes_no_value_and_gets_the_gradient_of_a_factor(golden):
    u = golden["straight_through/u"].clone().requires_grad_()
    c = golden["straight_through/c"][:, 0].clone().requires_grad_()
    x = straight_through(u[None], c[None])[0]
    assert torch.equal(x, u)
    torch.testing.assert_close(x + golden["straight_through/residual"], golden["straight_through/out"])
    cotangent = torch.cat([golden["cotangent_output"][row, :n] for row, n in enumerate(golden["lengths"])])
    (x * cotangent).sum().backward()
    near(u.grad, golden["straight_through/grad_u"])
    near(c.grad, golden["straight_through/grad_c"][:, 0], atol=1e-6)


def test_the_whole_level_equals_the_reference_with_gradients(golden, router):
    config, ids = golden["config"]["end_to_end"], documents(golden)
    leaves = [
        golden[name].clone().requires_grad_()
        for name in ("encoder_output", "inner_matrix", "residual_weight", "residual_bias")
    ]
    items, inner, weight, bias = leaves
    cuts = cut(router, items, ids)
    chunks = Chunks(cuts)
    y = chunks.first(items) @ inner.T
    z = chunks.spread(smooth(y, cuts.probability.flatten()[chunks.places][None], chunks.begins))
    output = straight_through(z, cuts.confidence) + F.linear(items, weight, bias)
    valid = ids >= 0
    torch.testing.assert_close(output[valid], golden["end_to_end/output"][valid], rtol=0, atol=1e-11)
    ratio = cuts.ratio_loss(config["N"])
    scalar = (output * golden["cotangent_output"])[valid].sum() + config["ratio_weight"] * ratio
    assert ratio.item() == pytest.approx(config["ratio_loss"], abs=1e-12)
    assert scalar.item() == pytest.approx(config["scalar"], abs=1e-10)
    scalar.backward()
    for name, leaf in zip(("encoder_output", "inner_matrix", "residual_weight", "residual_bias"), leaves, strict=True):
        near(leaf.grad[valid] if leaf is items else leaf.grad, _valid(golden[f"end_to_end/grad_{name}"], valid))
    near(router.query.weight.grad, golden["end_to_end/grad_router_query"])
    near(router.key.weight.grad, golden["end_to_end/grad_router_key"])


def _valid(expected, valid):
    return expected[valid] if expected.shape[:2] == valid.shape else expected


@pytest.mark.parametrize("size", [2.5, 3.0, 6.0])
def test_ratio_losses_count_valid_items_alone(golden, router, size):
    expected = golden["config"]["ratio_losses"][str(size)]
    cuts = cut(router, golden["encoder_output"], documents(golden))
    probability = cuts.probability.detach().requires_grad_()
    ratio = Cuts(probability, cuts.boundary, cuts.begins, cuts.valid).ratio_loss(size)
    assert ratio.item() == pytest.approx(expected["valid"], abs=1e-12)
    ratio.backward()
    items, chosen = int(cuts.valid.sum()), cuts.rate().item()
    formula = size * (size * chosen - 1) / ((size - 1) * items)
    assert formula == pytest.approx(expected["grad_per_position"], abs=1e-12)
    torch.testing.assert_close(probability.grad, cuts.valid.double() * formula, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [1.5, 2.5, 3.0, 6.0])
def test_cutting_everywhere_costs_the_chunk_size_and_the_wanted_rate_costs_one(size):
    all_of_them = torch.ones(2, 12, dtype=torch.bool)
    assert Cuts(torch.ones(2, 12), all_of_them, all_of_them).ratio_loss(size).item() == pytest.approx(size)
    third = torch.arange(12).expand(2, 12) % 3 == 0
    cuts = Cuts(torch.rand(2, 12, generator=torch.Generator().manual_seed(0)), third, third)
    assert cuts.ratio_loss(3.0).item() == pytest.approx(1)
    chunks = Chunks(Cuts(torch.ones(2, 12), all_of_them, all_of_them))
    assert chunks.places.tolist() == list(range(24))


def test_documents_of_a_row_are_cut_as_each_alone(router):
    torch.manual_seed(1)
    items = torch.randn(1, 12, 32, dtype=torch.float64)
    ids = torch.tensor([[-1, -1, 5, 5, 5, 2, 2, 2, 2, 2, -1, 5]])
    packed = cut(router, items, ids)
    assert packed.begins[0].nonzero().flatten().tolist() == [2, 5, 11]
    for start, end in ((2, 5), (5, 10), (11, 12)):
        alone = cut(router, items[:, start:end], torch.zeros(1, end - start, dtype=torch.long))
        torch.testing.assert_close(packed.probability[:, start:end], alone.probability, rtol=0, atol=1e-14)
        assert torch.equal(packed.boundary[:, start:end], alone.boundary)
    assert not packed.boundary[ids < 0].any()


def test_a_batch_of_padding_alone_is_one_chunk_of_padding(router):
    cuts = cut(router, torch.randn(2, 3, 32).double(), torch.full((2, 3), -1))
    chunks = Chunks(cuts)
    assert chunks.documents.tolist() == [[-1]]
    assert cuts.ratio_loss(3.0).isfinite()
    assert chunks.spread(chunks.first(torch.randn(2, 3, 4))).shape == (2, 3, 4)


def test_routing_is_in_full_precision_whatever_the_rest_is():
    torch.manual_seed(2)
    items, begins = torch.randn(1, 64, 16).bfloat16(), beginnings(torch.zeros(1, 64, dtype=torch.long))
    exact = Router(16)(items.float(), begins)[0]
    half = Router(16).bfloat16()(items, begins)[0]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = Router(16)(items, begins)[0]
    assert torch.equal(exact.probability, half.probability)
    assert torch.equal(exact.probability, mixed.probability)
