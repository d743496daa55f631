"""The course of one training run: nats per character over seconds of training, in a run that keeps all it records."""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lilliput.runs import metrics
from lilliput.runs.run import Run
from lilliput.stages.begin import train_run
from lilliput.stages.events import Finished, Stepped, Validated, stamped

EVERY_UPDATE = {"step", "loss", "bpb", "lr", "grad_norm", "epoch", "tokens_seen", "bytes_seen", "batch_digest"}
EVERY_LINE = {"seconds", "tokens_per_s", "data_wait", "memory"}
"""What the log says of an update, and of those that the terminal shows too."""


@dataclass(frozen=True)
class Point:
    """A validation on the whole held-out part."""

    step: int
    seconds: float
    """Of training, since the first update."""
    nats: float
    """Per character; the end of the text is paid for and is no character."""


@dataclass(frozen=True)
class Course:
    run: Run
    points: tuple[Point, ...]
    updates: int
    seconds: float

    def passes(self, nats: float) -> Point | None:
        """The first validation at or below so many nats per character."""
        return next((point for point in self.points if point.nats <= nats), None)


def follow(recipe: str, words: Sequence[str], name: str, *, until: float = 0.0) -> Course:
    """Train a new run, tell on stderr how it goes, and end it early once a validation is at or below `until`.

    Raises SystemExit where something that a run records is missing.
    """
    run = Run.begin(name)
    points: list[Point] = []
    shown, seconds = 0, 0.0
    try:
        for event in train_run(run, recipe, words):
            print(f"{run.name}: {stamped(event)}", file=sys.stderr, flush=True)
            if isinstance(event, Stepped):
                shown, seconds = event.step, event.clock["seconds"]
            if isinstance(event, Validated):
                if event.step != shown:
                    raise SystemExit(f"update {event.step} was validated and not logged: choose rhythms that meet")
                points.append(Point(event.step, seconds, event.bpb * math.log(2)))
                if points[-1].nats <= until:
                    break
            if isinstance(event, Finished):
                run.ended(0, event.step)
    finally:
        run.abandon()
    if missing := list(unrecorded(run, shown, is_whole=not points or points[-1].nats > until)):
        raise SystemExit(f"{run.path} does not record what a run records: {'; '.join(missing)}")
    return Course(run, tuple(points), shown, seconds)


def unrecorded(run: Run, updates: int, *, is_whole: bool = True) -> Iterator[str]:
    """What a run of so many updates should have written down and has not, or was told not to."""
    rhythm = json.loads(run.config.read_text(encoding="utf-8"))["rhythm"]
    for key in ("log_every", "validate_every", "sample_every", "save_every", "save_seconds"):
        if rhythm[key] <= 0:
            yield f"rhythm.{key} is switched off"
    if rhythm["validate_batches"]:
        yield "rhythm.validate_batches leaves a part of the held-out text out"
    if rhythm["best_by"] == "none":
        yield "rhythm.best_by names no best checkpoint"
    records = list(metrics.read(run.metrics.path))
    steps = [record for record in records if record["kind"] == "step"]
    if [record["step"] for record in steps] != list(range(1, updates + 1)):
        yield f"{len(steps):,} of {updates:,} updates have a line"
    if absent := sorted(key for key in EVERY_UPDATE if any(key not in record for record in steps)):
        yield f"an update's line lacks {', '.join(absent)}"
    if not any(record.keys() >= EVERY_LINE for record in steps):
        yield "no line has the clock's figures"
    if not any(record["kind"] == "validation" for record in records):
        yield "there is no validation"
    if not run.train_log.is_file():
        yield "there is no train.log"
    if not is_whole:
        return
    if not any(True for _ in metrics.read(run.samples.path)):
        yield "there are no samples"
    found = run.newest(repair=False)
    if found.manifest.get("step") != updates or found.problems:
        yield "there is no intact checkpoint of the last update"
    if run.state.exit is None:
        yield "it is not written how the run ended"
