"""The table of promises counts each test once and never hides one that failed."""

import json

from tests.promises import dict_of, lines


def test_a_promise_has_a_line_with_its_passed_tests_and_figures():
    reports = [
        (True, "setup", dict_of([("promise", "R10")])),
        (True, "call", dict_of([("promise", "R10"), ("figure", json.dumps(["3 of 3 {}", []]))])),
        (True, "call", dict_of([("promise", "R3"), ("promise", "S9")])),
        (True, "call", dict_of([])),
    ]
    assert lines(reports) == ["R3   1 of 1", "R10  1 of 1\n       3 of 3 {}", "S9   1 of 1"]


def test_a_test_that_fails_or_cannot_begin_is_said_to_have_failed():
    failed = [(False, phase, dict_of([("promise", "R3")])) for phase in ("setup", "call")]
    assert lines([*failed, (True, "call", dict_of([("promise", "R3")]))]) == ["R3   1 of 3 FAILED"]


def test_the_counts_of_a_tests_parts_are_added_up():
    told = ["figure", json.dumps(["{:,} runs, {} cut", [600, 1]])]
    other = ["figure", json.dumps(["3 of 3", []])]
    reports = [(True, "call", dict_of([("promise", "R1"), told])) for _ in range(2)]
    reports += [(True, "call", dict_of([("promise", "R1"), other])) for _ in range(2)]
    assert lines(reports) == ["R1   4 of 4\n       1,200 runs, 2 cut\n       3 of 3\n       3 of 3"]
