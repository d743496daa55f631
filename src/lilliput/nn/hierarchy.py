"""One level of an H-Net (arXiv 2507.07955): encoder, wider levels on its chunks, decoder; whole or step by step."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.nn.chunking import Chunks, Cuts, Router, beginnings, smooth, straight_through
from lilliput.nn.state import State

# Shapes: B batch, T items of a level, D dim, M chunks


class LevelState(State):
    """What a level remembers of B sequences: its stacks' states, the router's last query, the average so far."""

    def __init__(self, encoder: Any, inner: Any, decoder: Any, query: Tensor, average: Tensor) -> None:
        self.encoder, self.inner, self.decoder = encoder, inner, decoder
        self.query, self.average = query, average  # (B, D)
        self.document = torch.full((len(query),), -1, dtype=torch.long, device=query.device)
        """(B,), of the last item that is no padding; -1 = none yet."""
        self.is_fresh = True
        """No chunk has been read: shorter rows may still be padded on the left."""

    def select(self, rows: Tensor) -> "LevelState":
        """A state of its own for the rows (N,) given by index; a row may be taken more than once."""
        encoder, inner, decoder = (part.select(rows) for part in (self.encoder, self.inner, self.decoder))
        chosen = LevelState(encoder, inner, decoder, self.query[rows], self.average[rows])
        chosen.document, chosen.is_fresh = self.document[rows], self.is_fresh
        return chosen

    def replace(self, rows: Tensor, chosen: "LevelState") -> None:
        """Take over the rows that `select` gave out, each once."""
        for name in ("encoder", "inner", "decoder"):
            getattr(self, name).replace(rows, getattr(chosen, name))
        for name in ("query", "average", "document"):
            setattr(self, name, getattr(self, name).index_copy(0, rows, getattr(chosen, name)))
        self.is_fresh = self.is_fresh and chosen.is_fresh

    def note(self, queries: Tensor, documents: Tensor) -> None:
        """Remember the last of T items, with their queries (B, T, D), that is no padding (documents (B, T) of -1)."""
        index = torch.arange(1, documents.shape[1] + 1, device=documents.device)
        last = torch.where(documents >= 0, index, 0).amax(dim=1)  # (B,), counted from 1; 0 = none
        row, at = torch.arange(len(last), device=last.device), (last - 1).clamp(min=0)
        self.query = torch.where((last > 0)[:, None], queries[row, at], self.query)
        self.document = torch.where(last > 0, documents[row, at].long(), self.document)


class Level(nn.Module):
    """Stacks are given from outside and called with items (B, T, D), documents and state; `inner` may be a level again.

    A stack's own state offers `select` and `replace`, as this level's does, and comes from its `new_state(batch)`.
    """

    def __init__(self, encoder: nn.Module, inner: nn.Module, decoder: nn.Module, dim: int, inner_dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.encoder, self.inner, self.decoder = encoder, inner, decoder
        self.router = Router(dim)
        self.residual = nn.Linear(dim, dim)
        self.pad = nn.Parameter(torch.zeros(inner_dim - dim)) if inner_dim > dim else None
        self.rate: float | None = None
        """Chunks per item in the last whole pass, padding counted as items."""
        nn.init.zeros_(self.residual.weight)
        nn.init.zeros_(self.residual.bias)

    def forward(
        self, x: Tensor, documents: Tensor | None = None, state: LevelState | None = None
    ) -> tuple[Tensor, list[Cuts]]:
        """Features (B, T, D), and the cuts of this level and of those inside, this one's first.

        Documents (B, T) do not see each other; -1 is padding. With a `state`, in which the inside is only looked at
        where a chunk begins, this level's cuts alone are given.
        """
        encoded = self.encoder(x, documents, state.encoder if state else None)
        cuts = self._cut(encoded, documents, state)
        inside: list[Cuts] = []
        if state is None:
            chunks = Chunks(cuts)
            self.rate = len(chunks.places) / cuts.boundary.numel()
            y, inside = self._inside(chunks.first(encoded), chunks.documents)
            probability = cuts.probability.flatten()[chunks.places][None]
            mixed = chunks.spread(smooth(y, probability, chunks.begins))
        else:
            mixed = self._continue(encoded, cuts, documents, state)
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = (p.to(mixed.dtype) for p in (self.residual.weight, self.residual.bias))
            around = F.linear(encoded.to(mixed.dtype), weight, bias)
        joined = straight_through(mixed, cuts.confidence) + around
        y = self.decoder(joined.to(encoded.dtype), documents, state.decoder if state else None)
        return y, [cuts, *inside]

    def new_state(self, batch: int) -> LevelState:
        weight = self.residual.weight
        wide = torch.promote_types(weight.dtype, torch.float32)
        query, average = (torch.zeros(batch, self.dim, dtype=wide, device=weight.device) for _ in range(2))
        stacks: list[Any] = [self.encoder, self.inner, self.decoder]
        encoder, inner, decoder = (stack.new_state(batch) for stack in stacks)
        return LevelState(encoder, inner, decoder, query, average)

    def _cut(self, encoded: Tensor, documents: Tensor | None, state: LevelState | None) -> Cuts:
        valid = None if documents is None else documents >= 0
        if documents is None:
            one = torch.zeros(len(encoded), 1, dtype=torch.long, device=encoded.device)
            documents = (one if state is None else state.document.clamp(min=0)[:, None]).expand(encoded.shape[:2])
        begins = beginnings(documents, state.document if state else None)
        cuts, queries = self.router(encoded, begins, valid, state.query if state else None)
        if state:
            state.note(queries, documents)
        return cuts  # type: ignore[no-any-return]

    def _inside(self, x: Tensor, documents: Tensor | None, state: Any = None) -> tuple[Tensor, list[Cuts]]:
        """The level inside on the first items (B, M, D) of chunks: widened on the way in, cut back on the way out."""
        if self.pad is not None:
            x = torch.cat([x, self.pad.to(x.dtype).expand(*x.shape[:2], -1)], dim=-1)
        found = self.inner(x, documents, state)
        y, cuts = found if isinstance(self.inner, Level) else (found, [])
        return y[..., : self.dim], cuts

    def _continue(self, encoded: Tensor, cuts: Cuts, documents: Tensor | None, state: LevelState) -> Tensor:
        """The average at each item (B, T, D), with chunks (B, M) padded on the left: a row's memory is its own."""
        counts = cuts.boundary.sum(dim=1)
        most = int(counts.max())
        # other items first, then those where chunks begin, both in order
        places = cuts.boundary.to(torch.int8).argsort(dim=1, stable=True)[:, encoded.shape[1] - most :]  # (B, M)
        valid, begins = cuts.boundary.gather(1, places), cuts.begins.gather(1, places)
        ids = (state.document[:, None] if documents is None else documents).expand_as(cuts.boundary).gather(1, places)
        first = encoded.gather(1, places[..., None].expand(-1, -1, self.dim))
        held = state.average[:, None]
        if most:
            y = self._step(first, torch.where(valid, ids, -1), valid, state)
            average = smooth(y, cuts.probability.gather(1, places), begins & valid, valid, state.average)
            held = torch.cat([held, average], dim=1)  # (B, 1 + M, D)
            state.average = held[:, -1]
        at = (most - counts)[:, None] + cuts.boundary.cumsum(dim=1)  # (B, T)
        return held.gather(1, at[..., None].expand(-1, -1, self.dim))

    def _step(self, first: Tensor, documents: Tensor, valid: Tensor, state: LevelState) -> Tensor:
        """The inside on chunks (B, M, D): at once where padding comes first of all, else for the rows that have one."""
        if state.is_fresh or bool(valid.all()):
            state.is_fresh = False
            return self._inside(first, documents, state.inner)[0]
        y = torch.zeros_like(first)
        for column in range(first.shape[1]):
            rows = valid[:, column].nonzero().squeeze(1)
            some, here = state.inner.select(rows), slice(column, column + 1)
            y[rows, here] = self._inside(first[rows, here], documents[rows, here], some)[0].to(y.dtype)
            state.inner.replace(rows, some)
        return y
