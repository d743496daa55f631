import gzip
import json

import pytest

from lilliput.cli import main
from lilliput.cli.terminal import columns
from lilliput.config.errors import Exit
from lilliput.runs.home import tokenizers
from lilliput.tokens import load
from lilliput.tokens.special import CONVERSATION

pytestmark = pytest.mark.usefixtures("own_folder")


def lilliput(capsys, *words):
    code = main(["tokenizer", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def raw(tmp_path):
    """Raw text of three kinds below data/raw, as a guide's download leaves it, and what is no text beside it."""
    folder = tmp_path / "data" / "raw"
    (folder / "fineweb").mkdir(parents=True)
    (folder / "wikipedia").mkdir()
    for number in range(20):
        (folder / "fineweb" / f"{number}.txt").write_text(f"The badger number {number} walks. " * 20)
    rows = "".join(json.dumps({"text": f"Ein Dachs läuft zum {n}. Mal. " * 20}) + "\n" for n in range(20))
    (folder / "wikipedia" / "rows.jsonl").write_text(rows)
    with gzip.open(folder / "more.txt.gz", "wt") as file:
        file.write("Another badger sleeps. " * 50)
    (folder / "manifest.log").write_text("quokka " * 500)
    return folder


def test_a_trained_tokenizer_is_kept_by_name_and_compared(capsys):
    code, out, _ = lilliput(capsys, "train", "tiny", "--size", "300", "--output", "mine", "--json")
    assert code == 0
    trained = json.loads(out)
    assert load(tokenizers() / "mine").fingerprint == trained["fingerprint"]
    assert trained["changed"] == 0
    code, out, _ = lilliput(capsys, "compare", "bytes", "mine", "--corpus", "tiny", "--json")
    found = json.loads(out)["all"]
    assert code == 0
    assert found["bytes"]["bytes_per_token"] == 1
    assert found["mine"]["bytes_per_token"] > 1
    assert found["mine"]["bytes"] == found["bytes"]["bytes"]


def test_a_tokenizer_may_be_saved_in_a_folder(capsys, tmp_path):
    folder = tmp_path / "there"
    code, out, err = lilliput(capsys, "train", "tiny", "--size", "5000", "--output", str(folder), "--special", "<end>")
    assert code == 0
    assert str(folder) in out
    assert "stay unused" in err
    assert load(folder).decode_bytes([load(folder).end]) == b""


def test_files_are_named_by_a_pattern_as_in_the_guide(capsys, raw):
    words = ("--files", "data/raw/**/*.txt", "--output", "checkpoints/tokenizer", "--size", "400")
    assert lilliput(capsys, "train", *words)[0] == 0
    tokenizer = load(raw.parents[1] / "checkpoints" / "tokenizer")
    assert len(tokenizer.encode(" badger")) == 1
    assert len(tokenizer.encode(" Dachs")) > 1


def test_without_a_word_all_text_below_data_raw_is_read_whatever_its_kind(capsys, raw):
    code, out, err = lilliput(capsys, "train", "--output", "mine", "--size", "500")
    assert code == 0 and "data/raw: text and jsonl files" in err
    tokenizer = load(tokenizers() / "mine")
    assert [len(tokenizer.encode(word)) for word in (" badger", " Dachs")] == [1, 1]
    assert len(tokenizer.encode(" quokka")) > 3
    assert all(columns(line) <= 80 for line in out.splitlines() if not line.startswith("saved in"))
    assert lilliput(capsys, "train", "data/raw", "--output", "same", "--size", "500")[0] == 0
    assert load(tokenizers() / "same").fingerprint == tokenizer.fingerprint


def test_several_corpora_and_keys_of_their_data_are_taken(capsys, raw, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"wolverine \xff " * 30)
    words = ("train", "tiny", "bad.txt", "--output", "mine", "--size", "300")
    assert lilliput(capsys, *words)[0] == Exit.CONTENT
    assert lilliput(capsys, *words, "data.invalid_utf8=replace")[0] == 0
    assert len(load(tokenizers() / "mine").encode(" wolverine")) == 1
    (raw / "bad.txt").write_bytes(b"\xff")
    assert lilliput(capsys, "train", "--output", "other", "--size", "300")[0] == Exit.CONTENT
    assert lilliput(capsys, "train", "data.invalid_utf8=skip", "--output", "other", "--size", "300")[0] == 0


def test_a_recipes_data_may_be_named(capsys, raw):
    words = ("lab/nano", "data.sources=data/raw/wikipedia/rows.jsonl", "--output", "mine", "--size", "300")
    assert lilliput(capsys, "train", *words)[0] == 0
    assert len(load(tokenizers() / "mine").encode(" Dachs")) == 1


def test_the_words_of_conversations_have_ids_of_their_own_that_no_text_reaches(capsys):
    words = ("train", "tiny", "--size", "300", "--output", "mine", "--chat", "--special", "<end>", "--json")
    special = json.loads(lilliput(capsys, *words)[1])["special"]
    expected = ["<end>", *CONVERSATION[1:]]
    assert special == {word: number for number, word in enumerate(expected)}
    tokenizer = load(tokenizers() / "mine")
    assert tokenizer.begin == tokenizer.end == 0
    ids = tokenizer.encode("".join(expected))
    assert min(ids) >= len(expected) and tokenizer.decode(ids) == "".join(expected)


def test_the_same_text_gives_the_same_tokenizer_and_limits_bound_what_is_read(capsys, raw):
    fingerprints = []
    for name, more in (("one", ()), ("two", ()), ("less", ("--max-bytes", "2000"))):
        words = ("train", "data/raw/fineweb", "data/raw/wikipedia", "--output", name, "--size", "400", *more)
        fingerprints.append(json.loads(lilliput(capsys, *words, "--json")[1])["fingerprint"])
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_tokenizers_are_compared_by_source_and_by_language(capsys, sample_data, monkeypatch):
    pytest.importorskip("py3langid")
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    udhr2 = sample_data / "unicode" / "udhr2"
    files = [str(udhr2 / f"{name}.txt") for name in ("eng", "deu_1901", "jpn")]
    words = ["compare", "gpt2", "bytes", "--part", "all", *(w for file in files for w in ("--corpus", file))]
    found = json.loads(lilliput(capsys, *words, "--json")[1])
    assert set(found["sources"]) == set(files) and set(found["languages"]) == {"en", "de", "ja"}
    sizes = [sum(of["gpt2"][key] for of in found["languages"].values()) for key in ("bytes", "tokens")]
    assert sizes == [found["all"]["gpt2"]["bytes"], found["all"]["gpt2"]["tokens"]]
    rates = {language: of["gpt2"]["tokens_per_word"] for language, of in found["languages"].items()}
    assert rates["en"] < 2.5 < rates["de"] < 5
    code, out, _ = lilliput(capsys, *words)
    assert code == 0 and "no tokens per word: ja" in out
    assert all(columns(line) <= 80 for line in out.splitlines())
    assert lilliput(capsys, *words, "--no-languages")[1].count("language") == 0


def test_a_comparison_reads_no_more_than_asked_and_says_so(capsys, raw):
    words = ("compare", "bytes", "--corpus", "data/raw/wikipedia/rows.jsonl", "--part", "all", "--max-bytes")
    assert "the first of each corpus" in lilliput(capsys, *words, "1500")[1]
    assert "the first of each corpus" not in lilliput(capsys, *words, "15000000")[1]
    found = json.loads(lilliput(capsys, *words, "100", "--json")[1])
    assert found["whole"] is False and 90 < found["all"]["bytes"]["bytes"] <= 100


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("train", "tiny", "--size", "12", "--output", "a"), Exit.RECIPE),
        (("train", "tiny", "--size", "9" * 30, "--output", "a"), Exit.RECIPE),
        (("train", "tiny", "--output", "gpt2"), Exit.EXISTS),
        (("train", "tiny", "--output", "."), Exit.EXISTS),
        (("train", "tiny"), Exit.USAGE),
        (("train", "tniy", "--output", "a"), Exit.RECIPE),
        (("train", "--output", "a"), Exit.MISSING),
        (("train", "empty", "--output", "a"), Exit.MISSING),
        (("train", "--files", "no/**/*.txt", "--output", "a"), Exit.MISSING),
        (("train", "tiny", "data.invalid_utf=skip", "--output", "a"), Exit.RECIPE),
        (("train", "tiny", "--special", "", "--output", "a"), Exit.RECIPE),
        (("compare", "owner/name", "--corpus", "tiny"), Exit.UNAVAILABLE),
        (("compare", "--corpus", "tiny"), Exit.USAGE),
        (("compare", "bytes"), Exit.USAGE),
        (("compare", "bytes", "--corpus", "tniy"), Exit.RECIPE),
        (("compare", "bytes", "--corpus", "tiny", "--part", "text"), Exit.USAGE),
        (("compare", "bytes", "--corpus", "tiny", "--part", "test"), Exit.CONTENT),
    ],
)
def test_what_cannot_be_done_ends_with_its_code_and_leaves_nothing(capsys, tmp_path, words, code):
    (tmp_path / "empty").mkdir()
    found, out, err = lilliput(capsys, *words)
    assert (found, out) == (code, "")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["error", "hint"]
    assert not tokenizers().exists()


def test_a_name_is_never_overwritten(capsys):
    words = ("train", "tiny", "--size", "300", "--output", "mine")
    assert lilliput(capsys, *words)[0] == 0
    before = load(tokenizers() / "mine").fingerprint
    assert lilliput(capsys, *words[:3], "280", *words[4:])[0] == Exit.EXISTS
    assert load(tokenizers() / "mine").fingerprint == before
