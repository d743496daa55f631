"""The ledger: all runs under a root with their true status, derived from lock and exit record, never stored."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import checkpoints, metrics
from lilliput.runs.lock import is_locked
from lilliput.runs.run import Run

STALLED_SECONDS = 300
STATUS = {
    0: "finished",
    Exit.INTERRUPTED: "stopped",
    Exit.TERMINATED: "stopped",
    Exit.DIVERGED: "diverged",
    Exit.MEMORY: "out of memory",
    Exit.DISK_FULL: "disk full",
}


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; `loss` is the last one logged, `problem` why something could not be read."""

    name: str
    path: str
    status: str
    step: int
    loss: float | None
    created: float | None
    checkpoints: tuple[int, ...]
    problem: str = ""


def listing(root: Path) -> list[Entry]:
    """Every run below `root`, oldest first; a damaged one is listed with its problem."""
    runs = [Run(path) for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []
    entries = [entry(run) for run in runs if not run.is_new]
    return sorted(entries, key=lambda item: (item.created or 0, item.name))


def entry(run: Run) -> Entry:
    """What the ledger says of one run."""
    created, problem = None, ""
    try:
        created = float(run.facts["created"])
    except LilliputError as error:
        problem = error.cause
    except (KeyError, TypeError, ValueError):
        problem = f"{run.manifest}: has no date"
    try:
        ended = status(run)
    except LilliputError as error:
        ended, problem = "damaged", problem or error.cause
    steps = tuple(dict.fromkeys(step for step, _ in checkpoints.listing(run.checkpoints)))
    last = metrics.last(run.metrics.path)
    loss = None if last.get("loss") is None else float(last["loss"])
    step = max(int(last.get("step", 0)), *steps, 0)
    return Entry(run.name, str(run.path), ended, step, loss, created, steps, problem)


def status(run: Run) -> str:
    """running, paused, stalled; or finished, stopped, diverged, out of memory, disk full, failed, lost.

    Raises Damaged where what says how it ended is not as it was written; the ledger calls that damaged.
    """
    if is_locked(run.lock.path):
        return _living(_heartbeat(run))
    ended = run.state.exit
    if not isinstance(ended, dict):
        return "lost"
    return STATUS.get(ended.get("code", Exit.BUG), "failed")


def _living(beat: dict[str, Any]) -> str:
    if str(beat.get("phase", "")).startswith("paused"):
        return "paused"
    age = time.monotonic() - float(beat.get("monotonic", time.monotonic()))
    return "stalled" if age > STALLED_SECONDS else "running"


def _heartbeat(run: Run) -> dict[str, Any]:
    try:
        beat = json.loads(run.heartbeat.read_bytes())
    except (OSError, ValueError):
        return {}
    return beat if isinstance(beat, dict) else {}
