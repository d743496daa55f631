"""Stopping: the first signal asks, the second ends, and a forked child never answers for its parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.config.errors import Exit
from lilliput.runs import stop


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in stop.CODES}
    stop.install()
    yield
    stop.install()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)], ids=["int", "term"]
)
def test_a_signal_is_a_request_that_loops_see(number, code):
    stop.yield_point()
    assert stop.requested() is None
    os.kill(os.getpid(), number)
    assert stop.requested() is code
    with pytest.raises(stop.Stopped) as caught:
        stop.yield_point()
    assert caught.value.code is code


def test_installing_anew_forgets_an_old_request():
    os.kill(os.getpid(), signal.SIGTERM)
    stop.install()
    assert stop.requested() is None


def test_a_second_signal_ends_the_process_at_once():
    code = (
        "import os, signal; from lilliput.runs import stop; stop.install();"
        "os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGTERM); print('still here')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert (ended.returncode, ended.stdout) == (143, b"")


def test_a_forked_child_ends_by_the_first_signal():
    code = (
        "import os, signal, sys; from lilliput.runs import stop; stop.install(); child = os.fork();"
        "child == 0 and (os.kill(os.getpid(), signal.SIGTERM), os._exit(0));"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 143


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")
def test_the_first_signal_is_answered_on_a_terminal():
    import pty

    body = (
        "import os, signal; from lilliput.runs import stop; stop.install();"
        "os.kill(os.getpid(), signal.SIGINT); print(stop.requested().name)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", body], env=environment, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    assert b"a second time ends at once" in os.read(ours, 1000)
    os.close(ours)
    assert done.stdout.split() == [b"INTERRUPTED"]
