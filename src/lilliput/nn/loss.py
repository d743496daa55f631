"""From features and head to nats: the one cross-entropy of training, evaluation and inspection."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lilliput.nn.cross_entropy import cross_entropy, joined
from lilliput.nn.kernels import kernels
from lilliput.nn.widening import widened

# Shapes: B batch, T time, D dim, V vocab, N tokens of a chunk

Head = Callable[[Tensor], Tensor]


class Scores(NamedTuple):
    nats: Tensor  # (B, T) float32
    top1: Tensor  # (B, T) bool, the target is the likeliest token
    top5: Tensor  # (B, T) bool, the target is among the five likeliest


def token_nats(head: nn.Module, features: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """-ln P of each target (B, T) given features (B, T, D), in float32 (float64 for a float64 model); 0 where masked.

    Where tokens x V is large, logits live for one chunk at a time and are computed again in the backward pass.
    """
    labels = targets.masked_fill(~mask, 0).flatten()  # (B x T)
    flat = features.flatten(0, 1)  # (B x T, D)
    size = _chunk(head, len(labels))
    if size >= len(labels):
        nats = _nats(head, flat, labels)
    else:
        chunks = zip(_split(flat, size), _split(labels, size), strict=True)
        nats = torch.cat([checkpoint(_nats, head, x, y, use_reentrant=False) for x, y in chunks])
    return torch.where(mask, nats.view_as(targets), 0.0)


def summed_nats(head: nn.Module, features: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """The sum of `token_nats`, a scalar; behind a plain linear head its gradient is made along with it."""
    if not _is_plain(head) or torch.is_autocast_enabled(features.device.type):
        return token_nats(head, features, targets, mask).sum()
    labels, weight = targets.masked_fill(~mask, 0).flatten(), cast(Tensor, head.weight)
    size = max(1, kernels().logits_at_once // 4 // len(weight))
    return joined(features.flatten(0, 1), weight, labels, mask.flatten(), size)


def _is_plain(head: nn.Module) -> bool:
    return type(head) is nn.Linear and head.bias is None


@torch.no_grad()
def token_scores(head: nn.Module, features: Tensor, targets: Tensor, mask: Tensor) -> Scores:
    """Nats and hits of each target (B, T), in chunks; 0 and false where masked.

    Of equally likely tokens the one with the smaller id comes first.
    """
    flat, labels = features.flatten(0, 1), targets.masked_fill(~mask, 0).flatten()
    size = _chunk(head, len(labels))
    chunks = list(_scores(head, flat, labels, size))
    nats, rank = (torch.cat(parts).view_as(targets) for parts in zip(*chunks, strict=True))
    return Scores(torch.where(mask, nats, 0.0), mask & (rank < 1), mask & (rank < 5))


def _scores(head: nn.Module, flat: Tensor, labels: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for x, y in zip(_split(flat, size), _split(labels, size), strict=True):
        logits = widened(head(x))  # (N, V)
        own, earlier = logits.gather(1, y[:, None]), torch.arange(logits.shape[1], device=y.device) < y[:, None]
        before = (logits > own) | ((logits == own) & earlier)
        yield cross_entropy(logits, y), before.sum(dim=1)


def _nats(head: Head, features: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(head(features), labels)


def _split(x: Tensor, size: int) -> list[Tensor]:
    return [x[start : start + size] for start in range(0, len(x), size)]


def _chunk(head: nn.Module, tokens: int) -> int:
    """Tokens per chunk: all of them while their logits are few."""
    vocab_size = cast(int, head.out_features)
    most = kernels().logits_at_once
    return tokens if tokens * vocab_size <= most else max(1, most // 4 // vocab_size)
