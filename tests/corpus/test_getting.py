import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.loopback_hub import hold_fixtures, json_lines, parquet

from lilliput.cli import main
from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import raw, raw_download
from lilliput.corpus.cache import held, remove_raw
from lilliput.corpus.getting import Announced, get
from lilliput.corpus.listing import source_of
from lilliput.corpus.reading import Reader, Reading
from lilliput.runs.home import downloads, home, shards

ROWS = [{"text": f"document {number}"} for number in range(10)]


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))


@pytest.fixture
def hub(loopback_hub, sample_data):
    hold_fixtures(loopback_hub, sample_data / "hf_schema_fixtures")
    loopback_hub.sets["rojagtap/bookcorpus"] = loopback_hub.sets["bookcorpus/bookcorpus"]
    return loopback_hub


GUIDE = ("openwebtext", "wikipedia", "stackexchange", "github", "bookcorpus")


def lilliput(capsys, *words):
    code = main(["corpus", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_several_sets_are_announced_with_size_and_free_disk_then_downloaded_and_reused(hub, capsys):
    code, out, err = lilliput(capsys, "get", *GUIDE, "--samples", "20000", "--json")
    assert code == 0
    assert {file["name"] for file in json.loads(out)} == set(GUIDE)
    lines = err.splitlines()
    assert [line.partition(":")[0] for line in lines[:5]] == list(GUIDE)
    assert all("about " in line and "are free" in line for line in lines[:5])
    hub.asked.clear()
    again = lilliput(capsys, "get", *GUIDE, "--samples", "20000", "--json")
    assert (again[0], again[1], hub.asked) == (0, out, [])
    assert again[2].splitlines() == [f"{name} is here" for name in GUIDE]


def test_raw_files_are_text_that_people_can_read(hub, capsys):
    lilliput(capsys, "get", "wikipedia", "--samples", "1")
    (file,) = downloads().rglob("*.jsonl")
    row = json.loads(file.read_text("utf-8"))
    assert list(row) == ["title", "text"]


def test_what_does_not_fit_is_refused_before_the_first_byte(hub, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50_000_000))
    code, out, err = lilliput(capsys, "get", "openwebtext", "github", "--samples", "20000")
    assert (code, out) == (Exit.DISK_FULL, "")
    assert "to download, and 50.0 MB are free" in err
    assert "--samples" in err.splitlines()[-1]
    assert not list(downloads().rglob("*.jsonl"))
    assert not [line for line in hub.asked if line.startswith("GET") and line.endswith(".parquet")]
    assert lilliput(capsys, "get", "openwebtext", "--samples", "100")[0] == 0


def test_whole_sets_take_the_exact_size_of_their_files(loopback_hub):
    content = parquet(ROWS)
    loopback_hub.hold("some/set", {"train-0.parquet": content, "train-1.parquet": content})
    first, *files = list(get(["some/set"]))
    assert first == Announced("some/set", 2 * len(content), "hub: some/set")
    assert [file.size for file in files] == [len(content)] * 2


def test_one_whole_set_that_is_larger_than_the_disk_is_refused_with_both_figures(loopback_hub, monkeypatch):
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(LilliputError, match=r"[\d.]+ (kB|bytes) to download, and 10 bytes are free") as failure:
        list(get(["some/set"]))
    assert failure.value.code == Exit.DISK_FULL


@pytest.mark.parametrize("limit", [None, 9])
def test_a_download_that_was_ended_goes_on_and_gives_the_same_bytes(loopback_hub, monkeypatch, limit, tmp_path):
    monkeypatch.setattr(raw_download, "ROWS", 2)
    monkeypatch.setattr(raw_download, "BYTES", 1)
    loopback_hub.hold("some/set", {f"train-{n}.jsonl": json_lines(ROWS[n::3]) for n in range(3)})

    def files():
        return {path.name: path.read_bytes() for path in sorted(downloads().rglob("*")) if path.is_file()}

    list(get(["some/set"], limit))
    whole = files()
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "other"))
    events = get(["some/set"], limit)
    next(events), next(events)
    events.close()
    assert len([name for name in files() if name in whole and name != "record.json"]) == 1
    list(get(["some/set"], limit))
    assert files() == whole


def test_more_documents_than_before_go_on_at_the_first_ones_revision(loopback_hub):
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    list(get(["some/set"], 3))
    list(get(["some/set"], 7))
    kept = raw.present(source_of("some/set").wanted("train"))
    assert (kept.rows, kept.is_whole) == (7, False)
    # Asked for whole, a sample is not enough.
    list(get(["some/set"]))
    assert raw.present(source_of("some/set").wanted("train")).is_whole


def test_a_set_that_comes_as_whole_files_is_not_cut(capsys):
    code, _, err = lilliput(capsys, "get", "tinystories", "--samples", "100")
    assert code == Exit.USAGE
    assert "roneneldan/TinyStories" in err


def test_the_cache_is_listed_and_cleared_by_name(loopback_hub, capsys):
    assert lilliput(capsys, "cache")[2] == "nothing is kept\n"
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    lilliput(capsys, "get", "some/set")
    shards().mkdir()
    (shards() / "x").write_bytes(b"12345")
    listed = json.loads(lilliput(capsys, "cache", "--json")[1])
    assert [(each["name"], each["what"]) for each in listed] == [
        ("some/set", "raw files of a set"),
        ("shards", "prepared tokens"),
    ]
    assert listed[1]["bytes"] == 5
    code, _, err = lilliput(capsys, "cache", "--clear", "some/set", "--clear", "shard")
    assert (code, "did you mean shards?" in err, len(held())) == (Exit.MISSING, True, 2)
    assert lilliput(capsys, "cache", "--clear", "some/set", "--clear", "shards")[0] == 0
    assert held() == []
    assert not list(home().rglob("*.parquet"))


def test_raw_files_are_removed_and_those_of_a_person_never(loopback_hub, tmp_path, monkeypatch):
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    source = source_of("some/set")
    list(get(["some/set"]))
    (tmp_path / "own.txt").write_text("my own")
    freed = remove_raw([source, source_of(str(tmp_path / "own.txt")), source_of("tales")])
    assert freed == len(parquet(ROWS))
    assert not list(home().rglob("*.parquet"))
    assert (tmp_path / "own.txt").exists()
    (tmp_path / "data" / "hub").mkdir(parents=True)
    (tmp_path / "data" / "hub" / "some__set__train.jsonl").write_bytes(json_lines(ROWS))
    monkeypatch.setenv("LILLIPUT_DATA", str(tmp_path / "data"))
    assert len(list(source.pieces())) == 1
    assert remove_raw([source]) == 0
    assert len(list(source.pieces())) == 1


def test_a_sample_that_a_recipes_limit_left_never_stands_for_the_whole(loopback_hub, monkeypatch):
    monkeypatch.setattr(raw_download, "UNASKED", 10)
    loopback_hub.hold("some/set", {"train.parquet": parquet(ROWS)})
    assert len(list(source_of("some/set", {"max_samples": 3}).pieces())) == 1
    with pytest.raises(LilliputError, match="downloading all of it takes"):
        source_of("some/set").pieces()
    list(get(["some/set"], 3))
    assert "sample of the first 3 rows" in source_of("some/set").provenance()


def test_only_the_file_that_is_read_is_compared_with_its_record(loopback_hub):
    loopback_hub.hold("some/set", {f"train-{n}.jsonl": json_lines(ROWS) for n in range(3)})
    source = source_of("some/set")
    first, second, third = source.pieces()
    with Path(third).open("ab") as file:
        file.write(b"x")
    reader = Reader(Reading())
    assert len(list(source.piece(first, reader))) == len(list(source.piece(second, reader))) == 10
    with pytest.raises(LilliputError, match="is not what was downloaded"):
        list(source.piece(third, reader))
    with pytest.raises(LilliputError, match="is not what was downloaded"):
        source.fingerprint()
