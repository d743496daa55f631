"""Byte n-grams with interpolated modified Kneser-Ney smoothing: the baseline that every model has to beat."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

END, BEGIN = 256, 257
"""Symbols above the 256 bytes: `END` is predicted like a byte, `BEGIN` only ever stands in a context."""
OUTCOMES, SYMBOLS = 257, 258
BLOCK = 1 << 20
"""Bytes scored at a time, which bounds the memory."""


@dataclass(frozen=True, slots=True)
class Score:
    """What documents cost: the nats of bytes and ends, over the bytes alone."""

    nats: float
    bytes: int

    @property
    def bits_per_byte(self) -> float:
        """NaN without bytes."""
        return self.nats / math.log(2) / self.bytes if self.bytes else math.nan


@dataclass(frozen=True, slots=True)
class Level:
    """The grams of one length, a level of a trie: a key is (index of the context, one level down) * 258 + symbol."""

    keys: Ids
    """(grams,) sorted: the index of a gram is its place here."""
    shares: Floats
    """(grams,) discounted probability of the last symbol after the others."""
    backoffs: Floats
    """(grams one level down,) the probability that this context leaves to the shorter one."""


@dataclass(frozen=True)
class KneserNey:
    """An n-gram model over 256 bytes and the end of a document (Chen and Goodman, 1998, section 3)."""

    order: int
    """Symbols of the longest gram, the predicted one included."""
    fitted_bytes: int
    """Bytes it was fitted on, at most the limit."""
    levels: tuple[Level, ...]

    @classmethod
    def fit(cls, documents: Iterable[bytes], order: int, limit: int = 16_000_000) -> "KneserNey":
        """Count the first `limit` bytes; a document that is cut there has no end. ValueError if order < 1."""
        if order < 1:
            raise ValueError(f"an n-gram has at least one symbol, not {order}")
        symbols, offsets, fitted = _within(documents, limit)
        keys, owners, levels = np.arange(SYMBOLS), symbols, []
        contexts = 1
        for length in range(1, order + 1):
            counts = _count(owners[offsets >= max(1, length - 1)], len(keys))
            longer = _lengthen(owners, symbols, offsets >= length) if length < order else None
            if longer:
                # Nothing precedes BEGIN, so a gram that starts with it keeps its plain count (as in KenLM).
                opening = _count(owners[offsets == length - 1], len(keys)) > 0
                counts = np.where(opening, counts, _count(owners[longer[2]], len(keys)))
            levels.append(_level(keys, counts, contexts))
            if longer:
                contexts, (keys, owners, _) = len(keys), longer
        return cls(order, fitted, tuple(levels))

    def token_nats(self, document: bytes) -> Floats:
        """(len(document) + 1,) -log P of each byte after all before it, and of the end."""
        symbols, offsets = _line_up([document])
        return self._nats(symbols, offsets)[1:]

    def nats(self, document: bytes) -> float:
        """-log P of the document, its end included."""
        return float(self.token_nats(document).sum())

    def score(self, documents: Iterable[bytes]) -> Score:
        """The sum over documents; one pass, in blocks."""
        nats, size = 0.0, 0
        for block in _blocks(documents):
            nats += float(self._nats(*_line_up(block)).sum())
            size += sum(map(len, block))
        return Score(nats, size)

    def scores(self, documents: Iterable[bytes]) -> Iterator[Score]:
        """The score of each document, in order; a document's does not depend on those beside it."""
        for block in _blocks(documents):
            nats, at = self._nats(*_line_up(block)), 0
            for document in block:
                stop = at + len(document) + 2
                yield Score(float(nats[at:stop].sum()), len(document))
                at = stop

    def _nats(self, symbols: Ids, offsets: Ids) -> Floats:
        """(symbols,) -log P of each symbol; 0 at each BEGIN."""
        chances = np.full(len(symbols), 1 / OUTCOMES)
        chances[offsets == 0] = 1.0
        found = np.zeros(len(symbols) + 1, dtype=np.int64)  # one place ahead: found[t] is the context of symbol t
        for length, level in enumerate(self.levels, start=1):
            context = found[:-1] if length > 1 else np.zeros_like(symbols)
            known = np.flatnonzero((context >= 0) & (offsets >= length - 1))
            key = context[known] * SYMBOLS + symbols[known]
            place = np.minimum(np.searchsorted(level.keys, key), max(0, len(level.keys) - 1))
            hit = level.keys[place] == key if len(level.keys) else np.zeros(len(key), dtype=bool)
            share = np.zeros(len(known))
            share[hit] = level.shares[place[hit]]
            inner = offsets[known] > 0
            at = known[inner]
            chances[at] = share[inner] + level.backoffs[context[at]] * chances[at]
            found = np.full(len(symbols) + 1, -1, dtype=np.int64)
            found[known[hit] + 1] = place[hit]
        nats: Floats = -np.log(chances)
        return nats


def _count(owners: Ids, size: int) -> Ids:
    return np.bincount(owners, minlength=size)


def _lengthen(owners: Ids, symbols: Ids, follows: NDArray[np.bool_]) -> tuple[Ids, Ids, Ids]:
    """Grams one symbol longer: their keys, the gram that ends at each position (-1: none), where each first ends."""
    places = np.flatnonzero(follows)
    keys, first, inverse = np.unique(
        owners[places - 1] * SYMBOLS + symbols[places], return_index=True, return_inverse=True
    )
    longer = np.full(len(symbols), -1, dtype=np.int64)
    longer[places] = inverse
    return keys, longer, places[first]


def _level(keys: Ids, counts: Ids, contexts: int) -> Level:
    less = _discounts(counts)[np.minimum(counts, 3)]
    context = keys // SYMBOLS
    totals = np.bincount(context, weights=counts, minlength=contexts)
    kept = np.bincount(context, weights=less, minlength=contexts)
    seen = totals > 0
    divisor = np.where(seen, totals, 1.0)
    return Level(keys, (counts - less) / divisor[context], np.where(seen, kept / divisor, 1.0))


def _discounts(counts: Ids) -> Floats:
    """(4,) what is taken off a count of 0, 1, 2 and 3 or more; half the count where counts of counts say nothing."""
    one, two, three, four = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    found = [0.0, 0.5, 1.0, 1.5]
    if one and two and three and four:
        y = one / (one + 2 * two)
        estimates = (1 - 2 * y * two / one, 2 - 3 * y * three / two, 3 - 4 * y * four / three)
        for c, estimate in enumerate(estimates, start=1):
            if 0 < estimate < c:
                found[c] = estimate
    return np.array(found)


def _within(documents: Iterable[bytes], limit: int) -> tuple[Ids, Ids, int]:
    """Symbols and offsets of the first `limit` bytes, and how many bytes these are."""
    kept, room = [], limit
    for document in documents:
        kept.append(document[:room])
        if len(document) > room:
            symbols, offsets = _line_up(kept)
            return symbols[:-1], offsets[:-1], limit
        room -= len(document)
    return *_line_up(kept), limit - room


def _line_up(documents: list[bytes]) -> tuple[Ids, Ids]:
    """Begin, bytes, end of each document in one row, and each symbol's distance from its begin."""
    symbols = np.empty(sum(map(len, documents)) + 2 * len(documents), dtype=np.int64)
    offsets = np.empty_like(symbols)
    at = 0
    for document in documents:
        stop = at + len(document) + 1
        symbols[at], symbols[stop] = BEGIN, END
        symbols[at + 1 : stop] = np.frombuffer(document, dtype=np.uint8)
        offsets[at : stop + 1] = np.arange(len(document) + 2)
        at = stop + 1
    return symbols, offsets


def _blocks(documents: Iterable[bytes]) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    for document in documents:
        block.append(document)
        size += len(document)
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block
