"""How far long work on text has come: whoever does it counts, whoever wants to see it watches."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

from lilliput.corpus.document import Document, size

Piece = TypeVar("Piece")

EACH = 0.1
"""Seconds between two looks at work that goes on."""


@dataclass(eq=False)
class Work:
    """One pass over text, as far as it has come."""

    name: str
    """What is done, in a few words, such as `cleaning books`."""
    total: int | None = None
    """Documents that there are, where that is known."""
    files: int = 0
    """Files that are known to be read."""
    done: int = 0
    """Files that have been read."""
    documents: int = 0
    bytes: int = 0
    finished: tuple[int, int] = (0, 0)
    """Documents and bytes of the files that were counted as a whole."""
    is_over: bool = False
    begun: float = field(default_factory=lambda: monotonic())
    """Moment of the clock; later by the time that other work inside it took."""
    looked: float = field(default_factory=lambda: monotonic())

    @property
    def seconds(self) -> float:
        return monotonic() - self.begun

    def add(self, documents: int, count: int) -> None:
        """Count documents and their bytes."""
        self.documents += documents
        self.bytes += count
        if _watchers and monotonic() - self.looked >= EACH:
            self.show()

    def finish(self, documents: int, count: int) -> None:
        """Count a file and what it holds, of which nothing or something may have been counted on the way."""
        self.done += 1
        self.finished = self.finished[0] + documents, self.finished[1] + count
        self.documents, self.bytes = self.finished
        self.add(0, 0)

    def show(self) -> None:
        """Let it be seen as it is now."""
        self.looked = monotonic()
        for watcher in _watchers:
            watcher(self)


_watchers: list[Callable[[Work], None]] = []
_works: list[Work] = []
"""Work that goes on, each inside the one before."""


@contextmanager
def watched(watcher: Callable[[Work], None]) -> Iterator[None]:
    """While this holds, `watcher` sees all work of this process: every now and then, and at its end."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


@contextmanager
def working(name: str, total: int | None = None, files: int = 0) -> Iterator[Work]:
    """Work that begins here and is over where this ends; what is read meanwhile counts as its own."""
    work = Work(name, total, files)
    _works.append(work)
    try:
        yield work
    finally:
        around = _works[: _works.index(work)]
        _works.remove(work)
        for other in around:
            other.begun += work.seconds
        work.is_over = True
        work.show()


def read(pieces: Sequence[Piece], documents: Callable[[Piece], Iterable[Document]]) -> Iterator[Document]:
    """The documents of some files, one file after the other, counted for the work that goes on."""
    work = _works[-1] if _works else None
    if work:
        work.files += len(pieces)
    for piece in pieces:
        yield from counted(documents(piece))
        if work:
            work.done += 1


def counted(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents, each counted for the work that goes on when the first is asked for."""
    work = _works[-1] if _works else None
    if work is None:
        yield from documents
        return
    for document in documents:
        work.add(1, size(document.text))
        yield document
