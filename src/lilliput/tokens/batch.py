"""A batch: windows of tokens, their targets, which targets count, and which document each belongs to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Shapes: B windows, T time


@dataclass(frozen=True)
class Batch:
    tokens: NDArray[np.int64]  # (B, T)
    targets: NDArray[np.int64]  # (B, T) the token after each
    mask: NDArray[np.bool_]  # (B, T) true = this target counts
    documents: NDArray[np.int32]  # (B, T) numbered from 0 in each window; -1 = padding, invisible
    bytes: NDArray[np.int64]  # (B,) bytes that the counted targets of each window spell
    sources: NDArray[np.int64] | None = None  # (B,) number of the source of each window, where there are several

    def __len__(self) -> int:
        return len(self.tokens)

    def split(self, size: int) -> list["Batch"]:
        """Micro-batches of at most `size` windows, in order; the last may be smaller."""
        return [self._rows(slice(i, i + size)) for i in range(0, len(self), size)]

    def _rows(self, c: slice) -> "Batch":
        sources = None if self.sources is None else self.sources[c]
        return Batch(self.tokens[c], self.targets[c], self.mask[c], self.documents[c], self.bytes[c], sources)

    def by_source(self, count: int = 0) -> list[int]:
        """Targets that count, of each of at least so many sources; all are the first one's where it is alone."""
        sources = np.zeros(len(self), np.int64) if self.sources is None else self.sources
        targets: list[int] = np.bincount(sources, self.mask.sum(1), count).astype(int).tolist()
        return targets
