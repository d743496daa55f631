"""T0, the reference task: everything that training does, in about a second, and what two identical runs of it share."""

import json
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from lilliput.config.errors import LilliputError
from lilliput.runs import metrics
from lilliput.runs.checkpoints import MODEL, OPTIMIZER, STATE, listing
from lilliput.runs.provenance import provenance
from lilliput.runs.run import Run

STEPS, SAVED_EVERY = 24, 3
WORDS = ("a", "the", "old", "king", "queen", "boat", "went", "over", "sea", "and", "came", "home", "again", "singing")


def recipe(folder: Path, **changes: Mapping[str, Any]) -> Path:
    """Write the task's texts and recipe into `folder`; `changes` replace keys of its sections, another model all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [_write_text(folder / f"{name}.txt", size) for name, size in (("long", 3800), ("short", 1900))]
    tree: dict[str, Any] = {
        "seed": 7,
        "data": {
            "sources": [{"path": str(paths[0]), "weight": 1.0}, {"path": str(paths[1]), "weight": 0.8}],
            "split": {"kind": "tail", "validation": 0.15, "test": 0.0},
        },
        "model": {"family": "gpt2", "dim": 64, "num_layers": 2, "num_heads": 2, "dropout": 0.1},
        "optim": {"kind": "adamw", "lr": 3e-3},
        "schedule": {"kind": "cosine", "warmup": {"steps": 4}},
        "training": {
            "length": {"steps": STEPS},
            "context_length": 64,
            "batch_size": 8,
            "micro_batch_size": 4,
            "precision": "fp32",
            "device": "cpu",
            "threads": 1,
        },
        "rhythm": {
            "log_every": 4,
            "validate_every": 5,
            "sample_every": 8,
            "sample_tokens": 8,
            "save_every": SAVED_EVERY,
            "save_seconds": 0,
            "keep": 2,
        },
        "samples": {"prompts": ["the old king ", ""]},
    }
    for section, values in changes.items():
        tree[section] = {**tree.get(section, {}), **values} if section != "model" else values
    path = folder / "task.yaml"
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


def _write_text(path: Path, size: int) -> Path:
    draw, text = random.Random(path.stem), ""
    while len(text) < size:
        text += " ".join(draw.choices(WORDS, k=draw.randint(3, 9))) + ".\n"
    path.write_text(text, encoding="utf-8")
    return path


def train(
    recipe: str,
    run: str,
    home: str,
    interrupt: tuple[str, int] | None = None,
    twins: bool = False,
    words: Sequence[str] = (),
    place: str = ".",
) -> int:
    """Begin or resume the run at `run`, as the command does; what it says goes to a file beside the run.

    `interrupt` is (effect, n): the n-th time that this effect begins, the process asks itself to stop. With `twins`
    two processes start at once; the exit code is the loser's if the other one ends well. `words` change the recipe,
    `place` is the working directory.
    """
    from lilliput.cli.train import train as command
    from lilliput.training import calibration

    calibration.peak_flops = lambda *_: 1e9  # measured anew at every start, which costs more than the rest of it
    os.environ["LILLIPUT_HOME"] = home
    os.chdir(place)
    said = os.open(f"{run}.said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if interrupt:
        _interrupt(*interrupt)
    if not twins:
        return command(recipe, list(words), run=run, resume=True) or 0
    twin = os.fork()
    try:
        code = command(recipe, list(words), run=run, resume=True) or 0
    except LilliputError as error:
        code = error.code
    if twin == 0:
        os._exit(code)
    codes = {code, os.waitstatus_to_exitcode(os.waitpid(twin, 0)[1])}
    return max(codes) if min(codes) == 0 else 99


def _interrupt(effect: str, at: int) -> None:
    from lilliput.stages import fit

    name = {"validate": "evaluate", "sample": "stream"}[effect]
    original, calls = getattr(fit, name), count(1)

    def interrupted(*arguments: Any, **more: Any) -> Any:
        if next(calls) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **more)

    setattr(fit, name, interrupted)


def outcome(path: Path) -> dict[str, Any]:
    """What two identical runs share: state, logs without clocks, checkpoints that stay, no leftovers, how it ended."""
    run = Run.open(path)
    found = run.newest(repair=False)
    assert found.path is not None and not found.problems, found
    state = json.loads((found.path / STATE).read_bytes())
    del state["log_sizes"]  # a clock's digits take more room or less
    ended = run.state.exit
    return {
        "weights": found.manifest["files"][MODEL]["sha256"],
        "optimizer": found.manifest["files"][OPTIMIZER]["sha256"],
        "state": state,
        "metrics": metrics.without_clock(metrics.read(run.metrics.path)),
        "samples": run.samples.path.read_bytes() if run.samples.path.exists() else b"",
        "steps": sorted({step for step, _ in listing(run.checkpoints)}),
        "best": run.state.best,
        "exit": ended and (ended["code"], ended["step"]),
        "hidden": sorted(str(place.relative_to(path)) for place in path.rglob(".*")),
    }


if "torch" in sys.modules:  # in the fork server: reading the packages' versions takes longer than the run
    provenance()
