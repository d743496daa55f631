import pytest

from lilliput.config.fields import place
from lilliput.config.wording import may_be


@pytest.mark.parametrize(
    "annotation, words",
    [
        (list[int], "a list of whole numbers"),
        (tuple[int, int], "a list of 2 whole numbers"),
        (list[list[int]], "a list of lists of whole numbers"),
        (dict[str, float], "a mapping to numbers"),
        (list[str], "a list of text"),
    ],
)
def test_what_lists_hold_is_named_in_the_plural(annotation, words):
    assert may_be(place(annotation)) == words
