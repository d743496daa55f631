"""Rows of a file, by its ending: parquet, CSV, JSON and JSON lines, or lines of text; each row becomes one text."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.columns import Columns, Extract, missing
from lilliput.corpus.compressed import COMPRESSED, Damaged
from lilliput.corpus.files import blocks, lines, opened, shown
from lilliput.corpus.reading import Reader

LONGEST = 64 << 20
"""Bytes of the longest line, and of the longest field of a CSV file."""
ARRAY = 256 << 20
"""Bytes of the longest file that is one JSON list."""
BATCH = 64
"""Rows of a parquet file that are held at a time."""
DELIMITERS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson", ".json")
ENDINGS = (".parquet", *DELIMITERS, *LINES, ".txt")
"""What `read_rows` reads; all but parquet compressed, too."""

Found = Iterator[tuple[int, str]]


def _not_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_not_json)
"""Strict: Python's own accepts NaN and Infinity."""


def ending(path: Path) -> str:
    """The ending of a name that says its format, without that of a compression."""
    return (path.with_suffix("") if path.suffix in COMPRESSED else path).suffix.lower()


def read_rows(path: Path, columns: Columns, extract: Extract, reader: Reader) -> Found:
    """(row number from 1, text) of a file; blank and, if the reader says so, malformed rows are left out and counted.

    The reader is one `in_utf8`.
    Raises LilliputError: RECIPE for a column that the file has not, CONTENT, UNAVAILABLE without pyarrow.
    """
    match ending(path):
        case ".parquet":
            return _parquet(path, columns, extract, reader)
        case ".csv" | ".tsv" as kind:
            return _csv(path, columns, extract, reader, DELIMITERS[kind])
        case kind if kind in LINES:
            return _json(path, extract, reader) if kind == ".json" else read_lines(path, extract, reader)
        case ".txt":
            return read_text_lines(path, reader)
    action = f"name files that end in {', '.join(ENDINGS)}"
    raise LilliputError(f"{shown(path)}: its ending names no format that is read row by row", action, Exit.CONTENT)


def read_lines(path: Path, extract: Extract, reader: Reader) -> Found:
    """Rows of JSON lines; the number of each is that of its line."""
    place = shown(path)
    words = Reader(reader.reading, reader.dropped)  # a blank line is no row
    for number, (offset, data) in enumerate(lines(path, LONGEST), 1):
        where = f"{place}: line {number} (byte {offset})"
        line = None if data is None else words.text(data, where, offset)
        if data is None:
            reader.malformed(where, f"longer than {LONGEST >> 20} MiB")
        elif line is not None and (text := _extracted(line, extract, reader, where)) is not None:
            yield number, text


def _extracted(line: str, extract: Extract, reader: Reader, where: str) -> str | None:
    try:
        row = DECODER.decode(line)
        if not isinstance(row, dict):
            raise ValueError("not an object")
        return reader.without_surrogates(extract(row), where)
    except RecursionError:
        reader.malformed(where, "nested too deeply")
    except ValueError as error:
        reader.malformed(where, str(error).partition(":")[0].lower())
    return None


def _json(path: Path, extract: Extract, reader: Reader) -> Found:
    """JSON lines, or one JSON list of objects: the first character tells."""
    if not next(blocks(path), b"").removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        yield from read_lines(path, extract, reader)
        return
    data = bytearray()
    for block in blocks(path):
        data += block
        if len(data) > ARRAY:
            cause = f"{shown(path)} is one JSON list of more than {ARRAY >> 20} MiB"
            raise LilliputError(cause, "write it as JSON lines, an object a line", Exit.CONTENT)
    yield from _list(bytes(data), extract, reader, shown(path))


def _list(data: bytes, extract: Extract, reader: Reader, place: str) -> Found:
    try:
        rows = DECODER.decode(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Damaged(f"{place}: byte {error.start} is no UTF-8", "repair the file") from None
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{place} is no JSON list: {str(error).lower()[:80]}", "repair it, or copy it again") from None
    for number, row in enumerate(rows, 1):
        if (text := _text(row, extract, reader, f"{place}: row {number}")) is not None:
            yield number, text


def _text(row: Any, extract: Extract, reader: Reader, where: str) -> str | None:
    """The text of a row that is parsed already; None where it is left out."""
    try:
        if not isinstance(row, dict):
            raise ValueError("not an object")
        return reader.without_surrogates(extract(row), where)
    except ValueError as error:
        reader.malformed(where, str(error))
        return None


def _csv(path: Path, columns: Columns, extract: Extract, reader: Reader, delimiter: str) -> Found:
    place = shown(path)
    csv.field_size_limit(LONGEST)
    rows = csv.reader(_decoded(path, reader), delimiter=delimiter, strict=True)
    try:
        header = next(rows, [])
        _insist(columns, header, place)
        for row in rows:
            where = f"{place}: line {rows.line_num}"
            if len(row) != len(header):
                if row:
                    reader.malformed(where, f"{len(row)} fields instead of {len(header)}")
                continue
            if (text := _text(dict(zip(header, row, strict=True)), extract, reader, where)) is not None:
                yield rows.line_num, text
    except csv.Error as error:
        reader.malformed(f"{place}: line {rows.line_num}", str(error).lower())


def _decoded(path: Path, reader: Reader) -> Iterator[str]:
    """Lines with their ends, as the csv module wants them."""
    for number, (offset, data) in enumerate(lines(path, LONGEST), 1):
        where = f"{shown(path)}: line {number}"
        if data is None:
            reader.malformed(where, f"longer than {LONGEST >> 20} MiB")
        elif not data.strip():
            yield "\n"
        elif (line := reader.text(data, where, offset)) is not None:
            yield f"{line}\n"


def read_text_lines(path: Path, reader: Reader) -> Found:
    """Lines of a text file, each a row."""
    for number, (offset, data) in enumerate(lines(path, LONGEST), 1):
        where = f"{shown(path)}: line {number}"
        if data is None:
            reader.malformed(where, f"longer than {LONGEST >> 20} MiB")
        elif (line := reader.text(data.removesuffix(b"\r"), where, offset)) is not None:
            yield number, line


def _parquet(path: Path, columns: Columns, extract: Extract, reader: Reader) -> Found:
    """Rows of a parquet file, which is first decoded to its end, so that no row of a damaged one is ever used."""
    parquet, place = pyarrow_parquet(shown(path)), shown(path)
    with opened(path) as file:
        try:
            whole = parquet.ParquetFile(file)
            _insist(columns, whole.schema_arrow.names, place)
            for _ in whole.iter_batches(BATCH, columns=list(columns)):
                pass
            number = 0
            for batch in whole.iter_batches(BATCH, columns=list(columns)):
                for row in batch.to_pylist():
                    number += 1
                    if (text := _text(row, extract, reader, f"{place}: row {number}")) is not None:
                        yield number, text
        except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are of these kinds
            cause = f"{place} is damaged, or no parquet file: {' '.join(str(error).lower().split())[:100]}"
            raise Damaged(cause, "copy or download it again") from None


def pyarrow_parquet(what: str) -> Any:
    """The module pyarrow.parquet.

    Raises LilliputError (UNAVAILABLE) where the extra is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        cause = f"reading {what} needs the package pyarrow"
        raise LilliputError(cause, "pip install 'lilliput[data]'", Exit.UNAVAILABLE) from None
    return pyarrow.parquet


def _insist(columns: Columns, known: list[str], place: str) -> None:
    for column in columns:
        if column not in known:
            action = "name the one that holds the text: `text_column` in a recipe, --text-column on the command line"
            raise LilliputError(f"{place}: {missing(column, known)}", action, Exit.RECIPE)
