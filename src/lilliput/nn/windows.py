"""Windows in time linear in the length: queries cut into blocks, each over its own keys and a window ahead of them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lilliput.nn.kernels import kernels

# Shapes: B batch, T time, S slots seen, H heads, E head dim

WORTH_BLOCKS = 0.45
"""Share of all pairs of query and key below which blocks were faster than one mask (fp32 on 2 CPU cores)."""


@dataclass(frozen=True)
class Blocks:
    """How the last queries of a windowed layer are cut: `count` blocks of `size`, each over `window` + `size` keys."""

    count: int
    size: int
    window: int

    @property
    def late(self) -> int:
        """Queries in blocks; those before them are too near the beginning."""
        return self.count * self.size


def blocks_of(time: int, slots: int, window: int | None) -> Blocks | None:
    """The blocks of T queries over the S newest keys; None where one mask over all is as fast."""
    chosen = kernels().window_block
    if window is None or chosen == 0:
        return None
    size = chosen or max(64, window // 2)
    blocks = Blocks(min(time, slots - window) // size, size, window)
    if blocks.count < 1 or (chosen is None and _pairs(time, slots, blocks) > WORTH_BLOCKS * time * slots):
        return None
    return blocks


def keys_per_query(context: int, window: int | None) -> float:
    """Keys that a query is multiplied with in a forward pass over `context` tokens, on average."""
    blocks = blocks_of(context, context, window)
    return context if blocks is None else _pairs(context, context, blocks) / context


def _pairs(time: int, slots: int, blocks: Blocks) -> int:
    return (time - blocks.late) * (slots - blocks.late) + blocks.late * (blocks.window + blocks.size)


def cut(x: Tensor, blocks: Blocks, before: int) -> tuple[Tensor, Tensor]:
    """What comes before the blocks of x (B, H, S, E), and the blocks, (B x count, H, before + size, E).

    Each begins `before` slots ahead of its own.
    """
    if torch.compiler.is_compiling():
        return _cut(x, blocks, before)
    early, late = _Cut.apply(x, blocks, before)  # type: ignore[no-untyped-call]
    return early, late


def _cut(x: Tensor, blocks: Blocks, before: int) -> tuple[Tensor, Tensor]:
    late = x[:, :, -blocks.late - before :].unfold(2, before + blocks.size, blocks.size)  # (B, H, count, E, ...)
    return x[:, :, : -blocks.late], late.mT.transpose(1, 2).flatten(0, 1)


class _Cut(torch.autograd.Function):
    """Slices and overlapping windows would each add a gradient of the whole sequence, most of it zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, blocks: Blocks, before: int) -> tuple[Tensor, Tensor]:
        ctx.blocks, ctx.before = blocks, before
        return _cut(x, blocks, before)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (early, late), size, before = gradients, ctx.blocks.size, ctx.before
        late = late.view(len(early), ctx.blocks.count, *late.shape[1:]).transpose(1, 2)  # (B, H, count, ..., E)
        whole = torch.cat([early, late[..., before:, :].flatten(2, 3)], dim=2)
        begin = whole.shape[2] - ctx.blocks.late - before
        for start in range(0, before, size):  # what each block gives to one block of slots ahead of it
            part = late[..., start : min(start + size, before), :]
            into = whole[:, :, begin + start : begin + start + ctx.blocks.late].view_as(late[..., :size, :])
            into[..., : part.shape[-2], :] += part
        return whole, None, None
