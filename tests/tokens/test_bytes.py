import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lilliput.tokens.bytes import ByteTokenizer

TOKENIZER = ByteTokenizer()


@given(st.text())
def test_text_comes_back_whole(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text
    assert TOKENIZER.lengths()[TOKENIZER.encode(text)].sum() == len(text.encode())


@given(st.text())
def test_no_text_spells_begin_or_end(text):
    assert not {TOKENIZER.begin, TOKENIZER.end} & set(TOKENIZER.encode(text))


@given(st.lists(st.integers(0, 255)))
def test_any_ids_decode(ids):
    assert TOKENIZER.decode_bytes(ids) == bytes(i for i in ids if i < 0xFE)
    assert TOKENIZER.decode(ids) == TOKENIZER.decode_bytes(ids).decode(errors="replace")


def test_there_are_exactly_256_ids():
    assert TOKENIZER.size == len(TOKENIZER.lengths()) == 256
    assert (TOKENIZER.lengths() == 0).nonzero()[0].tolist() == [TOKENIZER.begin, TOKENIZER.end]


@given(st.lists(st.text()))
def test_many_texts_encode_as_one_by_one(texts):
    many = TOKENIZER.encode_many(texts)
    assert [ids.tolist() for ids in many] == [TOKENIZER.encode(text) for text in texts]
    assert all(ids.dtype == np.uint8 for ids in many)


def test_a_lone_surrogate_counts_as_the_replacement_character():
    assert TOKENIZER.decode(TOKENIZER.encode("a\ud800b")) == "a�b"
