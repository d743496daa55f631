import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.inference.stopping import StopWatch


def shown(pieces, stops):
    watch = StopWatch(stops)
    return "".join(watch.push(piece) for piece in pieces) + watch.finish(), watch.stopped


def letter_by_letter(text, stops):
    """The text up to the stop that is complete first."""
    for end in range(1, len(text) + 1):
        done = [stop for stop in stops if text[:end].endswith(stop)]
        if done:
            return text[: end - max(map(len, done))], True
    return text, False


@given(st.lists(st.text("ab", max_size=4)), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_a_stop_text_is_found_wherever_the_text_is_cut(pieces, stops):
    assert shown(pieces, stops) == letter_by_letter("".join(pieces), stops)


@given(st.lists(st.text("ab", max_size=4)), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_nothing_shown_is_taken_back_and_no_more_than_needed_is_held(pieces, stops):
    watch, so_far, given_in = StopWatch(stops), "", ""
    final, _ = letter_by_letter("".join(pieces), stops)
    for piece in pieces:
        so_far, given_in = so_far + watch.push(piece), given_in + piece
        assert final.startswith(so_far)
        held = given_in[len(so_far) :]
        assert watch.stopped or held == "" or any(stop.startswith(held) for stop in stops)


def test_without_stop_texts_everything_passes_at_once():
    watch = StopWatch(())
    assert watch.push("any text") == "any text"
    assert watch.finish() == ""


@pytest.mark.parametrize("text", ["no", "yes\n\nno", "\n\n"])
def test_text_after_a_stop_is_dropped(text):
    watch = StopWatch(["\n\n"])
    first = watch.push("yes\n\n")
    assert first == "yes"
    assert watch.push(text) == ""
    assert watch.finish() == ""
