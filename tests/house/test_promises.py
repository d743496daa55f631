"""The table of promises counts each test once and never hides one that failed."""

from tests.promises import dict_of, lines


def test_a_promise_has_a_line_with_its_passed_tests_and_figures():
    reports = [
        (True, "setup", dict_of([("promise", "R10")])),
        (True, "call", dict_of([("promise", "R10"), ("figure", "3 of 3")])),
        (True, "call", dict_of([("promise", "R3"), ("promise", "S9")])),
        (True, "call", dict_of([])),
    ]
    assert lines(reports) == ["R3   1 of 1", "R10  1 of 1\n       3 of 3", "S9   1 of 1"]


def test_a_test_that_fails_or_cannot_begin_is_said_to_have_failed():
    failed = [(False, phase, dict_of([("promise", "R3")])) for phase in ("setup", "call")]
    assert lines([*failed, (True, "call", dict_of([("promise", "R3")]))]) == ["R3   1 of 3 FAILED"]
