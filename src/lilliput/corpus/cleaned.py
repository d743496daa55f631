"""A source after its cleaning: the documents that are left, and a fingerprint that knows the rules."""

import hashlib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from lilliput.config.load import dump
from lilliput.corpus.cleaning import Cleaning, Funnel, cleaned
from lilliput.corpus.document import Document, Part
from lilliput.corpus.filters import Rule
from lilliput.corpus.reading import Reader
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.entry import Entry


class Cleaned(Entry):
    """What `source` holds after `rules`, with the source's own share and limits."""

    def __init__(self, source: Source, rules: tuple[Rule, ...]) -> None:
        shared: dict[str, Any] = {field.name: getattr(source, field.name) for field in fields(Entry)}
        super().__init__(**shared)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "rules", rules)

    source: Source

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.source.parts

    @property
    def label(self) -> str:
        return self.source.label

    def documents(self, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        funnel = Funnel()
        yield from cleaned(self.source.documents(reader, part), self.rules or (), funnel)
        reader.dropped.update(funnel.dropped)

    def fingerprint(self, part: Part | None = None) -> str:
        told = [dump(rule) for rule in self.rules or ()]
        return hashlib.sha256(repr((self.source.fingerprint(part), told)).encode()).hexdigest()

    def provenance(self) -> str:
        return f"{self.source.provenance()}, cleaned by {', '.join(rule.kind for rule in self.rules or ())}"


def after_cleaning(source: Source, cleaning: Cleaning) -> Entry:
    """The source itself where nothing is to be cleaned, so that its fingerprint stays what it was."""
    rules = cleaning.rules if source.rules is None else source.rules
    return Cleaned(source, rules) if rules else source
