"""Packing: documents laid end to end, cut into windows that know where each document begins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lilliput.tokens.batch import Batch
from lilliput.tokens.shards import Shard

# Shapes: B windows, T time


@dataclass(frozen=True)
class Packing:
    """The windows of one shard: `width` targets each, one window every `stride` targets.

    Target p is token p of the stream, predicted from the tokens before it; target 0 does not exist. The last
    window ends with the stream and is padded. A begin is not a target, since nothing announces a document.
    """

    shard: Shard
    width: int
    stride: int

    def __len__(self) -> int:
        """Number of windows; 0 for a shard without a document."""
        return 1 + max(0, -(-(self.targets - self.width) // self.stride)) if self.targets > 0 else 0

    @property
    def targets(self) -> int:
        """Number of tokens with a predecessor, begins included."""
        return self.shard.num_tokens - 1

    def counted(self) -> int:
        """Number of targets that count, over all windows: what one epoch trains on."""
        last = (len(self) - 1) * self.stride
        total = (len(self) - 1) * self.width + min(self.width, self.targets - last)
        begins = self.shard.offsets[1:-1]
        newest = np.minimum((begins - 1) // self.stride, len(self) - 1)
        oldest = np.maximum(-(-(begins - self.width) // self.stride), 0)
        return total - int(np.maximum(newest - oldest + 1, 0).sum())

    def rows(self, windows: NDArray[np.int64], lengths: NDArray[np.int32]) -> Batch:
        """The windows of these numbers, as a batch; `lengths` (V,) are the bytes that each id spells."""
        shape = len(windows), self.width
        batch = Batch(
            np.zeros(shape, np.int64),
            np.zeros(shape, np.int64),
            np.zeros(shape, np.bool_),
            np.full(shape, -1, np.int32),
            np.zeros(len(windows), np.int64),
        )
        for row, window in enumerate(windows):
            self.fill(batch, row, int(window), lengths)
        return batch

    def fill(self, batch: Batch, row: int, window: int, lengths: NDArray[np.int32]) -> None:
        """Write a window into a row of a batch that holds padding."""
        start = window * self.stride
        stop = min(start + self.width, self.targets)
        length = stop - start
        ids = self.shard.tokens[start : stop + 1].astype(np.int64)
        first, last = np.searchsorted(self.shard.offsets, [start, stop], side="right")
        begins = self.shard.offsets[first:last] - start  # 1 ... length
        batch.tokens[row, :length], batch.targets[row, :length] = ids[:-1], ids[1:]
        batch.mask[row, :length] = True
        batch.mask[row, begins - 1] = False
        steps = np.zeros(length + 1, np.int32)
        steps[begins] = 1
        batch.documents[row, :length] = np.cumsum(steps[:-1])
        batch.bytes[row] = lengths[ids[1:]].sum(dtype=np.int64, where=batch.mask[row, :length])


def pack(shard: Shard, context_length: int, stride: int | None = None) -> Packing:
    """Windows of `context_length`, or of all there is in a shard that is shorter."""
    return Packing(shard, max(1, min(context_length, shard.num_tokens - 1)), stride or context_length)
