"""Reading what was stored: regular files in bounded memory, and JSON documents that carry their own hash."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs.damage import Damaged
from lilliput.runs.durable import FLAGS

SEAL = "sha256"
READ_BYTES = 1 << 20
MAX_DOCUMENT = 16 << 20


def seal(document: Mapping[str, Any]) -> bytes:
    """The document as JSON with the hash of all its other keys under `sha256`."""
    text = json.dumps({**document, SEAL: _hash(document)}, indent=1, ensure_ascii=False)
    return f"{text}\n".encode("utf-8", "backslashreplace")


def unseal(path: Path, *, required: bool = True) -> dict[str, Any]:
    """Read a sealed document; raises Damaged unless every value is as it was written.

    Where it is not `required`, one without a hash, as older versions wrote it, is taken as it is.
    """
    try:
        with regular_file(path) as descriptor:
            data = memoryview(bytearray(min(os.fstat(descriptor).st_size, MAX_DOCUMENT)))
            text = data[: read_into(descriptor, data)].tobytes()
        document = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no JSON"
        raise Damaged(path, f"{path.name} cannot be read: {reason}") from None
    if not isinstance(document, dict):
        raise Damaged(path, f"{path.name} is no JSON object")
    if (required or SEAL in document) and document.get(SEAL) != _hash(document):
        raise Damaged(path, f"{path.name} differs from its own hash")
    return document


def format_of(path: Path, document: Mapping[str, Any], newest: int) -> int:
    """A document's format; raises Damaged for none, LilliputError with Exit.UNAVAILABLE for one beyond `newest`."""
    found = document.get("format")
    if type(found) is not int:
        raise Damaged(path, f"{path.name} has no format")
    if found > newest:
        cause = f"{path} has format {found}; this version reads up to {newest}"
        raise LilliputError(cause, "install a newer lilliput", Exit.UNAVAILABLE)
    return found


@contextmanager
def regular_file(path: Path) -> Iterator[int]:
    """An open descriptor of a regular file, whatever else may lie under its name."""
    descriptor = open_regular(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> int:
    """Open for reading; a directory, pipe, device or link in the place of a file is Damaged."""
    descriptor = os.open(path, os.O_RDONLY | FLAGS | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Damaged(path, f"{path.name} is not a regular file")
    return descriptor


def hash_file(descriptor: int) -> str:
    """sha256 of an open file from its beginning, in bounded memory."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    digest = hashlib.sha256()
    block = memoryview(bytearray(max(1, min(os.fstat(descriptor).st_size, READ_BYTES))))
    while count := read_into(descriptor, block):
        digest.update(block[:count])
    return digest.hexdigest()


def read_into(descriptor: int, target: memoryview) -> int:
    """Fill `target` from the descriptor's position; fewer bytes only at the end of the file."""
    done = 0
    while done < len(target) and (part := os.read(descriptor, min(len(target) - done, READ_BYTES))):
        target[done : done + len(part)] = part
        done += len(part)
    return done


def _hash(document: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
