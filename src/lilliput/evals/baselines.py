"""Baselines: what a text costs without a neural network, counted as a model's bits per byte are counted."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lilliput.corpus.ngrams import KneserNey
from lilliput.evals.score import Figure, bits, ratio

Texts = Callable[[], Iterable[bytes]]
"""Documents, read anew at each call."""


@dataclass(frozen=True)
class Baseline:
    name: str
    bpb: Figure
    """Bits per byte, with a 95 % bootstrap interval over documents."""
    note: str = ""


def uniform(vocab_size: int, targets: int, size: int) -> Baseline:
    """Every token equally likely: what a model knows before its first update."""
    value = targets * math.log2(vocab_size) / size if size else math.nan
    return Baseline("uniform", Figure(value, None, None), f"each of {vocab_size:,} tokens equally likely")


def ngrams(train: Texts, held_out: Texts, orders: Sequence[int], limit: int = 16_000_000) -> list[Baseline]:
    """Interpolated modified Kneser-Ney byte n-grams, fitted on at most `limit` bytes of the training part."""
    found = []
    for order in orders:
        model = KneserNey.fit(train(), order, limit)
        note = f"fitted on {model.fitted_bytes:,} bytes of training text"
        found.append(Baseline(f"{order}-gram", per_byte(model.nats, held_out()), note))
    return found


def entropy(nats: Callable[[bytes], float], held_out: Texts) -> Baseline:
    """The exact cost of each document under the process that wrote it: no model can do better on average."""
    return Baseline("entropy", per_byte(nats, held_out()), "exact: the text's own source")


def per_byte(nats: Callable[[bytes], float], documents: Iterable[bytes]) -> Figure:
    """Bits per byte of documents, each of which costs `nats(document)`."""
    costs = [(nats(document), len(document)) for document in documents]
    above, below = np.array(costs, dtype=np.float64).reshape(-1, 2).T
    return ratio(above, below, bits)
