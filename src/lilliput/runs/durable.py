"""The one seam for durable writes: every primitive is counted, and can be traced, failed or killed at will.

State that has to outlive a crash passes through this file and no other. A file that returned from here is synced; a
name is on the disk once `sync_dir` has returned; an error is final for that attempt, because a kernel that failed to
write pages back marks them clean, and a second fsync would lie.
"""

import errno
import hashlib
import itertools
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs.faults import faults

Result = TypeVar("Result")
Buffer = bytes | bytearray | memoryview

WRITE_BYTES = 16 << 20  # one write call at most: macOS refuses 2 GiB, and a stop need not wait for a whole tensor
FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}  # EFBIG: `ulimit -f`

_PROCESS = secrets.token_hex(4)
_counter = itertools.count()


@dataclass(frozen=True)
class FileRecord:
    """What a manifest says of a file."""

    size: int
    sha256: str


def weaker() -> list[str]:
    """What is promised less here than on Linux, a line each."""
    if sys.platform == "darwin":
        return ["a sync is F_FULLFSYNC; on a file system without it, fsync stops at the drive's own cache"]
    if sys.platform == "win32":
        return [
            "folders cannot be synced: after a power cut the newest names may be missing",
            "space is not reserved before a file is written",
            "files are open to whom the folder is open to",
        ]
    return [] if sys.platform == "linux" else [f"nothing has been tested on {sys.platform}"]


def explain(error: OSError) -> LilliputError:
    """What an error of the file system means to a person."""
    place = f"{os.fspath(error.filename)}: " if isinstance(error.filename, str | os.PathLike) else ""
    cause = place + (error.strerror or " ".join(str(error).split()) or type(error).__name__).lower()
    if error.errno in FULL:
        return LilliputError(cause, "free some space and resume; everything committed is intact", Exit.DISK_FULL)
    if isinstance(error, FileNotFoundError):
        return LilliputError(cause, "check the path", Exit.MISSING)
    if isinstance(error, IsADirectoryError | NotADirectoryError):
        return LilliputError(cause, "name a file where a file is wanted, a folder where a folder is", Exit.IO)
    return LilliputError(cause, "check the disk and the permissions, then resume", Exit.IO)


def write_new(path: Path, chunks: Buffer | Iterable[Buffer], size: int | None = None) -> FileRecord:
    """Create a file (mode 0600), write, sync and close it; with `size`, its space is allocated before the first byte.

    Raises FileExistsError where the name is taken. A file that could not be completed is removed.
    """
    with _new_file(path) as descriptor:
        if size:
            _allocate(descriptor, path, size)
        digest, written = hashlib.sha256(), 0
        for part in _parts(chunks):
            digest.update(part)
            _write(descriptor, path, part, "write")
            written += len(part)
        if size is not None and written != size:
            raise ValueError(f"{path}: {written} bytes written, {size} announced")
        _sync(descriptor, path)
    return FileRecord(written, digest.hexdigest())


def replace(path: Path, data: bytes) -> None:
    """Put `data` under `path`: after a crash at any point the file is wholly the old or wholly the new one."""
    temporary = scratch(path.parent, path.name)
    write_new(temporary, data)
    rename(temporary, path)
    sync_dir(path.parent)


def scribble(path: Path, data: bytes) -> None:
    """Put `data` under `path` for readers of this moment: whole, but neither synced nor counted (heartbeats)."""
    temporary = scratch(path.parent, path.name)
    temporary.write_bytes(data)
    temporary.chmod(0o600)
    temporary.replace(path)


class Appender:
    """A file that only grows, each `write` whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._error: OSError | None = None
        self._fresh = not path.exists()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | FLAGS
        self._descriptor = _primitive("create", path, lambda: os.open(path, flags, 0o600))
        self.size = os.fstat(self._descriptor).st_size

    def write(self, data: bytes) -> None:
        """Append in one write call; what a full disk left half-written is taken back."""
        self._refuse_after_an_error()
        try:
            _write(self._descriptor, self.path, memoryview(data), "append")
        except OSError:
            self._take_back()
            raise
        self.size += len(data)

    def sync(self) -> None:
        """Bring every byte so far to the disk; a failure is final for this file."""
        self._refuse_after_an_error()
        try:
            _sync(self._descriptor, self.path)
            if self._fresh:
                sync_dir(self.path.parent)
                self._fresh = False
        except OSError as error:
            self._error = error
            raise

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _take_back(self) -> None:
        try:
            _primitive("truncate", self.path, lambda: os.ftruncate(self._descriptor, self.size))
        except OSError as error:
            self._error = error

    def _refuse_after_an_error(self) -> None:
        if self._error is not None:
            raise OSError(self._error.errno, self._error.strerror, str(self.path))


def make_dir(path: Path, *, new: bool = False, lasting: bool = True) -> None:
    """Make a directory (mode 0700) and its missing parents, durably; with `new`, an existing one is FileExistsError.

    Not `lasting`: its name need not outlive a power cut, since it is renamed and its folder synced later.
    """
    if path.is_dir() and not new:
        return
    if not path.parent.is_dir():
        make_dir(path.parent)
    try:
        _primitive("mkdir", path, lambda: path.mkdir(0o700))
    except FileExistsError:
        if new or not path.is_dir():
            raise
        return
    if lasting:
        sync_dir(path.parent)


def rename(source: Path, target: Path) -> None:
    """Rename within one file system; it lasts once `sync_dir` of the parent has returned."""
    _primitive("rename", source, lambda: source.replace(target), to=target)


def sync_dir(path: Path) -> None:
    """Make the names in a directory last; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return

    def whole() -> None:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            _flush(descriptor)
        finally:
            os.close(descriptor)

    _primitive("sync_dir", path, whole)


def remove(path: Path) -> None:
    """Remove a file."""
    _primitive("unlink", path, path.unlink)


def remove_tree(path: Path) -> None:
    """Remove a directory so that it is never seen half-removed: rename, sync, then unlink."""
    if not path.name.startswith((".dead-", ".tmp-")):
        dead = scratch(path.parent, path.name, kind="dead")
        rename(path, dead)
        sync_dir(path.parent)
        path = dead
    _unlink_tree(path)


def scratch(folder: Path, label: str, kind: str = "tmp") -> Path:
    """A hidden name in `folder` that no other process uses and that `sweep` of a later process removes."""
    return folder / f".{kind}-{label}-{os.getpid()}-{_PROCESS}-{next(_counter)}"


def sweep(folder: Path) -> list[Path]:
    """Remove what a process that died left unfinished in `folder`; the caller holds the lock over it."""
    own = f"-{os.getpid()}-{_PROCESS}-"
    hidden = [path for path in folder.iterdir() if path.name.startswith((".tmp-", ".dead-"))]
    leftovers = [path for path in hidden if own not in path.name]
    for path in leftovers:
        _unlink_tree(path)
    return leftovers


def overwrite(descriptor: int, path: Path, data: bytes) -> None:
    """Replace the content of an open file in place: for the owner record of a lock, which must stay the same file."""

    def whole() -> None:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, data)

    _primitive("overwrite", path, whole)


def _primitive(
    operation: str,
    path: Path,
    whole: Callable[[], Result],
    half: Callable[[], object] | None = None,
    *,
    to: Path | None = None,
    data: Buffer = b"",
) -> Result:
    """Carry out one primitive unless a fault is due; "half" of an atomic one is the deed and then death."""
    if faults.due(operation, path, to, data):
        with suppress(OSError):
            (half or whole)()
        faults.die()
    try:
        return whole()
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS
    descriptor = _primitive("create", path, lambda: os.open(path, flags, 0o600))
    try:
        yield descriptor
    except BaseException:
        with suppress(OSError):
            os.close(descriptor)
        with suppress(OSError):
            remove(path)
        raise
    os.close(descriptor)  # not swallowed: network file systems report a full quota here


def _allocate(descriptor: int, path: Path, size: int) -> None:
    if not hasattr(os, "posix_fallocate"):
        return

    def reserve(count: int) -> None:
        try:
            os.posix_fallocate(descriptor, 0, count)
        except OSError as error:  # a file system that cannot promise space is still a file system
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise

    _primitive("allocate", path, lambda: reserve(size), lambda: reserve(max(1, size // 2)))


def _parts(chunks: Buffer | Iterable[Buffer]) -> Iterator[memoryview]:
    for chunk in (chunks,) if isinstance(chunks, Buffer) else chunks:
        view = memoryview(chunk)
        if view.nbytes == 0:
            continue
        view = view.cast("B")
        for start in range(0, len(view), WRITE_BYTES):
            yield view[start : start + WRITE_BYTES]


def _write(descriptor: int, path: Path, part: memoryview, operation: str) -> None:
    def whole() -> None:
        done = 0
        while done < len(part):
            done += os.write(descriptor, part[done:])

    _primitive(operation, path, whole, lambda: os.write(descriptor, part[: len(part) // 2]), data=part)


def _sync(descriptor: int, path: Path) -> None:
    _primitive("fsync", path, lambda: _flush(descriptor))


def _flush(descriptor: int) -> None:
    if sys.platform == "darwin":  # fsync there stops at the drive's own cache
        import fcntl

        with suppress(OSError):  # not every file system has it
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _unlink_tree(path: Path) -> None:
    if not stat.S_ISDIR(path.lstat().st_mode):
        remove(path)
        return
    for child in sorted(path.iterdir()):
        _unlink_tree(child)
    _primitive("rmdir", path, path.rmdir)
