"""Scanning a folder: every corpus file below it, whatever its kind, as sources."""

from pathlib import Path

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import find, shown
from lilliput.corpus.listing import source_of
from lilliput.corpus.named import kind_of
from lilliput.corpus.sources import Source

RAW = "data/raw"
"""Where a project's own raw text lies unless a person says otherwise."""
ENDINGS = (".txt", ".jsonl", ".parquet", ".csv", ".warc")
"""What is looked for below a folder, compressed or not."""


def scan(folder: str) -> list[Source]:
    """One source for each kind of file below a folder.

    Raises LilliputError (MISSING) where there is none.
    """
    if not Path(folder).is_dir():
        action = "name a corpus, a file or a folder, or put text there"
        raise LilliputError(f"there is no folder {shown(folder)}", action, Exit.MISSING)
    endings = [ending for ending in ENDINGS if _holds(folder, ending)]
    if not endings:
        action = f"corpus files end in {', '.join(ENDINGS)}, also with .gz or .zst"
        raise LilliputError(f"no text lies below {shown(folder)}", action, Exit.MISSING)
    return [source_of(f"./{folder}", {"kind": kind_of(f"any{ending}"), "path": folder}) for ending in endings]


def _holds(folder: str, ending: str) -> bool:
    try:
        return bool(find(folder, ending))
    except LilliputError as error:
        if error.code != Exit.MISSING:
            raise
        return False
