"""What preparation keeps in the home folder, by name and size, and how it is removed again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.nearest import did_you_mean
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.hub import HubSource
from lilliput.corpus.sources.published import PublishedSource
from lilliput.runs import durable
from lilliput.runs.home import clean, downloads, shards


@dataclass(frozen=True)
class Held:
    """A part of the cache that is removed by its name."""

    name: str
    what: str
    files: int
    bytes: int
    folder: Path


def held() -> list[Held]:
    """Raw files of each downloaded set, then cleaned documents and shards as a whole; what is empty is left out."""
    folders = sorted(path for path in _inside(downloads()) if path.is_dir())
    found = [_held(path.name.replace("__", "/", 1), "raw files of a set", path) for path in folders]
    found += [_held("clean", "cleaned documents", clean()), _held("shards", "prepared tokens", shards())]
    return [each for each in found if each.files]


def _inside(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []


def _held(name: str, what: str, folder: Path) -> Held:
    sizes = [path.lstat().st_size for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return Held(name, what, len(sizes), sum(sizes), folder)


def clear(names: Sequence[str]) -> list[Held]:
    """Remove parts of the cache; it costs downloads or a preparation, never a run or a text of one's own.

    Raises LilliputError (MISSING) where there is none of a name, and then removes nothing.
    """
    known = {each.name: each for each in held()}
    for name in names:
        if name not in known:
            action = f"it may be {', '.join(known)}" if known else "nothing is kept"
            raise LilliputError(f"nothing of {name!r} is kept{did_you_mean(name, known)}", action, Exit.MISSING)
    for name in names:
        _remove(known[name].folder)
    return [known[name] for name in names]


def remove_raw(sources: Sequence[Source]) -> int:
    """Remove the raw files that were downloaded for these sources; returns the bytes that were freed.

    Only what lies below the downloads is removed: files of `LILLIPUT_DATA` and one's own are not.
    """
    freed = 0
    for source in sources:
        for folder in _raw(source):
            freed += _held("", "", folder).bytes
            _remove(folder)
    return freed


def _raw(source: Source) -> list[Path]:
    """The folders of a source's raw files that are there."""
    if isinstance(source, HubSource):
        folders = [source.wanted(part).folder for part in source.splits()]
    elif isinstance(source, PublishedSource):
        folders = [downloads() / source.name]
    else:
        folders = []
    return [folder for folder in folders if folder.is_dir()]


def _remove(folder: Path) -> None:
    try:
        durable.remove_tree(folder)
        durable.sync_dir(folder.parent)
    except OSError as error:
        raise durable.explain(error) from None
