"""Kills and errors at every durable call of a run without a model: afterwards it is as if nothing had happened."""

import random
import shutil
import signal
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(kit):
    with kit.ForkServer(HERE / "small_run.py", "train") as running:
        yield running


@pytest.fixture(scope="module")
def comparable(small_run):
    def of(path):
        *shared, ended = small_run.outcome(path)
        return [*shared, ended["code"], ended["step"]]

    return of


@pytest.fixture(scope="module")
def whole(server, comparable, tmp_path_factory):
    """(calls of an uninterrupted run, its outcome)"""
    folder = tmp_path_factory.mktemp("whole")
    calls = server.trace({"path": str(folder / "run")}, into=folder / "trace")
    return calls, comparable(folder / "run")


def test_two_uninterrupted_runs_are_identical(server, whole, comparable, in_memory):
    assert server.run({"path": str(in_memory / "run")}) == 0
    assert comparable(in_memory / "run") == whole[1]


@pytest.mark.parametrize("kind", ["kill", "killmid"])
def test_a_kill_at_any_durable_call_changes_nothing(server, whole, comparable, in_memory, kind):
    calls, expected = whole
    for number in range(1, len(calls) + 1):
        path = in_memory / str(number)
        assert server.run({"path": str(path)}, fault=f"{kind}@{number}") == -signal.SIGKILL
        assert server.run({"path": str(path)}) == 0
        assert comparable(path) == expected, calls[number - 1]
        shutil.rmtree(path)


def test_a_kill_during_recovery_changes_nothing(server, whole, comparable, in_memory):
    calls, expected = whole
    middle = next(call["number"] for call in calls if "step-00000006" in call["to"])  # its commit
    number, ended = 0, False
    while not ended:
        number += 1
        path = in_memory / str(number)
        server.run({"path": str(path)}, fault=f"kill@{middle}")
        kind = ("kill", "killmid")[number % 2]
        ended = server.run({"path": str(path)}, fault=f"{kind}@{number}") == 0
        assert server.run({"path": str(path)}) == 0
        assert comparable(path) == expected, number
        shutil.rmtree(path)
    assert number > 20


def test_an_error_at_any_durable_call_ends_with_its_code_and_changes_nothing(server, whole, comparable, in_memory):
    calls, expected = whole
    for number in range(1, len(calls) + 1):
        path = in_memory / str(number)
        kind, code = (("ENOSPC", 28), ("EIO", 74))[number % 2]
        assert server.run({"path": str(path)}, fault=f"{kind}@{number}") == code, calls[number - 1]
        assert server.run({"path": str(path)}) == 0
        assert comparable(path) == expected, calls[number - 1]
        shutil.rmtree(path)


def test_a_request_to_stop_at_any_durable_call_loses_no_step(server, whole, comparable, in_memory):
    calls, expected = whole
    for number in range(1, len(calls) + 1, 3):
        path = in_memory / str(number)
        code = server.run({"path": str(path)}, fault=f"term@{number}")
        assert code in (0, 143)
        assert server.run({"path": str(path)}) == 0
        step, weights, log, _, _, *_ = comparable(path)
        assert [step, weights, log] == expected[:3], calls[number - 1]
        shutil.rmtree(path)


def test_kills_at_random_times_change_nothing(server, whole, comparable, in_memory):
    draw = random.Random(3)
    kills = 0
    for attempt in range(20):
        path = in_memory / str(attempt)
        for _ in range(3):
            kills += server.run({"path": str(path)}, after=draw.uniform(0.0005, 0.01)) == -signal.SIGKILL
        assert server.run({"path": str(path)}) == 0
        assert comparable(path) == whole[1]
        shutil.rmtree(path)
    assert kills > 5


def test_each_kind_of_call_has_its_place_in_the_code(kit, whole):
    calls, _ = whole
    numbers = kit.distinct_sites(calls)
    assert {call["operation"] for call in calls} == {calls[number - 1]["operation"] for number in numbers}
    assert 20 < len(numbers) < len(calls)
    assert not {call["site"].split(":")[0] for call in calls} & {"durable.py", "faults.py", "contextlib.py"}
