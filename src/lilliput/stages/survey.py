"""Counting what is in a corpus, a recipe or a shard: documents, bytes, tokens, sequences, languages and shares."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lilliput.corpus.mixing import borders, weights
from lilliput.corpus.statistics import Counts, Statistics, measure, quantiles
from lilliput.stages.looking import Looked
from lilliput.tokens.shards import Shard
from lilliput.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Surveyed:
    """One source with its place among the others."""

    statistics: Statistics
    sequences: int | None
    """Windows of training; None without a tokenizer."""
    of_text: float
    """Share of the training text, in tokens where they were counted, else in bytes."""
    of_training: float
    """Share of the training tokens, by weight."""


def survey(
    looked: Looked, tokenizer: Tokenizer | None, context_length: int, *, languages: bool = False
) -> list[Surveyed]:
    """Statistics of each source as a training would read it, divide it and weigh it."""
    if looked.shard:
        found = _of_shard(looked.shard)
        sizes = [_size(statistics) for statistics in found]
        shares = [size / max(1, sum(sizes)) for size in sizes]
    else:
        encode = tokenizer.encode if tokenizer else None
        split, reading = looked.split, looked.reading
        found = [measure(source, split, reading, encode, languages=languages) for source in looked.sources]
        shares = _shares(looked)
    stride = looked.data.stride if looked.data else None
    limits = [source.max_tokens for source in looked.sources] or [None] * len(found)
    sizes = [_size(statistics) for statistics in found]
    return [
        Surveyed(
            statistics,
            _windows(statistics, context_length, stride, limit),
            sizes[number] / max(1, sum(sizes)),
            shares[number],
        )
        for number, (statistics, limit) in enumerate(zip(found, limits, strict=True))
    ]


def _shares(looked: Looked) -> list[float]:
    """Share of all training tokens of each source, over the stages of a run."""
    if looked.data is None:
        return [1 / len(looked.sources)] * len(looked.sources)
    data = looked.data
    lengths = [stop - start for start, stop in pairwise(borders(data))]
    rows = weights(looked.sources, data)
    return [
        sum(length * row[number] for length, row in zip(lengths, rows, strict=True)) for number in range(len(rows[0]))
    ]


def trained(statistics: Statistics) -> Counts:
    """What of a source is trained on: its training part, or all of a shard."""
    return statistics.parts.get("train", Counts()) if statistics.parts else statistics.total


def _size(statistics: Statistics) -> int:
    counts = trained(statistics)
    return counts.bytes if counts.tokens is None else counts.tokens


def _windows(statistics: Statistics, context_length: int, stride: int | None, most: int | None) -> int | None:
    counts = trained(statistics)
    return None if counts.tokens is None else sequences(counts, context_length, stride, most)


def sequences(counts: Counts, context_length: int, stride: int | None = None, most: int | None = None) -> int:
    """Windows that counted documents make, each with its begin and end, as training packs them."""
    tokens = (counts.tokens or 0) + 2 * counts.documents
    targets = (tokens if most is None else min(tokens, most)) - 1
    width = min(context_length, targets)
    return 1 - (width - targets) // (stride or context_length) if targets > 0 else 0


def _of_shard(shard: Shard) -> list[Statistics]:
    """What a shard's index knows, source by source; it has no characters and no words."""
    provenance = shard.manifest["provenance"]
    names = provenance.get("text") or []
    lengths = np.diff(shard.offsets) - 2
    found = []
    for number in np.unique(shard.sources):
        own = shard.sources == number
        name = str(names[number]) if number < len(names) else f"source {number}"
        documents, size, tokens = int(own.sum()), int(shard.byte_counts[own].sum()), int(lengths[own].sum())
        total = Counts(documents, size, 0, 0, tokens)
        sizes = quantiles(shard.byte_counts[own].tolist())
        found.append(Statistics(name, name, {}, total, sizes, {}))
    return found
