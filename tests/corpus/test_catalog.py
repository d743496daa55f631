import json
from collections import Counter

import pytest
from pydantic import TypeAdapter

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.catalog import read, read_whole
from lilliput.corpus.cleaned import Cleaned
from lilliput.corpus.filters.length import ShortRule
from lilliput.corpus.named import expand_sources
from lilliput.corpus.reading import Reading
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.text import TextSource
from lilliput.corpus.split import SplitConfig

SOURCES = TypeAdapter(list[Source])


def sources(value):
    return SOURCES.validate_json(json.dumps(expand_sources(value)))


def part(value, name="train", reading=None, dropped=None, **split):
    pairs = read(sources(value), SplitConfig(**split), reading or Reading(), name, dropped)
    return [(index, document.text) for index, document in pairs]


def test_documents_carry_the_index_of_their_source(tmp_path):
    (tmp_path / "a.txt").write_text("one story")
    (tmp_path / "b.jsonl").write_text('{"text": "two"}\n{"text": "three"}\n')
    found = part([f"{tmp_path}/a.txt", f"{tmp_path}/b.jsonl"])
    assert {index for index, _ in found} == {0, 1}
    assert found[0] == (0, "one stor")


def test_the_tiny_corpus_has_a_train_and_a_validation_part():
    whole = "".join(text for name in ("train", "validation") for _, text in part("tiny", name))
    assert 80 < len(whole.split()) < 120
    assert part("tiny", "test") == []


def test_official_parts_are_taken_as_they_are_and_called_a_sample(sample_data, monkeypatch):
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    assert len(part("tinystories")) == 520
    assert len(part("tinystories", "validation")) == 404
    assert "train sample of 467,942 bytes from LILLIPUT_DATA" in sources("tinystories")[0].provenance()
    assert len(part("tinystories", "train", kind="hash") + part("tinystories", "validation", kind="hash")) == 924


def test_limits_take_whole_documents_of_each_official_part(sample_data, monkeypatch):
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    entry = {"name": "tinystories", "max_samples": 7}
    assert (len(part(entry)), len(part(entry, "validation"))) == (7, 7)
    kept = part({"name": "tinystories", "max_bytes": 5000})
    assert kept == part("tinystories")[: len(kept)]
    assert 4000 < sum(len(text.encode()) for _, text in kept) <= 5000


def test_a_first_document_over_the_limit_is_cut_between_characters(tmp_path):
    (tmp_path / "a.txt").write_text("ä" * 100)
    assert part({"path": f"{tmp_path}/a.txt", "max_bytes": 21}, validation=0.0) == [(0, "ä" * 10)]


def test_a_set_without_its_train_part_says_so_and_serves_as_validation(sample_data, monkeypatch):
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    with pytest.raises(LilliputError, match="no train part here, only validation") as failure:
        part("wikitext-2-v1")
    assert failure.value.code == Exit.MISSING
    assert len(list(read_whole(sources("wikitext-2-v1"), Reading()))) == 60
    assert len(part("wikitext-2-v1", kind="hash")) == 54


def test_an_empty_part_or_corpus_is_an_error_and_never_silence(tmp_path):
    (tmp_path / "blank.txt").write_text("\n" * 1_000_000)
    (tmp_path / "short.txt").write_text("ä")
    for name, message in (("blank", "train part is empty"), ("short", "train part is empty")):
        with pytest.raises(LilliputError, match=message) as failure:
            part(f"{tmp_path}/{name}.txt")
        assert failure.value.code == Exit.CONTENT
    with pytest.raises(LilliputError, match="holds no text"):
        list(read_whole(sources(f"{tmp_path}/blank.txt"), Reading()))
    with pytest.raises(LilliputError, match="no official parts"):
        part(f"{tmp_path}/short.txt", kind="official")


def test_one_document_that_hashes_cannot_divide_is_told_to_be_cut(tmp_path):
    (tmp_path / "book.txt").write_text("One book, one document. " * 100)
    with pytest.raises(LilliputError, match="the train part is empty") as failure:
        part(f"{tmp_path}/book.txt", kind="hash")
    assert "data.split=auto" in failure.value.action
    assert part(f"{tmp_path}/book.txt", kind="auto")


def test_what_is_left_out_is_counted_once_however_often_a_file_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{}\n{"text": "two"}\n\n')
    dropped = Counter()
    part(f"{tmp_path}/a.jsonl", reading=Reading(malformed="skip"), dropped=dropped)
    assert dropped == {"malformed line": 1, "blank": 1}


def test_where_rules_leave_nothing_to_train_on_their_reasons_are_told(tmp_path):
    (tmp_path / "a.txt").write_text("one\n<|endoftext|>\ntwo words\n", "utf-8")
    source = Cleaned(TextSource(path=str(tmp_path / "a.txt")), [ShortRule(min_words=9)])
    with pytest.raises(LilliputError, match=r"the train part is empty; left out were too short 2\n") as empty:
        list(read([source], SplitConfig(), Reading(), "train"))
    assert empty.value.action == "make `short` of the cleaning milder or switch it off, or give other text"
    with pytest.raises(LilliputError, match=r"holds no text; left out were too short 2\n"):
        list(read_whole([source], Reading()))
