"""The perplexity filter: the documents that a model of a stated reference finds strangest are left out, by rank."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lilliput.config.settings import Fatal, settings
from lilliput.corpus.ngrams import KneserNey

Scorer = Callable[[Iterable[str]], Iterator[float]]
"""Bits per byte of each text, in order: an n-gram's or a model's."""


@dataclass(frozen=True)
class Scoring:
    """A model's scorer, and what names its weights: another model leaves other documents."""

    identity: str
    scorer: Scorer


HEAD = 1 << 20
"""Bytes of a document that are scored: a longer one is judged by its beginning."""
STRANGE, PLAIN = "perplexity above the quantile", "perplexity below the quantile"


@settings
class Perplexity:
    """Documents far from a text that is known to be good, or too predictable from it.

    Thresholds are shares of the documents, so no scale of a model can drop everything (as in CCNet, arXiv 1911.00359).
    """

    reference: Fatal[str | None] = None
    """What good text is: the corpus, by name or path, that n-grams are fitted on (its first 16 MB)."""
    model: Fatal[str | None] = None
    """In place of a reference, a model that was trained on good text: RUN, RUN@best, RUN@500 or a checkpoint's path."""
    order: Fatal[int] = Field(default=5, ge=1, le=12)
    """Bytes of the longest n-gram."""
    keep: Fatal[float] = Field(default=0.9, gt=0, le=1)
    """Share of the documents that stay, from the lowest perplexity up; equal ones stay together."""
    skip: Fatal[float] = Field(default=0.0, ge=0, lt=1)
    """Share of the documents with the lowest perplexity that are left out too, such as endless repetition."""

    def __post_init__(self) -> None:
        if (self.reference is None) == (self.model is None):
            raise ValueError("reference or model: it needs one of them")
        if self.skip >= self.keep:
            raise ValueError("skip must be less than keep, or nothing would stay")


@dataclass(frozen=True)
class Range:
    """The scores that stay."""

    low: float
    high: float

    def reason(self, score: float) -> str | None:
        """Why a document of this score is left out, or None."""
        if score > self.high:
            return STRANGE
        return PLAIN if score < self.low else None


def ngram_scorer(reference: Iterable[str], order: int) -> Scorer:
    """Scores by byte n-grams of a reference."""
    model = KneserNey.fit((text.encode() for text in reference), order)

    def score(texts: Iterable[str]) -> Iterator[float]:
        for found in model.scores(text[:HEAD].encode()[:HEAD] for text in texts):
            yield found.bits_per_byte

    return score


def scores(texts: Iterable[str], scorer: Scorer) -> NDArray[np.float32]:
    """(documents,) bits per byte, 4 bytes of each; with fewer digits than two machines could disagree about.

    What has no score, such as an empty text, has the strangest.
    """
    found = np.fromiter(scorer(texts), dtype=np.float64)
    return np.round(np.nan_to_num(found, nan=inf, posinf=inf), 6).astype(np.float32)


def staying(found: NDArray[np.float32], config: Perplexity) -> Range:
    """The scores that stay, by the nearest rank; at least one document has one of them."""
    if not len(found):
        return Range(-inf, inf)
    high = ceil(config.keep * len(found)) - 1
    low = min(high, int(config.skip * len(found)))
    ranked = np.partition(found, (low, high))
    return Range(float(ranked[low]), float(ranked[high]))
