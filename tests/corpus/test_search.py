import random
import re
import time

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.document import Document
from lilliput.corpus.search import AROUND, patterns, search, words


def documents(*texts):
    return [Document(text, "a", f"a:{number}") for number, text in enumerate(texts, 1)]


def places(text, matches):
    return [text[start:stop] for start, stop in matches(text)]


def test_all_places_are_counted_and_the_first_shown_with_what_stands_around_them():
    found = search(documents("The cat and a Cat.", "no", "cats"), words(["cat", "dog"]), number=2)
    assert (found.documents, found.characters) == (3, 24)
    assert {word: (c.occurrences, c.documents) for word, c in found.words.items()} == {"cat": (3, 2), "dog": (0, 0)}
    assert [(hit.key, hit.position, hit.before, hit.match, hit.after) for hit in found.hits] == [
        ("a:1", 4, "The ", "cat", " and a Cat."),
        ("a:1", 14, "The cat and a ", "Cat", "."),
    ]


def test_what_stands_around_a_match_is_bounded():
    (hit,) = search(documents("x" * 1000 + "cat" + "y" * 1000), words(["cat"]), number=5).hits
    assert (hit.before, hit.after) == ("x" * AROUND, "y" * AROUND)


def test_whole_words_and_case_are_options_and_white_space_is_any():
    text = "Old\n  man, old man, household manor, OLD MAN"
    (any_case,) = words(["old man"]).values()
    (whole,) = words(["old man"], whole=True).values()
    (exact,) = words(["old man"], case=True).values()
    assert places(text, any_case) == ["Old\n  man", "old man", "old man", "OLD MAN"]
    assert places(text, whole) == ["Old\n  man", "old man", "OLD MAN"]
    assert places(text, exact) == ["old man", "old man"]


def test_capitals_make_no_difference_within_and_beyond_ascii():
    for text in ("KATE kate Kate", "\u00c4 KATE kate Kate"):
        assert places(text, *words(["kAtE"]).values()) == ["KATE", "kate", "Kate"]
    assert places("\u00c4rger \u00e4RGER", *words(["\u00e4rger"]).values()) == ["\u00c4rger", "\u00e4RGER"]
    assert places("plain", *words(["\u00e4rger"]).values()) == []


def test_words_of_any_script_are_found_and_signs_are_no_pattern():
    assert places("\u4eba\u4eba\u751f\u800c\u81ea\u7531", *words(["\u81ea\u7531"]).values()) == ["\u81ea\u7531"]
    assert places("a.b axb (a.b)*", *words(["(a.b)*"]).values()) == ["(a.b)*"]


def test_patterns_find_what_python_finds_line_by_line():
    pytest.importorskip("pyarrow")
    draw = random.Random(1)
    text = "".join(draw.choice("ab1 \n\u00e9\u65e5\U000f0000\U000f0001\U0001f600") for _ in range(5_000))
    for pattern in (r"a+b?", r"(a|b)\d", "\u00e9.", "[^ab]+$", "^ .", "(a)(b)|1"):
        (matches,) = patterns([pattern], case=True).values()
        expected, start = [], 0
        for line in text.split("\n"):
            expected += [(start + m.start(), start + m.end()) for m in re.finditer(pattern, line)]
            start += len(line) + 1
        assert list(matches(text)) == expected, pattern


def test_no_pattern_takes_more_than_a_moment():
    pytest.importorskip("pyarrow")
    (matches,) = patterns([r"(a+)+$"]).values()
    began = time.perf_counter()
    assert list(matches("a" * 100_000 + "!")) == []
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("pattern", ["(", "a)(b", r"(a)\1", "(?=x)", "a*", "^", r"\Qa", "a{1000}{1000}", "\\"])
def test_a_pattern_that_cannot_be_taken_is_refused_with_the_reason(pattern):
    pytest.importorskip("pyarrow")
    with pytest.raises(LilliputError) as refused:
        patterns([pattern])
    assert refused.value.code == Exit.USAGE


@pytest.mark.parametrize("wanted", [[], [""], ["cat", " \n"]])
def test_there_has_to_be_something_to_search_for(wanted):
    with pytest.raises(LilliputError) as refused:
        words(wanted)
    assert refused.value.code == Exit.USAGE
