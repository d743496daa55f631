import pytest

from lilliput.corpus.filters.notices import NoticesRule


def test_sentences_about_the_book_go_and_those_of_the_book_stay():
    text = (
        "copyright 2012 jane doe . all rights reserved . smashwords edition . this is a work of fiction ."
        " names are made up . chapter one . it was a copyright on fiction that killed him ."
    )
    assert (
        NoticesRule().apply(text) == "names are made up . chapter one . it was a copyright on fiction that killed him ."
    )


def test_lines_that_are_notices_go_and_paragraphs_stay():
    text = "MY BOOK\n\nCopyright © 2012 Jane Doe\nISBN: 978-3-16-148410-0\n\n  It was dark.\n\nIt rained.\n"
    assert NoticesRule().apply(text) == "MY BOOK\n\n\n  It was dark.\n\nIt rained.\n"


@pytest.mark.parametrize("text", ["He worked in fiction.\n\n  Resemblance is all.", "It is a real person.", ""])
def test_a_book_without_notices_stays_as_it_is(text: str):
    assert NoticesRule().apply(text) == text
