"""The local engine: pieces of sources are cleaned in processes, each result committed as a whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lilliput.corpus import store, watching
from lilliput.corpus.cleaning import Funnel, cleaned
from lilliput.corpus.document import Document, Part
from lilliput.corpus.filters import Rule
from lilliput.corpus.processes import cores, share
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.entry import Entry, limit
from lilliput.runs.commit import commit_folder, remove_leftovers

SMALL = 4 << 20
"""Bytes that are cleaned sooner than a process starts."""


@dataclass(frozen=True)
class Job:
    """One piece of a source, and the folder that its cleaned documents go to."""

    source: Entry
    part: Part | None
    piece: str
    rules: tuple[Rule, ...]
    reading: Reading
    folder: Path

    def run(self) -> tuple[int, int]:
        """Clean the piece, unless it is done already; whatever ends this, the folder is whole or absent.

        Says how many documents were looked at, and how many bytes they have.
        """
        if not self.folder.exists():
            commit_folder(self.folder, self._write)
        found = store.funnel(self.folder)
        return found.documents, found.bytes

    def _write(self, draft: Path) -> None:
        funnel = Funnel()
        store.write(draft, self._documents(funnel), funnel)

    def _documents(self, funnel: Funnel) -> Iterator[Document]:
        reader = Reader(self.reading)
        documents = watching.counted(self.source.piece(self.piece, reader, self.part))
        yield from limit(cleaned(documents, self.rules, funnel), self.source, funnel)
        funnel.unread(reader.dropped)


def run(jobs: Sequence[Job], workers: int = 0) -> int:
    """Do the jobs that are not done yet, in `workers` processes (0 = as many as help), and say how many there were.

    The results do not depend on how many there are. Raises what the first job that failed, in their order, raised.
    """
    left = [job for job in jobs if not job.folder.exists()]
    if left:
        with watching.working(f"cleaning {left[0].source.label}", files=len(left)) as work:
            for counts in share(Job.run, left, min(workers or _useful(left), len(left))):
                work.finish(*counts)
    for parent in {job.folder.parent for job in jobs}:  # of processes that were still dying when their piece was begun
        remove_leftovers(parent)
    return len(left)


def _useful(jobs: Sequence[Job]) -> int:
    sizes = [Path(job.piece).stat().st_size if Path(job.piece).is_file() else SMALL for job in jobs]
    return min(cores(), 1 + sum(sizes) // SMALL)
