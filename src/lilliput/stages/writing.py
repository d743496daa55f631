"""What a model wrote, examined: whole characters, variety, repetition, and what it took over from its training text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lilliput.evals.writing import distinct, longest_verbatim, repetition, utf8_validity
from lilliput.inference.generate import Completion
from lilliput.stages.opened import Opened
from lilliput.stages.prepare import texts

COMPARED = 16_000_000
"""Characters of training text that are searched for what was written."""


@dataclass(frozen=True)
class Examination:
    utf8_validity: float
    """Share of the bytes that belong to whole characters."""
    distinct: float
    """Share of pairs of words that differ from all others, over all texts."""
    repetition: float
    """Share of a text's groups of four words that it had used before; the mean over texts."""
    verbatim: str
    """The longest stretch that stands in the training text letter for letter."""
    compared: int
    """Characters of training text that were searched."""


def examine(opened: Opened, written: Sequence[Completion]) -> Examination:
    """Examine what a model wrote, without the prompts."""
    own = [completion.text for completion in written]
    training = list(_training_texts(opened))
    return Examination(
        utf8_validity=utf8_validity([opened.tokenizer.decode_bytes(completion.ids) for completion in written]),
        distinct=distinct(own),
        repetition=sum(map(repetition, own)) / len(own),
        verbatim=max((longest_verbatim(text, training).text for text in own), key=len),
        compared=sum(map(len, training)),
    )


def _training_texts(opened: Opened) -> Iterator[str]:
    """The beginning of what the model was trained on, `COMPARED` characters at most."""
    left = COMPARED
    for _, text in texts(opened.recipe.data.sources, opened.recipe.data, "train"):
        yield text[:left]
        left -= len(text)
        if left <= 0:
            return
