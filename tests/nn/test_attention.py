import pytest
import torch

from lilliput.nn import kernels
from lilliput.nn.attention import Sight, attend, positions, refuse_heads
from lilliput.nn.kernels import Kernels
from lilliput.nn.state import KVCache


@pytest.fixture(params=["fused", "written", "widened"])
def form(request):
    before = kernels.kernels()
    kernels.use(Kernels(attention=request.param))
    yield request.param
    kernels.use(before)


def heads(batch=2, time=9, query=4, held=2, width=6):
    torch.manual_seed(0)
    return (torch.randn(batch, count, time, width) for count in (query, held, held))


def reference(q, k, v, documents, window):
    """Softmax over a Python list of what each token may see."""
    y = torch.zeros_like(q)
    for b, h, t in ((b, h, t) for b in range(q.shape[0]) for h in range(q.shape[1]) for t in range(q.shape[2])):
        own = documents[b][t]
        seen = [s for s in range(t + 1) if t - s < window and (s == t or (documents[b][s] == own and own >= 0))]
        shared = h // (q.shape[1] // k.shape[1])
        weights = (k[b, shared, seen] @ q[b, h, t] / q.shape[-1] ** 0.5).softmax(0)
        y[b, h, t] = weights @ v[b, shared, seen]
    return y.transpose(1, 2).flatten(2)


PLAIN = [[0] * 9, [0] * 9]
PACKED = [[0, 0, 0, 1, 1, 1, 1, 2, 2], [-1, -1, -1, 0, 0, 0, 0, 0, -1]]


@pytest.mark.parametrize("window", [100, 9, 3, 1])
@pytest.mark.parametrize("documents", [PLAIN, PACKED], ids=["plain", "packed"])
def test_a_token_sees_its_own_document_up_to_itself_within_the_window(form, documents, window):
    q, k, v = heads()
    sight = Sight(torch.zeros(2, 9, dtype=torch.long), torch.tensor(documents))
    found = attend(q, k, v, sight, 0, window=window)
    torch.testing.assert_close(found, reference(q, k, v, documents, window))


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("documents", [PLAIN, PACKED], ids=["plain", "packed"])
def test_a_cache_filled_in_pieces_sees_the_same(form, documents, window):
    q, k, v = heads()
    state, found = KVCache(1, 2, 12), []
    for start, stop in ((0, 4), (4, 5), (5, 9)):
        tokens, here = torch.zeros(2, stop - start, dtype=torch.long), torch.tensor(documents)[:, start:stop]
        piece = (x[:, :, start:stop] for x in (q, k, v))
        found.append(attend(*piece, Sight(tokens, here, state), 0, window=window))
    torch.testing.assert_close(torch.cat(found, dim=1), reference(q, k, v, documents, window or 100))


def test_one_document_per_row_needs_no_mask():
    tokens = torch.zeros(2, 9, dtype=torch.long)
    assert Sight(tokens, torch.tensor([[0] * 9, [3] * 9])).mask() is None
    assert Sight(tokens, torch.tensor([[0] * 9, [-1] * 9])).mask() is not None
    assert Sight(tokens, torch.tensor(PACKED)).mask() is not None


def test_positions_begin_again_with_each_document():
    assert positions(torch.tensor(PACKED)).tolist() == [[0, 1, 2, 0, 1, 2, 3, 0, 1], [0, 1, 2, 0, 1, 2, 3, 4, 0]]


def test_positions_go_on_where_the_state_stands():
    state = KVCache(1, 2, 12)
    Sight(torch.zeros(2, 9, dtype=torch.long), torch.tensor([[0] * 9, [-1] * 6 + [0] * 3]), state)
    assert Sight(torch.zeros(2, 2, dtype=torch.long), None, state).positions.tolist() == [[9, 10], [3, 4]]


@pytest.mark.parametrize("form", ["fused", "written", "widened"])
def test_dropout_drops_whole_weights_and_keeps_their_mean(form):
    before = kernels.kernels()
    kernels.use(Kernels(attention=form))
    q, k = torch.zeros(1, 1, 64, 2), torch.zeros(1, 1, 64, 2)
    torch.manual_seed(3)
    y = attend(q, k, torch.ones(1, 1, 64, 2), Sight(torch.zeros(1, 64, dtype=torch.long)), 0, dropout=0.5)
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
