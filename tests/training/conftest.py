"""A small language model with dropout, and batches that are a pure function of the step."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lilliput.models.contract import LanguageModel, Output
from lilliput.tokens.batch import Batch

VOCAB = 13


class Block(nn.Module):
    """Mixes a position with the mean of those before it."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(dim), nn.Linear(2 * dim, 3 * dim), nn.Linear(3 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        counts = torch.arange(1, h.shape[1] + 1, device=x.device, dtype=x.dtype)[:, None]
        return x + self.dropout(self.down(self.up(torch.cat([h, h.cumsum(1) / counts], -1)).relu()))


class Small(LanguageModel):
    """Tied embedding and head; `aux` weighs one auxiliary loss."""

    def __init__(self, dropout: float = 0.0, dim: int = 12, aux: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, dim)
        self.blocks = nn.ModuleList(Block(dim, dropout) for _ in range(2))
        self.head = nn.Linear(dim, VOCAB, bias=False)
        self.head.weight = self.embedding.weight
        self.vocab_size, self.aux, self.config = VOCAB, aux, SimpleNamespace(family="small")
        self.register_buffer("calls", torch.zeros(2, dtype=torch.int64))
        self.register_buffer("angles", torch.full((3,), 1 / 3), persistent=False)
        self.seen_documents: list[bool] = []

    def forward(self, tokens: Tensor, *, documents: Tensor | None = None, state: object = None) -> Output:
        self.seen_documents.append(documents is not None)
        self.calls += 1
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        aux = {"spread": self.aux * x.float().square().mean()} if self.aux else {}
        return Output(x, aux, {"width": x.detach().float().abs().mean()})

    def flops_per_token(self, context: int) -> int:
        return 2 * sum(parameter.numel() for parameter in self.parameters())


@pytest.fixture(scope="session")
def build():
    """Models of equal weights."""

    def build(seed: int = 3, **options: float) -> Small:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Small(**options)

    return build


def random_batch(step: int, windows: int = 6, length: int = 8, kept: float = 0.8) -> Batch:
    draw = np.random.default_rng(step)
    mask = draw.random((windows, length)) < kept
    ids = draw.integers(0, VOCAB, (windows, length + 1))
    documents = np.zeros((windows, length), np.int32)
    return Batch(ids[:, :-1].copy(), ids[:, 1:].copy(), mask, documents, mask.sum(1))


@pytest.fixture(scope="session")
def batches():
    return random_batch
