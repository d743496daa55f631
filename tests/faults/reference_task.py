"""T0, the reference task: everything that training does, in about a second, and what two identical runs of it share."""

import importlib
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

from lilliput.config.errors import LilliputError
from lilliput.runs import metrics
from lilliput.runs.checkpoints import MODEL, OPTIMIZER, STATE, listing
from lilliput.runs.provenance import provenance
from lilliput.runs.run import Run
from lilliput.tokens.mixture import Mixture

STEPS, SAVED_EVERY, WEIGHTS = 24, 3, (1.0, 0.8)
LATE = 98
"""The code of a start that was refused after more than two seconds."""
PHASES = {
    "prepare": ("lilliput.stages.prepare", "write_shard"),
    "calibrate": ("lilliput.training.calibration", "peak"),
    "build": ("lilliput.stages.pretrain", "build_model"),
    "data": ("lilliput.tokens.batches", "Batches.batch"),
    "forward": ("lilliput.models.gpt2", "GPT2.forward"),
    "backward": ("lilliput.training.loop", "_backward"),
    "update": ("lilliput.optim.optimizer", "Optimizer.step"),
    "log": ("lilliput.stages.journal", "Journal.write"),
    "validate": ("lilliput.stages.fit", "evaluate"),
    "sample": ("lilliput.stages.fit", "stream"),
    "save": ("lilliput.stages.pretrain", "_save"),
    "retain": ("lilliput.runs.run", "Run.retain"),
}
"""Where the phases of a run begin."""
TRACED = ("training/loop.py", "stages/fit.py", "stages/journal.py", "evals/run.py", "inference/generate.py")
CLOCKS: dict[str, Callable[[], float]] = {
    "ten years ago": lambda: time.time_ns() / 1e9 - 10 * 365.25 * 86_400,
    "in ten years": lambda: time.time_ns() / 1e9 + 10 * 365.25 * 86_400,
    "2038": lambda: 2.0**31 + 5,
    "1970": lambda: 1.0,
    "any": lambda: random.SystemRandom().uniform(0, 4e9),
}
WORDS = ("a", "the", "old", "king", "queen", "boat", "went", "over", "sea", "and", "came", "home", "again", "singing")


def recipe(folder: Path, **changes: Mapping[str, Any]) -> Path:
    """Write the task's texts and recipe into `folder`; `changes` replace keys of its sections, another model all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [_write_text(folder / f"{name}.txt", size) for name, size in (("long", 3800), ("short", 1900))]
    tree: dict[str, Any] = {
        "seed": 7,
        "data": {
            "sources": [{"path": str(path), "weight": weight} for path, weight in zip(paths, WEIGHTS, strict=True)],
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
    starts: int = 1,
    words: Sequence[str] = (),
    place: str = ".",
    apart: bool = False,
    draws: bool = False,
    clock: str = "",
    limit: int = 0,
    foretold: bool = True,
) -> int:
    """Begin or resume the run at `run`, as the command does; what it says goes to a file beside the run.

    `interrupt` is (phase, n): the n-th time that this phase begins, the process asks itself to stop. With several
    `starts` as many processes start at once, and the code is that of the losers, if one ends well and all others alike,
    each within two seconds. `words` change the recipe, `place` is the working directory. `apart`, even this small state
    is saved beside training. With `draws` everybody's generators are drawn from between any two lines of the loop.
    `clock` is a key of CLOCKS, `limit` the size that a file may have. Unless `foretold`, nobody looks for room first.
    """
    from lilliput.cli.train import train as command
    from lilliput.stages import pretrain, saving
    from lilliput.training import calibration

    if apart:
        saving.APART_BYTES = 0
    if not foretold:
        pretrain.refuse = lambda *_: None
    if clock:
        time.time = CLOCKS[clock]
    calibration.peak_flops = lambda *_: 1e9  # measured anew at every start, which costs more than the rest of it
    os.environ["LILLIPUT_HOME"] = home
    os.chdir(place)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    said = os.open(f"{run}.said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if interrupt:
        _interrupt(*interrupt)
    if draws:
        _draw_between_lines()
    children = _forked(starts - 1)
    begun = time.monotonic()
    try:
        code = command(recipe, list(words), run=run, resume=True) or 0
    except LilliputError as error:
        code = error.code if time.monotonic() - begun < 2 else LATE
    if children is None:
        os._exit(code)
    codes = sorted([code, *(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)])
    losers = set(codes[1:]) or {0}
    return losers.pop() if codes[0] == 0 and len(losers) == 1 else max(codes)


def _forked(number: int) -> list[int] | None:
    """So many children; None in each of them."""
    children = []
    for _ in range(number):
        if (child := os.fork()) == 0:
            return None
        children.append(child)
    return children


def _interrupt(phase: str, at: int) -> None:
    module, name = PHASES[phase]
    owner: Any = importlib.import_module(module)
    *places, name = name.split(".")
    for place in places:
        owner = getattr(owner, place)
    original, calls = getattr(owner, name), count(1)

    def interrupted(*arguments: Any, **more: Any) -> Any:
        if next(calls) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **more)

    setattr(owner, name, interrupted)


def _draw_between_lines() -> None:
    """Draw from everybody's generators at each line of TRACED, but inside a micro-batch, which has its own seed."""
    import numpy as np
    import torch

    from lilliput.training import loop

    inside, seeded = [False], loop.seeded

    @contextmanager
    def noted(*arguments: Any) -> Iterator[None]:
        with seeded(*arguments):
            inside[0] = True
            yield
            inside[0] = False

    def drawing(frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if not inside[0]:
            random.random()
            np.random.rand()
            torch.rand(1)
        return drawing

    loop.seeded = noted
    sys.settrace(drawing)


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


if "torch" in sys.modules:  # in the fork server: what is remembered is not made anew by each attempt
    provenance()
    Mixture(WEIGHTS)
