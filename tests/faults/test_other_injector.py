"""Kills and errors injected by strace at the system calls themselves, which does not trust the seam's own counting."""

import random
import shutil
import signal
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
from tests.faults.trainer import Trainer

from lilliput.config.errors import Exit

pytestmark = [
    pytest.mark.promise("R1"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]
ERRORS = {"EIO": Exit.IO, "ENOSPC": Exit.DISK_FULL}


def seen(log: Path) -> list[tuple[str, int]]:
    """(system call, n): every one that strace has seen, the n-th of its name; `123  fsync(3) = 0` is a line."""
    counts = Counter[str]()
    calls = [line.split()[1].partition("(") for line in log.read_text().splitlines()]
    return [(name, counts[name]) for name, bracket, _ in calls if bracket and not counts.update([name])]


def inject(call: str, fault: str, when: int) -> list[str]:
    return ["-e", f"inject={call}:{fault}:when={when}"]


@pytest.fixture(scope="module")
def server(kit):
    with kit.ForkServer(Path(__file__).with_name("small_run.py"), "train") as running:
        yield running


@pytest.fixture(scope="module")
def whole(server, small_run, module_in_memory):
    """(the system calls of an uninterrupted run, its outcome)"""
    task, log = {"path": str(module_in_memory / "run")}, module_in_memory / "log"
    assert server.run(task, strace=["-o", str(log)]) == 0
    *expected, _ = small_run.outcome(module_in_memory / "run")
    return seen(log), expected


def ends_the_same(server, small_run, path, expected):
    assert server.run({"path": str(path)}) == 0
    *found, _ = small_run.outcome(path)
    shutil.rmtree(path)
    return found == expected


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_system_call_that_changes_the_disk_changes_nothing(
    server, small_run, whole, in_memory, figure, every
):
    calls, expected = whole
    assert len({name for name, _ in calls}) >= 7
    for call, when in calls[::every]:
        path = in_memory / f"{call}-{when}"
        assert server.run({"path": str(path)}, strace=inject(call, "signal=KILL", when)) == -signal.SIGKILL
        assert ends_the_same(server, small_run, path, expected), (call, when)
    figure(f"a run without a model, killed by strace at {len(calls[::every])} system calls: all identical")


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_the_kernel_at_any_system_call_changes_nothing(server, small_run, whole, in_memory, figure, error):
    calls, expected = whole
    told = 0
    for call, when in calls:
        path = in_memory / f"{call}-{when}"
        code = server.run({"path": str(path)}, strace=inject(call, f"error={error}", when))
        assert code in (0, ERRORS[error]), (call, when)
        told += code != 0
        assert ends_the_same(server, small_run, path, expected), (call, when)
    assert told > len(calls) // 2
    figure(f"{error} by strace at each of {len(calls)} system calls: {told} told, all identical")


@pytest.mark.slow
def test_training_that_strace_kills_at_its_system_calls_ends_as_if_left_alone(
    training_server, module_in_memory, figure
):
    trainer = Trainer(training_server, module_in_memory / "training")
    log, run = module_in_memory / "training" / "log", trainer.start()
    assert run.attempt(strace=["-o", str(log)]) == 0, run.said()
    run.check_end()
    draw, points = random.Random(1), []
    for _, calls in groupby(sorted(seen(log)), key=lambda call: call[0]):
        every = list(calls)
        points += draw.sample(every, min(len(every), 12))
    assert len(points) >= 50
    for call, when in points:
        run = trainer.start()
        code = run.attempt(strace=inject(call, "signal=KILL", when))
        assert code == -signal.SIGKILL, (call, when, run.said())
        run.check_checkpoints()
        run.check_finish((call, when))
    figure(f"the reference task, killed by strace at {len(points)} of its system calls: all identical")
