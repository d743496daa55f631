import gzip
from collections import Counter

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.warc import WarcSource


def record(body, kind="text/html; charset=utf-8", status="200 OK", address="http://a.example/", rec="response"):
    http = b"" if rec != "response" else f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\r\n".encode()
    head = f"WARC/1.0\r\nWARC-Type: {rec}\r\nWARC-Record-ID: <urn:uuid:1>\r\nWARC-Target-URI: {address}\r\n"
    kind = "application/http; msgtype=response" if rec == "response" else "text/plain"
    length = len(http) + len(body)
    return f"{head}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode() + http + body + b"\r\n\r\n"


PAGE = "<html><head><title>t</title><script>x()</script></head><body><p>Grüße aus {}.</p></body></html>"


def read(path, reader=None, **options):
    documents = WarcSource(path=str(path), **options).documents(reader or Reader(Reading()))
    return [(document.key, document.text) for document in documents]


def test_pages_of_text_are_read_and_everything_else_is_counted(tmp_path):
    records = [
        record(PAGE.format("Köln").encode(), address="http://a.example/1"),
        record(
            PAGE.format("Bonn").encode("latin-1"), kind="text/html; charset=iso-8859-1", address="http://a.example/2"
        ),
        record(b"\x89PNG", kind="image/png"),
        record(b"gone", status="404 Not Found"),
        record(b"<html></html>"),
        record(b"nur Text", kind="text/plain"),
        record(b"from a WET file", rec="conversion", address="http://a.example/wet"),
    ]
    (tmp_path / "a.warc").write_bytes(b"".join(records))
    reader = Reader(Reading())
    found = read(tmp_path / "a.warc", reader)
    assert [key for key, _ in found][:2] == ["http://a.example/1", "http://a.example/2"]
    assert [text.strip() for _, text in found] == [
        "Grüße aus Köln.",
        "Grüße aus Bonn.",
        "nur Text",
        "from a WET file",
    ]
    assert reader.dropped == Counter({"no page of text": 2, "page without text": 1})


def test_a_real_crawls_file_is_read(sample_data):
    found = read(sample_data / "web" / "sample-0000.warc.gz")
    assert len(found) > 10
    assert all(key.startswith("http") and text.strip() and "<html" not in text.lower() for key, text in found)


def test_no_page_of_a_damaged_file_is_used(tmp_path, sample_data):
    data = (sample_data / "web" / "sample-0000.warc.gz").read_bytes()
    (tmp_path / "cut.warc.gz").write_bytes(data[:-1000])
    with pytest.raises(LilliputError, match="is damaged") as failure:
        read(tmp_path / "cut.warc.gz")
    assert failure.value.code == Exit.CONTENT
    (tmp_path / "none.warc.gz").write_bytes(gzip.compress(b"no WARC at all\n"))
    with pytest.raises(LilliputError, match="no WARC file"):
        read(tmp_path / "none.warc.gz")


def test_no_page_of_a_file_with_a_broken_record_is_used(tmp_path):
    (tmp_path / "a.warc").write_bytes(record(b"<p>one</p>") * 3 + b"no record\r\n\r\n")
    used = []
    with pytest.raises(LilliputError, match=r"after record 3 \(byte \d+\)") as failure:
        used.extend(WarcSource(path=str(tmp_path / "a.warc")).documents(Reader(Reading())))
    assert (failure.value.code, used) == (Exit.CONTENT, [])
    reader = Reader(Reading(malformed="skip"))
    assert read(tmp_path / "a.warc", reader) == []
    assert reader.dropped == Counter({"damaged file": 1})


@pytest.mark.parametrize("tag", ["<div>", "<section>", "<div>" * 1000])
def test_a_page_of_tags_within_tags_cannot_hold_up_a_crawl(tmp_path, tag):
    page = tag * (100_000 if len(tag) < 20 else 500)
    (tmp_path / "a.warc").write_bytes(record(page.encode()) + record(b"<p>a page of text</p>"))
    reader = Reader(Reading())
    assert [text.strip() for _, text in read(tmp_path / "a.warc", reader)] == ["a page of text"]
    assert reader.dropped.total() == 1
