"""All sources of a recipe cleaned together: duplicates, evaluation texts and strange documents leave the whole."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.load import dump
from lilliput.corpus import contamination, perplexity, store, watching
from lilliput.corpus.cleaned import sha256_of
from lilliput.corpus.cleaning import Cleaning, Funnel
from lilliput.corpus.document import Document, Part
from lilliput.corpus.duplicates import Search, find
from lilliput.corpus.listing import source_of
from lilliput.corpus.near import Map, clusters
from lilliput.corpus.outcomes import Outcome, Step, remaining, spared, through, within, without
from lilliput.corpus.perplexity import Scorer, Scoring
from lilliput.corpus.processes import cores, share
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.entry import Entry, limited
from lilliput.corpus.versions import code
from lilliput.runs import durable, stop
from lilliput.runs.commit import commit_folder
from lilliput.runs.home import clean

SMALL = 8 << 20
"""Bytes of text that are looked through sooner than a process starts."""


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
        outcomes = self._outcomes(self._steps(draft.parent, funnels), funnels, "all sources: what is left")
        for number, funnel in enumerate(funnels):
            durable.make_dir(draft / f"{number:05}", new=True)
            own = islice(outcomes, funnel.kept)
            store.write(draft / f"{number:05}", remaining(own, funnel), funnel)

    def documents(self, doing: str, total: int | None = None) -> Iterator[Document]:
        """The documents of all streams, before any step; this pass over them can be watched."""
        with watching.working(doing, total):
            for stream in self.streams:
                documents = stream.source.documents(Reader(self.reading), stream.part)
                for document in limited(documents, stream.source):
                    stop.yield_point()
                    yield document

    def _steps(self, scratch: Path, funnels: Sequence[Funnel]) -> list[Step]:
        """The steps that the recipe asks for; each looks through what the one before leaves."""
        steps, held_out = list[Step](), _held_out(self.streams, funnels)

        def texts(doing: str, skip: int = 0) -> Iterator[str]:
            outcomes = self._outcomes(steps, funnels, f"all sources: {doing}")
            return (result.text for _, result in islice(outcomes, skip, None) if isinstance(result, Document))

        if duplicates := self.cleaning.duplicates:
            each = self._each(sum(funnel.kept_bytes for funnel in funnels))
            steps.append(find(partial(texts, "duplicates"), duplicates, scratch, each, self.search).apply)
        if self.cleaning.contamination:
            sets = {source.label: _evaluation(source, self.reading) for source in self._against}
            steps.append(without(contamination.wanted(sets, self.cleaning.contamination)))
        if limits := self.cleaning.perplexity:
            found = perplexity.scores(texts("perplexity", held_out), self._scorer(limits.order))
            steps.append(within(found.tolist(), perplexity.staying(found, limits)))
        return steps

    def _scorer(self, order: int) -> Scorer:
        if self.scoring:
            return self.scoring.scorer
        assert self._reference is not None
        reference = (document.text for document in self._reference.documents(Reader(self.reading)))
        with watching.working(f"n-grams of {self._reference.label}"):
            return perplexity.ngram_scorer(reference, order)

    def _outcomes(self, steps: Sequence[Step], funnels: Sequence[Funnel], doing: str) -> Iterator[Outcome]:
        """What becomes of each document of all streams; those held out stay as they are."""
        held_out, total = _held_out(self.streams, funnels), sum(funnel.kept for funnel in funnels)
        outcomes: Iterator[Outcome] = ((document, document) for document in self.documents(doing, total))
        for number, step in enumerate(steps):
            if number == 0 and self.cleaning.duplicates:
                outcomes = spared(through(outcomes, step), held_out)
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


def _evaluation(source: Entry, reading: Reading) -> Iterator[str]:
    """The texts of a set that must not be trained on: all but its training part."""
    parts: Sequence[Part | None] = [part for part in source.parts if part != "train"] or [None]
    with watching.working(f"texts of {source.label}"):
        for part in parts:
            yield from (document.text for document in source.documents(Reader(reading), part))
