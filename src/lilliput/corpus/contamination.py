"""Contamination: documents that share a run of words with the texts of an evaluation are left out, by set."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lilliput.config.settings import Fatal, settings
from lilliput.corpus.words import BLOCK, Hashes, blocks, long_runs, run_hashes, word_hashes

FEWEST = 8
"""Words of the shortest evaluation text that is looked for: below, a match says little (GPT-3 has the same bound)."""


@settings
class Contamination:
    """Documents that hold text of an evaluation (as in GPT-3's appendix C, arXiv 2005.14165)."""

    against: Fatal[tuple[str, ...]] = Field(min_length=1)
    """Texts that must not be trained on, each a corpus's name or a path."""
    words: Fatal[int] = Field(default=13, ge=FEWEST)
    """Words in a run that may not be shared; an evaluation text with fewer, but at least 8, is looked for whole."""


@dataclass
class Wanted:
    """The runs of words of some evaluation sets: 16 bytes of each distinct run and set."""

    runs: dict[int, tuple[Hashes, NDArray[np.int64]]]
    """Words of a run -> (runs,) their numbers, sorted, and the set of each."""
    names: list[str]
    skipped: Counter[str] = field(default_factory=Counter)
    """Texts of each set that are too short to be looked for."""

    def hits(self, texts: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """For each text, in order, the sets that it shares a run with; in blocks, so it reads a little ahead."""
        for block in blocks(texts):
            found = [set[int]() for _ in block]
            for length in self.runs:
                short = [number for number, text in enumerate(block) if len(text) <= 2 * BLOCK]
                hashes, counts = run_hashes([block[number] for number in short], length)
                self._note(hashes, np.repeat(short, counts), length, found)
                for number in {*range(len(block))}.difference(short):
                    for hashes in long_runs(block[number], length):
                        self._note(hashes, np.full(len(hashes), number), length, found)
            yield from (tuple(self.names[number] for number in sorted(sets)) for sets in found)

    def _note(self, hashes: Hashes, of_text: NDArray[np.int64], length: int, found: list[set[int]]) -> None:
        """Add to `found` the sets that have a run of these."""
        runs, sets = self.runs[length]
        first, last = np.searchsorted(runs, hashes), np.searchsorted(runs, hashes, side="right")
        for at in np.flatnonzero(last > first).tolist():
            found[of_text[at]].update(sets[first[at] : last[at]].tolist())


def wanted(sets: Mapping[str, Iterable[str]], config: Contamination) -> Wanted:
    """The runs of these evaluation texts, by the name of their set."""
    found: dict[int, list[tuple[Hashes, int]]] = {}
    skipped = Counter[str]()
    for number, (name, texts) in enumerate(sets.items()):
        for block in blocks(texts):
            by_length: dict[int, list[str]] = {}
            for text, words in zip(block, word_hashes(block)[1].tolist(), strict=True):
                if words < FEWEST:
                    skipped[name] += 1
                else:
                    by_length.setdefault(min(words, config.words), []).append(text)
            for length, same in by_length.items():
                found.setdefault(length, []).append((np.unique(run_hashes(same, length)[0]), number))
    return Wanted({length: _sorted(found[length]) for length in sorted(found)}, list(sets), skipped)


def _sorted(found: list[tuple[Hashes, int]]) -> tuple[Hashes, NDArray[np.int64]]:
    runs = np.concatenate([hashes for hashes, _ in found])
    sets = np.repeat([number for _, number in found], [len(hashes) for hashes, _ in found])
    order = np.lexsort((sets, runs))
    runs, sets = runs[order], sets[order]
    is_new = np.concatenate(([True], (runs[1:] != runs[:-1]) | (sets[1:] != sets[:-1])))
    return runs[is_new], sets[is_new]


def reason(sets: tuple[str, ...]) -> str:
    """Why a document that hit these sets is left out, for the funnel."""
    return f"holds text of {' and '.join(sets)}"
