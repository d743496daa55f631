import gzip
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.loopback_hub import json_lines, parquet

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import delimited, files, objects
from lilliput.corpus.columns import extract
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.rows import read_rows
from lilliput.corpus.sources.tables import CsvSource, ParquetSource

TEXTS = ["one\ntwo", 'zwei, "ä"', "drei;\t\u2028", "vier"]


def found(path, columns=("text",), reader=None):
    reader = (reader or Reader(Reading())).in_utf8()
    return [text for _, text in read_rows(path, columns, extract(columns, "documents"), reader)]


def quoted(texts):
    lines = ['"' + text.replace('"', '""') + '",7' for text in texts]
    return "\r\n".join(["text,n", *lines, ""]).encode()


FILES = {
    "a.parquet": parquet([{"text": text, "n": 7} for text in TEXTS], row_group_size=2),
    "a.csv": quoted(TEXTS),
    "a.csv.gz": gzip.compress(quoted(TEXTS)),
    "a.json": json.dumps([{"text": text} for text in TEXTS], indent=1).encode(),
    "a.jsonl": json_lines([{"text": text} for text in TEXTS]),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_texts(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    assert [text.replace("\r\n", "\n") for text in found(tmp_path / name)] == TEXTS


def test_several_columns_are_joined_and_empty_ones_left_out(tmp_path):
    (tmp_path / "a.csv").write_text("title,body\nOne,text\n,alone\n")
    assert found(tmp_path / "a.csv", ("title", "body")) == ["One\n\ntext", "alone"]


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_column_that_is_not_there_is_refused_before_the_first_row(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    with pytest.raises(LilliputError, match=r"no column `story`; it has 'text', 'n'") as failure:
        found(tmp_path / name, ("story",), Reader(Reading(malformed="skip")))
    assert failure.value.code == Exit.RECIPE


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_no_row_of_a_damaged_parquet_file_is_used(tmp_path, at):
    many = parquet([{"text": f"{number} " * 50} for number in range(2000)], row_group_size=100)
    (tmp_path / "a.parquet").write_bytes(many[: int(len(many) * at)])
    rows_seen = []
    with pytest.raises(LilliputError, match="is damaged, or no parquet file") as failure:
        rows_seen.extend(found(tmp_path / "a.parquet"))
    assert (failure.value.code, rows_seen) == (Exit.CONTENT, [])
    reader = Reader(Reading(malformed="skip"))
    assert list(ParquetSource(path=str(tmp_path)).documents(reader)) == []
    assert reader.dropped.total() == 1


@settings(max_examples=60)
@given(some.lists(some.tuples(some.integers(0, 1500), some.binary(min_size=1, max_size=3)), min_size=1, max_size=4))
def test_any_change_of_a_parquet_file_is_read_or_refused(tmp_path_factory, edits):
    content = bytearray(FILES["a.parquet"])
    for at, new in edits:
        content[at % len(content) : at % len(content) + len(new)] = new
    path = tmp_path_factory.mktemp("mutated") / "a.parquet"
    path.write_bytes(content)
    try:
        found(path)
    except LilliputError as error:
        assert error.code in (Exit.CONTENT, Exit.RECIPE)


CSV = quoted(TEXTS)


@settings(max_examples=200)
@given(some.lists(some.tuples(some.integers(9, len(CSV)), some.integers(0, 2), some.binary(max_size=3)), max_size=4))
def test_any_change_of_a_csv_file_is_read_refused_or_counted(tmp_path_factory, edits):
    content = CSV
    for at, length, new in edits:
        content = content[:at] + new + content[at + length :]
    path = tmp_path_factory.mktemp("mutated") / "a.csv"
    path.write_bytes(content)
    reader = Reader(Reading(malformed="skip", invalid_utf8="skip"))
    list(CsvSource(path=str(path)).documents(reader))
    try:
        found(path)
    except LilliputError as error:
        assert error.code == Exit.CONTENT


def test_a_row_of_csv_with_other_fields_than_the_header_is_named_or_counted(tmp_path):
    (tmp_path / "a.csv").write_text("text,n\none,1\ntwo\n\nthree,3\n")
    with pytest.raises(LilliputError, match=r"a\.csv: line 3 \(byte 13\): 1 fields instead of 2"):
        found(tmp_path / "a.csv")
    reader = Reader(Reading(malformed="skip"))
    assert found(tmp_path / "a.csv", reader=reader) == ["one", "three"]
    assert reader.dropped == Counter({"malformed line": 1})


def test_a_quote_that_never_ends_is_refused_and_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "LONGEST", 1000)
    (tmp_path / "a.csv").write_text('text\nfine\n"' + "never ends\n" * 1000)
    with pytest.raises(LilliputError, match="field larger than field limit"):
        found(tmp_path / "a.csv")


LIST = json.dumps([{"text": text, "n": 1.5e-7} for text in TEXTS] + [17, 1.25e3, {"text": "end"}]).encode()


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_a_json_list_is_read_element_by_element_in_blocks_of_any_size(tmp_path, monkeypatch, size):
    monkeypatch.setattr(files, "BLOCK", size)
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf \n" + LIST + b"\n")
    reader = Reader(Reading(malformed="skip"))
    assert found(tmp_path / "a.json", reader=reader) == [*TEXTS, "end"]
    assert reader.dropped == Counter({"malformed line": 2})


def test_what_cannot_be_parsed_in_a_json_list_is_named_and_ends_it(tmp_path, monkeypatch):
    good = b'[{"text": "good"},\n {"text": "fine"}'
    for rest, reason in (
        (b"", "a list goes on"),
        (b",", "expecting value"),
        (b"]]", "a list goes on"),
        (b"]\xc3", "a list goes on"),
        (b', {"text": "a" "b"}, {"text": "c"}]', "expecting"),
        (b', {"text": NaN}]', "nan is not json"),
        (b', {"text": "a", "text": "b"}]', "a key comes twice"),
        (b", " + b"[" * 100_000, "nested too deeply"),
        (b', {"text": "never ends', "unterminated string"),
    ):
        (tmp_path / "a.json").write_bytes(good + rest)
        with pytest.raises(LilliputError, match=rf"a\.json: (row \d, )?line 2 \(byte \d+\): .*{reason}") as failure:
            found(tmp_path / "a.json")
        assert failure.value.code == Exit.CONTENT
        reader = Reader(Reading(malformed="skip"))
        assert found(tmp_path / "a.json", reader=reader) in (["good"], ["good", "fine"])
        assert reader.dropped == Counter({"malformed line": 1})
    monkeypatch.setattr(objects, "LONGEST", 100)
    (tmp_path / "a.json").write_bytes(good + b', {"text": "' + b"x" * (3 << 20) + b'"}]')
    with pytest.raises(LilliputError, match="unterminated string"):
        found(tmp_path / "a.json")


def test_rows_after_a_bad_one_of_csv_are_read(tmp_path):
    content = b'text,n\n"good",1\n"a"b,2\n"c\n\n\xff",3\n\xef\xbb\xbfd,4\ne,5,6\n"fine",7\n"never ends\n'
    (tmp_path / "a.csv").write_bytes(content)
    reader = Reader(Reading(malformed="skip", invalid_utf8="skip"))
    assert found(tmp_path / "a.csv", reader=reader) == ["good", "\ufeffd", "fine"]
    assert reader.dropped == Counter({"malformed line": 3, "invalid utf-8": 1})
    with pytest.raises(LilliputError, match=r"a\.csv: line 3 \(byte 16\): '"):
        found(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(content.replace(b'"a"b,2\n', b""))
    with pytest.raises(LilliputError, match=r"b\.csv: line 5 \(byte 20\): byte 20 is no UTF-8"):
        found(tmp_path / "b.csv")
    (tmp_path / "b.csv").write_bytes(b"text,text\na,b\n")
    with pytest.raises(LilliputError, match="the column `text` comes twice"):
        found(tmp_path / "b.csv")


def test_a_parquet_file_with_bytes_that_are_no_text_is_refused_before_its_first_row(tmp_path):
    import pyarrow
    from pyarrow import parquet as files_of

    column = pyarrow.array([b"good"] * 500 + [b"bad \xff"]).view(pyarrow.utf8())
    files_of.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
    used = []
    with pytest.raises(LilliputError, match=r"row 4\d\d or one soon after it: .*invalid utf8"):
        used.extend(found(tmp_path / "a.parquet"))
    assert used == []


def test_an_ending_without_a_format_is_named(tmp_path):
    (tmp_path / "a.xls").write_bytes(b"x")
    with pytest.raises(LilliputError, match="its ending names no format"):
        found(tmp_path / "a.xls")
