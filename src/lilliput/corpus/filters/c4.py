"""C4: the lines of a web page that are sentences stay, if there are some and none is code (arXiv 1910.10683)."""

import re
from typing import Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Dropped

END_MARKS = (".", "?", "!", '"', "”")
CITATION = re.compile(r"\[(?:\d{1,4}|edit|citation needed)\]")
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
SENTENCE_END = re.compile("[.?!][\"'\u201d\u2019)]{0,4}(?=\\s|\\Z)")
LONGEST_WORD = re.compile(r"\S{1001}")


@settings
class C4Rule:
    """The rules of C4 with the thresholds of its code, for pages whose paragraphs are lines; lines stay as they are."""

    kind: Literal["c4"] = "c4"
    min_words_per_line: Semantic[int] = Field(default=5, ge=0)
    """Lines with fewer words go."""
    min_sentences: Semantic[int] = Field(default=3, ge=0)
    """Least sentences in the lines that stay."""
    end_marks: Semantic[bool] = True
    """Lines that do not end in a full stop, question mark, exclamation mark or quotation mark go."""
    braces: Semantic[bool] = True
    """A page with a curly bracket is code, and dropped."""

    def apply(self, text: str) -> str | Dropped:
        kept: list[str] = []
        sentences = 0
        for line in text.split("\n"):
            if not line.strip():
                kept += [""] if kept and kept[-1] else []  # a paragraph's end, once
                continue
            line = CITATION.sub("", line)
            if not self._stays(line):
                continue
            low = line.lower()
            if "lorem ipsum" in low:
                return Dropped("c4: lorem ipsum")
            if self.braces and "{" in line:
                return Dropped("c4: curly bracket")
            if "javascript" in low or any(phrase in low for phrase in POLICY):
                continue
            sentences += len(SENTENCE_END.findall(line)) or 1
            kept.append(line)
        if sentences < self.min_sentences:
            return Dropped("c4: too few sentences")
        return "\n".join(kept).rstrip()

    def _stays(self, line: str) -> bool:
        ended = line.rstrip()
        if self.end_marks and (not ended.endswith(END_MARKS) or ended.endswith("...")):
            return False
        if LONGEST_WORD.search(line):
            return False
        return len(line.split(None, self.min_words_per_line)) >= self.min_words_per_line
