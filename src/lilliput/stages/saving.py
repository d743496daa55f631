"""Checkpoints beside training: a copy is taken between two updates, and a thread hashes and writes it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Self

import psutil

from lilliput.stages.events import Saved
from lilliput.stages.journal import Progress

APART_BYTES = 16 << 20
"""State smaller than this is written at once: the thread would save a few milliseconds."""
SHARE_OF_MEMORY = 0.25
"""Of what is free: where a copy would take more, it is written at once too."""

Commit = Callable[[], None]
Save = Callable[[Progress, str, bool], Commit]
"""Takes what a checkpoint of this moment holds, as a copy if asked, with its reason; what it returns commits that."""


class Saver:
    """At most one checkpoint is being written; its failure is raised where its end is looked at."""

    def __init__(self, save: Save, size: int) -> None:
        """`size` is the bytes of weights and optimizer state."""
        self.save = save
        self.apart = APART_BYTES <= size <= SHARE_OF_MEMORY * psutil.virtual_memory().available
        self.at, self.took = time.monotonic(), 0.0  # when the last commit ended, after how long
        self._writer = ThreadPoolExecutor(1, "saver")
        self._writing: Future[Saved] | None = None
        self._blocked = 0.0

    def begin(self, progress: Progress, reason: str) -> Iterator[Saved]:
        """Save this moment; yields what has been committed by now: an earlier one, and this one if it is not apart."""
        begun = time.monotonic()
        yield from self.finish()
        commit = self.save(progress, reason, self.apart)
        if self.apart:
            self._writing = self._writer.submit(self._run, commit, progress.step, reason, begun)
            self._blocked = time.monotonic() - begun
        else:
            yield self._run(commit, progress.step, reason, begun)

    def done(self) -> Iterator[Saved]:
        """What has been committed since it was last asked; does not wait."""
        if self._writing is not None and self._writing.done():
            yield from self.finish()

    def finish(self) -> Iterator[Saved]:
        """Wait for what is being written. Raises what `save` of a checkpoint raises: OSError, LilliputError."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            waited = time.monotonic()
            saved = writing.result()
            yield replace(saved, blocked=self._blocked + time.monotonic() - waited)

    def _run(self, commit: Commit, step: int, reason: str, begun: float) -> Saved:
        commit()
        self.at = time.monotonic()
        self.took = self.at - begun
        return Saved(step, reason, self.took)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._writer.shutdown()  # what has been begun is committed, whatever ends the run
