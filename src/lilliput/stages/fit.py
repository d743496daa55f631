"""What happens between updates, in reading order, for pretraining and fine-tuning alike."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lilliput.evals.run import evaluate
from lilliput.inference.generate import stream
from lilliput.inference.sampling import SamplingConfig
from lilliput.models.contract import LanguageModel
from lilliput.runs import stop
from lilliput.runs.run import Run
from lilliput.stages.events import Event, Finished, Noted, Sampled, Validated
from lilliput.stages.journal import Effect, Journal, Progress
from lilliput.stages.rhythm import RhythmConfig, SamplesConfig, due
from lilliput.stages.saving import Save, Saver
from lilliput.stages.shares import Shares
from lilliput.tokens.batch import Batch
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training.loop import Step
from lilliput.training.meter import Meter


@dataclass(frozen=True)
class Job:
    """What `fit` works on."""

    run: Run
    model: LanguageModel
    tokenizer: Tokenizer
    rhythm: RhythmConfig
    samples: SamplesConfig
    seed: int
    steps: Callable[[Progress], Iterator[Step]]
    """Starts the loop after `Progress.step` updates."""
    epoch: Callable[[int], float]
    validation: Mapping[str, Callable[[], Iterable[Batch]]]
    save: Save
    state_bytes: int
    """Of what a checkpoint holds."""
    meter: Meter
    until_loss: float | None = None
    shares: Shares | None = None
    """Of the sources, where there are several."""


def fit(job: Job, progress: Progress) -> Iterator[Event]:
    """Train to the end, to an early end, or to a requested stop; every effect that is due happens in this order:
    log, validate, sample, save. Resuming from the checkpoint of any step repeats none and misses none.
    """
    with Saver(job.save, job.state_bytes) as saver:
        yield from _fit(job, progress, saver)
        yield from saver.finish()
    if job.shares:
        yield from map(Noted, job.shares.realised(progress.tokens_by_source))
    ended = progress.ended if not progress.open else None
    yield Finished(progress.step, progress.total, ended or "stopped", job.meter.seconds)


def _fit(job: Job, progress: Progress, saver: Saver) -> Iterator[Event]:
    rhythm, meter = job.rhythm, job.meter
    log = Journal(job.run.metrics, meter, job.epoch, progress, job.shares)
    if progress.step == 0 and rhythm.validate_at_start and job.validation:
        progress.open = ["validate"]
    if progress.open:
        yield from _effects(job, progress)
        reason = _save_reason(job, progress, saver)
        if reason and progress.step and not progress.open:
            yield from saver.begin(progress, reason)
    if progress.ended is not None or progress.open:
        return
    meter.start(progress.step)
    for _ in log.follow(job.steps(progress)):
        yield from saver.done()
        if due(progress.step, rhythm.log_every, progress.total):
            yield log.flush()
            if job.until_loss is not None and log.mean < job.until_loss:
                progress.ended = "until_loss"
        if progress.step == progress.total:
            progress.ended = "length"
        progress.open = _due_effects(job, progress)
        if progress.open:
            log.write()
            with meter.pause():
                yield from _effects(job, progress)
        stopping = stop.requested() is not None  # asked once: what is not saved below must not end the loop
        reason = _save_reason(job, progress, saver) or ("stop" if stopping else None)
        if reason:
            log.write()
            with meter.pause():
                yield from saver.begin(progress, reason)
        if progress.ended or stopping:
            break


def _due_effects(job: Job, progress: Progress) -> list[Effect]:
    """What this step asks for beside its update; the last step asks for all, unless it is a validation that ends it."""
    wanted: list[tuple[Effect, int]] = [("sample", job.rhythm.sample_every)]
    if job.validation:
        wanted.insert(0, ("validate", job.rhythm.validate_every))
    ending = progress.ended is not None
    return [effect for effect, every in wanted if every > 0 and (ending or progress.step % every == 0)]


def _save_reason(job: Job, progress: Progress, saver: Saver) -> str | None:
    """Why a checkpoint is due after this step; the first reason counts, those that let it stay before the others."""
    rhythm, step = job.rhythm, progress.step
    if progress.ended:
        return "final"
    if rhythm.save_every > 0 and step % rhythm.save_every == 0:
        return "rhythm"
    if rhythm.save_each_epoch and math.floor(job.epoch(step)) > math.floor(job.epoch(step - 1)):
        return "epoch"
    if rhythm.best_by != "none" and progress.best_step == step:
        return "best"
    # Fifty times the last save's duration keeps saving under 2 % of the time.
    if rhythm.save_seconds > 0 and time.monotonic() - saver.at > max(rhythm.save_seconds, 50 * saver.took):
        return "clock"
    return None


def _effects(job: Job, progress: Progress) -> Iterator[Event]:
    """Do what is open, in order; a requested stop leaves the rest open for the resumed run."""
    while progress.open:
        try:
            events = list(_validate(job, progress) if progress.open[0] == "validate" else _sample(job, progress))
        except stop.Stopped:
            return
        progress.open.pop(0)
        yield from events


def _until_stopped(batches: Iterable[Batch], limit: int) -> Iterator[Batch]:
    for number, batch in enumerate(batches):
        if limit and number >= limit:
            return
        stop.yield_point()
        yield batch


def _validate(job: Job, progress: Progress) -> Iterator[Event]:
    """Every validation set's figures; they are written together, so a stop leaves none or all."""
    reports = {
        name: evaluate(job.model, _until_stopped(batches(), job.rhythm.validate_batches), resamples=0)
        for name, batches in job.validation.items()
    }
    first = next(iter(reports.values())).loss.value
    delta = job.rhythm.early_stop.min_delta if job.rhythm.early_stop else 0.0
    if progress.bar is None or first < progress.bar - delta:
        progress.bar, progress.stale = first, 0
    else:
        progress.stale += 1
    improved = progress.best is None or first < progress.best
    if improved:
        progress.best, progress.best_step = first, progress.step
    if job.rhythm.early_stop and progress.stale >= job.rhythm.early_stop.patience and progress.ended is None:
        progress.ended = "early_stop"
    events = [
        Validated(progress.step, name, r.loss.value, r.ppl.value, r.bpb.value, r.accuracy.value, r.targets)
        for name, r in reports.items()
    ]
    if improved:
        events[0] = replace(events[0], best=True)
    job.run.metrics.write(*({"kind": "validation", **_record(event)} for event in events))
    yield from events


def _record(event: Validated) -> dict[str, Any]:
    record = asdict(event)
    return {"step": record.pop("step"), "set": record.pop("name"), **record}


def _sample(job: Job, progress: Progress) -> Iterator[Event]:
    chosen = SamplingConfig(
        temperature=job.samples.temperature,
        top_k=job.samples.top_k,
        top_p=job.samples.top_p,
        max_tokens=job.rhythm.sample_tokens,
        seed=job.seed,
    )
    prompts, count = job.samples.prompts, job.rhythm.num_samples
    written: list[str] = [""] * (len(prompts) * count)
    for piece in stream(job.model, job.tokenizer, prompts, chosen, samples=count):
        stop.yield_point()
        written[piece.prompt * count + piece.sample] += piece.text
    events = [Sampled(progress.step, prompts[i // count], text) for i, text in enumerate(written)]
    job.run.samples.write(*({"kind": "sample", **asdict(event)} for event in events))
    yield from events
