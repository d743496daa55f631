"""The local engine: pieces of sources are cleaned in processes, and each result is committed before the next begins."""

import os
import signal
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import store
from lilliput.corpus.cleaning import Funnel, cleaned
from lilliput.corpus.document import Document, Part, size
from lilliput.corpus.files import shown
from lilliput.corpus.filters import Rule
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.entry import Entry, limited
from lilliput.runs import durable, stop
from lilliput.runs.commit import commit_folder

SMALL = 4 << 20
"""Bytes that are cleaned sooner than a process starts."""
POLL = 0.2
"""Seconds between two looks at whether a stop was asked for."""
BEYOND = "beyond the limit"

Failure = tuple[str, str, int]
"""Cause, action and exit code."""


@dataclass(frozen=True)
class Job:
    """One piece of a source, and the folder that its cleaned documents go to."""

    source: Entry
    part: Part | None
    piece: str
    rules: tuple[Rule, ...]
    reading: Reading
    folder: Path

    def run(self) -> None:
        """Clean the piece, unless it is done already; whatever ends this, the folder is whole or absent."""
        if not self.folder.exists():
            commit_folder(self.folder, self._write)

    def _write(self, draft: Path) -> None:
        funnel = Funnel()
        store.write(draft, self._documents(funnel), funnel)

    def _documents(self, funnel: Funnel) -> Iterator[Document]:
        reader = Reader(self.reading)
        documents = self.source.piece(self.piece, reader, self.part)
        yield from limit(cleaned(documents, self.rules, funnel), self.source, funnel)
        funnel.unread(reader.dropped)


def limit(documents: Iterable[Document], source: Entry, funnel: Funnel) -> Iterator[Document]:
    """The documents within the source's limits; `funnel`, which counted all of them, then says what was beyond.

    Limits of the pieces and then of the whole are the limits of the whole: no piece gives less than it could need.
    """
    kept, kept_bytes = 0, 0
    for document in limited(documents, source):
        stop.yield_point()
        kept, kept_bytes = kept + 1, kept_bytes + size(document.text)
        yield document
    if beyond := funnel.kept - kept:
        funnel.dropped[BEYOND] += beyond
    funnel.kept, funnel.kept_bytes = kept, kept_bytes


def run(jobs: Sequence[Job], workers: int = 0) -> int:
    """Do the jobs that are not done yet, in `workers` processes (0 = as many as help), and say how many there were.

    The results do not depend on how many there are. Raises what the first job that failed, in their order, raised.
    """
    left = [job for job in jobs if not job.folder.exists()]
    count = min(workers or _useful(left), len(left))
    if count <= 1:
        for job in left:
            job.run()
    else:
        _in_processes(left, count)
    return len(left)


def _useful(jobs: Sequence[Job]) -> int:
    sizes = [Path(job.piece).stat().st_size if Path(job.piece).is_file() else SMALL for job in jobs]
    return min(cores(), 1 + sum(sizes) // SMALL)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_processes(jobs: Sequence[Job], count: int) -> None:
    workers = [_Worker() for _ in range(count)]
    try:
        failures = _hand_out(jobs, workers)
    except BaseException:
        for worker in workers:
            worker.process.terminate()
        raise
    finally:
        for worker in workers:
            worker.connection.close()
            worker.process.join()
    if failures:
        cause, action, code = failures[min(failures)]
        raise LilliputError(cause, action, Exit(code))


def _hand_out(jobs: Sequence[Job], workers: Sequence["_Worker"]) -> dict[int, Failure]:
    """Give each idle worker the next job, until one fails; then wait for those begun. Job number -> failure."""
    failures: dict[int, Failure] = {}
    idle, busy, begun = [worker.connection for worker in workers], dict[Connection, int](), 0
    while busy or (begun < len(jobs) and not failures):
        stop.yield_point()
        while idle and begun < len(jobs) and not failures:
            connection = idle.pop()
            connection.send(jobs[begun])
            busy[connection], begun = begun, begun + 1
        ready = wait(list(busy), timeout=POLL)
        for connection in [one for one in busy if one in ready]:
            number = busy.pop(connection)
            try:
                answer: Failure | None = connection.recv()
            except (EOFError, ConnectionError):
                answer = _died(jobs[number])
            if answer:
                failures[number] = answer
            idle.append(connection)
    return failures


def _died(job: Job) -> Failure:
    cause = f"the process that cleaned {shown(job.piece) or job.source.label} was killed"
    return cause, "if memory was short, use fewer: `data.cleaning.workers=1`", Exit.MEMORY


class _Worker:
    """A process that does one job after the other and ends with its parent."""

    def __init__(self) -> None:
        context = get_context("spawn")  # a fork would share the locks of torch's threads
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other,), daemon=True)
        self.process.start()
        other.close()


def _work(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    with suppress(EOFError, ConnectionError):
        while True:
            connection.send(_attempt(connection.recv()))


def _attempt(job: Job) -> Failure | None:
    try:
        job.run()
    except LilliputError as error:
        return error.cause, error.action, error.code
    except OSError as error:
        failed = durable.explain(error)
        return failed.cause, failed.action, failed.code
    except Exception:
        place = f"{job.source.label} {job.piece}".rstrip()
        return f"{place}: {traceback.format_exc()}", "report this as a fault in Lilliput", Exit.BUG
    return None
