"""The rhythm of a run: what happens between updates, in reading order, for pretraining and fine-tuning alike."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import torch
from pydantic import Field

from lilliput.config.settings import Display, Safe, Semantic, settings
from lilliput.evals.run import evaluate
from lilliput.inference.generate import stream
from lilliput.inference.sampling import SamplingConfig
from lilliput.models.contract import LanguageModel
from lilliput.runs import stop
from lilliput.runs.run import Run
from lilliput.stages.events import Event, Finished, Sampled, Saved, Stepped, Validated
from lilliput.tokens.batch import Batch
from lilliput.tokens.tokenizer import Tokenizer
from lilliput.training.loop import Step
from lilliput.training.meter import Meter

Effect = Literal["validate", "sample"]


@settings
class EarlyStop:
    patience: Semantic[int] = Field(default=3, ge=1)
    """Validations without an improvement before training ends."""
    min_delta: Semantic[float] = Field(default=0.0, ge=0)
    """Smallest fall of the validation loss that counts as one, in nats."""


@settings
class RhythmConfig:
    """What happens every so many updates; 0 or less means never."""

    log_every: Display[int] = 10
    """Updates between two lines on the terminal; `metrics.jsonl` has a line for every update."""
    validate_every: Safe[int] = 100
    """Updates between two validations."""
    validate_batches: Semantic[int] = Field(default=0, ge=0)
    """Batches per validation set; 0 = the whole set."""
    validate_at_start: Safe[bool] = False
    """Validate the untrained model too."""
    sample_every: Safe[int] = 0
    """Updates between two rounds of samples."""
    num_samples: Safe[int] = Field(default=1, ge=1)
    """Samples per prompt."""
    sample_tokens: Safe[int] = Field(default=100, ge=1)
    """Tokens of a sample at most."""
    save_every: Safe[int] = 500
    """Updates between two checkpoints that stay."""
    save_each_epoch: Safe[bool] = False
    """Save a checkpoint that stays at the end of each epoch."""
    save_seconds: Safe[float] = 60.0
    """Seconds between checkpoints that bound what a crash costs; each replaces the one before it."""
    keep: Safe[int] = Field(default=3, ge=0)
    """Checkpoints of `save_every` and `save_each_epoch` that stay, beside the best and pinned ones."""
    best_by: Safe[Literal["loss", "none"]] = "loss"
    """What names the best checkpoint: the first validation set's loss, or none."""
    early_stop: Semantic[EarlyStop | None] = None
    """End training when validation stops improving; null = never."""


@settings
class SamplesConfig:
    """What the model is asked to write while it learns; drawn as `generate` draws."""

    prompts: Safe[tuple[str, ...]] = ("",)
    """Texts to go on from; an empty one lets the model begin."""
    temperature: Safe[float] = Field(default=0.8, ge=0)
    """Divides the logits; 0 is greedy."""
    top_k: Safe[int] = Field(default=50, ge=0)
    """Keep the k most likely tokens; 0 keeps all."""
    top_p: Safe[float] = Field(default=0.9, gt=0, le=1)
    """Keep the most likely tokens up to this sum of probabilities."""


@dataclass
class Progress:
    """Where a run stands; `state.json` of its checkpoints."""

    step: int = 0
    total: int = 0
    tokens_seen: int = 0
    bytes_seen: int = 0
    best: float | None = None
    best_step: int | None = None
    stale: int = 0
    """Validations since the best one, for early stopping."""
    open: list[Effect] = field(default_factory=list)
    """Effects of `step` that were due and are not done."""
    ended: str | None = None
    shown_nats: float = 0.0
    """Of the updates since the last shown line; their mean is what `until_loss` looks at."""
    shown_targets: int = 0
    shown_bytes: int = 0

    def show(self, nats: float, targets: int, spelled: int) -> None:
        self.shown_nats += nats
        self.shown_targets += targets
        self.shown_bytes += spelled


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
    save: Callable[[Progress, str], None]
    """Commits a checkpoint, with the reason for it."""
    meter: Meter
    until_loss: float | None = None


def due(step: int, every: int, total: int) -> bool:
    """True on each multiple of `every`, and always on the last step; never where `every` is 0 or less."""
    return every > 0 and (step % every == 0 or step == total)


def fit(job: Job, progress: Progress) -> Iterator[Event]:
    """Train to the end, to an early end, or to a requested stop; every effect that is due happens in this order:
    log, validate, sample, save. Resuming from the checkpoint of any step repeats none and misses none.
    """
    rhythm, meter = job.rhythm, job.meter
    log, saved = _Log(job, progress), _Saved(time.monotonic())
    if progress.step == 0 and rhythm.validate_at_start and job.validation:
        progress.open = ["validate"]
    if progress.open:
        yield from _effects(job, progress)
        reason = _save_reason(job, progress, saved)
        if reason and progress.step and not progress.open:
            yield _save(job, progress, saved, reason)
    if progress.ended is None and not progress.open:
        meter.start(progress.step)
        for step in job.steps(progress):
            log.add(step)
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
            reason = _save_reason(job, progress, saved) or ("stop" if stopping else None)
            if reason:
                log.write()
                with meter.pause():
                    yield _save(job, progress, saved, reason)
            if progress.ended or stopping:
                break
    ended = progress.ended if not progress.open else None
    yield Finished(progress.step, progress.total, ended or "stopped", meter.seconds)


def _due_effects(job: Job, progress: Progress) -> list[Effect]:
    """What this step asks for beside its update; the last step asks for all."""
    wanted: list[tuple[Effect, int]] = [("sample", job.rhythm.sample_every)]
    if job.validation:
        wanted.insert(0, ("validate", job.rhythm.validate_every))
    ending = progress.ended is not None
    return [effect for effect, every in wanted if every > 0 and (ending or progress.step % every == 0)]


@dataclass
class _Saved:
    """When the last checkpoint was committed, and how long it took."""

    at: float
    took: float = 0.0


def _save_reason(job: Job, progress: Progress, saved: _Saved) -> str | None:
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
    if rhythm.save_seconds > 0 and time.monotonic() - saved.at > max(rhythm.save_seconds, 50 * saved.took):
        return "clock"
    return None


def _save(job: Job, progress: Progress, saved: _Saved, reason: str) -> Saved:
    begun = time.monotonic()
    job.save(progress, reason)
    saved.at = time.monotonic()
    saved.took = saved.at - begun
    return Saved(progress.step, reason, saved.took)


class _Log:
    """Steps on their way to `metrics.jsonl`: values stay on the device until a line needs them."""

    def __init__(self, job: Job, progress: Progress) -> None:
        self.job, self.progress = job, progress
        self.pending: list[tuple[Step, int, int]] = []
        self.last: dict[str, Any] = {}
        self.mean = math.inf

    def add(self, step: Step) -> None:
        progress = self.progress
        progress.step = step.number
        progress.tokens_seen += step.targets
        progress.bytes_seen += step.bytes
        self.pending.append((step, progress.tokens_seen, progress.bytes_seen))
        self.job.meter.add(step.targets, step.micro_batches)

    def write(self, clock: Mapping[str, Any] | None = None) -> None:
        """Bring the pending values over in one copy and append their lines in one write."""
        if not self.pending:
            return
        steps = [step for step, _, _ in self.pending]
        names = ["loss", "grad_norm", *(f"aux.{n}" for n in steps[0].aux), *(f"monitor.{n}" for n in steps[0].monitors)]
        stacked = torch.stack(
            [
                torch.stack([v.detach().double() for v in (s.loss, s.grad_norm, *s.aux.values(), *s.monitors.values())])
                for s in steps
            ]
        ).tolist()
        records = []
        for (step, tokens, spelled), values in zip(self.pending, stacked, strict=True):
            named = dict(zip(names, values, strict=True))
            self.progress.show(named["loss"] * step.targets, step.targets, step.bytes)
            records.append(
                {
                    "kind": "step",
                    "step": step.number,
                    "loss": named.pop("loss"),
                    "bpb": bits_per_byte(values[0] * step.targets, step.bytes),
                    "lr": step.lr,
                    "grad_norm": named.pop("grad_norm"),
                    "epoch": self.job.epoch(step.number),
                    "tokens_seen": tokens,
                    "bytes_seen": spelled,
                    "batch_digest": step.batch_digest,
                    **named,
                }
            )
        records[-1] |= clock or {}
        self.last = records[-1]
        self.job.run.metrics.write(*records)
        self.pending.clear()

    def flush(self) -> Stepped:
        """Write what is pending and sum up the updates since the last shown line."""
        clock = self.job.meter.read()
        self.write(clock)
        last, progress = self.last, self.progress
        self.mean = progress.shown_nats / max(progress.shown_targets, 1)
        bpb = bits_per_byte(progress.shown_nats, progress.shown_bytes)
        progress.shown_nats, progress.shown_targets, progress.shown_bytes = 0.0, 0, 0
        extra = {k: v for k, v in last.items() if k.startswith(("aux.", "monitor."))}
        figures = last["epoch"], self.mean, bpb, last["lr"], last["grad_norm"]
        return Stepped(progress.step, progress.total, *figures, clock, extra)


def bits_per_byte(nats: float, count: int) -> float:
    """Bits per byte of text; NaN where no byte was counted."""
    return nats / math.log(2) / count if count else math.nan


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
    improved = progress.best is None or first < progress.best
    delta = job.rhythm.early_stop.min_delta if job.rhythm.early_stop else 0.0
    progress.stale = 0 if progress.best is None or first < progress.best - delta else progress.stale + 1
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
