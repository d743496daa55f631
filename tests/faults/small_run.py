"""The smallest thing that behaves like training: steps, a log, checkpoints, retention, resume; in milliseconds."""

import json
from pathlib import Path

import numpy as np

from lilliput.runs import durable, stop
from lilliput.runs.checkpoints import MODEL, STATE
from lilliput.runs.provenance import provenance
from lilliput.runs.run import Run
from lilliput.runs.tensors import read_tensors, write_tensors

STEPS, EVERY, KEEP = 9, 3, 1
provenance()  # once, in the server: reading the packages' versions takes longer than the run


def train(path: str, steps: int = STEPS) -> int:
    """Start or resume the run at `path`; afterwards `outcome` is a pure function of `steps`."""
    stop.install()
    run = Run.begin(path, resume=True)
    if run.is_new:
        run.write_recipe("stage: pretrain\n")
        run.write_config({"steps": steps})
        run.write_manifest()
    run.started()
    found = run.newest()
    step, weights, size = 0, np.zeros(64), 0
    if found.path is not None:
        state = json.loads((found.path / STATE).read_bytes())
        step, size = state["step"], state["log"]
        with read_tensors(found.path / MODEL) as tensors:
            weights = tensors["w"].copy()
    run.metrics.cut(step, size)
    run.retain(KEEP)  # a kill may have come between the last commit and its retention
    while step < steps and stop.requested() is None:
        step += 1
        weights = weights * 0.5 + step
        run.metrics.write({"kind": "step", "step": step, "loss": float(weights[0])})
        run.beat(step, "train")
        if step % EVERY == 0 or step == steps or stop.requested():
            save(run, step, weights)
    run.ended(stop.requested() or 0, step)
    return stop.requested() or 0


def save(run: Run, step: int, weights: "np.ndarray") -> None:
    def write(folder: Path) -> dict[str, durable.FileRecord]:
        model = write_tensors(folder / MODEL, [("w", "F64", weights.shape, weights.tobytes)])
        state = json.dumps({"step": step, "log": run.metrics.size()}).encode()
        return {MODEL: model, STATE: durable.write_new(folder / STATE, state)}

    run.metrics.sync()
    run.commit(step, write)
    run.retain(KEEP)


def outcome(path: Path) -> tuple[object, ...]:
    """What two identical runs share: weights, log, retained steps, and no leftovers."""
    run = Run.open(path)
    found = run.newest(repair=False)
    assert found.path is not None and not found.problems
    with read_tensors(found.path / MODEL) as tensors:
        weights = tensors["w"].tobytes()
    hidden = [str(place) for place in path.rglob(".*")]
    steps = sorted(place.name for place in run.checkpoints.iterdir())
    return found.manifest["step"], weights, run.metrics.path.read_bytes(), steps, hidden, run.state.exit
