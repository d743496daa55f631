"""Cross-entropy of logits, on a CPU in rows that stay in its cache and without a float32 copy of all logits."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Shapes: N tokens, V vocab

AT_ONCE = 2**20
"""Logits per piece: 4 MB in float32."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-ln P (N,) of labels (N,) under logits (N, V), in float32 or wider whatever the logits' precision.

    torch's `linear_cross_entropy` returns bfloat16 for bfloat16, wrong by up to 0.06 nats at 50,257 tokens.
    """
    if logits.device.type == "cpu" and not torch.compiler.is_compiling():
        return _InPieces.apply(logits, labels)  # type: ignore[no-any-return, no-untyped-call]
    return F.cross_entropy(widened(logits), labels, reduction="none")


def widened(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


class _InPieces(torch.autograd.Function):
    """Forward and backward of head and loss together: 0.6 of torch's time in bfloat16, 0.9 in float32 (V = 50,257)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        total = torch.cat([widened(logits[rows]).logsumexp(dim=1) for rows in _pieces(logits)])  # (N,)
        ctx.save_for_backward(logits, labels, total)
        return total - logits.gather(1, labels[:, None])[:, 0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), (logits, labels, total) = gradients, ctx.saved_tensors
        result = torch.empty_like(logits)
        for rows in _pieces(logits):
            share = torch.sub(widened(logits[rows]), total[rows, None]).exp_().mul_(gradient[rows, None])
            result[rows] = share.scatter_add_(1, labels[rows, None], -gradient[rows, None])
        return result, None


def _pieces(logits: Tensor) -> Iterator[slice]:
    size = max(1, AT_ONCE // logits.shape[1])
    return (slice(start, start + size) for start in range(0, len(logits), size))
