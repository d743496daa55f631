"""Rows of a file, by its ending: parquet, CSV, JSON and JSON lines, or lines of text; each row becomes one text."""

from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.columns import Columns, Extract, insist
from lilliput.corpus.compressed import COMPRESSED, Damaged
from lilliput.corpus.delimited import read_delimited
from lilliput.corpus.files import at_rest, lines, opened, shown
from lilliput.corpus.objects import Found, read_json, read_lines, text_of
from lilliput.corpus.reading import Reader

LONGEST = 16 << 20
"""Bytes of the longest line of text."""
BLOCK = 1 << 20
"""Bytes of a parquet file that are read at a time."""
BATCH = 64
"""Rows of a parquet file that are held at a time."""
DELIMITERS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson", ".json")
ENDINGS = (".parquet", *DELIMITERS, *LINES, ".txt")
"""What `read_rows` reads; all but parquet compressed, too."""


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
            return read_delimited(path, columns, extract, reader, DELIMITERS[kind])
        case kind if kind in LINES:
            return (read_json if kind == ".json" else read_lines)(path, extract, reader)
        case ".txt":
            return read_text_lines(path, reader)
    action = f"name files that end in {', '.join(ENDINGS)}"
    raise LilliputError(f"{shown(path)}: its ending names no format that is read row by row", action, Exit.CONTENT)


def read_text_lines(path: Path, reader: Reader) -> Found:
    """Lines of a text file, each a row."""
    for number, (offset, data) in enumerate(lines(path, LONGEST), 1):
        where = f"{shown(path)}: line {number} (byte {offset})"
        if data is None:
            reader.malformed(where, f"longer than {LONGEST >> 20} MiB")
        elif (line := reader.text(data.removesuffix(b"\r"), where, offset)) is not None:
            yield number, line


def _parquet(path: Path, columns: Columns, extract: Extract, reader: Reader) -> Found:
    """Rows of a parquet file, which is first decoded to its end, so that no row of a damaged one is ever used."""
    parquet, place, names = pyarrow_parquet(shown(path)), shown(path), list(columns)
    with opened(path) as file, at_rest(file, path):
        number = 1
        try:
            whole = parquet.ParquetFile(file, buffer_size=BLOCK, page_checksum_verification=True)
            insist(columns, whole.schema_arrow.names, place)
            for batch in whole.iter_batches(BATCH, columns=names):
                batch.validate(full=True)
                number += len(batch)
        except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are of these kinds
            reason = shown(" ".join(str(error).lower().split()))[:100]
            cause = f"{place} is damaged, or no parquet file; row {number} or one soon after it: {reason}"
            raise Damaged(cause, "copy or download it again") from None
        rows = (row for batch in whole.iter_batches(BATCH, columns=names) for row in batch.to_pylist())
        for number, row in enumerate(rows, 1):
            if (text := text_of(row, extract, reader, f"{place}: row {number}")) is not None:
                yield number, text


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
