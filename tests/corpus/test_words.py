import random
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from lilliput.corpus.words import BLOCK, LONG, blocks, run_hashes, spelled, word_hashes

TEXT = some.text(some.characters(exclude_categories=["Cs"]), max_size=40)
WORDS = some.lists(some.sampled_from(["a", "b", "ab", "eight888", "ninenine9", "x" * LONG, "x" * (LONG + 1), "łódź"]))


def runs(text: str, length: int) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[at : at + length]) for at in range(max(1, len(words) - length + 1))] if words else []


@given(some.lists(WORDS.map(" ".join), max_size=6), some.integers(1, 6))
def test_equal_runs_of_words_have_equal_numbers_and_unlike_ones_unlike_numbers(texts: list[str], length: int):
    hashes, counts = run_hashes(texts, length)
    expected = [run for text in texts for run in runs(text, length)]
    assert counts.tolist() == [len(runs(text, length)) for text in texts]
    known = dict(zip(expected, hashes.tolist(), strict=True))
    assert [known[run] for run in expected] == hashes.tolist()
    assert len(set(known.values())) == len(known)


@given(some.lists(TEXT, max_size=6), some.integers(1, 6))
def test_a_texts_numbers_do_not_depend_on_the_texts_beside_it(texts: list[str], length: int):
    together, counts = run_hashes(texts, length)
    alone = [run_hashes([text], length)[0] for text in texts]
    assert together.tolist() == [number for hashes in alone for number in hashes.tolist()]
    assert counts.tolist() == [len(hashes) for hashes in alone]


def test_case_signs_and_blanks_make_no_other_words():
    plain = run_hashes(["the cat sat on the mat"], 3)[0].tolist()
    for text in ("The cat sat, on the mat.", "the\n\ncat  SAT\ton “the” mat — ", "THE CAT SAT ON THE MAT"):
        assert run_hashes([text], 3)[0].tolist() == plain
    assert spelled("café").split() == spelled("cafe\u0301").split() == ["café".encode()]
    assert spelled("don't x_y") == b"don t x y"


def test_marks_of_a_script_do_not_break_its_words_and_signs_of_unspaced_scripts_are_words():
    assert spelled("हिन्दी में").split() == ["हिन्दी".encode(), "में".encode()]
    assert spelled("日本語。").decode().split() == ["日", "本", "語"]
    assert len(word_hashes(["ภาษา"])[0]) == 4


def test_the_path_for_ascii_gives_what_the_one_for_all_text_gives():
    text = "".join(map(chr, range(128)))
    assert spelled(text) == spelled(text + "\u2014")[: len(text)]
    assert spelled(text).decode().split() == re.findall("[a-z0-9]+", text.lower())


def test_no_two_of_two_hundred_thousand_words_share_a_number():
    draw = random.Random(0)
    words = {f"{draw.randrange(10**9)}" for _ in range(100_000)} | {f"w{n}" for n in range(100_000)}
    hashes, counts = word_hashes([" ".join(sorted(words))])
    assert len(np.unique(hashes)) == counts[0] == len(words)


def test_blocks_keep_the_order_and_leave_nothing_out():
    texts = ["x" * (BLOCK // 2 + number) for number in range(5)] + [""]
    found = list(blocks(texts))
    assert [text for block in found for text in block] == texts
    assert [len(block) for block in found] == [2, 2, 2]
    assert list(blocks([])) == []
