"""All sources of a recipe cleaned together: duplicates, evaluation texts and strange documents leave the whole."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.load import dump
from lilliput.corpus import contamination, perplexity, store
from lilliput.corpus.cleaned import Cleaned, sha256_of
from lilliput.corpus.cleaning import Cleaning, Funnel
from lilliput.corpus.document import Document, Dropped, Part, size
from lilliput.corpus.duplicates import Search, find
from lilliput.corpus.listing import source_of
from lilliput.corpus.near import Map, clusters
from lilliput.corpus.perplexity import Scorer, Scoring
from lilliput.corpus.processes import cores, share
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.entry import BEYOND, Entry, Stored, limited
from lilliput.corpus.split import SplitConfig
from lilliput.corpus.versions import code
from lilliput.runs import durable, stop
from lilliput.runs.commit import commit_folder
from lilliput.runs.home import clean

SMALL = 8 << 20
"""Bytes of text that are looked through sooner than a process starts."""
EDITED = "repeated lines"

Outcome = tuple[Document, Document | Dropped]
Step = Callable[[Iterator[Document]], Iterator[Outcome]]
"""What becomes of each document, in order."""


@dataclass(frozen=True)
class Stream:
    """One part of one source, after its rules."""

    source: Entry
    part: Part | None

    @property
    def is_held_out(self) -> bool:
        return self.part in ("validation", "test")


class Together:
    """The streams of a recipe. Held-out parts come first and stay whole, so that training loses what they hold."""

    def __init__(
        self,
        sources: Sequence[Entry],
        cleaning: Cleaning,
        reading: Reading,
        by_parts: bool,
        scoring: Scoring | None = None,
        search: Search = clusters,
    ) -> None:
        self.cleaning, self.scoring, self.search = cleaning, scoring, search
        self.reading = Reading(**{field.name: getattr(reading, field.name) for field in fields(Reading)})
        parts = [source.parts if by_parts and source.parts else (None,) for source in sources]
        streams = [Stream(source, part) for source, own in zip(sources, parts, strict=True) for part in own]
        self.streams = sorted(streams, key=lambda stream: not stream.is_held_out)
        self._against = [source_of(word) for word in cleaning.contamination.against] if cleaning.contamination else []
        reference = cleaning.perplexity.reference if cleaning.perplexity else None
        self._reference = source_of(reference) if reference else None
        if cleaning.perplexity and not reference and not scoring:
            cause = "data.cleaning.perplexity.model: models are opened by the local engine alone"
            raise LilliputError(cause, "use `--engine local`, or a `reference`", Exit.RECIPE)

    @cached_property
    def key(self) -> str:
        """A name for all that decides what is left."""
        steps = {name: dump(step) for name in STEPS if (step := getattr(self.cleaning, name))}
        streams = [(stream.source.fingerprint(stream.part), stream.part) for stream in self.streams]
        others = [source.fingerprint() for source in (*self._against, self._reference) if source]
        told = [store.FORMAT, streams, steps, others, dump(self.reading), _code(steps)]
        return sha256_of([*told, self.scoring.identity] if self.scoring else told)

    def folder(self, source: Entry, part: Part | None) -> Path:
        """The folder of what is left of a stream, made now with all others where it is missing."""
        root = clean() / self.key
        if not root.exists():
            commit_folder(root, self._write)
            if self._key_now() != self.key:
                durable.remove_tree(root)
                names = ", ".join(dict.fromkeys(stream.source.label for stream in self.streams))
                cause = f"{names} changed while it was read"
                raise LilliputError(cause, "start again when it is at rest", Exit.CONTENT)
        number = next(i for i, one in enumerate(self.streams) if one.source is source and one.part == part)
        return root / f"{number:05}"

    def _key_now(self) -> str:
        del self.__dict__["key"]
        return self.key

    def _write(self, draft: Path) -> None:
        funnels = [stream.source.funnel(self.reading, stream.part) for stream in self.streams]
        outcomes = self._outcomes(self._steps(draft.parent, funnels), _held_out(self.streams, funnels))
        for number, funnel in enumerate(funnels):
            durable.make_dir(draft / f"{number:05}", new=True)
            own = islice(outcomes, funnel.kept)
            store.write(draft / f"{number:05}", _left(own, funnel), funnel)

    def documents(self) -> Iterator[Document]:
        """The documents of all streams, before any step."""
        for stream in self.streams:
            documents = stream.source.documents(Reader(self.reading), stream.part)
            for document in limited(documents, stream.source):
                stop.yield_point()
                yield document

    def _steps(self, scratch: Path, funnels: Sequence[Funnel]) -> list[Step]:
        """The steps that the recipe asks for; each looks through what the one before leaves."""
        steps, held_out = list[Step](), _held_out(self.streams, funnels)

        def texts(skip: int = 0) -> Iterator[str]:
            outcomes = self._outcomes(steps, held_out)
            return (result.text for _, result in islice(outcomes, skip, None) if isinstance(result, Document))

        if duplicates := self.cleaning.duplicates:
            each = self._each(sum(funnel.kept_bytes for funnel in funnels))
            steps.append(find(texts, duplicates, scratch, each, self.search).apply)
        if self.cleaning.contamination:
            sets = {source.label: _evaluation(source, self.reading) for source in self._against}
            steps.append(_without(contamination.wanted(sets, self.cleaning.contamination)))
        if limits := self.cleaning.perplexity:
            found = perplexity.scores(texts(held_out), self._scorer(limits.order))
            steps.append(_within(found.tolist(), perplexity.staying(found, limits)))
        return steps

    def _scorer(self, order: int) -> Scorer:
        if self.scoring:
            return self.scoring.scorer
        assert self._reference is not None
        reference = (document.text for document in self._reference.documents(Reader(self.reading)))
        return perplexity.ngram_scorer(reference, order)

    def _outcomes(self, steps: Sequence[Step], held_out: int) -> Iterator[Outcome]:
        """What becomes of each document of all streams; the first `held_out` ones stay as they are."""
        outcomes: Iterator[Outcome] = ((document, document) for document in self.documents())
        for number, step in enumerate(steps):
            if number == 0 and self.cleaning.duplicates:
                outcomes = _spared(through(outcomes, step), held_out)
            else:
                outcomes = chain(islice(outcomes, held_out), through(outcomes, step))
        return outcomes

    def _each(self, total: int) -> Map:
        workers = self.cleaning.workers or min(cores(), 1 + total // SMALL)
        return lambda function, blocks: share(function, blocks, workers, ahead=4 * workers)


STEPS = ("duplicates", "contamination", "perplexity")
"""What looks at all documents together."""


def is_wanted(cleaning: Cleaning) -> bool:
    """Whether any step of a cleaning looks at all documents together."""
    return any(getattr(cleaning, name) is not None for name in STEPS)


def _code(steps: Iterable[str]) -> list[str]:
    return [code(f"lilliput.corpus.{name}") for name in steps]


def _held_out(streams: Sequence[Stream], funnels: Sequence[Funnel]) -> int:
    return sum(funnel.kept for stream, funnel in zip(streams, funnels, strict=True) if stream.is_held_out)


def through(outcomes: Iterator[Outcome], step: Step) -> Iterator[Outcome]:
    """Outcomes after one more step, which may read ahead; what was dropped before keeps its place and its reason."""
    waiting = deque[Outcome]()

    def left() -> Iterator[Document]:
        for outcome in outcomes:
            waiting.append(outcome)
            if isinstance(outcome[1], Document):
                yield outcome[1]

    for document, result in step(left()):
        while waiting[0][1] is not document:
            yield waiting.popleft()
        yield waiting.popleft()[0], result
    yield from waiting


def _spared(outcomes: Iterator[Outcome], number: int) -> Iterator[Outcome]:
    for document, _ in islice(outcomes, number):
        yield document, document
    yield from outcomes


def _left(outcomes: Iterable[Outcome], funnel: Funnel) -> Iterator[Document]:
    """The documents that are left, the others counted."""
    for document, result in outcomes:
        funnel.kept_bytes -= size(document.text)
        if isinstance(result, Dropped):
            funnel.kept -= 1
            funnel.drop(document, result.reason)
            continue
        funnel.kept_bytes += size(result.text)
        if result.text is not document.text:
            funnel.edited[EDITED] += 1
        yield result


def _evaluation(source: Entry, reading: Reading) -> Iterator[str]:
    """The texts of a set that must not be trained on: all but its training part."""
    parts: Sequence[Part | None] = [part for part in source.parts if part != "train"] or [None]
    for part in parts:
        yield from (document.text for document in source.documents(Reader(reading), part))


def _without(wanted: contamination.Wanted) -> Step:
    def step(documents: Iterator[Document]) -> Iterator[Outcome]:
        waiting = deque[Document]()

        def texts() -> Iterator[str]:
            for document in documents:
                waiting.append(document)
                yield document.text

        for sets in wanted.hits(texts()):
            yield waiting[0], Dropped(contamination.reason(sets)) if sets else waiting[0]
            waiting.popleft()

    return step


def _within(scores: Sequence[float], limits: perplexity.Range) -> Step:
    def step(documents: Iterator[Document]) -> Iterator[Outcome]:
        for document, score in zip(documents, scores, strict=True):
            reason = limits.reason(score)
            yield document, document if reason is None else Dropped(reason)

    return step


class Left(Stored):
    """What is left of one source of several that are cleaned together."""

    together: Together

    def __init__(self, source: Entry, together: Together) -> None:
        super().__init__(source)
        object.__setattr__(self, "together", together)

    def provenance(self) -> str:
        steps = [name for name in STEPS if getattr(self.together.cleaning, name) is not None]
        return f"{self.source.provenance()}, looked through for {', '.join(steps)}"

    def fingerprint(self, part: Part | None = None) -> str:
        numbers = [i for i, one in enumerate(self.together.streams) if one.source is self.source]
        own = [i for i in numbers if self.together.streams[i].part == part]
        return sha256_of([self.together.key, own or numbers])

    def documents(self, reader: Reader, part: Part | None = None) -> Iterator[Document]:
        folder = self.together.folder(self.source, part)
        yield from store.read(folder)
        reader.dropped.update({k: n for k, n in store.funnel(folder).dropped.items() if k != BEYOND})

    def funnel(self, reading: Reading, part: Part | None = None) -> Funnel:
        return store.funnel(self.together.folder(self.source, part))


def clean_sources(
    sources: Sequence[Source],
    cleaning: Cleaning,
    reading: Reading,
    split: SplitConfig,
    scoring: Scoring | None = None,
    search: Search = clusters,
) -> list[Entry]:
    """The sources of a recipe after cleaning, each itself where nothing is to be cleaned."""
    ruled = [after_rules(source, cleaning) for source in sources]
    if not is_wanted(cleaning):
        return ruled
    by_parts, scope = split.kind in ("auto", "official"), cleaning.duplicates.scope if cleaning.duplicates else "corpus"
    groups = [ruled] if scope == "corpus" else [[source] for source in ruled]
    together = [Together(group, cleaning, reading, by_parts, scoring, search) for group in groups]
    return [Left(source, one) for group, one in zip(groups, together, strict=True) for source in group]


def after_rules(source: Source, cleaning: Cleaning) -> Entry:
    """The source itself where no rule is on, so that its fingerprint stays what it was."""
    rules = cleaning.rules if source.rules is None else source.rules
    return Cleaned(source, rules, cleaning.workers) if rules else source
