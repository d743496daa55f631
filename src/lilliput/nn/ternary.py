"""Ternary matrices: quantised by their mean, multiplied exactly by whole numbers, packed four codes to a byte."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.flop_counter import register_flop_formula

from lilliput.nn.kernels import Ternary as Road
from lilliput.nn.kernels import kernels

# Shapes: M tokens, I inputs, O outputs, R = O / 4 rounded up

LEAST = 1e-5
"""The smallest mean |W|, and the smallest largest |y|, that a scale is taken from."""
FEW = 32
"""Rows up to which a product is bound by reading the weights."""
WORTH_PACKING = 256
"""Rows of a training pass for which a panel, made anew after each update, pays."""

_whole = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32


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

    @cached_property
    def whole(self) -> Tensor:
        return self.codes.to(torch.int8)

    @cached_property
    def panel(self) -> Any:
        """The codes in the order in which fbgemm's kernel reads them."""
        return _panel(self.whole)

    def times(self, x: Tensor, *, least: int = 0) -> Tensor:
        """x (M, I) of whole numbers from -128 to 127 times the codes: (M, O), exact in fp32 up to 132,000 inputs.

        Below 2^24 fp32 holds every whole number, so that a sum of them is exact in any order. Fewer rows than `least`
        are not worth a panel.
        """
        road = self._road(x, least)
        if road == "fbgemm":
            return _whole(x, 1.0, 128, self.panel)  # type: ignore[no-any-return]
        if road == "int_mm":
            return torch._int_mm(x.to(torch.int8), self.whole.t()).to(x.dtype)
        codes = self.codes if self.codes.is_floating_point() else self.codes.to(x.dtype)
        return x.to(codes.dtype) @ codes.t()

    def _road(self, x: Tensor, least: int) -> Road:
        fits = x.device.type == "cpu" and x.dtype == torch.float32 and self.codes.dtype in (torch.float32, torch.int8)
        if not fits or torch.compiler.is_compiling() or len(x) == 0:
            return "float"
        if len(x) < least and "panel" not in vars(self):
            return "float"
        return kernels().ternary or fastest(few=len(x) <= FEW, packed=self.codes.dtype == torch.int8)


def ternary(weight: Tensor, dtype: torch.dtype) -> Ternary:
    """Quantise in fp32 or wider, halves to even, by the mean of |W|; codes in `dtype`."""
    wide = weight.detach().to(torch.promote_types(weight.dtype, torch.float32))
    scale = wide.abs().mean().clamp(min=LEAST)
    return Ternary((wide / scale).round_().clamp_(-1, 1).to(dtype), scale)


def pack(codes: Tensor) -> Tensor:
    """Codes (O, I) as uint8 (R, I), as transformers' bitnet packs them: row r holds rows r, r+R, r+2R and r+3R, each
    plus one, in bits 0-1, 2-3, 4-5 and 6-7.
    """
    missing = -len(codes) % 4
    shifted = torch.cat([codes.to(torch.int8), codes.new_zeros(missing, codes.shape[1], dtype=torch.int8)]) + 1
    parts = shifted.to(torch.uint8).view(4, -1, codes.shape[1])
    return parts[0] | parts[1] << 2 | parts[2] << 4 | parts[3] << 6


def unpack(packed: Tensor, rows: int) -> Tensor:
    """The first `rows` rows of codes (O, I) in int8 that `pack` made uint8 (R, I) of."""
    return torch.cat([(packed >> 2 * part & 3).to(torch.int8) - 1 for part in range(4)])[:rows]


def _panel(whole: Tensor) -> Any:
    engine = torch.backends.quantized.engine
    try:
        torch.backends.quantized.engine = "fbgemm"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # quantised tensors are to leave torch: then `fastest` sees it
            return torch.ops.quantized.linear_prepack(torch._make_per_tensor_quantized_tensor(whole, 1.0, 0), None)
    finally:
        torch.backends.quantized.engine = engine


@register_flop_formula(_whole, get_raw=True)
def _flops(x: Tensor, *_: Any, out_val: Tensor, **__: Any) -> int:
    return 2 * x.numel() * out_val.shape[-1]


@cache
def fastest(*, few: bool, packed: bool = False) -> Road:
    """The fastest road of this machine, measured once in some milliseconds; all give the same bits.

    `packed` codes lie there as bytes: floating point would have to make numbers of them each time.
    """
    # with few rows, what counts is reading weights that no cache holds
    weight, x = torch.ones(4096 if few else 1024, 1024), torch.ones(1 if few else 128, 1024)
    matrix = Ternary(weight, torch.ones(()))
    roads: dict[Road, Callable[[], Tensor]] = {
        "fbgemm": lambda: _whole(x, 1.0, 128, matrix.panel),
        "int_mm": lambda: torch._int_mm(x.to(torch.int8), matrix.whole.t()).float(),
        "float": lambda: x @ (matrix.whole.float() if packed else weight).t(),
    }
    with _disable_current_modes():  # a counter of operations is not to count these
        return min(roads, key=lambda road: _seconds(roads[road]))


def _seconds(run: Callable[[], Tensor]) -> float:
    """The shortest of some runs; endless where this build of torch or this processor cannot."""
    try:
        if not bool((run() == 1024).all()):
            return float("inf")
    except (RuntimeError, AttributeError, NotImplementedError):
        return float("inf")
    found = []
    for _ in range(9):
        begun = time.perf_counter()
        run()
        found.append(time.perf_counter() - begun)
    return min(found)
