"""What preparation keeps in the home folder, by name and size, and how it is removed again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.nearest import did_you_mean
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.hub import HubSource
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
    """Remove the raw files that were downloaded of hub sets among these sources; returns the bytes that were freed.

    Their records stay, so that shards made of them are found again. Files of `LILLIPUT_DATA` and one's own stay, too.
    """
    try:
        return sum(source.delete_raw() for source in sources if isinstance(source, HubSource))
    except OSError as error:
        raise durable.explain(error) from None


def _remove(folder: Path) -> None:
    try:
        durable.remove_tree(folder)
        durable.sync_dir(folder.parent)
    except OSError as error:
        raise durable.explain(error) from None
