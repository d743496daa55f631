"""Where a published set's files lie: below `LILLIPUT_DATA`, among the downloads, or fetched now and recorded."""

import functools
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.document import Part
from lilliput.corpus.fetch import from_hub, from_web
from lilliput.corpus.files import digest, shown
from lilliput.corpus.published import PUBLISHED, File, Hub, Packaged, Published, Web
from lilliput.runs import durable
from lilliput.runs.home import downloads


@dataclass(frozen=True)
class Located:
    """A file of a set, here and readable."""

    path: Path
    part: Part | None
    size: int
    origin: str
    """`lilliput`, `LILLIPUT_DATA` or `downloads`."""
    is_sample: bool = False


def locate(name: str, part: Part | None = None) -> list[Located]:
    """The files of a published set (or of one of its parts), downloaded if they have to be.

    A set is never mixed: if any file of it lies below `LILLIPUT_DATA`, that is where all of it is read.
    Raises LilliputError: UNAVAILABLE (no network), CONTENT (damaged).
    """
    published = PUBLISHED[name]
    if given := _given(published):
        return [place for place in given if part in (None, place.part)]
    return [_kept(name, file) for file in published.files if part in (None, file.part)]


def available(name: str) -> list[Part | None]:
    """The parts that `locate` would find, without looking further than `LILLIPUT_DATA`."""
    published = PUBLISHED[name]
    return [place.part for place in _given(published) or published.files]


def present(name: str) -> list[Located]:
    """The files of a published set that are here already; nothing is downloaded or verified."""
    published = PUBLISHED[name]
    if given := _given(published):
        return given
    paths = [(file, _path(name, file)) for file in published.files]
    here = [(file, path) for file, path in paths if isinstance(file.remote, Packaged) or _record(path).is_file()]
    return [Located(path, file.part, path.stat().st_size, _origin(file)) for file, path in here if path.is_file()]


def _given(published: Published) -> list[Located]:
    folder = os.environ.get("LILLIPUT_DATA")
    if not folder:
        return []
    files = [(file, Path(folder, file.local)) for file in published.files if file.local]
    return [
        Located(path, file.part, path.stat().st_size, "LILLIPUT_DATA", file.is_sample)
        for file, path in files
        if path.is_file()
    ]


def _path(name: str, file: File) -> Path:
    if isinstance(file.remote, Packaged):
        return Path(__file__).with_name(file.name)
    return downloads() / name / file.name


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _origin(file: File) -> str:
    return "lilliput" if isinstance(file.remote, Packaged) else "downloads"


def _kept(name: str, file: File) -> Located:
    path = _path(name, file)
    if not isinstance(file.remote, Packaged):
        if not (path.is_file() and _record(path).is_file()):
            _fetch(name, file, path)
        _verify(path, _version(path))
    return Located(path, file.part, path.stat().st_size, _origin(file))


def _version(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


@functools.cache
def _verify(path: Path, version: tuple[int, ...]) -> None:
    """Compare a download with its record, once per process and version of the file."""
    action = f"remove {shown(path)}; it will be downloaded again"
    try:
        record = json.loads(_record(path).read_text("utf-8"))
        expected = record["size"], record["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise LilliputError(f"the record of {shown(path)} is damaged", action, Exit.CONTENT) from None
    if digest(path) != expected:
        raise LilliputError(f"{shown(path)} is not what was downloaded", action, Exit.CONTENT)


def _fetch(name: str, file: File, path: Path) -> None:
    """Download one file; its record is written last, so that a file without one counts as absent."""
    ways = ["connect to the network"]
    if file.local:
        ways.append(f"set LILLIPUT_DATA to a folder that holds {file.local}")
    ways.append(f"put your own copy of the text in a file and name its path instead of {name}")
    action = ", or ".join(ways)
    try:
        durable.make_dir(path.parent)
        match file.remote:
            case Web():
                fetched = from_web(file.remote, path, f"{name} is not here", action)
            case Hub():
                fetched = from_hub(file.remote, path, f"{name} is not here", action)
            case Packaged():
                raise TypeError("a packaged file is not fetched")
        durable.replace(_record(path), json.dumps(asdict(fetched), indent=1).encode())
    except OSError as error:
        raise durable.explain(error) from None
