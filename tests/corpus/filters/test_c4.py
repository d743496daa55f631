import pytest

from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.c4 import C4Rule

SENTENCES = 'The cat sat on the mat. It was warm there.\n\n  She said: "And it was late."'


def test_sentences_stay_as_they_are_with_their_paragraphs_case_and_indentation():
    assert C4Rule().apply(SENTENCES) == SENTENCES


@pytest.mark.parametrize(
    "line",
    [
        "Home | About | Contact us now",
        "Read more about it here ...",
        "Too few words.",
        "Please enable Javascript to see this page.",
        "By using this you accept our privacy policy.",
        f"A word of {'x' * 1001} letters is no word.",
    ],
)
def test_lines_that_are_no_sentences_go(line: str):
    assert C4Rule().apply(f"{line}\n{SENTENCES}\n{line}") == SENTENCES


def test_citations_go_and_their_sentences_stay():
    assert C4Rule().apply(f"It is so[12] as they say[citation needed].\n{SENTENCES}") == (
        f"It is so as they say.\n{SENTENCES}"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{SENTENCES}\nThis is where lorem ipsum dolor stands.", "lorem ipsum"),
        (f"{SENTENCES}\nThis is what {{ opens a block.", "curly bracket"),
        ("One sentence is not enough here.", "too few sentences"),
        ("", "too few sentences"),
    ],
)
def test_pages_are_dropped_for_a_reason(text: str, reason: str):
    assert C4Rule().apply(text) == Dropped(f"c4: {reason}")


def test_options_change_what_they_say():
    braces = f"{SENTENCES}\nThis is what {{ opens a block."
    assert C4Rule(braces=False).apply(braces) == braces
    assert C4Rule(min_sentences=1).apply("One sentence is not enough here.") == "One sentence is not enough here."
    assert C4Rule(end_marks=False, min_sentences=0).apply("no mark at the end") == "no mark at the end"
    assert C4Rule(min_words_per_line=3, min_sentences=1).apply("Just three words.") == "Just three words."
