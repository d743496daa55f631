"""Repetition: the same lines, paragraphs or words again and again (Gopher, arXiv 2112.11446, table A1)."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Dropped

PARAGRAPH = re.compile(r"\n[ \t\r]{0,80}\n")
TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)
JUDGED = 2_000_000
"""Characters from the start by which a document is judged, so that memory has a bound."""

Runs = dict[int, int]
"""Where each run of words that is there more than once begins -> a number, equal for equal runs."""


@settings
class RepetitionRule:
    """Shares are of the characters that are not white space; what stands there for the first time is no repetition."""

    kind: Literal["repetition"] = "repetition"
    max_lines: Semantic[float] = Field(default=0.3, ge=0, le=1)
    """Greatest share of lines, and of paragraphs, that stood there before."""
    max_line_characters: Semantic[float] = Field(default=0.2, ge=0, le=1)
    """Greatest share of characters in lines, or in paragraphs, that stood there before."""
    max_top: Semantic[tuple[float, float, float]] = (0.2, 0.18, 0.16)
    """Greatest share of characters in the most frequent run of 2, 3 and 4 words, if it is there more than once."""
    max_duplicate: Semantic[tuple[float, float, float, float, float, float]] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    """Greatest share of characters in runs of 5, 6, 7, 8, 9 and 10 words that stood there before."""

    def apply(self, text: str) -> str | Dropped:
        judged = text[:JUDGED]
        reason = self._of_lines(judged) or self._of_runs(judged.split())
        return Dropped(f"repetition: {reason}") if reason else text

    def _of_lines(self, text: str) -> str | None:
        for name, pieces in (("lines", text.split("\n")), ("paragraphs", PARAGRAPH.split(text))):
            found = [piece for piece in map(str.strip, pieces) if piece]
            again, characters = repeated(found)
            if again > self.max_lines * len(found):
                return f"too many repeated {name}"
            if characters > self.max_line_characters * sum(map(len, found)):
                return f"too much text in repeated {name}"
        return None

    def _of_runs(self, words: Sequence[str]) -> str | None:
        ends = [0, *accumulate(map(len, words))]
        for n, runs in repeated_runs(words, DUPLICATE[-1]):
            if n in TOP and _top(runs, n, ends) > self.max_top[n - TOP[0]] * ends[-1]:
                return f"one run of {n} words too often"
            if n in DUPLICATE and _again(runs, n, ends) > self.max_duplicate[n - DUPLICATE[0]] * ends[-1]:
                return f"too much text in repeated runs of {n} words"
        return None


def repeated(pieces: Sequence[str]) -> tuple[int, int]:
    """(how many pieces, how many characters) stood there before."""
    first = set(pieces)
    return len(pieces) - len(first), sum(map(len, pieces)) - sum(map(len, first))


def repeated_runs(words: Sequence[str], longest: int) -> Iterator[tuple[int, Runs]]:
    """(n, the runs of n words that are there more than once) for n from 2 to `longest`, until there are none.

    A run is looked at only where its first n - 1 words are such a run themselves.
    """
    known: dict[str, int] = {}
    ids = [known.setdefault(word, len(known)) for word in words]
    runs = _more_than_once(range(len(ids)), ids)
    for n in range(2, longest + 1):
        places = [place for place in runs if place + n <= len(ids)]
        runs = _more_than_once(places, [runs[place] * len(known) + ids[place + n - 1] for place in places])
        if not runs:
            return
        yield n, runs


def _more_than_once(places: Sequence[int], keys: Sequence[int]) -> Runs:
    counts = Counter(keys)
    numbers = {key: number for number, key in enumerate(counts)}  # small ones: keys would grow with each word
    return {place: numbers[key] for place, key in zip(places, keys, strict=True) if counts[key] > 1}


def _top(runs: Runs, n: int, ends: Sequence[int]) -> int:
    """Characters in the run that is there most often, the longest of several; `ends` counts those before each word."""
    counts, place_of = Counter(runs.values()), dict(zip(runs.values(), runs, strict=True))
    top = max(counts, key=lambda run: (counts[run], ends[place_of[run] + n] - ends[place_of[run]]))
    return _characters((place for place, run in runs.items() if run == top), n, ends)


def _again(runs: Runs, n: int, ends: Sequence[int]) -> int:
    """Characters in runs that were there before."""
    first = dict(zip(reversed(runs.values()), reversed(runs), strict=True))
    return _characters((place for place, run in runs.items() if first[run] != place), n, ends)


def _characters(places: Iterator[int], n: int, ends: Sequence[int]) -> int:
    """Characters of the words in runs of n words that begin at `places`, in order, each counted once."""
    total = covered = 0
    for place in places:
        total += ends[place + n] - ends[max(place, covered)]
        covered = place + n
    return total
