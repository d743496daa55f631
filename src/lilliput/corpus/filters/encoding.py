"""Encoding: text that was decoded wrongly once is repaired."""

from typing import Literal

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import settings
from lilliput.corpus.document import Dropped


@settings
class EncodingRule:
    kind: Literal["encoding"] = "encoding"

    def apply(self, text: str) -> str | Dropped:
        """The text without mojibake. Raises LilliputError (UNAVAILABLE) where ftfy is not installed."""
        try:
            from ftfy import fix_encoding
        except ImportError:
            action = "pip install 'lilliput[data]'"
            raise LilliputError("the rule `encoding` needs ftfy", action, Exit.UNAVAILABLE) from None
        return fix_encoding(text)
