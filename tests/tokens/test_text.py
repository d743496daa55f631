from hypothesis import given
from hypothesis import strategies as st

from lilliput.tokens.bytes import ByteTokenizer
from lilliput.tokens.text import TextStream, well_formed


def pieces(ids):
    stream = TextStream(ByteTokenizer())
    return [stream.push(i) for i in ids] + [stream.flush()]


@given(st.text())
def test_streamed_pieces_are_whole_characters_and_add_up(text):
    found = pieces(text.encode())
    assert "".join(found) == text
    assert all(len(piece) <= 1 for piece in found)
    assert found[-1] == ""


@given(st.lists(st.integers(0, 255)))
def test_any_bytes_stream_as_they_decode(ids):
    assert "".join(pieces(ids)) == ByteTokenizer().decode(ids)


def test_a_character_that_never_ends_is_replaced_on_flush():
    stream = TextStream(ByteTokenizer())
    assert [stream.push(i) for i in "é".encode()[:1]] == [""]
    assert stream.flush() == "�"
    assert stream.push(ord("a")) == "a"


def test_well_formed_text_is_left_alone_and_surrogates_are_replaced():
    assert well_formed("aé😀") == "aé😀"
    assert well_formed("a\udc80😀") == "a�😀"
    assert well_formed("\ud83d\ude00") == "😀"
