import gzip
import os

import pytest
import zstandard
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


def test_a_folder_gives_its_txt_files_sorted_at_any_depth(tmp_path):
    for name in ("b.txt", "a/z.txt", "a.txt", "note.md"):
        written(tmp_path / name, name)
    written(tmp_path / "c.txt.gz", gzip.compress(b"packed"))
    source = TextSource(path=str(tmp_path))
    assert texts(source) == ["a.txt", "a/z.txt", "b.txt", "packed"]
    assert [document.key for document in source.documents(Reader(Reading()))][1] == "a/z.txt:1"


def test_a_pattern_gives_the_matching_files_sorted(tmp_path):
    for name in ("2.txt", "1.txt", "x/3.txt"):
        written(tmp_path / name, name)
    assert texts(TextSource(path=f"{tmp_path}/*.txt")) == ["1.txt", "2.txt"]
    assert texts(TextSource(path=f"{tmp_path}/**/*.txt")) == ["1.txt", "2.txt", "x/3.txt"]


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
    with pytest.raises(LilliputError, match=r"a\.txt: byte 20 is no UTF-8") as failure:
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


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_compressed_files_read_as_their_content_members_joined(tmp_path, ending):
    pack = gzip.compress if ending == "gz" else zstandard.ZstdCompressor(write_checksum=True).compress
    content = "one\n" * 700_000
    assert texts(written(tmp_path / f"a.txt.{ending}", pack(content.encode()) + pack(b"two"))) == [content + "two"]


@pytest.mark.parametrize("ending", ["gz", "zst"])
@pytest.mark.parametrize("damage", ["cut", "checksum", "garbage", "empty"])
def test_no_document_of_a_damaged_compressed_file_is_used(tmp_path, ending, damage):
    pack = gzip.compress if ending == "gz" else zstandard.ZstdCompressor(write_checksum=True).compress
    whole = pack(b"".join(b"story %d\n<|endoftext|>\n" % i for i in range(10_000)))
    at = -6 if ending == "gz" else -2
    bytes_ = {
        "cut": whole[:-20],
        "checksum": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
        "garbage": whole + b"garbage",
        "empty": b"",
    }[damage]
    source = written(tmp_path / f"a.txt.{ending}", bytes_)
    with pytest.raises(LilliputError, match="is damaged") as failure:
        next(source.documents(Reader(Reading())))
    assert failure.value.code == Exit.CONTENT


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_compression_bomb_is_refused_before_it_is_unpacked(tmp_path, ending):
    zeros = b" " * (100 << 20)
    packed = gzip.compress(zeros, 1) if ending == "gz" else zstandard.ZstdCompressor().compress(zeros)
    with pytest.raises(LilliputError, match="expands more than 200 times"):
        texts(written(tmp_path / f"a.txt.{ending}", packed))


def test_what_is_missing_or_no_file_is_named_with_its_exit_code(tmp_path):
    (tmp_path / "empty").mkdir()
    for path, code in (
        ("none.txt", Exit.MISSING),
        ("empty", Exit.MISSING),
        ("*.txt", Exit.MISSING),
        ("a\0b", Exit.MISSING),
    ):
        with pytest.raises(LilliputError) as failure:
            texts(TextSource(path=str(tmp_path / path)))
        assert failure.value.code == code
        assert "\n" not in failure.value.cause


def test_a_pipe_or_a_loop_of_links_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    for name in ("pipe.txt", "loop.txt"):
        with pytest.raises(LilliputError) as failure:
            texts(TextSource(path=str(tmp_path / name)))
        assert failure.value.code == Exit.IO


def test_names_that_are_no_utf8_or_hold_line_feeds_read_and_print_on_one_line(tmp_path):
    for name in ("bad\udcff.txt", "two\nlines.txt"):
        (tmp_path / name).write_text("text")
    keys = [document.key for document in TextSource(path=str(tmp_path)).documents(Reader(Reading()))]
    assert len(keys) == 2
    assert all(key.isprintable() and key.encode() for key in keys)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    source = written(tmp_path / "a.txt", "x" * (2 * BLOCK) + "\n<|endoftext|>\n" + "y" * 2 * BLOCK)
    documents = source.documents(Reader(Reading()))
    next(documents)
    with (tmp_path / "a.txt").open("ab") as file:
        file.write(b"more")
    with pytest.raises(LilliputError, match="changed while it was read"):
        list(documents)


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
