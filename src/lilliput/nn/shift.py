"""Token shift: a learned share of the token before, by channel (RWKV, arXiv 2305.13048)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.nn.attention import Sight
from lilliput.nn.kernels import applied, is_eager_cpu

# Shapes: B batch, T time, D dim


class TokenShift(nn.Module):
    """Adds `weight` (D,), zero at the start, times the token before to x (B, T, D); no document sees another's.

    `place` tells the shifts of one model apart, whose newest tokens a state remembers.
    """

    def __init__(self, dim: int, place: int) -> None:
        super().__init__()
        self.place = place
        self.weight = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, sight: Sight) -> Tensor:
        first, begins, weight = sight.newest(self.place, x), sight.begins(), self.weight.to(x.dtype)
        if first is None and begins is None and is_eager_cpu(x):
            return applied(_Shift, x, weight)
        before = F.pad(x, (0, 0, 1, -1)) if first is None else torch.cat([first, x[:, :-1]], dim=1)
        if begins is not None:
            before = before.masked_fill(begins, 0)
        return torch.addcmul(x, before, weight)


class _Shift(torch.autograd.Function):
    """One pass over memory and a copy, forward and back, where the token before is a row before."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        y = x.clone(memory_format=torch.contiguous_format)
        y[:, 1:].addcmul_(x[:, :-1], weight)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        late, back = gradient[:, 1:], gradient.clone(memory_format=torch.contiguous_format)
        back[:, :-1].addcmul_(late, weight)
        return back, (late * x[:, :-1]).sum((0, 1))
