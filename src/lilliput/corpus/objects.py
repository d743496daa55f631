"""JSON objects of a file, one in each line or all in one list; what is none is refused or left out by its place."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from lilliput.corpus.columns import Extract
from lilliput.corpus.files import blocks, lines, shown
from lilliput.corpus.reading import Reader

LONGEST = 16 << 20
"""Bytes of the longest line, and characters of an element of a list: `[],[],` takes 28 times its size as objects."""
BLANKS = " \t\r\n"

Found = Iterator[tuple[int, str]]


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key comes twice")
    return row


DECODER = json.JSONDecoder(parse_constant=_not_json, object_pairs_hook=_object)
"""Strict: Python's own accepts NaN, Infinity, and keys that come twice."""


def read_json(path: Path, extract: Extract, reader: Reader) -> Found:
    """(line or row number from 1, text) of JSON lines, or of one JSON list: the first character tells."""
    start = next(blocks(path), b"").removeprefix(codecs.BOM_UTF8).lstrip()
    return (read_list if start.startswith(b"[") else read_lines)(path, extract, reader)


def read_lines(path: Path, extract: Extract, reader: Reader) -> Found:
    """(line number, text) of JSON lines."""
    place = shown(path)
    words = Reader(reader.reading, reader.dropped)  # a blank line is no row
    for number, (offset, data) in enumerate(lines(path, LONGEST), 1):
        where = f"{place}: line {number} (byte {offset})"
        line = None if data is None else words.text(data, where, offset)
        if data is None:
            reader.malformed(where, f"longer than {LONGEST >> 20} MiB")
        elif line is not None and (text := _parsed(line, extract, reader, where)) is not None:
            yield number, text


def _parsed(line: str, extract: Extract, reader: Reader, where: str) -> str | None:
    try:
        return text_of(DECODER.decode(line), extract, reader, where)
    except (ValueError, RecursionError) as error:
        reader.malformed(where, _reason(error))
    return None


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).partition(":")[0].lower()


def text_of(row: Any, extract: Extract, reader: Reader, where: str) -> str | None:
    """The text of a row that is parsed already; None where it is left out."""
    try:
        if not isinstance(row, dict):
            raise ValueError("not an object")
        text = extract(row)
    except ValueError as error:
        reader.malformed(where, str(error))
        return None
    return reader.without_surrogates(text, where)


def read_list(path: Path, extract: Extract, reader: Reader) -> Found:
    """(row number, text) of the elements of one JSON list, which is never held whole.

    What cannot be parsed ends the list, since nobody can say where the next element begins; it counts as one.
    """
    window, number = _Window(path), 0
    window.take("[")
    is_open = window.peek() != "]"
    while is_open:
        number += 1
        where = f"{shown(path)}: row {number}, {window.place}"
        try:
            row = window.value()
        except (ValueError, RecursionError) as error:
            reader.malformed(where, _reason(error))
            return
        if (text := text_of(row, extract, reader, where)) is not None:
            yield number, text
        is_open = window.take(",") is not None
    if window.take("]") is None or window.peek():
        reader.malformed(f"{shown(path)}: {window.place}", "a list goes on with `,` and ends with `]`")


class _Window:
    """The text of a file from the next value on, read as far as it is needed; bad bytes are lone surrogates in it."""

    def __init__(self, path: Path) -> None:
        self.blocks, self.decoder = blocks(path), codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.text, self.start, self.offset, self.line = "", 0, 0, 1
        if self.peek() == "\ufeff":
            self._pass(1)

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            stop = self.start
            while stop < len(self.text) and self.text[stop] in BLANKS:
                stop += 1
            self._pass(stop - self.start)
            if self.start < len(self.text) or not self._more(1):
                return self.text[self.start : self.start + 1]

    def take(self, sign: str) -> str | None:
        """`sign`, passed, if it comes next."""
        if self.peek() != sign:
            return None
        self._pass(1)
        return sign

    @property
    def place(self) -> str:
        return f"line {self.line} (byte {self.offset})"

    def value(self) -> Any:
        """The next value, passed. ValueError if there is none or it is too long."""
        self.peek()
        while True:
            held = len(self.text) - self.start
            try:
                value, stop = DECODER.raw_decode(self.text, self.start)
            except ValueError:
                if held > LONGEST or not self._more(max(1, min(held, LONGEST - held))):
                    raise
            else:
                length = stop - self.start
                if stop + 3 < len(self.text) or not self._more(3):  # a number may go on: 1 with .5, or e+5
                    self._pass(length)
                    return value

    def _more(self, characters: int) -> bool:
        """Read at least so many characters more, if there are any; False at the end."""
        parts, found = [self.text[self.start :]], 0
        while found < characters and (block := next(self.blocks, None)) is not None:
            parts.append(self.decoder.decode(block))
            found += len(parts[-1])
        if found < characters:
            parts.append(self.decoder.decode(b"", final=True))
            found += len(parts[-1])
        self.text, self.start = "".join(parts), 0
        return found > 0

    def _pass(self, characters: int) -> None:
        passed = self.text[self.start : self.start + characters]
        self.start += len(passed)
        self.offset += len(passed.encode("utf-8", "surrogateescape"))
        self.line += passed.count("\n")
