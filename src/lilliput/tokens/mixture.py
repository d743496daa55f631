"""The mixture: which source each position of the training stream is drawn from, in the shares of the weights."""

from collections.abc import Sequence
from functools import lru_cache
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

PERIOD = 1 << 16
"""Shares are multiples of 1 / PERIOD; the schedule repeats after so many positions at most."""


class Mixture:
    """A periodic schedule with low discrepancy: every prefix has each source's share, give or take less than one.

    So over any stretch the share of no source is off by more than two positions (Tijdeman 1980, the chairman
    assignment problem). `by_middles` makes the schedule of older runs, which was off by a few more.
    """

    def __init__(self, weights: Sequence[float] | NDArray[np.float64], *, by_middles: bool = False) -> None:
        counts = _apportion(np.asarray(weights, dtype=np.float64))
        self.counts = counts // np.gcd.reduce(counts)
        self.period = int(self.counts.sum())
        self.sources, self.ranks = _schedule(tuple(self.counts.tolist()), by_middles)

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

    def count(self, positions: int) -> NDArray[np.int64]:
        """(S,) how many of the first positions belong to each source."""
        periods, rest = divmod(positions, self.period)
        begun: NDArray[np.int64] = np.bincount(self.sources[:rest], minlength=len(self.counts))
        counted: NDArray[np.int64] = periods * self.counts + begun
        return counted


class Stages:
    """Mixtures one after the other; each begins at a position of the stream, and sources go on where they are."""

    def __init__(self, mixtures: Sequence[Mixture], starts: Sequence[int]) -> None:
        """`starts` are the positions at which the mixtures begin; the first is 0."""
        self.mixtures, self.starts = list(mixtures), np.asarray(starts, dtype=np.int64)
        lengths = np.diff(self.starts)
        done = [mixture.count(int(length)) for mixture, length in zip(mixtures, lengths, strict=False)]
        self.before = np.cumsum([np.zeros_like(self.mixtures[0].counts), *done], axis=0)  # (stages, S)

    def stage(self, position: int) -> int:
        """The number, from 0, of the stage that a position is in."""
        return int(np.searchsorted(self.starts, position, side="right")) - 1

    def locate(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The source of each position, and how many positions of that source come before it."""
        stages = np.searchsorted(self.starts, positions, side="right") - 1
        sources, ordinals = np.empty_like(positions), np.empty_like(positions)
        for stage in np.unique(stages):
            mine = stages == stage
            found, ranks = self.mixtures[stage].locate(positions[mine] - self.starts[stage])
            sources[mine], ordinals[mine] = found, self.before[stage][found] + ranks
        return sources, ordinals

    def count(self, positions: int) -> NDArray[np.int64]:
        """(S,) how many of the first positions belong to each source."""
        stage = self.stage(positions)
        counted: NDArray[np.int64] = self.before[stage]
        return counted + self.mixtures[stage].count(positions - int(self.starts[stage]))


@lru_cache(maxsize=64)
def _schedule(counts: tuple[int, ...], by_middles: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(source, how many of that source come before) of each position of a period."""
    sources = _by_middles(np.array(counts)) if by_middles else _by_deadlines(counts)
    ranks = np.empty_like(sources)
    ranks[np.argsort(sources, kind="stable")] = np.concatenate([np.arange(c) for c in counts])
    return sources, ranks


def _by_middles(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The k-th of c windows of a source is due in the middle of the k-th of c equal parts of the period."""
    due = np.concatenate([(np.arange(c) + 0.5) / c for c in counts])
    sources: NDArray[np.int64] = np.repeat(np.arange(len(counts)), counts)[np.argsort(due, kind="stable")]
    return sources


def _by_deadlines(counts: tuple[int, ...]) -> NDArray[np.int64]:
    """Each position goes to the source that is about to lag by a position, among those that would not run ahead.

    With r = 2 S - 2 for S sources, the k-th window of c in a period of P comes at the earliest at (k + 1 / r) P / c
    and at the latest at (k + 1 - 1 / r) P / c; all numbers are whole once they are multiplied by r c.
    """
    period, r = sum(counts), max(1, 2 * sum(c > 0 for c in counts) - 2)
    windows = []
    for source, c in enumerate(counts):
        if not c:
            continue
        k = np.arange(c)
        earliest = -(-(r * k + 1) * period // (r * c))
        latest = (r * k + r - 1) * period // (r * c)
        windows += list(zip(earliest.tolist(), latest.tolist(), [source] * c, strict=True))
    windows.sort()
    chosen, waiting, coming = np.empty(period, np.int64), list[tuple[int, int]](), 0
    for position in range(1, period + 1):
        while coming < period and (windows[coming][0] <= position or not waiting):
            heappush(waiting, windows[coming][1:])
            coming += 1
        chosen[position - 1] = heappop(waiting)[1]
    return chosen


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
