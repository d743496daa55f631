"""A source after its rules: its documents cleaned once, kept on the disk, and named by all that decided them."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.load import dump
from lilliput.corpus import engine, store, watching
from lilliput.corpus.cleaning import Funnel
from lilliput.corpus.document import Document, Part
from lilliput.corpus.engine import Job
from lilliput.corpus.filters import Rule
from lilliput.corpus.processes import cores
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.entry import BEYOND, Stored, limit
from lilliput.corpus.versions import code
from lilliput.runs import durable
from lilliput.runs.home import clean


class Cleaned(Stored):
    """What `source` holds after its rules, with the source's own share and limits."""

    source: Source
    workers: int
    _found: dict[tuple[Reading, Part | None], list[Path]]

    def __init__(self, source: Source, rules: Sequence[Rule], workers: int = 0) -> None:
        super().__init__(source, rules=tuple(rules))
        object.__setattr__(self, "workers", workers)
        object.__setattr__(self, "_found", {})

    def provenance(self) -> str:
        return f"{self.source.provenance()}, cleaned by {', '.join(rule.kind for rule in self.rules or ())}"

    def fingerprint(self, part: Part | None = None) -> str:
        told = [(dump(rule), code(type(rule).__module__)) for rule in self.rules or ()]
        return sha256_of([store.FORMAT, self.source.fingerprint(part), told])

    def documents(self, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        """The cleaned documents, made now where they are missing."""
        folders = self.folders(reader.reading, part)
        yield from watching.read(folders, store.read)
        reader.dropped.update({reason: count for reason, count in total(folders).dropped.items() if reason != BEYOND})

    def funnel(self, reading: Reading, part: Part | None = None) -> Funnel:
        found = total(self.folders(reading, part))
        if self.max_samples is not None or self.max_bytes is not None:
            for _ in limit(self.documents(Reader(reading), part), self, found):
                pass
        return found

    def folders(self, reading: Reading, part: Part | None) -> list[Path]:
        """The folders of the pieces that are needed, in order, made where they are missing.

        Raises LilliputError (CONTENT) where the source changes meanwhile.
        """
        plain = Reading(**{field.name: getattr(reading, field.name) for field in fields(Reading)})
        if (plain, part) not in self._found:
            self._found[plain, part] = self._made(plain, part)
        return self._found[plain, part]

    def _made(self, reading: Reading, part: Part | None) -> list[Path]:
        before, made, needed = self.fingerprint(part), 0, list[Path]()
        jobs = self.jobs(reading, part, before)
        is_limited = self.max_samples is not None or self.max_bytes is not None
        step = max(1, self.workers or cores()) if is_limited else max(1, len(jobs))
        for end in range(step, len(jobs) + step, step):
            made += engine.run(jobs[:end], self.workers)
            if len(needed := self._needed(jobs[:end])) < end:
                break
        if made and self.fingerprint(part) != before:
            durable.remove_tree(jobs[0].folder.parent)
            cause = f"{self.label} changed while it was read"
            raise LilliputError(cause, "start again when it is at rest", Exit.CONTENT)
        return needed

    def jobs(self, reading: Reading, part: Part | None, fingerprint: str) -> list[Job]:
        """A job for each piece, done or not."""
        root = clean() / sha256_of([fingerprint, dump(reading)])
        pieces = enumerate(self.source.pieces(part))
        return [Job(self.source, part, piece, self.rules or (), reading, root / f"{i:05}") for i, piece in pieces]

    def _needed(self, jobs: Sequence[Job]) -> list[Path]:
        """The folders of the first jobs whose documents reach a limit, or of all."""
        kept, kept_bytes = 0, 0
        for number, job in enumerate(jobs):
            funnel = store.funnel(job.folder)
            kept, kept_bytes = kept + funnel.kept, kept_bytes + funnel.kept_bytes
            is_full = kept >= (self.max_samples or kept + 1) or kept_bytes >= (self.max_bytes or kept_bytes + 1)
            if is_full or BEYOND in funnel.dropped:
                return [job.folder for job in jobs[: number + 1]]
        return [job.folder for job in jobs]


def total(folders: Iterable[Path]) -> Funnel:
    """The funnels of some pieces as one."""
    found = Funnel()
    for folder in folders:
        found.add(store.funnel(folder))
    return found


def sha256_of(value: Any) -> str:
    """A name for content: sha256 over its canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
