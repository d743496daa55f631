"""A document: one text, where it came from, the part its set puts it in, and why one is left out."""

from dataclasses import dataclass
from typing import Literal

Part = Literal["train", "validation", "test"]


def size(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


@dataclass(frozen=True, slots=True)
class Document:
    text: str
    source: str
    """The source's name, as a recipe writes it."""
    key: str
    """What names the document within its source, e.g. `train.jsonl:17`; for people and messages."""
    part: Part | None = None
    """The part the set itself assigns, or None where it assigns none."""
    group: int | None = None
    """A number (64 bits) that a text shares with its near-duplicates, by which a hash split divides; None: its hash."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a rule gives in place of the text of a document that it leaves out."""

    reason: str
    """A few words, the same for all documents that it counts together."""
