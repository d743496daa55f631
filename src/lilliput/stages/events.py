"""What a stage tells its caller while it works, and the one line of text that each event is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lilliput.evals.score import perplexity


@dataclass(frozen=True)
class Told:
    """A passage for a reader: the words of the tour."""

    heading: str
    text: str


@dataclass(frozen=True)
class Preparing:
    """How far a pass over text has come."""

    doing: str
    """What is done, such as `cleaning books`."""
    files: tuple[int, int] | None
    """Read, and to be read; None where text is in no files."""
    documents: tuple[int, int | None]
    """Read, and to be read where that is known."""
    bytes: int
    seconds: float

    @property
    def counts(self) -> str:
        """Files or documents of all, as a bar shows them."""
        read, total = self.documents
        if total is None and self.files:
            return f"{self.files[0]:,}/{self.files[1]:,} files"
        return f"{read:,}{'' if total is None else f'/{total:,}'} documents"

    @property
    def rate(self) -> str:
        """Megabytes of text in a second."""
        return f"{self.bytes / 1e6 / max(self.seconds, 1e-3):.1f} MB/s"


@dataclass(frozen=True)
class Prepared:
    """Data is ready: what the run will see."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Stepped:
    """An update that the rhythm shows; the log holds every one."""

    step: int
    total: int
    epoch: float
    loss: float
    """Nats per target token: the mean over the updates since the line before."""
    bpb: float
    lr: float
    grad_norm: float
    clock: Mapping[str, Any] = field(default_factory=dict)
    """What depends on the clock: rates, memory, shares of time."""
    extra: Mapping[str, float] = field(default_factory=dict)
    """Auxiliary losses and monitors, by name."""


@dataclass(frozen=True)
class Validated:
    step: int
    name: str
    """The validation set's name."""
    loss: float
    ppl: float
    bpb: float
    accuracy: float
    targets: int
    best: bool = False
    """The lowest loss of the first set so far."""


@dataclass(frozen=True)
class Sampled:
    step: int
    prompt: str
    text: str


@dataclass(frozen=True)
class Saved:
    step: int
    reason: str
    seconds: float
    """From the moment that it holds until it was safe on the disk."""
    blocked: float | None = None
    """Seconds of these in which training stood still; None = all."""


@dataclass(frozen=True)
class Noted:
    """Something worth knowing that asks for nothing: a resumed step, a changed setting."""

    message: str


@dataclass(frozen=True)
class Warned:
    message: str


@dataclass(frozen=True)
class Finished:
    step: int
    total: int
    reason: str
    """Why training ended: length, until_loss, early_stop, stopped."""
    seconds: float
    """Of training in this process."""


Event = Told | Preparing | Prepared | Stepped | Validated | Sampled | Saved | Noted | Warned | Finished


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f}GB"


def stamped(event: Event) -> str:
    """The event's line after the time of this moment."""
    return f"{datetime.now():%Y-%m-%d %H:%M:%S} {line(event)}"


def line(event: Event) -> str:
    """The event as one line, as `train.log` and plain terminals show it."""
    match event:
        case Told(heading, text):
            return f"{heading}: {text}"
        case Preparing(doing):
            read = event.documents[0]
            also = f" · {read:,} documents" if read and "documents" not in event.counts else ""
            return f"{doing}: {event.counts}{also} · {event.bytes / 1e6:,.1f} MB · {event.rate}"
        case Prepared(lines):
            return " · ".join(lines)
        case Stepped():
            return _stepped(event)
        case Validated():
            best = " best" if event.best else ""
            name = "validation" if event.name == "validation" else f"validation {event.name}"
            return (
                f"step {event.step} {name} loss={event.loss:.4f} bpb={event.bpb:.4f} "
                f"ppl={event.ppl:.2f} accuracy={event.accuracy:.3f} targets={event.targets}{best}"
            )
        case Sampled(step, prompt, text):
            return f"step {step} sample {prompt!r} -> {text!r}"
        case Saved():
            beside = "" if event.blocked is None else f", beside training but for {event.blocked:.2f}s"
            return f"step {event.step} saved ({event.reason}) in {event.seconds:.2f}s{beside}"
        case Noted(message):
            return message
        case Warned(message):
            return f"warning: {message}"
        case Finished():
            return f"finished at step {event.step}/{event.total}: {event.reason} ({event.seconds:.1f}s of training)"


def _stepped(event: Stepped) -> str:
    words = [
        f"step {event.step}/{event.total}",
        f"epoch {event.epoch:.2f}",
        f"loss={event.loss:.4f}",
        f"bpb={event.bpb:.4f}",
        f"ppl={perplexity(event.loss):.2f}",
        f"lr={event.lr:.3g}",
        f"grad_norm={event.grad_norm:.3f}",
    ]
    words += [f"{name}={'/'.join(f'{value:.3g}' for value in values)}" for name, values in _shown(event.extra).items()]
    clock = event.clock
    if "updates_per_s" in clock:
        words += [f"updates/s={clock['updates_per_s']:.2f}", f"micro-steps/s={clock['micro_steps_per_s']:.2f}"]
        words += [f"tok/s={clock['tokens_per_s']:,.0f}"]
    if clock.get("mfu") is not None:
        words += [f"mfu={100 * clock['mfu']:.0f}%"]
    if "memory" in clock:
        words += [f"mem={gigabytes(clock['memory'])}/{gigabytes(clock['memory_total'])}"]
    return " ".join(words)


def _shown(extra: Mapping[str, float]) -> dict[str, list[float]]:
    """Auxiliary losses and monitors by their short names, those of the stages of one figure side by side.

    Those of one layer or expert are left out: `metrics.jsonl` has them, a line has no room for them.
    """
    found: dict[str, list[float]] = {}
    for name, value in extra.items():
        if not any(part.isdigit() for part in name.split(".")):
            short = re.sub(r"(?<![^.])stage\d+\.", "", name.removeprefix("monitor."))
            found.setdefault(short, []).append(value)
    return found
