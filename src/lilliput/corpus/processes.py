"""Work shared out among processes: results come in the order of the tasks, whoever was faster."""

import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import durable, stop

POLL = 0.2
"""Seconds between two looks at whether a stop was asked for."""

Task = TypeVar("Task")
Result = TypeVar("Result")
Failure = tuple[str, str, int]
"""Cause, action and exit code."""


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int, ahead: int = 1 << 30
) -> Iterator[Result]:
    """`map`, in `workers` processes; at most `ahead` results wait for their turn, which bounds the memory.

    Function and tasks have to be picklable. Raises what the first task that failed, in their order, raised;
    LilliputError (MEMORY) where a process was killed.
    """
    if workers <= 1:
        for task in tasks:
            stop.yield_point()
            yield function(task)
        return
    hands = [_Worker() for _ in range(workers)]
    try:
        yield from _ordered(function, iter(tasks), hands, ahead)
    except BaseException:
        for hand in hands:
            hand.process.terminate()
        raise
    finally:
        for hand in hands:
            hand.connection.close()
            hand.process.join()


def _ordered(
    function: Callable[[Task], Result], tasks: Iterator[Task], hands: list["_Worker"], ahead: int
) -> Iterator[Result]:
    idle, busy = [hand.connection for hand in hands], dict[Connection, int]()
    results: dict[int, Any] = {}
    begun, turn, is_over = 0, 0, False
    while True:
        stop.yield_point()
        while idle and not is_over and begun - turn < ahead:
            try:
                task = next(tasks)
            except StopIteration:
                is_over = True
                break
            connection = idle.pop()
            connection.send((function, task))
            busy[connection], begun = begun, begun + 1
        if not busy:
            return
        ready = wait(list(busy), timeout=POLL)
        for connection in [one for one in busy if one in ready]:
            number = busy.pop(connection)
            results[number] = _answer(connection)
            is_over = is_over or isinstance(results[number], LilliputError)
            idle.append(connection)
        while turn in results:
            result = results.pop(turn)
            if isinstance(result, LilliputError):
                raise result
            yield result
            turn += 1


def _answer(connection: Connection) -> Any:
    """What a process made of its task: its result, or the error that ended it."""
    try:
        failure, result = connection.recv()
    except (EOFError, ConnectionError):
        cause = "a process that worked on the corpus was killed"
        return LilliputError(cause, "if memory was short, use fewer: `data.cleaning.workers=1`", Exit.MEMORY)
    return result if failure is None else LilliputError(failure[0], failure[1], Exit(failure[2]))


class _Worker:
    """A process that does one task after the other and ends with its parent."""

    def __init__(self) -> None:
        context = get_context("spawn")  # a fork would share the locks of torch's threads
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other,), daemon=True)
        with _interrupts_later():
            self.process.start()
        other.close()


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """A process begun here never sees a SIGINT before it can ignore it; this one sees it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    with suppress(EOFError, ConnectionError):
        while True:
            function, task = connection.recv()
            connection.send(_attempt(function, task))


def _attempt(function: Callable[[Any], Any], task: Any) -> tuple[Failure | None, Any]:
    try:
        return None, function(task)
    except LilliputError as error:
        return (error.cause, error.action, error.code), None
    except OSError as error:
        failed = durable.explain(error)
        return (failed.cause, failed.action, failed.code), None
    except Exception:
        return (traceback.format_exc(), "report this as a fault in Lilliput", Exit.BUG), None
