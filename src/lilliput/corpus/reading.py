"""How bytes become text: encoding, what happens to invalid bytes and malformed lines, one byte order mark dropped."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Semantic, settings
from lilliput.corpus.compressed import Damaged
from lilliput.corpus.document import Document

SURROGATE = re.compile("[\ud800-\udfff]")
DROPPED_BYTES = "invalid utf-8"
DROPPED_LINE = "malformed line"
DROPPED_BLANK = "blank"
DROPPED_FILE = "damaged file"
DROPPED_LONG = "too long"


@settings
class Reading:
    encoding: Semantic[Literal["utf-8", "latin-1"]] = "utf-8"
    """How your own text files are encoded; .jsonl files and published sets are always UTF-8."""
    invalid_utf8: Semantic[Literal["refuse", "replace", "skip"]] = "refuse"
    """What to do with bytes that are no UTF-8: refuse naming the byte, replace by U+FFFD, skip the document."""
    malformed: Semantic[Literal["refuse", "skip"]] = "refuse"
    """What to do with a line that is no object with the text column, a text too long, a damaged compressed file."""


class Reader:
    """Applies a `Reading` to one source and counts what it left out, by reason."""

    def __init__(self, reading: Reading, dropped: Counter[str] | None = None, *, keeps_blank: bool = False) -> None:
        self.reading, self.keeps_blank = reading, keeps_blank
        self.dropped: Counter[str] = Counter() if dropped is None else dropped

    def in_utf8(self, *, keeps_blank: bool = False) -> "Reader":
        """The same reader for files whose encoding is not for a recipe to say; it shares the counts."""
        reading = Reading(invalid_utf8=self.reading.invalid_utf8, malformed=self.reading.malformed)
        return Reader(reading, self.dropped, keeps_blank=keeps_blank)

    def text(self, data: bytes, where: str, offset: int, line: int | None = None) -> str | None:
        """The text of one document that starts at byte `offset` of `where`, on `line`; None where it is left out."""
        begin = len(codecs.BOM_UTF8) if self._has_mark(data, offset) else 0
        try:
            text = data[begin:].decode(self.reading.encoding)
        except UnicodeDecodeError as error:
            position = begin + error.start
            if line is not None:
                where += f": line {line + data[:position].count(10)}"
            return self._invalid(f"{where}: byte {offset + position} is no UTF-8", data[begin:])
        return self.unless_blank(text)

    def _has_mark(self, data: bytes, offset: int) -> bool:
        return offset == 0 and self.reading.encoding == "utf-8" and data.startswith(codecs.BOM_UTF8)

    def without_surrogates(self, text: str, where: str) -> str | None:
        """`text`, which may hold the lone surrogates that JSON can spell and UTF-8 cannot."""
        if not text.isascii() and SURROGATE.search(text):
            repaired = SURROGATE.sub("\ufffd", text).encode()
            return self._invalid(f"{where}: the text holds a lone surrogate", repaired)
        return self.unless_blank(text)

    def unless_blank(self, text: str) -> str | None:
        if self.keeps_blank or (text and not text.isspace()):
            return text
        self.dropped[DROPPED_BLANK] += 1
        return None

    def malformed(self, where: str, reason: str) -> None:
        """Refuse or leave out a line that cannot be read."""
        action = "repair the line, or leave such lines out with `data.malformed=skip`"
        self._refuse_or_count(LilliputError(f"{where}: {reason}", action, Exit.CONTENT), DROPPED_LINE)

    def too_long(self, where: str, longest: int) -> None:
        """Refuse or leave out a document that is not to be held in memory."""
        cause = f"{where}: longer than {longest >> 20} MiB without a line `<|endoftext|>`"
        action = "divide the text by such lines or into files, or leave it out with `data.malformed=skip`"
        self._refuse_or_count(LilliputError(cause, action, Exit.CONTENT), DROPPED_LONG)

    def undamaged(self, documents: Iterator[Document]) -> Iterator[Document]:
        """The documents of a file; one found damaged before its first is refused, or left out and counted as one."""
        try:
            yield from documents
        except Damaged as error:
            self._refuse_or_count(error, DROPPED_FILE)

    def _refuse_or_count(self, error: LilliputError, reason: str) -> None:
        if self.reading.malformed == "refuse":
            raise error
        self.dropped[reason] += 1

    def _invalid(self, cause: str, data: bytes) -> str | None:
        if self.reading.invalid_utf8 == "refuse":
            action = "repair the file, or set `data.invalid_utf8` to replace or skip, or `data.encoding` to latin-1"
            raise LilliputError(cause, action, Exit.CONTENT)
        if self.reading.invalid_utf8 == "replace":
            return data.decode(errors="replace")
        self.dropped[DROPPED_BYTES] += 1
        return None
