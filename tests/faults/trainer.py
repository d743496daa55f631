"""Attempts at training runs of one recipe, forked from a warm server, to be killed, stopped and finished."""

import json
import random
import signal
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import Any

from tests.faults import reference_task

from lilliput.runs.checkpoints import STATE, listing, verify
from lilliput.runs.run import Run

PRELOAD = (
    "torch._inductor.standalone_compile",
    "numpy.ma",
    "lilliput.stages.begin",
    "lilliput.cli.train",
    "lilliput.cli.progress",
)
"""Imported by the server and never run there; the first is what torch itself imports when it trains."""

NOTHING: Mapping[str, Any] = {}


class Trainer:
    """A recipe, and what its uninterrupted run leaves; every run has a home of its own."""

    def __init__(self, server: Any, folder: Path, *, task: Mapping[str, Any] = NOTHING, **changes: Any) -> None:
        """`task` is what every attempt tells `reference_task.train`; `changes` are the recipe's."""
        self.server, self.folder, self.names, self.task = server, folder, count(1), task
        self.recipe = reference_task.recipe(folder / "task", **changes)
        first = self.start()
        assert first.attempt() == 0, first.said()
        self.expected = first.outcome()
        self.start().check_finish()
        self.seconds = server.seconds

    def start(self) -> "Attempts":
        return Attempts(self, self.folder / str(next(self.names)))


class Attempts:
    """One run and its attempts."""

    def __init__(self, trainer: Trainer, folder: Path) -> None:
        self.trainer, self.folder, self.path, self.home = trainer, folder, folder / "run", folder / "home"
        folder.mkdir()

    def attempt(self, task: Mapping[str, Any] = NOTHING, **how: Any) -> int:
        """Begin or resume; the exit code, or minus the signal. `task` is for `train`, `how` for `ForkServer.run`."""
        return self.trainer.server.run({**self._task(), **self.trainer.task, **task}, **how)

    def trace(self, task: Mapping[str, Any] = NOTHING) -> list[dict[str, Any]]:
        """The durable calls of one attempt."""
        into = self.folder / "trace"
        self.attempt(task, trace=into)
        return [json.loads(line) for line in into.read_text().splitlines()]

    def outcome(self) -> dict[str, Any]:
        return reference_task.outcome(self.path)

    def newest_state(self) -> dict[str, Any]:
        """`state.json` of the newest checkpoint."""
        found = Run.open(self.path).newest(repair=False)
        assert found.path is not None
        state: dict[str, Any] = json.loads((found.path / STATE).read_bytes())
        return state

    def said(self) -> str:
        return Path(f"{self.path}.said").read_text()

    def check_checkpoints(self) -> None:
        """Whatever has happened, every checkpoint that has its name is whole."""
        for _, path in listing(self.path / "checkpoints"):
            verify(path)

    def check_finish(self, what: object = "") -> None:
        """The next attempt ends as the uninterrupted one did."""
        assert self.attempt() == 0, (what, self.said())
        self.check_end(what)

    def check_end(self, what: object = "") -> None:
        found, expected = self.outcome(), self.trainer.expected
        different = [key for key in expected if found[key] != expected[key]]
        assert different == [], (what, different)
        assert found.keys() == expected.keys()
        rmtree(self.folder)

    def _task(self) -> dict[str, str]:
        return {"recipe": str(self.trainer.recipe), "run": str(self.path), "home": str(self.home)}


def interrupted(trainer: Trainer, draw: random.Random, run: Attempts, number: int) -> tuple[Attempts, int]:
    """A run that a signal has met at a random time, and the exit code; one that was faster is checked and replaced."""
    longest = trainer.seconds * (0.6 if run.path.exists() else 1.0)  # what has begun needs less
    while (code := run.attempt(spent=draw.uniform(0, longest), signal=number)) == 0:
        run.check_end()
        run, longest = trainer.start(), 0.8 * longest
    return run, code


def check_that_kills_change_nothing(trainer: Trainer, seed: int) -> int:
    """One to three kills at random times, so many as it returns, and a run that then ends as if left alone."""
    draw, run = random.Random(seed), trainer.start()
    kills = draw.randint(1, 3)
    for _ in range(kills):
        run, code = interrupted(trainer, draw, run, signal.SIGKILL)
        assert code == -signal.SIGKILL, run.said()
    run.check_finish(seed)
    return kills
