"""What a tokenizer makes of texts: bytes per token, tokens per word, ids in use, and texts that do not come back."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from lilliput.tokens.text import well_formed
from lilliput.tokens.tokenizer import Tokenizer

DOCUMENTS_AT_ONCE = 256


@dataclass(frozen=True)
class Report:
    size: int
    documents: int
    bytes: int
    words: int
    tokens: int
    """Of the texts alone, without begin and end."""
    used: int
    """Different ids that occurred."""
    changed: int
    """Documents that are not the same after encoding and decoding."""

    @property
    def bytes_per_token(self) -> float:
        return self.bytes / max(1, self.tokens)

    @property
    def tokens_per_word(self) -> float:
        """Fertility; a word is what stands between white space."""
        return self.tokens / max(1, self.words)


def report(tokenizer: Tokenizer, texts: Iterable[str]) -> Report:
    """Encode and decode each text once, a few at a time."""
    documents = size = words = tokens = changed = 0
    seen = np.zeros(tokenizer.size, np.bool_)
    rest = (well_formed(text) for text in texts)
    while batch := list(islice(rest, DOCUMENTS_AT_ONCE)):
        for text, ids in zip(batch, tokenizer.encode_many(batch), strict=True):
            documents, size, words = documents + 1, size + len(text.encode()), words + len(text.split())
            tokens += len(ids)
            seen[ids] = True
            changed += tokenizer.decode(ids.tolist()) != text
    return Report(tokenizer.size, documents, size, words, tokens, int(seen.sum()), changed)
