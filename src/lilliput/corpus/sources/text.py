"""Text files: a file, a folder or a pattern; a file is one document unless separator lines or headings divide it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.books import read_book
from lilliput.corpus.document import Document, Part
from lilliput.corpus.files import blocks, digest, find, shown
from lilliput.corpus.joining import RowsAre, join
from lilliput.corpus.reading import Reader
from lilliput.corpus.rows import read_text_lines
from lilliput.corpus.sources.entry import first, hashed
from lilliput.corpus.sources.rowed import OPTIONS, Joined

Divide = Literal["separator", "articles"]

LONGEST = 128 << 20
"""Bytes of the longest document: it is held in memory, several times for moments, with up to 4 bytes for each."""
SEPARATOR = re.compile(rb"<\|endoftext\|>(?<![^\n]<\|endoftext\|>)[ \t]{0,1000}\r?\n")
HEADING = re.compile(rb"(?:\A|\n[ ]?\n)(?= = [^=\n](?:[^\n]{0,1000}[^=\n])? = \n)")
"""WikiText: ` = Title = ` after a blank line opens an article."""
OVERLAP = 4096
"""Bytes looked at again with the next block: longer than a separator or a title."""


@settings
class TextSource(Joined):
    kind: Literal["text"] = "text"
    path: Semantic[str]
    """A file, a folder (all its .txt files, recursively), or a pattern such as `books/*.txt`; .gz and .zst too."""
    divide: Semantic[Literal["separator", "articles", "sentences", "books"]] = "separator"
    """Where a file's next document starts: after a line `<|endoftext|>`, or at each WikiText article heading.

    With sentences each line is one, and they are joined; with books each file is one, in the encoding it states.
    """

    def shape(self) -> RowsAre:
        return self.divide if self.divide in ("sentences", "books") else "documents"

    @property
    def label(self) -> str:
        return self.path

    def pieces(self, part: Part | None = None) -> list[str]:
        return [str(path) for path in first(find(self.path, ".txt"), self)]

    def piece(self, name: str, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        root, path = Path(self.path), Path(name)
        label = shown(path.relative_to(root)) if path != root and path.is_relative_to(root) else shown(path.name)
        if self.divide in ("separator", "articles"):
            return reader.undamaged(read_text(path, self.divide, reader, self.label, label))
        return reader.undamaged(self._joined(path, label, reader))

    def _joined(self, path: Path, label: str, reader: Reader) -> Iterator[Document]:
        """The documents of a file of sentences, or of one that is a book."""
        if self.divide == "sentences":
            rows: Iterable[tuple[str, str]] = (
                (f"{label}:{number}", text) for number, text in read_text_lines(path, reader)
            )
        else:
            book = read_book(path, reader)
            rows = [] if book is None else [(label, book)]
        for key, text in join(rows, self.joining(), reader.dropped):
            yield Document(text, self.label, key)

    def fingerprint(self, part: Part | None = None) -> str:
        return hashed(self, (digest(path)[1] for path in first(find(self.path, ".txt"), self)), later=OPTIONS)


def read_text(
    path: Path, divide: Divide, reader: Reader, source: str, name: str, part: Part | None = None
) -> Iterator[Document]:
    """The documents of one text file."""
    for number, (offset, line, data) in enumerate(divided(path, divide), 1):
        if data is None:
            reader.too_long(f"{shown(path)}: line {line} (byte {offset})", LONGEST)
        elif (text := reader.text(data, shown(path), offset, line)) is not None:
            yield Document(text, source, f"{name}:{number}", part)


def divided(path: Path, divide: Divide) -> Iterator[tuple[int, int, bytes | None]]:
    """(byte offset, line, bytes) of each document of a file; None stands for one over `LONGEST` bytes.

    A separator and the line end before it belong to no document; a heading opens its article.
    """
    pattern = SEPARATOR if divide == "separator" else HEADING
    held, scanned = bytearray(), 0
    offset, line = 0, 1  # of the document that is held
    gone = feeds = 0  # bytes and line feeds of it that are held no more, since it is too long
    for block in blocks(path):
        held += block
        while match := pattern.search(held, scanned):
            stop = match.end()
            if stop or gone:
                yield offset, line, None if gone else _before(match, held, divide)
            offset, line, gone, feeds = offset + gone + stop, line + feeds + held.count(b"\n", 0, stop), 0, 0
            del held[:stop]
            scanned = int(divide == "articles")  # past the heading that opens what is held
        scanned = max(scanned, len(held) - OVERLAP)
        if gone or len(held) > LONGEST + 2 * OVERLAP:
            gone, feeds = gone + scanned, feeds + held.count(b"\n", 0, scanned)
            del held[:scanned]
            scanned = 1  # what begins here does not begin a line
    held += b"\n"  # so that a separator may end the file
    last = SEPARATOR.search(held, scanned) if divide == "separator" else None
    rest = _before(last, held, divide) if last else _copy(held, len(held) - 1)
    held.clear()
    if gone or rest != b"":
        yield offset, line, None if gone else rest


def _before(match: re.Match[bytes], held: bytearray, divide: Divide) -> bytes | None:
    """What a match ends."""
    if divide == "articles":
        return _copy(held, match.end())
    stop = match.start()
    stop -= held.endswith(b"\n", 0, stop)
    return _copy(held, stop - held.endswith(b"\r", 0, stop))


def _copy(held: bytearray, stop: int) -> bytes | None:
    return bytes(memoryview(held)[:stop]) if stop <= LONGEST else None
