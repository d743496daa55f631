"""The n-gram baseline against a textbook written with dictionaries, and as a probability distribution."""

import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from lilliput.corpus.ngrams import KneserNey

BEGIN, END, OUTCOMES = 257, 256, 257


def sequence(document: bytes) -> tuple[int, ...]:
    return (BEGIN, *document, END)


class Textbook:
    """Chen and Goodman's recursion, one dictionary per length, read off the paper."""

    def __init__(self, documents: list[bytes], order: int) -> None:
        plain = [Counter[tuple[int, ...]]() for _ in range(order + 1)]
        before = [defaultdict[tuple[int, ...], set[int]](set) for _ in range(order + 1)]
        for row in map(sequence, documents):
            for stop in range(2, len(row) + 1):
                for length in range(1, min(order, stop) + 1):
                    gram = row[stop - length : stop]
                    plain[length][gram] += 1
                    if stop > length:
                        before[length][gram].add(row[stop - length - 1])
        self.order, self.counts, self.discounts, self.after = order, [{}], [()], [{}]
        for length in range(1, order + 1):
            top = length == order
            counts = {g: c if top or g[0] == BEGIN else len(before[length][g]) for g, c in plain[length].items()}
            after = defaultdict(list)
            for gram, count in counts.items():
                after[gram[:-1]].append(count)
            self.counts.append(counts)
            self.after.append(after)
            self.discounts.append(self.discount(Counter(counts.values())))

    @staticmethod
    def discount(of: Counter[int]) -> tuple[float, ...]:
        if not all(of[c] for c in (1, 2, 3, 4)):
            return 0, 0.5, 1, 1.5
        y = of[1] / (of[1] + 2 * of[2])
        estimates = [c - (c + 1) * y * of[c + 1] / of[c] for c in (1, 2, 3)]
        return 0, *(e if 0 < e < c else c / 2 for c, e in enumerate(estimates, start=1))

    def chance(self, context: tuple[int, ...], outcome: int) -> float:
        return self.at(context[max(0, len(context) - self.order + 1) :], outcome)

    def at(self, context: tuple[int, ...], outcome: int) -> float:
        length = len(context) + 1
        lower = self.at(context[1:], outcome) if context else 1 / OUTCOMES
        counts = self.after[length].get(context)
        if not counts:
            return lower
        discounts, count = self.discounts[length], self.counts[length].get((*context, outcome), 0)
        kept = sum(discounts[min(c, 3)] for c in counts)
        return (count - discounts[min(count, 3)] + kept * lower) / sum(counts)


def words(seed: int, size: int) -> bytes:
    """Text with repeats, so that all counts of counts occur."""
    draw = random.Random(seed)
    return b" ".join(bytes(draw.choices(b"abcde", [8, 4, 2, 1, 1], k=draw.randint(1, 4))) for _ in range(size))


CORPUS = [words(seed, 60) for seed in range(6)]
UNLIKE = [b"", b"zzz", b"a", bytes(range(256)), words(99, 30), words(3, 20) + b"\xff\x00"]


@pytest.mark.parametrize("order", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("corpus", [CORPUS, [b"one two two", b""], []], ids=["ample", "tiny", "none"])
def test_every_symbol_costs_what_the_textbook_says(order, corpus):
    model, textbook = KneserNey.fit(corpus, order), Textbook(corpus, order)
    for document in UNLIKE + corpus[:1]:
        row = sequence(document)
        expected = [-math.log(textbook.chance(row[:t], row[t])) for t in range(1, len(row))]
        np.testing.assert_allclose(model.token_nats(document), expected, rtol=0, atol=1e-12)


def test_the_test_corpus_reaches_estimated_discounts_and_fallbacks():
    found = Textbook(CORPUS, 5).discounts[1:]
    fallback = (0, 0.5, 1, 1.5)
    assert fallback in found and any(d[1] != 0.5 for d in found)


@pytest.mark.parametrize("order", [1, 3, 7])
def test_chances_of_all_bytes_and_the_end_sum_to_one(order):
    model = KneserNey.fit(CORPUS, order)
    draw = random.Random(order)
    contexts = [b"", b"\xf0", *(words(draw.random(), 3)[: draw.randint(1, 9)] for _ in range(8))]
    for context in contexts:
        nats = [model.token_nats(context + bytes([b]))[len(context)] for b in range(256)]
        chances = np.exp(-np.array([*nats, model.token_nats(context)[-1]]))
        assert abs(math.fsum(chances) - 1) < 1e-12


def test_a_score_sums_documents_and_counts_no_end_among_the_bytes():
    model = KneserNey.fit(CORPUS, 4)
    score = model.score(iter(UNLIKE))
    assert score.bytes == sum(map(len, UNLIKE))
    assert score.nats == pytest.approx(sum(model.nats(d) for d in UNLIKE), rel=1e-12)
    assert score.bits_per_byte == pytest.approx(score.nats / math.log(2) / score.bytes)
    assert math.isnan(model.score([b""]).bits_per_byte)


def test_blocks_do_not_change_a_score(monkeypatch):
    model = KneserNey.fit(CORPUS, 4)
    whole = model.score(CORPUS)
    monkeypatch.setattr("lilliput.corpus.ngrams.BLOCK", 100)
    assert model.score(CORPUS).nats == pytest.approx(whole.nats, rel=1e-12)


def test_fitting_stops_at_the_limit_and_a_cut_document_has_no_end():
    whole = KneserNey.fit([b"abc", b"def"], 2)
    cut = KneserNey.fit([b"abc", b"def", b"ghi"], 2, limit=5)
    exact = KneserNey.fit([b"abc", b"def", b"ghi"], 2, limit=6)
    assert (whole.fitted_bytes, cut.fitted_bytes, exact.fitted_bytes) == (6, 5, 6)
    assert exact.nats(b"def") == whole.nats(b"def")
    assert cut.token_nats(b"de")[-1] > cut.token_nats(b"abc")[-1]


def test_a_gram_without_symbols_is_refused():
    with pytest.raises(ValueError, match="at least one symbol"):
        KneserNey.fit([b"abc"], 0)


def test_tiny_shakespeare_costs_what_a_good_baseline_costs(sample_data):
    text = (sample_data / "tiny_shakespeare/input.txt").read_bytes()
    cut = len(text) * 9 // 10
    assert KneserNey.fit([text[:cut]], 4).score([text[cut:]]).bits_per_byte == pytest.approx(2.48, abs=0.02)
