"""Cleaning: the rules that a document passes before it is used, and a funnel that counts what became of each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field

from lilliput.config.settings import Fatal, Safe, settings
from lilliput.corpus.contamination import Contamination
from lilliput.corpus.document import Document, Dropped, size
from lilliput.corpus.duplicates import Duplicates, expand_duplicates
from lilliput.corpus.filters import Rule, expand_rules
from lilliput.corpus.perplexity import Perplexity

EXAMPLES, SHOWN = 3, 200
"""Examples of each reason, and characters of each."""


@settings
class Cleaning:
    """What is repaired in documents and which are left out; nothing unless it is said here."""

    rules: Fatal[tuple[Rule, ...]] = ()
    """Rules for each document, in order: `encoding`, or with options `{kind: short, min_words: 50}`."""
    duplicates: Duplicates | None = None
    """What stands in the corpus before; `true` leaves out documents that are equal, or `{near: true, lines: true}`."""
    contamination: Contamination | None = None
    """Texts of evaluations, such as `{against: [wikitext-2]}`."""
    perplexity: Perplexity | None = None
    """Documents far from a text that is known to be good, such as `{reference: tinystories, keep: 0.9}`."""
    workers: Safe[int] = Field(default=0, ge=0)
    """Processes that clean files side by side; 0 = as many as help. They change no document and no order."""


def expand_cleaning(value: Any) -> Any:
    """The tree of a `cleaning` section as a recipe may write it: rules as words, `duplicates: true`."""
    if not isinstance(value, dict):
        return value
    shorter = {"rules": expand_rules, "duplicates": expand_duplicates}
    return {**value, **{key: expand(value[key]) for key, expand in shorter.items() if key in value}}


@dataclass
class Funnel:
    """What became of the documents of one source: read = kept + the sum of the dropped, in documents and in bytes."""

    documents: int = 0
    bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0
    """Bytes of the kept documents as they are after their rules."""
    dropped: Counter[str] = field(default_factory=Counter)
    edited: Counter[str] = field(default_factory=Counter)
    """Documents that each rule changed."""
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Reason -> key and beginning of the first documents dropped for it."""

    def take(self, document: Document, rules: Sequence[Rule]) -> Document | None:
        """The cleaned document, counted, or None where a rule drops it."""
        self.documents += 1
        self.bytes += size(document.text)
        result = clean(document, rules, self.edited)
        if isinstance(result, Dropped):
            self.drop(document, result.reason)
            return None
        self.kept += 1
        self.kept_bytes += size(result.text)
        return result

    def drop(self, document: Document, reason: str) -> None:
        """Count a document that was left out."""
        self.dropped[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append((document.key, document.text[:SHOWN]))

    def unread(self, dropped: Counter[str]) -> None:
        """Count documents that reading left out before any rule saw them."""
        self.documents += dropped.total()
        self.dropped.update(dropped)

    def add(self, other: "Funnel") -> None:
        """Count what came after this."""
        for name in ("documents", "bytes", "kept", "kept_bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.dropped.update(other.dropped)
        self.edited.update(other.edited)
        for reason, examples in other.examples.items():
            own = self.examples.setdefault(reason, [])
            own += examples[: EXAMPLES - len(own)]


def clean(document: Document, rules: Sequence[Rule], edited: Counter[str] | None = None) -> Document | Dropped:
    """A document after its rules, in order; the first rule that drops it says why. `edited` counts changes by rule."""
    text = document.text
    for rule in rules:
        result = rule.apply(text)
        if isinstance(result, Dropped):
            return result
        if not result or result.isspace():
            return Dropped(f"nothing left after {rule.kind}")
        if edited is not None and result != text:
            edited[rule.kind] += 1
        text = result
    return document if text is document.text else replace(document, text=text)


def cleaned(documents: Iterable[Document], rules: Sequence[Rule], funnel: Funnel) -> Iterator[Document]:
    """The documents that their rules keep."""
    for document in documents:
        kept = funnel.take(document, rules)
        if kept is not None:
            yield kept
