import os
import subprocess
import sys

import numpy as np
import pytest

from lilliput.tokens.bpe import BPEConfig, train_bpe
from lilliput.tokens.kinds import load

TEXTS = ["the cat sat on the mat\n", "the dog sat on the log\n", "naïve café, <|endoftext|> señor 2024 — 100 %"] * 20


def trained(size=300, texts=TEXTS, **more):
    return train_bpe(BPEConfig(size=size, **more), lambda: iter(texts))


def every_text(folder):
    """All sample files as text, but the vocabulary files themselves."""
    names = {".txt", ".md", ".json", ".jsonl", ".py"}
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in names]
    texts = [path for path in files if path.parent.name != "gpt2_tokenizer"]
    return [path.read_text(encoding="utf-8", errors="replace") for path in texts]


def assert_encoders_agree(tokenizer, texts):
    assert tokenizer.encoder == "tiktoken"
    slow = tokenizer.inner.encode_batch_fast(texts, add_special_tokens=False)
    for text, fast, found in zip(texts, tokenizer.encode_many(texts), slow, strict=True):
        assert np.array_equal(fast, found.ids), text[:50]


def test_special_words_come_first_then_bytes_then_merges():
    tokenizer = trained(special_tokens=("<|endoftext|>", "<|user|>"))
    assert tokenizer.size == len(tokenizer.lengths()) == 300
    assert tokenizer.begin == tokenizer.end == 0
    lengths = tokenizer.lengths()
    assert lengths[:2].tolist() == [0, 0]
    assert (lengths[2:258] == 1).all()
    assert (lengths[258:] > 1).all()


def test_the_merges_shorten_the_text_they_were_learned_from():
    text = TEXTS[0]
    assert len(trained(320).encode(text)) < len(trained(280).encode(text)) < len(text)


def test_the_same_texts_give_the_same_tokenizer_whatever_the_threads():
    code = (
        "from lilliput.tokens.bpe import BPEConfig, train_bpe; import sys;"
        "texts = sys.stdin.read().split('\\0');"
        "print(train_bpe(BPEConfig(size=300), lambda: texts).fingerprint)"
    )
    source = os.pathsep.join(path for path in sys.path if path)
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            input="\0".join(TEXTS),
            env={**os.environ, "PYTHONPATH": source, "PYTHONUTF8": "1", "TOKENIZERS_PARALLELISM": parallel},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        ).stdout.strip()
        for parallel in ("true", "false")
    }
    assert found == {trained().fingerprint}
    assert trained(texts=TEXTS[:2]).fingerprint not in found


def test_a_text_too_short_for_the_size_leaves_ids_unused():
    tokenizer = trained(size=1000, texts=["abab"])
    assert tokenizer.size == 1000
    assert tokenizer.unused == 1000 - 257 - sum(tokenizer.lengths() > 1) > 0
    assert tokenizer.decode(tokenizer.encode("xyz")) == "xyz"


def test_texts_may_hold_lone_surrogates_or_nothing():
    assert trained(texts=["\ud800", ""]).size == 300
    assert trained(texts=[]).unused == 300 - 257


def test_a_saved_tokenizer_loads_as_it_was(tmp_path):
    tokenizer = trained()
    tokenizer.save(tmp_path / "t")
    loaded = load(tmp_path / "t")
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.encoder == tokenizer.encoder == "tiktoken"
    assert [loaded.encode(text) for text in TEXTS] == [tokenizer.encode(text) for text in TEXTS]


def test_transformers_could_read_the_saved_file(tmp_path):
    from tokenizers import Tokenizer

    tokenizer = trained()
    tokenizer.save(tmp_path / "t")
    plain = Tokenizer.from_file(str(tmp_path / "t" / "tokenizer.json"))
    assert plain.encode("the café").ids == tokenizer.encode("the café")
    assert plain.encode("<|endoftext|>").ids == [tokenizer.begin]
    assert plain.decode(tokenizer.encode("the café")) == "the café"


@pytest.mark.parametrize(
    "more",
    [
        {"size": 256},
        {"special_tokens": ()},
        {"special_tokens": ("a", "a")},
        {"size": 257, "special_tokens": ("a", "b")},
    ],
)
def test_settings_that_no_tokenizer_can_have_are_refused(more):
    with pytest.raises(ValueError, match=r"size|special_tokens"):
        BPEConfig(**more)


def test_ids_equal_those_of_tokenizers_on_text_of_every_kind(sample_data):
    names = [
        "unicode/blns.txt",
        "unicode/UTF-8-demo.txt",
        "tinystories/with_separators_cs336.txt",
        "code/dataflow_raw_code.jsonl",
    ]
    files = [sample_data / name for name in names] + sorted((sample_data / "unicode" / "udhr2").iterdir())[:6]
    texts = [path.read_text(encoding="utf-8") for path in [sample_data / "the_verdict/the-verdict.txt", *files]]
    tokenizer = trained(1000, texts[:1])
    assert_encoders_agree(tokenizer, texts)


@pytest.mark.slow
@pytest.mark.parametrize("size", [512, 4096, 16000])
def test_ids_equal_those_of_tokenizers_on_all_sample_data(sample_data, size):
    texts = every_text(sample_data)
    assert_encoders_agree(trained(size, texts), texts)
