import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.config.errors import Exit, LilliputError
from lilliput.tokens import shards
from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.shards import Shard, shard_in_memory, write_shard

DOCUMENTS = [(0, "one"), (2, ""), (1, "zwölf"), (0, "x" * 1000)]


def texts_of(shard):
    pairs = zip(shard.offsets[:-1], shard.offsets[1:], strict=True)
    return [ByteTokenizer().decode(shard.tokens[start:stop].tolist()) for start, stop in pairs]


def test_a_shard_holds_its_documents_framed_with_sources_and_bytes(tmp_path):
    shard = write_shard(tmp_path / "shards" / "abc", DOCUMENTS, ByteTokenizer(), provenance={"source": "test"})
    assert texts_of(shard) == [text for _, text in DOCUMENTS]
    assert shard.sources.tolist() == [0, 2, 1, 0]
    assert shard.byte_counts.tolist() == [len(text.encode()) for _, text in DOCUMENTS]
    assert set(shard.tokens[shard.offsets[:-1]]) == {0xFE}
    assert set(shard.tokens[shard.offsets[1:] - 1]) == {0xFF}
    assert shard.num_targets == shard.bytes + len(DOCUMENTS)
    assert shard.exact_lengths
    assert shard.manifest["tokenizer"] == ByteTokenizer.fingerprint
    assert shard.manifest["provenance"] == {"source": "test"}
    shard.verify()


def test_a_shard_in_memory_equals_the_one_on_disk(tmp_path):
    written, held = write_shard(tmp_path / "s", DOCUMENTS, ByteTokenizer()), shard_in_memory(DOCUMENTS, ByteTokenizer())
    for name in ("tokens", "offsets", "byte_counts", "sources"):
        assert np.array_equal(getattr(written, name), getattr(held, name))


def test_the_same_documents_give_the_same_bytes(tmp_path):
    for name in "ab":
        write_shard(tmp_path / name, iter(DOCUMENTS), ByteTokenizer())
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1]
    assert set(files[0]) == {"tokens.bin", "tokens.idx", "manifest.json"}


def test_no_document_makes_an_empty_shard(tmp_path):
    shard = write_shard(tmp_path / "s", [], ByteTokenizer())
    assert (shard.num_tokens, shard.num_documents, shard.bytes) == (0, 0, 0)


def test_documents_that_fail_midway_leave_nothing(tmp_path):
    def documents():
        yield from DOCUMENTS
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_shard(tmp_path / "s", documents(), ByteTokenizer())
    assert list(tmp_path.iterdir()) == []


def test_a_vocabulary_over_65536_ids_takes_four_bytes(tmp_path):
    class Wide(ByteTokenizer):
        size = 70_000

        def lengths(self):
            return np.ones(self.size, np.int32)

        def encode_many(self, texts):
            return [np.full(len(text), 69_999) for text in texts]

    shard = write_shard(tmp_path / "s", [(0, "ab")], Wide())
    assert shard.tokens.tolist() == [0xFE, 69_999, 69_999, 0xFF]
    assert (tmp_path / "s" / "tokens.bin").stat().st_size == 16


def test_lengths_that_do_not_add_up_are_noted(tmp_path):
    class Lossy(ByteTokenizer):
        def encode_many(self, texts):
            return super().encode_many([text.replace(" ", "") for text in texts])

    assert write_shard(tmp_path / "a", [(0, "ab")], Lossy()).exact_lengths
    assert not write_shard(tmp_path / "b", [(0, "ab"), (0, "a b")], Lossy()).exact_lengths


@settings(max_examples=50)
@given(st.lists(st.text("aé😀", max_size=9), min_size=1, max_size=5), st.integers(0, 60))
def test_a_token_limit_cuts_at_a_whole_character(tmp_path_factory, texts, limit):
    folder = tmp_path_factory.mktemp("limit") / "s"
    shard = write_shard(folder, [(0, text) for text in texts], ByteTokenizer(), max_tokens=limit)
    assert shard.num_tokens <= limit
    found = texts_of(shard)
    whole = max(0, len(found) - 1)
    assert found[:whole] == texts[:whole]
    assert not found or texts[whole].startswith(found[-1])
    assert shard.byte_counts.tolist() == [len(text.encode()) for text in found]
    left_out = found != texts
    assert not left_out or limit - shard.num_tokens < 2 + 4


@pytest.mark.parametrize("at_once", [1, 3, 1 << 20])
def test_how_much_is_held_at_once_changes_no_byte(tmp_path, monkeypatch, at_once):
    texts = [(number % 3, "zwölf 😀 " * (number % 5)) for number in range(40)]
    for limit in (None, 0, 1, 2, 50, 333):
        whole = write_shard(tmp_path / f"whole-{limit}", texts, ByteTokenizer(), max_tokens=limit)
        with monkeypatch.context() as patch:
            for name in ("DOCUMENTS_AT_ONCE", "CHARACTERS_AT_ONCE", "IDS_AT_ONCE", "BYTES_AT_ONCE"):
                patch.setattr(shards, name, at_once)
            parts = write_shard(tmp_path / f"parts-{limit}", texts, ByteTokenizer(), max_tokens=limit)
        for name in ("tokens.bin", "tokens.idx", "manifest.json"):
            assert (whole.folder / name).read_bytes() == (parts.folder / name).read_bytes()


def test_the_documents_are_not_read_further_ahead_than_one_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "DOCUMENTS_AT_ONCE", 2)
    endless = iter([(0, "text")] * 100)
    write_shard(tmp_path / "s", endless, ByteTokenizer(), max_tokens=12)
    assert len(list(endless)) >= 100 - 4


@pytest.mark.parametrize("name", ["tokens.bin", "tokens.idx", "manifest.json"])
@pytest.mark.parametrize("harm", ["missing", "short"])
def test_a_damaged_shard_is_refused_when_it_is_opened(tmp_path, name, harm):
    write_shard(tmp_path / "s", DOCUMENTS, ByteTokenizer())
    path = tmp_path / "s" / name
    path.write_bytes(path.read_bytes()[:-3]) if harm == "short" else path.unlink()
    with pytest.raises(LilliputError) as caught:
        Shard.open(tmp_path / "s")
    assert caught.value.code is Exit.CONTENT


def test_a_flipped_bit_is_found_by_verify(tmp_path):
    write_shard(tmp_path / "s", DOCUMENTS, ByteTokenizer())
    path = tmp_path / "s" / "tokens.bin"
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    shard = Shard.open(tmp_path / "s")
    with pytest.raises(LilliputError, match="sha256"):
        shard.verify()


def test_a_shard_of_a_newer_format_is_refused(tmp_path):
    write_shard(tmp_path / "s", DOCUMENTS, ByteTokenizer())
    path = tmp_path / "s" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(LilliputError) as caught:
        Shard.open(tmp_path / "s")
    assert caught.value.code is Exit.UNAVAILABLE


def test_a_lone_surrogate_in_a_document_is_stored_as_its_replacement(tmp_path):
    shard = write_shard(tmp_path / "s", [(0, "a\ud800")], ByteTokenizer())
    assert texts_of(shard) == ["a�"]
    assert shard.byte_counts.tolist() == [4]


def test_a_large_shard_is_read_without_reading_ahead_and_holds_the_same(tmp_path, monkeypatch):
    shard = write_shard(tmp_path / "s", DOCUMENTS, ByteTokenizer())
    monkeypatch.setattr(shards, "LARGE", 10)
    shard.expect_random_access()
    shard_in_memory(DOCUMENTS, ByteTokenizer()).expect_random_access()
    assert texts_of(shard) == [text for _, text in DOCUMENTS]
