"""Forked kills: a server with one thread forks a child per attempt, so that a kill costs milliseconds and no import.

A task is a function in a file, called with keyword arguments that JSON can carry. The server imports that file once
(and whatever is heavy with it), runs nothing itself, and forks for each attempt; the child's exit code is what the
function returns, that of its LilliputError, or minus the signal that ended it. For a task that uses torch, name it in
`preload`: imported, never run, because a fork after a threaded operation hangs.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

SOURCE = Path(__file__).parents[2] / "src"
IMPORT_SECONDS = 120
STRACE_SECONDS = 20
TRACED = "write,pwrite64,ftruncate,fallocate,fsync,rename,renameat,renameat2,mkdir,unlink,rmdir"
"""The system calls that strace may let fail."""

Task = dict[str, Any]
Call = dict[str, Any]


class ForkServer:
    """Runs `function` of `file` in fresh children of one warm process."""

    seconds = 0.0
    """Processor time of the last attempt."""

    def __init__(self, file: str | Path, function: str, preload: tuple[str, ...] = ()) -> None:
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "LILLIPUT_FAULT": ""}
        words = [sys.executable, __file__, str(file), function, *preload]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(
        self,
        task: Task,
        *,
        fault: str = "",
        trace: Path | None = None,
        after: float = 0,
        spent: float = 0,
        signal: int = 9,
        group: bool = False,
        strace: Sequence[str] = (),
    ) -> int:
        """One attempt; the child gets `signal` from outside once it has lived for `after` seconds, or has worked for
        `spent` seconds of processor time, which a busy machine does not change; with `group`, so do the processes
        that it has begun. `strace` is how strace traces it.
        """
        order = {"task": task, "fault": fault, "trace": str(trace or ""), "after": after, "spent": spent}
        order |= {"signal": signal, "group": group, "strace": list(strace)}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server has died"
        code, self.seconds = json.loads(answer)
        return int(code)

    def trace(self, task: Task, into: Path) -> list[Call]:
        """Every durable call of one whole attempt: number, operation, path, to, site, data (its length)."""
        assert self.run(task, trace=into) == 0
        return [json.loads(line) for line in into.read_text().splitlines()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=IMPORT_SECONDS)
        self._process.stdout.close()


def distinct_sites(calls: list[Call]) -> list[int]:
    """The first call's number of each distinct (operation, place in the code): where the default suite kills."""
    first: dict[tuple[str, str], int] = {}
    for call in calls:
        first.setdefault((call["operation"], call["site"]), call["number"])
    return sorted(first.values())


def _load(file: str, function: str) -> Callable[..., Any]:
    specification = importlib.util.spec_from_file_location("task", file)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["task"] = module
    specification.loader.exec_module(module)
    return getattr(module, function)  # type: ignore[no-any-return]


def _child(task: Callable[..., Any], order: dict[str, Any]) -> None:
    from lilliput.config.errors import LilliputError
    from lilliput.runs.durable import explain
    from lilliput.runs.faults import faults

    code: int
    try:
        os.dup2(2, 1)  # the server's answers are alone on stdout
        faults.reset(order["fault"], order["trace"] or None)
        code = int(task(**order["task"]) or 0)
    except LilliputError as error:
        code = error.code
    except OSError as error:
        code = explain(error).code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    sys.stderr.flush()
    os._exit(code)


def _attempt(task: Callable[..., Any], order: dict[str, Any]) -> tuple[int, float]:
    """The exit code of a child, and its processor time."""
    child = _fork()
    if child == 0:
        if order["strace"]:
            _wait_until_traced()
        _child(task, order)
    if order["group"]:
        os.setpgid(child, child)
    if order["strace"]:
        words = ["strace", "-f", "-qq", "-p", str(child), "-o", os.devnull, "-e", f"trace={TRACED}", *order["strace"]]
        tracer = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    if order["after"] or order["spent"]:
        time.sleep(order["after"])
        _work(child, order["spent"])
        if not _has_ended(child):
            (os.killpg if order["group"] else os.kill)(child, order["signal"])
    _, status, usage = os.wait4(child, 0)
    if order["strace"]:
        tracer.wait(STRACE_SECONDS)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def _wait_until_traced() -> None:
    deadline = time.monotonic() + STRACE_SECONDS
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        if time.monotonic() > deadline:
            os._exit(97)
        time.sleep(0.001)


def _work(child: int, seconds: float) -> None:
    """Wait until a child has ended, or has had so many seconds of processor time."""
    clock = (~child << 3) | 2  # clock_getcpuclockid(3)
    with suppress(OSError):  # it has ended
        while not _has_ended(child) and time.clock_gettime(clock) < seconds:
            time.sleep(0.001)


def _has_ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _fork() -> int:
    """A child; where the machine has no room for a process at this moment, a little later."""
    for _ in range(50):
        try:
            return os.fork()
        except BlockingIOError:
            time.sleep(0.2)
    return os.fork()


def _orders() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


if __name__ == "__main__":
    for name in sys.argv[3:]:
        importlib.import_module(name)
    chosen = _load(sys.argv[1], sys.argv[2])
    for wanted in _orders():
        print(json.dumps(_attempt(chosen, wanted)), flush=True)
