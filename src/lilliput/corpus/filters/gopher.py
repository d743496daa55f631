"""Gopher: what makes a page no prose by its words, symbols, bullets and stop words (arXiv 2112.11446, A.1.1)."""

from typing import Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.repetition import JUDGED

STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
BULLETS = ("•", "-", "*", "\u2013", "‣", "▪")
ELLIPSES = ("...", "…")


@settings
class GopherRule:
    """The quality rules of MassiveText, with their thresholds; words are counted between white space."""

    kind: Literal["gopher"] = "gopher"
    min_words: Semantic[int] = Field(default=50, ge=1)
    """Least words of a document."""
    max_words: Semantic[int | None] = Field(default=100_000, ge=1)
    """Most words of a document; null for books."""
    min_mean_length: Semantic[float] = Field(default=3.0, ge=0)
    """Least mean length of a word, in characters."""
    max_mean_length: Semantic[float] = Field(default=10.0, gt=0)
    """Greatest mean length of a word, in characters."""
    max_symbols: Semantic[float] = Field(default=0.1, ge=0)
    """Most hash signs, or ellipses, per word."""
    max_bullets: Semantic[float] = Field(default=0.9, ge=0, le=1)
    """Greatest share of lines that begin with a bullet."""
    max_ellipses: Semantic[float] = Field(default=0.3, ge=0, le=1)
    """Greatest share of lines that end in an ellipsis."""
    min_alphabetic: Semantic[float] = Field(default=0.8, ge=0, le=1)
    """Least share of words with a letter in them."""
    min_stop_words: Semantic[int] = Field(default=2, ge=0, le=len(STOP_WORDS))
    """How many of `the be to of and that have with` are there at least; 0 for languages other than English."""

    def apply(self, text: str) -> str | Dropped:
        reason = self._of_words(text[:JUDGED]) or self._of_lines(text[:JUDGED])
        return Dropped(f"gopher: {reason}") if reason else text

    def _of_words(self, text: str) -> str | None:
        words = text.split()
        if len(words) < self.min_words:
            return "too few words"
        if self.max_words is not None and len(words) > self.max_words:
            return "too many words"
        mean = sum(map(len, words)) / len(words)
        if not self.min_mean_length <= mean <= self.max_mean_length:
            return "words too short" if mean < self.min_mean_length else "words too long"
        ellipses = sum(map(text.count, ELLIPSES))
        if max(text.count("#"), ellipses) > self.max_symbols * len(words):
            return "too many symbols"
        if sum(map(_has_letter, words)) < self.min_alphabetic * len(words):
            return "too few words with letters"
        if self.min_stop_words and len(STOP_WORDS & set(text.lower().split())) < self.min_stop_words:
            return "too few stop words"
        return None

    def _of_lines(self, text: str) -> str | None:
        lines = [line for line in map(str.strip, text.split("\n")) if line]
        if sum(line.startswith(BULLETS) for line in lines) > self.max_bullets * len(lines):
            return "too many bullets"
        if sum(line.endswith(ELLIPSES) for line in lines) > self.max_ellipses * len(lines):
            return "too many lines end in an ellipsis"
        return None


def _has_letter(word: str) -> bool:
    return word.isalpha() or any(map(str.isalpha, word))
