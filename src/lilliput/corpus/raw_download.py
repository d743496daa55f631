"""Downloads of hub sets: what one takes is planned first, then each raw file is committed by itself."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import hub, watching
from lilliput.corpus.files import amount, digest
from lilliput.corpus.raw import Kept, Piece, Wanted, plain, present, read_record, write_record
from lilliput.runs import durable, stop
from lilliput.runs.home import downloads

ROWS, BYTES = 2_000, 4 << 20
"""A raw file of sampled rows has at least this many rows and bytes, unless it is the last."""
UNASKED = 4 << 30
"""Bytes over which nothing is downloaded unless it was asked for by `corpus get` or a limit."""


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
    begun = read_record(wanted.folder / ("whole" if rows is None else "rows"))
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


def download(planned: Plan, *, is_asked: bool = False) -> Iterator[Piece]:
    """Carry out a plan; yields each raw file once it is committed. Ended at any point, it goes on from there.

    `is_asked`: a person asked for this number of rows, so that they serve recipes without a limit, too.
    Raises LilliputError: UNAVAILABLE, CONTENT, RECIPE (no such column), DISK_FULL, IO.
    """
    folder = planned.folder
    try:
        durable.make_dir(folder)
        begun = read_record(folder)
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
        write_record(kept)
        yield piece
    if incoming.is_dir():
        durable.remove_tree(incoming)


def _name(number: int, file: hub.Remote) -> str:
    """A raw file's name: its number, then the hub's name for it, which only has its ending for certain."""
    return f"{number:05d}-{plain(file.path.rpartition('/')[2])}"


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
        write_record(kept)
        yield piece
    if done < planned.rows:  # the set has no more
        write_record(replace(kept, is_whole=True))


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
    with watching.working(f"downloading {wanted.name}", rows, 0 if rows else len(planned.split.files)) as work:
        for piece in download(planned):
            work.finish(piece.rows or 0, piece.size)
    kept = present(wanted, rows)
    if kept is None:
        raise LilliputError(f"{wanted.name}: the hub's split {wanted.split} is empty", "name another", Exit.CONTENT)
    return kept
