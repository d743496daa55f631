"""Text files: a file, a folder or a pattern; a file is one document unless separator lines or headings divide it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Document, Part
from lilliput.corpus.files import blocks, digest, find, shown
from lilliput.corpus.reading import Reader
from lilliput.corpus.sources.entry import Entry, first, hashed

Divide = Literal["separator", "articles"]

LONGEST = 256 << 20
"""Bytes of the longest document: one document is held in memory."""
SEPARATOR = re.compile(rb"<\|endoftext\|>(?<![^\n]<\|endoftext\|>)[ \t]*\r?\n")
HEADING = re.compile(rb"(?:\A|\n[ ]?\n)(?= = [^=\n](?:[^\n]*[^=\n])? = \n)")
"""WikiText: ` = Title = ` after a blank line opens an article."""
OVERLAP = 4096
"""Bytes looked at again with the next block: longer than a separator or a title."""


@settings
class TextSource(Entry):
    kind: Literal["text"] = "text"
    path: Semantic[str]
    """A file, a folder (all its .txt files, recursively), or a pattern such as `books/*.txt`; .gz and .zst too."""
    divide: Semantic[Divide] = "separator"
    """Where a file's next document starts: after a line `<|endoftext|>`, or at each WikiText article heading."""

    @property
    def label(self) -> str:
        return self.path

    def pieces(self, part: Part | None = None) -> list[str]:
        return [str(path) for path in first(find(self.path, ".txt"), self)]

    def piece(self, name: str, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        root, path = Path(self.path), Path(name)
        label = shown(path.relative_to(root)) if path != root and path.is_relative_to(root) else shown(path.name)
        return read_text(path, self.divide, reader, self.label, label)

    def fingerprint(self, part: Part | None = None) -> str:
        return hashed(self, (digest(path)[1] for path in first(find(self.path, ".txt"), self)))


def read_text(
    path: Path, divide: Divide, reader: Reader, source: str, name: str, part: Part | None = None
) -> Iterator[Document]:
    """The documents of one text file."""
    for number, (offset, data) in enumerate(divided(path, divide), 1):
        text = reader.text(data, shown(path), offset)
        if text is not None:
            yield Document(text, source, f"{name}:{number}", part)


def divided(path: Path, divide: Divide) -> Iterator[tuple[int, bytes]]:
    """(byte offset, bytes) of each document of a file.

    A separator and the line end before it belong to no document; a heading opens its article.
    """
    pattern = SEPARATOR if divide == "separator" else HEADING
    held, offset, scanned = bytearray(), 0, 0
    for block in blocks(path):
        held += block
        while match := pattern.search(held, scanned):
            if match.end():
                yield offset, _before(match, held, divide)
            offset += match.end()
            del held[: match.end()]
            scanned = int(divide == "articles")  # past the heading that opens what is held
        scanned = max(scanned, len(held) - OVERLAP)
        if len(held) > LONGEST:
            cause = f"{shown(path)}: the document at byte {offset} is longer than {LONGEST >> 20} MiB"
            raise LilliputError(cause, "divide it by lines `<|endoftext|>`, or into files", Exit.CONTENT)
    held += b"\n"  # so that a separator may end the file
    last = SEPARATOR.search(held, scanned) if divide == "separator" else None
    rest = _before(last, held, divide) if last else bytes(memoryview(held)[:-1])
    held.clear()
    if rest:
        yield offset, rest


def _before(match: re.Match[bytes], held: bytearray, divide: Divide) -> bytes:
    if divide == "articles":
        return bytes(held[: match.end()])
    return bytes(held[: match.start()]).removesuffix(b"\n").removesuffix(b"\r")
