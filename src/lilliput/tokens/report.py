"""What tokenizers make of texts: bytes per token, tokens per word, ids in use, and texts that do not come back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lilliput.tokens.text import well_formed
from lilliput.tokens.tokenizer import Tokenizer

DOCUMENTS_AT_ONCE, CHARACTERS_AT_ONCE = 256, 1 << 20

Labelled = tuple[Sequence[str], str]
"""The groups that a text is counted in, and the text."""


@dataclass
class Report:
    """What one tokenizer makes of one group of texts."""

    size: int
    documents: int = 0
    bytes: int = 0
    characters: int = 0
    words: int = 0
    tokens: int = 0
    """Of the texts alone, without begin and end."""
    used: int = 0
    """Different ids that occurred."""
    changed: int = 0
    """Documents that are not the same after encoding and decoding."""
    _seen: NDArray[np.bool_] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._seen = np.zeros(self.size, np.bool_)

    @property
    def bytes_per_token(self) -> float:
        return self.bytes / max(1, self.tokens)

    @property
    def tokens_per_word(self) -> float:
        """Fertility; a word is what stands between white space."""
        return self.tokens / max(1, self.words)

    def add(self, text: str, ids: NDArray[np.unsignedinteger], is_same: bool) -> None:
        """Count one text."""
        self.documents += 1
        self.bytes += len(text.encode())
        self.characters += len(text)
        self.words += len(text.split())
        self.tokens += len(ids)
        self.changed += not is_same
        self._seen[ids] = True
        self.used = int(self._seen.sum())

    def record(self) -> dict[str, int | float]:
        """The figures by their names."""
        counts = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {**counts, "bytes_per_token": self.bytes_per_token, "tokens_per_word": self.tokens_per_word}


def reports(tokenizers: Mapping[str, Tokenizer], texts: Iterable[Labelled]) -> dict[str, dict[str, Report]]:
    """Group -> tokenizer -> report, in the order in which groups appear; each text is read once.

    Every text is encoded and decoded by every tokenizer, a few at a time.
    """
    found: dict[str, dict[str, Report]] = {}
    for batch in _batches(texts):
        for groups, _ in batch:
            for group in groups:
                found.setdefault(group, {name: Report(tokenizer.size) for name, tokenizer in tokenizers.items()})
        for name, tokenizer in tokenizers.items():
            encoded = tokenizer.encode_many([text for _, text in batch])
            for (groups, text), ids in zip(batch, encoded, strict=True):
                is_same = tokenizer.decode(ids.tolist()) == text
                for group in groups:
                    found[group][name].add(text, ids, is_same)
    return found


def _batches(texts: Iterable[Labelled]) -> Iterator[list[Labelled]]:
    batch, characters = list[Labelled](), 0
    for groups, text in texts:
        batch.append((groups, well_formed(text)))
        characters += len(text)
        if len(batch) == DOCUMENTS_AT_ONCE or characters > CHARACTERS_AT_ONCE:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
