"""The room that a run takes on its disk, foretold before it begins: a start that cannot fit is refused."""

import shutil
from contextlib import suppress
from dataclasses import dataclass

from lilliput.config.errors import Exit, LilliputError
from lilliput.corpus.files import amount
from lilliput.models.contract import LanguageModel
from lilliput.nn.experts import Mixture
from lilliput.optim import Optimizer
from lilliput.runs import checkpoints
from lilliput.runs.checkpoints import BAD
from lilliput.runs.run import Run
from lilliput.stages.recipe import Recipe
from lilliput.stages.rhythm import RhythmConfig
from lilliput.stages.shares import names
from lilliput.training import checkpoint

BLOCK = 4096
"""What file systems give out at once."""
STEP_BYTES, FIGURE_BYTES = 270, 50
"""A line of an update in `metrics.jsonl`, and one more figure in it, as lines are on the average."""
SHOWN_BYTES = 430
"""What a line on the terminal adds: to `train.log`, and the clock's figures to `metrics.jsonl`."""
VALIDATION_BYTES, SAMPLE_BYTES, SAVE_BYTES = 320, 150, 60
"""Lines of both logs, without a sample's own text."""


@dataclass(frozen=True)
class Room:
    """What a run takes at most, in bytes."""

    one: int
    """A checkpoint."""
    most: int
    """Checkpoints at one time, with the one that is being written."""
    logs: int

    @property
    def total(self) -> int:
        return self.one * self.most + self.logs

    def __str__(self) -> str:
        several = f"{self.most} checkpoints" if self.most > 1 else "1 checkpoint"
        return f"{amount(self.total)} on the disk at most: {several} of {amount(self.one)}, logs of {amount(self.logs)}"


@dataclass(frozen=True)
class Course:
    """What a run will go through."""

    updates: int
    epochs: float
    sets: int
    """Of validation."""
    bytes_per_token: float


def foretold(recipe: Recipe, model: LanguageModel, optimizer: Optimizer, course: Course, beside: int = 0) -> Room:
    """The room for all of a run, with what stays `beside` its rhythm; model and optimizer may be without storage.

    All of it is taken where the best checkpoint is none of those that stay anyway and, with `rhythm.save_seconds`, the
    run is long enough for one by the clock.
    """
    one = sum(map(_on_disk, checkpoint.sizes(model, optimizer).values())) + 3 * BLOCK  # state, manifest, their folder
    return Room(one, _most(recipe.rhythm, course) + beside, _logs(recipe, model, course))


def beside(run: Run, rhythm: RhythmConfig) -> int:
    """Checkpoints of a run that stay beside those of its rhythm: the pinned ones, and one that a stop has left."""
    listed = checkpoints.listing(run.checkpoints)
    with suppress(LilliputError):  # a damaged one is recovery's to tell
        if listed and checkpoints.read_manifest(listed[-1][1]).get("rolling") and rhythm.save_seconds <= 0:
            return len(run.state.pinned) + 1
    return len(run.state.pinned)


def refuse(run: Run, room: Room) -> None:
    """Raise `LilliputError` (disk full) where a run cannot fit, less what it has already; nothing is written."""
    there, free = _held(run), shutil.disk_usage(run.path).free
    if room.total - there <= free:
        return
    already = f", of which it has {amount(there)}" if there else ""
    raise LilliputError(
        f"{run.path} would need {room}{already}; {amount(free)} are free",
        f"free {amount(room.total - there - free)}, let fewer checkpoints stay (rhythm.keep=1, rhythm.save_seconds=0), "
        "or name a run on another disk with `--run`",
        Exit.DISK_FULL,
    )


def _most(rhythm: RhythmConfig, course: Course) -> int:
    """Checkpoints that there are while the last one is written."""
    total, every = course.updates, rhythm.save_every
    stay = -(-total // every) if every > 0 else 1
    if rhythm.save_each_epoch:
        stay += int(course.epochs)
    kept = min(stay - 1, max(rhythm.keep, 1))
    return kept + _has_best_beside(rhythm, course, kept) + (rhythm.save_seconds > 0) + 1


def _has_best_beside(rhythm: RhythmConfig, course: Course, kept: int) -> bool:
    """Whether the best checkpoint may be none of the `kept` newest before the last."""
    if not course.sets or rhythm.best_by == "none" or rhythm.validate_every <= 0:
        return False
    saved = range(rhythm.save_every, course.updates, rhythm.save_every) if rhythm.save_every > 0 else range(0)
    staying = saved[len(saved) - kept :]
    return any(step not in staying for step in range(rhythm.validate_every, course.updates, rhythm.validate_every))


def _logs(recipe: Recipe, model: LanguageModel, course: Course) -> int:
    rhythm, steps = recipe.rhythm, course.updates
    times = {
        name: steps // every + 1 if every > 0 else 0
        for name, every in (
            ("shown", rhythm.log_every),
            ("validated", rhythm.validate_every),
            ("sampled", rhythm.sample_every),
            ("saved", rhythm.save_every),
        )
    }
    sample = SAMPLE_BYTES + 2 * rhythm.sample_tokens * course.bytes_per_token  # in `samples.jsonl` and in `train.log`
    prompts = len(recipe.samples.prompts) * sample + 2 * sum(len(prompt.encode()) for prompt in recipe.samples.prompts)
    lines = (
        steps * (STEP_BYTES + _more(recipe, model)),
        times["shown"] * SHOWN_BYTES,
        times["validated"] * course.sets * VALIDATION_BYTES,
        times["sampled"] * rhythm.num_samples * prompts,
        times["saved"] * SAVE_BYTES,
    )
    return round(sum(lines)) + 12 * BLOCK  # recipe, settings, manifest, state, lock, tokenizer, their folders


def _more(recipe: Recipe, model: LanguageModel) -> int:
    """Bytes that sources and experts add to the line of an update."""
    called = names(recipe.data.sources)
    sources = sum(len(name) + 24 for name in called) if len(called) > 1 else 0
    layers = [
        module.num_experts for module in model.modules() if isinstance(module, Mixture) and module.num_experts > 1
    ]
    return sources + FIGURE_BYTES * (sum(count + 3 for count in layers) + 4 * bool(layers))


def _held(run: Run) -> int:
    """What of its room a run has taken; what is set aside as damaged is no part of it."""
    files = [path for path in run.checkpoints.glob("*/*") if not path.parent.name.startswith(BAD)]
    logs = (run.metrics.path, run.samples.path, run.train_log)
    return sum(_on_disk(path.stat().st_size) for path in (*files, *logs) if path.is_file()) + BLOCK * len(
        checkpoints.listing(run.checkpoints)
    )


def _on_disk(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
