"""Encoding: text that was decoded wrongly once is repaired, line ends become one kind, control characters go."""

import re
from typing import Literal

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.missing import missing

MARKS = bytes(range(0x80, 0xC0)).decode("windows-1252", "ignore")
"""What the last bytes of a character look like in Windows-1252."""
LOST = re.compile(f"â€(?![\x80-\xbf{MARKS}])")
"""A closing quotation mark whose third byte, 0x9D, was thrown away: Windows-1252 has no character for it."""
SUSPECT = re.compile("[\x80-\u04ff\u2010-\u2044\u20a0-\u25ff\ufb00-\ufb06]{2}|[\x80-\x9fÂÃ]")
"""What mojibake has: two characters together of the few hundred that single bytes stand for, or one of a few."""
CONTROLS = re.compile("[\0-\b\v\x0e-\x1f\x7f\ufeff\ufffe\uffff]")
"""Characters without a meaning in text; tab, line feed, form feed and carriage return have one."""
LONGEST = 1 << 14
"""Characters that are repaired together: the damage is one kind within a line, but not within a document."""


@settings
class EncodingRule:
    kind: Literal["encoding"] = "encoding"
    mojibake: Semantic[bool] = True
    """Repair UTF-8 that was read as another encoding, such as `itâ€™s`; whatever is not clearly damaged stays."""
    line_ends: Semantic[bool] = True
    """Make carriage returns line feeds."""
    controls: Semantic[bool] = True
    """Remove control characters and byte order marks within the text."""

    def apply(self, text: str) -> str | Dropped:
        """The repaired text. Raises LilliputError (UNAVAILABLE) where ftfy is not installed."""
        if self.mojibake and not text.isascii():
            text = repair(text)
        if self.line_ends and "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return CONTROLS.sub("", text) if self.controls else text


def repair(text: str) -> str:
    """Mojibake undone line by line by ftfy; quotes, ligatures, widths and entities are left as they are."""
    try:
        from ftfy import fix_encoding
    except ImportError:
        raise missing("encoding", "ftfy") from None
    if "â€" in text:
        text = LOST.sub("\u201d", text)
    pieces, done = [], 0
    while match := SUSPECT.search(text, done):
        start, stop = _line(text, match.start(), done)
        pieces += [text[done:start], fix_encoding(text[start:stop])]
        done = stop
    return "".join((*pieces, text[done:])) if pieces else text


def _line(text: str, place: int, first: int) -> tuple[int, int]:
    """Where the line around `place` begins, not before `first`, and ends; a long one is cut, after a space at best."""
    first = max(first, place - LONGEST // 2)
    start = text.rfind("\n", first, place) + 1 or first
    last = min(start + LONGEST, len(text))
    return start, text.find("\n", place, last) + 1 or (last < len(text) and text.rfind(" ", place, last) + 1) or last
