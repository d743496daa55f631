import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.processes import share


def doubled(task: int) -> int:
    time.sleep(0.01 * (task % 3))
    return 2 * task


def refused(task: int) -> int:
    if task >= 2:
        raise LilliputError(f"no {task}", "another", Exit.CONTENT)
    return task


def killed(task: int) -> int:
    os.kill(os.getpid(), 9)
    return task


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_come_in_the_order_of_the_tasks(workers):
    assert list(share(doubled, range(20), workers)) == [2 * task for task in range(20)]


def test_no_more_tasks_are_taken_than_may_wait():
    taken = []

    def tasks():
        for number in range(50):
            taken.append(number)
            yield number

    results = share(doubled, tasks(), 2, ahead=4)
    for number in range(10):
        assert next(results) == 2 * number
        assert len(taken) <= number + 5
    results.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_failure_in_order_is_raised_and_what_came_before_is_given(workers):
    found = []
    with pytest.raises(LilliputError, match="no 2") as failed:
        found.extend(share(refused, range(9), workers))
    assert (failed.value.code, failed.value.action) == (Exit.CONTENT, "another")


def test_a_killed_process_is_one_clear_line():
    with pytest.raises(LilliputError, match="was killed") as failed:
        list(share(killed, [1, 2], 2))
    assert failed.value.code == Exit.MEMORY


PARENT = """
import sys, time
from lilliput.corpus.processes import _Worker
if __name__ == "__main__":
    hands = [_Worker(), _Worker()]
    hands[0].connection.send((time.sleep, 0))
    hands[0].connection.recv()
    print(*[hand.process.pid for hand in hands], flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="asks /proc who lives")
def test_processes_end_with_a_parent_that_was_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        children = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in children):
        time.sleep(0.05)
    assert children
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


@pytest.mark.skipif(sys.platform == "win32", reason="processes have no group there")
def test_an_interrupt_of_the_whole_group_is_left_to_the_parent_however_early_it_comes(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(EARLY, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout.readline() == "begun\n"
    os.killpg(process.pid, 2)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)


EARLY = """
import time
from lilliput.corpus.processes import share
def tasks():
    print("begun", flush=True)
    yield from [0.3] * 400
if __name__ == "__main__":
    try:
        for _ in share(time.sleep, tasks(), 2):
            pass
    except KeyboardInterrupt:
        print("interrupted")
"""
