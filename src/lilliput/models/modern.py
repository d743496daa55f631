"""Modern: our own small decoder: rotary positions, normed queries and keys, squared ReLU, norms without parameters.

Residual projections start at zero, so that an untrained model is its embedding; the idea and its worth at this size are
modded-nanogpt's (github.com/KellerJordan/modded-nanogpt).
"""

import math
from functools import partial
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from lilliput.config.settings import Fatal, Semantic, settings
from lilliput.models.contract import LanguageModel, Output, Preset, refuse_length
from lilliput.nn.attention import Sight, attend, refuse_heads
from lilliput.nn.feed_forward import FeedForward
from lilliput.nn.norms import rms
from lilliput.nn.projections import attention_heads
from lilliput.nn.rope import Rotation, rotate, rotation
from lilliput.nn.shift import TokenShift
from lilliput.nn.state import KVCache, State

# Shapes: B batch, T time, D dim, H heads, E head dim, V vocab


@settings
class ModernConfig:
    family: Fatal[Literal["modern"]] = "modern"
    dim: Fatal[int] = Field(gt=0)
    """Width of the residual stream."""
    num_layers: Fatal[int] = Field(gt=0)
    """Blocks, each attention and a feed-forward."""
    num_heads: Fatal[int] = Field(gt=0)
    """Attention heads, each dim / num_heads wide; that width has to be even."""
    ffn_dim: Fatal[int] = Field(gt=0)
    """Inner width of the feed-forward."""
    max_positions: Fatal[int | None] = Field(default=None, gt=0)
    """Tokens a sequence may have; null = the training context length."""
    rope_theta: Fatal[float] = Field(default=10_000.0, gt=1)
    """Base of the rotary frequencies."""
    token_shift: Fatal[bool] = False
    """Attention and feed-forward also read a learned share, by channel, of the token before."""
    tied: Fatal[bool] = True
    """The head uses the embedding's weights."""
    dropout: Semantic[float] = Field(default=0.0, ge=0, lt=1)
    """Share of each block's output that training drops."""

    def __post_init__(self) -> None:
        refuse_heads(self.dim, self.num_heads, rotary=True)

    def build(self, vocab_size: int) -> "Modern":
        return Modern(self, vocab_size)


class Attention(nn.Module):
    def __init__(self, config: ModernConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, config.dim // config.num_heads
        self.query = nn.Linear(config.dim, config.dim, bias=False)
        self.key = nn.Linear(config.dim, config.dim, bias=False)
        self.value = nn.Linear(config.dim, config.dim, bias=False)
        self.out = nn.Linear(config.dim, config.dim, bias=False)
        # normed queries and keys have length sqrt(E): logits reach 2.64 sqrt(E), as 1 / sqrt(E) would not let them
        self.scale = 2.64 / math.sqrt(self.head_dim)

    def forward(self, x: Tensor, sight: Sight, turn: Rotation) -> Tensor:
        layers = self.query, self.key, self.value
        q, k, v = attention_heads(x, *layers, self.head_dim, lambda part: rms(rotate(part, turn)))
        return self.out(attend(q, k, v, sight, self.layer, scale=self.scale))  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, config: ModernConfig, layer: int) -> None:
        super().__init__()
        self.attention = Attention(config, layer)
        self.feed_forward = FeedForward(config.dim, config.ffn_dim, "relu_squared")
        self.dropout = nn.Dropout(config.dropout)
        self.shifts = nn.ModuleList(TokenShift(config.dim, 2 * layer + part) for part in range(2 * config.token_shift))

    def forward(self, x: Tensor, sight: Sight, turn: Rotation) -> Tensor:
        x = x + self.dropout(self.attention(self._read(x, sight, 0), sight, turn))
        return x + self.dropout(self.feed_forward(self._read(x, sight, 1)))  # type: ignore[no-any-return]

    def _read(self, x: Tensor, sight: Sight, part: int) -> Tensor:
        """The normed stream as attention (0) or the feed-forward (1) reads it."""
        x = rms(x)
        return self.shifts[part](x, sight) if len(self.shifts) else x


class Modern(LanguageModel):
    config: ModernConfig
    head: nn.Linear

    def __init__(self, config: ModernConfig, vocab_size: int) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.head = nn.Linear(config.dim, vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.embed.weight
        self._start()

    def _start(self) -> None:
        """Residual projections at zero, the other matrices uniform with deviation 1 / sqrt(D)."""
        for name, weight in self.blocks.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                nn.init.zeros_(weight)
            elif weight.ndim > 1:
                bound = math.sqrt(3 / weight.shape[1])
                nn.init.uniform_(weight, -bound, bound)
        if not self.config.tied:
            nn.init.zeros_(self.head.weight)
        # the embedding is normed when read: its size only sets how fast it turns, and as a head how sure it starts
        nn.init.normal_(self.embed.weight, std=0.02 if self.config.tied else 0.8)

    def forward(self, tokens: Tensor, *, documents: Tensor | None = None, state: State | None = None) -> Output:
        cache = state if isinstance(state, KVCache) else None
        refuse_length(self.config, tokens.shape[1])
        sight = Sight(tokens, documents, cache)
        x = rms(self.embed(tokens))  # (B, T, D)
        head_dim, theta = self.config.dim // self.config.num_heads, self.config.rope_theta
        turn = sight.turn(partial(rotation, head_dim=head_dim, theta=theta, dtype=x.dtype))
        for block in self.blocks:
            x = block(x, sight, turn)
        return Output(rms(x), state=state)

    def new_state(self, batch: int, length: int) -> KVCache:
        refuse_length(self.config, length)
        return KVCache([None] * self.config.num_layers, batch, length, self.embed.weight.device)

    def flops_per_token(self, context: int) -> int:
        matrices = 4 * self.config.dim**2 + 2 * self.config.dim * self.config.ffn_dim
        seen = 2 * context * self.config.dim  # queries times keys, weights times values
        return 2 * (self.config.num_layers * (matrices + seen) + self.config.dim * self.vocab_size)


PRESETS = {
    "modern/char": Preset(ModernConfig(dim=128, num_layers=4, num_heads=4, ffn_dim=496), 256, "for bytes, under 0.81M"),
    "modern/10m": Preset(ModernConfig(dim=256, num_layers=10, num_heads=4, ffn_dim=1024), 8192),
    "modern/30m": Preset(ModernConfig(dim=512, num_layers=8, num_heads=8, ffn_dim=2048), 8192),
    "modern/125m": Preset(ModernConfig(dim=768, num_layers=12, num_heads=12, ffn_dim=3072), 50_257, "GPT-2's size"),
}
