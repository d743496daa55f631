"""A book in a file: its text by the encoding that its own header states."""

import re
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import blocks, shown
from lilliput.corpus.reading import Reader, Reading

LONGEST = 256 << 20
"""Bytes of the longest book."""
STATED = re.compile(rb"Character set encoding: *([\w-]+)")
LATIN = {b"ISO-8859-1", b"ISO-LATIN-1", b"LATIN1", b"ISO8859-1"}


def read_book(path: Path, reader: Reader) -> str | None:
    """The text of one file; None where it is blank, or left out for its bytes.

    Project Gutenberg states the encoding in each book's header; without a statement it is UTF-8.
    Raises LilliputError (CONTENT) for a file over `LONGEST`, and what the reader refuses.
    """
    data = bytearray()
    for block in blocks(path):
        data += block
        if len(data) > LONGEST:
            raise LilliputError(f"{shown(path)} is longer than {LONGEST >> 20} MiB", "divide it", Exit.CONTENT)
    stated = STATED.search(bytes(data[:5000]))
    if stated and stated[1].upper() in LATIN:
        reader = Reader(Reading(encoding="latin-1"), reader.dropped)
    else:
        reader = reader.in_utf8()
    return reader.text(bytes(data), shown(path), 0)
