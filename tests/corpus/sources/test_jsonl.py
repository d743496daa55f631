import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import objects
from lilliput.corpus.compressed import FOREIGN
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources.jsonl import JsonlSource


def texts(source, **reading):
    return [document.text for document in source.documents(Reader(Reading(**reading)))]


def written(folder, content, **options):
    (folder / "a.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    return JsonlSource(path=str(folder / "a.jsonl"), **options)


def test_each_line_is_a_document_whose_key_is_its_line_number(tmp_path):
    source = written(tmp_path, '\ufeff{"text": "one\\ntwo"}\r\n\n{"text": "three\u2028four", "id": 7}')
    assert texts(source) == ["one\ntwo", "three\u2028four"]
    assert [document.key for document in source.documents(Reader(Reading()))] == ["a.jsonl:1", "a.jsonl:3"]


def test_the_text_column_is_a_setting(tmp_path):
    assert texts(written(tmp_path, '{"text": "no", "story": "yes"}', text_column="story")) == ["yes"]


def test_json_lines_are_utf8_whatever_the_encoding_of_text_files_is(tmp_path):
    assert texts(written(tmp_path, '{"text": "ä"}'), encoding="latin-1") == ["ä"]


BAD = {
    "no json": "{",
    "an array": "[]",
    "a missing column": '{"body": "x"}',
    "a wrong type": '{"text": 3}',
    "null": '{"text": null}',
    "a NaN": '{"text": "x", "score": NaN}',
    "an endless integer": '{"text": "x", "n": ' + "9" * 5000 + "}",
    "deep nesting": '{"text": ' + "[" * 100_000,
    "a raw zero byte": '{"text": "\0"}',
    "a lone surrogate": '{"text": "a\\ud800b"}',
    "invalid utf-8": b'{"text": "a\xc3("}',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_refused_by_line_and_byte_or_left_out_and_counted(tmp_path, bad):
    line = bad if isinstance(bad, bytes) else bad.encode()
    source = written(tmp_path, b'{"text": "good"}\n' + line + b'\n{"text": "fine"}\n')
    with pytest.raises(LilliputError, match=r"a\.jsonl: line 2 \(byte 17\)") as failure:
        texts(source)
    assert failure.value.code == Exit.CONTENT
    assert "\n" not in failure.value.cause
    reader = Reader(Reading(malformed="skip", invalid_utf8="skip"))
    assert [document.text for document in source.documents(reader)] == ["good", "fine"]
    assert reader.dropped.total() == 1


def test_lone_surrogates_are_replaced_where_invalid_bytes_are(tmp_path):
    source = written(tmp_path, '{"text": "a\\ud800b \\ud83d\\ude00"}')
    assert texts(source, invalid_utf8="replace") == ["a\ufffdb \U0001f600"]


def test_a_line_over_the_cap_is_left_out_and_the_next_one_read(tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "LONGEST", 1000)
    long = json.dumps({"text": "x" * (3 << 20)})
    source = written(tmp_path, f'{{"text": "one"}}\n{long}\n{{"text": "two"}}')
    assert texts(source, malformed="skip") == ["one", "two"]
    with pytest.raises(LilliputError, match="line 2 "):
        texts(source)


VALID = b'{"text": "one"}\n{"text": "zwei \xc3\xa4", "n": [1, {"a": null}]}\n\n{"text": "\\u00e9\\n"}\n'


@given(some.lists(some.tuples(some.integers(0, len(VALID)), some.integers(0, 3), some.binary(max_size=4)), max_size=6))
@example([(0, 0, b"\x1f\x8b\x08")])
def test_any_bytes_are_read_refused_or_counted_and_nothing_else(tmp_path_factory, edits):
    content = VALID
    for at, length, new in edits:
        content = content[:at] + new + content[at + length :]
    source = written(tmp_path_factory.mktemp("mutated"), content)
    reader = Reader(Reading(malformed="skip", invalid_utf8="skip"))
    documents = list(source.documents(reader))
    lines_in = content.count(b"\n") + (not content.endswith(b"\n") and content != b"")
    is_foreign = content.startswith(FOREIGN)  # as a whole one damaged file
    assert len(documents) + reader.dropped.total() == (1 if is_foreign else lines_in)
    try:
        assert texts(source) == [document.text for document in documents]
    except LilliputError as error:
        assert error.code == Exit.CONTENT
