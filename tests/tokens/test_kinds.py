import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from lilliput.config.errors import Exit, LilliputError
from lilliput.tokens import (
    BPEConfig,
    BytesConfig,
    GPT2Config,
    HubConfig,
    TokenizerConfig,
    load,
    open_tokenizer,
    vocabulary,
)
from lilliput.tokens.bytes import ByteTokenizer

TEXTS = ["some words to learn from, some more words"]


def test_a_kind_chooses_its_settings():
    union = TypeAdapter(TokenizerConfig)
    assert union.validate_json('{"kind": "bytes"}') == BytesConfig()
    assert union.validate_json('{"kind": "bpe", "size": 512}') == BPEConfig(size=512)
    assert union.validate_json('{"kind": "gpt2"}') == GPT2Config()
    assert union.validate_json('{"kind": "hub", "name": "a/b"}') == HubConfig(name="a/b")


@pytest.mark.parametrize("config", [BytesConfig(), BPEConfig(size=300), GPT2Config(), HubConfig(name="a/b")])
def test_the_vocabulary_is_stated_without_files_and_is_the_tokenizers(config, sample_data, monkeypatch, tmp_path):
    if isinstance(config, HubConfig):
        assert vocabulary(config) is None
        return
    monkeypatch.setenv("LILLIPUT_DATA", str(sample_data))
    assert vocabulary(config) == open_tokenizer(config, lambda: TEXTS, tmp_path).size


def test_a_tokenizer_to_be_trained_needs_texts():
    with pytest.raises(LilliputError) as caught:
        open_tokenizer(BPEConfig(), None, Path())
    assert caught.value.code is Exit.MISSING


@pytest.mark.parametrize("config", [BytesConfig(), BPEConfig(size=300)])
def test_a_saved_tokenizer_is_loaded_by_its_record(config, tmp_path):
    tokenizer = open_tokenizer(config, lambda: TEXTS, tmp_path)
    tokenizer.save(tmp_path / "t")
    loaded = load(tmp_path / "t")
    assert type(loaded) is type(tokenizer)
    assert loaded.fingerprint == tokenizer.fingerprint


def test_a_folder_without_a_tokenizer_says_so(tmp_path):
    with pytest.raises(LilliputError) as caught:
        load(tmp_path)
    assert caught.value.code is Exit.MISSING


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": 99}, Exit.UNAVAILABLE),
        ({"kind": "runes"}, Exit.CONTENT),
        ({"fingerprint": "0" * 64}, Exit.CONTENT),
        ({"special": ["<|other|>"]}, Exit.CONTENT),
        ({"size": 3}, Exit.CONTENT),
    ],
)
def test_a_record_that_does_not_fit_is_refused(tmp_path, change, code):
    open_tokenizer(BPEConfig(size=300), lambda: TEXTS, tmp_path).save(tmp_path / "t")
    path = tmp_path / "t" / "tokenizer_lilliput.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(LilliputError) as caught:
        load(tmp_path / "t")
    assert caught.value.code is code


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_lilliput.json"])
def test_a_torn_file_is_refused(tmp_path, name):
    open_tokenizer(BPEConfig(size=300), lambda: TEXTS, tmp_path).save(tmp_path / "t")
    path = tmp_path / "t" / name
    path.write_text(path.read_text()[:-20])
    with pytest.raises(LilliputError) as caught:
        load(tmp_path / "t")
    assert caught.value.code is Exit.CONTENT


def test_saving_over_a_tokenizer_is_refused(tmp_path):
    ByteTokenizer().save(tmp_path / "t")
    with pytest.raises(FileExistsError):
        ByteTokenizer().save(tmp_path / "t")
