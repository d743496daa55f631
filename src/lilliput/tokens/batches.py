"""Batches as a pure function of seed and step: no loader state, random access to any step of any epoch."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from lilliput.config.errors import Exit, LilliputError
from lilliput.tokens.batch import Batch
from lilliput.tokens.mixture import Mixture
from lilliput.tokens.order import hash64, permute
from lilliput.tokens.packing import Packing, pack
from lilliput.tokens.shards import Shard


class Batches:
    """The training stream: windows of one or more shards, each in an order that is drawn anew every epoch.

    Position n of the stream belongs to a source by the mixture; the source's own count of positions before n
    says which of its epochs this is, and which place in that epoch's permutation. Step s covers the positions
    from (s - 1) x batch_size on, so batches run across the borders of epochs.

    An epoch of the stream is as many windows as all sources have together. With one source each epoch holds
    every window once; in a mixture each source goes through its own epochs at the pace of its weight.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        weights: Sequence[float] | None = None,
        *,
        seed: int,
        batch_size: int,
        context_length: int,
        lengths: NDArray[np.int32],
        stride: int | None = None,
    ) -> None:
        """`weights` are shares of training tokens (default: by size); `lengths` (V,) bytes that each id spells."""
        self.seed, self.batch_size, self.lengths = seed, batch_size, lengths
        width = min(context_length, max((shard.num_tokens - 1 for shard in shards), default=0))
        if width < 1 or any(not shard.num_documents for shard in shards):
            raise LilliputError("a source of training text holds no document", "check `data.sources`", Exit.CONTENT)
        self.packings = [Packing(shard, width, stride or context_length) for shard in shards]
        sizes = [len(packing) for packing in self.packings]
        self.windows = sum(sizes)
        self.mixture = Mixture(sizes if weights is None else weights)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.windows // self.batch_size)

    @property
    def targets_per_epoch(self) -> int:
        """Targets that count in one epoch: exact for one source, the mean of its windows for a mixture."""
        means = [packing.counted() / len(packing) for packing in self.packings]
        return round(self.windows * float(self.mixture.shares @ np.array(means)))

    def epoch(self, step: int) -> float:
        """Epochs that are done after `step` updates."""
        return step * self.batch_size / self.windows

    def batch(self, step: int) -> Batch:
        """The whole batch of update `step`, counted from 1: its windows in the order of the stream."""
        positions = np.arange((step - 1) * self.batch_size, step * self.batch_size, dtype=np.int64)
        sources, ordinals = self.mixture.locate(positions)
        rows = np.arange(self.batch_size)
        parts = [(rows[sources == s], self._part(int(s), ordinals[sources == s])) for s in np.unique(sources)]
        if len(parts) == 1:
            return parts[0][1]
        order = np.argsort(np.concatenate([rows for rows, _ in parts]))
        return _join([part for _, part in parts], order)

    def _part(self, source: int, ordinals: NDArray[np.int64]) -> Batch:
        packing = self.packings[source]
        epochs, places = np.divmod(ordinals, len(packing))
        windows = np.empty_like(places)
        for epoch in np.unique(epochs):
            key = hash64("epoch order", self.seed, source, int(epoch))
            windows[epochs == epoch] = permute(places[epochs == epoch], len(packing), key)
        return packing.rows(windows, self.lengths)


def validation_batches(
    shard: Shard, context_length: int, batch_size: int, lengths: NDArray[np.int32], limit: int | None = None
) -> Iterator[Batch]:
    """Each target of a shard once, in the order of the text; at most `limit` batches, the last one smaller."""
    packing = pack(shard, context_length)
    for number, start in enumerate(range(0, len(packing), batch_size)):
        if limit is not None and number >= limit:
            return
        yield packing.rows(np.arange(start, min(start + batch_size, len(packing))), lengths)


def digest(batch: Batch) -> str:
    """16 hex digits over what a batch shows and counts."""
    state = blake2b(repr(batch.tokens.shape).encode(), digest_size=8)
    for values in (batch.tokens.astype("<i8"), batch.targets.astype("<i8"), batch.mask, batch.documents.astype("<i4")):
        state.update(np.ascontiguousarray(values).tobytes())
    return state.hexdigest()


def _join(parts: Sequence[Batch], order: NDArray[np.int64]) -> Batch:
    return Batch(
        np.concatenate([part.tokens for part in parts])[order],
        np.concatenate([part.targets for part in parts])[order],
        np.concatenate([part.mask for part in parts])[order],
        np.concatenate([part.documents for part in parts])[order],
        np.concatenate([part.bytes for part in parts])[order],
    )
