"""Causal attention over packed documents: what a token may see, and the weighted sum over what it sees."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lilliput.nn.kernels import kernels
from lilliput.nn.state import KVCache

# Shapes: B batch, T time, S slots seen, H query heads, K key/value heads, E head dim


class Sight:
    """Positions and visibility of the tokens (B, T) of one forward pass, shared by all its layers.

    A token sees its own document up to itself. Without `documents` a row is one document, or goes on with the last
    document of `state`. Padding (document -1) sees only itself, so that its features stay finite.
    """

    def __init__(self, tokens: Tensor, documents: Tensor | None = None, state: KVCache | None = None) -> None:
        self.time, self.state = tokens.shape[1], state
        self._masks: dict[int | None, Tensor | None] = {}
        if documents is not None and _is_uniform(documents) and (state is None or state.length == 0):
            documents = None
        self.documents, self.positions = documents, torch.arange(self.time, device=tokens.device)
        if state is not None:
            self._continue(state, documents)
        elif documents is not None:
            self.positions = positions(documents)  # (B, T)

    def _continue(self, state: KVCache, documents: Tensor | None) -> None:
        start = state.length
        if documents is None and state.uniform:
            self.positions = self.positions + start
            state.note(torch.zeros_like(self.positions), self.positions)
            return
        state.uniform = False
        if documents is None:
            documents = state.documents[:, start - 1 : start].expand(-1, self.time)
        held = torch.cat([state.documents[:, :start], documents.to(state.documents.dtype)], dim=1)
        self.positions = positions(held)[:, start:]  # (B, T)
        state.note(documents, self.positions)
        self.documents = held  # (B, S)

    def mask(self, window: int | None = None) -> Tensor | None:
        """(B or 1, 1, T, S), true = visible; None where a row sees all before it.

        A window of W tokens counts the token itself.
        """
        if window not in self._masks:
            self._masks[window] = self._visible(window)
        return self._masks[window]

    def _visible(self, window: int | None) -> Tensor | None:
        slots = self.state.length if self.state is not None else self.time
        reach = slots if window is None else min(window, slots)
        if self.documents is None and reach == slots and self.time in (1, slots):
            return None
        column = torch.arange(slots, device=self.positions.device)
        distance = column[slots - self.time :, None] - column  # (T, S)
        visible = (distance >= 0) & (distance < reach)
        if self.documents is None:
            return visible[None, None]
        mine, theirs = self.documents[:, slots - self.time :, None], self.documents[:, None]
        same = (mine == theirs) & (theirs >= 0)  # (B, T, S)
        return (same & visible | (distance == 0))[:, None]


def positions(documents: Tensor) -> Tensor:
    """Positions (B, T) that start again at 0 wherever a document (B, T) does."""
    index = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    begins = F.pad(documents[:, 1:] != documents[:, :-1], (1, 0))
    return index - torch.where(begins, index, 0).cummax(dim=1).values


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sight: Sight,
    layer: int,
    *,
    window: int | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attention of q (B, H, T, E) over k and v (B, K, T, E), and over what the state of `sight` holds: (B, T, H x E).

    Query head h reads key/value head h // (H / K). `scale` defaults to 1 / sqrt(E).
    """
    if sight.state is not None:
        k, v = sight.state.extend(layer, k, v)
    mask, form = sight.mask(window), kernels().attention_of(q)
    if form == "written":
        y = _written(q, k, v, mask, scale=scale, dropout=dropout)
    else:
        dtype = q.dtype
        if form == "widened":
            q, k, v = q.float(), k.float(), v.float()
        y = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=dropout,
            is_causal=mask is None and q.shape[-2] > 1,
            scale=scale,
            enable_gqa=k.shape[1] != q.shape[1],
        ).to(dtype)
    return y.transpose(1, 2).flatten(2)


def _written(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, scale: float | None, dropout: float) -> Tensor:
    grouped = q.view(len(q), k.shape[1], -1, *q.shape[2:])  # (B, K, H/K, T, E)
    scores = (grouped * (scale or q.shape[-1] ** -0.5)) @ k[:, :, None].mT  # (B, K, H/K, T, S)
    if mask is None:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
    hidden = torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill_(~mask, float("-inf"))
    weights = (scores + (hidden if mask.ndim == 2 else hidden[:, :, None])).softmax(dim=-1)
    return (F.dropout(weights, dropout) @ v[:, :, None]).flatten(1, 2)


def _is_uniform(documents: Tensor) -> bool:
    """True if each row is known to be one document; asking an accelerator would make it wait."""
    if documents.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return bool((documents == documents[:, :1]).all()) and bool((documents[:, 0] >= 0).all())


def refuse_heads(dim: int, num_heads: int, num_kv_heads: int | None = None, *, rotary: bool = False) -> None:
    """ValueError naming the key and what it may be, where heads do not divide."""
    if dim % num_heads:
        raise ValueError(f"num_heads ({num_heads}) must divide dim ({dim}); it may be {_divisors(dim)}")
    if rotary and (dim // num_heads) % 2:
        even = ", ".join(str(n) for n in range(1, dim + 1) if dim % n == 0 and (dim // n) % 2 == 0)
        raise ValueError(
            f"num_heads ({num_heads}) makes heads of odd width {dim // num_heads}, which rotary positions cannot turn;"
            f" it may be {even or 'none: dim (' + str(dim) + ') is odd'}"
        )
    if num_kv_heads is not None and num_heads % num_kv_heads:
        raise ValueError(
            f"num_kv_heads ({num_kv_heads}) must divide num_heads ({num_heads}); it may be {_divisors(num_heads)}"
        )


def _divisors(number: int) -> str:
    return ", ".join(str(n) for n in range(1, number + 1) if number % n == 0)
