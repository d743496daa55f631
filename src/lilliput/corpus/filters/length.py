"""Length: documents with too few words or characters are left out."""

from typing import Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Dropped

SHORT = "too short"


@settings
class ShortRule:
    kind: Literal["short"] = "short"
    min_words: Semantic[int] = Field(default=50, ge=0)
    """Least words of a document, counted between white space."""
    min_characters: Semantic[int] = Field(default=0, ge=0)
    """Least characters of a document; for languages that put no space between words."""

    def apply(self, text: str) -> str | Dropped:
        if len(text) < self.min_characters:
            return Dropped(SHORT)
        if self.min_words and len(text.split(None, self.min_words - 1)) < self.min_words:
            return Dropped(SHORT)
        return text
