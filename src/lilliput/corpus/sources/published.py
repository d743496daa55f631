"""A published set, by name: read from `LILLIPUT_DATA`, from the downloads, or downloaded when first used."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from pydantic import field_validator

from lilliput.config.settings import Semantic, settings
from lilliput.corpus.document import Document, Part
from lilliput.corpus.downloads import Located, available, locate
from lilliput.corpus.files import digest
from lilliput.corpus.joining import Joining
from lilliput.corpus.published import PUBLISHED
from lilliput.corpus.reading import Reader
from lilliput.corpus.sources.entry import Entry, hashed
from lilliput.corpus.sources.rowed import read_joined
from lilliput.corpus.sources.text import read_text


@settings
class PublishedSource(Entry):
    kind: Literal["published"] = "published"
    name: Semantic[str]
    """The set's name, one of those that `lilliput corpus list` shows."""

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in PUBLISHED:
            raise ValueError(f"{name!r} is no published set; it may be {', '.join(PUBLISHED)}")
        return name

    @property
    def label(self) -> str:
        return self.name

    @property
    def parts(self) -> tuple[Part, ...]:
        """The official parts of the set, or those that `LILLIPUT_DATA` holds of it; empty where it has none."""
        return tuple(part for part in available(self.name) if part)

    def pieces(self, part: Part | None = None) -> list[str]:
        return [str(found.path) for found in self._files(part)]

    def piece(self, name: str, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        found = next(found for found in self._files(part) if str(found.path) == name)
        if ".jsonl" in found.path.suffixes:
            return read_joined(found.path, ("text",), Joining(), reader, self.name, found.path.name, found.part)
        divide = PUBLISHED[self.name].divide
        return read_text(found.path, divide, reader.in_utf8(), self.name, found.path.name, found.part)

    def fingerprint(self, part: Part | None = None) -> str:
        return hashed(self, (digest(found.path)[1] for found in self._files(part)))

    def _files(self, part: Part | None) -> Iterator[Located]:
        taken = Counter[Part | None]()
        for found in locate(self.name, part):
            taken[found.part] += 1
            if self.max_files is None or taken[found.part] <= self.max_files:
                yield found

    def provenance(self) -> str:
        return f"{self.name} ({', '.join(_words(found) for found in self._files(None))})"


def _words(found: Located) -> str:
    part = f"{found.part or 'whole'} {'sample' if found.is_sample else 'set' if found.part is None else 'part'}"
    return f"{part} of {found.size:,} bytes from {found.origin}"
