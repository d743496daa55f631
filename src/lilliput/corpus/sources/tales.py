"""Tales: the embedded corpus of short stories, of any size, whose entropy is known exactly."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Document, Part
from lilliput.corpus.reading import Reader
from lilliput.corpus.sources.entry import Entry, hashed
from lilliput.corpus.tales import inflection, telling, words
from lilliput.corpus.tales.grammar import RULES


@settings
class TalesSource(Entry):
    kind: Literal["tales"] = "tales"
    size: Semantic[int] = Field(default=4_000_000, gt=0)
    """Bytes to write: whole tales, until there are at least this many."""
    seed: Semantic[int] = Field(default=0, ge=0)
    """Which tales: another seed gives others."""

    def __post_init__(self) -> None:
        if self.max_files is not None:
            raise ValueError("max_files: tales have no files; `size` or `max_samples` limits them")

    @property
    def has_files(self) -> bool:
        return False

    @property
    def label(self) -> str:
        return "tales"

    def piece(self, name: str, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        """Tale i is the same in every size. Parts come from the hash split, which keeps equal texts together."""
        written = 0
        for story in count():
            if written >= self.size:
                return
            text = telling.write(self.seed, story).text
            written += len(text)  # tales are ASCII
            yield Document(text, self.label, f"tales:{self.seed}:{story}")

    def fingerprint(self, part: Part | None = None) -> str:
        told = (sorted(RULES.items()), [inflection.lexicon(kind) for kind in words.KINDS], self._sample())
        return hashed(self, [hashlib.sha256(repr(told).encode()).hexdigest()])

    def provenance(self) -> str:
        return f"tales, written by Lilliput's own grammar (seed {self.seed})"

    def nats(self, text: str) -> float:
        """-log P of a tale, exact, its end included. ValueError if it is no tale."""
        return telling.nats(text)

    def entropy(self, texts: Iterable[str]) -> tuple[float, int]:
        """What tales cost together, in nats with their ends, and their bytes. ValueError if one is no tale."""
        costs, size = [], 0
        for text in texts:
            costs.append(telling.nats(text))
            size += len(text.encode())
        return math.fsum(costs), size

    def _sample(self) -> list[str]:
        """A few tales, so that another way to draw is another fingerprint."""
        return [telling.write(self.seed, story).text for story in range(3)]
