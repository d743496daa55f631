"""Scores: sums over windows or documents, the figures they make, and how far chance may have moved these."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Shapes: N units (windows or documents)

Floats = NDArray[np.float64]
RESAMPLES = 1000


@dataclass(frozen=True)
class Tally:
    """Sums over each unit of text; figures are ratios of their totals."""

    nats: Floats  # (N,) -ln P of the counted targets
    targets: Floats  # (N,) counted targets
    bytes: Floats  # (N,) bytes that these spell
    top1: Floats  # (N,) targets that were the likeliest token
    top5: Floats  # (N,) targets among the five likeliest


@dataclass(frozen=True)
class Figure:
    """A measured value with its 95 % bootstrap interval over units; no interval for a single unit."""

    value: float
    low: float | None
    high: float | None


def ratio(
    above: Floats, below: Floats, shape: Callable[[float], float] = float, *, resamples: int = RESAMPLES
) -> Figure:
    """`shape` of sum(above) / sum(below), both (N,); NaN where there is nothing below.

    The interval is the percentile bootstrap over whole units (Efron 1979), with draws that are the same every time,
    so that a report can be made again to the last digit; none with 0 resamples. `shape` has to rise.
    """
    total = below.sum()
    value = shape(float(above.sum() / total)) if total else math.nan
    if len(below) < 2 or not total or not resamples:
        return Figure(value, None, None)
    low, high = np.nanpercentile(_resampled(above, below, resamples), [2.5, 97.5])
    return Figure(value, shape(float(low)), shape(float(high)))


def perplexity(nats_per_target: float) -> float:
    """exp of the loss; infinite beyond what a float holds."""
    return math.exp(nats_per_target) if nats_per_target < 709 else math.inf


def bits(nats: float) -> float:
    return nats / math.log(2)


def _resampled(above: Floats, below: Floats, resamples: int) -> Floats:
    """(resamples,) ratios of N units drawn with replacement; NaN where nothing was drawn below."""
    draw, units = np.random.Generator(np.random.PCG64(0)), len(below)
    at_once = max(1, 1_000_000 // units)  # bounds the memory
    ratios = []
    for first in range(0, resamples, at_once):
        drawn = draw.integers(units, size=(min(at_once, resamples - first), units))
        totals = below[drawn].sum(axis=1)
        ratios.append(np.divide(above[drawn].sum(axis=1), totals, out=np.full(len(totals), np.nan), where=totals > 0))
    return np.concatenate(ratios)
