"""Getting corpora: what each takes and whether the disk has room, told first; then their files."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus import raw, raw_download
from lilliput.corpus.downloads import locate, present
from lilliput.corpus.files import amount
from lilliput.corpus.listing import source_of
from lilliput.corpus.published import PUBLISHED
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.hub import HubSource
from lilliput.corpus.sources.published import PublishedSource
from lilliput.runs.home import downloads


@dataclass(frozen=True)
class Announced:
    """What one corpus takes, before its first byte."""

    name: str
    size: int | None
    """Bytes still to come; 0 where all of it is here, None where nothing says it."""
    origin: str


@dataclass(frozen=True)
class Got:
    """One file of a corpus that is here."""

    name: str
    path: Path
    size: int
    rows: int | None = None
    """Rows in it, where they were counted."""
    is_new: bool = False


@dataclass(frozen=True)
class _Order:
    name: str
    source: Source
    plans: tuple[raw_download.Plan, ...] = ()

    @property
    def announced(self) -> Announced:
        if isinstance(self.source, PublishedSource):
            published = PUBLISHED[self.name]
            is_here = len(present(self.name)) == len(published.files) or any(
                place.origin == "LILLIPUT_DATA" for place in present(self.name)
            )
            return Announced(self.name, 0 if is_here else published.size, published.origin)
        sizes = [plan.size for plan in self.plans]
        size = None if None in sizes else sum(max(0, size or 0) for size in sizes)
        repository = self.source.repository if isinstance(self.source, HubSource) else "itself"
        return Announced(self.name, size, f"hub: {repository}")


def get(
    names: Sequence[str], samples: int | None = None, options: Mapping[str, Any] | None = None
) -> Iterator[Announced | Got]:
    """Announce all corpora, refuse what does not fit, then download each; yields its files as they are committed.

    What is here already is not downloaded again. `samples` documents of each hub set are taken, or all of it.
    Raises LilliputError: DISK_FULL before the first byte; what the hub and the downloads raise.
    """
    orders = [_order(name, samples, options or {}) for name in names]
    announced = [order.announced for order in orders]
    yield from announced
    _check(announced)
    for order in orders:
        yield from _files(order)


def _order(name: str, samples: int | None, options: Mapping[str, Any]) -> _Order:
    limit = {} if samples is None else {"max_samples": samples}
    source = source_of(name, {**options, **limit})
    if isinstance(source, HubSource) and not source.is_given:
        missing = [each for part in source.splits() if not _is_here(each := source.wanted(part), source.rows())]
        return _Order(name, source, tuple(raw_download.plan(each, source.rows()) for each in missing))
    if isinstance(source, PublishedSource) and samples is not None and PUBLISHED[name].size > raw_download.UNASKED >> 2:
        cause = f"{name} comes as whole files: it cannot be cut to {samples:,} documents before it is here"
        action = f"leave --samples out, or name its repository on the hub, which comes row by row{_repository(name)}"
        raise LilliputError(cause, action, Exit.USAGE)
    return _Order(name, source)


def _is_here(wanted: raw.Wanted, rows: int | None) -> bool:
    """Asked for whole, a sample is not enough; asked for a number, what a recipe's limit left is from now on."""
    kept = raw.present(wanted, rows)
    if kept is None or (rows is None and not kept.is_whole):
        return False
    raw.mark(kept)
    return True


def _repository(name: str) -> str:
    origin = PUBLISHED[name].origin
    return f": {origin.removeprefix('hub: ').partition(',')[0]}" if origin.startswith("hub: ") else ""


def _check(announced: Sequence[Announced]) -> None:
    """Raises LilliputError (DISK_FULL) where the corpora together have no room."""
    need, free = sum(each.size or 0 for each in announced), free_space()
    if need > free:
        names = ", ".join(each.name for each in announced if each.size)
        cause = f"{names}: {amount(need)} to download, and {amount(free)} are free for {downloads()}"
        action = "take fewer documents with --samples, free some space, or set LILLIPUT_HOME to another disk"
        raise LilliputError(cause, action, Exit.DISK_FULL)


def free_space() -> int:
    """Bytes free where downloads go."""
    folder = downloads().absolute()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir())).free


def _files(order: _Order) -> Iterator[Got]:
    new = set[Path]()
    for plan in order.plans:
        for piece in raw_download.download(plan, is_asked=True):
            path = plan.folder / piece.name
            new.add(path)
            yield Got(order.name, path, piece.size, piece.rows, is_new=True)
    if isinstance(order.source, PublishedSource):
        paths = [place.path for place in locate(order.name)]
    else:
        paths = [Path(piece) for piece in order.source.pieces() if piece]
    yield from (Got(order.name, path, path.stat().st_size) for path in paths if path not in new)
