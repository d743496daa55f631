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
from lilliput.corpus.spool import Spool, spool
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
STAYING = 64
"""Texts of one cluster that stay which each other text of it is compared with, at most."""
REMEMBERED = 1 << 20
"""Pairs whose answer is remembered (about 110 bytes each); beyond, some are looked at again."""
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


@dataclass(frozen=True)
class Clusters:
    """Which texts are near-duplicates, by their places in the corpus."""

    firsts: Indices
    """(documents,) the first text of each one's cluster, which is all that hangs together by near pairs."""
    twins: Indices
    """(documents,) an earlier text that stays and that this one is near to; its own place where there is none.

    In a chain of small changes the last may be far from the first: such a text stays, in the same cluster.
    """


def clusters(texts: Iterable[str], near: Near, scratch: Path | None = None, each: Map = map) -> Clusters:
    """The near-duplicates among some texts, in one pass.

    In memory stay about 70 bytes of a document, in `scratch` 8 bytes for each of its words and each band.
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
        judge = _Judge(_Runs(runs, np.concatenate(([0], np.cumsum(sizes)))), near.threshold)
        firsts = np.arange(len(sizes))
        for column in columns:
            for one, other in _proposed(column.row(), sizes > 0):
                firsts = judge.joined(firsts, one, other)
        return Clusters(firsts, judge.twins(firsts))


def judged(
    texts: Iterable[str], pairs: Iterable[tuple[Indices, Indices]], near: Near, scratch: Path | None
) -> Clusters:
    """The near-duplicates among some texts of which another program has proposed the pairs."""
    with spool(scratch) as runs:
        counts: list[Indices] = []
        for block in blocks(texts):
            found, sizes = run_hashes([text[:HEAD] for text in block], near.words)
            counts.append(sizes)
            runs.add(found)
        starts = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *counts]))
        judge, firsts = _Judge(_Runs(runs, starts), near.threshold), np.arange(len(starts) - 1)
        for one, other in pairs:
            firsts = judge.joined(firsts, one, other)
        return Clusters(firsts, judge.twins(firsts))


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


class _Judge:
    """Says which pairs are near, and remembers it."""

    def __init__(self, corpus: "_Runs", threshold: float) -> None:
        self.corpus, self.threshold = corpus, threshold
        self.known: dict[int, bool] = {}

    def near(self, one: int, other: int) -> bool:
        pair = min(one, other) << 32 | max(one, other)
        known = self.known.get(pair)
        if known is None:
            known = self.corpus.similarity(one, other, self.threshold) >= self.threshold
            if len(self.known) == REMEMBERED:
                self.known.clear()
            self.known[pair] = known
        return known

    def joined(self, firsts: Indices, one: Indices, other: Indices) -> Indices:
        """Clusters after these pairs have been looked at, but those that hang together already."""
        is_open = firsts[one] != firsts[other]
        one, other = one[is_open], other[is_open]
        is_near = np.fromiter(map(self.near, one.tolist(), other.tolist()), dtype=np.bool_, count=len(one))
        return _joined(firsts, one[is_near], other[is_near])

    def twins(self, firsts: Indices) -> Indices:
        """The first of the texts that stay (`STAYING` of a cluster, at most) that each text is near to."""
        twins, staying = np.arange(len(firsts)), dict[int, list[int]]()
        for place in np.flatnonzero(firsts != twins).tolist():
            stay = staying.setdefault(int(firsts[place]), [int(firsts[place])])
            twin = next((one for one in stay[:STAYING] if self.near(one, place)), None)
            if twin is None:
                stay.append(place)
            else:
                twins[place] = twin
        return twins


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

    def __init__(self, runs: Spool, starts: Indices) -> None:
        self.runs, self.starts = runs, starts
        self.of = lru_cache(maxsize=2 * STAYING)(self._of)

    def _of(self, place: int) -> Hashes:
        runs = np.sort(self.runs.read(int(self.starts[place]), int(self.starts[place + 1])))
        return runs[np.concatenate(([True], runs[1:] != runs[:-1]))]

    def similarity(self, first: int, second: int, threshold: float) -> float:
        """Jaccard similarity; 0 where the sizes alone say that it is below the threshold."""
        one, other = self.of(first), self.of(second)
        if min(len(one), len(other)) < threshold * max(len(one), len(other)):
            return 0.0
        common = len(np.intersect1d(one, other, assume_unique=True))
        return common / (len(one) + len(other) - common)
