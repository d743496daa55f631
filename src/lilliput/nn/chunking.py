"""Chunking as H-Net learns it (arXiv 2507.07955): where items are cut, their chunks, what spreads over them again."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.nn.recurrence import scan

# Shapes: B batch, T items of a level, D dim, M chunks of the whole batch, back to back

LEAST = 1e-4
"""The average over chunks takes probabilities from `LEAST` to 1 - `LEAST`."""


@dataclass(frozen=True)
class Cuts:
    """Where the items (B, T) of a level are cut."""

    probability: Tensor
    """(B, T), that a chunk begins here; 1 at the first item of a document. At least fp32."""
    boundary: Tensor
    """(B, T) bool, that one does."""
    begins: Tensor
    """(B, T) bool, the first item of each document."""
    valid: Tensor | None = None
    """(B, T) bool, false at padding; None = no padding."""

    @property
    def confidence(self) -> Tensor:
        """(B, T), how likely the choice made was."""
        return torch.where(self.boundary, self.probability, 1 - self.probability)

    def rate(self) -> Tensor:
        """Chunks per item."""
        return self._mean(self.boundary.to(self.probability.dtype))

    def ratio_loss(self, chunk_size: float) -> Tensor:
        """1 where the rate is 1 / chunk_size, more where chunks are longer or shorter; paper's equation 10.

        Only the probabilities have a gradient, each the same: N (N F - 1) / ((N - 1) T) at rate F over T items.
        """
        chosen, likely, n = self.rate().detach(), self._mean(self.probability), chunk_size
        return n / (n - 1) * ((n - 1) * chosen * likely + (1 - chosen) * (1 - likely))

    def _mean(self, values: Tensor) -> Tensor:
        """Over items that are no padding; 0 where there are none."""
        if self.valid is None:
            return values.mean()
        return torch.where(self.valid, values, 0).sum() / self.valid.sum().clamp(min=1)


def beginnings(documents: Tensor, last: Tensor | None = None) -> Tensor:
    """(B, T) bool, the first item of each document (B, T); `last` (B,) is the document just before, -1 = none."""
    before = documents.new_full((len(documents), 1), -1) if last is None else last[:, None]
    return (documents != torch.cat([before, documents[:, :-1]], dim=1)) & (documents >= 0)


class Router(nn.Module):
    """Cuts where an item is unlike the one before: by the cosine of two projections, which start as identities.

    Always computed in fp32 or wider: a boundary is a hard threshold.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        with torch.no_grad():
            for projection in (self.query, self.key):
                projection.weight.copy_(torch.eye(dim))

    def forward(
        self, items: Tensor, begins: Tensor, valid: Tensor | None = None, before: Tensor | None = None
    ) -> tuple[Cuts, Tensor]:
        """Cuts of items (B, T, D), and their queries (B, T, D), of which a later call takes the last as `before`."""
        wide = torch.promote_types(items.dtype, torch.float32)
        with torch.autocast(items.device.type, enabled=False):
            x = items.to(wide)
            query, key = (
                F.normalize(F.linear(x, projection.weight.to(wide)), dim=-1, eps=1e-12)
                for projection in (self.query, self.key)
            )
            first = torch.zeros_like(query[:, :1]) if before is None else before[:, None].to(wide)
            earlier = torch.cat([first, query[:, :-1]], dim=1)
            probability = ((1 - (earlier * key).sum(dim=-1)) / 2).clamp(0, 1)
        probability = torch.where(begins, 1, probability)
        boundary = self.choose(probability)
        return Cuts(probability, boundary if valid is None else boundary & valid, begins, valid), query

    def choose(self, probability: Tensor) -> Tensor:
        """A tie, as after a row of zeros, is no boundary."""
        return probability > 0.5


class Chunks:
    """The chunks of a batch back to back, so that documents of any number of chunks need no padding.

    One wait for the device, to learn M. A batch of padding alone gets one chunk, padding itself.
    """

    def __init__(self, cuts: Cuts) -> None:
        boundary = cuts.boundary.flatten()
        places = boundary.nonzero().squeeze(1)
        documents = cuts.begins.flatten().cumsum(0) - 1
        if len(places) == 0:
            places, documents = places.new_zeros(1), torch.full_like(documents, -1)
        self.shape = cuts.boundary.shape
        self.places = places  # (M,) in the flattened batch
        self.documents = documents[places][None]  # (1, M), numbered through the batch
        self.begins = cuts.begins.flatten()[places][None]  # (1, M)
        self.of = (boundary.cumsum(0) - 1).clamp(min=0)  # (B T,), the chunk each item is in

    def first(self, items: Tensor) -> Tensor:
        """The first item of each chunk: (1, M, D) of (B, T, D)."""
        return items.flatten(0, 1).index_select(0, self.places)[None]

    def spread(self, chunks: Tensor) -> Tensor:
        """Each chunk at each of its items: (B, T, D) of (1, M, D)."""
        return chunks[0].index_select(0, self.of).view(*self.shape, -1)


def smooth(
    chunks: Tensor, probability: Tensor, begins: Tensor, valid: Tensor | None = None, before: Tensor | None = None
) -> Tensor:
    """The average z_m = P_m y_m + (1 - P_m) z_{m-1} over chunks (B, M, D), anew at each document; at least fp32.

    `probability`, `begins` and `valid` are (B, M), `before` (B, D) the average so far. It lets gradients reach the
    probabilities; a document's first chunk, whose probability is constant, has none.
    """
    share = probability.clamp(LEAST, 1 - LEAST)
    share = (share if valid is None else torch.where(valid, share, 0))[..., None]  # (B, M, 1)
    keep = torch.where(begins[..., None], 0, 1 - share)
    inward = share * chunks.to(share.dtype)
    return scan(keep.expand_as(inward), inward, before)[0]


def straight_through(x: Tensor, confidence: Tensor) -> Tensor:
    """x (B, T, D) as it is; its gradient reaches `confidence` (B, T) as if it were the factor it is near to be."""
    return _StraightThrough.apply(x, confidence)  # type: ignore[no-any-return, no-untyped-call]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, confidence: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,), (x,) = gradients, ctx.saved_tensors
        return gradient, torch.linalg.vecdot(gradient, x)
