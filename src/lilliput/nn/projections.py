"""Several linear layers of one input, in training and in decoding as one product."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn


class Part:
    """What stands for a layer: a product of its rows; of several layers at once where there are `sizes`."""

    def __init__(
        self, layer: nn.Linear, joined: Callable[[Tensor], Tensor], sizes: list[int] | None = None, place: int = 0
    ) -> None:
        self.layer, self.joined, self.sizes, self.place = layer, joined, sizes, place

    def __call__(self, x: Tensor) -> Tensor:
        y = self.joined(x)
        return y if self.sizes is None else torch.split(y, self.sizes, dim=-1)[self.place]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)


def projected(x: Tensor, *layers: nn.Module | Part) -> tuple[Tensor, ...]:
    """What each layer makes of x (..., D).

    In training plain linear layers are one product whose columns are shared out: one pass over x and one gradient of
    it. The joined weights are a copy, too dear for the few rows of a decoding step.
    """
    first = layers[0]
    if isinstance(first, Part) and first.sizes:
        return torch.split(first.joined(x), first.sizes, dim=-1)
    if not (torch.is_grad_enabled() and all(type(layer) is nn.Linear for layer in layers)):
        return tuple(layer(x) for layer in layers)
    linears = cast(tuple[nn.Linear, ...], layers)
    biases = tuple(linear.bias for linear in linears if linear.bias is not None)
    if len(biases) not in (0, len(linears)):
        return tuple(layer(x) for layer in layers)
    weights = tuple(linear.weight for linear in linears)
    joined = nn.functional.linear(x, torch.cat(weights), torch.cat(biases) if biases else None)
    return torch.split(joined, [linear.out_features for linear in linears], dim=-1)


def attention_heads(
    x: Tensor,
    query: nn.Module,
    key: nn.Module,
    value: nn.Module,
    head_dim: int,
    turn: Callable[[Tensor], Tensor] = lambda part: part,
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (B, H, T, E), keys and values (B, K, T, E) of x (B, T, D), the first two turned."""
    first: object = query
    if isinstance(first, Part) and first.sizes:  # side by side: turned at once
        asked, held, _ = (size // head_dim for size in first.sizes)
        both, v = torch.split(_heads(first.joined(x), head_dim), [asked + held, held], dim=1)
        q, k = torch.split(turn(both), [asked, held], dim=1)
        return q, k, v
    q, k, v = (_heads(part, head_dim) for part in projected(x, query, key, value))
    return turn(q), turn(k), v


def _heads(x: Tensor, head_dim: int) -> Tensor:
    """(B, T, H x E) as (B, H, T, E)."""
    return x.view(*x.shape[:-1], -1, head_dim).transpose(1, 2)
