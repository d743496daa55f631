"""A book in a file: its text by the encoding that its own header states."""

import re
from pathlib import Path

from lilliput.corpus.files import blocks, shown
from lilliput.corpus.reading import Reader, Reading

LONGEST = 32 << 20
"""Bytes of the longest book."""
STATED = re.compile(rb"Character set encoding: *([\w-]+)")
LATIN = {b"ISO-8859-1", b"ISO-LATIN-1", b"LATIN1", b"ISO8859-1"}


def read_book(path: Path, reader: Reader) -> str | None:
    """The text of one file; None where it is blank, too long, or left out for its bytes.

    Project Gutenberg states the encoding in each book's header; without a statement the reader's is taken.
    """
    data = bytearray()
    for block in blocks(path):
        data += block
        if len(data) > LONGEST:
            reader.too_long(shown(path), LONGEST)
            return None
    stated = STATED.search(data, 0, 5000)
    if stated and stated[1].upper() in LATIN:
        reader = Reader(Reading(encoding="latin-1"), reader.dropped)
    return reader.text(bytes(data), shown(path), 0)
