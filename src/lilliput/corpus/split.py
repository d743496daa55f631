"""Train, validation and test: a set's official parts, the tail of one text, or a hash of each document."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Document, Part, size

FEW = 200
"""Sets with fewer documents are divided by the rank of their hashes, so that no part is empty by chance."""
WHOLE = 1 << 64

Documents = Callable[[], Iterator[Document]]
"""Reads the documents from the start each time."""


@settings
class SplitConfig:
    kind: Semantic[Literal["auto", "official", "tail", "hash"]] = "auto"
    """How documents are divided; auto is official where a set has parts, tail for one document, else hash."""
    validation: Semantic[float] = Field(default=0.1, ge=0, lt=1)
    """Share of the validation part (of documents for hash, of bytes for tail); official parts are what they are."""
    test: Semantic[float] = Field(default=0.0, ge=0, lt=1)
    """Share of the test part, which comes after the validation part."""

    def __post_init__(self) -> None:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on: their sum must be less than 1")

    def share(self, part: Part) -> float:
        """The share of documents or bytes that `part` gets."""
        return {"train": 1 - self.validation - self.test, "validation": self.validation, "test": self.test}[part]


def expand_split(value: Any) -> Any:
    """The tree of a `split` as a recipe may write it: a bare word is its kind."""
    return {"kind": value} if isinstance(value, str) else value


def divide(documents: Documents, split: SplitConfig, part: Part) -> Iterator[Document]:
    """The documents of one part of a set without official parts; with auto, one document is cut at its tail."""
    kind = split.kind
    if kind == "auto":
        kind = "hash" if len(list(islice(documents(), 2))) == 2 else "tail"
    yield from (by_tail if kind == "tail" else by_hash)(documents, split, part)


def by_tail(documents: Documents, split: SplitConfig, part: Part) -> Iterator[Document]:
    """Cut the whole text in order, train first; a document is cut between characters, and no byte is lost.

    A part with a share gets at least one byte's character, if there are any.
    """
    total = sum(size(document.text) for document in documents())
    start, stop = _bounds(total, split)[part]
    offset = 0
    for document in documents():
        length = size(document.text)
        if text := _between(document.text, max(0, start - offset), min(length, stop - offset)):
            yield Document(text, document.source, document.key, part)
        offset += length


def _bounds(total: int, split: SplitConfig) -> dict[Part, tuple[int, int]]:
    test = _at_least_one(total, split.test)
    validation = _at_least_one(total, split.validation)
    first, second = max(0, total - test - validation), total - test
    return {"train": (0, first), "validation": (first, second), "test": (second, total)}


def _at_least_one(total: int, share: float) -> int:
    return max(1, round(total * share)) if share else 0


def _between(text: str, start: int, stop: int) -> str:
    """The characters of `text` whose first byte is in [start, stop)."""
    if start >= stop:
        return ""
    if text.isascii():
        return text[start:stop]  # without two more copies of what may be hundreds of megabytes
    data = text.encode()
    return data[_character(data, start) : _character(data, stop)].decode()


def _character(data: bytes, position: int) -> int:
    """The start of the character that holds byte `position`."""
    while 0 < position < len(data) and data[position] & 0xC0 == 0x80:
        position -= 1
    return position


def by_hash(documents: Documents, split: SplitConfig, part: Part) -> Iterator[Document]:
    """Divide by a hash of the text alone: equal for every run and order of files, and equal texts stay together.

    A document of a group of near-duplicates goes where its group goes, in whatever source and however few there are.
    """
    edges = _edges(documents, split)
    for document in documents():
        if document.group is None:
            is_in = _holds(edges, text_hash(document.text), part)
        else:
            is_in = _holds(_shares(split), document.group, part)
        if is_in:
            yield replace(document, part=part)


def _holds(edges: tuple[int, int], number: int, part: Part) -> bool:
    low, high = edges
    start, stop = {"train": (0, low), "validation": (low, high), "test": (high, WHOLE)}[part]
    return start <= number < stop


def _shares(split: SplitConfig) -> tuple[int, int]:
    """Hashes at which validation and test begin, for parts of the asked shares in the long run."""
    return int((1 - split.validation - split.test) * WHOLE), int((1 - split.test) * WHOLE)


def _edges(documents: Documents, split: SplitConfig) -> tuple[int, int]:
    """Hashes at which validation and test begin: of a few documents by rank."""
    first = list(islice(documents(), FEW))
    if len(first) == FEW:
        return _shares(split)
    hashes = sorted({text_hash(document.text) for document in first if document.group is None})
    test = _at_least_one(len(hashes), split.test)
    validation = _at_least_one(len(hashes), split.validation)
    edges = [*hashes, WHOLE]
    return edges[max(0, len(hashes) - test - validation)], edges[max(0, len(hashes) - test)]


def text_hash(text: str) -> int:
    """64 bits of a hash of the text."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
