from collections import Counter

import pytest

from lilliput.corpus import contamination, duplicates, perplexity
from lilliput.corpus.emptied import by, emptied
from lilliput.corpus.filters import RULES


def test_the_rules_are_named_with_their_counts_the_greatest_first():
    dropped = Counter({"language: de": 2, "too short": 3_000, "beyond the limit": 7, "blank": 1})
    refused = emptied("books: the train part is empty", dropped)
    assert refused.cause == "books: the train part is empty; left out were too short 3,000, language: de 2, blank 1"
    assert refused.action == "make `short` and `language` of the cleaning milder or switch them off, or give other text"


def test_many_reasons_still_make_one_line():
    refused = emptied("x", Counter({f"language: {code}": 1 for code in ("de", "en", "fr", "es", "fi", "pl")}))
    assert refused.cause.endswith(", 2 more reasons")
    assert refused.action.count("language") == 1


def test_where_no_cleaning_left_anything_out_there_is_nothing_to_say():
    assert emptied("x", Counter({"blank": 3, "beyond the limit": 2, "malformed line": 1})) is None


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        (duplicates.EXACT, "duplicates"),
        (duplicates.NEAR, "duplicates"),
        (duplicates.LINES, "duplicates"),
        (contamination.reason(("a", "b")), "contamination"),
        (perplexity.STRANGE, "perplexity"),
        (perplexity.PLAIN, "perplexity"),
        ("nothing left after html", "html"),
    ],
)
def test_every_step_over_all_sources_is_known_by_its_reasons(reason, step):
    assert by(reason) == step


@pytest.mark.parametrize(
    ("kind", "text"), [("short", "a"), ("gopher", "a"), ("c4", "a"), ("fineweb", "a"), ("repetition", "a\n\n" * 99)]
)
def test_every_rule_is_known_by_its_reasons(kind, text):
    assert by(RULES[kind]().apply(text).reason) == kind
