from pathlib import Path

import pytest

from lilliput.corpus.filters.gutenberg import GutenbergRule

BODIES = {
    "11_alice-s-adventures-in-wonderland": ("ALICE\u2019S ADVENTURES IN WONDERLAND", "THE END"),
    "14881_the-log-school-house-on-the-columbia": ("THE LOG SCHOOL-HOUSE ON THE COLUMBIA", "event."),
    "3261_news-from-nowhere": ("NEWS FROM NOWHERE", "he must have meant."),
    "46_a-christmas-carol_newheader": ("A CHRISTMAS CAROL", "Every One!"),
    "84_frankenstein": ("Frankenstein;", "darkness and distance."),
    "98_a-tale-of-two-cities": ("A TALE OF TWO CITIES", "than I have ever known.”"),
    "variants/11_alice_old_smallprint": ("                ALICE'S ADVENTURES IN WONDERLAND", "THE END"),
    "variants/84_frankenstein_old_smallprint": ("Frankenstein,", "darkness and distance."),
}
"""Books of all four styles: since 2003, with stars set close and a title over two lines, since 2022, before 2003."""


def books(sample_data: Path) -> dict[str, str]:
    found = {}
    for path in sorted((sample_data / "books").rglob("*.txt")):
        data = path.read_bytes()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        found[path.relative_to(sample_data / "books").with_suffix("").as_posix()] = text
    return found


def test_of_every_sample_book_the_book_alone_is_left(sample_data: Path):
    found = books(sample_data)
    assert len(found) == 24
    for name, text in found.items():
        body = str(GutenbergRule().apply(text))
        assert "gutenberg" not in body.lower(), name
        assert "produced by" not in body[:500].lower(), name
        assert body.rstrip() in text, name
        assert 10_000 < len(text) - len(body) < 26_000, name  # header and licence, no more


@pytest.mark.parametrize("name", BODIES)
def test_a_book_begins_with_its_title_and_ends_with_its_last_sentence(name: str, sample_data: Path):
    first, last = BODIES[name]
    body = str(GutenbergRule().apply(books(sample_data)[name]))
    assert body.startswith(first)
    assert body.endswith(last + "\n")


@pytest.mark.parametrize("name", ["45_anne-of-green-gables", "variants/11_alice_old_smallprint"])
def test_line_feeds_alone_and_a_second_time_change_nothing_more(name: str, sample_data: Path):
    text = books(sample_data)[name]
    body = GutenbergRule().apply(text)
    assert GutenbergRule().apply(text.replace("\r\n", "\n")) == str(body).replace("\r\n", "\n")
    assert GutenbergRule().apply(str(body)) == body


@pytest.mark.parametrize(
    "text",
    [
        "Gutenberg printed the Bible.\n\nProduced by hand, it took years.\n",
        "He read from Project Gutenberg.\n\nThe end of the Project Gutenberg story is not told.\n",
        "no book at all",
        "*** START OF THE PROJECT GUTENBERG EBOOK NOTHING ***\n\n",
    ],
)
def test_other_text_stays_as_it_is(text: str):
    assert GutenbergRule().apply(text) == text


def test_a_first_chapter_that_speaks_of_making_is_no_credit():
    text = "*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\nProduced by A. B.\n\nCHAPTER I\n\nProduced by whom?\n"
    assert GutenbergRule().apply(text) == "CHAPTER I\n\nProduced by whom?\n"
