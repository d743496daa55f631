import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from tests.loopback_hub import REVISION, hold_fixtures, json_lines, parquet

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import raw_download
from lilliput.corpus.named import expand_sources
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.sources import Source
from lilliput.runs.home import downloads

SRC = Path(__file__).parents[3] / "src"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))


def source(value):
    (tree,) = expand_sources(value)
    return TypeAdapter(Source).validate_json(json.dumps(tree))


def texts(value, part=None):
    return [document.text for document in source(value).documents(Reader(Reading()), part)]


ROWS = [{"text": f"document {number}", "id": number} for number in range(10)]


def test_a_set_is_downloaded_once_at_one_revision_and_recorded(loopback_hub):
    loopback_hub.hold("some/set", {"data/train-00000-of-00001.parquet": parquet(ROWS)})
    assert texts("some/set") == [row["text"] for row in ROWS]
    asked = len(loopback_hub.asked)
    assert texts("some/set") == [row["text"] for row in ROWS]
    assert len(loopback_hub.asked) == asked
    (record,) = downloads().rglob("record.json")
    assert json.loads(record.read_text())["revision"] == REVISION
    assert f"all, {len(parquet(ROWS)):,} bytes from the hub's some/set" in source("some/set").provenance()


def test_documents_are_named_by_file_and_row(loopback_hub):
    loopback_hub.hold("some/set", {"data/train-00000-of-00001.parquet": parquet(ROWS)})
    first = next(source("some/set").documents(Reader(Reading())))
    assert (first.source, first.key, first.part) == ("some/set", "00000-train-00000-of-00001.parquet:1", None)


@pytest.mark.parametrize("ending", ["jsonl", "json", "jsonl.gz", "jsonl.zst", "csv"])
def test_sets_in_other_formats_give_the_same_documents(loopback_hub, ending):
    import gzip

    import zstandard

    lines = json_lines(ROWS)
    content = {
        "jsonl": lines,
        "json": json.dumps(ROWS).encode(),
        "jsonl.gz": gzip.compress(lines),
        "jsonl.zst": zstandard.compress(lines),
        "csv": b"text,id\n" + b"".join(b'"%s",%d\n' % (row["text"].encode(), row["id"]) for row in ROWS),
    }
    loopback_hub.hold("some/set", {f"train.{ending}": content[ending]})
    assert texts("some/set") == [row["text"] for row in ROWS]
    assert texts({"name": "some/set", "max_samples": 3}) == [row["text"] for row in ROWS]  # what is here serves


def test_subset_splits_and_columns_are_settings(loopback_hub):
    files = {
        "de/train-0.parquet": parquet([{"title": "Eins", "body": "Text"}, {"title": "", "body": "Zwei"}]),
        "de/dev-0.parquet": parquet([{"title": "Drei", "body": "Text"}]),
        "en/train-0.parquet": parquet([{"title": "One", "body": "text"}]),
    }
    configs = {"en": {"train": "en/train-*"}, "de": {"train": "de/train-*", "dev": "de/dev-*"}}
    loopback_hub.hold("some/set", files, configs)
    entry = {"name": "some/set", "subset": "de", "validation_split": "dev", "text_column": ["title", "body"]}
    assert source(entry).parts == ("train", "validation")
    assert texts(entry, "train") == ["Eins\n\nText", "Zwei"]
    assert texts(entry, "validation") == ["Drei\n\nText"]
    assert texts({"name": "some/set", "subset": "en", "text_column": "body"}) == ["text"]


def test_a_limit_downloads_no_more_rows_than_it_needs(loopback_hub, monkeypatch):
    monkeypatch.setattr(raw_download, "ROWS", 3)
    monkeypatch.setattr(raw_download, "BYTES", 1)
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    assert texts({"name": "some/set", "max_samples": 4}) == [row["text"] for row in ROWS[:4]]
    files = sorted(path.name for path in downloads().rglob("*.jsonl"))
    assert files == ["rows-00000.jsonl", "rows-00001.jsonl"]
    assert "sample of the first 4 rows" in source({"name": "some/set", "max_samples": 4}).provenance()
    # More rows go on where the sample ends; fewer are served by what is here.
    assert len(texts({"name": "some/set", "max_samples": 6})) == 6
    asked = len(loopback_hub.asked)
    assert len(texts({"name": "some/set", "max_samples": 5})) == 6
    assert len(loopback_hub.asked) == asked
    assert len(texts({"name": "some/set", "max_samples": 60})) == 10


def test_rows_as_they_come_are_those_that_the_library_gives(loopback_hub, sample_data):
    import datasets

    hold_fixtures(loopback_hub, sample_data / "hf_schema_fixtures")
    theirs = datasets.load_dataset("HuggingFaceFW/fineweb", split="train", streaming=True)
    assert texts({"name": "HuggingFaceFW/fineweb", "max_samples": 3}) == [row["text"] for row in theirs.take(3)]


LAYOUTS = {
    "openwebtext": (4, "Don\u2019t think you need all the bells and whistles?"),
    "wikipedia": (1, "Anarchism\n\nAnarchism is a political philosophy"),
    "github": (1, '"""\nyou give this script some words'),
    "stackexchange": (4, "¿Convertir una fecha a timestamp?"),
    "roneneldan/TinyStories": (5, "One day, a little girl named Lily found a needle"),
    "bookcorpus/bookcorpus": (2, "alice was beginning to get very tired"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_known_sets_are_read_in_their_real_columns(loopback_hub, sample_data, name):
    hold_fixtures(loopback_hub, sample_data / "hf_schema_fixtures")
    loopback_hub.sets["rojagtap/bookcorpus"] = loopback_hub.sets["bookcorpus/bookcorpus"]
    found = texts(name)
    count, beginning = LAYOUTS[name]
    assert len(found) == count
    assert found[0].startswith(beginning)


def test_bookcorpus_is_chunks_of_sentences_and_wikitext_articles(loopback_hub, sample_data):
    hold_fixtures(loopback_hub, sample_data / "hf_schema_fixtures")
    loopback_hub.sets["rojagtap/bookcorpus"] = loopback_hub.sets["bookcorpus/bookcorpus"]
    chunks = texts({"name": "bookcorpus", "chunk_words": 100})
    assert len(chunks) > 1
    assert all(len(chunk.split()) >= 100 for chunk in chunks[:-1])
    assert " ".join(chunks) == " ".join(texts("bookcorpus"))
    entry = {"name": "Salesforce/wikitext", "subset": "wikitext-2-v1", "split": "validation"}
    (article,) = texts(entry)
    assert (sample_data / "wikitext2" / "valid.txt").read_text().startswith(article)


def test_every_known_set_without_a_network_names_both_ways():
    for name in ("openwebtext", "c4", "fineweb"):
        with pytest.raises(LilliputError, match=f"{name} is not here and the hub's .* cannot be reached") as failure:
            texts(name)
        assert failure.value.code == Exit.UNAVAILABLE
        assert "\n" not in failure.value.cause + failure.value.action


def refused(value, part=None):
    with pytest.raises(LilliputError) as failure:
        texts(value, part)
    assert "\n" not in failure.value.cause + failure.value.action
    return failure.value


def test_an_unknown_gated_or_misnamed_set_is_one_clear_line(loopback_hub):
    loopback_hub.hold("some/set", {"en/train.parquet": parquet(ROWS)}, {"en": {"train": "en/*"}})
    loopback_hub.hold("some/gated", {"train.parquet": parquet(ROWS)})
    loopback_hub.gated.add("some/gated")
    unknown = refused("some/sett")
    assert (unknown.code, "knows no set 'some/sett'" in unknown.cause) == (Exit.UNAVAILABLE, True)
    gated = refused("some/gated")
    assert (gated.code, "accepted its terms" in gated.cause) == (Exit.UNAVAILABLE, True)
    assert "HF_TOKEN" in gated.action
    subset = refused({"name": "some/set", "subset": "de"})
    assert (subset.code, subset.action) == (Exit.RECIPE, "set `subset` to one of: en")
    split = refused({"name": "some/set", "split": "valid"})
    assert (split.code, split.action) == (Exit.RECIPE, "set `split` to one of: train")


@pytest.mark.parametrize("limit", [{}, {"max_samples": 2}])
def test_a_missing_column_is_named_with_those_that_are_there(loopback_hub, limit):
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    found = refused({"name": "some/set", "text_column": "content", **limit})
    assert found.code == Exit.RECIPE
    assert "no column `content`; it has 'text', 'id'" in found.cause


@pytest.mark.promise("S11")
def test_a_script_is_refused_by_name_and_never_run(loopback_hub, tmp_path):
    marker = tmp_path / "ran"
    program = f"open({str(marker)!r}, 'w')".encode()
    for extra in ({}, {"train.parquet": parquet(ROWS)}):
        loopback_hub.hold("some/set", {"set.py": program, "setup.py": program, "conftest.py": program, **extra})
        found = refused("some/set")
        assert (found.code, "is a program (set.py)" in found.cause) == (Exit.UNAVAILABLE, True)
    loopback_hub.hold("some/set", {"setup.py": program, "sitecustomize.py": program, "train.parquet": parquet(ROWS)})
    assert len(texts("some/set")) == 10
    assert not marker.exists()
    assert not [line for line in loopback_hub.asked if line.startswith("GET") and "setup.py" in line]


def test_too_many_requests_are_waited_for(loopback_hub):
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    loopback_hub.fail(429, "train.parquet", retry_after=1)
    assert len(texts("some/set")) == 10


def test_a_cut_connection_goes_on_and_other_bytes_are_fetched_again(loopback_hub):
    rows = [{"text": f"{number} " * 2000} for number in range(300)]
    loopback_hub.hold("some/set", {"train.jsonl": json_lines(rows)})
    loopback_hub.fail("cut", "train.jsonl")
    assert len(texts("some/set")) == 300
    loopback_hub.hold("some/other", {"train.jsonl": json_lines(rows)})
    loopback_hub.fail("other bytes", "train.jsonl")
    assert len(texts("some/other")) == 300


@pytest.mark.promise("R17")
def test_content_that_never_matches_its_checksum_is_refused_and_nothing_of_it_stays(loopback_hub):
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    loopback_hub.fail("other bytes", "train.parquet", times=99)
    found = refused("some/set")
    assert (found.code, "other bytes" in found.cause) == (Exit.CONTENT, True)
    assert not list(downloads().rglob("*train.parquet"))


def test_a_file_that_is_gone_is_one_clear_line(loopback_hub):
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    loopback_hub.fail(404, "resolve/" + REVISION + "/train.parquet", times=99)
    assert refused("some/set").code == Exit.UNAVAILABLE


def test_a_damaged_raw_file_is_named_and_never_used(loopback_hub):
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    texts("some/set")
    (file,) = downloads().rglob("*train.parquet")
    file.write_bytes(file.read_bytes()[:-1])
    found = refused("some/set")
    assert (found.code, "is not what was downloaded" in found.cause) == (Exit.CONTENT, True)


def test_a_large_set_is_not_downloaded_unasked(loopback_hub, monkeypatch):
    monkeypatch.setattr(raw_download, "UNASKED", 100)
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    found = refused("some/set")
    assert "lilliput corpus get some/set --samples 20000" in found.action
    assert len(texts({"name": "some/set", "max_samples": 2})) == 2


def test_malformed_rows_are_counted_where_the_recipe_says_so(loopback_hub):
    loopback_hub.hold("some/set", {"train.jsonl": b'{"text": "one"}\n{"text": null}\n{"text": " "}\n'})
    reader = Reader(Reading(malformed="skip"))
    assert [document.text for document in source("some/set").documents(reader)] == ["one"]
    assert reader.dropped == Counter({"malformed line": 1, "blank": 1})


def test_the_libraries_run_unmodified_in_a_process_of_their_own(loopback_hub, tmp_path):
    """Nothing but HF_ENDPOINT tells them where the hub is."""
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    program = "import datasets; print(len(list(datasets.load_dataset('some/set', split='train', streaming=True))))"
    ours = [sys.executable, "-m", "lilliput", "corpus", "stats", "some/set", "--json"]
    theirs = [sys.executable, "-c", program]
    counted = run(ours)
    assert json.loads(counted)["total"]["documents"] == 10
    assert run(theirs).strip() == "10"


def run(words):
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(SRC)})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", ["../x.parquet", "a/../../x", "/etc/x", "a\\..\\x", "c:x", "", "a\nb"])
@pytest.mark.promise("S10")
def test_a_file_name_that_leads_out_of_its_folder_is_refused(path):
    from lilliput.corpus.hub import is_inside

    assert not is_inside(path)


def test_rows_as_they_come_survive_a_busy_hub_and_a_cut_connection(loopback_hub, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "STREAMING_READ_RETRY_INTERVAL", 0)
    rows = [{"text": f"{number} " * 500} for number in range(300)]
    for fault in (429, 500, "cut"):
        loopback_hub.hold(f"some/set{fault}", {"train.jsonl": json_lines(rows)})
        loopback_hub.fail(fault, "train.jsonl", retry_after=1)
        assert len(texts({"name": f"some/set{fault}", "max_samples": 250})) == 250


def test_a_hub_that_breaks_down_midway_is_one_clear_line_and_what_came_stays(loopback_hub, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "STREAMING_READ_MAX_RETRIES", 1)
    monkeypatch.setattr(datasets.config, "STREAMING_READ_RETRY_INTERVAL", 0)
    monkeypatch.setattr(raw_download, "ROWS", 10)
    monkeypatch.setattr(raw_download, "BYTES", 1)
    files = {f"train-{n}.jsonl": json_lines([{"text": f"{n} {m}"} for m in range(20)]) for n in range(2)}
    loopback_hub.hold("some/set", files)
    loopback_hub.fail(404, "train-1.jsonl", times=99)
    found = refused({"name": "some/set", "max_samples": 40})
    assert found.code == Exit.UNAVAILABLE
    assert len(list(downloads().rglob("rows-*.jsonl"))) == 2
    loopback_hub.faults.clear()
    assert len(texts({"name": "some/set", "max_samples": 40})) == 40


@pytest.mark.parametrize("limit", [{}, {"max_samples": 3}])
@pytest.mark.parametrize("name", ["data/../../evil.jsonl", "..\\..\\evil.jsonl", "/etc/evil.jsonl", "c:evil.jsonl"])
@pytest.mark.promise("S10")
def test_a_hub_never_chooses_where_its_files_go(loopback_hub, tmp_path, name, limit):
    loopback_hub.hold("some/bare", {name: json_lines(ROWS)})
    loopback_hub.hold("some/set", {name: json_lines(ROWS)}, {"default": {"train": [name]}})
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    for repository in ("some/bare", "some/set"):
        assert refused({"name": repository, **limit}).code in (Exit.CONTENT, Exit.UNAVAILABLE)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("limit", [{}, {"max_samples": 3}])
@pytest.mark.promise("S10")
def test_a_card_cannot_name_files_of_this_machine_or_of_another_set(loopback_hub, tmp_path, limit):
    (tmp_path / "secret.jsonl").write_bytes(json_lines(ROWS))
    loopback_hub.hold("some/other", {"train.jsonl": json_lines(ROWS)})
    theirs = f"hf://datasets/some/other@{REVISION}/train.jsonl"
    for number, path in enumerate((str(tmp_path / "secret.jsonl"), theirs, f"{loopback_hub.url}/train.jsonl")):
        name = f"some/set{number}"
        loopback_hub.hold(name, {"train.jsonl": json_lines(ROWS)}, {"default": {"train": [path]}})
        found = refused({"name": name, **limit})
        assert (found.code, "outside of the set" in found.cause) == (Exit.CONTENT, True)
    assert not downloads().exists()


def test_a_card_that_is_no_card_is_one_clear_line(loopback_hub):
    loopback_hub.hold("some/set", {"train.jsonl": json_lines(ROWS), "README.md": b"---\nconfigs: [\n---\n"})
    assert refused("some/set").code == Exit.CONTENT
    loopback_hub.hold("some/plain", {"train.jsonl": json_lines(ROWS), "README.md": b"# A set\n"})
    assert len(texts("some/plain")) == 10
