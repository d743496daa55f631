"""Stopping on request: the first SIGINT or SIGTERM sets a flag that loops poll, the second ends the process."""

import os
import signal
import sys
from types import FrameType

from lilliput.config.errors import Exit, LilliputError

CODES = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}

_requested: Exit | None = None
_owner = 0


class Stopped(LilliputError):
    """Raised by `yield_point` where a loop cannot do better than to end."""

    def __init__(self, code: Exit) -> None:
        super().__init__("stopped on request", "run the same command again; a run goes on with `--resume`", code)


def install() -> None:
    """From here on SIGINT and SIGTERM ask instead of ending; call it from the main thread."""
    global _owner, _requested
    _owner, _requested = os.getpid(), None
    for number in CODES:
        signal.signal(number, _handle)


def requested() -> Exit | None:
    """The exit code to end with, once a signal has come."""
    return _requested


def yield_point() -> None:
    """In every loop that may take long: raises Stopped once a signal has come."""
    if _requested is not None:
        raise Stopped(_requested)


def _handle(number: int, _: FrameType | None) -> None:
    global _requested
    if _requested is not None or os.getpid() != _owner:  # a forked child has nothing of its own to save
        if sys.stderr is not None and sys.stderr.isatty():
            os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # a progress bar may have hidden the cursor
        os._exit(128 + number)
    _requested = CODES[signal.Signals(number)]
    if sys.stderr is not None and sys.stderr.isatty():  # over the line of a progress bar, which is drawn again below
        os.write(sys.stderr.fileno(), b"\r\x1b[Kstopping as soon as all is saved; a second time ends at once\n")
