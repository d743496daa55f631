"""Grouped-query attention with rotary positions (arXiv 2305.13245): the four projections around `attend`."""

from functools import partial

import torch
from torch import Tensor, nn

from lilliput.nn.attention import Sight, attend
from lilliput.nn.projections import attention_heads
from lilliput.nn.rope import Rotation, rotate
from lilliput.nn.windows import keys_per_query

# Shapes: B batch, T time, D dim, H query heads, K key/value heads, E head dim


class GroupedQueryAttention(nn.Module):
    """Query heads that share key/value heads in groups; `window` is what a token sees, None = all before it.

    With `sinks` each query head learns a logit that takes weight and gives nothing.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_kv_heads: int | None,
        layer: int,
        *,
        head_dim: int | None = None,
        window: int | None = None,
        bias: bool = False,
        sinks: bool = False,
    ) -> None:
        super().__init__()
        self.layer, self.window, self.head_dim = layer, window, head_dim or dim // num_heads
        asked, held = num_heads * self.head_dim, (num_kv_heads or num_heads) * self.head_dim
        self.query = nn.Linear(dim, asked, bias=bias)
        self.key = nn.Linear(dim, held, bias=bias)
        self.value = nn.Linear(dim, held, bias=bias)
        self.out = nn.Linear(asked, dim, bias=bias)
        self.sinks = nn.Parameter(torch.zeros(num_heads)) if sinks else None

    def forward(self, x: Tensor, sight: Sight, turn: Rotation) -> Tensor:
        q, k, v = attention_heads(x, self.query, self.key, self.value, self.head_dim, partial(rotate, turn=turn))
        y = attend(q, k, v, sight, self.layer, window=self.window, sinks=self.sinks)
        return self.out(y)  # type: ignore[no-any-return]

    def flops_per_token(self, context: int) -> int:
        """Of one forward pass, at a context length."""
        projections = 2 * sum(p.weight.numel() for p in (self.query, self.key, self.value, self.out))
        seen = keys_per_query(context, self.window)
        return projections + round(4 * seen * self.out.in_features)  # queries times keys, weights times values
