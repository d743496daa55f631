"""Which formulation of a block runs: one frozen value, set before a model is built."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Attention = Literal["fused", "written", "widened"]
Experts = Literal["grouped", "sliced"]
Ternary = Literal["float", "fbgemm", "int_mm"]


@dataclass(frozen=True)
class Kernels:
    attention: Attention | None = None
    """`fused`: torch's own; `written`: two products and a softmax; `widened`: fused, in float32.

    None chooses by device, dtype and length.
    """
    window_block: int | None = None
    """Queries per block of layers with a window, 0 for one mask over all; None chooses by length and window."""
    experts: Experts | None = None
    """`grouped`: torch's product over groups of rows; `sliced`: one product per expert, of any width and precision.

    None is grouped; what cannot be grouped is sliced.
    """
    ternary: Ternary | None = None
    """Products of ternary weights on a CPU: in fp32 or in an 8-bit kernel, the same bits by each; None: the fastest."""
    decoding: Literal["packed", "plain"] | None = None
    """Linear layers of few rows without gradients, on a CPU: `packed` copies of the weights; None is packed."""
    orthogonal: Literal["bf16", "fp32"] | None = None
    """Format of Muon's iterations; None is bf16 where the device multiplies in it, and fp32 elsewhere."""
    logits_at_once: int = 2**26
    """Logits (tokens x V) that a loss may hold; beyond it chunks are recomputed in the backward pass."""

    def attention_of(self, query: Tensor) -> Attention:
        """The formulation for queries (B, H, T, E).

        On CPU torch's fused backward pass in bfloat16 takes three times as long as in float32, and four times as long
        as the written form when sequences are short.
        """
        if self.attention is not None:
            return self.attention
        if query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad:
            return "written" if query.shape[-2] <= 128 else "widened"
        return "fused"

    def orthogonal_of(self, device: torch.device) -> torch.dtype:
        chosen = self.orthogonal or ("bf16" if has_bfloat16(device) else "fp32")
        return torch.bfloat16 if chosen == "bf16" else torch.float32


def is_eager_cpu(x: Tensor) -> bool:
    """Where each operation is a pass over memory of its own: a compiler joins them itself, and a GPU has fused ones."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def applied(function: Any, *arguments: Any) -> Tensor:
    """The result of an autograd function, whose bookkeeping costs more than few rows where no gradient is wanted."""
    result: Tensor = function.apply(*arguments) if torch.is_grad_enabled() else function.forward(_Nobody, *arguments)
    return result


class _Nobody:
    """A context that saves nothing."""

    @staticmethod
    def save_for_backward(*_: Tensor) -> None: ...


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device itself multiplies in bfloat16: emulated, it is many times slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


_kernels = Kernels()


def kernels() -> Kernels:
    return _kernels


def use(chosen: Kernels) -> None:
    """Choose for this process, before a model is built."""
    global _kernels
    _kernels = chosen
