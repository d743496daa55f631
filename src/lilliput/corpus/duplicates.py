"""Duplicates of a corpus: equal documents, lines that stand in many places, near-duplicates; the first one stays."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lilliput.config.settings import Fatal, settings
from lilliput.corpus.document import Document, Dropped
from lilliput.corpus.near import Clusters, Map, Near, clusters
from lilliput.corpus.split import text_hash
from lilliput.corpus.spool import Spool, spool
from lilliput.corpus.words import Counts, Hashes

Texts = Callable[[], Iterator[str]]
"""Reads the texts of a corpus from the start each time, in the same order."""

Search = Callable[[Iterable[str], Near, Path | None, Map], Clusters]
"""Finds the near-duplicates among texts, as `clusters` does."""

EXACT, LINES, NEAR = "exact duplicate", "nothing but repeated lines", "near-duplicate"
SORTED = 1 << 22
"""Lines that are sorted in memory at a time."""


@settings
class Lines:
    """Long lines that stand in many places, such as notices and menus."""

    times: Fatal[int] = Field(default=1, ge=1)
    """How often an equal line may stand in the corpus; the first ones stay."""
    min_characters: Fatal[int] = Field(default=40, ge=1)
    """Shorter lines stay, however often they stand there."""


@settings
class Duplicates:
    """What is left out because it stands in the corpus before."""

    exact: Fatal[bool] = True
    """Leave out documents whose text is equal to an earlier one's, but for white space (and composed forms, NFC)."""
    lines: Lines | None = None
    near: Near | None = None
    scope: Fatal[Literal["corpus", "source"]] = "corpus"
    """Where a document is compared: with all sources of the recipe, or with its own source alone."""


def expand_duplicates(value: Any) -> Any:
    """The tree of a `duplicates` section as a recipe may write it: `true` is a section with its defaults."""
    if isinstance(value, bool):
        return {} if value else None
    if not isinstance(value, dict):
        return value
    return {key: expand_duplicates(part) if key in ("lines", "near") else part for key, part in value.items()}


@dataclass(frozen=True)
class Found:
    """What of a corpus is a duplicate, by the order of its documents: 17 bytes of each stay in memory."""

    is_exact: NDArray[np.bool_]
    """(documents,) whether an equal text came before."""
    near: Clusters
    """Near-duplicates; without them, each document is a cluster of its own."""
    repeated: "Repeated | None"
    keep_near: bool

    def apply(self, documents: Iterable[Document]) -> Iterator[tuple[Document, Document | Dropped]]:
        """Each document of the corpus, read once more in the same order, and what becomes of it.

        Those that stay of a cluster share a `group`, the hash of its first text, where they are several.
        """
        own, firsts = np.arange(len(self.is_exact)), self.near.firsts
        stays = ~self.is_exact & (self.keep_near | (self.near.twins == own))
        several = np.bincount(firsts[stays], minlength=len(own)) > 1
        groups: dict[int, int] = {}
        for number, document in enumerate(documents):
            text = self.text(number, document.text)
            if several[number]:
                groups[number] = text_hash(text)
            yield document, self._result(number, document, text, groups.get(int(firsts[number])))

    def _result(self, number: int, document: Document, text: str, group: int | None) -> Document | Dropped:
        if self.is_exact[number]:
            return Dropped(EXACT)
        if not text or text.isspace():
            return Dropped(LINES)
        if self.near.twins[number] != number and not self.keep_near:
            return Dropped(NEAR)
        return document if text is document.text and group is None else replace(document, text=text, group=group)

    def text(self, number: int, text: str) -> str:
        """A document's text without its repeated lines."""
        return self.repeated.without(number, text) if self.repeated and not self.is_exact[number] else text


def find(
    texts: Texts, config: Duplicates, scratch: Path | None = None, each: Map = map, search: Search = clusters
) -> Found:
    """Look through a corpus for equal documents, then lines, then near ones, each in a pass of what is left.

    The result depends on the texts and their order alone, however `each` shares out the work. In `scratch` lie 8 bytes
    of each long line, and what `clusters` says, while they are looked for.
    """
    firsts = _first_equal(texts(), config.exact)
    own = np.arange(len(firsts))
    is_exact = firsts != own
    repeated = _repeated(texts(), config.lines, is_exact, scratch) if config.lines else None
    found = Found(is_exact, Clusters(own, own), repeated, config.near is not None and config.near.keep)
    if config.near is None:
        return found
    left = (found.text(number, text) for number, text in enumerate(texts()) if not is_exact[number])
    near = search(left, config.near, scratch, each)
    kept = np.flatnonzero(~is_exact)
    all_firsts, twins = own.copy(), own.copy()
    all_firsts[kept], twins[kept] = kept[near.firsts], kept[near.twins]
    return replace(found, near=Clusters(all_firsts[firsts], twins))


def normal(text: str) -> str:
    """What is compared of a document or a line: composed forms (NFC), and one blank for all white space between words.

    Case and signs count, so that two programs that differ in an operator are two programs.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def _first_equal(texts: Iterator[str], wanted: bool) -> Counts:
    """(documents,) the place of the first document with an equal text."""
    if not wanted:
        return np.arange(sum(1 for _ in texts))
    hashes = np.fromiter((text_hash(normal(text)) for text in texts), dtype=np.uint64)
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


@dataclass(frozen=True)
class Repeated:
    """Lines that stand too often, by their number among the long lines of the corpus."""

    numbers: Counts
    """(repeated lines,) sorted."""
    starts: Counts
    """(documents + 1,) the number of each document's first long line."""
    lines: Lines

    def without(self, number: int, text: str) -> str:
        """The text of a document, but for its repeated lines; the very same where it has none."""
        low, high = np.searchsorted(self.numbers, self.starts[number : number + 2])
        if low == high:
            return text
        gone, at, kept = set(self.numbers[low:high].tolist()), int(self.starts[number]), []
        for line in text.split("\n"):
            is_long = len(normal(line)) >= self.lines.min_characters
            if not (is_long and at in gone):
                kept.append(line)
            at += is_long
        return "\n".join(kept)


def _repeated(texts: Iterator[str], lines: Lines, is_exact: NDArray[np.bool_], scratch: Path | None) -> Repeated:
    """The long lines that stand too often in documents that are no duplicates as a whole."""
    counts = np.zeros(len(is_exact) + 1, dtype=np.int64)
    with spool(scratch) as row:
        for number, text in enumerate(texts):
            if not is_exact[number]:
                long = (line for line in map(normal, text.split("\n")) if len(line) >= lines.min_characters)
                hashes = np.fromiter(map(text_hash, long), dtype=np.uint64)
                counts[number + 1] = len(hashes)
                row.add(hashes)
        return Repeated(_too_often(row, lines.times), np.cumsum(counts), lines)


def _too_often(hashes: Spool, times: int) -> Counts:
    """Where numbers stand that stood `times` times before; a share of all numbers is sorted at a time."""
    shares, found = hashes.size // SORTED + 1, [np.empty(0, dtype=np.int64)]
    for share in range(shares):
        parts = list(_of_share(hashes, share, shares))
        at, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.argsort(values, kind="stable")
        at, values = at[order], values[order]
        found.append(at[times:][values[times:] == values[:-times]])
    return np.sort(np.concatenate(found))


def _of_share(hashes: Spool, share: int, shares: int) -> Iterator[tuple[Counts, Hashes]]:
    """(places, numbers) that fall to a share, slice by slice; at least one, maybe empty."""
    for start in range(0, max(1, hashes.size), SORTED):
        values = hashes.read(start, min(start + SORTED, hashes.size))
        at = np.flatnonzero(values % np.uint64(shares) == share)
        yield start + at, values[at]
