import json

import pytest

from lilliput.cli import main
from lilliput.config.errors import Exit
from lilliput.runs.home import tokenizers
from lilliput.tokens import load


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_HOME", str(tmp_path / "home"))


def lilliput(capsys, *words):
    code = main(["tokenizer", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_trained_tokenizer_is_kept_by_name_and_compared(capsys):
    code, out, _ = lilliput(capsys, "train", "tiny", "--size", "300", "--output", "mine", "--json")
    assert code == 0
    trained = json.loads(out)
    assert load(tokenizers() / "mine").fingerprint == trained["fingerprint"]
    assert trained["changed"] == 0
    code, out, _ = lilliput(capsys, "report", "tiny", "bytes", "mine", "--json")
    found = json.loads(out)
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


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("train", "tiny", "--size", "12", "--output", "a"), Exit.RECIPE),
        (("train", "tiny", "--output", "gpt2"), Exit.EXISTS),
        (("train", "tiny", "--output", "."), Exit.EXISTS),
        (("train", "tniy", "--output", "a"), Exit.RECIPE),
        (("report", "tiny", "owner/name"), Exit.UNAVAILABLE),
        (("report", "tiny"), Exit.USAGE),
    ],
)
def test_what_cannot_be_done_ends_with_its_code_and_leaves_nothing(capsys, words, code):
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
