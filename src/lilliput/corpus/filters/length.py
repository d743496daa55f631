"""Length: documents with too few words are left out."""

from typing import Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Dropped


@settings
class ShortRule:
    kind: Literal["short"] = "short"
    min_words: Semantic[int] = Field(default=50, ge=1)
    """Least words of a document, counted between white space."""

    def apply(self, text: str) -> str | Dropped:
        return text if len(text.split(None, self.min_words - 1)) >= self.min_words else Dropped("too short")
