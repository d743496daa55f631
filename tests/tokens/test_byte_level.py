import math
import os
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models

import lilliput.tokens.byte_level as byte_level_file
from lilliput.tokens.byte_level import SPECIAL_CASES, ByteLevelBPE, byte_letters, byte_level, pieces


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


TEXT = st.text(st.sampled_from("ab 1.\n\t'é\u2028\x1c\U0001f600"), max_size=40)


@given(text=TEXT, longest=st.integers(1, 12))
def test_a_long_text_is_encoded_in_pieces_with_the_ids_of_the_whole(text, longest):
    whole = PLAIN.encode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(byte_level_file, "PIECE", longest)
        parts = list(pieces(text))
        many, one, slow = PLAIN.encode_many([text, text])[1].tolist(), PLAIN.encode(text), SLOW.encode(text)
    assert "".join(parts) == text
    assert max(map(len, parts)) <= longest
    assert many == one == slow
    is_cut_in_a_run = any(not (b[0] in " \n" and a[-1].isalnum()) for a, b in pairwise(parts))
    assert one == whole or is_cut_in_a_run


@pytest.mark.parametrize("tokenizer", [PLAIN, SLOW], ids=["tiktoken", "tokenizers"])
def test_the_ids_do_not_depend_on_the_number_of_cores(tokenizer, monkeypatch):
    texts = [f"the {number} " * (number % 7) for number in range(300)]
    found = []
    for cores in (1, 2, 4):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        found.append([ids.tolist() for ids in tokenizer.encode_many(texts)])
    assert found[0] == found[1] == found[2]


def test_looking_for_special_words_costs_a_bulk_encoding_next_to_nothing():
    text = "they breathe the weather of the north " * 5000

    def seconds(encode):
        best = math.inf
        for _ in range(3):
            begun = time.thread_time()
            encode(text)
            best = min(best, time.thread_time() - begun)
        return best

    bulk = seconds(lambda text: PLAIN._fast.encode_to_numpy(text, disallowed_special=()))
    assert bulk < 1.3 * seconds(PLAIN._fast.encode_ordinary)
