"""Notices: sentences of a book about its copyright, licence, number and publisher, which are not part of it."""

import re
from typing import Literal

from lilliput.config.settings import settings
from lilliput.corpus.document import Dropped

NOTICE = re.compile(
    r"\ball rights (?:are )?reserved\b|\bsmashwords\b|\bisbn\b[ :#(-]{0,4}[\dx]|\bpublished by [^.]{1,60} at \w+\.com\b"
    r"|\bcopyright ?(?:©|\( ?c ?\)|\d{4}|by\b)|(?:©|\( ?c ?\)) ?(?:copyright )?\d{4}"
    r"|\bthis e-?book is licensed\b|\bno part of this (?:e-?)?(?:book|publication)\b"
    r"|\b(?:is|are) (?:a )?works? of fiction\b|\bresemblance to (?:any )?(?:actual |real )?(?:persons|people|events)\b"
    r"|\bmay not be re-?sold or given away\b|\bthank you for (?:downloading|respecting the)\b",
    re.I,
)
"""What the front pages of the books in BookCorpus say (Bandy and Vincent, arXiv 2105.05241, look at it closely)."""
WORDS = (
    *("reserved", "smashwords", "isbn", "published by", "copyright", "©", "(c", "( c", "licensed", "no part of this"),
    *("of fiction", "resemblance to", "given away", "thank you for"),
)
"""One of them is in every notice; looking for words is ten times as fast."""
SENTENCE = re.compile(r"(?<=[.!?])(?=[ \t])")


@settings
class NoticesRule:
    kind: Literal["notices"] = "notices"

    def apply(self, text: str) -> str | Dropped:
        """Whole sentences go; a line that is left without one goes too."""
        if not _may_have_one(text):
            return text
        lines = text.split("\n")
        return "\n".join(kept for line in lines if (kept := _without_notices(line)) or not line.strip())


def _may_have_one(text: str) -> bool:
    low = text.lower()
    return any(word in low for word in WORDS)


def _without_notices(line: str) -> str:
    if not (_may_have_one(line) and NOTICE.search(line)):
        return line
    return "".join(sentence for sentence in SENTENCE.split(line) if not NOTICE.search(sentence)).strip()
