import random

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError

from lilliput.corpus import words
from lilliput.corpus.contamination import FEWEST, Contamination, reason, wanted

DRAW = random.Random(0)
QUESTION = " ".join(f"q{number}" for number in range(30))
ANSWER = " ".join(f"a{number}" for number in range(30))
CONFIG = Contamination(against=("exam",))


def filler(count: int) -> str:
    return " ".join(f"w{DRAW.randrange(10**6)}" for _ in range(count))


def part(text: str, first: int, count: int) -> str:
    return " ".join(text.split()[first : first + count])


def test_a_document_that_shares_thirteen_words_in_a_row_is_hit_and_one_that_shares_twelve_is_not():
    look = wanted({"exam": [QUESTION]}, CONFIG)
    texts = [f"{filler(40)} {part(QUESTION, 9, count)} {filler(40)}" for count in (12, 13)]
    assert list(look.hits([*texts, QUESTION, filler(200), ""])) == [(), ("exam",), ("exam",), (), ()]


def test_the_hit_says_which_sets_and_only_those():
    look = wanted({"exam": [QUESTION], "quiz": [filler(20), ANSWER], "both": [QUESTION + " " + ANSWER]}, CONFIG)
    found = list(look.hits([QUESTION, f"x {ANSWER}", f"{ANSWER} . {QUESTION}"]))
    assert found == [("exam", "both"), ("quiz", "both"), ("exam", "quiz", "both")]
    assert reason(found[0]) == "holds text of exam and both"


def test_case_signs_and_line_ends_do_not_hide_a_text():
    look = wanted({"exam": [QUESTION]}, CONFIG)
    assert list(look.hits([part(QUESTION, 3, 14).upper().replace(" ", ",\n - ")])) == [("exam",)]


def test_a_short_evaluation_text_is_looked_for_whole_and_a_tiny_one_is_counted_as_skipped():
    short, tiny = part(QUESTION, 0, FEWEST), part(QUESTION, 15, FEWEST - 1)
    look = wanted({"exam": [short, tiny, ""], "quiz": [ANSWER]}, CONFIG)
    assert look.skipped == {"exam": 2}
    texts = [f"{filler(9)} {short} {filler(9)}", f"{filler(9)} {tiny} {filler(9)}", part(short, 0, FEWEST - 1), short]
    assert list(look.hits(texts)) == [("exam",), (), (), ("exam",)]


@given(some.integers(13, 40), some.integers(0, 3000), some.integers(13, 20))
def test_a_run_is_found_wherever_it_stands_in_a_long_document(block: int, place: int, length: int):
    look = wanted({"exam": [QUESTION]}, Contamination(against=("exam",), words=length))
    before = " - ".join(f"w{number}" for number in range(place % 90))
    texts = [
        f"{before} {part(QUESTION, 0, length)} tail " + "z " * 50,
        f"{before} {part(QUESTION, 0, length - 1)} " * 3,
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "BLOCK", block)
        patch.setattr("lilliput.corpus.contamination.BLOCK", block)
        assert list(look.hits(texts)) == [("exam",), ()]


def test_texts_without_any_white_space_end():
    assert list(wanted({"exam": [QUESTION]}, CONFIG).hits(["x" * (5 * words.BLOCK)])) == [()]


def test_nothing_to_look_for_hits_nothing():
    look = wanted({"exam": []}, CONFIG)
    assert list(look.hits([QUESTION])) == [()]


def test_impossible_settings_are_refused():
    for wrong in ({"against": ()}, {"against": ("a",), "words": FEWEST - 1}):
        with pytest.raises(ValidationError):
            Contamination(**wrong)


def test_a_sample_of_lambada_is_found_in_stories_that_quote_it_and_in_no_other(sample_data):
    import json

    lines = (sample_data / "eval" / "lambada_openai_head.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:200]]
    stories = (sample_data / "tinystories" / "train_sample.jsonl").read_text(encoding="utf-8").splitlines()[:100]
    plain = [json.loads(line)["text"] for line in stories]
    look = wanted({"lambada": (row["context"] + " " + row["continuation"] for row in rows)}, CONFIG)
    quoting = [f"{text}\n{rows[number]['context']}" for number, text in enumerate(plain)]
    assert set(look.hits(plain)) == {()}
    assert set(look.hits(quoting)) == {("lambada",)}
