"""A folder that appears finished or not at all, for content that several processes may write at once."""

from collections.abc import Callable
from pathlib import Path

import psutil

from lilliput.runs import durable


def commit_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a draft and rename it to `folder`; where another process came first, its folder stays.

    Whatever stops `write`, nothing is left of the draft; what a killed process left is removed by the next.
    """
    remove_leftovers(folder.parent, folder.name)
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


def remove_leftovers(parent: Path, label: str = "*") -> None:
    """Remove the drafts in `parent`, of the folder named `label` or of all, whose processes have ended."""
    for draft in parent.glob(f".tmp-{label}-*-*-*"):
        if _has_ended(int(draft.name.split("-")[-3])):
            durable.remove_tree(draft)


def _has_ended(process: int) -> bool:
    """Whether a process is gone, or is a zombie: killed, and not yet asked after."""
    try:
        return bool(psutil.Process(process).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
