import json

import pytest
from pydantic import TypeAdapter, ValidationError

from lilliput.corpus.named import expand_sources
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.text import TextSource

SOURCE = TypeAdapter(Source)


def source(tree):
    return SOURCE.validate_json(json.dumps(expand_sources(tree)[0]))


def texts(tree):
    return [document.text for document in source(tree).documents(Reader(Reading()))]


def test_only_the_first_files_by_name_are_read(tmp_path):
    for name in "cab":
        (tmp_path / f"{name}.txt").write_text(f"text of {name}")
        (tmp_path / f"{name}.jsonl").write_text(f'{{"text": "line of {name}"}}\n')
    assert texts({"path": str(tmp_path), "max_files": 2}) == ["text of a", "text of b"]
    assert texts({"path": f"{tmp_path}/*.jsonl", "kind": "jsonl", "max_files": 1}) == ["line of a"]
    assert texts({"path": str(tmp_path), "max_files": 9}) == texts(str(tmp_path))


def test_the_first_files_of_each_official_part_are_read(sample_data, monkeypatch):
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    assert texts({"name": "tinystories", "max_files": 1}) == texts("tinystories")


def test_a_file_beyond_the_limit_changes_no_fingerprint_and_one_within_it_does(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    limited = source({"path": str(tmp_path), "max_files": 1})
    before = limited.fingerprint()
    (tmp_path / "b.txt").write_text("other")
    assert limited.fingerprint() == before
    (tmp_path / "a.txt").write_text("other")
    assert limited.fingerprint() != before


def test_an_entry_that_uses_nothing_new_keeps_the_fingerprint_it_had(tmp_path):
    (tmp_path / "a.txt").write_text("a text")
    entry = TextSource(path=str(tmp_path / "a.txt"))
    assert entry.fingerprint() == "4a99d3cb7b5574a1fdb0a8cbd4b8c53bf1090b7078c700454f3317be5cebe090"


def test_tales_have_no_files_to_limit():
    with pytest.raises(ValidationError, match="max_files: tales have no files"):
        source({"name": "tales", "max_files": 3})


def test_a_weight_is_one_number_or_one_for_each_stage():
    assert source({"name": "tiny", "weight": 2}).weights == (2.0,)
    assert source({"name": "tiny", "weight": [1, 0.5, 0]}).weights == (1.0, 0.5, 0.0)
    for wrong in (0, -1, [1], [], [1, -1], "much", [1, "much"]):
        with pytest.raises(ValidationError):
            source({"name": "tiny", "weight": wrong})
