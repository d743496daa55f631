"""BitLinear: a linear layer of ternary weights and 8-bit activations behind its own norm (arXiv 2402.17764)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

# Shapes: M tokens, I inputs, O outputs

LEAST = 1e-5
"""The smallest mean |W|, and the smallest largest |y|, that a scale is taken from."""
_updates = 0


def _count_update(*_: Any) -> None:
    global _updates
    _updates += 1


# fused updates write weights without a trace in torch's own counter
register_optimizer_step_post_hook(_count_update)


@dataclass(frozen=True)
class Ternary:
    """A weight matrix as `scale` times codes -1, 0, 1."""

    codes: Tensor  # (O, I), in the format of the products
    scale: Tensor  # ()

    @cached_property
    def shares(self) -> Tensor:
        """(3,): which shares of the codes are -1, 0 and 1."""
        total, zero = self.codes.float().mean(), (self.codes == 0).float().mean()
        return torch.stack([(1 - zero - total) / 2, zero, (1 - zero + total) / 2])


def ternary(weight: Tensor, dtype: torch.dtype) -> Ternary:
    """Quantise in fp32 or wider, halves to even, by the mean of |W|; codes in `dtype`."""
    wide = weight.detach().to(torch.promote_types(weight.dtype, torch.float32))
    scale = wide.abs().mean().clamp(min=LEAST)
    return Ternary((wide / scale).round_().clamp_(-1, 1).to(dtype), scale)


class BitLinear(nn.Module):
    """x (..., I) to (..., O); the gradient passes both quantisers as if they were not there.

    The weight's gradient meets quantised activations, the activations' gradient quantised weights.
    """

    def __init__(self, in_features: int, out_features: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.norm = nn.Parameter(torch.ones(in_features))
        nn.init.normal_(self.weight, std=0.02)
        self._kept: tuple[Any, Ternary] | None = None

    def forward(self, x: Tensor) -> Tensor:
        dtype = _format(x)
        kept = self.quantised(dtype)
        y: Tensor = _product(x.flatten(0, -2), self.norm, self.weight, kept.codes, kept.scale, self.eps)
        return y.view(*x.shape[:-1], -1)

    def quantised(self, dtype: torch.dtype) -> Ternary:
        """The ternary weights, quantised once per update.

        They are kept until an optimizer steps, torch counts a write, or the storage is another. A write through
        `weight.data` in place is none of these: call `forget` after it.
        """
        weight = self.weight
        if torch.compiler.is_compiling() or weight.device.type == "meta":
            return ternary(weight, dtype)
        key = (_updates, weight._version, weight.data_ptr(), weight.dtype, weight.device, dtype)
        if self._kept is None or self._kept[0][0] is not weight or self._kept[0][2:] != key:
            # the storage is held, so that no other can come to lie at its address
            self._kept = (weight, weight.detach(), *key), ternary(weight, dtype)
        return self._kept[1]

    @property
    def kept(self) -> Ternary | None:
        """The ternary weights of the last use."""
        return None if self._kept is None else self._kept[1]

    def forget(self) -> None:
        """Quantise anew at the next use."""
        self._kept = None

    def _apply(self, *args: Any, **options: Any) -> Self:
        self.forget()
        return super()._apply(*args, **options)  # type: ignore[no-any-return, no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_kept": None}  # type: ignore[no-untyped-call]

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, eps={self.eps:g}"


def _format(x: Tensor) -> torch.dtype:
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


@torch.compiler.allow_in_graph  # type: ignore[untyped-decorator]  # its own tracing warns of a deprecated call
def _product(x: Tensor, norm: Tensor, weight: Tensor, codes: Tensor, scale: Tensor, eps: float) -> Tensor:
    return _Product.apply(x, norm, weight, codes, scale, eps)  # type: ignore[no-any-return, no-untyped-call]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, norm: Tensor, weight: Tensor, ternary_codes: Tensor, scale: Tensor, eps: float
    ) -> Tensor:
        """Products of whole numbers: below 2^24 a sum of them is exact in fp32, whatever its order."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        shrink = wide.square().mean(dim=1, keepdim=True).add_(eps).rsqrt_()  # (M, 1)
        y = wide * shrink * norm
        quanta = 127 / y.abs().amax(dim=1, keepdim=True).clamp_(min=LEAST)  # (M, 1)
        codes = y.mul_(quanta).round_().clamp_(-128, 127)  # (M, I)
        step = 1 / quanta
        ctx.save_for_backward(x, norm, shrink, step, codes.to(torch.int8), ternary_codes, scale)
        return _scaled(codes, ternary_codes, step * scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, norm, shrink, step, codes, ternary_codes, scale = ctx.saved_tensors
        gradient, dtype = gradients[0], ternary_codes.dtype
        of_x = of_norm = of_weight = None
        if ctx.needs_input_grad[2]:
            of_weight = (gradient * step.to(dtype)).t() @ codes.to(dtype)
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            of_y = (gradient @ ternary_codes).to(shrink.dtype) * scale  # (M, I)
            unit = x.to(shrink.dtype) * shrink
            of_norm = (of_y * unit).sum(dim=0).to(norm.dtype)
            of_y = of_y * norm
            of_x = (of_y - unit * (of_y * unit).mean(dim=1, keepdim=True)).mul_(shrink).to(x.dtype)
        return of_x, of_norm, of_weight, None, None, None


def _scaled(codes: Tensor, ternary_codes: Tensor, scale: Tensor) -> Tensor:
    dtype = ternary_codes.dtype
    if dtype == torch.float16:  # sums of codes pass its largest number
        codes, scale = codes / 128, scale * 128
    return ((codes.to(dtype) @ ternary_codes.t()) * scale).to(dtype)
