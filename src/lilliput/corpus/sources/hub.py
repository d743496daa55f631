"""A set of the hub, by OWNER/SET or a name that Lilliput knows; downloaded once, or read from `LILLIPUT_DATA`."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import field_validator

from lilliput.config.settings import Semantic, settings
from lilliput.corpus import raw
from lilliput.corpus.books import read_book
from lilliput.corpus.columns import Columns, columns_of
from lilliput.corpus.document import Document, Part
from lilliput.corpus.files import digest, shown
from lilliput.corpus.hosted import ALIASES, HOSTED, SHAPES, Hosted, Local
from lilliput.corpus.joining import RowsAre, join
from lilliput.corpus.raw import Wanted
from lilliput.corpus.raw_download import ensure
from lilliput.corpus.reading import Reader
from lilliput.corpus.rows import ENDINGS
from lilliput.corpus.sources.entry import first, hashed
from lilliput.corpus.sources.rowed import OPTIONS, Rowed, read_joined

SAMPLES = ("hub", "hf_schema_fixtures")
"""Folders below `LILLIPUT_DATA` with files OWNER__SET[__SUBSET]__SPLIT.jsonl (or another format of rows)."""
CHUNK_ROWS = 4
"""Words of the shortest usual sentence: how many rows make a chunk, at most."""


@dataclass(frozen=True)
class Place:
    """One file that is read for a set."""

    path: Path
    part: Part | None
    columns: Columns
    rows_are: RowsAre
    is_row: bool = False
    """True where the whole file is one row."""
    piece: raw.Piece | None = None
    """What was recorded of it, where it was downloaded."""

    def digest(self) -> str:
        """sha256 of its content, which is that of its record.

        Raises LilliputError (CONTENT) where it is damaged.
        """
        if self.piece is None:
            return digest(self.path)[1]
        raw.verify(self.path, self.piece)
        return self.piece.sha256


@settings
class HubSource(Rowed):
    kind: Literal["hub"] = "hub"
    name: Semantic[str]
    """OWNER/SET on the hub, or a set's name from `lilliput corpus list`."""
    subset: Semantic[str | None] = None
    """Which subset (configuration) of it; null for its default, or that of a known set."""
    split: Semantic[str | None] = None
    """Which split to train on; null: train."""
    validation_split: Semantic[str | None] = None
    """The split that is its validation part; null: none, unless a known set has one and `split` is null."""
    test_split: Semantic[str | None] = None
    """The split that is its test part."""
    revision: Semantic[str | None] = None
    """A branch, tag or commit; null: the newest when it is downloaded, which is recorded."""
    text_column: Semantic[str | tuple[str, ...] | None] = None
    """The column that holds the text, or several, joined by a blank line; null: `text`, or a known set's own."""

    @field_validator("name")
    @classmethod
    def _is_named(cls, name: str) -> str:
        if name not in HOSTED and name.count("/") != 1:
            raise ValueError(f"{name!r} is neither OWNER/SET nor one of {', '.join(HOSTED)}")
        return ALIASES.get(name, name)

    @property
    def hosted(self) -> Hosted | None:
        return HOSTED.get(self.name)

    @property
    def repository(self) -> str:
        return self.hosted.repository if self.hosted else self.name

    def shape(self) -> RowsAre:
        return self.rows_are or SHAPES.get(self.repository, ((), "documents"))[1]

    def columns(self) -> Columns:
        return columns_of(self.text_column or SHAPES.get(self.repository, (None, ""))[0], self.shape())

    def _stands_in(self) -> bool:
        return bool(self.hosted and any(local.rows_are != self.hosted.rows_are for local in self.hosted.local))

    @property
    def label(self) -> str:
        return self.name if self.subset is None else f"{self.name}:{self.subset}"

    def splits(self) -> dict[Part, str]:
        """The hub's name of each part."""
        if self.hosted and not (self.split or self.validation_split or self.test_split):
            return self.hosted.splits
        named: dict[Part, str | None] = {"validation": self.validation_split, "test": self.test_split}
        return {"train": self.split or "train", **{part: name for part, name in named.items() if name}}

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its parts, or those that `LILLIPUT_DATA` holds of it; empty where there is only one."""
        local = self._given()
        parts = tuple(place.part for place in local if place.part) if local else tuple(self.splits())
        return () if parts == ("train",) else tuple(dict.fromkeys(parts))

    @property
    def is_given(self) -> bool:
        """True where `LILLIPUT_DATA` holds it, or a sample of it."""
        return bool(self._given())

    def wanted(self, part: Part) -> Wanted:
        """What to download for a part."""
        each = self.hosted.size // self.hosted.rows if self.hosted else None
        subset = self.subset or (self.hosted.subset if self.hosted else None)
        return Wanted(self.name, self.repository, subset, self.splits()[part], self.revision, self.columns(), each)

    def rows(self) -> int | None:
        """Rows that `max_samples` documents take at most; None for all."""
        if self.max_samples is None or self.shape() == "lines":
            return None
        if self.shape() == "sentences":
            return self.max_samples * max(1, (self.joining().chunk_words or 500) // CHUNK_ROWS)
        return self.max_samples

    def places(self, part: Part | None = None) -> list[Place]:
        """The files to read, downloaded if they have to be; of all parts where `part` is None.

        Raises LilliputError: UNAVAILABLE, CONTENT, RECIPE, DISK_FULL.
        """
        given = self._given()
        if given:
            return list(first([place for place in given if part in (None, place.part) or place.part is None], self))
        has_parts = bool(self.parts)
        kept = [(each, ensure(self.wanted(each), self.rows())) for each in self.splits() if part in (None, each)]
        return [
            Place(found.folder / piece.name, each if has_parts else None, self.columns(), self.shape(), piece=piece)
            for each, found in kept
            for piece in first(found.pieces, self)
        ]

    def pieces(self, part: Part | None = None) -> list[str]:
        return [str(place.path) for place in self.places(part)]

    def piece(self, name: str, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        place = next(place for place in self.places(part) if str(place.path) == name)
        return self.read(place, reader)

    def read(self, place: Place, reader: Reader) -> Iterator[Document]:
        """The documents of one file."""
        if place.piece is not None:
            raw.verify(place.path, place.piece)
        how, name = self.joining(place.rows_are), shown(place.path.name)
        if not place.is_row:
            yield from read_joined(place.path, place.columns, how, reader, self.label, name, place.part)
        elif (text := read_book(place.path, reader.in_utf8())) is not None:
            for key, document in join([(name, text)], how, reader.dropped):
                yield Document(document, self.label, key, place.part)

    def fingerprint(self, part: Part | None = None) -> str:
        if self.is_given:
            seen = [f"{place.columns} {place.rows_are} {place.digest()}" for place in self.places(part)]
        else:
            seen = [f"{self.columns()} {self.shape()} {content}" for content in self._contents(part)]
        return hashed(self, seen, ("weight", "name", "max_bytes"), later=OPTIONS)

    def _contents(self, part: Part | None) -> Iterator[str]:
        """sha256 of each file, also of those that were deleted once shards had been made of them."""
        for each in self.splits():
            if part in (None, each):
                kept = raw.known(self.wanted(each), self.rows()) or ensure(self.wanted(each), self.rows())
                for piece in first(kept.pieces, self):
                    if not kept.is_deleted:
                        raw.verify(kept.folder / piece.name, piece)
                    yield piece.sha256

    def delete_raw(self) -> int:
        """Remove what was downloaded; gives the bytes that are free now. What `LILLIPUT_DATA` holds stays."""
        if self.is_given:
            return 0
        return sum(raw.delete(self.wanted(part), self.rows()) for part in self.splits())

    def provenance(self) -> str:
        if folder := self._local():
            return f"{self.label} ({folder.about} from LILLIPUT_DATA: {folder.path})"
        if given := self._given():
            size = sum(place.path.stat().st_size for place in given)
            return f"{self.label} (sample of {size:,} bytes from LILLIPUT_DATA)"
        return f"{self.label} ({', '.join(self._downloaded())})"

    def _downloaded(self) -> Iterator[str]:
        for part in self.splits():
            kept = raw.known(self.wanted(part), self.rows()) or ensure(self.wanted(part), self.rows())
            what = "all" if kept.is_whole else f"sample of the first {kept.rows or 0:,} rows"
            yield f"{part}: {what}, {kept.size:,} bytes from the hub's {self.repository} at {kept.revision[:8]}"

    def _local(self) -> Local | None:
        folder = os.environ.get("LILLIPUT_DATA")
        known = self.hosted.local if self.hosted and folder else ()
        return next((local for local in known if Path(folder or "", local.path).exists()), None)

    def _given(self) -> list[Place]:
        """Files below `LILLIPUT_DATA`: those of a known set, or named after any set's parts."""
        root = Path(os.environ.get("LILLIPUT_DATA") or "")
        if local := self._local():
            path = root / local.path
            if not path.is_dir():
                return [Place(path, None, local.columns, local.rows_are)]
            files = sorted(file for file in path.iterdir() if file.is_file())
            return [Place(file, None, local.columns, local.rows_are, local.are_rows) for file in files]
        if not os.environ.get("LILLIPUT_DATA"):
            return []
        return [
            Place(path, part if len(self.splits()) > 1 else None, self.columns(), self.shape())
            for part, split in self.splits().items()
            for path in self._named(root, split)[:1]
        ]

    def _named(self, root: Path, split: str) -> list[Path]:
        subset = self.subset or (self.hosted.subset if self.hosted else None)
        stems = {f"{self.repository.replace('/', '__')}__{f'{subset}__' if subset else ''}{split}"}
        stems |= {f"{self.repository.replace('/', '__')}__{split}"}
        names = [
            f"{stem}{ending}{end}"
            for stem in sorted(stems, reverse=True)
            for ending in ENDINGS
            for end in ("", ".gz", ".zst")
        ]
        return [path for folder in SAMPLES for name in names if (path := root / folder / name).is_file()]
