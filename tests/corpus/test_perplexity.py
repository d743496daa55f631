import random
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError

from lilliput.corpus.perplexity import HEAD, PLAIN, STRANGE, Perplexity, ngram_scorer, scores, staying

SCORES = some.lists(some.floats(0, 30, width=32), min_size=1, max_size=60)
STORY = "the little dog ran to the big tree and the cat sat under it. "


def settings(**given: object) -> Perplexity:
    return Perplexity(reference="tales", **given)


def kept(found: Iterable[float], config: Perplexity) -> list[float]:
    values = np.array(list(found), dtype=np.float32)
    stays = staying(values, config)
    return [value for value in values.tolist() if stays.reason(value) is None]


@given(SCORES, some.floats(0.01, 1), some.floats(0, 0.99), some.floats(1, 1000))
def test_at_least_one_document_stays_whatever_the_scale(found: list[float], keep: float, skip: float, scale: float):
    config = settings(keep=keep, skip=min(skip, keep * 0.99))
    assert kept(found, config)
    assert len(kept([value * 1024 for value in found], config)) == len(kept(found, config))


def test_the_share_that_stays_is_the_one_asked_for():
    found = random.Random(0).sample(range(1000), 1000)
    assert sorted(kept(found, settings(keep=0.9))) == list(range(900))
    assert sorted(kept(found, settings(keep=0.5, skip=0.25))) == list(range(250, 500))
    assert len(kept(found, settings(keep=1.0))) == 1000


def test_equal_documents_stay_or_go_together():
    assert kept([1, 2, 2, 2, 3], settings(keep=0.5)) == [1, 2, 2, 2]
    assert kept([7] * 10, settings(keep=0.1)) == [7] * 10


def test_the_reason_says_on_which_side_a_document_fell():
    stays = staying(np.arange(10, dtype=np.float32), settings(keep=0.8, skip=0.2))
    assert [stays.reason(score) for score in (1, 2, 7, 8)] == [PLAIN, None, None, STRANGE]


def test_no_documents_leave_everything_open():
    assert staying(np.empty(0, dtype=np.float32), settings()).reason(5.0) is None


def test_text_unlike_the_reference_is_stranger_than_text_like_it():
    draw = random.Random(1)
    noise = ["".join(draw.choices("qxzjvk#@%", k=300)) for _ in range(10)]
    found = scores([STORY * 4, *noise, "the cat ran to the tree. " * 5], ngram_scorer([STORY * 50], order=4))
    assert max(found[0], found[-1]) < min(found[1:-1])
    stays = staying(found, settings(keep=0.1))
    assert [stays.reason(float(score)) for score in found] == [None, *[STRANGE] * 10, None]


def test_a_documents_score_does_not_depend_on_the_documents_beside_it_nor_on_anything_after_its_head():
    draw = random.Random(2)
    texts = ["".join(draw.choices("abc d", k=draw.randint(1, 3000))) for _ in range(40)] + ["", "é" * 50]
    scorer = ngram_scorer(texts[:5], order=5)
    together = scores(texts, scorer)
    alone = [scores([text], scorer)[0] for text in texts]
    assert together.tolist() == alone
    assert together[40] == np.inf > together[41]
    head = "ab" * (HEAD // 2)
    assert scores([head], scorer) == scores([head + "zzz" * 1000], scorer)


def test_a_models_scorer_may_take_the_place_of_the_n_grams():
    def by_length(texts: Iterable[str]) -> Iterator[float]:
        yield from (float(len(text)) for text in texts)

    assert scores(iter(["a", "bbb"]), by_length).tolist() == [1.0, 3.0]


def test_a_range_that_keeps_nothing_is_refused():
    for wrong in ({"keep": 0.5, "skip": 0.5}, {"keep": 0.0}, {"keep": 1.5}, {"order": 0}):
        with pytest.raises(ValidationError):
            settings(**wrong)
