"""A folder of files that change together: hashed in one manifest, which is replaced whole, by one writer at a time.

A file is never overwritten. `put` writes the next version of each name, then the manifest, which is the commit, then
removes the versions before: a process that dies anywhere leaves the folder as it was or as it was to be.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import durable
from lilliput.runs.damage import Damaged
from lilliput.runs.durable import FileRecord
from lilliput.runs.lock import RunLock
from lilliput.runs.sealed import format_of, hash_file, regular_file, seal, unseal

FORMAT = 1
MANIFEST, LOCK = "MANIFEST.json", "LOCK"
WAIT_SECONDS = 120
"""Patience with another process that puts something into the same folder at this moment."""
FIELDS = {"file": str, "size": int, "sha256": str}


@dataclass(frozen=True)
class Kept:
    """Where a name's file lies, and what it is; no record in a folder that was made before there was a manifest."""

    path: Path
    record: FileRecord | None


class Shelf:
    """The files of a folder by name; `suffix` is what their files end with."""

    def __init__(self, path: Path, suffix: str) -> None:
        self.path, self.suffix, self.manifest = path, suffix, path / MANIFEST
        self._version = re.compile(rf"(.+)\.v([0-9]+){re.escape(suffix)}")

    def kept(self) -> dict[str, Kept]:
        """What the folder holds by name; nothing where it is not there. Raises Damaged, and UNAVAILABLE if newer."""
        if not self.manifest.is_file():
            return self._without_manifest()
        document = unseal(self.manifest)
        format_of(self.manifest, document, FORMAT)
        files = document.get("files")
        if not isinstance(files, dict) or not all(_is_entry(entry) for entry in files.values()):
            raise Damaged(self.manifest, f"{MANIFEST} lists no files")
        return {
            name: Kept(self.path / entry["file"], FileRecord(entry["size"], entry["sha256"]))
            for name, entry in files.items()
        }

    def put(self, writers: Mapping[str, Callable[[Path], FileRecord]]) -> None:
        """Make what each function writes, into the path it is given, the file of its name: all of them or none.

        Raises OSError, and LilliputError with Exit.LOCKED where another process does not come to an end.
        """
        durable.make_dir(self.path)
        with _patiently(RunLock(self.path / LOCK)):
            durable.sweep(self.path)
            before = self._managed()
            after = before | self._written(writers, before)
            self._commit(after)
            for name in writers:
                with suppress(OSError):  # it is not named any more; the next `put` tries again
                    self._remove_others(name, after)

    def _written(
        self, writers: Mapping[str, Callable[[Path], FileRecord]], before: Mapping[str, Kept]
    ) -> dict[str, Kept]:
        written: dict[str, Kept] = {}
        try:
            for name, write in writers.items():
                self._remove_others(name, before)
                target = self.path / f"{name}.v{self._number(name, before) + 1}{self.suffix}"
                written[name] = Kept(target, None)
                written[name] = Kept(target, write(target))
            durable.sync_dir(self.path)
        except BaseException:
            for kept in written.values():
                with suppress(OSError):
                    durable.remove(kept.path)
            raise
        return written

    def _commit(self, kept: Mapping[str, Kept]) -> None:
        files = {name: {"file": one.path.name, **asdict(one.record)} for name, one in kept.items() if one.record}
        durable.replace(self.manifest, seal({"format": FORMAT, "files": files}))

    def _managed(self) -> dict[str, Kept]:
        """What is there; files of before there was a manifest get one, before anything with a version is written."""
        kept = self.kept()
        if not self.manifest.is_file():
            kept = {name: Kept(one.path, _record(one.path)) for name, one in kept.items()}
            self._commit(kept)
        return kept

    def _without_manifest(self) -> dict[str, Kept]:
        found = sorted(self.path.glob(f"*{self.suffix}")) if self.path.is_dir() else []
        if any(self._version.fullmatch(path.name) for path in found):
            raise Damaged(self.manifest, f"{MANIFEST} is not there, and without it no file can be checked")
        return {
            path.name.removesuffix(self.suffix): Kept(path, None) for path in found if not path.name.startswith(".")
        }

    def _number(self, name: str, kept: Mapping[str, Kept]) -> int:
        match = self._version.fullmatch(kept[name].path.name) if name in kept else None
        return int(match[2]) if match else 0

    def _remove_others(self, name: str, kept: Mapping[str, Kept]) -> None:
        """Remove versions of a name that the manifest does not mean: superseded, or never committed."""
        for path in sorted(self.path.iterdir()):
            match = self._version.fullmatch(path.name)
            is_own = (match and match[1] == name) or path.name == f"{name}{self.suffix}"
            if is_own and (name not in kept or path != kept[name].path):
                durable.remove(path)


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or {key: type(value) for key, value in entry.items()} != FIELDS:
        return False
    return entry["file"] not in ("", ".", "..") and not set(entry["file"]) & set("/\\:\0")


def _record(path: Path) -> FileRecord:
    with regular_file(path) as descriptor:
        return FileRecord(os.fstat(descriptor).st_size, hash_file(descriptor))


@contextmanager
def _patiently(lock: RunLock) -> Iterator[None]:
    deadline = time.monotonic() + WAIT_SECONDS
    while not lock.is_held:
        try:
            lock.acquire()
        except LilliputError as error:
            if error.code is not Exit.LOCKED or time.monotonic() > deadline:
                raise
    try:
        yield
    finally:
        lock.release()
