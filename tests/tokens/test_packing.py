import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.packing import pack
from lilliput.tokens.shards import shard_in_memory

TOKENIZER = ByteTokenizer()
LENGTHS = TOKENIZER.lengths()
TEXTS = st.lists(st.text("abcé ", max_size=30), min_size=1, max_size=12)


def shard_of(texts):
    return shard_in_memory([(0, text) for text in texts], TOKENIZER)


def all_rows(shard, context_length, stride=None):
    packing = pack(shard, context_length, stride)
    return packing.rows(np.arange(len(packing)), LENGTHS)


def naive_rows(texts, width, stride):
    """(tokens, targets, mask, documents, bytes) of each window, position by position."""
    stream, document, is_begin = [], [], []
    for number, text in enumerate(texts):
        framed = [0xFE, *text.encode(), 0xFF]
        stream += framed
        document += [number] * len(framed)
        is_begin += [i == 0 for i in range(len(framed))]
    rows, start = [], 0
    while True:
        row = []
        for position in range(start, min(start + width, len(stream) - 1)):
            counts = not is_begin[position + 1]
            row.append((stream[position], stream[position + 1], counts, document[position] - document[start]))
        spelled = sum(1 for _, target, counts, _ in row if counts and target < 0xFE)
        rows.append((row + [(0, 0, False, -1)] * (width - len(row)), spelled))
        if start + width >= len(stream) - 1:
            return rows
        start += stride


@settings(max_examples=300)
@given(TEXTS, st.integers(1, 20), st.data())
def test_windows_equal_those_laid_out_position_by_position(texts, context_length, data):
    stride = data.draw(st.integers(1, context_length))
    shard = shard_of(texts)
    batch = all_rows(shard, context_length, stride)
    expected = naive_rows(texts, min(context_length, shard.num_tokens - 1), stride)
    columns = zip(batch.tokens, batch.targets, batch.mask, batch.documents, strict=True)
    found = [list(zip(*(values.tolist() for values in row), strict=True)) for row in columns]
    assert found == [row for row, _ in expected]
    assert batch.bytes.tolist() == [spelled for _, spelled in expected]
    assert pack(shard, context_length, stride).counted() == batch.mask.sum()


@settings(max_examples=100)
@given(TEXTS, st.integers(1, 20))
def test_without_overlap_each_target_is_seen_once_and_all_bytes_are_counted(texts, context_length):
    shard = shard_of(texts)
    batch = all_rows(shard, context_length)
    seen = bytes(batch.targets[batch.mask].tolist())
    assert seen == b"".join(text.encode() + b"\xff" for text in texts)
    assert batch.mask.sum() == shard.num_targets
    assert batch.bytes.sum() == shard.bytes == sum(len(text.encode()) for text in texts)


def test_a_text_shorter_than_a_window_makes_one_shorter_window():
    batch = all_rows(shard_of(["abc"]), 100)
    assert batch.tokens.tolist() == [[0xFE, *b"abc"]]
    assert batch.targets.tolist() == [[*b"abc", 0xFF]]
    assert batch.mask.all()


def test_an_end_that_is_also_the_begin_counts_once():
    class OneId(ByteTokenizer):
        begin = end = 0xFF

    shard = shard_in_memory([(0, "ab"), (0, "c")], OneId())
    batch = pack(shard, 100).rows(np.array([0]), LENGTHS)
    assert batch.targets.tolist() == [[*b"ab", 0xFF, 0xFF, *b"c", 0xFF]]
    assert batch.mask.tolist() == [[True, True, True, False, True, True]]
    assert batch.documents.tolist() == [[0, 0, 0, 0, 1, 1]]


def test_a_shard_without_a_document_has_no_window():
    assert len(pack(shard_of([]), 8)) == 0


@pytest.mark.parametrize(("targets", "stride", "windows"), [(8, 8, 1), (9, 8, 2), (16, 8, 2), (9, 1, 2), (11, 2, 3)])
def test_the_number_of_windows_follows_the_stride(targets, stride, windows):
    assert len(pack(shard_of(["a" * (targets - 1)]), 8, stride)) == windows
