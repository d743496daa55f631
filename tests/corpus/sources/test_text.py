import pytest
from pydantic import ValidationError

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import BLOCK
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.jsonl import JsonlSource
from lilliput.corpus.sources.text import TextSource


def texts(source, **reading):
    return [document.text for document in source.documents(Reader(Reading(**reading)))]


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return TextSource(path=str(path))


def test_a_file_is_one_document_with_its_line_ends_kept(tmp_path):
    assert texts(written(tmp_path / "a.txt", "one\r\ntwo\n\nthree")) == ["one\r\ntwo\n\nthree"]


def test_exactly_one_byte_order_mark_is_dropped(tmp_path):
    assert texts(written(tmp_path / "a.txt", "\ufeff\ufeffone")) == ["\ufeffone"]


def test_separator_lines_divide_a_file_and_belong_to_no_document(tmp_path):
    content = (
        "<|endoftext|>\none\n\nstill one\n<|endoftext|>\r\ntwo <|endoftext|> two\r\n<|endoftext|>\n\n<|endoftext|>"
    )
    assert texts(written(tmp_path / "a.txt", content)) == ["one\n\nstill one", "two <|endoftext|> two"]


@pytest.mark.parametrize("shift", [-14, -13, -1, 0, 1])
def test_a_separator_is_found_across_the_border_of_two_blocks(tmp_path, shift):
    first = "x" * (BLOCK + shift)
    assert texts(written(tmp_path / "a.txt", f"{first}\n<|endoftext|>\ntwo")) == [first, "two"]


def test_separated_samples_equal_the_same_stories_in_json_lines(sample_data):
    folder = sample_data / "tinystories"
    lines = texts(JsonlSource(path=str(folder / "train_sample.jsonl")))
    assert texts(TextSource(path=str(folder / "train_sample.txt"))) == lines
    assert len(lines) == 520


def test_wikitext_is_divided_into_its_sixty_articles_without_losing_a_byte(sample_data):
    path = sample_data / "wikitext2" / "valid.txt"
    articles = texts(TextSource(path=str(path), divide="articles"))
    assert len(articles) == 60
    assert "".join(articles).encode() == path.read_bytes()
    assert all(article.lstrip(" \n").startswith("= ") for article in articles)


def test_invalid_utf8_is_refused_with_file_and_byte_offset_in_the_file(tmp_path):
    source = written(tmp_path / "a.txt", b"fine\n<|endoftext|>\nb\xffd")
    with pytest.raises(LilliputError, match=r"a\.txt: line 3: byte 20 is no UTF-8") as failure:
        texts(source)
    assert failure.value.code == Exit.CONTENT
    assert texts(source, invalid_utf8="replace") == ["fine", "b\ufffdd"]
    assert texts(source, invalid_utf8="skip") == ["fine"]
    assert texts(source, encoding="latin-1") == ["fine", "b\xffd"]


FORMS = (b"\x80", b"\xc0\xaf", b"\xe4\xb8", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xfe\xff")


@pytest.mark.parametrize("form", FORMS, ids=("continuation", "overlong", "cut", "surrogate", "too high", "utf-16"))
def test_every_form_of_invalid_utf8_is_refused_where_it_stands_or_replaced(tmp_path, form):
    source = written(tmp_path / "a.txt", b"abc" + form)
    with pytest.raises(LilliputError, match="byte 3 is no UTF-8"):
        texts(source)
    assert texts(source, invalid_utf8="replace")[0].rstrip("\ufffd") == "abc"


def test_what_was_left_out_is_counted_by_reason(tmp_path):
    source = written(tmp_path / "a.txt", b"\n<|endoftext|>\nb\xff\n<|endoftext|>\nfine")
    reader = Reader(Reading(invalid_utf8="skip"))
    assert len(list(source.documents(reader))) == 1
    assert reader.dropped == {"blank": 1, "invalid utf-8": 1}


def test_the_fingerprint_follows_every_byte_and_option_but_not_the_place(tmp_path):
    source = written(tmp_path / "a.txt", "one")
    assert source.fingerprint() == written(tmp_path / "b" / "c.txt", "one").fingerprint()
    assert TextSource(path=source.path, weight=2.0).fingerprint() == source.fingerprint()
    assert TextSource(path=source.path, max_bytes=2).fingerprint() != source.fingerprint()
    before = source.fingerprint()
    assert written(tmp_path / "a.txt", "onf").fingerprint() != before


def test_impossible_limits_are_refused():
    for wrong in ({"weight": 0.0}, {"weight": float("inf")}, {"max_samples": 0}, {"max_bytes": -1}, {"limit": 1}):
        with pytest.raises(ValidationError):
            TextSource(path="a.txt", **wrong)


def test_lines_that_are_sentences_are_joined_and_files_that_are_books_divided_by_chapter(tmp_path):
    (tmp_path / "a.txt").write_text("one two .\nthree .\n\nfour five six .\n")
    assert texts(TextSource(path=str(tmp_path / "a.txt"), divide="sentences", chunk_words=4)) == [
        "one two . three .",
        "four five six .",
    ]
    (tmp_path / "b.txt").write_bytes(b"Character set encoding: ISO-8859-1\r\n\r\nChapter I\r\n\r\nCaf\xe9.\r\n")
    book = TextSource(path=str(tmp_path / "b.txt"), divide="books", chapter_boundaries=True)
    assert texts(book) == ["Character set encoding: ISO-8859-1\n\n", "Chapter I\n\nCaf\u00e9.\n"]
    assert texts(TextSource(path=str(tmp_path / "b.txt"), divide="books", min_book_words=100)) == []


def test_options_of_books_are_refused_where_nothing_reads_them(tmp_path):
    with pytest.raises(ValueError, match="min_book_words"):
        TextSource(path="a.txt", min_book_words=3)
    with pytest.raises(ValueError, match="chapter_boundaries"):
        TextSource(path="a.txt", divide="articles", chapter_boundaries=True)
