import pytest
import torch

from lilliput.nn.attention import Sight
from lilliput.nn.shift import TokenShift
from lilliput.nn.state import KVCache


@pytest.fixture
def shift():
    made = TokenShift(3, place=0).double()
    with torch.no_grad():
        made.weight.copy_(torch.tensor([1.0, -0.5, 0.25]))
    return made


def drawn(*shape):
    return torch.randn(*shape, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()


def sight(documents=None, shape=(2, 5), state=None):
    return Sight(torch.zeros(*shape, dtype=torch.long), documents, state)


def by_hand(x, weight, documents):
    rows = []
    for row, own in zip(x, documents, strict=True):
        for t in range(len(row)):
            same = t > 0 and own[t] == own[t - 1]
            rows.append(row[t] + weight * row[t - 1] if same else row[t])
    return torch.stack(rows).view_as(x)


@pytest.mark.parametrize("documents", [[[0] * 5] * 2, [[0, 0, 1, 1, 1], [4, 5, 5, 5, 6]]], ids=["one", "several"])
def test_each_token_gets_a_share_of_the_one_before_in_its_document(shift, documents):
    x = drawn(2, 5)
    found, expected = shift(x, sight(torch.tensor(documents))), by_hand(x, shift.weight, documents)
    torch.testing.assert_close(found, expected)
    towards = drawn(2, 5).detach().flip(0)
    for one, other in zip(
        torch.autograd.grad((found * towards).sum(), [x, shift.weight]),
        torch.autograd.grad((expected * towards).sum(), [x, shift.weight]),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@torch.no_grad()
def test_a_state_hands_on_the_newest_token(shift):
    x, state = drawn(2, 5), KVCache([], 2, 5)
    pieces = [shift(part, sight(shape=part.shape[:2], state=state)) for part in x.split([2, 1, 1, 1], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), by_hand(x, shift.weight, [[0] * 5] * 2))


@torch.no_grad()
def test_padding_before_a_text_gives_it_nothing(shift):
    x, state = drawn(2, 5), KVCache([], 2, 6)
    documents = torch.tensor([[-1, -1, 0, 0, 0], [0, 0, 0, 0, 0]])
    found = shift(x, sight(documents, state=state))
    torch.testing.assert_close(found[0, 2:], by_hand(x[:1, 2:], shift.weight, [[0] * 3])[0])
    after = shift(x[:, :1], sight(shape=(2, 1), state=state))
    torch.testing.assert_close(after[:, 0], x[:, 0] + shift.weight * x[:, 4])


def test_it_starts_as_nothing():
    x = drawn(1, 4).float()
    assert torch.equal(TokenShift(3, 0)(x, sight(shape=(1, 4))), x)
