"""Several linear layers of one input, in training as one product."""

from typing import cast

import torch
from torch import Tensor, nn


def projected(x: Tensor, *layers: nn.Module) -> tuple[Tensor, ...]:
    """What each layer makes of x (..., D).

    In training plain linear layers are one product whose columns are shared out: one pass over x and one gradient of
    it. The joined weights are a copy, too dear for the few rows of a decoding step.
    """
    if not (torch.is_grad_enabled() and all(type(layer) is nn.Linear for layer in layers)):
        return tuple(layer(x) for layer in layers)
    linears = cast(tuple[nn.Linear, ...], layers)
    biases = tuple(linear.bias for linear in linears if linear.bias is not None)
    if len(biases) not in (0, len(linears)):
        return tuple(layer(x) for layer in layers)
    weights = tuple(linear.weight for linear in linears)
    joined = nn.functional.linear(x, torch.cat(weights), torch.cat(biases) if biases else None)
    return torch.split(joined, [linear.out_features for linear in linears], dim=-1)


def heads(x: Tensor, head_dim: int) -> Tensor:
    """(B, T, H x E) as (B, H, T, E)."""
    return x.view(*x.shape[:-1], -1, head_dim).transpose(1, 2)
