"""The audit: every byte of a run that can be checked, checked."""

from collections.abc import Iterator

from lilliput.config.errors import LilliputError
from lilliput.runs import checkpoints, metrics
from lilliput.runs.checkpoints import BAD
from lilliput.runs.run import Run, read_json


def verify_run(run: Run) -> list[str]:
    """What is wrong with a run, one line each, after re-hashing all its checkpoints; empty if nothing is."""
    return list(_findings(run))


def _findings(run: Run) -> Iterator[str]:
    for path in (run.manifest, run.config):
        try:
            read_json(path)
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
    """Each update stands in the log once and in order, and none is missing."""
    expected = None
    try:
        for record in metrics.read(run.metrics.path):
            if record.get("kind") != "step":
                continue
            if expected is not None and record.get("step") != expected:
                yield f"{run.metrics.path}: step {record.get('step')} follows step {expected - 1}"
            expected = int(record.get("step", 0)) + 1
        for _ in metrics.read(run.samples.path):
            pass
    except LilliputError as error:
        yield error.cause
