"""Names of corpora: what a word or an entry under `data.sources` stands for."""

import difflib
import re
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import GLOB
from lilliput.corpus.filters import expand_rules
from lilliput.corpus.hosted import HOSTED
from lilliput.corpus.published import PUBLISHED
from lilliput.corpus.registry import registered

Tree = dict[str, Any]

NAMED: dict[str, Tree] = {
    **{name: {"kind": "published", "name": name} for name in PUBLISHED},
    **{name: {"kind": "hub", "name": name} for name in HOSTED},
    "tales": {"kind": "tales"},
}
"""The built-in names and the source trees they stand for."""

KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".warc": "warc",
    ".wet": "warc",
}
"""Kinds of source by the ending of a file, compressed or not; any other is text."""
TEXT_ENDINGS = (".txt", ".text", ".md", ".gz", ".zst", *KINDS)
ON_THE_HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
"""OWNER/SET, as the hub allows it."""


def expand_sources(value: Any) -> list[Any]:
    """Source trees, ready for validation by the `Source` union, of what a recipe may write under `data.sources`.

    That is a name, OWNER/SET of the hub, a path (it ends like a text file, starts with `.`, `/` or `~`, or is a
    pattern), an entry with one of the two, or a list of these. Entries that state their kind stay as they are.
    Raises LilliputError (RECIPE) for an unknown name.
    """
    values = value if isinstance(value, list | tuple) else [value]
    return [expand(entry) for entry in values]


def expand(entry: Any) -> Any:
    """The source tree of one entry."""
    if isinstance(entry, dict) and "rules" in entry:
        entry = {**entry, "rules": expand_rules(entry["rules"])}
    if isinstance(entry, str):
        return expand({"path" if is_path(entry) else "name": entry})
    if not isinstance(entry, dict) or "kind" in entry:
        return entry  # a wrong type is refused by the union, which knows the key
    if ("name" in entry) == ("path" in entry):
        cause = "a source has both `name` and `path`" if "name" in entry else "a source has neither `name` nor `path`"
        raise LilliputError(cause, "write one of them, e.g. `{name: verdict}` or `{path: my.txt}`", Exit.RECIPE)
    if "path" in entry:
        return {"kind": kind_of(str(entry["path"])), **entry}
    return {**_named(entry["name"]), **{key: value for key, value in entry.items() if key != "name"}}


def is_path(word: str) -> bool:
    """True for a word that names files rather than a corpus."""
    return (
        word.endswith(TEXT_ENDINGS)
        or word.startswith((".", "/", "~"))
        or any(sign in word for sign in GLOB)
        or Path(word).is_absolute()
    )


def kind_of(path: str) -> str:
    """`jsonl`, `parquet`, `csv`, `warc` or `text`, by the ending, compressed or not."""
    ending = Path(path.removesuffix(".gz").removesuffix(".zst")).suffix.lower()
    return KINDS.get(ending, "text")


def _named(name: Any) -> Tree:
    own = registered()
    if isinstance(name, str) and (name in NAMED or name in own):
        return dict(NAMED[name] if name in NAMED else own[name])
    if isinstance(name, str) and ON_THE_HUB.fullmatch(name) and not Path(name).exists():
        return {"kind": "hub", "name": name}
    known = [*NAMED, *own]
    near = difflib.get_close_matches(str(name), known, n=1)
    action = f"did you mean {near[0]}?" if near else f"it may be {', '.join(known)}"
    if isinstance(name, str) and Path(name).exists():
        action = f"for the file write ./{name}"
    raise LilliputError(f"{name!r} is no corpus", action, Exit.RECIPE)
