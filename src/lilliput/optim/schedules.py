"""Learning-rate schedules: pure functions from an update's number to a factor of the peak rate."""

from itertools import pairwise
from math import cos, pi, sqrt
from typing import Annotated, Literal

from pydantic import Field

from lilliput.config.settings import Semantic, settings


@settings
class WarmupConfig:
    """Where both lengths are given, the smaller counts."""

    steps: Semantic[int | None] = Field(default=None, ge=0)
    """Updates over which the rate rises to its peak."""
    share: Semantic[float | None] = Field(default=None, ge=0, le=1)
    """Share of the run over which the rate rises to its peak."""

    def __post_init__(self) -> None:
        if self.steps is None and self.share is None:
            raise ValueError("needs steps, share or both")


AUTO_WARMUP = WarmupConfig(steps=2000, share=0.05)


@settings
class StageConfig:
    until: Semantic[float] = Field(gt=0, le=1)
    """Share of the run up to which this factor holds; after the last stage it is 1."""
    factor: Semantic[float] = Field(ge=0)
    """What the scheduled rate is multiplied by."""


@settings
class Schedule:
    """What every schedule has."""

    warmup: Semantic[Literal["auto"] | WarmupConfig] = "auto"
    """Rise from 0: `auto` is 5 % of the run, at most 2,000 updates."""
    stages: Semantic[tuple[StageConfig, ...]] = ()
    """Factors that hold for a stretch of the run, in order of time."""

    def __post_init__(self) -> None:
        ends = [stage.until for stage in self.stages]
        if any(later <= earlier for earlier, later in pairwise(ends)):
            raise ValueError("stages: each `until` must be greater than the one before")


@settings
class ConstantConfig(Schedule):
    kind: Semantic[Literal["constant"]] = "constant"


@settings
class Falling(Schedule):
    """A schedule that comes down to a floor."""

    floor: Semantic[float] = Field(default=0.0, ge=0, le=1)
    """Share of the peak rate below which the schedule does not fall."""


@settings
class CosineConfig(Falling):
    kind: Semantic[Literal["cosine"]] = "cosine"


@settings
class LinearConfig(Falling):
    kind: Semantic[Literal["linear"]] = "linear"


@settings
class TrapezoidConfig(Falling):
    kind: Semantic[Literal["trapezoid"]] = "trapezoid"
    decay: Semantic[float] = Field(default=0.2, gt=0, le=1)
    """Share of the run, at its end, over which the rate falls linearly to the floor."""


@settings
class InverseSqrtConfig(Falling):
    kind: Semantic[Literal["inverse_sqrt"]] = "inverse_sqrt"


ScheduleConfig = Annotated[
    CosineConfig | LinearConfig | ConstantConfig | TrapezoidConfig | InverseSqrtConfig, Field(discriminator="kind")
]


def warmup_steps(config: ScheduleConfig, total: int) -> int:
    """Updates of warm-up in a run of `total`; the last of them has the peak rate."""
    warmup = AUTO_WARMUP if config.warmup == "auto" else config.warmup
    share = total if warmup.share is None else _updates(warmup.share, total)
    return min(total, share if warmup.steps is None else min(warmup.steps, share))


def multiplier(config: ScheduleConfig, step: int, total: int) -> float:
    """Factor of the peak rate for update `step`, from 1 to `total`.

    A falling schedule would reach its floor one update after the last, so no update has rate 0.
    """
    warmup = warmup_steps(config, total)
    factor = step / warmup if step <= warmup else _shape(config, step - 1, warmup, total)
    return factor * next((stage.factor for stage in config.stages if step <= _updates(stage.until, total)), 1.0)


def _updates(share: float, total: int) -> int:
    """Whole updates in a share of a run; 0.29 of 100 are 29, though a float's product is a little less."""
    return int(share * total + 1e-6)


def _shape(config: ScheduleConfig, done: int, warmup: int, total: int) -> float:
    """The schedule after warm-up, when `done` updates are made."""
    progress = min(1.0, (done - warmup) / max(1, total - warmup))
    match config:
        case ConstantConfig():
            return 1.0
        case CosineConfig(floor=floor):
            return floor + (1 - floor) * (1 + cos(pi * progress)) / 2
        case LinearConfig(floor=floor):
            return floor + (1 - floor) * (1 - progress)
        case TrapezoidConfig(floor=floor, decay=decay):
            return trapezoid(done, total, decay, floor)
        case InverseSqrtConfig(floor=floor):
            return max(floor, sqrt(max(1, warmup) / max(1, warmup, done)))


def trapezoid(done: int, total: int, decay: float, floor: float = 0.0) -> float:
    """Hold 1, then fall linearly to `floor` over the last `decay` share of the run.

    Hägele et al., arXiv 2405.18392.
    """
    remaining = (total - done) / (decay * total)
    return floor + (1 - floor) * min(1.0, max(0.0, remaining))
