"""A small language model for optimizer tests."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lilliput.models.contract import LanguageModel, Output
from lilliput.nn import kernels


class Small(LanguageModel):
    """Embedding, two matrices of one shape, one tall one, a norm, an untied head with a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
        self.up, self.norm, self.down = nn.Linear(8, 24), nn.LayerNorm(24), nn.Linear(24, 8)
        self.head = nn.Linear(8, 11)

    def forward(self, tokens: Tensor, **_: object) -> Output:
        x = self.second(self.first(self.embedding(tokens)).tanh())
        return Output(x + self.down(self.norm(self.up(x))))

    def lr_scales(self) -> dict[str, float]:
        return {"up": 2.0}


@pytest.fixture
def model():
    torch.manual_seed(5)
    return Small()


@pytest.fixture
def learn():
    """One backward pass over tokens that the step decides."""

    def backward(model: Small, step: int) -> None:
        generator = torch.Generator().manual_seed(step)
        tokens = torch.randint(11, (4, 6), generator=generator)
        model.head(model(tokens).features).float().logsumexp(-1).square().mean().backward()

    return backward


@pytest.fixture
def in_bfloat16() -> Iterator[None]:
    """Muon's iterations as torch has them, whatever this machine would choose."""
    before = kernels.kernels()
    kernels.use(replace(before, orthogonal="bf16"))
    yield
    kernels.use(before)
