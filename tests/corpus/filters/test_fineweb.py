import pytest

from lilliput.corpus.document import Dropped
from lilliput.corpus.filters.fineweb import FineWebRule

LINE = "This is a line of more than thirty characters, number {}."
PROSE = "\n\n".join(LINE.format(number) for number in range(20))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n".join(LINE.format(number)[:-1] for number in range(20)), "too few lines end in punctuation"),
        ("\n".join(f"Short line {number}." for number in range(20)), "too many short lines"),
        (f"{PROSE}\n" + f"{LINE.format(7)}\n" * 3, "too much text in repeated lines"),
        ("\n\n\n\n\n\n".join(LINE.format(number) for number in range(20)), "too many lines"),
    ],
)
def test_each_threshold_has_its_reason(text: str, reason: str):
    assert FineWebRule().apply(text) == Dropped(f"fineweb: {reason}")


def test_prose_passes_and_the_stricter_value_of_the_published_code_can_be_set():
    assert FineWebRule().apply(PROSE) == PROSE
    once_more = f"{PROSE}\n\n{LINE.format(7)}"
    assert FineWebRule().apply(once_more) == once_more
    assert FineWebRule(max_repeated=0.01).apply(once_more) == Dropped("fineweb: too much text in repeated lines")
