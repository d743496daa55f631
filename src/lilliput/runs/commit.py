"""A folder that appears finished or not at all, for content that several processes may write at once."""

from collections.abc import Callable
from pathlib import Path

import psutil

from lilliput.runs import durable


def commit_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a draft and rename it to `folder`; where another process came first, its folder stays.

    Whatever stops `write`, nothing is left of the draft; what a killed process left is removed by the next.
    """
    _remove_leftovers(folder)
    draft = durable.scratch(folder.parent, folder.name)
    try:
        durable.make_dir(draft, new=True)
        write(draft)
        durable.sync_dir(draft)
        try:
            durable.rename(draft, folder)
        except OSError:  # a folder with files in it cannot be renamed over
            if not folder.exists():
                raise
        durable.sync_dir(folder.parent)
    finally:
        if draft.exists():
            durable.remove_tree(draft)


def _remove_leftovers(folder: Path) -> None:
    for draft in folder.parent.glob(f".tmp-{folder.name}-*-*-*"):
        if not psutil.pid_exists(int(draft.name.split("-")[-3])):
            durable.remove_tree(draft)
