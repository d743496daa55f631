import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models

from lilliput.tokens.byte_level import SPECIAL_CASES, ByteLevelBPE, byte_letters, byte_level


def hand_made(*merges, special=("<|endoftext|>",)):
    """A tokenizer of the 256 bytes, these merges in this order, and special words at the end."""
    words = [*byte_letters(), *("".join(pair) for pair in merges), *special]
    model = models.BPE({word: number for number, word in enumerate(words)}, list(merges))
    size = 256 + len(merges) + len(special)
    return ByteLevelBPE(byte_level(model, special), kind="bpe", size=size, special=special, encoder="tiktoken")


PLAIN = hand_made(("t", "h"), ("th", "e"))
SLOW = hand_made(("t", "h"), ("th", "e"))
SLOW.use("tokenizers")


def test_merges_that_tiktoken_cannot_follow_are_encoded_with_tokenizers():
    # z+q comes before q+x, so no text ever reaches z+qx; tiktoken knows the piece zqx and takes it whole.
    tokenizer = hand_made(("z", "q"), ("q", "x"), ("z", "qx"))
    assert [tokenizer.decode([i]) for i in tokenizer.encode("zqx")] == ["zqx"]
    tokenizer.settle(["zqa"])
    assert tokenizer.encoder == "tiktoken"
    tokenizer.settle(["zqa", "zqx"])
    assert tokenizer.encoder == "tokenizers"
    assert [tokenizer.decode([i]) for i in tokenizer.encode("zqx")] == ["zq", "x"]
    assert [ids.tolist() for ids in tokenizer.encode_many(["zqx"])] == [tokenizer.encode("zqx")]


@pytest.mark.parametrize("tokenizer", [PLAIN, SLOW], ids=["tiktoken", "tokenizers"])
class TestEitherEncoder:
    @given(text=st.text() | st.sampled_from(SPECIAL_CASES))
    def test_text_comes_back_whole_and_its_bytes_add_up(self, tokenizer, text):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert tokenizer.decode_bytes(ids) == text.encode()
        assert tokenizer.lengths()[ids].sum() == len(text.encode())

    @given(before=st.text(max_size=5), after=st.text(max_size=5))
    def test_a_special_word_in_a_text_is_plain_text(self, tokenizer, before, after):
        text = f"{before}<|endoftext|>{after}"
        ids = tokenizer.encode(text)
        assert tokenizer.begin not in ids
        assert tokenizer.decode(ids) == text

    @given(texts=st.lists(st.text(), max_size=5))
    def test_many_texts_encode_as_one_by_one(self, tokenizer, texts):
        assert [ids.tolist() for ids in tokenizer.encode_many(texts)] == [tokenizer.encode(text) for text in texts]

    def test_a_lone_surrogate_counts_as_the_replacement_character(self, tokenizer):
        assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a�b"
        assert tokenizer.decode_bytes(tokenizer.encode_many(["a\ud800b"])[0].tolist()) == "a�b".encode()


@given(st.text())
def test_both_encoders_give_the_same_ids(text):
    assert PLAIN.encode(text) == SLOW.encode(text)


def test_begin_and_end_spell_nothing():
    assert PLAIN.decode([PLAIN.begin, *PLAIN.encode("the"), PLAIN.end]) == "the"
    assert PLAIN.lengths()[PLAIN.begin] == 0


def test_a_run_of_a_million_letters_is_encoded():
    for letter in "a ":
        assert PLAIN.decode(PLAIN.encode(letter * 1_000_000)) == letter * 1_000_000


def test_each_byte_has_a_letter_of_its_own():
    assert len(set(byte_letters())) == 256
    assert [byte_letters()[byte] for byte in (0x20, 0x41, 0x0A)] == ["Ġ", "A", "Ċ"]


def test_the_fingerprint_tells_merges_their_order_special_words_and_encoders_apart():
    a, b = ("a", "b"), ("c", "d")
    made = [hand_made(a, b), hand_made(b, a), hand_made(a), hand_made(a, b, special=("<s>",)), hand_made(a, b)]
    made[-1].use("tokenizers")
    assert len({tokenizer.fingerprint for tokenizer in made}) == 5
    assert hand_made(a, b).fingerprint == made[0].fingerprint
