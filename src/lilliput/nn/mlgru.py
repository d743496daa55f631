"""The matmul-free gated linear recurrent unit and the block around it, all of ternary layers (arXiv 2406.02528).

As the authors' published code has it: the gate's projection is normed and the state goes through SiLU; the paper writes
a sigmoid gate and no norm.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.nn.bitlinear import BitLinear
from lilliput.nn.norms import rms
from lilliput.nn.recurrence import Course, Mode, ShortConvolution
from lilliput.nn.widening import widened

# Shapes: B batch, T time, D dim, S state width, F ffn dim

FeedForwardRule = Literal["literal", "swiglu"]


@dataclass(frozen=True)
class Shape:
    """What all blocks of one stack have in common."""

    dim: int
    state_dim: int
    ffn_dim: int
    short_conv: bool = False
    mode: Mode = "chunk"
    bitlinear_eps: float = 1e-6
    norm_eps: float = 1e-6


def ffn_width(dim: int, hidden_ratio: int, rule: FeedForwardRule) -> int:
    """hidden_ratio x dim as it says, or two thirds of that, up to the next multiple of 256."""
    return hidden_ratio * dim if rule == "literal" else 256 * math.ceil(2 * hidden_ratio * dim / 3 / 256)


class MLGRU(nn.Module):
    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.layer, self.mode = layer, shape.mode
        self.convolution = ShortConvolution(shape.dim, layer) if shape.short_conv else None
        # each has a norm of its own
        self.input = BitLinear(shape.dim, shape.state_dim, shape.bitlinear_eps)
        self.forget = BitLinear(shape.dim, shape.state_dim, shape.bitlinear_eps)
        self.gate = BitLinear(shape.dim, shape.state_dim, shape.bitlinear_eps)
        self.gate_norm, self.norm_eps = nn.Parameter(torch.ones(shape.state_dim)), shape.norm_eps
        self.output = BitLinear(shape.state_dim, shape.dim, shape.bitlinear_eps)
        for part in (self.input, self.forget, self.gate, self.output):
            nn.init.xavier_uniform_(part.weight, gain=2**-2.5)

    def forward(self, x: Tensor, course: Course, floor: Tensor | None = None) -> Tensor:
        """x (B, T, D); `floor` (S,) is the least that the forget gate lets through."""
        if self.convolution is not None:
            x = self.convolution(x, course)
        forget = widened(self.forget(x)).sigmoid()  # (B, T, S)
        if floor is not None:
            forget = floor + (1 - floor) * forget
        if self.training:
            course.note(self.layer, forget)
        x_in = F.silu(widened(self.input(x))) * (1 - forget)
        h = course.scan(self.layer, forget, x_in, self.mode)  # (B, T, S)
        gate = rms(widened(self.gate(x)), self.norm_eps) * self.gate_norm
        return self.output((gate * F.silu(h)).to(x.dtype))  # type: ignore[no-any-return]


class BitFeedForward(nn.Module):
    """SwiGLU of ternary layers, its two branches in one matrix: the gate's rows first."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_up = BitLinear(shape.dim, 2 * shape.ffn_dim, shape.bitlinear_eps)
        self.down = BitLinear(shape.ffn_dim, shape.dim, shape.bitlinear_eps)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)  # (B, T, F) each
        return self.down(F.silu(gate) * up)  # type: ignore[no-any-return]


class MLGRUBlock(nn.Module):
    """x (B, T, D) plus what the unit makes of it, plus what the feed-forward makes of that."""

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.mixer_norm, self.mixer = nn.RMSNorm(shape.dim, shape.norm_eps), MLGRU(shape, layer)
        self.feed_forward_norm, self.feed_forward = nn.RMSNorm(shape.dim, shape.norm_eps), BitFeedForward(shape)

    def forward(self, x: Tensor, course: Course, floor: Tensor | None = None) -> Tensor:
        x = x + self.mixer(self.mixer_norm(x), course, floor)
        return x + self.feed_forward(self.feed_forward_norm(x))  # type: ignore[no-any-return]


def ternary_monitors(model: nn.Module) -> dict[str, Tensor]:
    """Mean shares of -1, 0 and 1 among the weights, and mean scale, over the ternary layers as they are now.

    A layer that is yet to be used in this pass, as the head, still keeps those of the last update, so all are asked
    anew. Nothing in a compiled pass, which keeps no ternary weights.
    """
    layers = [module for module in model.modules() if isinstance(module, BitLinear)]
    used = next((layer.kept for layer in layers if layer.kept is not None), None)
    if torch.compiler.is_compiling() or used is None:
        return {}
    found = [layer.quantised(used.codes.dtype) for layer in layers]
    minus, zero, plus = torch.stack([kept.shares for kept in found]).mean(dim=0).unbind()
    scale = torch.stack([kept.scale for kept in found]).mean()
    return {"ternary.minus": minus, "ternary.zero": zero, "ternary.plus": plus, "ternary.scale": scale}
