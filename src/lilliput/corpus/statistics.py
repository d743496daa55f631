"""Statistics of a corpus: documents, bytes, characters, words, lengths, languages and parts."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from lilliput.corpus.catalog import part_of
from lilliput.corpus.document import Document, Part, size
from lilliput.corpus.languages import Languages, Sample
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.entry import Entry, limited
from lilliput.corpus.split import SplitConfig

QUANTILES = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass
class Counts:
    """Sums over documents."""

    documents: int = 0
    bytes: int = 0
    characters: int = 0
    words: int = 0
    tokens: int | None = None
    """Of the texts alone, without begin and end; None without a tokenizer."""

    def add(self, other: "Counts") -> None:
        for name in ("documents", "bytes", "characters", "words"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.tokens is not None:
            self.tokens = (self.tokens or 0) + other.tokens


@dataclass
class Statistics:
    name: str
    provenance: str
    parts: dict[Part, Counts]
    total: Counts
    lengths: dict[str, int]
    """Quantiles of the documents' lengths in bytes."""
    dropped: dict[str, int]
    """Documents left out, by reason."""
    languages: Languages | None = None
    """None where nobody asked, or where they cannot be told."""


def measure(
    source: Entry,
    split: SplitConfig,
    reading: Reading,
    encode: Callable[[str], Sequence[int]] | None = None,
    *,
    languages: bool = False,
) -> Statistics:
    """Statistics of one source as a recipe would read it; `encode` counts tokens too."""
    lengths, total, reader, sample = array("Q"), Counts(), Reader(reading), Sample()
    for document in limited(source.documents(reader), source):
        one = _count(document.text, encode)
        lengths.append(one.bytes)
        total.add(one)
        if languages:
            sample.add(document.text)
    wanted = [part for part in PARTS if not source.parts or part in source.parts]
    parts = {part: _part(part_of(source, split, Reader(reading), part), encode) for part in wanted}
    kept = {part: counts for part, counts in parts.items() if counts.documents}
    told = sample.languages() if languages and total.documents else None
    return Statistics(source.label, source.provenance(), kept, total, quantiles(lengths), dict(reader.dropped), told)


def _part(documents: Iterable[Document], encode: Callable[[str], Sequence[int]] | None) -> Counts:
    counts = Counts()
    for document in documents:
        counts.add(_count(document.text, encode))
    return counts


def _count(text: str, encode: Callable[[str], Sequence[int]] | None) -> Counts:
    return Counts(1, size(text), len(text), len(text.split()), len(encode(text)) if encode else None)


def quantiles(lengths: Iterable[int]) -> dict[str, int]:
    """Quantiles by the nearest rank; empty for no lengths."""
    ranked = sorted(lengths)
    return {name: ranked[max(0, ceil(share * len(ranked)) - 1)] for name, share in QUANTILES.items()} if ranked else {}
