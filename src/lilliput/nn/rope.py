"""Rotary positions (RoFormer, arXiv 2104.09864), half layout: dimension j turns with j + E/2; YaRN for longer texts."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lilliput.nn.kernels import applied, is_eager_cpu

# Shapes: B batch, T time, H heads, E head dim

Rotation = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Yarn:
    """Texts `factor` times as long as the `original_length` learned first (YaRN, arXiv 2309.00071).

    Pairs that turn more than `beta_fast` times over the original length keep their frequency, those that turn less than
    `beta_slow` times are slowed by the factor, those between in part.
    """

    factor: float
    original_length: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0

    @property
    def attention_factor(self) -> float:
        """What cosines and sines grow by, so that logits grow by its square."""
        return 0.1 * math.log(self.factor) + 1

    def slowed(self, frequencies: Tensor, theta: float) -> Tensor:
        """The frequencies (E/2,), each divided by 1 to `factor`."""
        dims = 2 * len(frequencies)

        def pair(turns: float) -> float:
            return dims / 2 * math.log(self.original_length / (2 * math.pi * turns)) / math.log(theta)

        # an original length under 201 would put the first pair before the beginning
        low, high = max(pair(self.beta_fast), 0), min(pair(self.beta_slow), dims - 1)
        index = torch.arange(len(frequencies), dtype=frequencies.dtype, device=frequencies.device)
        slow = ((index - low) / (high - low if high != low else 0.001)).clamp(0, 1)
        return frequencies * ((1 - slow) + slow / self.factor)


def rotation(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype, yarn: Yarn | None = None) -> Rotation:
    """Cosines and signed sines, (T, E) or (B, 1, T, E) as positions are (T,) or (B, T).

    Angles are taken in float32, in float64 for a float64 model, and cast at the end.
    """
    precise = torch.promote_types(dtype, torch.float32)
    exponents = torch.arange(0, head_dim, 2, dtype=precise, device=positions.device) / head_dim
    frequencies, size = theta**-exponents, 1.0
    if yarn is not None:
        frequencies, size = yarn.slowed(frequencies, theta), yarn.attention_factor
    angles = positions.to(precise)[..., None] * frequencies  # (..., T, E/2)
    cos, sin = (angles.cos() * size).to(dtype), (angles.sin() * size).to(dtype)
    table = torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)
    return table if positions.ndim == 1 else (table[0][:, None], table[1][:, None])


def rotate(x: Tensor, turn: Rotation) -> Tensor:
    """Turn each pair of x (B, H, T, E) by its position's angle."""
    cos, sin = turn if turn[0].dtype is x.dtype else (part.to(x.dtype) for part in turn)
    if is_eager_cpu(x):
        return applied(_Rotate, x, cos, sin)
    return x * cos + _swapped(x) * sin


def _swapped(x: Tensor) -> Tensor:
    """Each pair the other way round; a roll takes half the time of cutting and joining on a CPU."""
    return x.roll(x.shape[-1] // 2, dims=-1)


class _Rotate(torch.autograd.Function):
    """Three passes over memory forward and three back, instead of four and four; a turn back is the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _swapped(x).mul_(sin).addcmul_(x, cos)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), (cos, sin) = gradients, ctx.saved_tensors
        return _swapped(gradient * sin).addcmul_(gradient, cos), None, None
