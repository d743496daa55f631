"""What was downloaded of hub sets: raw files, committed one by one with a record, reused, extended and removed."""

import functools
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import hub
from lilliput.corpus.files import digest, shown
from lilliput.runs import durable, stop
from lilliput.runs.home import downloads

RECORD = "record.json"
ROWS, BYTES = 2_000, 4 << 20
"""A raw file of sampled rows has at least this many rows and bytes, unless it is the last."""
UNASKED = 4 << 30
"""Bytes over which nothing is downloaded unless it was asked for by `corpus get` or a limit."""


@dataclass(frozen=True)
class Wanted:
    """One split of a hub set, and the columns that are read of it."""

    name: str
    """As people call the set."""
    repository: str
    subset: str | None
    split: str
    revision: str | None
    columns: tuple[str, ...]
    row_bytes: int | None = None
    """Bytes of a row, about, where the set is known."""

    @property
    def folder(self) -> Path:
        """Where its raw files lie."""
        options = [self.subset, self.split, self.revision]
        return downloads() / _plain(self.name) / "-".join(_plain(word) for word in options if word)


@dataclass(frozen=True)
class Piece:
    """One raw file."""

    name: str
    size: int
    sha256: str
    rows: int | None = None


@dataclass(frozen=True)
class Kept:
    """The raw files of a split that are here: the whole, or its first rows."""

    folder: Path
    revision: str
    is_whole: bool
    """All files of the split, or all its rows."""
    pieces: tuple[Piece, ...]
    is_asked: bool = False
    """True where a person asked for so many rows; a recipe's limit leaves it False."""
    is_deleted: bool = False
    """The files have been removed to save room; what they were is still known, so shards made of them are found."""

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)

    @property
    def rows(self) -> int | None:
        """How many rows are here, where they were counted."""
        counts = [piece.rows for piece in self.pieces if piece.rows is not None]
        return sum(counts) if len(counts) == len(self.pieces) else None

    def serves(self, rows: int | None) -> bool:
        """True where nothing more is needed for the first `rows` rows.

        Without a number a sample serves that a person asked for, never one that another recipe's limit left.
        """
        return self.is_whole or (bool(self.pieces) and (self.is_asked if rows is None else (self.rows or 0) >= rows))


def _plain(word: str) -> str:
    """A word as the name of a folder; a hub never chooses where its files go."""
    name = re.sub(r"[^\w.-]", "__", word, flags=re.ASCII).lstrip(".")
    return (
        name if name == word or name == word.replace("/", "__") else f"{name}-{sha256(word.encode()).hexdigest()[:8]}"
    )


def verify(path: Path, piece: Piece) -> None:
    """Compare a raw file with its record, once per process and version of the file.

    Raises LilliputError (CONTENT) where it is damaged or gone.
    """
    _verify(path, piece, _version(path))


def _version(path: Path) -> tuple[int, ...] | None:
    if not path.is_file():
        return None
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


@functools.cache
def _verify(path: Path, piece: Piece, version: tuple[int, ...] | None) -> None:
    if version is None or digest(path) != (piece.size, piece.sha256):
        what = "is gone" if version is None else "is not what was downloaded"
        action = f"remove the folder {shown(path.parent)}; it will be downloaded again"
        raise LilliputError(f"{shown(path)} {what}", action, Exit.CONTENT)


def present(wanted: Wanted, rows: int | None = None) -> Kept | None:
    """What is here of a split: all of it, or else the sample; None where neither serves `rows` rows."""
    kept = known(wanted, rows)
    return None if kept is None or kept.is_deleted else kept


def known(wanted: Wanted, rows: int | None = None) -> Kept | None:
    """What is here of a split, or was until its files were deleted; what is here comes first."""
    found = [(kind, _kept(wanted.folder / kind)) for kind in ("whole", "rows")]
    serving = [kept for kind, kept in found if kept and kept.serves(rows) and (kind == "rows" or kept.is_whole)]
    return min(serving, key=lambda kept: kept.is_deleted, default=None)


def delete(wanted: Wanted, rows: int | None = None) -> int:
    """Remove the files of what serves these rows, but for the record; gives the bytes that are free now."""
    kept = present(wanted, rows)
    if kept is None:
        return 0
    _record(replace(kept, is_deleted=True))  # before the files: a record never promises what is not there
    for piece in kept.pieces:
        durable.remove(kept.folder / piece.name)
    durable.sync_dir(kept.folder)
    return kept.size


def _kept(folder: Path) -> Kept | None:
    path = folder / RECORD
    try:
        record = json.loads(path.read_text("utf-8"))
        pieces = tuple(Piece(**piece) for piece in record["pieces"])
        is_whole, is_asked = bool(record["is_whole"]), bool(record["is_asked"])
        is_deleted = bool(record.get("is_deleted", False))
        return Kept(folder, str(record["revision"]), is_whole, pieces, is_asked, is_deleted)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        action = f"remove the folder {shown(folder)}; it will be downloaded again"
        raise LilliputError(f"the record {shown(path)} is damaged", action, Exit.CONTENT) from None


def _record(kept: Kept) -> None:
    value = {name: content for name, content in asdict(kept).items() if name != "folder"}
    durable.replace(kept.folder / RECORD, json.dumps(value, indent=1).encode())


@dataclass(frozen=True)
class Plan:
    """A download before its first byte: what it takes, and whether that fits."""

    wanted: Wanted
    split: hub.Split
    rows: int | None
    size: int | None
    """Bytes still to come, exactly for whole files, about for rows; None where nothing says it."""
    free: int
    """Bytes free where they go."""

    @property
    def folder(self) -> Path:
        """Where its raw files go."""
        return self.wanted.folder / ("whole" if self.rows is None else "rows")

    def check(self) -> None:
        """Raises LilliputError (DISK_FULL) where the disk has no room for it."""
        if self.size is not None and self.size > self.free:
            cause = f"{self.wanted.name} takes {amount(self.size)}, and {amount(self.free)} are free for {downloads()}"
            action = "take fewer rows with --samples, free some space, or set LILLIPUT_HOME to a folder on another disk"
            raise LilliputError(cause, action, Exit.DISK_FULL)


def plan(wanted: Wanted, rows: int | None) -> Plan:
    """Ask the hub what the split, or its first `rows` rows, will take.

    Raises LilliputError: what `hub.find_split` raises.
    """
    begun = _kept(wanted.folder / ("whole" if rows is None else "rows"))
    have = f"only {begun.rows:,} rows of {wanted.name} are here" if rows and begun and begun.rows else None
    revision = begun.revision if begun else wanted.revision
    if begun and begun.is_deleted:
        begun = None
    here = have or f"{wanted.name} is not here"
    split = hub.find_split(wanted.repository, wanted.subset, wanted.split, revision, here)
    return Plan(wanted, split, rows, _size(wanted, split, rows, begun), shutil.disk_usage(_existing(downloads())).free)


def _size(wanted: Wanted, split: hub.Split, rows: int | None, begun: Kept | None) -> int | None:
    have = {piece.name for piece in begun.pieces} if begun else set()
    if rows is None:
        return sum(file.size for number, file in enumerate(split.files) if _name(number, file) not in have)
    known = split.num_bytes and split.num_rows and split.num_bytes // split.num_rows
    each = known or wanted.row_bytes
    if each is None:
        return None
    return min(rows, split.num_rows or rows) * each - (begun.size if begun else 0)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def amount(size: int) -> str:
    """Bytes for people."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def download(planned: Plan, *, is_asked: bool = False) -> Iterator[Piece]:
    """Carry out a plan; yields each raw file once it is committed. Ended at any point, it goes on from there.

    `is_asked`: a person asked for this number of rows, so that they serve recipes without a limit, too.
    Raises LilliputError: UNAVAILABLE, CONTENT, RECIPE (no such column), DISK_FULL, IO.
    """
    folder = planned.folder
    try:
        durable.make_dir(folder)
        begun = _kept(folder)
        if begun is None or begun.is_deleted:
            _remove_strays(folder, begun)
            begun = Kept(folder, planned.split.revision, False, ())
        begun = replace(begun, is_asked=begun.is_asked or is_asked)
        yield from (_whole if planned.rows is None else _rows)(planned, begun)
    except OSError as error:
        raise durable.explain(error) from None


def _remove_strays(folder: Path, begun: Kept | None) -> None:
    """Files that a deletion was stopped before."""
    for piece in begun.pieces if begun else ():
        if (folder / piece.name).exists():
            durable.remove(folder / piece.name)


def _whole(planned: Plan, kept: Kept) -> Iterator[Piece]:
    incoming = kept.folder / "incoming"
    for number, file in enumerate(planned.split.files[len(kept.pieces) :], len(kept.pieces)):
        stop.yield_point()
        here = f"{planned.wanted.name} is not here"
        path = hub.fetch(planned.split, file, incoming, here)
        size, content = digest(path)
        piece = Piece(_name(number, file), size, content)
        durable.rename(path, kept.folder / piece.name)
        durable.sync_dir(kept.folder)
        is_last = number + 1 == len(planned.split.files)
        kept = replace(kept, is_whole=is_last, pieces=(*kept.pieces, piece))
        _record(kept)
        yield piece
    if incoming.is_dir():
        durable.remove_tree(incoming)


def _name(number: int, file: hub.Remote) -> str:
    """A raw file's name: its number, then the hub's name for it, which only has its ending for certain."""
    return f"{number:05d}-{_plain(file.path.rpartition('/')[2])}"


def _rows(planned: Plan, kept: Kept) -> Iterator[Piece]:
    assert planned.rows is not None
    done = kept.rows or 0
    source = hub.stream(planned.split, planned.wanted.columns, done, f"{planned.wanted.name} is not here")
    lines = _lines(islice(source, max(0, planned.rows - done)))
    while held := _file_of(lines):
        name = f"rows-{len(kept.pieces):05d}.jsonl"
        temporary = durable.scratch(kept.folder, name)
        record = durable.write_new(temporary, held)
        durable.rename(temporary, kept.folder / name)
        piece = Piece(name, record.size, record.sha256, len(held))
        done += len(held)
        kept = replace(kept, pieces=(*kept.pieces, piece))
        _record(kept)
        yield piece
    if done < planned.rows:  # the set has no more
        _record(replace(kept, is_whole=True))


def _lines(rows: Iterator[Mapping[str, Any]]) -> Iterator[bytes]:
    for row in rows:
        stop.yield_point()
        yield json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


def _file_of(lines: Iterator[bytes]) -> list[bytes]:
    """The lines of the next raw file; empty at the end."""
    held, size = list[bytes](), 0
    for line in lines:
        held.append(line)
        size += len(line)
        if len(held) >= ROWS and size >= BYTES:
            break
    return held


def mark(kept: Kept) -> None:
    """Note that a person asked for a sample that a recipe's limit had left."""
    if not kept.is_asked:
        _record(replace(kept, is_asked=True))


def ensure(wanted: Wanted, rows: int | None) -> Kept:
    """The raw files of a split, downloaded now if they have to be and that is no more than a person expects.

    Raises LilliputError: what `plan`, `Plan.check` and `download` raise, and UNAVAILABLE over `UNASKED` bytes.
    """
    if kept := present(wanted, rows):
        return kept
    planned = plan(wanted, rows)
    if rows is None and planned.size is not None and planned.size > UNASKED:
        cause = f"{wanted.name} is not here, and downloading all of it takes {amount(planned.size)}"
        action = f"run `lilliput corpus get {wanted.name} --samples 20000` first, or without --samples for all of it"
        raise LilliputError(cause, action, Exit.UNAVAILABLE)
    planned.check()
    for _ in download(planned):
        pass
    kept = present(wanted, rows)
    if kept is None:
        raise LilliputError(f"{wanted.name}: the hub's split {wanted.split} is empty", "name another", Exit.CONTENT)
    return kept
