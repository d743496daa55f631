"""JSON lines: one object per line, its text in one column."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NoReturn

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Document, Part
from lilliput.corpus.files import digest, find, lines, shown
from lilliput.corpus.reading import Reader
from lilliput.corpus.sources.entry import Entry, first, hashed

LONGEST = 64 << 20
"""Bytes of the longest line."""


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_not_json)
"""Strict: Python's own accepts NaN and Infinity."""


@settings
class JsonlSource(Entry):
    kind: Literal["jsonl"] = "jsonl"
    path: Semantic[str]
    """A file, a folder (all its .jsonl files, recursively), or a pattern such as `data/*.jsonl`; .gz and .zst too."""
    text_column: Semantic[str] = "text"
    """The key whose value is the document's text."""

    @property
    def label(self) -> str:
        return self.path

    def pieces(self, part: Part | None = None) -> list[str]:
        return [str(path) for path in first(find(self.path, ".jsonl"), self)]

    def piece(self, name: str, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        root, path = Path(self.path), Path(name)
        label = shown(path.relative_to(root)) if path != root and path.is_relative_to(root) else shown(path.name)
        return reader.undamaged(read_jsonl(path, self.text_column, reader, self.label, label))

    def fingerprint(self, part: Part | None = None) -> str:
        return hashed(self, (digest(path)[1] for path in first(find(self.path, ".jsonl"), self)))


def read_jsonl(
    path: Path, column: str, reader: Reader, source: str, name: str, part: Part | None = None
) -> Iterator[Document]:
    """The documents of one .jsonl file; the key of each is its line number."""
    place, reader = shown(path), reader.in_utf8()
    for number, (offset, data) in enumerate(lines(path, LONGEST), 1):
        text = _document(data, column, reader, f"{place}: line {number} (byte {offset})", offset)
        if text is not None:
            yield Document(text, source, f"{name}:{number}", part)


def _document(data: bytes | None, column: str, reader: Reader, where: str, offset: int) -> str | None:
    line = None if data is None else reader.text(data, where, offset)
    try:
        if data is None:
            raise ValueError(f"longer than {LONGEST >> 20} MiB")
        return None if line is None else reader.without_surrogates(_column(line, column), where)
    except RecursionError:
        reader.malformed(where, "nested too deeply")
    except ValueError as error:
        reader.malformed(where, str(error).partition(":")[0].lower())
    return None


def _column(line: str, column: str) -> str:
    row = DECODER.decode(line)
    if not isinstance(row, dict):
        raise ValueError("not an object")
    if column not in row:
        raise ValueError(f"no column `{column}`; it has {', '.join(map(repr, row)) or 'none'}"[:200])
    text = row[column]
    if not isinstance(text, str):
        raise ValueError(f"the column `{column}` is no text")
    return text
