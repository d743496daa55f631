"""Mutations: whatever is changed in a valid file, it is read, refused by name, or counted; nothing else happens."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from tests.corpus.dirt import SKIP, in_gzip, in_zstandard, line
from tests.loopback_hub import parquet

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.jsonl import JsonlSource
from lilliput.corpus.sources.tables import CsvSource, ParquetSource
from lilliput.corpus.sources.text import TextSource
from lilliput.corpus.sources.warc import WarcSource

TEXTS = ["one", "zwei \u00e4\u2028", 'three, "quoted"\n\nthree', "\U0001f600 four"]
LINES = b"\n".join([*map(line, TEXTS), b'{"text": "\\u00e9\\n", "n": [1, {"a": null}]}\n'])
PAGE = "<html><body><p>one</p><div><a href='x'>two</a></div></body></html>"
HTTP = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{PAGE}"
RECORD = (
    "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:1>\r\nWARC-Target-URI: http://a.example/\r\n"
    f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(HTTP)}\r\n\r\n{HTTP}\r\n\r\n"
)
QUOTED = "\r\n".join(["text,n", *('"' + text.replace('"', '""') + '",7' for text in TEXTS), ""])

VALID = {
    "a.txt": (TextSource, "\n<|endoftext|>\n".join(TEXTS).encode()),
    "a.jsonl": (JsonlSource, LINES),
    "a.json": (JsonlSource, json.dumps([{"text": text, "n": [1.5]} for text in TEXTS], indent=1).encode()),
    "a.csv": (CsvSource, QUOTED.encode()),
    "a.jsonl.gz": (JsonlSource, in_gzip(LINES) + in_gzip(LINES)),
    "a.jsonl.zst": (JsonlSource, in_zstandard(LINES) + in_zstandard(LINES)),
    "a.parquet": (ParquetSource, parquet([{"text": text, "n": 7} for text in TEXTS], row_group_size=2)),
    "a.warc": (WarcSource, RECORD.encode() * 3),
}

SIGNS = [b'"', b"\\", b"{", b"]", b",", b"\n", b"\r", b"\0", b"\xff", b"\xc3", b"<", b">", b"\\ud800", b"NaN", b" "]
EDITS = some.lists(
    some.tuples(
        some.floats(0, 1, exclude_max=True),
        some.integers(0, 5) | some.just(1 << 20),
        some.binary(max_size=4) | some.sampled_from(SIGNS) | some.sampled_from([b"[" * 3000, b"9" * 5000, b"a" * 9000]),
    ),
    min_size=1,
    max_size=6,
)
"""(where, bytes that go, bytes that come) each."""


def mutated(content: bytes, edits) -> bytes:
    for where, gone, new in edits:
        at = int(where * (len(content) + 1))
        content = content[:at] + new + content[at + gone :]
    return content


def check(folder, name, edits):
    kind, valid = VALID[name]
    content = mutated(valid, edits)
    (folder / name).write_bytes(content)
    source, reader, kept = kind(path=str(folder / name)), Reader(SKIP), []
    try:
        kept = [document.text for document in source.documents(reader)]
    except LilliputError as error:  # a header that has lost its column
        assert error.code in (Exit.RECIPE, Exit.CONTENT)
        assert kept == []
        assert name in ("a.csv", "a.parquet")
    if reader.dropped["damaged file"]:
        assert kept == []
        assert reader.dropped.total() == 1
    elif name == "a.jsonl":
        ends = content.count(b"\n") + (not content.endswith(b"\n") and content != b"")
        assert ends == len(kept) + reader.dropped.total()
    assert all(text.strip() and text.encode() for text in kept)
    strict = []
    try:
        strict.extend(document.text for document in source.documents(Reader(Reading())))
    except LilliputError as error:
        assert error.code in (Exit.RECIPE, Exit.CONTENT)
        assert error.cause.isprintable()
        assert name in error.cause
    else:
        assert strict == kept


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mutations")


@pytest.mark.parametrize("name", VALID)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(edits=EDITS)
def test_any_change_is_read_refused_or_counted(folder, name, edits):
    check(folder, name, edits)


@pytest.mark.slow
@pytest.mark.parametrize("name", VALID)
@settings(max_examples=2_500, suppress_health_check=list(HealthCheck))
@given(edits=EDITS)
def test_twenty_thousand_changes_are_read_refused_or_counted(folder, name, edits):
    check(folder, name, edits)
