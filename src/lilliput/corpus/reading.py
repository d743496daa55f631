"""How bytes become text: encoding, what happens to invalid bytes and malformed lines, one byte order mark dropped."""

import codecs
import re
from collections import Counter
from typing import Literal

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Semantic, settings

SURROGATE = re.compile("[\ud800-\udfff]")
DROPPED_BYTES = "invalid utf-8"
DROPPED_LINE = "malformed line"
DROPPED_BLANK = "blank"


@settings
class Reading:
    encoding: Semantic[Literal["utf-8", "latin-1"]] = "utf-8"
    """How your own text files are encoded; .jsonl files and published sets are always UTF-8."""
    invalid_utf8: Semantic[Literal["refuse", "replace", "skip"]] = "refuse"
    """What to do with bytes that are no UTF-8: refuse naming the byte, replace by U+FFFD, skip the document."""
    malformed: Semantic[Literal["refuse", "skip"]] = "refuse"
    """What to do with a line of a .jsonl file that is no object with the text column."""


class Reader:
    """Applies a `Reading` to one source and counts what it left out, by reason."""

    def __init__(self, reading: Reading, dropped: Counter[str] | None = None) -> None:
        self.reading = reading
        self.dropped: Counter[str] = Counter() if dropped is None else dropped

    def in_utf8(self) -> "Reader":
        """The same reader for files whose encoding is not for a recipe to say; it shares the counts."""
        reading = Reading(invalid_utf8=self.reading.invalid_utf8, malformed=self.reading.malformed)
        return Reader(reading, self.dropped)

    def text(self, data: bytes, where: str, offset: int) -> str | None:
        """The text of one document that starts at byte `offset` of `where`; None where it is left out."""
        if offset == 0 and self.reading.encoding == "utf-8":
            data = data.removeprefix(codecs.BOM_UTF8)
        try:
            text = data.decode(self.reading.encoding)
        except UnicodeDecodeError as error:
            position = offset + error.start
            return self._invalid(f"{where}: byte {position} is no UTF-8", data.decode("utf-8", "replace"))
        return self.unless_blank(text)

    def without_surrogates(self, text: str, where: str) -> str | None:
        """`text`, which may hold the lone surrogates that JSON can spell and UTF-8 cannot."""
        if not text.isascii() and SURROGATE.search(text):
            return self._invalid(f"{where}: the text holds a lone surrogate", SURROGATE.sub("\ufffd", text))
        return self.unless_blank(text)

    def unless_blank(self, text: str) -> str | None:
        if text and not text.isspace():
            return text
        self.dropped[DROPPED_BLANK] += 1
        return None

    def malformed(self, where: str, reason: str) -> None:
        """Refuse or leave out a line that cannot be read."""
        if self.reading.malformed == "refuse":
            action = "repair the line, or leave such lines out with `data.malformed=skip`"
            raise LilliputError(f"{where}: {reason}", action, Exit.CONTENT)
        self.dropped[DROPPED_LINE] += 1

    def _invalid(self, cause: str, replaced: str) -> str | None:
        if self.reading.invalid_utf8 == "refuse":
            action = "repair the file, or set `data.invalid_utf8` to replace or skip, or `data.encoding` to latin-1"
            raise LilliputError(cause, action, Exit.CONTENT)
        if self.reading.invalid_utf8 == "replace":
            return replaced
        self.dropped[DROPPED_BYTES] += 1
        return None
