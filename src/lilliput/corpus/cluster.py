"""Cleaning through datatrove's executors: the same folders as the local engine's, made on one machine or on many."""

import importlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import store
from lilliput.corpus.cleaned import Cleaned, sha256_of
from lilliput.corpus.cleaning import Cleaning, Funnel
from lilliput.corpus.document import Document
from lilliput.corpus.duplicates import Search, find
from lilliput.corpus.engine import Job
from lilliput.corpus.left import Left, clean_sources
from lilliput.corpus.near import HEAD, Clusters, Indices, Map, Near, bands, clusters, judged
from lilliput.corpus.reading import Reading
from lilliput.corpus.sources import Source
from lilliput.corpus.split import SplitConfig
from lilliput.corpus.together import Together
from lilliput.corpus.words import run_hashes
from lilliput.runs import durable
from lilliput.runs.commit import commit_folder
from lilliput.runs.home import clean

FILE = 20_000
"""Documents of a file that signatures are made from."""
PAIRS = 1 << 20
"""Pairs that are looked at together."""


@dataclass(frozen=True)
class Plan:
    """A cleaning, to be carried out wherever this plan is read; all machines share one `LILLIPUT_HOME`."""

    sources: tuple[Source, ...]
    cleaning: Cleaning
    reading: Reading
    split: SplitConfig

    def entries(self, search: Search = clusters) -> list[Any]:
        """The sources after cleaning, none of it done yet."""
        return clean_sources(self.sources, self.cleaning, self.reading, self.split, search=search)

    def jobs(self) -> list[Job]:
        """A job for each piece of each source that has rules."""
        ruled = [entry.source if isinstance(entry, Left) else entry for entry in self.entries()]
        by_parts = self.split.kind in ("auto", "official")
        return [
            job
            for entry in ruled
            if isinstance(entry, Cleaned)
            for part in (entry.parts if by_parts and entry.parts else (None,))
            for job in entry.jobs(self.reading, part, entry.fingerprint(part))
        ]

    def groups(self, search: Search = clusters) -> list[Together]:
        """What is cleaned together."""
        left = [entry for entry in self.entries(search) if isinstance(entry, Left)]
        return list({id(entry.together): entry.together for entry in left}.values())


@dataclass(frozen=True)
class Step:
    """A pipeline for one of datatrove's executors; a step begins when the one before has ended."""

    name: str
    pipeline: list[Any]
    tasks: int


def steps(plan: Plan, tasks: int) -> list[Step]:
    """All steps of a plan, each shared out among `tasks` tasks where it can be.

    Near-duplicates are proposed by datatrove's MinHash stages and judged by their true similarity.
    """
    found = [Step("rules", [partial(run_jobs, plan)], tasks)] if plan.jobs() else []
    for number, together in enumerate(plan.groups()):
        near = together.cleaning.duplicates.near if together.cleaning.duplicates else None
        if near is not None:
            folder = work_folder(together)
            found.append(Step(f"{number}-texts", [partial(spread, plan, number)], 1))
            found.append(Step(f"{number}-signatures", [partial(read_texts, folder), _signatures(folder, near)], tasks))
            found.append(Step(f"{number}-pairs", [_pairs(folder, near)], bands(near)[0]))
        found.append(Step(f"{number}-judgement", [partial(judge, plan, number, tasks)], 1))
    return found


def run_locally(plan: Plan, workers: int) -> None:
    """Carry out a plan on this machine, by datatrove's local executor."""
    LocalPipelineExecutor = _datatrove("datatrove.executor.local").LocalPipelineExecutor
    logs = clean() / f".logs-{sha256_of([job.folder.name for job in plan.jobs()])[:16]}"
    for step in steps(plan, workers):
        executor = LocalPipelineExecutor(
            step.pipeline,
            tasks=step.tasks,
            workers=min(step.tasks, workers),
            logging_dir=str(logs / step.name),
            skip_completed=False,
            start_method="spawn",
        )
        executor.run()
    if logs.exists():
        durable.remove_tree(logs)


def work_folder(together: Together) -> Path:
    """Where texts, signatures and pairs lie between the steps."""
    return clean() / f".near-{together.key[:16]}"


def run_jobs(plan: Plan, data: object, rank: int = 0, world_size: int = 1) -> None:
    """One task's share of the pieces."""
    for job in plan.jobs()[rank::world_size]:
        job.run()


def spread(plan: Plan, number: int, data: object, rank: int = 0, world_size: int = 1) -> None:
    """Write the texts that near-duplicates are looked for in, in files that tasks may share out."""
    together = plan.groups()[number]
    assert together.cleaning.duplicates is not None
    folder = work_folder(together)

    def write(texts: Iterable[str], near: Near, scratch: Path | None, each: Map) -> Clusters:
        left, total = iter(texts), 0
        for file, first in enumerate(left):
            own = [first, *islice(left, FILE - 1)]
            total += len(own)
            place, documents = folder / "texts" / f"{file:06}", [Document(text, "", "") for text in own]
            if not place.exists():
                commit_folder(place, partial(_write, documents))
        return Clusters(np.arange(total), np.arange(total))

    def texts() -> Iterator[str]:
        return (document.text for document in together.documents("duplicates"))

    find(texts, together.cleaning.duplicates, None, map, write)


def _write(documents: Sequence[Document], draft: Path) -> None:
    store.write(draft, documents, Funnel())


def read_texts(folder: Path, data: object, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
    """One task's share of the texts, as datatrove's documents."""
    document = _datatrove("datatrove.data").Document
    for file in _files(folder)[rank::world_size]:
        yield from (document(text=one.text, id=f"{file.name}:{i}") for i, one in enumerate(store.read(file)))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "texts").glob("[0-9]*"))


def _config(near: Near) -> Any:
    minhash = _datatrove("datatrove.pipeline.dedup.minhash")
    hashing = _datatrove("datatrove.utils.hashing").HashConfig(precision=64, hash_fc="sha1")
    number, rows = bands(near)
    return minhash.MinhashConfig(near.words, number, rows, hash_config=hashing)


def _signatures(folder: Path, near: Near) -> Any:
    """MinHash's first stage, on the runs of words that similarity is measured with."""
    minhash = _datatrove("datatrove.pipeline.dedup.minhash")
    tokenizer = _datatrove("datatrove.utils.word_tokenizers").WhitespaceTokenizer
    step = minhash.MinhashDedupSignature(str(folder / "signatures"), _config(near), language=tokenizer())
    step.get_shingles = partial(shingles, near)
    return step


def shingles(near: Near, text: str) -> Any:
    """(runs, 1) numbers below 2**61 - 1, as datatrove's hashing wants them."""
    runs, _ = run_hashes([text[:HEAD]], near.words)
    return (np.unique(runs) >> np.uint64(3)).reshape(-1, 1)


def _pairs(folder: Path, near: Near) -> Any:
    minhash = _datatrove("datatrove.pipeline.dedup.minhash")
    return minhash.MinhashDedupBuckets(str(folder / "signatures"), str(folder / "pairs"), config=_config(near))


def judge(plan: Plan, number: int, tasks: int, data: object, rank: int = 0, world_size: int = 1) -> None:
    """The last step: what has been proposed is judged, and what is left is written."""

    def search(texts: Iterable[str], near: Near, scratch: Path | None, each: Map) -> Clusters:
        return judged(texts, _proposed(folder, tasks), near, scratch)

    together = plan.groups(search)[number]
    folder, first = work_folder(together), together.streams[0]
    together.folder(first.source, first.part)
    if folder.exists():
        durable.remove_tree(folder)


def _proposed(folder: Path, tasks: int) -> Iterator[tuple[Indices, Indices]]:
    """Pairs of places in the corpus, from (task, document of the task) of both; read in the order of their files."""
    counts = [store.count(file) for file in _files(folder)]
    ranges = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    of_task = [np.concatenate([np.empty(0, dtype=np.int64), *ranges[task::tasks]]) for task in range(tasks)]
    places, starts = np.concatenate(of_task), np.cumsum([0, *map(len, of_task)])
    for file in sorted((folder / "pairs").glob("*.dups")):
        with file.open("rb") as rows:
            while len(pairs := np.fromfile(rows, "<u4", 4 * PAIRS).reshape(-1, 4).astype(np.int64)):
                yield places[starts[pairs[:, 0]] + pairs[:, 1]], places[starts[pairs[:, 2]] + pairs[:, 3]]


def _datatrove(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        action = "pip install 'lilliput[data]', or use `--engine local`"
        raise LilliputError("this engine is the package datatrove", action, Exit.UNAVAILABLE) from None
