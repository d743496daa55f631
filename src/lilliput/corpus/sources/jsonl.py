"""JSON lines: one object per line, its text in one column or several."""

from typing import Literal

from lilliput.config.settings import settings
from lilliput.corpus.sources.rowed import RowFiles


@settings
class JsonlSource(RowFiles):
    kind: Literal["jsonl"] = "jsonl"

    @property
    def ending(self) -> str:
        return ".jsonl"
