"""Attempts at training runs of one recipe, forked from a warm server, to be killed, stopped and finished."""

import json
from itertools import count
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

from tests.faults import reference_task

from lilliput.runs.checkpoints import listing, verify

PRELOAD = ("torch._inductor.standalone_compile", "lilliput.stages.begin", "lilliput.cli.progress")
"""Imported by the server and never run there; the first is what torch itself imports when it trains."""


class Trainer:
    """A recipe, and what its uninterrupted run leaves; every run has a home of its own."""

    def __init__(self, server: Any, folder: Path, **changes: Any) -> None:
        self.server, self.folder, self.names = server, folder, count(1)
        self.recipe = reference_task.recipe(folder / "task", **changes)
        first = self.start()
        assert first.attempt() == 0, first.said()
        self.calibration = first.home / "calibration"
        self.expected = first.outcome()

    def start(self) -> "Attempts":
        return Attempts(self, self.folder / str(next(self.names)))


class Attempts:
    """One run and its attempts."""

    def __init__(self, trainer: Trainer, folder: Path) -> None:
        self.trainer, self.folder, self.path, self.home = trainer, folder, folder / "run", folder / "home"
        folder.mkdir()
        if hasattr(trainer, "calibration"):
            copytree(trainer.calibration, self.home / "calibration")

    def attempt(self, **how: Any) -> int:
        """Begin or resume; the exit code, or minus the signal. `how` is what `ForkServer.run` takes."""
        return self.trainer.server.run(self._task(), **how)

    def trace(self, **how: Any) -> list[dict[str, Any]]:
        """The durable calls of one attempt."""
        into = self.folder / "trace"
        self.attempt(trace=into, **how)
        return [json.loads(line) for line in into.read_text().splitlines()]

    def outcome(self) -> dict[str, Any]:
        return reference_task.outcome(self.path)

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
        assert self.outcome() == self.trainer.expected, what
        rmtree(self.folder)

    def _task(self) -> dict[str, str]:
        return {"recipe": str(self.trainer.recipe), "run": str(self.path), "home": str(self.home)}
