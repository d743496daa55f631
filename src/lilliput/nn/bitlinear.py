"""BitLinear: a linear layer of ternary weights and 8-bit activations behind its own norm (arXiv 2402.17764)."""

from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from lilliput.nn.ternary import LEAST, WORTH_PACKING, Ternary, pack, ternary, unpack
from lilliput.nn.widening import widened

# Shapes: M tokens, I inputs, O outputs, R = O / 4 rounded up

_updates = 0


def _count_update(*_: Any) -> None:
    global _updates
    _updates += 1


# fused updates write weights without a trace in torch's own counter
register_optimizer_step_post_hook(_count_update)


class BitLinear(nn.Module):
    """x (..., I) to (..., O); the gradient passes both quantisers as if they were not there.

    The weight's gradient meets quantised activations, the activations' gradient quantised weights.
    """

    def __init__(self, in_features: int, out_features: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps, self.out_features = eps, out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.norm = nn.Parameter(torch.ones(in_features))
        nn.init.normal_(self.weight, std=0.02)
        self._kept: tuple[Any, Ternary] | None = None

    def forward(self, x: Tensor) -> Tensor:
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        flat, kept = x.flatten(0, -2), self.quantised(dtype)
        if torch.compiler.is_compiling():
            y: Tensor = _traced(flat, self.norm, self.weight, kept.codes, kept.scale, self.eps)
        elif not torch.is_grad_enabled():
            codes, _, quanta = _codes(flat, self.norm, self.eps)
            y = _scaled(codes, kept, quanta, dtype)
        else:
            y = _Product.apply(flat, self.norm, self.weight, kept, self.eps)  # type: ignore[no-untyped-call]
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
            with torch.inference_mode(False), torch.no_grad():  # what generation keeps, training may use
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


class PackedBitLinear(nn.Module):
    """A BitLinear for inference alone: two bits per weight in a file, the same outputs bit for bit."""

    weight: Tensor  # uint8 (R, I)
    scale: Tensor  # ()
    norm: Tensor  # (I,)

    def __init__(self, in_features: int, out_features: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps, self.out_features = eps, out_features
        self.register_buffer("weight", torch.zeros(-(-out_features // 4), in_features, dtype=torch.uint8))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("norm", torch.ones(in_features))
        self._kept: tuple[Any, Ternary] | None = None

    @classmethod
    def of(cls, layer: BitLinear) -> "PackedBitLinear":
        """The layer's ternary weights, packed."""
        found = ternary(layer.weight, torch.int8)
        made = cls(layer.weight.shape[1], layer.weight.shape[0], layer.eps)
        made.weight, made.scale = pack(found.codes), found.scale.float()
        made.norm = layer.norm.detach().float()
        return made

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        key = (self.weight, self.weight._version)
        if self._kept is None or self._kept[0][0] is not key[0] or self._kept[0][1] != key[1]:
            self._kept = key, Ternary(unpack(self.weight, self.out_features), self.scale)
        codes, _, quanta = _codes(x.flatten(0, -2), self.norm, self.eps)
        return _scaled(codes, self._kept[1], quanta, x.dtype).view(*x.shape[:-1], -1)


@torch.compiler.allow_in_graph  # type: ignore[untyped-decorator]  # its own tracing warns of a deprecated call
def _traced(x: Tensor, norm: Tensor, weight: Tensor, codes: Tensor, scale: Tensor, eps: float) -> Tensor:
    return _Product.apply(x, norm, weight, Ternary(codes, scale), eps)  # type: ignore[no-any-return, no-untyped-call]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: Tensor, weight: Tensor, quantised: Ternary, eps: float) -> Tensor:
        codes, shrink, quanta = _codes(x, norm, eps)
        ctx.save_for_backward(x, norm, shrink, quanta, codes.to(torch.int8), quantised.codes, quantised.scale)
        return _scaled(codes, quantised, quanta, quantised.codes.dtype, least=WORTH_PACKING)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, norm, shrink, quanta, codes, ternary_codes, scale = ctx.saved_tensors
        gradient, of_x, of_norm, of_weight = gradients[0], None, None, None
        if ctx.needs_input_grad[2]:
            of_weight = gradient.t() @ (codes / quanta).to(gradient.dtype)
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            of_y = (gradient @ ternary_codes).to(shrink.dtype)  # (M, I), still without the weights' scale
            unit, weights = x * shrink, norm * scale
            along = of_y * unit
            of_norm = (along.sum(dim=0) * scale).to(norm.dtype)
            part = (along @ weights.to(along.dtype)).div_(x.shape[1])[:, None]  # what would only change the length
            of_x = of_y.mul_(weights).addcmul_(unit, part, value=-1).mul_(shrink).to(x.dtype)
        return of_x, of_norm, of_weight, None, None


def _codes(x: Tensor, norm: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Of x (M, I), in fp32 or wider: whole numbers from -127 to 127, the norm's factor and quanta per unit (M, 1)."""
    wide = widened(x)
    shrink = (torch.linalg.vecdot(wide, wide) / wide.shape[1]).add_(eps).rsqrt_()[:, None]
    y = (wide * shrink).mul_(norm)
    quanta = 127 / y.abs().amax(dim=1, keepdim=True).clamp_(min=LEAST)
    return y.mul_(quanta).round_(), shrink, quanta


def _scaled(codes: Tensor, quantised: Ternary, quanta: Tensor, dtype: torch.dtype, *, least: int = 0) -> Tensor:
    scale = quantised.scale / quanta
    if dtype == torch.float16:  # sums of codes pass its largest number
        codes, scale = codes / 128, scale * 128
    return quantised.times(codes, least=least).mul_(scale).to(dtype)
