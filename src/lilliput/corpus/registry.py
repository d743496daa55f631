"""Own corpora by name: `corpora.json` in the home folder, one source tree each."""

import json
import re
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import shown, unreadable
from lilliput.runs import durable
from lilliput.runs.home import corpora_file

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def registered() -> dict[str, dict[str, Any]]:
    """Name -> source tree, as `lilliput corpus add` wrote them; empty where there are none."""
    path = corpora_file()
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(isinstance(tree, dict) for tree in content.values()):
        raise LilliputError(f"{shown(path)} is damaged", "remove it and add the corpora again", Exit.CONTENT)
    return content


def register(name: str, tree: dict[str, Any], taken: set[str]) -> None:
    """Add a source tree under a name that neither the built-in sets (`taken`) nor another corpus has.

    Raises LilliputError: USAGE (no name), EXISTS.
    """
    if not NAME.fullmatch(name):
        raise LilliputError(f"{name!r} is no name", "use lower-case letters, digits, - and _", Exit.USAGE)
    known = registered()
    if name in taken or known.get(name, tree) != tree:
        where = "a built-in corpus" if name in taken else shown(str(known[name].get("path")))
        raise LilliputError(f"the name {name} is taken by {where}", "choose another name", Exit.EXISTS)
    try:
        durable.make_dir(corpora_file().parent)
        content = json.dumps({**known, name: tree}, indent=1, sort_keys=True, ensure_ascii=True)
        durable.replace(corpora_file(), content.encode())
    except OSError as error:
        raise durable.explain(error) from None
