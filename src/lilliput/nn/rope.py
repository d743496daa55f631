"""Rotary positions (RoFormer, arXiv 2104.09864), half layout: dimension j turns with j + E/2."""

import torch
from torch import Tensor

# Shapes: B batch, T time, H heads, E head dim

Rotation = tuple[Tensor, Tensor]


def rotation(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> Rotation:
    """Cosines and signed sines, (T, E) or (B, 1, T, E) as positions are (T,) or (B, T).

    Angles are taken in float32, in float64 for a float64 model, and cast at the end.
    """
    precise = torch.promote_types(dtype, torch.float32)
    exponents = torch.arange(0, head_dim, 2, dtype=precise, device=positions.device) / head_dim
    angles = positions.to(precise)[..., None] * theta**-exponents  # (..., T, E/2)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    table = torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)
    return table if positions.ndim == 1 else (table[0][:, None], table[1][:, None])


def rotate(x: Tensor, turn: Rotation) -> Tensor:
    """Turn each pair of x (B, H, T, E) by its position's angle."""
    cos, sin = (part.to(x.dtype) for part in turn)
    # a roll by half swaps the pairs: half the time of cutting and joining on a CPU
    return x * cos + x.roll(x.shape[-1] // 2, dims=-1) * sin
