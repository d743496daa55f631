from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch

from lilliput.nn import kernels
from lilliput.nn.attention import Sight, attend, positions, refuse_heads
from lilliput.nn.kernels import Kernels
from lilliput.nn.rope import Yarn, rotation
from lilliput.nn.state import KVCache
from lilliput.nn.windows import blocks_of, keys_per_query

GOLDEN = Path(__file__).parents[1] / "golden"
FORMS = [(form, block) for form in ("fused", "written", "widened") for block in (0, 2)]


@pytest.fixture(params=FORMS, ids=lambda chosen: f"{chosen[0]}-{chosen[1]}")
def form(request):
    before = kernels.kernels()
    kernels.use(Kernels(attention=request.param[0], window_block=request.param[1]))
    yield request.param[0]
    kernels.use(before)


def heads(batch=2, time=9, query=4, held=2, width=6, dtype=torch.float32):
    torch.manual_seed(0)
    return [torch.randn(batch, count, time, width, dtype=dtype).requires_grad_() for count in (query, held, held)]


def reference(q, k, v, documents, window, sinks=None):
    """Softmax over a Python list of what each token may see, and its sink, whose weight goes nowhere."""
    rows = []
    for b, t, h in ((b, t, h) for b in range(q.shape[0]) for t in range(q.shape[2]) for h in range(q.shape[1])):
        own = documents[b][t]
        seen = [s for s in range(t + 1) if t - s < window and (s == t or (documents[b][s] == own and own >= 0))]
        shared = h // (q.shape[1] // k.shape[1])
        logits = k[b, shared, seen] @ q[b, h, t] / q.shape[-1] ** 0.5
        if sinks is not None:
            logits = torch.cat([logits, sinks[h : h + 1]])
        rows.append(logits.softmax(0)[: len(seen)] @ v[b, shared, seen])
    return torch.stack(rows).view(len(q), q.shape[2], -1)


@cache
def expected_of(packed, window, sunk):
    """What `reference` gives, and its gradients."""
    inputs, sinks = heads(), drawn_sinks(sunk)
    y = reference(*inputs, PACKED if packed else PLAIN, window, sinks)
    return y.detach(), torch.autograd.grad(y, [*inputs, sinks] if sunk else inputs, cotangent(y))


def cotangent(y):
    return torch.linspace(-1, 2, y.numel()).sin().view_as(y)


def in_pieces(q, k, v, documents, window, sinks, cuts):
    state, found = KVCache([window], len(q), 12), []
    for start, stop in zip([0, *cuts], [*cuts, q.shape[2]], strict=True):
        tokens = torch.zeros(len(q), stop - start, dtype=torch.long)
        here = None if documents is None else torch.tensor(documents)[:, start:stop]
        piece = (x[:, :, start:stop] for x in (q, k, v))
        found.append(attend(*piece, Sight(tokens, here, state), 0, window=window, sinks=sinks))
    return torch.cat(found, dim=1)


PLAIN = [[0] * 9, [0] * 9]
PACKED = [[0, 0, 0, 1, 1, 1, 1, 2, 2], [-1, -1, -1, 0, 0, 0, 0, 0, -1]]
SEEN = pytest.mark.parametrize("documents", [PLAIN, PACKED], ids=["plain", "packed"])
SUNK = pytest.mark.parametrize("sunk", [False, True], ids=["plain softmax", "sinks"])


def drawn_sinks(sunk, dtype=torch.float32):
    return torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=dtype, requires_grad=True) if sunk else None


@SUNK
@SEEN
@pytest.mark.parametrize("window", [100, 9, 3, 1])
def test_a_token_sees_its_own_document_up_to_itself_within_the_window(form, documents, window, sunk):
    inputs, sinks = heads(), drawn_sinks(sunk)
    found = attend(
        *inputs, Sight(torch.zeros(2, 9, dtype=torch.long), torch.tensor(documents)), 0, window=window, sinks=sinks
    )
    expected, gradients = expected_of(documents is PACKED, window, sunk)
    torch.testing.assert_close(found, expected)
    learned = torch.autograd.grad(found, [*inputs, sinks] if sunk else inputs, cotangent(found))
    for mine, theirs in zip(learned, gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=2e-6)


@SUNK
@pytest.mark.parametrize("documents", [PLAIN, PACKED, None], ids=["plain", "packed", "unsaid"])
@pytest.mark.parametrize("window", [None, 20, 3, 1])
def test_a_cache_filled_in_pieces_sees_the_same(form, documents, window, sunk):
    inputs, sinks = heads(), drawn_sinks(sunk)
    expected, _ = expected_of(documents is PACKED, window or 100, sunk)
    for cuts in ([4, 5], range(1, 9), [2, 8], [7]):
        with torch.no_grad():
            torch.testing.assert_close(in_pieces(*inputs, documents, window, sinks, cuts), expected)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("case", ["full", "window", "sink_minus_30", "sink_plus_30", "mixed_extremes"])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-6)])
def test_sinks_equal_those_of_transformers(form, case, dtype, tolerance, compiled, monkeypatch):
    if form == "widened":
        dtype, tolerance = torch.float32, 1e-6
    stored = np.load(GOLDEN / "attention_sinks.npz")
    inputs = [torch.from_numpy(stored[name]).to(dtype).requires_grad_() for name in ("q", "k", "v", f"{case}/sink")]
    *heads, sinks = inputs
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiled)
    window = None if case in ("full", "sink_plus_30") else 7
    found = attend(*heads, Sight(torch.zeros(2, 23, dtype=torch.long)), 0, window=window, sinks=sinks)
    expected = torch.from_numpy(stored[f"{case}/out"])
    assert (found - expected.flatten(2)).abs().max() < tolerance * (1 + expected.abs().max())
    gradients = torch.autograd.grad(found, inputs, torch.from_numpy(stored["cotangent"]).to(dtype).flatten(2))
    for name, gradient in zip(("q", "k", "v", "sink"), gradients, strict=True):
        if f"{case}/grad_{name}" in stored:
            theirs = torch.from_numpy(stored[f"{case}/grad_{name}"])
            allowed = 1e-6 if dtype == torch.float64 else 5e-6
            assert (gradient - theirs).abs().max() <= allowed * theirs.abs().max() + 1e-12


@SUNK
@SEEN
def test_blocks_of_any_size_leave_nothing_out(documents, sunk):
    q, k, v = heads(time=9, dtype=torch.float64)
    tokens, sinks = torch.zeros(2, 9, dtype=torch.long), drawn_sinks(sunk, torch.float64)
    before = kernels.kernels()
    for window in (1, 2, 4, 8):
        found = []
        for size in (0, 1, 2, 3, 5, 8):
            kernels.use(Kernels(window_block=size))
            found.append(attend(q, k, v, Sight(tokens, torch.tensor(documents)), 0, window=window, sinks=sinks))
        kernels.use(before)
        for y in found[1:]:
            torch.testing.assert_close(y, found[0], rtol=0, atol=1e-13)


@SUNK
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_blocks_compile_to_one_graph(monkeypatch, sunk, packed):
    monkeypatch.setattr(kernels, "_kernels", Kernels(window_block=2))

    def blocks(q, k, v, tokens, documents, sinks):
        return attend(q, k, v, Sight(tokens, documents), 0, window=3, sinks=sinks)

    inputs = (*heads(), torch.zeros(2, 9, dtype=torch.long), torch.tensor(PACKED) if packed else None)
    compiled = torch.compile(blocks, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*inputs, drawn_sinks(sunk)), expected_of(packed, 3, sunk)[0])


@pytest.mark.parametrize("form", ["fused", "written", "widened"])
def test_half_precision_learns_sinks(monkeypatch, form):
    monkeypatch.setattr(kernels, "_kernels", Kernels(attention=form, window_block=2))
    inputs = [x.detach().bfloat16().requires_grad_() for x in (*heads(), drawn_sinks(True))]
    tokens = torch.zeros(2, 9, dtype=torch.long)
    found = attend(*inputs[:3], Sight(tokens), 0, window=3, sinks=inputs[3])
    gradients = torch.autograd.grad(found, inputs, cotangent(found).bfloat16())
    for mine, theirs in zip(gradients, expected_of(False, 3, True)[1], strict=True):
        assert mine.dtype == torch.bfloat16
        assert (mine - theirs).abs().max() < 0.02 * theirs.abs().max()


def test_a_long_window_layer_multiplies_each_query_with_few_keys():
    assert blocks_of(256, 256, 128) is None
    assert keys_per_query(256, None) == keys_per_query(256, 128) == 256
    assert keys_per_query(8192, 128) < 200
    assert keys_per_query(8192, 512) < 800


def test_masks_of_a_long_window_layer_grow_with_the_length_alone():
    documents = torch.arange(4096)[None] // 1500
    sight = Sight(torch.zeros(1, 4096, dtype=torch.long), documents)
    blocks = blocks_of(4096, 4096, 64)
    assert sum(mask.numel() for mask in sight.block_masks(4096, blocks)) < 3 * 64 * 4096


def test_one_document_per_row_needs_no_mask():
    tokens = torch.zeros(2, 9, dtype=torch.long)
    assert Sight(tokens, torch.tensor([[0] * 9, [3] * 9])).mask() is None
    assert Sight(tokens, torch.tensor([[0] * 9, [-1] * 9])).mask() is not None
    assert Sight(tokens, torch.tensor(PACKED)).mask() is not None


def test_positions_begin_again_with_each_document():
    assert positions(torch.tensor(PACKED)).tolist() == [[0, 1, 2, 0, 1, 2, 3, 0, 1], [0, 1, 2, 0, 1, 2, 3, 4, 0]]


def test_positions_go_on_where_the_state_stands():
    state = KVCache([None], 2, 12)
    Sight(torch.zeros(2, 9, dtype=torch.long), torch.tensor([[0] * 9, [-1] * 6 + [0] * 3]), state)
    assert Sight(torch.zeros(2, 2, dtype=torch.long), None, state).positions.tolist() == [[9, 10], [3, 4]]


@SUNK
@pytest.mark.parametrize("form", ["fused", "written", "widened"])
def test_dropout_drops_whole_weights_and_keeps_their_mean(form, sunk):
    before = kernels.kernels()
    kernels.use(Kernels(attention=form))
    q, k = torch.zeros(1, 1, 64, 2), torch.zeros(1, 1, 64, 2)
    sinks = torch.full((1,), -30.0) if sunk else None
    torch.manual_seed(3)
    sight = Sight(torch.zeros(1, 64, dtype=torch.long))
    y = attend(q, k, torch.ones(1, 1, 64, 2), sight, 0, dropout=0.5, sinks=sinks)
    kernels.use(before)
    assert y.std() > 0.05
    assert y[0, 16:].mean().item() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    "shape, told",
    [
        ({"dim": 12, "num_heads": 5}, r"num_heads \(5\) must divide dim \(12\); it may be 1, 2, 3, 4, 6, 12"),
        ({"dim": 12, "num_heads": 4, "rotary": True}, r"odd width 3.*it may be 1, 2, 3, 6"),
        ({"dim": 12, "num_heads": 6, "num_kv_heads": 4}, r"num_kv_heads \(4\) must divide num_heads \(6\)"),
    ],
)
def test_impossible_heads_are_refused_with_what_would_fit(shape, told):
    with pytest.raises(ValueError, match=told):
        refuse_heads(**shape)


@pytest.mark.parametrize("yarn", [None, Yarn(factor=4.0, original_length=8)])
def test_a_token_after_others_turns_as_it_would_among_them(yarn):
    state, turns = KVCache([None], 2, 12), []
    for time in (3, 1, 1, 4, 1):
        sight = Sight(torch.zeros(2, time, dtype=torch.long), None, state)
        turns.append(sight.turn(partial(rotation, head_dim=24, theta=1e4, dtype=torch.float32, yarn=yarn)))
    whole = rotation(torch.arange(10), 24, 1e4, torch.float32, yarn)
    for found, expected in zip(map(torch.cat, zip(*turns, strict=True)), whole, strict=True):
        torch.testing.assert_close(found, expected)


def test_tokens_of_padded_rows_turn_by_their_own_positions():
    state = KVCache([None], 2, 12)
    Sight(torch.zeros(2, 3, dtype=torch.long), torch.tensor([[0, 0, 0], [-1, 0, 0]]), state)
    sight = Sight(torch.zeros(2, 1, dtype=torch.long), None, state)
    cos, _ = sight.turn(partial(rotation, head_dim=8, theta=1e4, dtype=torch.float32))
    torch.testing.assert_close(cos[:, 0, 0, 0], torch.tensor([3.0, 2.0]).cos())
