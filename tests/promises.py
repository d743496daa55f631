"""A line for each promise at the end of the tests: how many of its tests passed, and the figures they report.

A test names its promise by `@pytest.mark.promise("R3")`, reports by the fixture `figure`; `pytest --promises` prints.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises", action="store_true", help="print a line for each promise at the end")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "promise(number): the promise that the test looks after, e.g. R3")


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.user_properties += [("promise", number) for mark in item.iter_markers("promise") for number in mark.args]


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Reports what a test has measured or counted, e.g. `figure("1,000 flips, 0 used")`.

    Of the parts of one test, which report `figure("{:,} flips, 0 used", 250)`, the counts are added up.
    """
    return lambda text, *counts: request.node.user_properties.append(("figure", json.dumps([text, counts])))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("--promises"):
        terminalreporter.section("promises")
        reports = [
            report for outcome in ("passed", "failed", "error") for report in terminalreporter.getreports(outcome)
        ]
        for line in lines((report.passed, report.when, dict_of(report.user_properties)) for report in reports):
            terminalreporter.write_line(line)


def dict_of(properties: Iterable[tuple[str, object]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, value in properties:
        found[name].append(str(value))
    return found


def lines(reports: Iterable[tuple[bool, str, dict[str, list[str]]]]) -> list[str]:
    """(passed, phase, properties) of tests -> `R3   4 of 4   figure; figure`, in the order of the promises."""
    passed, tests, figures = defaultdict[str, int](int), defaultdict[str, int](int), defaultdict[str, list[str]](list)
    for good, phase, properties in reports:
        if phase != "call" and good:
            continue  # a test is counted once, or where its setup or teardown fails
        for number in properties.get("promise", ()):
            tests[number] += 1
            passed[number] += good
            figures[number] += properties.get("figure", ())
    return [
        f"{number:4} {passed[number]} of {tests[number]}{'' if passed[number] == tests[number] else ' FAILED'}"
        + "".join(f"\n       {text}" for text in _added(figures[number]))
        for number in sorted(tests, key=_order)
    ]


def _added(figures: Iterable[str]) -> Iterable[str]:
    """Each text once for all who gave it counts, which are added up."""
    sums: dict[tuple[str, int], list[float]] = {}
    for number, (text, counts) in enumerate(map(json.loads, figures)):
        key = (text, -1 if counts else number)
        sums[key] = [a + b for a, b in zip(sums.get(key, [0] * len(counts)), counts, strict=True)]
    return (text.format(*counts) if counts else text for (text, _), counts in sums.items())


def _order(number: str) -> tuple[str, int]:
    letter, digits = re.fullmatch(r"([A-Z]+)(\d+)", number).groups()  # type: ignore[union-attr]
    return letter, int(digits)
