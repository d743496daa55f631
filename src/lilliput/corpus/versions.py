"""What code says of itself: a hash of a function's module and all it builds on, blind to words for people."""

import ast
import functools
import hashlib
import importlib.metadata
import sys
from importlib.util import find_spec
from pathlib import Path

OWN = "lilliput.corpus"


@functools.cache
def code(module: str) -> str:
    """sha256 over the code of a module, of those of this room it imports, and the versions of other libraries.

    Docstrings and comments do not count, so that a better explanation makes nothing stale.
    """
    told: dict[str, str] = {}
    _collect(module, told)
    return hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest()


def _collect(module: str, told: dict[str, str]) -> None:
    spec = find_spec(module)
    if module in told or spec is None or spec.origin is None:
        return
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    told[module] = ast.dump(_without_words(tree))
    for name in _imported(tree):
        if name.startswith(OWN):
            _collect(name, told)
        elif (top := name.partition(".")[0]) not in sys.stdlib_module_names and top != "lilliput":
            told[top] = _version(top)


def _without_words(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [line for line in body if not _is_word(line)]
            node.body = kept  # type: ignore[attr-defined]
    return tree


def _is_word(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def _imported(tree: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return sorted(set(found))


def _version(library: str) -> str:
    """The installed version, or nothing. Here every library has the name of its module."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""
