"""Which corpora there are, whether they are here, and adding one's own."""

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.load import load
from lilliput.config.settings import settings
from lilliput.corpus import raw
from lilliput.corpus.downloads import present
from lilliput.corpus.files import GLOB
from lilliput.corpus.hosted import HOSTED
from lilliput.corpus.named import NAMED, expand, is_path, kind_of
from lilliput.corpus.published import PUBLISHED
from lilliput.corpus.reading import Reader, Reading
from lilliput.corpus.registry import register, registered
from lilliput.corpus.sources import Source
from lilliput.corpus.sources.hub import HubSource


@dataclass(frozen=True)
class Listed:
    """A corpus as `lilliput corpus list` shows it."""

    name: str
    about: str
    license: str
    size: int | None
    """Bytes of text of the whole set; None where it is as long as one asks for, or one's own."""
    origin: str
    here: str
    """`yes`, `sample`, `some parts` or `no`."""


@settings
class _Given:
    source: Source


def listing() -> list[Listed]:
    """Built-in corpora in their order, then one's own by name."""
    made = {**dict.fromkeys(PUBLISHED, _published), **dict.fromkeys(HOSTED, _hosted)}
    built_in = [made.get(name, _generated)(name) for name in NAMED]
    own = [_own(name, tree) for name, tree in sorted(registered().items())]
    return built_in + own


def _published(name: str) -> Listed:
    published, found = PUBLISHED[name], present(name)
    here = "no" if not found else "yes" if len(found) == len(published.files) else "some parts"
    if any(place.is_sample for place in found):
        here = "sample"
    return Listed(name, published.about, published.license, published.size, published.origin, here)


def _hosted(name: str) -> Listed:
    hosted, source = HOSTED[name], HubSource(name=name)
    kept = [raw.present(source.wanted(part)) for part in source.splits()]
    if source.is_given:
        here = "sample"
    elif not any(kept):
        here = "no"
    else:
        here = "yes" if all(each and each.is_whole for each in kept) else "sample"
    return Listed(name, hosted.about, hosted.license, hosted.size, f"hub: {hosted.repository}", here)


def _generated(name: str) -> Listed:
    return Listed(name, "stories of known entropy, as many as you ask for", "MIT", None, "generated", "yes")


def _own(name: str, tree: dict[str, Any]) -> Listed:
    path = str(tree.get("path"))
    is_here = Path(path).exists() or any(sign in path for sign in GLOB)
    return Listed(name, f"your own: {path}", "yours", None, path, "yes" if is_here else "no")


def source_of(word: str, options: dict[str, Any] | None = None) -> Source:
    """The source that a name or a path stands for; a file that exists needs no ending.

    Raises LilliputError (RECIPE) for an unknown name or a wrong option.
    """
    key = "path" if is_path(word) or (Path(word).exists() and word not in NAMED) else "name"
    return load(_Given, {"source": {**expand({key: word}), **(options or {})}}, origin=word).source


def add(name: str, path: str, options: dict[str, Any] | None = None) -> Source:
    """Register one's own text under a name, after reading its first document.

    Raises LilliputError: what reading raises; USAGE and EXISTS for the name.
    """
    whole = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 (a pattern is no path)
    tree = {"kind": kind_of(path), "path": whole, **(options or {})}
    source = load(_Given, {"source": tree}, origin=name).source
    if not list(islice(source.documents(Reader(Reading(invalid_utf8="replace"))), 1)):
        raise LilliputError(f"{path} holds no text", "name files with text", Exit.CONTENT)
    register(name, tree, set(NAMED))
    return source
