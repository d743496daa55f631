"""Pretraining: model, optimiser, batches and checkpoint put together for `fit`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lilliput.config.load import dump
from lilliput.models.contract import LanguageModel
from lilliput.models.weights import build_model, counts
from lilliput.optim import Optimizer, build_optimizer
from lilliput.optim.schedules import multiplier, warmup_steps
from lilliput.runs.run import Run
from lilliput.stages import experts, shares
from lilliput.stages.events import Event, Noted, Prepared, Warned
from lilliput.stages.fit import Job, fit
from lilliput.stages.journal import Progress
from lilliput.stages.prepare import Data
from lilliput.stages.recipe import Recipe
from lilliput.stages.room import Course, Room, beside, foretold, refuse
from lilliput.stages.shares import Shares, stream
from lilliput.tokens.batch import Batch
from lilliput.tokens.batches import Batches, validation_batches
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training import calibration, checkpoint, parallel
from lilliput.training.compilation import compile_model
from lilliput.training.expert_files import ExpertFolder
from lilliput.training.loading import Loader
from lilliput.training.loop import Step, train
from lilliput.training.memory import checkpoint_activations, keep_freed_memory
from lilliput.training.meter import Meter
from lilliput.training.precision import LossScale, Precision, check
from lilliput.training.settings import total_steps

VALIDATION_TOKENS = 8192
"""Tokens that are scored at once: what fits beside a model in training."""


@dataclass(frozen=True)
class Parts:
    """What training works on."""

    recipe: Recipe
    tokenizer: Tokenizer
    data: Data
    device: torch.device
    precision: Precision
    model: LanguageModel
    optimizer: Optimizer
    scale: LossScale | None
    batches: Batches


def pretrain(run: Run, parts: Parts, total: int, room: Room) -> Iterator[Event]:
    """Train a run, whose lock is held, from its newest intact state to its end; `total` updates if it has none."""
    recipe = parts.recipe
    progress, told = _take_over(run, parts)
    was_over = progress.ended is not None and not progress.open
    yield from told
    progress.total = progress.total or total
    parts.optimizer.sleep(round(recipe.experts.thaw * progress.total))
    parts = replace(parts, batches=parts.batches.over(progress.total))
    yield Prepared((*_summary(parts, progress.total), str(room)))
    yield from map(Noted, shares.told(recipe, parts.batches, progress.total))
    yield from map(Warned, [*parts.model.remarks(), *shares.remarks(recipe, parts.batches, progress.total)])
    if warmup_steps(recipe.schedule, progress.total) > 0.2 * progress.total:
        yield Warned("warm-up takes more than a fifth of the run")
    options = {"total": progress.total, "workers": recipe.data.workers, "prefetch": recipe.data.prefetch}
    with Loader(parts.batches.batch, **options) as loader:
        yield from fit(_job(run, parts, loader, progress), progress)
    if progress.ended and not progress.open and recipe.experts.mode == "sequential":
        folder = _folder(run, parts)
        if not (was_over and experts.is_done(folder, parts.optimizer, recipe.experts)):
            yield from map(Noted, experts.end(folder, parts.optimizer, recipe.experts))


def build(recipe: Recipe, tokenizer: Tokenizer, data: Data, *, by_windows: bool = False) -> Parts:
    """Everything but the state: the model of the seed, its optimiser, the stream of batches."""
    training = recipe.training
    device = parallel.choose_device(training.device)
    precision = check(training.means.precision, device)
    parallel.use_threads(training.means.threads)
    parallel.use_experts(training.means.experts)
    parallel.use_determinism(training.deterministic, device)
    if device.type == "cpu":
        keep_freed_memory()
    model = build_model(recipe.architecture, tokenizer.size, recipe.seed).to(device)
    pace = experts.pace(model, recipe.experts)
    optimizer = build_optimizer(model, recipe.optim, precision.weights, factors=pace.factors, late=pace.late)
    if training.activation_checkpointing:
        checkpoint_activations(model)
    if training.compile:
        compile_model(model)
    batches = stream(recipe, tokenizer, data, by_windows=by_windows)
    return Parts(recipe, tokenizer, data, device, precision, model, optimizer, precision.scaler(), batches)


def length(parts: Parts) -> int:
    """Updates of a run; minutes are turned into updates by a measurement that leaves no trace."""
    training, batches = parts.recipe.training, parts.batches
    rate = None
    if training.length.minutes is not None:
        rate = calibration.steps_per_minute(
            parts.model, parts.optimizer, batches.batch, training, seed=parts.recipe.seed
        )
    return total_steps(
        training.length,
        steps_per_epoch=batches.windows / training.batch_size,
        tokens_per_step=batches.targets_per_epoch / batches.windows * training.batch_size,
        steps_per_minute=rate,
    )


def room(run: Run, parts: Parts, total: int) -> Room:
    """What the run will take; raises `LilliputError` (disk full) where there is less, before anything is written."""
    shards = parts.data.train
    course = Course(
        total,
        epochs=parts.batches.epoch(total),
        sets=len(parts.data.validation),
        bytes_per_token=sum(shard.bytes for shard in shards) / sum(shard.num_tokens for shard in shards),
    )
    needed = foretold(parts.recipe, parts.model, parts.optimizer, course, beside(run, parts.recipe.rhythm))
    refuse(run, needed)
    return needed


def _job(run: Run, parts: Parts, loader: Loader, progress: Progress) -> Job:
    recipe, model = parts.recipe, parts.model
    is_counted = progress.step == 0 or progress.tokens_by_source  # not in a run that began before they were
    is_mixed = len(recipe.data.sources) > 1
    meter = Meter(
        parts.device,
        flops_per_token=model.flops_per_token(parts.batches.packings[0].width),
        peak=calibration.peak(parts.device, parts.precision),
        waited=lambda: loader.waited,
    )
    return Job(
        run=run,
        model=model,
        tokenizer=parts.tokenizer,
        rhythm=recipe.rhythm,
        samples=recipe.samples,
        seed=recipe.seed,
        steps=partial(_steps, parts, loader),
        epoch=parts.batches.epoch,
        validation=_validation(parts),
        save=partial(_save, run, parts),
        state_bytes=4 * sum(p.numel() * (3 if p.requires_grad else 1) for p in model.parameters()),
        meter=meter,
        until_loss=recipe.training.length.until_loss,
        shares=Shares(recipe, parts.batches) if is_mixed and is_counted else None,
    )


def _steps(parts: Parts, loader: Loader, progress: Progress) -> Iterator[Step]:
    recipe = parts.recipe
    return train(
        parts.model,
        parts.optimizer,
        loader,
        lambda step: multiplier(recipe.schedule, step, progress.total),
        done=progress.step,
        total=progress.total,
        micro_batch_size=recipe.training.means.micro_batch_size,
        clip=recipe.optim.clip,
        seed=recipe.seed,
        precision=parts.precision,
        scale=parts.scale,
    )


def _validation(parts: Parts) -> dict[str, Callable[[], Iterable[Batch]]]:
    context = parts.recipe.training.context_length
    size = max(1, VALIDATION_TOKENS // context)
    return {
        name: partial(validation_batches, shard, context, size, parts.tokenizer.lengths())
        for name, shard in parts.data.validation.items()
    }


def _save(run: Run, parts: Parts, progress: Progress, reason: str, copied: bool) -> Callable[[], None]:
    """Logs first, now; what is returned commits the state that refers to them, then retires what is superfluous."""
    run.metrics.sync()
    run.samples.sync()
    changes: dict[str, Any] = {}
    if progress.best_step == progress.step and parts.recipe.rhythm.best_by != "none":
        changes["best"] = {"step": progress.step, "value": progress.best, "set": next(iter(parts.data.validation))}
    state = {
        **asdict(progress),
        "log_sizes": {"metrics": run.metrics.size(), "samples": run.samples.size()},
        "scale": parts.scale.state() if parts.scale else None,
        "model": dump(parts.recipe.architecture),
    }
    step, tokenizer = progress.step, parts.tokenizer.fingerprint
    write = checkpoint.contents(step, parts.model, parts.optimizer, state, tokenizer=tokenizer, copied=copied)

    def commit() -> None:
        run.commit(step, write, {"reason": reason, "rolling": reason in ("clock", "stop", "best"), **changes})
        if changes:
            run.update(**changes)
        run.retain(parts.recipe.rhythm.keep)

    return commit


def _take_over(run: Run, parts: Parts) -> tuple[Progress, list[Event]]:
    """The state of the newest intact checkpoint, of the run's parent, or of nothing; logs are cut back to it."""
    found, parent = run.newest(), run.facts.get("parent")
    told: list[Event] = [Warned(f"passed over a damaged checkpoint: {problem}") for problem in found.problems]
    progress, sizes = Progress(), {"metrics": 0, "samples": 0}
    if found.path is not None:
        progress, sizes = _load(found.path, parts)
        told.append(Noted(f"resumed from step {progress.step}"))
    elif parent and parent["how"] == "resume":
        progress, _ = _load(Path(parent["checkpoint"]), parts)
        progress.best_step = None  # the parent's best checkpoint is not this run's
        told.append(Noted(f"goes on from step {progress.step} of run {parent['run']}"))
    elif parent:
        checkpoint.load(
            Path(parent["checkpoint"]),
            parts.model,
            parts.optimizer,
            tokenizer=parts.tokenizer.fingerprint,
            weights_only=True,
        )
        told.append(Noted(f"starts with the weights of step {parent['step']} of run {parent['run']}"))
    elif parts.recipe.experts.mode != "together":
        told += map(Noted, experts.begin(_folder(run, parts), parts.optimizer, parts.recipe.experts, parts.recipe.seed))
    for name, log in (("metrics", run.metrics), ("samples", run.samples)):
        log.cut(progress.step, sizes[name])
        if found.path is not None and log.size() < sizes[name]:
            told.append(Warned(f"{log.path} has lost lines of before step {progress.step} was saved"))
    if run.state.best != (best := found.manifest.get("best")):  # a kill or a damaged checkpoint came between the two
        run.update(best=best)
    run.retain(parts.recipe.rhythm.keep)  # the run may have been killed between its last save and this
    return progress, told


def _folder(run: Run, parts: Parts) -> ExpertFolder:
    return ExpertFolder(experts.place(parts.recipe.experts, run.facts), parts.model, parts.tokenizer.fingerprint)


def _load(path: Path, parts: Parts) -> tuple[Progress, dict[str, int]]:
    state = checkpoint.load(path, parts.model, parts.optimizer, tokenizer=parts.tokenizer.fingerprint)
    if parts.scale and state["scale"]:
        parts.scale.load_state(state["scale"])
    known = {name: value for name, value in state.items() if name in Progress.__dataclass_fields__}
    return Progress(**known), state["log_sizes"]


def _summary(parts: Parts, total: int) -> Iterator[str]:
    """What a person wants to know before the first update."""
    training, shards, count = parts.recipe.training, parts.data.train, counts(parts.model)
    tokens, spelled = sum(shard.num_tokens for shard in shards), sum(shard.bytes for shard in shards)
    held_out = ", ".join(f"{name} {shard.num_tokens:,}" for name, shard in parts.data.validation.items())
    active = f", {count.active:,} active for a token" if count.active < count.total else ""
    size = f"{count.total:,} parameters ({count.non_embedding:,} without embeddings{active})"
    yield f"{parts.recipe.model.family} with {size}"
    yield f"{tokens:,} training tokens of {spelled:,} bytes, vocabulary {parts.tokenizer.size:,}"
    yield f"validation tokens: {held_out or 'none'}"
    if dropped := parts.data.dropped:
        yield f"left out: {', '.join(f'{count:,} {reason}' for reason, count in dropped.items())}"
    yield from (words for shard in shards for words in shard.manifest["provenance"].get("text", ()))
    yield f"{total:,} updates of {training.batch_size} windows, {parts.batches.steps_per_epoch:,} an epoch"
    threads = "1 thread" if training.threads == 1 else f"{training.threads} threads"
    means = f"micro-batches of {training.micro_batch_size}, {threads}"
    if training.means.experts:
        means += f", experts {training.means.experts}"
    yield f"{training.precision} on {parts.device}, {means}"
