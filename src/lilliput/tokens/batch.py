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

    def __len__(self) -> int:
        return len(self.tokens)

    def split(self, size: int) -> list["Batch"]:
        """Micro-batches of at most `size` windows, in order; the last may be smaller."""
        cuts = [slice(i, i + size) for i in range(0, len(self), size)]
        return [Batch(self.tokens[c], self.targets[c], self.mask[c], self.documents[c], self.bytes[c]) for c in cuts]
