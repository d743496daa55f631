"""Scanning a folder: every text file below it, whatever its kind, as sources."""

import os
from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import shown, unreadable
from lilliput.corpus.listing import source_of
from lilliput.corpus.named import TEXT_ENDINGS, kind_of
from lilliput.corpus.sources import Source

RAW = "data/raw"
"""Where a project's own raw text lies unless a person says otherwise."""


def scan(folder: str) -> list[Source]:
    """One source for each kind of file below a folder: text, JSON lines and whatever else a corpus may be.

    Raises LilliputError (MISSING) where there is none.
    """
    if not Path(folder).is_dir():
        action = "name a corpus, a file or a folder, or put text there"
        raise LilliputError(f"there is no folder {shown(folder)}", action, Exit.MISSING)
    kinds = sorted({kind_of(name) for name in _names(folder) if name.endswith(TEXT_ENDINGS)}, reverse=True)
    sources = [source_of(folder, {"kind": kind, "path": folder}) for kind in kinds]
    if not sources:
        action = f"text files end in {', '.join(TEXT_ENDINGS)}"
        raise LilliputError(f"no text file lies below {shown(folder)}", action, Exit.MISSING)
    return sources


def _names(folder: str) -> list[str]:
    def refuse(error: OSError) -> None:
        raise unreadable(folder, error)

    return [name for _, _, names in os.walk(folder, onerror=refuse) for name in names]
