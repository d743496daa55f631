"""The audit: every byte of a run that can be checked, checked."""

from collections.abc import Iterator

from lilliput.config.errors import LilliputError
from lilliput.runs import checkpoints, metrics
from lilliput.runs.checkpoints import BAD
from lilliput.runs.run import Run


def verify_run(run: Run) -> list[str]:
    """What is wrong with a run, one line each, after re-hashing all its checkpoints; empty if nothing is."""
    return list(dict.fromkeys(_findings(run)))


def _findings(run: Run) -> Iterator[str]:
    for read in (lambda: run.facts, run.read_config, lambda: run.state):
        try:
            read()
        except LilliputError as error:
            yield error.cause
    if not run.tokenizer.is_dir() or not any(run.tokenizer.iterdir()):
        yield f"{run.tokenizer}: no tokenizer"
    for _, path in checkpoints.listing(run.checkpoints):
        try:
            if checkpoints.verify(path).get("run") != run.id:
                yield f"{path}: belongs to another run"
        except LilliputError as error:
            yield error.cause
    for path in sorted(run.checkpoints.glob(f"{BAD}*")):
        yield f"{path}: was found damaged and set aside"
    yield from _log_findings(run)


def _log_findings(run: Run) -> Iterator[str]:
    """Each update stands in the log once and in order, and none is missing up to the newest checkpoint."""
    expected = None
    saved = [step for step, _ in checkpoints.listing(run.checkpoints)]
    try:
        for record in metrics.read(run.metrics.path):
            if record.get("kind") != "step":
                continue
            if expected is not None and record.get("step") != expected:
                yield f"{run.metrics.path}: step {record.get('step')} follows step {expected - 1}"
            expected = int(record.get("step", 0)) + 1
        if saved and expected is not None and expected <= saved[-1]:
            yield f"{run.metrics.path}: ends with step {expected - 1}, and there is a checkpoint of step {saved[-1]}"
        for _ in metrics.read(run.samples.path):
            pass
    except LilliputError as error:
        yield error.cause
