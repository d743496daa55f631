"""Power cuts: whatever a disk may keep of the calls so far, the newest checkpoint whose save returned is found intact.

The model is conservative. Bytes that were not synced may be there, absent, half there, or zeros of full length; names
that were not synced may be there in any combination. The trace of four saves with log and retention is cut after each
call, and each state that the model allows is built and recovered from.
"""

import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lilliput.runs import durable, metrics
from lilliput.runs.checkpoints import MODEL, STATE, listing, verify
from lilliput.runs.faults import Call, faults
from lilliput.runs.run import Run
from lilliput.runs.sealed import unseal
from lilliput.runs.tensors import read_tensors, write_tensors

FATES: dict[str, Callable[[bytes], bytes]] = {
    "all": lambda data: data,
    "none": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
}
NAMES = ("create", "mkdir", "rename", "unlink", "rmdir")


def nothing(what: str, step: int) -> None:
    pass


def save(run: Run, step: int, returned: Callable[[str, int], None] = nothing) -> None:
    """What training does when it saves; `returned` is told after each call that has promised something."""
    run.metrics.write({"kind": "step", "step": step})
    run.metrics.sync()
    if step > 1:  # a log that appears when there are checkpoints
        run.samples.write({"kind": "sample", "step": step})
    run.samples.sync()

    def write(folder: Path) -> dict[str, durable.FileRecord]:
        weights = np.full(40, step, np.float32)
        state = json.dumps({"metrics": run.metrics.size(), "samples": run.samples.size()}).encode()
        model = write_tensors(folder / MODEL, [("w", "F32", (40,), weights.tobytes)])
        return {MODEL: model, STATE: durable.write_new(folder / STATE, state)}

    run.commit(step, write)
    returned("checkpoint", step)
    run.update(best={"step": step, "value": 1.0, "set": "validation"})
    returned("best", step)
    run.retain(1)


class Trace:
    """Four saves of a new run: the folder before them, the calls, and after which call each had returned."""

    def __init__(self, folder: Path) -> None:
        self.run, self.base = folder / "run", folder / "base"
        run = Run.begin(str(self.run))
        run.write_manifest()
        run.started()
        shutil.copytree(self.run, self.base)
        self.calls: list[Call] = []
        self.returned: dict[str, dict[int, int]] = {"checkpoint": {0: 0}, "best": {0: 0}}
        faults.reset(trace=self.calls)
        for step in (1, 2, 3, 4):
            save(run, step, lambda what, number: self.returned[what].update({len(self.calls): number}))
        faults.reset()
        run.metrics.close()
        run.samples.close()
        run.lock.release()

    def promised(self, what: str, number: int) -> int:
        """The step that a call which has returned by then has promised."""
        return max(step for after, step in self.returned[what].items() if after <= number)

    def role(self, path: str) -> str:
        """A path without what differs from one save to the next."""
        inside = re.sub(r"-[0-9]+-[0-9a-f]{8}-[0-9]+", "", Path(path).relative_to(self.run).as_posix())
        return re.sub(r"(tmp|step)-[0-9]+", r"\1", re.sub(r"(metrics|samples).jsonl", "log.jsonl", inside))


@pytest.fixture(scope="module")
def trace(tmp_path_factory) -> Trace:
    return Trace(tmp_path_factory.mktemp("traced"))


def states(trace: Trace, calls: list[Call], subsets: int) -> Iterator[tuple[int, list[Call], dict[str, bytes]]]:
    """(last call, names that happened, contents of files) for every cut and every fate."""
    draw = random.Random(0)
    for cut in range(len(calls) + 1):
        done = calls[:cut]
        number = max((call.number for call in done), default=0)
        synced = {call.path: place for place, call in enumerate(done) if call.operation == "sync_dir"}
        named = [(place, call) for place, call in enumerate(done) if call.operation in NAMES]
        loose = [place for place, call in named if synced.get(str(Path(call.to or call.path).parent), -1) < place]
        choices = [set(loose[:count]) for count in range(len(loose) + 1)]
        choices += [{place for place in loose if draw.random() < 0.5} for _ in range(subsets if loose else 0)]
        for happened in {frozenset(choice) for choice in choices}:
            lost = [call for place, call in named if place in loose and place not in happened]
            names = [called_before(lost, call) for place, call in named if place not in loose or place in happened]
            for fate in FATES.values() if has_unsynced(done) else [FATES["all"]]:
                yield number, names, contents(done, fate)


def called_before(lost: list[Call], call: Call) -> Call:
    """A call inside a folder whose rename was lost: it is the same folder under the name before."""
    for rename in lost:
        if rename.operation == "rename" and call.path.startswith(f"{rename.to}/"):
            return replace(call, path=call.path.replace(rename.to, rename.path, 1))
    return call


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


def contents(done: list[Call], fate: Callable[[bytes], bytes]) -> dict[str, bytes]:
    return {path: bytes(sure) + fate(bytes(unsure)) for path, (sure, unsure) in written(done).items()}


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
    return Run(target)


def is_safe(run: Run, step: int, best: int) -> bool:
    """True if recovery finds what was promised or newer, with weights and log, and nothing half-done under its name."""
    if (run.path / "run.json").exists():
        unseal(run.path / "run.json")
    for _, path in listing(run.checkpoints):
        verify(path)
    found = run.newest(repair=True)
    if found.path is None:
        return step == 0 and found.problems == []
    last = found.manifest["step"]
    with read_tensors(found.path / MODEL) as tensors:
        if last < step or not (tensors["w"] == last).all():
            return False
    sizes = json.loads((found.path / STATE).read_bytes())
    for log, kind, first in ((run.metrics, "step", 1), (run.samples, "sample", 2)):
        log.cut(last, sizes[log.path.stem])
        records = list(metrics.read(log.path))
        if records != [{"kind": kind, "step": number} for number in range(first, last + 1)]:
            return False
    known = run.state.best["step"] if run.state.best else 0
    return best <= known <= last


def violations(trace: Trace, target: Path, calls: list[Call], subsets: int) -> Iterator[bool]:
    for number, names, files in states(trace, calls, subsets):
        promised = trace.promised("checkpoint", number), trace.promised("best", number)
        try:
            yield not is_safe(build(trace, target, names, files), *promised)
        except Exception:
            yield True


@pytest.mark.promise("R2")
@pytest.mark.parametrize("subsets", [3, pytest.param(24, marks=pytest.mark.slow)])
def test_no_power_cut_loses_a_checkpoint_or_passes_off_a_damaged_one(trace, in_memory, subsets, figure):
    outcomes = list(violations(trace, in_memory / "run", trace.calls, subsets))
    figure(f"{len(outcomes):,} states after a power cut, {sum(outcomes)} bad")
    assert not any(outcomes)
    assert len(outcomes) > (1000 if subsets < 24 else 2000)


def purpose(trace: Trace, place: int) -> str:
    """What a sync or rename is for: its path, and for a folder the call before it, whose name it makes last."""
    call, before = trace.calls[place], trace.calls[place - 1]
    words = f"{call.operation} {trace.role(call.to or call.path)}"
    if call.operation == "sync_dir":
        words += f" after {before.operation} {trace.role(before.to or before.path)}"
    return words


def mutants(trace: Trace) -> dict[str, list[Call]]:
    """The calls without each kind of sync, with each kind of rename too early, and with each order turned round."""
    purposes = [purpose(trace, place) for place in range(len(trace.calls))]
    found: dict[str, list[Call]] = {}
    for kind in dict.fromkeys(purposes):
        own = [place for place, other in enumerate(purposes) if other == kind]
        if kind.startswith(("fsync", "sync_dir")):
            found[f"without {kind}"] = [call for place, call in enumerate(trace.calls) if place not in own]
        if kind.startswith("rename") and ".dead" not in kind:
            found[f"{kind} before the sync before it"] = swapped(trace.calls, [(place - 1, place) for place in own])
        if kind.startswith("rename") and ".dead" in kind:
            found["unlinked under its name"] = in_place(trace.calls)
    log = [
        place
        for place, kind in enumerate(purposes)
        if kind == "fsync log.jsonl" and "metrics" in trace.calls[place].path
    ]
    commits = [place for place, kind in enumerate(purposes) if kind == "rename checkpoints/step"]
    found["the log after the commit"] = moved(trace.calls, log, commits)
    retired = [place for place, kind in enumerate(purposes) if kind.startswith("rename checkpoints/.dead")]
    found["the old one retired before the commit"] = moved(trace.calls, commits[-len(retired) :], retired)
    return found


def swapped(calls: list[Call], pairs: list[tuple[int, int]]) -> list[Call]:
    turned = list(calls)
    for one, other in pairs:
        turned[one], turned[other] = turned[other], turned[one]
    return turned


def moved(calls: list[Call], what: list[int], behind: list[int]) -> list[Call]:
    """Each of `what` directly after its one of `behind`."""
    follows = dict(zip(behind, what, strict=True))
    order = [place for place in range(len(calls)) if place not in what]
    return [calls[p] for place in order for p in ([place, follows[place]] if place in follows else [place])]


def in_place(calls: list[Call]) -> list[Call]:
    """Removal without a rename before it."""
    names = {call.to: call.path for call in calls if call.operation == "rename" and "/.dead-" in call.to}

    def there(path: str) -> str:
        return next((path.replace(to, source) for to, source in names.items() if path.startswith(to)), path)

    return [replace(call, path=there(call.path)) for call in calls if call.to not in names]


@pytest.mark.promise("R2")
def test_the_explorer_notices_each_sync_that_is_left_out_and_each_order_that_is_turned_round(trace, in_memory, figure):
    found = mutants(trace)
    unnoticed = [
        name for name, calls in found.items() if not any(violations(trace, in_memory / "run", calls, subsets=6))
    ]
    figure(f"{len(found) - len(unnoticed)} of {len(found)} left-out syncs and turned-round orders noticed")
    assert unnoticed == []
    assert sum(name.startswith("without fsync") for name in found) == 5
    assert sum(name.startswith("without sync_dir") for name in found) >= 6
