from collections import Counter

from hypothesis import given
from hypothesis import strategies as some

from lilliput.corpus.joining import Joining, join


def joined(rows, dropped=None, **how):
    numbered = [(str(number), row) for number, row in enumerate(rows, 1)]
    return list(join(numbered, Joining(**how), Counter() if dropped is None else dropped))


def test_rows_that_are_documents_stay_as_they_are():
    assert joined(["one", "two"]) == [("1", "one"), ("2", "two")]


def test_sentences_become_chunks_of_at_least_so_many_words_and_the_last_has_the_rest():
    rows = ["one two .", "", "three four five .", " six ", "seven"]
    assert joined(rows, rows_are="sentences", chunk_words=6) == [
        ("1", "one two . three four five ."),
        ("4", "six seven"),
    ]


@given(some.lists(some.text(alphabet="ab \n", max_size=20)), some.integers(1, 9))
def test_no_word_of_a_sentence_is_lost_or_repeated(rows, words):
    chunks = joined(rows, rows_are="sentences", chunk_words=words)
    assert [word for _, chunk in chunks for word in chunk.split()] == [word for row in rows for word in row.split()]
    assert all(len(chunk.split()) >= words for _, chunk in chunks[:-1])


def test_a_chapters_heading_begins_a_chunk_where_it_is_asked_for():
    rows = ["the end of it .", "chapter two", "chapter by chapter , she read on .", "epilogue", "it was over ."]
    plain = joined(rows, rows_are="sentences")
    assert len(plain) == 1
    chapters = joined(rows, rows_are="sentences", chapter_boundaries=True)
    assert [key for key, _ in chapters] == ["1", "2", "4"]
    assert chapters[1][1] == "chapter two chapter by chapter , she read on ."


def test_lines_become_articles_again_and_a_sections_heading_divides_none():
    rows = ["", " = One = \n", "", " text \n", " = = Part = = \n", " more \n", "", " = Two = \n", " end \n", ""]
    first, second = joined(rows, rows_are="lines")
    assert first == ("1", " \n = One = \n \n text \n = = Part = = \n more \n \n")
    assert second == ("8", " = Two = \n end \n \n")
    # A formula that looks like a title, but follows no blank line.
    assert len(joined([" = One = \n", " x \n", " = y = \n"], rows_are="lines")) == 1


BOOK = """Title

CHAPTER I. Contents
CHAPTER II. Contents

CHAPTER I. The beginning

It began in Chapter I.

Chapter II

It went on.

PROLOGUE

Late.
"""


def test_a_book_is_whole_or_cut_at_headings_that_stand_alone():
    assert joined([BOOK], rows_are="books") == [("1", BOOK)]
    chapters = joined([BOOK], rows_are="books", chapter_boundaries=True)
    assert [key for key, _ in chapters] == ["1#1", "1#2", "1#3", "1#4"]
    assert "".join(text for _, text in chapters) == BOOK
    assert [text.split("\n")[0] for _, text in chapters[1:]] == ["CHAPTER I. The beginning", "Chapter II", "PROLOGUE"]


def test_a_books_paragraphs_become_chunks_and_nothing_is_lost():
    chunks = [text for _, text in joined([BOOK], rows_are="books", chunk_words=8)]
    assert len(chunks) > 2
    assert "".join(chunks) == BOOK


def test_short_books_are_left_out_and_counted():
    dropped = Counter()
    assert joined(["a short book", BOOK], dropped, rows_are="books", min_book_words=10) == [("2", BOOK)]
    assert dropped == {"short book": 1}


def test_real_books_have_the_chapters_that_they_have(sample_data):
    alice = (sample_data / "books" / "11_alice-s-adventures-in-wonderland.txt").read_text("utf-8-sig")
    chapters = [text for _, text in joined([alice], rows_are="books", chapter_boundaries=True)]
    assert chapters[1].startswith("CHAPTER I. Down the Rabbit-Hole\n")
    assert len([text for text in chapters if text.startswith("CHAPTER")]) == 12
