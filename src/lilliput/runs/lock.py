"""The run lock: one writer per directory, held by the kernel for the life of the process, with a record of its owner.

Whether the lock is held is the kernel's word alone; the record (pid, start time, boot id) only names the owner, so a
recycled pid or a reboot misleads nobody.
"""

import json
import os
import platform
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import durable

WAIT_SECONDS = 0.3
"""Patience with those who only ask whether the lock is held; they hold it for a moment."""

if sys.platform == "win32":
    import msvcrt

    FAR = 1 << 30  # the locked byte cannot be read by others there, so it lies behind the record

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True)
class Owner:
    """Who took the lock last."""

    pid: int
    started: str
    boot: str
    host: str

    @classmethod
    def of_this_process(cls) -> Self:
        return cls(os.getpid(), _start_time(), _boot_id(), platform.node())


class RunLock:
    """The lock on one directory's LOCK file; children do not keep it, whether forked or spawned."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    @property
    def is_held(self) -> bool:
        """True if this object holds the lock."""
        return self._descriptor >= 0

    def acquire(self) -> Self:
        """Take the lock or raise LilliputError with Exit.LOCKED, naming the owner; nothing is written then."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | durable.FLAGS, 0o600)
        except FileNotFoundError:  # so was its directory, a moment ago
            raise _locked(self.path) from None
        try:
            _take_patiently(descriptor)
            if not _is_still_there(descriptor, self.path):  # its directory was removed while we waited
                raise BlockingIOError
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, (BlockingIOError, PermissionError)):
                raise _locked(self.path) from None
            raise
        self._descriptor = descriptor
        _held.add(self)
        try:
            durable.overwrite(descriptor, self.path, json.dumps(asdict(Owner.of_this_process())).encode())
        except BaseException:
            self.release()
            raise
        return self

    def release(self) -> None:
        """Give the lock back; the kernel does the same at any death."""
        if self.is_held:
            descriptor, self._descriptor = self._descriptor, -1
            _held.discard(self)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """True if a living process holds the lock at `path`; writes nothing."""
    try:
        descriptor = os.open(path, os.O_RDWR | durable.FLAGS)
    except OSError:
        return False
    try:
        _take(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def owner(path: Path) -> Owner | None:
    """The record of who took the lock last, if there is one."""
    with suppress(OSError, ValueError, TypeError):
        record: dict[str, Any] = json.loads(path.read_bytes())
        return Owner(**record)
    return None


def _take_patiently(descriptor: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return _take(descriptor)
        except (BlockingIOError, PermissionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _is_still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _locked(path: Path) -> LilliputError:
    who = owner(path)
    by = f"process {who.pid} on {who.host}" if who else "another process"
    action = "wait for it, stop it, or choose another name with `--run`"
    return LilliputError(f"{path.parent} is in use: {by} writes to it", action, Exit.LOCKED)


def _start_time() -> str:
    """Clock ticks from boot to the start of this process, where the kernel says it."""
    with suppress(OSError, IndexError):
        return Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def _boot_id() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


_held: set[RunLock] = set()


def _let_go_in_child() -> None:
    for lock in list(_held):
        lock.release()  # closes the child's copy only: the parent's stays locked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
