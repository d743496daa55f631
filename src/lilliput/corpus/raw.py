"""What was downloaded of hub sets: raw files with a record that says what they are, verified, reused and removed."""

import functools
import json
import re
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import digest, shown
from lilliput.runs import durable
from lilliput.runs.home import downloads

RECORD = "record.json"


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
        return downloads() / plain(self.name) / "-".join(plain(word) for word in options if word)


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


def plain(word: str) -> str:
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
    found = [(kind, read_record(wanted.folder / kind)) for kind in ("whole", "rows")]
    serving = [kept for kind, kept in found if kept and kept.serves(rows) and (kind == "rows" or kept.is_whole)]
    return min(serving, key=lambda kept: kept.is_deleted, default=None)


def delete(wanted: Wanted, rows: int | None = None) -> int:
    """Remove the files of what serves these rows, but for the record; gives the bytes that are free now."""
    kept = present(wanted, rows)
    if kept is None:
        return 0
    write_record(replace(kept, is_deleted=True))  # before the files: a record never promises what is not there
    for piece in kept.pieces:
        durable.remove(kept.folder / piece.name)
    durable.sync_dir(kept.folder)
    return kept.size


def read_record(folder: Path) -> Kept | None:
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


def write_record(kept: Kept) -> None:
    """Say what is in a folder of raw files from now on."""
    value = {name: content for name, content in asdict(kept).items() if name != "folder"}
    durable.replace(kept.folder / RECORD, json.dumps(value, indent=1).encode())


def mark(kept: Kept) -> None:
    """Note that a person asked for a sample that a recipe's limit had left."""
    if not kept.is_asked:
        write_record(replace(kept, is_asked=True))
