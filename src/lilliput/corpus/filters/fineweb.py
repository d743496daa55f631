"""FineWeb: lists, menus and templates, told by line ends, short and repeated lines (arXiv 2406.17557, 3.6)."""

from typing import Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.repetition import JUDGED, repeated

END_MARKS = tuple(".?!\"'\u201d\u2019\u2026\u3002\uff01\uff1f\u061f\u0964\u1362")
"""Full stops, question, exclamation and quotation marks; also Chinese, Arabic, Hindi and Amharic ones."""


@settings
class FineWebRule:
    """Shares are of the lines that are not blank; for pages whose paragraphs are lines."""

    kind: Literal["fineweb"] = "fineweb"
    min_ended: Semantic[float] = Field(default=0.12, ge=0, le=1)
    """Least share of lines that end in a punctuation mark."""
    max_short: Semantic[float] = Field(default=0.67, ge=0, le=1)
    """Greatest share of lines of at most 30 characters."""
    max_repeated: Semantic[float] = Field(default=0.1, ge=0, le=1)
    """Greatest share of characters in lines that stood there before; the paper has 0.1, its published code 0.01."""
    max_lines_per_word: Semantic[float] = Field(default=0.3, ge=0)
    """Most line feeds per word; the code has this rule, the paper does not."""

    def apply(self, text: str) -> str | Dropped:
        reason = self._reason(text[:JUDGED])
        return Dropped(f"fineweb: {reason}") if reason else text

    def _reason(self, text: str) -> str | None:
        lines = [line for line in map(str.strip, text.split("\n")) if line]
        if sum(line.endswith(END_MARKS) for line in lines) < self.min_ended * len(lines):
            return "too few lines end in punctuation"
        if sum(len(line) <= 30 for line in lines) > self.max_short * len(lines):
            return "too many short lines"
        if repeated(lines)[1] > self.max_repeated * sum(map(len, lines)):
            return "too much text in repeated lines"
        if text.count("\n") > self.max_lines_per_word * len(text.split()):
            return "too many lines"
        return None
