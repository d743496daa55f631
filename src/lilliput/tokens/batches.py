"""Batches as a pure function of seed and step: no loader state, random access to any step of any epoch."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property, lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from lilliput.config.errors import Exit, LilliputError
from lilliput.tokens.batch import Batch
from lilliput.tokens.mixture import Mixture, Stages
from lilliput.tokens.order import hash64, permute_each
from lilliput.tokens.packing import Packing, pack, rows
from lilliput.tokens.shards import Shard


class Batches:
    """The training stream: windows of one or more shards, each in an order that is drawn anew every epoch.

    Position n of the stream belongs to a source by the mixture; the source's own count of positions before n
    says which of its epochs this is, and which place in that epoch's permutation. Step s covers the positions
    from (s - 1) x batch_size on, so batches run across the borders of epochs.

    An epoch of the stream is as many windows as all sources have together. With one source each epoch holds
    every window once; in a mixture each source goes through its own epochs at the pace of its weight.

    A weight is the share of the targets that count: a source whose windows count fewer of them, because its
    documents are short or its last window is mostly padding, gets more windows.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        weights: Sequence[float] | None = None,
        later: Sequence[tuple[float, Sequence[float]]] = (),
        *,
        seed: int,
        batch_size: int,
        context_length: int,
        lengths: NDArray[np.int32],
        stride: int | None = None,
        by_windows: bool = False,
    ) -> None:
        """`weights` are shares of training tokens (default: by size); `lengths` (V,) bytes that each id spells.

        `later` holds further stages, the share of the run at which each begins and its weights; `over` says how
        long the run is. `by_windows` reads weights as shares of windows, dealt out as they were in older runs.
        """
        self.seed, self.batch_size, self.lengths = seed, batch_size, lengths
        width = min(context_length, max((shard.num_tokens - 1 for shard in shards), default=0))
        if width < 1 or any(not shard.num_documents for shard in shards):
            raise LilliputError("a source of training text holds no document", "check `data.sources`", Exit.CONTENT)
        for shard in shards:
            shard.expect_random_access()
        self.packings = [Packing(shard, width, stride or context_length) for shard in shards]
        self.sizes = np.array([len(packing) for packing in self.packings])
        self.windows = int(self.sizes.sum())
        self.means = np.array([packing.counted() / len(packing) for packing in self.packings])
        per_window = np.ones(len(shards)) if by_windows or weights is None else self.means
        stages = [self.sizes if weights is None else weights, *(row for _, row in later)]
        self.mixtures = [Mixture(np.asarray(row, np.float64) / per_window, by_middles=by_windows) for row in stages]
        self.borders = [0.0, *(share for share, _ in later), 1.0]
        self.stages = Stages(self.mixtures[:1], [0])

    def over(self, total: int) -> "Batches":
        """The stream of a run of `total` updates: each stage begins at its share of them, rounded to an update."""
        staged = copy(self)
        staged.stages = Stages(self.mixtures, [self.batch_size * step for step in self.starts(total)])
        return staged

    def starts(self, total: int) -> list[int]:
        """How many of `total` updates are done when each stage begins."""
        return [round(share * total) for share in self.borders[:-1]]

    def stage(self, step: int) -> int:
        """The number, from 0, of the stage that update `step` belongs to."""
        return self.stages.stage((step - 1) * self.batch_size)

    def repeats(self, total: int) -> list[float]:
        """How many times each source is read in the first `total` updates."""
        times: list[float] = (self.stages.count(total * self.batch_size) / self.sizes).tolist()
        return times

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.windows // self.batch_size)

    @cached_property
    def targets_per_epoch(self) -> int:
        """Targets that count in one epoch: exact for one source, the mean of windows and stages for a mixture."""
        shares = np.diff(self.borders) @ np.stack([mixture.shares for mixture in self.mixtures])
        return round(self.windows * float(shares @ self.means))

    def epoch(self, step: int) -> float:
        """Epochs that are done after `step` updates."""
        return step * self.batch_size / self.windows

    def batch(self, step: int) -> Batch:
        """The whole batch of update `step`, counted from 1: its windows in the order of the stream."""
        positions = np.arange((step - 1) * self.batch_size, step * self.batch_size, dtype=np.int64)
        sources, ordinals = self.stages.locate(positions)
        epochs, places = np.divmod(ordinals, self.sizes[sources])
        keys = [epoch_key(self.seed, *pair) for pair in zip(sources.tolist(), epochs.tolist(), strict=True)]
        batch = rows(self.packings, sources, permute_each(places, self.sizes[sources], keys), self.lengths)
        return batch if len(self.packings) == 1 else replace(batch, sources=sources)


@lru_cache(maxsize=1024)
def epoch_key(seed: int, source: int, epoch: int) -> int:
    """Names the order in which a source is read in one of its epochs."""
    return hash64("epoch order", seed, source, epoch)


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
