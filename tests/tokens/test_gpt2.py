import json
import shutil
from functools import cache

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.tokens.gpt2 import open_gpt2
from lilliput.tokens.kinds import load


@cache
def opened(data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LILLIPUT_DATA", str(data))
        return open_gpt2(data)


@pytest.fixture
def gpt2(sample_data):
    return opened(sample_data)


def test_ids_equal_the_reference(gpt2, sample_data):
    lines = (sample_data / "gpt2_tokenizer" / "reference_ids.jsonl").read_text(encoding="utf-8").splitlines()
    for line in lines:
        case = json.loads(line)
        # The reference reads the special word as the special id; in a document of ours it is plain text.
        parts = case["text"].split("<|endoftext|>")
        ids = gpt2.encode(parts[0])
        for part in parts[1:]:
            ids += [gpt2.end, *gpt2.encode(part)]
        assert ids == case["ids"], case["text"]
        assert gpt2.decode(case["ids"]) == "".join(parts)


def test_there_are_50257_ids_and_the_last_opens_and_closes(gpt2):
    assert (gpt2.size, gpt2.begin, gpt2.end) == (50257, 50256, 50256)
    assert gpt2.unused == 0
    assert gpt2.begin not in gpt2.encode("<|endoftext|>")


def test_ids_equal_those_of_tokenizers_on_the_same_merges(gpt2, sample_data):
    names = ["the_verdict/the-verdict.txt", "unicode/blns.txt", "unicode/UTF-8-demo.txt", "unicode/udhr2/mya.txt"]
    for name in names:
        text = (sample_data / name).read_text(encoding="utf-8")
        assert gpt2.encode(text) == gpt2.inner.encode(text, add_special_tokens=False).ids


@pytest.mark.slow
def test_ids_equal_those_of_tokenizers_on_all_sample_data(gpt2, sample_data):
    for path in sample_data.rglob("*.*"):
        if path.suffix != ".gz" and path.parent.name != "gpt2_tokenizer":
            text = path.read_text(encoding="utf-8", errors="replace")
            assert gpt2.encode(text) == gpt2.inner.encode(text, add_special_tokens=False).ids, path


def test_a_saved_copy_needs_no_other_file(gpt2, tmp_path):
    gpt2.save(tmp_path / "gpt2")
    assert load(tmp_path / "gpt2").fingerprint == gpt2.fingerprint


def test_what_the_hub_gives_is_kept(sample_data, tmp_path, monkeypatch):
    import huggingface_hub

    names = {"vocab.json": "encoder.json", "merges.txt": "vocab.bpe"}
    asked = []

    def download(repository, name):
        asked.append((repository, name))
        return str(sample_data / "gpt2_tokenizer" / names[name])

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    for _ in range(2):
        assert open_gpt2(tmp_path).encode("Hello world") == [15496, 995]
    assert asked == [("openai-community/gpt2", "vocab.json"), ("openai-community/gpt2", "merges.txt")]


def test_absent_and_offline_is_one_error_that_names_the_ways(tmp_path, monkeypatch):
    import huggingface_hub

    def offline(repository, name):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(LilliputError) as caught:
        open_gpt2(tmp_path)
    assert caught.value.code is Exit.UNAVAILABLE
    for way in ("LILLIPUT_DATA", "network", str(tmp_path)):
        assert way in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_other_files_under_that_name_are_refused(sample_data, tmp_path, monkeypatch):
    folder = tmp_path / "data" / "gpt2_tokenizer"
    shutil.copytree(sample_data / "gpt2_tokenizer", folder)
    folder.chmod(0o700)
    merges = folder / "vocab.bpe"
    merges.chmod(0o600)
    lines = merges.read_text(encoding="utf-8").split("\n")
    lines[2], lines[3] = lines[3], lines[2]
    merges.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("LILLIPUT_DATA", str(tmp_path / "data"))
    with pytest.raises(LilliputError) as caught:
        open_gpt2(tmp_path)
    assert caught.value.code is Exit.CONTENT
