"""The lock: one writer, whoever dies; children do not keep it; asking does not disturb."""

import errno
import fcntl
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import lock
from lilliput.runs.faults import faults
from lilliput.runs.lock import Owner, RunLock, is_locked, owner

SOURCE = str(Path(__file__).parents[2] / "src")
HOLD = (
    "import sys, time; from lilliput.runs.lock import *; RunLock(Path(sys.argv[1])).acquire(); print(1, flush=True); "
)


def held_by_another(path, then="time.sleep(60)"):
    words = [sys.executable, "-c", HOLD + then, str(path)]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": SOURCE}, stdout=subprocess.PIPE)
    assert process.stdout.read(1) == b"1"
    return process


def finish(process):
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_is_refused_at_once_with_the_owner_and_writes_nothing(tmp_path):
    path = tmp_path / "LOCK"
    process = held_by_another(path)
    before, start = path.read_bytes(), time.monotonic()
    with pytest.raises(LilliputError) as caught:
        RunLock(path).acquire()
    assert time.monotonic() - start < 2
    assert caught.value.code is Exit.LOCKED and str(process.pid) in caught.value.cause
    assert path.read_bytes() == before and is_locked(path)
    finish(process)


def test_a_killed_owner_blocks_nobody_even_if_its_pid_lives_again(tmp_path):
    path = tmp_path / "LOCK"
    process = held_by_another(path)
    finish(process)
    assert not is_locked(path)
    record = json.loads(path.read_text()) | {"pid": os.getpid()}
    path.write_text(json.dumps(record))
    with RunLock(path):
        assert owner(path) == Owner.of_this_process()


def test_one_process_cannot_take_it_twice(tmp_path):
    with RunLock(tmp_path / "LOCK") as lock:
        assert lock.is_held
        with pytest.raises(LilliputError):
            RunLock(tmp_path / "LOCK").acquire()
    assert not lock.is_held and not is_locked(tmp_path / "LOCK")


@pytest.mark.parametrize(
    "then",
    [
        "import os; os.fork(); time.sleep(60)",
        "import subprocess; subprocess.Popen(['sleep', '60'], close_fds=False); time.sleep(60)",
    ],
    ids=["forked", "spawned"],
)
def test_children_do_not_keep_it(tmp_path, then):
    path = tmp_path / "LOCK"
    words = [sys.executable, "-c", HOLD + then, str(path)]
    process = subprocess.Popen(
        words, env={**os.environ, "PYTHONPATH": SOURCE}, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout.read(1) == b"1"
    time.sleep(0.2)  # until the child is there
    process.kill()
    process.wait()
    taken = not is_locked(path)
    os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()
    assert taken


def test_a_disk_that_is_too_full_for_the_owners_record_does_not_leave_it_locked(tmp_path):
    faults.reset("ENOSPC@1")
    with pytest.raises(OSError, match="LOCK"):
        RunLock(tmp_path / "LOCK").acquire()
    faults.reset()
    with RunLock(tmp_path / "LOCK") as lock:
        assert lock.is_held


def test_asking_does_not_make_the_file(tmp_path):
    assert not is_locked(tmp_path / "LOCK") and owner(tmp_path / "LOCK") is None
    assert not (tmp_path / "LOCK").exists()


def test_a_lock_whose_directory_was_removed_meanwhile_is_not_taken(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "LOCK"

    def removed(descriptor):
        (tmp_path / "run").rename(tmp_path / "dead")

    monkeypatch.setattr("lilliput.runs.lock._take", removed)
    with pytest.raises(LilliputError):
        RunLock(path).acquire()


START = """
import sys, time
from lilliput.runs.run import Run
from lilliput.config.errors import LilliputError
sys.stdin.read(1)
try:
    run = Run.begin(sys.argv[1], resume=len(sys.argv) > 2)
    run.write_manifest()
    sys.stdin.read()
except LilliputError as error:
    sys.exit(int(error.code))
"""


@pytest.mark.parametrize("words", [[], ["resume"]], ids=["new", "resumed"])
def test_of_eight_simultaneous_starts_one_wins_and_seven_find_it_locked(tmp_path, words):
    command = [sys.executable, "-c", START, str(tmp_path / "run"), *words]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    starts = [subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) for _ in range(8)]
    for process in starts:
        process.stdin.write(b"g")
        process.stdin.flush()
    while sum(process.poll() is None for process in starts) > 1:
        time.sleep(0.01)
    for process in starts:
        process.stdin.close()
    assert sorted(process.wait() for process in starts) == [0] + [75] * 7
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"LOCK", "manifest.json"}


class Windows:
    """What `msvcrt` has of locks, over the kernel's own here: refused with errno 13, let go when the file is closed."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.asked = []

    def locking(self, descriptor, mode, count):
        self.asked.append((os.lseek(descriptor, 0, os.SEEK_CUR), mode, count))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "permission denied") from None


@pytest.fixture
def on_windows(monkeypatch):
    """The module as Windows imports it, and the `msvcrt` that it finds."""
    msvcrt, place = Windows(), importlib.util.spec_from_file_location("lock_on_windows", lock.__file__)
    module = importlib.util.module_from_spec(place)
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    monkeypatch.setitem(sys.modules, place.name, module)
    with monkeypatch.context() as there:
        there.setattr(sys, "platform", "win32")
        there.delattr(os, "register_at_fork")
        place.loader.exec_module(module)
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    return module, msvcrt


@pytest.mark.promise("R11")
def test_on_windows_one_byte_far_behind_the_record_is_locked_so_that_the_record_can_be_read(tmp_path, on_windows):
    module, msvcrt = on_windows
    path = tmp_path / "LOCK"
    held = module.RunLock(path).acquire()
    assert msvcrt.asked == [(module.FAR, msvcrt.LK_NBLCK, 1)]
    assert path.stat().st_size < 1000 < module.FAR
    assert module.owner(path).pid == os.getpid()
    assert module.is_locked(path) and held.is_held


@pytest.mark.promise("R11")
def test_on_windows_a_second_writer_is_refused_by_the_name_of_the_first_until_that_has_let_go(tmp_path, on_windows):
    module, _ = on_windows
    path = tmp_path / "LOCK"
    with module.RunLock(path):
        record = path.read_bytes()
        with pytest.raises(LilliputError) as refused:
            module.RunLock(path).acquire()
        assert refused.value.code is Exit.LOCKED and f"process {os.getpid()}" in refused.value.cause
        assert path.read_bytes() == record
    assert not module.is_locked(path)
    module.RunLock(path).acquire().release()


@pytest.mark.promise("R11")
def test_on_windows_a_lock_that_is_only_looked_at_for_a_moment_is_waited_for(tmp_path, on_windows, monkeypatch):
    module, msvcrt = on_windows
    path, refusals = tmp_path / "LOCK", [1, 1, 0]
    locking = msvcrt.locking

    def busy(descriptor, mode, count):
        if refusals.pop(0):
            raise PermissionError(errno.EACCES, "permission denied")
        locking(descriptor, mode, count)

    monkeypatch.setattr(msvcrt, "locking", busy)
    assert module.RunLock(path).acquire().is_held
    assert refusals == []
