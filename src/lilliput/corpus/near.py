"""Near-duplicates: MinHash with banding proposes pairs of documents, their true Jaccard similarity decides."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Fatal, settings
from lilliput.corpus.spool import spool
from lilliput.corpus.words import STEP, Hashes, blocks, run_hashes, stirred

Indices = NDArray[np.int64]
Map = Callable[[Callable[[list[str]], "Sketch"], Iterable[list[str]]], Iterable["Sketch"]]
"""`map`, or a pool's `imap`: the results in the order of the blocks."""

HEAD = 1 << 20
"""Characters of a document that are compared: a longer one is judged by its beginning."""
SURE = 0.99
"""Chance, by the theory of MinHash, that a pair as similar as the threshold is proposed."""
NEIGHBOURS = 16
"""Documents that each one of a band's bucket is compared with, at most: the cost stays linear in any corpus."""
SEED = 42


@settings
class Near:
    """Documents that share most of their runs of words."""

    threshold: Fatal[float] = Field(default=0.8, gt=0, le=1)
    """Jaccard similarity of two documents' sets of runs from which they count as near-duplicates."""
    words: Fatal[int] = Field(default=5, ge=1)
    """Words in a run."""
    hashes: Fatal[int] = Field(default=128, ge=1, le=4096)
    """Length of a MinHash signature: more hashes propose fewer pairs in vain."""
    keep: Fatal[bool] = False
    """Leave none out, but let a hash split hold near-duplicates together in one part."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a block of documents is compared by; it depends on each document alone."""

    runs: Hashes
    """(runs,) a number for each run of words, document after document."""
    counts: Indices
    """(documents,) how many runs each document has."""
    bands: Hashes
    """(documents, bands) a number for each band of the MinHash signature."""


def bands(near: Near) -> tuple[int, int]:
    """(bands, rows of each): as many rows as leave a pair at the threshold a chance of `SURE` to be proposed."""
    for rows in range(near.hashes, 1, -1):
        if 1 - (1 - near.threshold**rows) ** (near.hashes // rows) >= SURE:
            return near.hashes // rows, rows
    return near.hashes, 1


def sketch(near: Near, texts: Sequence[str]) -> Sketch:
    """The sketch of a few texts. Raises LilliputError (UNAVAILABLE) without rensa."""
    number, rows = bands(near)
    runs, counts = run_hashes([text[:HEAD] for text in texts], near.words)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    minima = _rensa().RMinHash.digest_matrix_from_flat_token_hashes(runs, offsets, number * rows, SEED).to_rows()
    signatures = np.array(minima, dtype=np.uint64).reshape(len(texts), number, rows)
    return Sketch(runs, counts, stirred(signatures @ (STEP ** np.arange(rows, dtype=np.uint64))))


@lru_cache(maxsize=1)
def _rensa() -> Any:
    try:
        import rensa
    except ImportError:
        action = "pip install 'lilliput[data]', or leave `near` out"
        raise LilliputError("near-duplicates are found by the package rensa", action, Exit.UNAVAILABLE) from None
    return rensa


def clusters(texts: Iterable[str], near: Near, scratch: Path | None = None, each: Map = map) -> Indices:
    """(documents,) for each text the place of the first one of its cluster; its own where it is near no other.

    A cluster is all that hangs together by pairs of at least `near.threshold`. One pass; in memory stay about 60 bytes
    of a document, and in `scratch` 8 bytes for each of its words and each band.
    """
    number, _ = bands(near)
    with ExitStack() as open_files:
        runs, *columns = (open_files.enter_context(spool(scratch)) for _ in range(1 + number))
        counts: list[Indices] = []
        for found in each(partial(sketch, near), blocks(texts)):
            counts.append(found.counts)
            runs.add(found.runs)
            for column, values in zip(columns, found.bands.T, strict=True):
                column.add(values)
        sizes = np.concatenate([np.empty(0, dtype=np.int64), *counts])
        corpus = _Runs(runs.row(), np.concatenate(([0], np.cumsum(sizes))))
        places, far = np.arange(len(sizes)), np.empty(0, dtype=np.int64)
        for column in columns:
            for first, second in _proposed(column.row(), sizes > 0):
                places, far = _judged(first, second, places, far, corpus, near.threshold)
        return places


def _proposed(values: Hashes, has_runs: NDArray[np.bool_]) -> Iterator[tuple[Indices, Indices]]:
    """Pairs of documents with equal values, each with the next one, with the one after that and so on."""
    order = np.argsort(values, kind="stable")
    order = order[has_runs[order]]
    values = values[order]
    for distance in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
        equal = np.flatnonzero(values[distance:] == values[:-distance])
        if not len(equal):
            return
        yield order[equal], order[equal + distance]


def _judged(
    first: Indices, second: Indices, places: Indices, far: Indices, corpus: "_Runs", threshold: float
) -> tuple[Indices, Indices]:
    """Clusters and known far pairs after these pairs have been looked at, but those whose answer is known."""
    is_open = places[first] != places[second]
    first, second = first[is_open], second[is_open]
    pairs = first * len(places) + second
    if len(far) and len(pairs):
        is_new = far[np.minimum(np.searchsorted(far, pairs), len(far) - 1)] != pairs
        first, second, pairs = first[is_new], second[is_new], pairs[is_new]
    if not len(pairs):
        return places, far
    is_near = np.array(
        [corpus.similarity(a, b, threshold) >= threshold for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    )
    return _joined(places, first[is_near], second[is_near]), np.union1d(far, pairs[~is_near])


def _joined(places: Indices, first: Indices, second: Indices) -> Indices:
    """Clusters in which these pairs hang together; each keeps the lowest place as its own."""
    while True:
        one, other = places[first], places[second]
        apart = one != other
        if not apart.any():
            return places
        np.minimum.at(places, np.maximum(one, other)[apart], np.minimum(one, other)[apart])
        while not np.array_equal(shorter := places[places], places):
            places = shorter


class _Runs:
    """The sets of runs of all documents, read where they are asked for."""

    def __init__(self, runs: Hashes, starts: Indices) -> None:
        self.runs, self.starts = runs, starts
        self.of = lru_cache(maxsize=4 * NEIGHBOURS)(self._of)

    def _of(self, place: int) -> Hashes:
        runs = np.sort(self.runs[self.starts[place] : self.starts[place + 1]])
        return runs[np.concatenate(([True], runs[1:] != runs[:-1]))]

    def similarity(self, first: int, second: int, threshold: float) -> float:
        """Jaccard similarity; 0 where the sizes alone say that it is below the threshold."""
        one, other = self.of(first), self.of(second)
        if min(len(one), len(other)) < threshold * max(len(one), len(other)):
            return 0.0
        common = len(np.intersect1d(one, other, assume_unique=True))
        return common / (len(one) + len(other) - common)
