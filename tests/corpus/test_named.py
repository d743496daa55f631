import json

import pytest
from pydantic import TypeAdapter

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.named import NAMED, expand_sources
from lilliput.corpus.registry import register, registered
from lilliput.corpus.sources import Source


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_words_entries_and_lists_become_trees_of_the_union():
    assert expand_sources("verdict") == [{"kind": "published", "name": "verdict"}]
    assert expand_sources("my.txt") == [{"kind": "text", "path": "my.txt"}]
    assert expand_sources(["./books", "data/*.jsonl.gz"]) == [
        {"kind": "text", "path": "./books"},
        {"kind": "jsonl", "path": "data/*.jsonl.gz"},
    ]
    assert expand_sources([{"name": "tiny", "weight": 2}]) == [{"kind": "published", "name": "tiny", "weight": 2}]
    assert expand_sources({"path": "/x/y", "max_samples": 3}) == [{"kind": "text", "path": "/x/y", "max_samples": 3}]


def test_expanded_trees_stay_as_they_are():
    once = expand_sources(["verdict", "a.jsonl", {"name": "tiny"}])
    assert expand_sources(once) == once


def test_every_built_in_name_is_a_source_of_the_union():
    for name in NAMED:
        TypeAdapter(list[Source]).validate_json(json.dumps(expand_sources(name)))


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ("verdct", "'verdct' is no corpus", "did you mean verdict"),
        ({"name": "tiny", "path": "x.txt"}, "both", "write one of them"),
        ({"weight": 1}, "neither", "write one of them"),
        ({"name": 7}, "7 is no corpus", "it may be tiny"),
    ],
)
def test_a_wrong_entry_is_refused_with_a_way_out(entry, message, hint):
    with pytest.raises(LilliputError, match=message) as failure:
        expand_sources([entry])
    assert failure.value.code == Exit.RECIPE
    assert hint in failure.value.action


def test_a_file_without_an_ending_is_offered_as_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "story").write_text("x")
    with pytest.raises(LilliputError) as failure:
        expand_sources("story")
    assert failure.value.action == "for the file write ./story"


def test_an_own_corpus_is_known_by_its_name(home):
    register("mine", {"kind": "text", "path": "/mine.txt"}, set(NAMED))
    register("mine", {"kind": "text", "path": "/mine.txt"}, set(NAMED))
    assert expand_sources("mine") == [{"kind": "text", "path": "/mine.txt"}]
    assert list(registered()) == ["mine"]
    with pytest.raises(LilliputError) as failure:
        expand_sources("mime")
    assert failure.value.action == "did you mean mine?"


@pytest.mark.parametrize(
    ("name", "code"), [("tiny", Exit.EXISTS), ("mine", Exit.EXISTS), ("a/b", Exit.USAGE), ("", Exit.USAGE)]
)
def test_names_that_are_taken_or_no_names_are_refused(name, code):
    register("mine", {"kind": "text", "path": "/mine.txt"}, set(NAMED))
    with pytest.raises(LilliputError) as failure:
        register(name, {"kind": "text", "path": "/other.txt"}, set(NAMED))
    assert failure.value.code == code


def test_a_damaged_registry_is_named_and_not_replaced(home):
    home.mkdir()
    (home / "corpora.json").write_text("[" * 100_000)
    for action in (registered, lambda: register("mine", {"kind": "text", "path": "/m"}, set())):
        with pytest.raises(LilliputError, match="is damaged"):
            action()


def test_endings_name_kinds_of_file_and_owner_and_set_a_set_of_the_hub(tmp_path, monkeypatch):
    kinds = {"a.parquet": "parquet", "a.csv.gz": "csv", "a.tsv": "csv", "a.warc.gz": "warc", "a.ndjson.zst": "jsonl"}
    assert {path: expand_sources(path)[0]["kind"] for path in kinds} == kinds
    assert expand_sources("some/set") == [{"kind": "hub", "name": "some/set"}]
    assert expand_sources({"name": "c4", "subset": "de"}) == [{"kind": "hub", "name": "c4", "subset": "de"}]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some" / "set").mkdir(parents=True)
    with pytest.raises(LilliputError) as failure:
        expand_sources("some/set")
    assert failure.value.action == "for the file write ./some/set"
