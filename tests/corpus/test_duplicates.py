from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.corpus.test_near import drawn

from lilliput.corpus import duplicates as module
from lilliput.corpus.document import Document, Dropped
from lilliput.corpus.duplicates import EXACT, LINES, NEAR, Duplicates, Lines, expand_duplicates, find
from lilliput.corpus.near import Near
from lilliput.corpus.split import SplitConfig, divide

NOTICE = "all rights are reserved, and this page may not be copied"
FEW_LINES = some.lists(
    some.lists(some.sampled_from(["a line", "another line", "x", "", "A line"]), max_size=5), max_size=8
)


def documents(texts: Iterable[str]) -> list[Document]:
    return [Document(text, "source", f"file:{number}") for number, text in enumerate(texts, 1)]


def applied(texts: list[str], **config: object) -> list[str]:
    """What each text became, or why it was dropped."""
    found = find(lambda: iter(texts), Duplicates(**config))
    results = [result for _, result in found.apply(documents(texts))]
    return [result.reason if isinstance(result, Dropped) else result.text for result in results]


def test_the_first_of_equal_texts_stays_and_white_space_makes_no_difference():
    texts = ["one  text\n", "other", "one text", "One text", "cafe\u0301", "café", "one\n\ntext", "other"]
    assert applied(texts) == ["one  text\n", "other", EXACT, "One text", "cafe\u0301", EXACT, EXACT, EXACT]


def test_an_operator_makes_another_program():
    assert applied(["x = a + b", "x = a - b"]) == ["x = a + b", "x = a - b"]


def test_nothing_is_a_duplicate_where_nothing_is_looked_for():
    assert applied(["a", "a", "a"], exact=False) == ["a", "a", "a"]


def test_long_lines_stay_as_often_as_they_may_and_short_ones_always():
    texts = [f"first\n{NOTICE}\nlast {number}" for number in range(4)] + [f"  {NOTICE} "]
    kept = [f"first\nlast {number}" for number in range(4)]
    assert applied(texts, lines=Lines()) == [texts[0], *kept[1:], LINES]
    assert applied(texts, lines=Lines(times=2)) == [*texts[:2], *kept[2:], LINES]
    assert applied(texts, lines=Lines(min_characters=len(NOTICE) + 1)) == texts


def test_lines_of_a_document_that_is_a_duplicate_as_a_whole_do_not_count():
    texts = [f"one\n{NOTICE}", f"one\n{NOTICE}", f"two\n{NOTICE}", f"three\n{NOTICE}"]
    assert applied(texts, lines=Lines(times=2)) == [texts[0], EXACT, texts[2], "three"]


def test_paragraphs_and_indentation_around_a_repeated_line_survive():
    texts = [NOTICE, f"def f():\n    return 1\n\n{NOTICE}\n\n    # end\n"]
    assert applied(texts, lines=Lines())[1] == "def f():\n    return 1\n\n\n    # end\n"


@given(FEW_LINES, some.integers(1, 3), some.booleans())
def test_repeated_lines_are_those_a_counter_finds(texts: list[list[str]], times: int, exact: bool):
    seen: dict[str, int] = {}
    whole: set[str] = set()
    expected = []
    for lines in texts:
        text, kept = "\n".join(lines), []
        if exact and " ".join(text.split()) in whole:
            expected.append(EXACT)
            continue
        whole.add(" ".join(text.split()))
        for line in lines:
            seen[line] = seen.get(line, 0) + (len(line) >= 6)
            if seen[line] <= times:
                kept.append(line)
        result = "\n".join(kept)
        expected.append(result if result.strip() else LINES)
    config = {"exact": exact, "lines": Lines(times=times, min_characters=6)}
    assert applied(["\n".join(lines) for lines in texts], **config) == expected


def test_lines_are_the_same_however_few_are_sorted_at_a_time(monkeypatch: pytest.MonkeyPatch):
    texts = [f"{NOTICE} {number % 7}\n{NOTICE} {number % 5}\nown {number}" for number in range(40)]
    at_once = applied(texts, lines=Lines(times=2))
    monkeypatch.setattr(module, "SORTED", 9)
    assert applied(texts, lines=Lines(times=2)) == at_once
    assert at_once != texts


def test_of_near_duplicates_the_first_stays_and_each_pass_sees_what_the_one_before_left():
    one, other = drawn(2, share=0)
    texts = [one, other, one, f"{one} more", f"{NOTICE}\n{other}", NOTICE, other.upper()]
    assert applied(texts, near=Near()) == [one, other, EXACT, NEAR, NEAR, NOTICE, NEAR]
    assert applied(texts, near=Near(), lines=Lines(min_characters=50, times=1))[5] == LINES


def test_near_duplicates_may_be_kept_and_then_share_a_group():
    one, other = drawn(2, share=0)
    texts = [one, other, f"{one} more", "alone"]
    for exact in (True, False):
        found = find(lambda: iter(texts), Duplicates(exact=exact, near=Near(keep=True)))
        kept = [result for _, result in found.apply(documents(texts))]
        assert all(isinstance(result, Document) for result in kept)
        groups = [result.group for result in kept if isinstance(result, Document)]
        assert groups[0] == groups[2] is not None
        assert groups[1] is groups[3] is None


def test_a_text_whose_near_duplicates_all_went_belongs_to_no_group():
    one, other = drawn(2, share=0)
    found = find(lambda: iter([one, other, f"{one} more", one]), Duplicates(near=Near()))
    kept = [result for _, result in found.apply(documents([one, other, f"{one} more", one]))][:2]
    assert kept == documents([one, other])


def test_near_duplicates_never_stand_on_both_sides_of_a_hash_split():
    texts = drawn(500, seed=4, share=0.5)
    found = find(lambda: iter(texts), Duplicates(near=Near(keep=True)))
    kept = [result for _, result in found.apply(documents(texts)) if isinstance(result, Document)]
    split = SplitConfig(kind="hash", validation=0.3, test=0.2)
    part = {
        each.key: each.part
        for name in ("train", "validation", "test")
        for each in divide(lambda: iter(kept), split, name)
    }
    assert len(part) == len(kept) == 500
    clusters = [(f"file:{number + 1}", f"file:{place + 1}") for number, place in enumerate(found.near.firsts.tolist())]
    assert sum(one != other for one, other in clusters) > 100
    assert all(part[one] == part[other] for one, other in clusters)


def test_the_first_of_a_cluster_goes_where_its_own_text_says():
    texts = drawn(800, seed=5, share=0.5)
    split = SplitConfig(kind="hash", validation=0.5)
    found = find(lambda: iter(texts), Duplicates(near=Near()))
    leads = {f"file:{place + 1}" for place in found.near.firsts.tolist()}
    results = [result for _, result in found.apply(documents(texts)) if isinstance(result, Document)]
    kept = [result for result in results if result.key in leads]
    plain = [Document(each.text, each.source, each.key) for each in kept]
    by_part = [[each.key for each in divide(lambda own=own: iter(own), split, "validation")] for own in (kept, plain)]
    assert by_part[0] == by_part[1]
    assert 0 < len(by_part[0]) < len(kept) < 800


def test_true_stands_for_a_section_with_its_defaults():
    assert expand_duplicates(True) == {}
    assert expand_duplicates(False) is None
    assert expand_duplicates({"near": True, "lines": False, "exact": True}) == {
        "near": {},
        "lines": None,
        "exact": True,
    }
    assert expand_duplicates({"near": {"threshold": 0.7}}) == {"near": {"threshold": 0.7}}
