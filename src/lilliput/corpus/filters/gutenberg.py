"""Gutenberg: the header, the licence and the credits around a Project Gutenberg book are cut off."""

import re
from typing import Literal

from lilliput.config.settings import settings
from lilliput.corpus.document import Dropped

HEADER = 200_000
"""Characters from the start within which a header ends."""
START = re.compile(
    r"^[ \t]*\*{2,3} ?START OF TH(?:IS|E) PROJECT GUTENBERG E-?(?:BOOK|TEXT)[^*]{0,400}\*{2,3}", re.M | re.I
)
"""Since 2003, with THIS; without a space after the stars and over two lines; since 2022 with THE."""
SMALL_PRINT = re.compile(r"^[ \t]*\*+ ?END\*? ?THE SMALL PRINT![^\n]*", re.M)
"""Before 2003: the book begins where the lawyers' small print ends."""
END = re.compile(r"^[ \t]*(?:\*{2,3} ?END OF TH(?:IS|E) PROJECT|End of (?:the |this )?Project) Gutenberg", re.M | re.I)
CREDIT = re.compile(
    r"\W*(?:produced by|e-?text prepared|e-?text by|prepared by|this e-?(?:text|book) was|transcribed (?:from|by)"
    r"|(?:[^\n]{0,80}\n)?scanned by|(?:typed|proofread|html version) by"
    r"|chapters [^\n]{0,20} scanned by|portions of this header)",
    re.I,
)
"""How a paragraph begins that speaks of who made the file."""
LONGEST = 2_000
"""Characters of the longest credit."""


@settings
class GutenbergRule:
    kind: Literal["gutenberg"] = "gutenberg"

    def apply(self, text: str) -> str | Dropped:
        """The book alone; text without such a header or end is left as it is."""
        if "GUTENBERG" not in text and "Gutenberg" not in text:
            return text
        head = [match.end() for pattern in (START, SMALL_PRINT) for match in pattern.finditer(text, 0, HEADER)]
        start = _past_credits(text, max(head)) if head else 0
        end = END.search(text, start)
        stop = end.start() if end else len(text)
        if (start, stop) == (0, len(text)) or not text[start:stop].strip():
            return text
        return text[start:stop].rstrip() + "\n"


def _past_credits(text: str, start: int) -> int:
    """Where the first paragraph begins that is part of the book."""
    while True:
        start = _past_blank_lines(text, start)
        stop = _end_of_paragraph(text, start)
        paragraph = text[start:stop]
        is_credit = CREDIT.match(paragraph) or "Project Gutenberg" in paragraph
        if not paragraph or len(paragraph) > LONGEST or not is_credit:
            return start
        start = stop


def _past_blank_lines(text: str, start: int) -> int:
    while (stop := text.find("\n", start)) >= 0 and not text[start:stop].strip():
        start = stop + 1
    return start


def _end_of_paragraph(text: str, start: int) -> int:
    stop = start
    while (line := text.find("\n", stop)) >= 0 and text[stop:line].strip():
        stop = line + 1
    return stop if line >= 0 else len(text)
