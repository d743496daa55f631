"""Languages of a corpus, told from a sample of its passages by py3langid."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappush, heapreplace
from importlib.util import find_spec

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.document import size
from lilliput.corpus.filters.language import identifier

PASSAGE = 1_000
"""Characters of a passage; a shorter document is one."""
PASSAGES = 1_000
"""Passages of a sample; a corpus with no more is judged whole."""
LETTERS = 20
"""Fewer letters than that are no ground for a judgement."""
SURE = 0.5
"""Least probability of a language that is named."""
UNKNOWN = "und"
"""ISO 639's word for what cannot be told."""


@dataclass(frozen=True)
class Languages:
    shares: dict[str, float]
    """Share of the sample's bytes in each language, largest first; `und` is what could not be told."""
    passages: int
    """Passages that were judged."""
    of: int
    """Passages that there are."""


class Sample:
    """Passages drawn evenly from all text that is added, in one pass and bounded memory.

    Those whose number has the smallest hashes: the same text in the same order gives the same sample.
    """

    def __init__(self, passages: int = PASSAGES) -> None:
        self.room, self.seen = passages, 0
        self.held: list[tuple[int, int, str]] = []

    def add(self, text: str) -> None:
        for start in range(0, len(text), PASSAGE):
            rank = -int.from_bytes(hashlib.blake2b(self.seen.to_bytes(8, "big"), digest_size=8).digest(), "big")
            if len(self.held) < self.room:
                heappush(self.held, (rank, self.seen, text[start : start + PASSAGE]))
            elif rank > self.held[0][0]:
                heapreplace(self.held, (rank, self.seen, text[start : start + PASSAGE]))
            self.seen += 1

    def languages(self) -> Languages:
        """Raises LilliputError (UNAVAILABLE) where py3langid is not installed."""
        tell, sizes = teller(), Counter[str]()
        for _, _, passage in sorted(self.held, key=lambda held: held[1]):
            sizes[tell(passage)] += size(passage)
        ranked = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
        return Languages({name: count / sizes.total() for name, count in ranked}, len(self.held), self.seen)


def can_tell() -> bool:
    """True where languages can be told apart here."""
    return find_spec("py3langid") is not None


def teller() -> Callable[[str], str]:
    """A text -> the two letters of its language, or `und`.

    Raises LilliputError (UNAVAILABLE) where py3langid is not installed.
    """
    if not can_tell():
        action = "pip install 'lilliput[data]', or leave languages out with `--no-languages`"
        raise LilliputError("telling languages needs py3langid", action, Exit.UNAVAILABLE)
    model = identifier()

    def tell(text: str) -> str:
        text = text[:PASSAGE]
        if sum(map(str.isalpha, text)) < LETTERS:
            return UNKNOWN
        language, probability = model.classify(text)
        return str(language) if probability >= SURE else UNKNOWN

    return tell
