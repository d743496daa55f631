"""Files of a corpus: paths, folders and globs become a sorted list; bytes come in blocks, compressed ones verified."""

import glob
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.compressed import COMPRESSED, DAMAGE, decompress, no_archive, verify

BLOCK = 1 << 20
"""Bytes read at a time."""
GLOB = "*?["


def shown(path: Path | str) -> str:
    """A path for a message or a key: always one printable line, also where its bytes are no UTF-8."""
    word = os.fsencode(path).decode("utf-8", "backslashreplace")
    return word if word.isprintable() else ascii(word)[1:-1]


def amount(size: int) -> str:
    """Bytes for people."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def find(path: str, suffix: str) -> list[Path]:
    """The files that `path` names, sorted: a file, a pattern's, or a folder's `*suffix` files (also compressed).

    Raises LilliputError (MISSING) where there is none.
    """
    try:
        return _find(os.path.expanduser(path), suffix)  # noqa: PTH111 (a glob is no path)
    except OSError as error:
        raise unreadable(path, error) from None
    except ValueError:
        raise LilliputError(f"{shown(path)} is no path", "paths hold no zero byte", Exit.MISSING) from None


def _find(path: str, suffix: str) -> list[Path]:
    if any(sign in path for sign in GLOB) and not os.path.lexists(path):
        files = sorted(name for name in set(_matching(path)) if name.is_file())
        if not files:
            raise LilliputError(f"no file matches {shown(path)}", "check the pattern", Exit.MISSING)
        return files
    if not Path(path).is_dir():
        Path(path).stat()
        return [Path(path)]
    files = sorted(_inside(Path(path), suffix), key=lambda file: os.fsencode(file.as_posix()))
    if not files:
        action = f"name files with a pattern, e.g. {shown(path).rstrip('/')}/**/*.*"
        raise LilliputError(f"the folder {shown(path)} holds no {suffix} file", action, Exit.MISSING)
    return files


def _matching(pattern: str) -> Iterator[Path]:
    """What a pattern names; `**` is this folder and all below, but none behind a link, which could lead in circles."""
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from map(Path, glob.glob(pattern))  # noqa: PTH207 (may be absolute)
        return
    at = parts.index("**")
    for top in glob.glob(str(Path(*parts[:at]))) if at else ["."]:  # noqa: PTH207
        for where, folders, _ in os.walk(top):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from _matching(str(Path(glob.escape(where), *(parts[at + 1 :] or ("*",)))))


def _inside(folder: Path, suffix: str) -> Iterator[Path]:
    endings = (suffix, *(suffix + ending for ending in COMPRESSED))

    def refuse(error: OSError) -> None:
        raise error

    for where, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(where, name) for name in names if name.endswith(endings))


def unreadable(path: Path | str, error: OSError) -> LilliputError:
    """What a person is told when the system refuses a file."""
    reason = (error.strerror or str(error)).lower()
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        action = "check the path; a recipe's text is chosen by `data.sources=`"
        return LilliputError(f"{shown(path)} does not exist", action, Exit.MISSING)
    return LilliputError(f"{shown(path)} cannot be read: {reason}", "check the file and its permissions", Exit.IO)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file opened for reading; pipes, devices and folders are refused without waiting for them."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 (a descriptor is no path)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise LilliputError(f"{shown(path)} is not a file", "name a regular file", Exit.IO)
            yield file
    except OSError as error:
        raise unreadable(path, error) from None


def blocks(path: Path) -> Iterator[bytes]:
    """The content of a file in blocks, decompressed by its ending (.gz, .zst).

    A compressed file is first read to its last checksum, so that no block of a damaged one is ever used.
    Raises LilliputError: MISSING, IO (also where it changed while it was read), or Damaged.
    """
    with opened(path) as file, at_rest(file, path):
        if path.suffix in COMPRESSED:
            verify(file, path.suffix, shown(path))
            file.seek(0)
            yield from no_archive(_again(file, path), shown(path))
        else:
            yield from no_archive(iter(lambda: file.read(BLOCK), b""), shown(path))


@contextmanager
def at_rest(file: BinaryIO, path: Path) -> Iterator[None]:
    """Refuse a file (IO) that is another at the end, or that changed so that it cannot be read on."""
    before = _version(file)
    try:
        yield
    except Exception:
        if _version(file) == before:
            raise
    if _version(file) != before:
        raise _changed(path)


def _again(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The blocks of a compressed file that was verified."""
    try:
        yield from decompress(file, path.suffix)
    except DAMAGE:
        raise _changed(path) from None


def _changed(path: Path) -> LilliputError:
    return LilliputError(f"{shown(path)} changed while it was read", "let its writer finish first", Exit.IO)


def _version(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def digest(path: Path) -> tuple[int, str]:
    """(bytes, sha256) of a file as it lies on the disk."""
    total, hashed = 0, hashlib.sha256()
    with opened(path) as file:
        while block := file.read(BLOCK):
            total += len(block)
            hashed.update(block)
    return total, hashed.hexdigest()


def lines(path: Path, longest: int) -> Iterator[tuple[int, bytes | None]]:
    """(byte offset, line without its line feed) of each line; None stands for a line over `longest` bytes."""
    offset, size = 0, 0
    held: list[bytes] = []
    for block in blocks(path):
        first, *rest = block.split(b"\n")
        for part in rest:
            size += len(first)
            yield offset, None if size > longest else b"".join((*held, first))
            offset, size, held, first = offset + size + 1, 0, [], part
        size += len(first)
        held = [*held, first] if size <= longest else []
    if size:
        yield offset, None if size > longest else b"".join(held)
