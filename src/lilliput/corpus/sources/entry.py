"""What every source entry of a recipe may state, whatever its kind: its share and its limits."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Annotated, Any, TypeVar

from pydantic import Field

from lilliput.config.settings import Semantic, settings
from lilliput.corpus import watching
from lilliput.corpus.cleaning import Funnel, cleaned
from lilliput.corpus.document import Document, Part, size
from lilliput.corpus.filters import Rule
from lilliput.corpus.reading import Reader, Reading
from lilliput.runs import stop

LATER = ("max_files",)
"""Options that are newer than stored fingerprints, which stay what they were where these are not used."""

File = TypeVar("File")


BEYOND = "beyond the limit"


@settings
class Entry:
    weight: Semantic[
        Annotated[float, Field(gt=0)] | Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=2)]
    ] = 1.0
    """Share of the training tokens, relative to the other sources; a list has one for each stage of `data.stages`."""
    max_samples: Semantic[int | None] = Field(default=None, gt=0)
    """Take at most this many documents (of each official part)."""
    max_bytes: Semantic[int | None] = Field(default=None, gt=0)
    """Take whole documents up to this many bytes of UTF-8 (of each official part); a longer first one is cut."""
    max_tokens: Semantic[int | None] = Field(default=None, gt=0)
    """Take at most this many tokens of the training part."""
    rules: Semantic[tuple[Rule, ...] | None] = None
    """Rules for this source's documents in place of `data.cleaning.rules`; `[]` for none."""
    max_files: Semantic[int | None] = Field(default=None, gt=0)
    """Read only the first so many files, in the order of their names (of each official part)."""

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each stage; a single one holds for all of them."""
        return self.weight if isinstance(self.weight, tuple) else (self.weight,)

    @property
    def has_files(self) -> bool:
        """Whether the source is read from files, which `max_files` may limit."""
        return True

    @property
    def parts(self) -> tuple[Part, ...]:
        """The official parts of the set; empty where it has none."""
        return ()

    @property
    def is_stored(self) -> bool:
        """Whether the documents lie cleaned in the home folder, where nobody changes them."""
        return False

    @property
    def label(self) -> str:
        """The source's name in documents, logs and messages."""
        raise NotImplementedError

    def pieces(self, part: Part | None = None) -> list[str]:
        """Names of what can be read alone, such as files, in the order of the source; one where nothing can."""
        return [""]

    def piece(self, name: str, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        """The documents of one piece."""
        raise NotImplementedError

    def documents(self, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        """The source's documents in their order, before limits; only those of `part` where the set has parts."""
        return watching.read(self.pieces(part), lambda name: self.piece(name, reader, part))

    def fingerprint(self, part: Part | None = None) -> str:
        """sha256 over all that decides which documents the source (or one official part) gives: content, options."""
        raise NotImplementedError

    def funnel(self, reading: Reading, part: Part | None = None) -> Funnel:
        """What becomes of the documents within the limits: of a source that nothing cleans, all are kept."""
        found, reader = Funnel(), Reader(reading)
        with watching.working(f"counting {self.label}"):
            for _ in limit(cleaned(self.documents(reader, part), (), found), self, found):
                pass
        found.unread(reader.dropped)
        return found

    def provenance(self) -> str:
        """Where the text comes from, in words, for output and manifests; samples are called samples."""
        return self.label


class Stored(Entry):
    """What is left of another source, on the disk: under its name, with its parts, share and limits."""

    source: Entry

    def __init__(self, source: Entry, **changes: Any) -> None:
        super().__init__(**{**{field.name: getattr(source, field.name) for field in fields(Entry)}, **changes})
        object.__setattr__(self, "source", source)

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.source.parts

    @property
    def label(self) -> str:
        return self.source.label

    @property
    def is_stored(self) -> bool:
        return True


def limited(documents: Iterable[Document], entry: Entry) -> Iterator[Document]:
    """The first documents within `max_samples` and `max_bytes`; none is cut but a first one over the limit."""
    left = entry.max_bytes
    for number, document in enumerate(documents):
        if entry.max_samples is not None and number == entry.max_samples:
            return
        if left is not None:
            length = size(document.text)
            if length > left:
                if number == 0:
                    head = document.text.encode()[:left].decode("utf-8", "ignore")
                    yield Document(head, document.source, document.key, document.part)
                return
            left -= length
        yield document


def limit(documents: Iterable[Document], entry: Entry, funnel: Funnel) -> Iterator[Document]:
    """The documents within the limits; `funnel`, which counted all of them as kept, then says what was beyond.

    Limits of the pieces and then of the whole are the limits of the whole: no piece gives less than it could need.
    """
    kept, kept_bytes = 0, 0
    for document in limited(documents, entry):
        stop.yield_point()
        kept, kept_bytes = kept + 1, kept_bytes + size(document.text)
        yield document
    if beyond := funnel.kept - kept:
        funnel.dropped[BEYOND] += beyond
    funnel.kept, funnel.kept_bytes = kept, kept_bytes


def first(files: Sequence[File], entry: Entry) -> Sequence[File]:
    """The files that are read: all, or those within `max_files`."""
    return files[: entry.max_files]


def hashed(
    entry: Entry, contents: Iterable[str], unseen: tuple[str, ...] = ("weight", "path"), later: tuple[str, ...] = ()
) -> str:
    """sha256 over an entry's options (but `unseen` ones and its rules) and the hashes of its contents.

    `later` options count only where they are used, as those of `LATER`: a new one leaves old hashes as they were.
    """
    options = [(field.name, getattr(entry, field.name)) for field in fields(entry)]
    newer = [name for name, value in options if name in (*LATER, *later) and (value is None or value is False)]
    seen = sorted((name, value) for name, value in options if name not in (*unseen, *newer, "rules"))
    return hashlib.sha256(repr((seen, list(contents))).encode()).hexdigest()
