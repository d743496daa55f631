"""Promises that every rule keeps: the tests run over `RULES`, so that a new rule is tested by being named."""

import json
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from lilliput.corpus.cleaning import Funnel, cleaned
from lilliput.corpus.document import Document, Dropped
from lilliput.corpus.filters import RULES, Rule, expand_rules

EDITORS = ("encoding", "html", "gutenberg", "personal")
"""Rules that mend a text and never judge it."""
HOSTILE = {
    "one letter": "a",
    "spaces": " ",
    "line feeds": "\n",
    "carriage returns": "\r",
    "less-than signs": "<",
    "at signs": "@",
    "digits": "1",
    "stars": "*",
    "quotation marks": '"',
    "accents": "é",
    "mojibake": "â€",
    "mails without an end": "a@a.",
    "addresses": "1.1",
    "telephones": "+1 ",
    "cards": "4111 ",
    "accounts": "AB12",
    "addresses of version 6": "2001:",
    "sentences": ". ",
    "starts of a book": "*** START OF THE PROJECT GUTENBERG EBOOK ",
    "notices": "published by copyright (c isbn ",
    "credits": "Project Gutenberg\n",
    "divisions": "<div>",
    "italic paragraphs": "<i><p>",
    "words": "x y ",
}


def named(word: str) -> Any:
    return RULES[word]()


def texts(sample_data: Path) -> list[str]:
    """Real code and real TeX."""
    files = sorted((sample_data / "code" / "files").glob("*.py"))
    rows, problems = (
        [json.loads(line) for line in (sample_data / path).read_text("utf-8").splitlines()]
        for path in ("code/human_eval_head.jsonl", "math_hendrycks/test_sample.jsonl")
    )
    return [
        *(file.read_bytes().decode() for file in files),
        *("\n".join(value for value in row.values() if isinstance(value, str)) for row in rows),
        *(problem["solution"] for problem in problems),
    ]


def test_each_rule_is_in_the_union_under_the_word_that_it_is_named_by():
    assert set(get_args(get_args(Rule)[0])) == set(RULES.values())
    assert [named(word).kind for word in RULES] == list(RULES)
    assert expand_rules(["short", {"kind": "c4"}]) == [{"kind": "short"}, {"kind": "c4"}]


@pytest.mark.parametrize("word", EDITORS)
def test_code_and_tex_survive_each_rule_that_mends_to_the_last_sign(word: str, sample_data: Path):
    rule = named(word)
    given = texts(sample_data)
    assert len(given) > 700
    assert [rule.apply(text) for text in given] == given


@pytest.mark.parametrize("word", EDITORS)
def test_paragraphs_case_and_indentation_of_prose_and_verse_survive(word: str, sample_data: Path):
    text = (sample_data / "shakespeare_plays" / "julius_caesar.md").read_text("utf-8")
    assert named(word).apply(text) == text


def test_a_list_of_all_that_mend_leaves_one_text_of_each_kind_alone():
    text = (
        "Title\n\n  First paragraph, a < b && c >= d != e.\n\n\n\tdef f(x):\n\t\treturn x ** 2 | ~x  # $\\frac{1}{2}$\n"
    )
    for word in EDITORS:
        assert named(word).apply(text) == text


@pytest.mark.parametrize("word", RULES)
def test_what_comes_in_is_kept_or_dropped_for_a_reason_and_the_same_again(word: str, sample_data: Path):
    rows = (sample_data / "web" / "c4_demo_head.jsonl").read_text("utf-8").splitlines()
    documents = [Document(json.loads(row)["text"], "c4", str(number)) for number, row in enumerate(rows)]
    funnels = Funnel(), Funnel()
    once, again = ([document.text for document in cleaned(documents, [named(word)], funnel)] for funnel in funnels)
    assert once == again
    assert funnels[0] == funnels[1]
    assert funnels[0].documents == len(documents) == funnels[0].kept + funnels[0].dropped.total()
    assert all(funnels[0].examples[reason] for reason in funnels[0].dropped)


@pytest.mark.parametrize("word", RULES)
def test_every_text_however_short_or_strange_has_a_result(word: str, sample_data: Path):
    strings = json.loads((sample_data / "unicode" / "blns.json").read_text("utf-8"))
    rule = named(word)
    for text in (*strings, "", " ", "\n", "a", "<", "<p>", "<!--", "@", "\ud800", "\0", "\U0010ffff", "<html>" * 3):
        assert isinstance(rule.apply(text), str | Dropped)


def seconds(word: str, text: str) -> float:
    """Of this process alone, so that others on the machine do not count."""
    rule, begun = named(word), time.process_time()
    rule.apply(text)
    return time.process_time() - begun


@pytest.mark.parametrize("word", RULES)
def test_no_text_is_slow(word: str):
    """200,000 signs: what grows with the square of them takes minutes."""
    seconds(word, "a text that loads what is loaded once, é")
    slow = {name: seconds(word, piece * (200_000 // len(piece))) for name, piece in HOSTILE.items()}
    assert {name: found for name, found in slow.items() if found > 4} == {}


@pytest.mark.slow
@pytest.mark.parametrize("word", RULES)
def test_ten_megabytes_of_no_text_are_slow(word: str):
    slow = {name: seconds(word, piece * (10_000_000 // len(piece))) for name, piece in HOSTILE.items()}
    assert {name: found for name, found in slow.items() if found > 60} == {}
