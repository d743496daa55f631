"""The mixture: which source each position of the training stream is drawn from, in the shares of the weights."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PERIOD = 1 << 16
"""Shares are multiples of 1 / PERIOD; the schedule repeats after so many positions at most."""


class Mixture:
    """A periodic schedule with low discrepancy: every prefix has each source's share, give or take a few."""

    def __init__(self, weights: Sequence[float]) -> None:
        counts = _apportion(np.asarray(weights, dtype=np.float64))
        self.counts = counts // np.gcd.reduce(counts)
        self.period = int(self.counts.sum())
        # The k-th of c windows of a source is due in the middle of the k-th of c equal parts of the period.
        due = np.concatenate([(np.arange(c) + 0.5) / c for c in self.counts])
        order = np.argsort(due, kind="stable")
        self.sources = np.repeat(np.arange(len(self.counts)), self.counts)[order]
        self.ranks = np.concatenate([np.arange(c) for c in self.counts])[order]

    @property
    def shares(self) -> NDArray[np.float64]:
        """(S,) realised share of each source."""
        shares: NDArray[np.float64] = self.counts / self.period
        return shares

    def locate(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The source of each position, and how many positions of that source come before it."""
        period, place = np.divmod(positions, self.period)
        sources = self.sources[place]
        return sources, period * self.counts[sources] + self.ranks[place]


def _apportion(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """PERIOD places by weight, largest remainders rounded up; a positive weight gets at least one."""
    if not len(weights) or (weights < 0).any() or not 0 < weights.sum() < np.inf:
        raise ValueError("weights must be finite, not negative, and not all zero")
    exact = weights / weights.sum() * PERIOD
    counts: NDArray[np.int64] = np.maximum(np.floor(exact), weights > 0).astype(np.int64)
    missing = PERIOD - int(counts.sum())
    if missing < 0:  # more sources below 1 / PERIOD than were rounded away: the largest pays
        counts[np.argmax(counts)] += missing
    else:
        counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    return counts
