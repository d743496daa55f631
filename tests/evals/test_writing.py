import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.evals.writing import distinct, longest_verbatim, repetition, utf8_validity


def test_distinct_counts_different_word_grams_over_all_texts():
    assert distinct(["the cat sat", "the cat ran"], n=2) == 3 / 4
    assert distinct(["one"], n=2) == 1.0


def test_repetition_is_zero_for_fresh_text_and_near_one_for_a_loop():
    assert repetition("every word of this is new here") == 0.0
    assert repetition("and so it goes " * 50) > 0.97


@given(st.text("abc", max_size=30), st.lists(st.text("abc", max_size=30), max_size=3))
def test_the_longest_verbatim_stretch_equals_a_search_of_all_stretches(written, training):
    pieces = [written[i:j] for i in range(len(written)) for j in range(i + 1, len(written) + 1)]
    longest = max((len(piece) for piece in pieces if any(piece in text for text in training)), default=0)
    found = longest_verbatim(written, training)
    assert found.length == len(found.text) == longest
    assert written[found.start :].startswith(found.text)
    assert not longest or any(found.text in text for text in training)


def test_a_long_stretch_in_a_long_text_is_found_quickly():
    training = "".join(chr(97 + i * i % 23 + i % 3) for i in range(300_000))
    found = longest_verbatim("something else, then " + training[200_000:201_000] + " and more", [training])
    assert found.length >= 1000


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        ([], 1.0),
        (["né 漢字".encode()], 1.0),
        (["né".encode()[:2]], 1.0),
        ([b"ab\xffcd"], 4 / 5),
        ([b"\xc3a"], 1 / 2),
        ([b"ok", b"\x80\x80"], 2 / 4),
    ],
)
def test_validity_is_the_share_of_bytes_in_whole_characters_a_cut_end_aside(texts, share):
    assert utf8_validity(texts) == share


@given(st.text(), st.integers(0, 10))
def test_any_cut_of_any_text_is_valid(text, cut):
    encoded = text.encode(errors="replace")
    assert utf8_validity([encoded[: len(encoded) - cut]]) == 1.0
