"""`tokenizer_lilliput.json`: what kind of tokenizer a folder holds, and the fingerprint that it has to have."""

import json
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import durable
from lilliput.tokens.tokenizer import Tokenizer

FORMAT = 1
NAME = "tokenizer_lilliput.json"


def write_record(folder: Path, kind: str, tokenizer: Tokenizer, **more: Any) -> None:
    """Write the record of `tokenizer`; `more` is what its kind needs to build it again."""
    record = {
        "format": FORMAT,
        "kind": kind,
        "size": tokenizer.size,
        "begin": tokenizer.begin,
        "end": tokenizer.end,
        "fingerprint": tokenizer.fingerprint,
        **more,
    }
    durable.make_dir(folder)
    durable.write_new(folder / NAME, (json.dumps(record, indent=2) + "\n").encode())


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a folder, of a format that this version reads."""
    try:
        record: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
        found = record["format"]
    except FileNotFoundError as error:
        raise LilliputError(f"`{folder}` holds no tokenizer", "name a folder with a tokenizer", Exit.MISSING) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, f"`{NAME}` cannot be read") from error
    if found != FORMAT:
        cause = f"the tokenizer in `{folder}` has format {found}, not {FORMAT}"
        raise LilliputError(cause, "install the lilliput that wrote it", Exit.UNAVAILABLE)
    return record


def damaged(folder: Path, what: str) -> LilliputError:
    action = "restore the folder from a copy, or train the tokenizer again"
    return LilliputError(f"the tokenizer in `{folder}` is damaged: {what}", action, Exit.CONTENT)
