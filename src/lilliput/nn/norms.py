"""The root-mean-square norm (arXiv 1910.07467) without parameters, and with a scale in full precision."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.nn.kernels import applied, is_eager_cpu


def rms(x: Tensor, eps: float = 1e-6) -> Tensor:
    """Divide x (..., D) by its root mean square."""
    if is_eager_cpu(x):
        return applied(_Rms, x, eps)
    return F.rms_norm(x, x.shape[-1:], eps=eps)


def rms_of_few(x: Tensor, eps: float) -> Tensor:
    """`rms` of few rows on a CPU without gradients, in float32: calls are what it costs, and here are the fewest."""
    rows = x.reshape(-1, 1, x.shape[-1])
    scale = torch.baddbmm(_constant(eps), rows, rows.mT, alpha=1 / x.shape[-1]).rsqrt_()
    return (rows * scale).view(x.shape)


@cache
def _constant(value: float) -> Tensor:
    return torch.tensor(value)


class WideRMSNorm(nn.Module):
    """A norm with a scale that rounds to the precision of x once, at the end; `nn.RMSNorm` may before its scale too."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x: Tensor) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        return (rms(x.to(wide), self.eps) * self.weight.to(wide)).to(x.dtype)


class _Rms(torch.autograd.Function):
    """torch's own is a chain of separate operations on a CPU: this takes half its time, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        scale = _mean_product(x, x).add_(eps).rsqrt_()
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), (y, scale) = gradients, ctx.saved_tensors
        along = _mean_product(gradient, y)  # the part that would only change the length
        return torch.addcmul(gradient, y, along, value=-1).mul_(scale), None


def _mean_product(a: Tensor, b: Tensor) -> Tensor:
    products: Tensor = torch.linalg.vecdot(a, b)
    return products.div_(a.shape[-1]).unsqueeze(-1)  # (..., 1)
