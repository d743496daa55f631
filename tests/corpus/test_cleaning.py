import pytest

from lilliput.corpus.cleaning import Funnel, clean, cleaned
from lilliput.corpus.document import Document, Dropped
from lilliput.corpus.filters.length import ShortRule


def document(text: str, number: int = 1) -> Document:
    return Document(text, "a.txt", f"a.txt:{number}")


def test_a_document_that_no_rule_touches_is_the_same_object():
    given = document("one two")
    assert clean(given, [ShortRule(min_words=2)]) is given
    assert clean(given, [ShortRule(min_words=3)]) == Dropped("too short")


@pytest.mark.parametrize("words", [1, 2, 3])
def test_what_is_read_is_what_is_kept_and_what_is_dropped(words: int):
    funnel, documents = Funnel(), [document("one"), document("one two"), document("one two three")]
    kept = list(cleaned(documents, [ShortRule(min_words=words)], funnel))
    assert funnel.documents == 3 == funnel.kept + funnel.dropped.total()
    assert funnel.kept == len(kept) == 4 - words
    assert funnel.bytes == 3 + 7 + 13


def test_examples_are_the_first_three_of_each_reason_also_when_funnels_are_added():
    halves = Funnel(), Funnel()
    for number in range(8):
        halves[number // 2 % 2].drop(document("x" * 300, number), "too short")
    halves[0].add(halves[1])
    assert halves[0].dropped["too short"] == 8
    assert [key for key, _ in halves[0].examples["too short"]] == ["a.txt:0", "a.txt:1", "a.txt:4"]
    assert {len(text) for _, text in halves[0].examples["too short"]} == {200}
