"""Rows of CSV and TSV files: a header names the columns, and a row that does not fit it is refused or left out."""

import csv
from collections.abc import Iterator
from pathlib import Path

from lilliput.corpus.columns import Columns, Extract, insist
from lilliput.corpus.files import lines, shown
from lilliput.corpus.objects import Found, text_of
from lilliput.corpus.reading import Reader

LONGEST = 16 << 20
"""Bytes of the longest line, and of the longest field: a quote that never ends goes no further."""


def read_delimited(path: Path, columns: Columns, extract: Extract, reader: Reader, delimiter: str) -> Found:
    """(line number, text) of each row.

    Raises LilliputError (RECIPE) for a column that the header has not.
    """
    csv.field_size_limit(LONGEST)
    given = _Lines(path, reader)
    rows = csv.reader(given, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        given.first = None
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            reader.malformed(given.where, str(error).lower())
            continue
        if header is None:
            header = row
            insist(columns, header, shown(path))
        elif len(row) == len(header):
            text = text_of(dict(zip(header, row, strict=True)), extract, reader, given.where)
            if text is not None:
                yield given.number, text
        elif row:  # a blank line is no row
            reader.malformed(given.where, f"{len(row)} fields instead of {len(header)}")


class _Lines:
    """Lines with their ends, as the csv module wants them; `first` is that of the row which is being read."""

    def __init__(self, path: Path, reader: Reader) -> None:
        self.place, self.reader, self.rest = shown(path), reader, enumerate(lines(path, LONGEST), 1)
        self.first: tuple[int, int] | None = None
        self.number = 0

    @property
    def where(self) -> str:
        number, offset = self.first or (self.number, 0)
        return f"{self.place}: line {number} (byte {offset})"

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for number, (offset, data) in self.rest:
            here = self.number, _ = number, offset
            self.first = self.first or here
            if data is not None:
                return f"{self._decoded(data, offset)}\n"
            where = f"{self.place}: line {self.number} (byte {offset})"
            self.reader.malformed(where, f"longer than {LONGEST >> 20} MiB")
            if self.first == here:
                self.first = None
        raise StopIteration

    def _decoded(self, data: bytes, offset: int) -> str:
        """Characters; bytes that are none become lone surrogates, and are repaired or left out with the text."""
        try:
            return data.decode("utf-8-sig" if offset == 0 else "utf-8")
        except UnicodeDecodeError:
            if self.reader.reading.invalid_utf8 == "refuse":
                self.reader.text(data, f"{self.place}: line {self.number} (byte {offset})", offset)
            return data.decode("utf-8-sig" if offset == 0 else "utf-8", "surrogateescape")
