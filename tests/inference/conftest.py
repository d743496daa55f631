"""A language model small enough to be read in one look, for what generation promises of any model."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from lilliput.models.contract import LanguageModel, Output
from lilliput.nn.state import State


class FadingState(State):
    def __init__(self, batch: int, dim: int, length: int) -> None:
        self.memory = torch.zeros(batch, dim, dtype=torch.float64)
        self.position = torch.zeros(batch, dtype=torch.int64)
        self.left = length


class FadingModel(LanguageModel):
    """What it has read fades by a tenth with every visible token; it knows `positions` places and no more."""

    def __init__(self, vocab_size: int, positions: int, dim: int = 16) -> None:
        super().__init__()
        self.config = SimpleNamespace(max_positions=positions)
        self.vocab_size = vocab_size
        generator = torch.Generator().manual_seed(5)
        draw = lambda *shape: nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64))  # noqa: E731
        self.tokens, self.places = draw(vocab_size, dim), draw(positions, dim)
        self.head = nn.Linear(dim, vocab_size, bias=False, dtype=torch.float64)
        self.head.weight = draw(vocab_size, dim)
        self.calls: list[tuple[int, ...]] = []

    def new_state(self, batch: int, length: int) -> FadingState:
        return FadingState(batch, self.tokens.shape[1], length)

    def forward(self, tokens: Tensor, *, documents: Tensor | None = None, state: State | None = None) -> Output:
        assert isinstance(state, FadingState)
        self.calls.append(tuple(tokens.shape))
        state.left -= tokens.shape[1]
        assert state.left >= 0, "more tokens than the state was made for"
        visible = torch.ones_like(tokens, dtype=torch.bool) if documents is None else documents >= 0
        features = []
        for t in range(tokens.shape[1]):
            seen = visible[:, t, None]
            read = 0.9 * state.memory + self.tokens[tokens[:, t]] + self.places[state.position.where(seen[:, 0], 0)]
            state.memory = torch.where(seen, read, state.memory)
            state.position = state.position + visible[:, t]
            features.append(state.memory)
        return Output(torch.stack(features, 1), state=state)


@pytest.fixture
def fading() -> type[FadingModel]:
    return FadingModel
