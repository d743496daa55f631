"""What becomes of each document of a corpus, one step after the other, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from lilliput.corpus import contamination, perplexity
from lilliput.corpus.cleaning import Funnel
from lilliput.corpus.document import Document, Dropped, size

EDITED = "repeated lines"

Outcome = tuple[Document, Document | Dropped]
Step = Callable[[Iterator[Document]], Iterator[Outcome]]
"""What becomes of each document, in order."""


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


def spared(outcomes: Iterator[Outcome], number: int) -> Iterator[Outcome]:
    """The first `number` documents as they were, whatever became of them; the others' outcomes."""
    for document, _ in islice(outcomes, number):
        yield document, document
    yield from outcomes


def remaining(outcomes: Iterable[Outcome], funnel: Funnel) -> Iterator[Document]:
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


def without(wanted: contamination.Wanted) -> Step:
    """Leave out what holds text of an evaluation set."""

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


def within(scores: Sequence[float], limits: perplexity.Range) -> Step:
    """Leave out what has a score, one for each document, beyond the limits."""

    def step(documents: Iterator[Document]) -> Iterator[Outcome]:
        for document, score in zip(documents, scores, strict=True):
            reason = limits.reason(score)
            yield document, document if reason is None else Dropped(reason)

    return step
