"""Where a run stands, and its steps on their way to the metrics log."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from lilliput.config.errors import LilliputError
from lilliput.evals.score import bits
from lilliput.runs.metrics import MetricsLog
from lilliput.stages.events import Stepped
from lilliput.stages.shares import Shares
from lilliput.training.loop import Step
from lilliput.training.meter import Meter

Effect = Literal["validate", "sample"]


@dataclass
class Progress:
    """Where a run stands; `state.json` of its checkpoints."""

    step: int = 0
    total: int = 0
    tokens_seen: int = 0
    bytes_seen: int = 0
    tokens_by_source: list[list[int]] = field(default_factory=list)
    """A row for each stage of a mixture that has begun, with the tokens seen of each source; empty for one source."""
    best: float | None = None
    best_step: int | None = None
    bar: float | None = None
    """The last loss whose fall counted as one for early stopping: small falls add up to one that counts."""
    stale: int = 0
    """Validations since then."""
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


class Journal:
    """Steps on their way to `metrics.jsonl`: values stay on the device until a line needs them."""

    def __init__(
        self,
        metrics: MetricsLog,
        meter: Meter,
        epoch: Callable[[int], float],
        progress: Progress,
        shares: Shares | None = None,
    ) -> None:
        self.metrics, self.meter, self.epoch, self.progress, self.shares = metrics, meter, epoch, progress, shares
        self.pending: list[tuple[Step, dict[str, int]]] = []
        self.last: dict[str, Any] = {}
        self.mean = math.inf

    def follow(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Steps as they come, each added first; where training breaks off, those before it still get their lines."""
        try:
            for step in steps:
                self.add(step)
                yield step
        except LilliputError:
            self.write()
            raise

    def add(self, step: Step) -> None:
        progress = self.progress
        progress.step = step.number
        progress.tokens_seen += step.targets
        progress.bytes_seen += step.bytes
        seen = {"tokens_seen": progress.tokens_seen, "bytes_seen": progress.bytes_seen}
        if self.shares:
            sums = self.shares.add(progress.tokens_by_source, step.number, step.by_source)
            seen |= self.shares.record(sums)
        self.pending.append((step, seen))
        self.meter.add(step.targets, step.micro_batches)

    def write(self, clock: Mapping[str, Any] | None = None) -> None:
        """Bring the pending values over in one copy and append their lines in one write."""
        if not self.pending:
            return
        steps = [step for step, _ in self.pending]
        names = ["loss", "grad_norm", *(f"aux.{n}" for n in steps[0].aux), *(f"monitor.{n}" for n in steps[0].monitors)]
        stacked = torch.stack(
            [
                torch.stack([v.detach().float() for v in (s.loss, s.grad_norm, *s.aux.values(), *s.monitors.values())])
                for s in steps
            ]
        ).tolist()
        records = []
        for (step, seen), values in zip(self.pending, stacked, strict=True):
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
                    "epoch": self.epoch(step.number),
                    **seen,
                    "batch_digest": step.batch_digest,
                    **named,
                }
            )
        records[-1] |= clock or {}
        self.last = records[-1]
        self.metrics.write(*records)
        self.pending.clear()

    def flush(self) -> Stepped:
        """Write what is pending and sum up the updates since the last shown line."""
        clock = self.meter.read()
        self.write(clock)
        last, progress = self.last, self.progress
        self.mean = progress.shown_nats / max(progress.shown_targets, 1)
        bpb = bits_per_byte(progress.shown_nats, progress.shown_bytes)
        progress.shown_nats, progress.shown_targets, progress.shown_bytes = 0.0, 0, 0
        extra = {k: v for k, v in last.items() if k.startswith(("aux.", "monitor."))}
        figures = last["epoch"], self.mean, bpb, last["lr"], last["grad_norm"]
        return Stepped(progress.step, progress.total, *figures, clock, extra)


def bits_per_byte(nats: float, count: int) -> float:
    """NaN where no byte was counted."""
    return bits(nats) / count if count else math.nan
