"""Packing: documents laid end to end, cut into windows that know where each document begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.tokens.batch import Batch
from lilliput.tokens.shards import Shard

# Shapes: B windows, T time

AT_ONCE = 1 << 20
"""Documents whose begins are counted at once."""


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
        return total - sum(self._seen(begins[i : i + AT_ONCE]) for i in range(0, len(begins), AT_ONCE))

    def _seen(self, begins: NDArray[np.int64]) -> int:
        """How often tokens at these places are a target, over all windows."""
        newest = np.minimum((begins - 1) // self.stride, len(self) - 1)
        oldest = np.maximum(-(-(begins - self.width) // self.stride), 0)
        return int(np.maximum(newest - oldest + 1, 0).sum())

    def rows(self, windows: NDArray[np.int64], lengths: NDArray[np.int32]) -> Batch:
        """The windows of these numbers, as a batch; `lengths` (V,) are the bytes that each id spells."""
        return rows([self], np.zeros(len(windows), np.int64), windows, lengths)

    def lay(self, ids: NDArray[np.int64], begins: NDArray[np.int32], places: NDArray[np.int64], starts: Any) -> Any:
        """Write windows from `starts` on into the rows `places` of `ids` (B, T + 1), and a 1 into `begins` for each
        document that begins after a window's first token; returns the number of targets of each.
        """
        stops = np.minimum(starts + self.width, self.targets)
        stream, offsets = np.asarray(self.shard.tokens), np.asarray(self.shard.offsets)  # slices of maps are slow
        for row, start, stop in zip(places.tolist(), starts.tolist(), stops.tolist(), strict=True):
            ids[row, : stop - start + 1] = stream[start : stop + 1]
        first, last = (np.searchsorted(offsets, edges, side="right") for edges in (starts, stops))
        counts = last - first
        owner = np.repeat(np.arange(len(starts)), counts)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        begins[places[owner], offsets[first[owner] + within] - starts[owner]] = 1
        return stops - starts


def rows(
    packings: Sequence[Packing], sources: NDArray[np.int64], windows: NDArray[np.int64], lengths: NDArray[np.int32]
) -> Batch:
    """Windows of several packings of one width, as a batch in the order of `sources` and `windows`, both (B,)."""
    width = packings[0].width
    ids, begins = np.zeros((len(windows), width + 1), np.int64), np.zeros((len(windows), width + 1), np.int32)
    counts = np.empty_like(windows)
    for source in np.unique(sources):
        places, packing = np.flatnonzero(sources == source), packings[source]
        counts[places] = packing.lay(ids, begins, places, windows[places] * packing.stride)
    tokens, targets = ids[:, :-1].copy(), ids[:, 1:].copy()
    mask = begins[:, 1:] == 0
    documents = np.cumsum(begins[:, :-1], axis=1, dtype=np.int32)
    for row in np.flatnonzero(counts < width):
        outside = slice(counts[row], None)
        tokens[row, outside], mask[row, outside], documents[row, outside] = 0, False, -1
    return Batch(tokens, targets, mask, documents, (lengths[targets] * mask).sum(1, dtype=np.int64))


def pack(shard: Shard, context_length: int, stride: int | None = None) -> Packing:
    """Windows of `context_length`, or of all there is in a shard that is shorter."""
    return Packing(shard, max(1, min(context_length, shard.num_tokens - 1)), stride or context_length)
