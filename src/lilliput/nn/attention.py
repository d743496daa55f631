"""Causal attention over packed documents: what a token may see, and the weighted sum over what it sees."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from lilliput.nn.kernels import kernels
from lilliput.nn.rope import Rotation
from lilliput.nn.sinks import sunk_attention
from lilliput.nn.state import KVCache
from lilliput.nn.windows import Blocks, blocks_of, cut

# Shapes: B batch, T time, S slots seen, H query heads, K key/value heads, E head dim


class Sight:
    """Positions and visibility of the tokens (B, T) of one forward pass, shared by all its layers.

    A token sees its own document up to itself. Without `documents` a row is one document, or goes on with the last
    document of `state`. Padding (document -1) sees only itself, so that its features stay finite.
    """

    def __init__(self, tokens: Tensor, documents: Tensor | None = None, state: KVCache | None = None) -> None:
        self.time, self.state = tokens.shape[1], state
        self._masks: dict[object, Tensor | None] = {}
        given = documents
        if documents is not None and _is_uniform(documents) and (state is None or state.length == 0):
            documents = None
        self.documents, self.positions = documents, torch.arange(self.time, device=tokens.device)
        if state is not None:
            self._continue(state, documents, given)
        elif documents is not None:
            self.positions = positions(documents)  # (B, T)
        self.end = self.time if state is None else state.length
        is_free = kernels().attention in (None, "fused")
        self.is_next = is_free and state is not None and self.time == 1 and self.documents is None
        """One token that sees all before it, the common step of decoding, where no other formulation is asked for."""

    def _continue(self, state: KVCache, documents: Tensor | None, given: Tensor | None) -> None:
        start = state.length
        last = state.documents[:, start - 1 : start] if start else state.documents.new_zeros(state.batch, 1)
        if documents is None and state.uniform:
            self.positions = self.positions + start
            # a later call may name the document
            state.note(last.expand(-1, self.time) if given is None else given, self.positions)
            return
        state.uniform = False
        if documents is None:
            documents = last.expand(-1, self.time)
        held = torch.cat([state.documents[:, :start], documents.to(state.documents.dtype)], dim=1)
        self.positions = positions(held)[:, start:]  # (B, T)
        state.note(documents, self.positions)
        self.documents = held  # (B, all slots)

    def turn(self, of: Callable[[Tensor], Rotation]) -> Rotation:
        """The rotation `of` the positions; for one token after others a row of a table that the state keeps."""
        state = self.state
        if state is None or self.time > 1 or not state.uniform:
            return of(self.positions)
        if state.turns is None:
            state.turns = of(torch.arange(state.capacity, device=self.positions.device))
        cos, sin = state.turns
        return cos.narrow(0, self.end - 1, 1), sin.narrow(0, self.end - 1, 1)

    def newest(self, place: int, x: Tensor) -> Tensor | None:
        """What the state remembers of x (B, T, D) there, its last token (B, 1, D); this pass is next."""
        if self.state is None:
            return None
        found = self.state.newest.get(place)
        self.state.newest[place] = x[:, -1:].detach()
        return found

    def begins(self) -> Tensor | None:
        """(B, T, 1), true where no token of the same document stands before; None where at most the first is such."""
        if self.documents is None:
            return None
        if "begins" not in self._masks:
            held = F.pad(self.documents, (1, 0), value=-2)[:, -self.time - 1 :]
            self._masks["begins"] = (held[:, 1:] != held[:, :-1])[..., None]
        return self._masks["begins"]

    def mask(self, window: int | None = None, slots: int | None = None) -> Tensor | None:
        """(B or 1, 1, T, S), true = visible, for the S newest slots; None where a row sees all before it.

        A window of W tokens counts the token itself.
        """
        key, slots = (window, slots), self.end if slots is None else slots
        if key not in self._masks:
            seen = self._seen(self.end - self.time, self.end - slots, self.end, window)
            self._masks[key] = seen
        return self._masks[key]

    def block_masks(self, slots: int, blocks: Blocks) -> tuple[Tensor | None, Tensor]:
        """`mask` for the queries before all blocks, and (B x blocks or 1, 1, size, window + size) for those in them."""
        key = (slots, blocks)
        if key not in self._masks:
            begin = self.end - blocks.late
            self._masks[key] = self._seen(self.end - self.time, self.end - slots, begin, blocks.window)
            rows = torch.arange(begin, self.end, device=self.positions.device).view(blocks.count, -1)
            if self.documents is None:
                rows = rows[:1]  # all are alike
            reach = torch.arange(-blocks.window, blocks.size, device=rows.device)
            self._masks[key, "late"] = self._visible(rows, rows[:, :1] + reach, blocks.window).flatten(0, 1)[:, None]
        late = self._masks[key, "late"]
        assert late is not None
        return self._masks[key], late

    def _seen(self, row: int, column: int, end: int, window: int | None) -> Tensor | None:
        """What places row to end see of places column to end."""
        time, slots = end - row, end - column
        reach = slots if window is None else min(window, slots)
        if self.documents is None and reach == slots and time in (1, slots):
            return None
        place = torch.arange(column, end, device=self.positions.device)
        if self.time == 1 and column:  # a ring: a slot holds the newest of the places that fall on it
            place = row - (row - torch.arange(slots, device=place.device)) % slots
        return self._visible(torch.arange(row, end, device=place.device), place, reach)[:, None]

    def _visible(self, rows: Tensor, columns: Tensor, window: int) -> Tensor:
        """(B or 1, ..., T, S) for rows (..., T) and columns (..., S)."""
        distance = rows[..., None] - columns[..., None, :]
        visible = (distance >= 0) & (distance < window)
        if self.documents is None:
            return visible[None]
        mine, theirs = self.documents[:, rows][..., None], self.documents[:, columns][..., None, :]
        same = (mine == theirs) & (theirs >= 0)
        return same & visible | (distance == 0)


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
    sinks: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attention of q (B, H, T, E) over k and v (B, K, T, E), and over what the state of `sight` holds: (B, T, H x E).

    Query head h reads key/value head h // (H / K). `sinks` (H,) are logits that take weight and give nothing. `scale`
    defaults to 1 / sqrt(E).
    """
    if sight.state is not None:
        k, v = sight.state.extend(layer, k, v)
    if sight.is_next and window is None and sinks is None and not dropout:
        return _fused(q, k, v, None, None, scale, 0.0).reshape(len(q), 1, -1)
    slots = k.shape[2]
    weigh: Callable[..., Tensor] = partial(
        _weigh, form=kernels().attention_of(q), sinks=sinks, scale=scale, dropout=dropout
    )
    blocks = None if sight.time == 1 else blocks_of(q.shape[2], slots, window)
    if blocks is None or window is None:
        return weigh(q, k, v, sight.mask(window, slots))
    early_mask, late_mask = sight.block_masks(slots, blocks)
    pieces = cut(q, blocks, 0), cut(k, blocks, window), cut(v, blocks, window)
    rest = weigh(*(late for _, late in pieces), late_mask).reshape(len(q), blocks.late, -1)
    if blocks.late == sight.time:
        return rest
    first = weigh(*(early for early, _ in pieces), early_mask)
    return torch.cat([first, rest], dim=1)


def _weigh(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    *,
    form: str,
    sinks: Tensor | None,
    scale: float | None,
    dropout: float,
) -> Tensor:
    """The weighted sum (B, T, H x E); causal without a mask."""
    if form == "written" or (sinks is not None and dropout > 0):
        y = _written(q, k, v, mask, sinks, scale, dropout)
    else:
        dtype = q.dtype
        if form == "widened":
            q, k, v = q.float(), k.float(), v.float()
        y = _fused(q, k, v, mask, sinks, scale, dropout).to(dtype)
    return y.transpose(1, 2).flatten(2)


def _fused(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, sinks: Tensor | None, scale: float | None, dropout: float
) -> Tensor:
    if sinks is not None:
        return sunk_attention(q, k, v, sinks, mask, scale)
    return F.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        dropout_p=dropout,
        is_causal=mask is None and q.shape[-2] > 1,
        scale=scale,
        enable_gqa=k.shape[1] != q.shape[1],
    )


def _written(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, sinks: Tensor | None, scale: float | None, dropout: float
) -> Tensor:
    grouped = q.view(len(q), k.shape[1], -1, *q.shape[2:])  # (B, K, H/K, T, E)
    scores = (grouped * (scale or q.shape[-1] ** -0.5)) @ k[:, :, None].mT  # (B, K, H/K, T, S)
    if mask is None:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril(k.shape[2] - q.shape[2])
    hidden = torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill_(~mask, float("-inf"))
    scores = scores + (hidden if mask.ndim == 2 else hidden[:, :, None])
    if sinks is None:
        weights = scores.softmax(dim=-1)
    else:
        column = sinks.to(scores.dtype).view(k.shape[1], -1, 1, 1).expand(*scores.shape[:-1], 1)
        weights = torch.cat([scores, column], dim=-1).softmax(dim=-1)[..., :-1]
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
