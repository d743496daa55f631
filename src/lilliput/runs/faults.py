"""Faults on demand at the n-th durable primitive: death before it, death half-way, an error of the disk, a signal.

`LILLIPUT_FAULT` is one of `kill@N`, `killmid@N`, `term@N`, `ENOSPC@N`, `EDQUOT@N`, `EIO@N`; in the place of N may stand
`operation:file:line`, the first primitive that this place outside the seam asks for. `LILLIPUT_TRACE` names a file that
receives one JSON line per primitive, with that place. Tests in one process call `faults.reset`. Without either, a
primitive costs one counter more.
"""

import contextlib
import errno
import json
import os
import re
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

SIGNALS = ("kill", "killmid", "term")
ERRORS = ("ENOSPC", "EDQUOT", "EIO")
WHERE = re.compile(r"[0-9]+|[a-z_]+:\w+\.py:[0-9]+")
SEAM = (__file__, str(Path(__file__).with_name("durable.py")), contextlib.__file__)


@dataclass(frozen=True)
class Call:
    """One durable primitive as it was asked for."""

    number: int
    operation: str
    path: str
    to: str
    site: str
    """`file:line` of the nearest caller outside the seam."""
    data: bytes


class Faults:
    """The counter, the fault that is due, and the trace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset(os.environ.get("LILLIPUT_FAULT", ""), os.environ.get("LILLIPUT_TRACE") or None)

    def reset(self, fault: str = "", trace: "list[Call] | str | Path | None" = None) -> None:
        """Start counting anew, with another fault and another trace (a list, or a file of JSON lines)."""
        self.kind, _, self.at = fault.partition("@")
        if fault and (self.kind not in (*SIGNALS, *ERRORS) or not WHERE.fullmatch(self.at)):
            raise ValueError(f"LILLIPUT_FAULT={fault}: it may be one of {', '.join((*SIGNALS, *ERRORS))}, then @N")
        self.count, self.trace = 0, trace

    def due(self, operation: str, path: Path, to: Path | None, data: "bytes | bytearray | memoryview") -> bool:
        """Count one primitive; True where the caller shall do half of it and die."""
        with self._lock:
            self.count += 1
            number = self.count
        if self.trace is not None:
            self._record(Call(number, operation, str(path), str(to or ""), _site(), bytes(data)))
        if not self.at or self.at not in (str(number), f"{operation}:{_site()}" if ":" in self.at else ""):
            return False
        self.at = ""
        if self.kind == "kill":
            self.die()
        if self.kind == "term":
            os.kill(os.getpid(), signal.SIGTERM)
        if self.kind in ERRORS:
            code = getattr(errno, self.kind)
            raise OSError(code, os.strerror(code), str(path))
        return self.kind == "killmid"

    def die(self) -> NoReturn:
        """End the process as `kill -9` does: no handler runs, nothing is flushed."""
        if hasattr(signal, "SIGKILL"):
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(137)

    def _record(self, call: Call) -> None:
        if isinstance(self.trace, list):
            self.trace.append(call)
        elif self.trace is not None:
            with Path(self.trace).open("a") as file:
                file.write(json.dumps({**vars(call), "data": len(call.data)}) + "\n")


def _site() -> str:
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename in SEAM:
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


faults = Faults()
