"""A run: the only place that spells the names of the run directory, makes it, opens it and finds a checkpoint in it."""

import json
import os
import re
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Self

from lilliput.config.errors import Exit, LilliputError
from lilliput.runs import checkpoints, durable
from lilliput.runs.checkpoints import Recovered, Write
from lilliput.runs.damage import Damaged
from lilliput.runs.lock import RunLock, is_locked
from lilliput.runs.metrics import MetricsLog
from lilliput.runs.provenance import provenance
from lilliput.runs.sealed import SEAL, format_of, seal, unseal

FORMAT = 2
HASHED = 2
"""The first format whose JSON files carry their hash."""
NAME = re.compile(r"\w[\w.+=-]{0,99}")
RECIPE, CONFIG, MANIFEST, STATE = "recipe.yaml", "config.json", "manifest.json", "run.json"
METRICS, SAMPLES, TELEMETRY, TRAIN_LOG = "metrics.jsonl", "samples.jsonl", "telemetry.jsonl", "train.log"
CHECKPOINTS, TOKENIZER, EVALS, REPORTS, EXPORTS = "checkpoints", "tokenizer", "evals", "reports", "exports"
LOCK, HEARTBEAT = "LOCK", "heartbeat.json"
LAYOUT = {
    *(RECIPE, CONFIG, MANIFEST, STATE, METRICS, SAMPLES, TELEMETRY, TRAIN_LOG),
    *(CHECKPOINTS, TOKENIZER, EVALS, REPORTS, EXPORTS, LOCK, HEARTBEAT),
}


@dataclass(frozen=True)
class State:
    """What run.json says: the best checkpoint {step, value, set}, the pinned steps, and how the run ended."""

    best: dict[str, Any] | None = None
    pinned: tuple[int, ...] = ()
    exit: dict[str, Any] | None = None


class Run:
    """One run directory. Whoever writes to it got it from `begin` and holds its lock; readers use `open`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = RunLock(path / LOCK)
        self.recipe, self.config, self.manifest = path / RECIPE, path / CONFIG, path / MANIFEST
        self.metrics, self.samples = MetricsLog(path / METRICS), MetricsLog(path / SAMPLES)
        self.telemetry, self.train_log = MetricsLog(path / TELEMETRY), path / TRAIN_LOG
        self.checkpoints, self.tokenizer = path / CHECKPOINTS, path / TOKENIZER
        self.evals, self.reports, self.exports = path / EVALS, path / REPORTS, path / EXPORTS
        self.heartbeat = path / HEARTBEAT
        self.has_started = False

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @classmethod
    def begin(cls, word: str | None, *, default: str = "run", resume: bool = False) -> Self:
        """Take the directory of a run, and its lock, for writing; made if it is not there.

        Without `word` the first free of `default`, `default-2`, ... is taken. `is_new` tells if it is empty.
        Raises LilliputError with Exit.LOCKED, and with Exit.EXISTS for what is no run or, unless `resume`, for a run.
        """
        if word is not None:
            return cls._take(_place(word), resume)
        for number in count(1):
            try:
                return cls._take(_place(default if number == 1 else f"{default}-{number}"), resume=False)
            except LilliputError as error:
                if error.code not in (Exit.EXISTS, Exit.LOCKED):
                    raise
        raise AssertionError("count does not end")

    @classmethod
    def open(cls, word: str | Path) -> Self:
        """A run that exists, for reading, by name or path; raises LilliputError with Exit.MISSING."""
        run = cls(_place(str(word)))
        if run.is_new:
            raise _no_such_run(str(word))
        return run

    @classmethod
    def exists(cls, word: str) -> bool:
        """True if `word` is the name or path of a run."""
        try:
            return not cls(_place(word)).is_new
        except LilliputError:
            return False

    @classmethod
    def _take(cls, path: Path, resume: bool) -> Self:
        run = cls(path)
        try:
            durable.make_dir(path, new=True)
        except FileExistsError:
            run._refuse_a_taken_place(resume)
        run.lock.acquire()
        if not run.is_new and not resume:  # it was begun between our look and our lock
            run.lock.release()
            raise _exists(path)
        return run

    def _refuse_a_taken_place(self, resume: bool) -> None:
        if not self.path.is_dir() or (self.is_new and not self._is_vacant()):
            cause = f"{self.path} exists and is not a run"
            raise LilliputError(cause, "choose another name or path with `--run`", Exit.EXISTS)
        if not self.is_new and not resume and not is_locked(self.lock.path):
            raise _exists(self.path)

    def _is_vacant(self) -> bool:
        """True for an empty directory and for one whose run was killed before it had written its manifest."""
        names = {path.name for path in self.path.iterdir() if not path.name.startswith(".tmp-")}
        known = not names or (LOCK in names and names <= LAYOUT)
        return known and not checkpoints.listing(self.checkpoints)

    @property
    def is_new(self) -> bool:
        """True until the manifest is written: before that, there is no run here."""
        return not self.manifest.is_file()

    def abandon(self) -> None:
        """Remove the directory of a new run that was refused, and give up the lock; a run with a manifest stays."""
        if self.is_new and self.lock.is_held:
            if sys.platform == "win32":  # where a directory with an open file cannot be renamed
                self.lock.release()
            durable.remove_tree(self.path)
        self.lock.release()

    def write_recipe(self, text: str) -> None:
        """Store the recipe as it was given."""
        durable.replace(self.recipe, text.encode())

    def write_config(self, tree: Mapping[str, Any]) -> None:
        """Store the resolved configuration."""
        durable.replace(self.config, seal(tree))

    def read_config(self) -> dict[str, Any]:
        """The resolved configuration; raises Damaged."""
        return self._document(self.config, f"restore it from a copy, or {self._anew}")

    def write_manifest(self, *, parent: Mapping[str, Any] | None = None, **facts: Any) -> None:
        """Store what made this run, with a new id: from here on there is a run in the directory. Written last."""
        named = {"format": FORMAT, "run": secrets.token_hex(8), "name": self.name, "parent": parent}
        durable.replace(self.manifest, seal({**named, "created": time.time(), **provenance(), **facts}))
        self.__dict__.pop("facts", None)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The manifest; raises Damaged, or LilliputError with Exit.UNAVAILABLE for a newer format."""
        try:
            tree = unseal(self.manifest, required=False)
            if (format_of(self.manifest, tree, FORMAT) >= HASHED and SEAL not in tree) or "run" not in tree:
                raise Damaged(self.manifest, "is no manifest of a run")
        except Damaged as damage:
            raise Damaged(self.manifest, damage.reason, f"restore it from a copy, or {self._anew}") from None
        tree.pop(SEAL, None)
        return tree

    @property
    def _anew(self) -> str:
        return f"start a new run from a checkpoint: `--from {self.checkpoints}/step-...`"

    def _document(self, path: Path, action: str) -> dict[str, Any]:
        """One of the run's JSON files as it was written; raises Damaged, which says that `action` helps."""
        is_old = self.is_new or self.facts["format"] < HASHED  # an export has no manifest
        try:
            tree = unseal(path, required=not is_old)
        except Damaged as damage:
            raise Damaged(path, damage.reason, action) from None
        tree.pop(SEAL, None)
        return tree

    @property
    def id(self) -> str:
        return str(self.facts["run"])

    @property
    def state(self) -> State:
        """What run.json says; if it is lost, what the newest checkpoint's manifest remembers of it. Raises Damaged.

        A damaged one may have pinned what the newest checkpoint did not know of: nobody but a person may pass it over.
        """
        path = self.path / STATE
        if not path.exists():
            return self._remembered_state()
        action = "remove it: the best and the pinned are then those that the newest checkpoint knew of"
        tree = self._document(path, action)
        try:
            return State(tree["best"], tuple(tree["pinned"]), tree["exit"])
        except (KeyError, TypeError):
            raise Damaged(path, "says nothing of a run", action) from None

    def update(self, **changes: Any) -> None:
        """Replace fields of `state`, atomically."""
        durable.replace(self.path / STATE, seal(asdict(replace(self.state, **changes))))

    def _remembered_state(self) -> State:
        for _, path in reversed(checkpoints.listing(self.checkpoints)):
            with suppress(LilliputError):
                manifest = checkpoints.read_manifest(path)
                return State(manifest.get("best"), tuple(manifest.get("pinned") or ()))
        return State()

    def started(self) -> None:
        """Forget how the run ended last time and what was left half-done: from here on it is written again."""
        durable.sweep(self.path)
        self.update(exit=None)
        self.has_started = True

    def ended(self, code: int, step: int, cause: str = "") -> None:
        """Record how the run ended: an exit code (0 = finished), the last step, one line of cause."""
        self.update(exit={"code": int(code), "step": step, "cause": cause, "time": time.time()})

    def beat(self, step: int, phase: str) -> None:
        """Show where the run is, for readers of this moment."""
        record = {"step": step, "phase": phase, "pid": os.getpid(), "monotonic": time.monotonic()}
        durable.scribble(self.heartbeat, f"{json.dumps(record)}\n".encode())

    def commit(self, step: int, write: Write, manifest: Mapping[str, Any] | None = None) -> Path:
        """Commit a checkpoint that knows its run and what run.json says; `manifest` may carry a new `best`."""
        state = self.state
        known = {"run": self.id, "best": state.best, "pinned": list(state.pinned)}
        return checkpoints.commit(self.checkpoints, step, write, {**known, **(manifest or {})})

    def newest(self, *, repair: bool | None = None) -> Recovered:
        """The newest intact checkpoint; damaged ones are set aside only by whoever holds the lock."""
        return checkpoints.newest(self.checkpoints, run=self.id, repair=self.lock.is_held if repair is None else repair)

    def retain(self, keep: int) -> list[int]:
        """Retire all checkpoints but the `keep` newest, the best and the pinned."""
        state = self.state
        best = {state.best["step"]} if state.best else set()
        return checkpoints.retain(self.checkpoints, keep, best | set(state.pinned), run=self.id)

    def checkpoint(self, which: str = "latest") -> Path:
        """The verified checkpoint `latest`, `best` or of a step; raises LilliputError with Exit.MISSING."""
        if which == "latest":
            if (path := self.newest(repair=False).path) is None:
                raise _no_checkpoint(self, "has no checkpoint yet")
            return path
        if which == "best" and not self.state.best:
            raise _no_checkpoint(self, "has no best checkpoint: none was saved after a validation")
        step = str(self.state.best["step"]) if which == "best" and self.state.best else which
        paths = [path for number, path in checkpoints.listing(self.checkpoints) if str(number) == step]
        if not paths:
            raise _no_checkpoint(self, f"has no checkpoint of step {step}")
        checkpoints.verify(paths[-1])
        return paths[-1]


def runs_root() -> Path:
    """Where runs live: `LILLIPUT_RUNS`, or `runs` in the working directory."""
    return Path(os.environ.get("LILLIPUT_RUNS") or "runs").expanduser()


def default_name(recipe: str) -> str:
    """The name a run gets from its recipe's word: `lab/verdict` -> `lab-verdict`, `mine/my text.yaml` -> `my-text`."""
    is_path = recipe.endswith((".yaml", ".yml", ".json")) or recipe.startswith((".", "/"))
    return re.sub(r"[^\w.+=-]+", "-", Path(recipe).stem if is_path else recipe).strip("-.")[:90] or "run"


def resolve(word: str | Path) -> tuple[Run | None, Path]:
    """(run, verified checkpoint) for a run, `run@latest`, `run@best`, `run@500`, or a checkpoint's directory.

    The run is None for a checkpoint directory that lies in none.
    """
    text = str(word)
    if (Path(text) / checkpoints.MANIFEST).is_file():
        checkpoints.verify(Path(text))
        run = Run(Path(text).absolute().parent.parent)
        return (None if run.is_new else run), Path(text)
    name, at, which = text.rpartition("@")
    if at and not Path(text).exists():
        if which not in ("latest", "best") and not (which.isascii() and which.isdigit()):
            action = "after `@` comes latest, best or a step"
            raise LilliputError(f"`{which}` names no checkpoint", action, Exit.USAGE)
        run = Run.open(name)
        return run, run.checkpoint(which if which in ("latest", "best") else str(int(which)))
    run = Run.open(text)
    return run, run.checkpoint()


def _place(word: str) -> Path:
    """The directory that a name (below `runs_root`) or a path (with a separator, or beginning with a dot) means."""
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in word) or not word:
        raise LilliputError("a run's name has no control characters", "choose another name", Exit.USAGE)
    if "/" in word or os.sep in word or word.startswith((".", "~")):
        return Path(word).expanduser()
    if not NAME.fullmatch(word):
        action = "use letters, digits and . _ + = -, at most 100, beginning with a letter or digit"
        raise LilliputError(f"`{word}` is no name for a run", action, Exit.USAGE)
    return runs_root() / word


def _exists(path: Path) -> LilliputError:
    return LilliputError(f"run {path} exists", "go on with it by `--resume`, or choose another `--run`", Exit.EXISTS)


def _no_checkpoint(run: Run, problem: str) -> LilliputError:
    steps = ", ".join(str(step) for step, _ in checkpoints.listing(run.checkpoints)) or "none"
    return LilliputError(f"run {run.path} {problem}", f"steps with a checkpoint: {steps}", Exit.MISSING)


def _no_such_run(word: str) -> LilliputError:
    root = runs_root()
    names = [path.name for path in root.iterdir() if not Run(path).is_new] if root.is_dir() else []
    near = ", ".join(get_close_matches(word, names)) or ", ".join(sorted(names)[:8]) or "none"
    return LilliputError(f"there is no run `{word}` in {root}", f"runs there: {near}", Exit.MISSING)
