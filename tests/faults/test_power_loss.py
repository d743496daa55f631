"""Power cuts: whatever a disk may keep of the calls so far, the newest checkpoint whose save returned is found intact.

The model is conservative. Bytes that were not synced may be there, absent, half there, or zeros of full length; names
that were not synced may be there in any combination. The trace of three saves with log and retention is cut after each
call, and each state that the model allows is built and recovered from.
"""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lilliput.runs import durable
from lilliput.runs.checkpoints import MODEL, STATE
from lilliput.runs.faults import Call, faults
from lilliput.runs.run import Run
from lilliput.runs.tensors import read_tensors, write_tensors

FATES: dict[str, Callable[[bytes], bytes]] = {
    "all": lambda data: data,
    "none": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
}
NAMES = ("create", "mkdir", "rename", "unlink", "rmdir")


def save(run: Run, step: int) -> None:
    run.metrics.write({"kind": "step", "step": step})
    run.metrics.sync()

    def write(folder: Path) -> dict[str, durable.FileRecord]:
        weights = np.full(40, step, np.float32)
        state = json.dumps({"log": run.metrics.size()}).encode()
        model = write_tensors(folder / MODEL, [("w", "F32", (40,), weights.tobytes)])
        return {MODEL: model, STATE: durable.write_new(folder / STATE, state)}

    run.commit(step, write)
    run.update(best={"step": step, "value": 1.0, "set": "validation"})
    run.retain(1)


class Trace:
    """Three saves after a first one: the folder before them, the calls, and after which call each save had returned."""

    def __init__(self, folder: Path) -> None:
        self.run, self.base = folder / "run", folder / "base"
        run = Run.begin(str(self.run))
        run.write_manifest()
        save(run, 1)
        shutil.copytree(self.run, self.base)
        self.log = (self.base / "metrics.jsonl").read_bytes()
        self.calls: list[Call] = []
        self.returned = {0: 1}
        faults.reset(trace=self.calls)
        for step in (2, 3, 4):
            save(run, step)
            # The commit had returned before run.json was touched.
            touched = [call.number for call in self.calls if call.operation == "create" and "run.json" in call.path]
            self.returned[touched[-1] - 1] = step
        faults.reset()
        run.metrics.close()
        run.lock.release()


@pytest.fixture(scope="module")
def trace(tmp_path_factory) -> Trace:
    return Trace(tmp_path_factory.mktemp("traced"))


def states(trace: Trace, calls: list[Call], subsets: int) -> Iterator[tuple[int, list[Call], dict[str, bytes]]]:
    """(step that must be found, names that happened, contents of files) for every cut and every fate."""
    draw = random.Random(0)
    for cut in range(len(calls) + 1):
        done = calls[:cut]
        number = done[-1].number if done else 0
        least = max(step for after, step in trace.returned.items() if after <= number)
        synced = {call.path: place for place, call in enumerate(done) if call.operation == "sync_dir"}
        named = [(place, call) for place, call in enumerate(done) if call.operation in NAMES]
        loose = [place for place, call in named if synced.get(str(Path(call.to or call.path).parent), -1) < place]
        choices = [set(loose[:count]) for count in range(len(loose) + 1)]
        choices += [{place for place in loose if draw.random() < 0.5} for _ in range(subsets if loose else 0)]
        for happened in {frozenset(choice) for choice in choices}:
            names = [call for place, call in named if place not in loose or place in happened]
            for fate in FATES.values() if has_unsynced(done) else [FATES["all"]]:
                yield least, names, contents(trace, done, fate)


def has_unsynced(done: list[Call]) -> bool:
    return any(bytes(unsynced) for _, unsynced in written(done).values())


def written(done: list[Call]) -> dict[str, tuple[bytearray, bytearray]]:
    """By path: the bytes that were synced, and those that were not."""
    files: dict[str, tuple[bytearray, bytearray]] = {}
    for call in done:
        if call.operation in ("write", "append"):
            files.setdefault(call.path, (bytearray(), bytearray()))[1].extend(call.data)
        if call.operation == "fsync" and call.path in files:
            sure, unsure = files[call.path]
            sure += unsure
            unsure.clear()
    return files


def contents(trace: Trace, done: list[Call], fate: Callable[[bytes], bytes]) -> dict[str, bytes]:
    log = str(trace.run / "metrics.jsonl")
    files = {path: bytes(sure) + fate(bytes(unsure)) for path, (sure, unsure) in written(done).items()}
    return files | {log: trace.log + files.get(log, b"")}


def build(trace: Trace, target: Path, names: list[Call], files: dict[str, bytes]) -> Run:
    def there(path: str) -> Path:
        return target / Path(path).relative_to(trace.run)

    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(trace.base, target)
    for call in names:
        try:
            if call.operation == "mkdir":
                there(call.path).mkdir()
            elif call.operation == "create":
                there(call.path).write_bytes(files.get(call.path, b""))
            elif call.operation == "rename":
                there(call.path).rename(there(call.to))
            elif call.operation == "unlink":
                there(call.path).unlink()
            else:
                there(call.path).rmdir()
        except OSError:
            pass  # it depended on a name that was lost
    (target / "metrics.jsonl").write_bytes(files[str(trace.run / "metrics.jsonl")])
    return Run(target)


def is_safe(run: Run, least: int) -> bool:
    """True if recovery finds the promised step or a newer one, with its weights, its log and a readable state."""
    found = run.newest(repair=True)
    if found.path is None or found.manifest["step"] < least:
        return False
    step = found.manifest["step"]
    with read_tensors(found.path / MODEL) as tensors:
        if not (tensors["w"] == step).all():
            return False
    run.metrics.cut(step, json.loads((found.path / STATE).read_bytes())["log"])
    log = b"".join(b'{"kind":"step","step":%d}\n' % number for number in range(1, step + 1))
    return run.metrics.path.read_bytes() == log and (run.state.best is None or run.state.best["step"] <= step)


def violations(trace: Trace, target: Path, calls: list[Call], subsets: int) -> Iterator[tuple[int, bool]]:
    for count, (least, names, files) in enumerate(states(trace, calls, subsets), 1):
        try:
            yield count, not is_safe(build(trace, target, names, files), least)
        except Exception:
            yield count, True


def test_no_power_cut_loses_a_checkpoint_or_passes_off_a_damaged_one(trace, in_memory):
    outcomes = list(violations(trace, in_memory / "run", trace.calls, subsets=20))
    assert not [count for count, violated in outcomes if violated]
    assert len(outcomes) > 2000


SYNCS = {
    "the weights": ("fsync", MODEL),
    "the state": ("fsync", STATE),
    "the manifest": ("fsync", "MANIFEST.json"),
    "the log": ("fsync", "metrics.jsonl"),
    "the names in a checkpoint": ("sync_dir", "checkpoints/.tmp-"),
    "the name of a checkpoint": ("sync_dir", "checkpoints"),
}


@pytest.mark.parametrize("lost", SYNCS)
def test_the_explorer_notices_each_sync_that_is_left_out(trace, in_memory, lost):
    operation, part = SYNCS[lost]
    calls = [call for call in trace.calls if call.operation != operation or part not in call.path]
    assert len(calls) < len(trace.calls)
    assert any(violated for _, violated in violations(trace, in_memory / "run", calls, subsets=6))
