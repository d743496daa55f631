import math

import pytest

from lilliput.evals.baselines import entropy, ngrams, uniform

TRAIN = [b"the cat sat on the mat. ", b"the dog sat on the log. "] * 20
HELD_OUT = [b"the cat sat on the log. ", b"the dog sat on the mat. ", b"the log sat. "]


def test_uniform_costs_the_logarithm_of_the_vocabulary_per_target():
    assert uniform(256, targets=10, size=10).bpb.value == 8.0
    assert uniform(50_257, targets=10, size=45).bpb.value == pytest.approx(math.log2(50_257) * 10 / 45)


def test_ngrams_of_higher_order_cost_less_on_regular_text_and_say_what_they_saw():
    found = ngrams(lambda: TRAIN, lambda: HELD_OUT, [1, 3])
    assert [baseline.name for baseline in found] == ["1-gram", "3-gram"]
    assert found[1].bpb.high < found[0].bpb.low
    assert f"{sum(map(len, TRAIN)):,} bytes" in found[0].note


def test_ngrams_are_fitted_on_the_limit_at_most():
    [found] = ngrams(lambda: TRAIN, lambda: HELD_OUT, [2], limit=100)
    assert "100 bytes" in found.note


def test_entropy_sums_the_exact_costs_of_documents():
    found = entropy(lambda document: 2 * len(document) * math.log(2), lambda: HELD_OUT)
    assert (found.bpb.value, found.bpb.low) == (pytest.approx(2.0), pytest.approx(2.0))
