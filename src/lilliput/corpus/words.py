"""Words of a text as 64-bit numbers, and runs of words: what near-duplicates and contamination are looked for with."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Counts = NDArray[np.int64]

BLOCK = 1 << 18
"""Characters worked on at a time, so that what is computed for a block stays in the processor's cache."""
BLANK = 0x20
WHITE = re.compile(r"\s")
FOREIGN = re.compile(r"[^\x00-\x7f]+")
UNSPACED = (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF), (0x20000, 0x323AF)
"""Scripts without blanks between words (Thai and Lao, Burmese, Khmer, Japanese, Chinese): each sign is a word."""
LOWERED = bytes(ord(chr(byte).lower()) if chr(byte).isalnum() else BLANK for byte in range(128)) + bytes(
    range(128, 256)
)

LONG = 64
"""Bytes of a word from which it is hashed on its own."""
STEP, STIR = np.uint64(0x9FB21C651E98DF25), np.uint64(0xFF51AFD7ED558CCD)
"""Odd numbers without a pattern, to multiply by."""
ENDS = np.array([(1 << 8 * size) - 1 for size in range(8)] + [(1 << 64) - 1], dtype=np.uint64)
"""(9,) what is kept of eight bytes, by how many of them belong to a word."""


class _Signs(dict[int, str]):
    """What stands for a character among words: itself, itself between blanks, or a blank."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        if unicodedata.category(sign)[0] not in "LMN":
            sign = " "
        elif any(first <= code <= last for first, last in UNSPACED):
            sign = f" {sign} "
        self[code] = sign
        return sign


SIGNS = _Signs()


def spelled(text: str) -> bytes:
    """The words of a text between blanks, in UTF-8.

    Case is folded, compatible forms are one (NFKC), and what is neither letter, mark nor digit is a blank.
    """
    if not text.isascii():
        folded = unicodedata.normalize("NFKC", text).casefold()
        text = FOREIGN.sub(lambda run: run[0].translate(SIGNS), folded)
    return text.encode("utf-8", "surrogatepass").translate(LOWERED)


def word_hashes(texts: Sequence[str]) -> tuple[Hashes, Counts]:
    """(words,) a number for each word of all texts, equal for equal words; (texts,) how many words each text has."""
    parts = [spelled(text) for text in texts]
    data = b" ".join([*parts, b"        "])
    stops = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == BLANK)
    starts = np.concatenate(([0], stops[:-1] + 1))
    is_word = starts < stops
    starts, stops = starts[is_word], stops[is_word]
    ends = np.cumsum([len(part) + 1 for part in parts], dtype=np.int64)
    return _hashes(data, starts, stops), np.diff(np.searchsorted(stops, ends), prepend=0)


def _hashes(data: bytes, starts: Counts, stops: Counts) -> Hashes:
    """(words,) eight bytes of each word at a time; a number of eight bytes starts at each byte of `data`."""
    eights = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    sizes = stops - starts
    hashes: Hashes = stirred(eights[starts] & ENDS[np.minimum(sizes, 8)])
    for done in range(8, LONG, 8):
        longer = np.flatnonzero(sizes > done)
        if not len(longer):
            return hashes
        part = eights[starts[longer] + done] & ENDS[np.minimum(sizes[longer] - done, 8)]
        hashes[longer] = stirred(hashes[longer] * STEP + part)
    for word in np.flatnonzero(sizes > LONG).tolist():
        digest = hashlib.blake2b(data[starts[word] : stops[word]], digest_size=8)
        hashes[word] = int.from_bytes(digest.digest(), "little")
    return hashes


def run_hashes(texts: Sequence[str], length: int) -> tuple[Hashes, Counts]:
    """(runs,) a number for each run of `length` words, in order; (texts,) how many runs each text has.

    A text of fewer words is one run, a text without words has none.
    """
    words, counts = word_hashes(texts)
    runs = np.where(counts > 0, np.maximum(counts - length + 1, 1), 0)
    firsts = np.cumsum(counts) - counts
    hashes = _rolled(words, length)[np.repeat(firsts - (np.cumsum(runs) - runs), runs) + np.arange(runs.sum())]
    for text in np.flatnonzero((counts > 0) & (counts < length)).tolist():
        first = firsts[text]
        hashes[runs[:text].sum()] = _rolled(words[first : first + counts[text]], counts[text])[0]
    return stirred(hashes), runs


def long_runs(text: str, length: int) -> Iterator[Hashes]:
    """The numbers of a long text's runs of `length` words, in pieces; none where it has fewer words."""
    held, start = np.empty(0, dtype=np.uint64), 0
    while start < len(text):
        gap = next(WHITE.finditer(text, start + BLOCK), None)
        stop = gap.end() if gap and gap.start() < start + 2 * BLOCK else start + 2 * BLOCK
        held = np.concatenate((held, word_hashes([text[start:stop]])[0]))
        if len(held) >= length:
            yield stirred(_rolled(held, length)[: len(held) - length + 1])
            held = held[len(held) - length + 1 :]
        start = stop


def _rolled(words: Hashes, length: int) -> Hashes:
    """(words,) a polynomial in `STEP`, modulo 2^64, over each word and those after it; the last ones have fewer."""
    padded = np.concatenate((words, np.zeros(length - 1, dtype=np.uint64)))
    rolled = padded[: len(words)].copy()
    for place in range(1, length):
        rolled *= STEP
        rolled += padded[place : place + len(words)]
    return rolled


def stirred(values: Hashes) -> Hashes:
    """Each number's bits spread over all of it (half of MurmurHash3's finaliser)."""
    values = values ^ (values >> np.uint64(32))
    values *= STIR
    values ^= values >> np.uint64(29)
    return values


def blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in order, in lists of about `BLOCK` characters: what is done by block depends on no worker."""
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text)
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block
