import json
from pathlib import Path

import pytest

from lilliput.cli import main
from lilliput.config.errors import Exit
from lilliput.corpus.catalog import read
from lilliput.corpus.listing import source_of
from lilliput.corpus.reading import Reading
from lilliput.corpus.split import SplitConfig
from lilliput.tokens import GPT2Config, open_tokenizer
from lilliput.tokens.packing import pack
from lilliput.tokens.shards import shard_in_memory


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))


def lilliput(capsys, *words):
    code = main(["corpus", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_list_shows_each_set_with_its_licence_and_whether_it_is_here(capsys, sample_data, monkeypatch):
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    code, out, _ = lilliput(capsys, "list", "--json")
    listed = {entry["name"]: entry for entry in json.loads(out)}
    assert code == 0
    assert all(entry["license"] and entry["origin"] for entry in listed.values())
    assert {name: listed[name]["here"] for name in ("tiny", "verdict", "tinystories", "wikitext-103")} == {
        "tiny": "yes",
        "verdict": "yes",
        "tinystories": "sample",
        "wikitext-103": "no",
    }
    table = lilliput(capsys, "list")[1]
    assert "The Verdict" in table and max(map(len, table.splitlines())) <= 80
    assert all(entry["license"] in " ".join(table.split()) for entry in listed.values() if len(entry["license"]) < 9)


def test_the_stated_size_of_whole_sets_is_their_real_size(capsys, sample_data, monkeypatch):
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    sizes = {entry["name"]: entry["size"] for entry in json.loads(lilliput(capsys, "list", "--json")[1])}
    for name in ("tiny", "verdict", "shakespeare"):
        (file,) = json.loads(lilliput(capsys, "get", name, "--json")[1])
        assert file["bytes"] == sizes[name]


def test_statistics_have_thousands_separators_and_parts_that_sum_up(capsys, sample_data, monkeypatch):
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    code, out, _ = lilliput(capsys, "stats", "shakespeare")
    assert code == 0
    assert "1,115,394" in out
    found = json.loads(lilliput(capsys, "stats", "shakespeare", "--json")[1])
    assert sum(part["bytes"] for part in found["parts"].values()) == found["total"]["bytes"] == 1_115_394
    assert found["total"]["documents"] == 1


def test_a_tokenizers_ids_and_training_sequences_are_counted_as_training_packs_them(capsys, sample_data, monkeypatch):
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    # 4,612 tokens to train on, their begin and their end: one target more than four windows hold.
    words = ("stats", "verdict", "--tokenizer", "gpt2", "--context-length", "1153")
    found = json.loads(lilliput(capsys, *words, "--json")[1])
    assert found["total"]["tokens"] == 5_145
    tokenizer = open_tokenizer(GPT2Config(), None, Path("nowhere"))
    source = source_of("verdict")
    documents = read([source], SplitConfig(), Reading(), "train")
    packed = pack(shard_in_memory(((0, document.text) for _, document in documents), tokenizer), 1153)
    assert found["training_sequences"] == len(packed) == 5
    out = lilliput(capsys, *words)[1]
    assert "5,145" in out
    assert "training sequences of 1,153 tokens: 5" in out


def test_an_added_folder_is_listed_and_counted_by_its_name(capsys, tmp_path, monkeypatch):
    (tmp_path / "diary").mkdir()
    for day in range(3):
        (tmp_path / "diary" / f"{day}.txt").write_text(f"day {day}")
    monkeypatch.chdir(tmp_path)
    assert lilliput(capsys, "add", "diary", "diary")[0] == 0
    monkeypatch.chdir("/")
    assert json.loads(lilliput(capsys, "stats", "diary", "--json")[1])["total"]["documents"] == 3
    assert "diary" in lilliput(capsys, "list")[1]


def test_a_text_column_is_kept_with_an_added_corpus(capsys, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"story": "once"}\n')
    assert lilliput(capsys, "add", "mine", str(tmp_path / "a.jsonl"), "--text-column", "story")[0] == 0
    assert json.loads(lilliput(capsys, "stats", "mine", "--json")[1])["total"]["bytes"] == 4


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("add", "mine", "nowhere.txt"), Exit.MISSING),
        (("add", "verdict", "a.txt"), Exit.EXISTS),
        (("add", "Mine", "a.txt"), Exit.USAGE),
        (("add", "mine", "empty.txt"), Exit.CONTENT),
        (("add", "mine", "a.txt", "--text-column", "x"), Exit.RECIPE),
        (("stats", "verdct"), Exit.RECIPE),
        (("stats", "empty.txt"), Exit.CONTENT),
        (("stats", "tiny", "--split", "random"), Exit.RECIPE),
        (("get", "wikitext-2"), Exit.UNAVAILABLE),
    ],
)
def test_what_cannot_be_done_ends_with_its_code_and_leaves_nothing(capsys, tmp_path, monkeypatch, words, code):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "empty.txt").write_text("")
    found, out, err = lilliput(capsys, *words)
    assert (found, out) == (code, "")
    assert [line.partition(":")[0] for line in err.splitlines()[-2:]] == ["error", "hint"]
    assert not (tmp_path / "home" / "corpora.json").exists()
