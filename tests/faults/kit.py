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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

SOURCE = Path(__file__).parents[2] / "src"
IMPORT_SECONDS = 120

Task = dict[str, Any]
Call = dict[str, Any]


class ForkServer:
    """Runs `function` of `file` in fresh children of one warm process."""

    def __init__(self, file: str | Path, function: str, preload: tuple[str, ...] = ()) -> None:
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "LILLIPUT_FAULT": ""}
        words = [sys.executable, __file__, str(file), function, *preload]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, task: Task, *, fault: str = "", trace: Path | None = None, after: float = 0, signal: int = 9) -> int:
        """One attempt; `after` that many seconds the child gets `signal` from outside."""
        order = {"task": task, "fault": fault, "trace": str(trace or ""), "after": after, "signal": signal}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server has died"
        return int(answer)

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


def _attempt(task: Callable[..., Any], order: dict[str, Any]) -> int:
    child = _fork()
    if child == 0:
        _child(task, order)
    if order["after"]:
        time.sleep(order["after"])
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(child, order["signal"])
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


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
        print(_attempt(chosen, wanted), flush=True)
