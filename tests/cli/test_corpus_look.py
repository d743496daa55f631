import json
import re
import shutil
from pathlib import Path

import pytest

from lilliput.cli import main
from lilliput.cli.terminal import columns
from lilliput.config.errors import Exit
from lilliput.corpus import languages
from lilliput.runs.home import shards
from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.shards import INDEX, MANIFEST, TOKENS, write_shard

HOSTILE = "a\x1b]0;title\x07\x1b[31m\x9b2J\u202eb\u2066\x00\x08\r\n"


pytestmark = pytest.mark.usefixtures("own_folder")


def lilliput(capsys, *words):
    code = main(["corpus", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def rows(tmp_path):
    texts = ["The wolf and the fox.", "A fox, a FOX and a foxglove.", "Nothing here.", "\u72d0\u72f8\u548c\u72fc"]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


@pytest.fixture
def shard(tmp_path):
    folder = tmp_path / "shard"
    texts = [(0, "The wolf and the fox."), (1, "\u72d0\u72f8 e\u0301"), (1, HOSTILE)]
    write_shard(folder, texts, ByteTokenizer(), provenance={"part": "train", "text": ["tales", "mine"]})
    return folder


def test_documents_are_shown_as_text_with_their_key_and_size(capsys, rows):
    code, out, _ = lilliput(capsys, "peek", "rows.jsonl", "--number", "2")
    assert code == 0
    assert out == (
        "--- rows.jsonl:1  21 bytes\nThe wolf and the fox.\n\n"
        "--- rows.jsonl:2  28 bytes\nA fox, a FOX and a foxglove.\n"
    )


def test_a_long_document_is_cut_between_characters_and_says_how_much_is_left(capsys, tmp_path):
    (tmp_path / "a.txt").write_text("e\u0301" * 50)
    out = lilliput(capsys, "peek", "a.txt", "--characters", "3")[1]
    assert out.splitlines()[1:] == ["e\u0301e\u0301", "... 96 more characters"]


def test_documents_are_shown_as_tokens_also_those_of_half_a_character(capsys, tmp_path, sample_data, monkeypatch):
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    (tmp_path / "a.txt").write_text("Hello\n\u4e16\u754c 'quoted' \\x")
    out = lilliput(capsys, "peek", "a.txt", "--tokens", "--tokenizer", "gpt2")[1]
    assert "15496:'Hello'  198:'\\n'  10310:'\\xe4\\xb8'  244:'\\x96'" in out
    assert all(columns(line) <= 80 for line in out.splitlines())


def test_a_seed_draws_documents_from_all_of_a_corpus_and_always_the_same(capsys, tmp_path):
    lines = "".join(json.dumps({"text": f"text {number}"}) + "\n" for number in range(500))
    (tmp_path / "many.jsonl").write_text(lines)
    words = ("peek", "many.jsonl", "--number", "20", "--jsonl", "--seed")
    first, second = (lilliput(capsys, *words, seed)[1] for seed in ("1", "1"))
    other = lilliput(capsys, *words, "2")[1]
    assert first == second != other
    drawn = [int(json.loads(line)["text"].split()[1]) for line in first.splitlines()]
    assert drawn == sorted(set(drawn)) and len(drawn) == 20 and max(drawn) > 250


def test_a_part_is_shown_as_a_recipe_divides_it(capsys, rows):
    keys = {}
    for part in ("train", "validation", "all"):
        out = lilliput(capsys, "peek", "rows.jsonl", "--part", part, "--number", "9", "--jsonl")[1]
        keys[part] = [json.loads(line)["key"] for line in out.splitlines()]
    assert sorted(keys["train"] + keys["validation"]) == keys["all"] == [f"rows.jsonl:{n}" for n in (1, 2, 3, 4)]
    assert keys["validation"]


def test_bytes_that_are_no_text_are_shown_where_training_would_refuse_them(capsys, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"a fox \xff\xfe")
    assert lilliput(capsys, "peek", "bad.txt")[1].endswith("\na fox \ufffd\ufffd\n")
    assert "a [fox]" in lilliput(capsys, "search", "bad.txt", "fox")[1]
    assert "byte 6" in lilliput(capsys, "stats", "bad.txt")[2]


def test_keys_of_a_recipes_data_may_follow_a_corpus(capsys, rows):
    words = ("rows.jsonl", "data.split={kind: hash, validation: 0.5}", "--part", "validation", "--jsonl")
    assert len(lilliput(capsys, "peek", *words)[1].splitlines()) == 2
    found = json.loads(lilliput(capsys, "stats", "rows.jsonl", "data.sources=tiny", "--json")[1])
    assert found["sources"][0]["total"]["bytes"] == 544


def test_a_recipe_that_only_builds_a_corpus_is_looked_at(capsys, tmp_path, rows):
    (tmp_path / "mine.yaml").write_text("data: {sources: rows.jsonl, cleaning: {rules: [short], workers: 1}}\n")
    assert lilliput(capsys, "peek", "mine.yaml")[0] == Exit.CONTENT
    words = "data.cleaning={rules: [{kind: short, min_words: 4}], workers: 1}"
    assert len(lilliput(capsys, "peek", "mine.yaml", words, "--jsonl")[1].splitlines()) == 2


def test_a_json_file_of_rows_is_a_corpus_and_one_with_data_a_recipe(capsys, tmp_path):
    (tmp_path / "rows.json").write_text('[{"text": "one fox"}, {"text": "two"}]')
    (tmp_path / "recipe.json").write_text('{"data": {"sources": ["rows.json"]}}')
    for name in ("rows.json", "recipe.json"):
        lines = lilliput(capsys, "peek", name, "--jsonl")[1].splitlines()
        assert [json.loads(line)["text"] for line in lines] == ["one fox", "two"], name


def test_a_recipes_data_is_shown_after_its_cleaning_and_overrides(capsys, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "short"}\n{"text": "one two three four five"}\n')
    rules = "data.cleaning={rules: [{kind: short, min_words: 3}], workers: 1}"
    code, out, _ = lilliput(capsys, "peek", "lab/nano", "data.sources=a.jsonl", rules, "--jsonl")
    assert code == 0
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["one two three four five"]
    found = json.loads(lilliput(capsys, "stats", "lab/nano", "data.sources=a.jsonl", rules, "--json")[1])
    assert found["sources"][0]["dropped"] == {"too short": 1}


def test_a_shard_is_shown_as_text_as_tokens_and_as_json_lines(capsys, shard):
    assert "The wolf and the fox." in lilliput(capsys, "peek", "shard")[1]
    assert "84:'T'  104:'h'" in lilliput(capsys, "peek", "shard", "--tokens", "--number", "1")[1]
    lines = [json.loads(line) for line in lilliput(capsys, "peek", "shard", "--jsonl")[1].splitlines()]
    assert [(line["source"], line["key"], line["part"]) for line in lines] == [
        ("tales", "document 1", "train"),
        ("mine", "document 2", "train"),
        ("mine", "document 3", "train"),
    ]
    assert [bytes(line["ids"]).decode() for line in lines] == [line["text"] for line in lines]
    assert lines[2]["text"] == HOSTILE


def test_a_shard_is_counted_by_source(capsys, shard):
    found = json.loads(lilliput(capsys, "stats", "shard", "--context-length", "16", "--json")[1])["sources"]
    assert [(one["name"], one["total"]["documents"], one["total"]["tokens"]) for one in found] == [
        ("tales", 1, 21),
        ("mine", 2, len(HOSTILE.encode()) + 10),
    ]
    assert sum(one["share_of_text"] for one in found) == pytest.approx(1)


def test_a_shard_without_its_tokenizer_still_shows_ids(capsys, shard):
    manifest = json.loads((shard / MANIFEST).read_text())
    (shard / MANIFEST).write_text(json.dumps({**manifest, "tokenizer": "0" * 64}))
    assert lilliput(capsys, "peek", "shard")[0] == Exit.MISSING
    assert lilliput(capsys, "search", "shard", "fox")[0] == Exit.MISSING
    assert lilliput(capsys, "peek", "shard", "--tokenizer", "bytes")[0] == Exit.CONTENT
    assert lilliput(capsys, "peek", "shard", "--tokens", "--number", "1")[1].splitlines()[1].startswith("84  104")
    assert "text" not in json.loads(lilliput(capsys, "peek", "shard", "--jsonl")[1].splitlines()[0])


def test_nothing_of_a_document_reaches_the_terminal_that_could_steer_it(capsys, tmp_path, shard):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": f"fox {HOSTILE} fox"}) + "\n")
    for words in (
        *(("peek", name, *more) for name in ("a.jsonl", "shard") for more in ((), ("--jsonl",))),
        ("peek", "a.jsonl", "--tokens", "--tokenizer", "bytes"),
        ("peek", "shard", "--tokens"),
        ("search", "a.jsonl", "fox"),
        ("search", "a.jsonl", "fox", "--json"),
        ("search", "a.jsonl", "x \x1b", "--case"),
    ):
        code, out, err = lilliput(capsys, *words)
        assert code == 0, (words, err)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out + err), words


def test_words_are_found_with_what_stands_around_them_and_counted(capsys, rows):
    code, out, err = lilliput(capsys, "search", "rows.jsonl", "fox", "\u72d0\u72f8", "bear")
    assert code == 0
    assert "character 17\n" in out and "The wolf and the [fox]." in out
    assert "[\u72d0\u72f8]\u548c\u72fc" in out
    assert re.search(r"fox +4 +2\n", out) and re.search(r"bear +0 +0\n", out)
    assert err == "searched 66 characters in 4 documents\n"
    found = json.loads(lilliput(capsys, "search", "rows.jsonl", "fox", "--whole", "--number", "1", "--json")[1])
    assert found["words"] == {"fox": {"occurrences": 3, "documents": 2}}
    assert len(found["hits"]) == 1
    by_pattern = json.loads(lilliput(capsys, "search", "rows.jsonl", r"fox\b", "--regex", "--json")[1])
    assert list(by_pattern["words"].values()) == list(found["words"].values())


def test_shards_are_searched(capsys, shard):
    assert "[\u72d0\u72f8]" in lilliput(capsys, "search", "shard", "\u72d0\u72f8")[1]


def test_every_line_around_a_match_fits_a_page_in_any_script(capsys, sample_data):
    for name, word in (("arb", "\u0627\u0644\u062d\u0642"), ("jpn", "\u81ea\u7531"), ("hin", "\u0938\u092d\u0940")):
        path = str(sample_data / "unicode" / "udhr2" / f"{name}.txt")
        out = lilliput(capsys, "search", path, word)[1]
        assert f"[{word}]" in out
        assert all(columns(line) <= 80 for line in out.splitlines())


def test_statistics_tell_languages_and_shares_of_several_sources_and_fit_a_page(capsys, sample_data):
    pytest.importorskip("py3langid")
    udhr2 = sample_data / "unicode" / "udhr2"
    sources = f"data.sources=[{{path: {udhr2}/eng.txt, weight: 3}}, {{path: {udhr2}/cmn_hans.txt}}]"
    words = ("stats", "lab/nano", sources, "tokenizer={kind: bytes}")
    found = json.loads(lilliput(capsys, *words, "--json")[1])["sources"]
    assert [next(iter(one["languages"]["shares"])) for one in found] == ["en", "zh"]
    assert [one["share_of_training"] for one in found] == [0.75, 0.25]
    assert [one["total"]["tokens"] for one in found] == [one["total"]["bytes"] for one in found]
    out = lilliput(capsys, *words)[1]
    assert "75.0%" in out and "languages by bytes: zh" in out
    assert all(columns(line) <= 80 for line in out.splitlines() if "/" not in line)


def test_without_py3langid_statistics_say_so_and_are_whole(capsys, monkeypatch):
    monkeypatch.setattr(languages, "find_spec", lambda name: None)
    code, out, err = lilliput(capsys, "stats", "tiny")
    assert code == 0 and "544" in out and "lilliput[data]" in err
    assert lilliput(capsys, "stats", "tiny", "--languages")[0] == Exit.UNAVAILABLE
    assert lilliput(capsys, "stats", "tiny", "--no-languages")[2] == ""


def test_what_a_recipes_own_training_makes_is_not_counted_and_said(capsys):
    code, out, err = lilliput(capsys, "stats", "tour", "data.sources=tiny", "--no-languages")
    assert code == 0 and "tokens" not in out and "--tokenizer" in err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("peek", "tniy"), Exit.RECIPE),
        (("peek", "lab/nanno"), Exit.RECIPE),
        (("peek", "owner/nowhere"), Exit.UNAVAILABLE),
        (("peek", ""), Exit.USAGE),
        (("search", "a" * 5000, "fox"), Exit.USAGE),
        (("peek", "a/" * 5000), Exit.USAGE),
        (("stats", "tiny", "--tokenizer", ""), Exit.USAGE),
        (("peek", "nowhere.txt"), Exit.MISSING),
        (("peek", "nowhere.yaml"), Exit.MISSING),
        (("peek", "tiny", "optim.lr=1"), Exit.RECIPE),
        (("peek", "lab/nano", "--text-column", "x"), Exit.USAGE),
        (("stats", "lab/nano", "--split", "hash"), Exit.USAGE),
        (("stats", "tiny", "--encoding", "utf-7"), Exit.RECIPE),
        (("peek", "lab/nano", "optim.lrr=1"), Exit.RECIPE),
        (("peek", "tiny", "--part", "trian"), Exit.USAGE),
        (("peek", "tiny", "--part", "test"), Exit.CONTENT),
        (("peek", "tiny", "--number", "0"), Exit.USAGE),
        (("peek", "tiny", "--number", "9" * 40), Exit.USAGE),
        (("peek", "tiny", "--tokens"), Exit.MISSING),
        (("peek", "tiny", "--tokens", "--tokenizer", "owner/name"), Exit.UNAVAILABLE),
        (("peek", "empty.txt"), Exit.CONTENT),
        (("stats", "bad.txt"), Exit.CONTENT),
        (("search", "tiny", ""), Exit.USAGE),
        (("search", "tiny", " \t"), Exit.USAGE),
        (("search", "tiny"), Exit.USAGE),
        (("search", "tiny", "(", "--regex"), Exit.USAGE),
        (("search", "tiny", "a", "--regex", "--whole"), Exit.USAGE),
        (("search", "tiny", "a", "--number", "1" * 30), Exit.USAGE),
        (("search", "empty.txt", "a"), Exit.CONTENT),
        (("stats", "tiny", "--context-length", "0"), Exit.USAGE),
        (("stats", "tiny", "data.splitt=hash"), Exit.RECIPE),
    ],
)
def test_what_cannot_be_done_ends_with_its_code_one_cause_and_one_action(capsys, tmp_path, words, code):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe")
    found, out, err = lilliput(capsys, *words)
    assert (found, out) == (code, "")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["error", "hint"]


def damage(shard: Path, how: str) -> None:
    manifest = json.loads((shard / MANIFEST).read_text())
    if how.startswith("flip "):
        path = shard / how.split()[1]
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    elif how.startswith("cut "):
        path = shard / how.split()[1]
        path.write_bytes(path.read_bytes()[:-1])
    elif how.startswith("remove "):
        (shard / how.split()[1]).unlink()
    elif how.startswith("lack "):
        del manifest[how.split()[1]]
        (shard / MANIFEST).write_text(json.dumps(manifest))
    else:
        (shard / MANIFEST).write_text({"no json": "{", "a list": "[]", "deep": "[" * 100_000}[how])


@pytest.mark.parametrize("command", ["stats", "peek", "search"])
@pytest.mark.parametrize(
    "how",
    [
        *(f"{what} {name}" for what in ("flip", "cut", "remove") for name in (TOKENS, INDEX)),
        *(f"lack {key}" for key in ("documents", "tokens", "dtype", "tokenizer", "files", "format", "provenance")),
        *(f"remove {MANIFEST}", "no json", "a list", "deep"),
    ],
)
def test_a_damaged_shard_is_refused_before_anything_of_it_is_shown(capsys, shard, command, how):
    damage(shard, how)
    code, out, err = lilliput(capsys, command, "shard", *(["fox"] if command == "search" else []))
    assert (code, out) == (Exit.CONTENT, ""), err
    assert "damaged" in err


@pytest.mark.parametrize(
    ("key", "value"), [("documents", -1), ("documents", 10**30), ("tokens", 2**62), ("dtype", "O"), ("tokens", True)]
)
def test_a_manifest_that_lies_is_refused(capsys, shard, key, value):
    manifest = json.loads((shard / MANIFEST).read_text())
    (shard / MANIFEST).write_text(json.dumps({**manifest, key: value}))
    assert lilliput(capsys, "peek", "shard")[0] == Exit.CONTENT


def test_a_shard_of_this_machine_is_shown_as_training_made_it(capsys, tmp_path, monkeypatch):
    assert (
        main(["train", "lab/nano", "data.sources=tiny", "tokenizer={kind: bytes}", "training.length={steps: 1}"]) == 0
    )
    capsys.readouterr()
    folders = sorted(folder for folder in shards().iterdir() if (folder / MANIFEST).is_file())
    assert folders
    text = "".join(lilliput(capsys, "peek", folder.name[:16], "--jsonl")[1] for folder in folders)
    assert text
    whole = "".join(json.loads(line)["text"] for line in lilliput(capsys, "peek", "tiny", "--jsonl")[1].splitlines())
    assert all(json.loads(line)["text"] in whole for line in text.splitlines())
    shutil.rmtree(shards())
