"""Settings of training: how long, on what shape of batch, and with which means of the machine."""

from math import ceil
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from lilliput.config.settings import Safe, Semantic, settings
from lilliput.nn.kernels import Experts


@settings
class LengthConfig:
    """Exactly one of steps, epochs, tokens and minutes; `until_loss` may stand beside it and end the run earlier."""

    steps: Semantic[int | None] = Field(default=None, ge=1)
    """Updates."""
    epochs: Semantic[float | None] = Field(default=None, gt=0)
    """Times that the training part is seen."""
    tokens: Semantic[int | None] = Field(default=None, ge=1)
    """Tokens trained on, repetitions included."""
    minutes: Semantic[float | None] = Field(default=None, gt=0)
    """Minutes of training alone; turned into updates when the run starts, and recorded."""
    until_loss: Semantic[float | None] = Field(default=None, gt=0)
    """Stop once the mean loss over `rhythm.log_every` updates falls below this many nats."""

    def __post_init__(self) -> None:
        given = [name for name in ("steps", "epochs", "tokens", "minutes") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            whole = "; `training.length={steps: 100}` replaces it whole" if given else ""
            raise ValueError(f"needs exactly one of steps, epochs, tokens and minutes, and has {found}{whole}")

    def describe(self) -> str:
        """As a person says it: `3 epochs, or until the loss is below 0.3`."""
        units = (("updates", self.steps), ("epochs", self.epochs), ("tokens", self.tokens), ("minutes", self.minutes))
        word = next(f"{amount:,g} {unit}" if amount != 1 else f"1 {unit[:-1]}" for unit, amount in units if amount)
        return word if self.until_loss is None else f"{word}, or until the loss is below {self.until_loss:g}"


class Means(NamedTuple):
    """What a run computes with, once `auto` has been resolved."""

    threads: int
    precision: Literal["fp32", "bf16", "fp16"]
    micro_batch_size: int
    experts: Experts | None
    """None for a family without experts."""


@settings
class TrainingConfig:
    length: LengthConfig
    context_length: Semantic[int] = Field(default=256, ge=1)
    """Tokens per training sequence."""
    batch_size: Semantic[int] = Field(default=16, ge=1)
    """Sequences per update."""
    micro_batch_size: Semantic[Annotated[int, Field(ge=1)] | Literal["auto"]] = "auto"
    """Sequences per forward and backward pass; what does not fit at once is accumulated in fp32. `auto` measures."""
    precision: Semantic[Literal["auto", "fp32", "bf16", "fp16"]] = "auto"
    """Format of the model's weights and activations; updates always act on fp32. `auto` takes the faster safe one."""
    device: Semantic[Literal["auto", "cpu", "cuda", "mps"]] = "auto"
    """Where the model trains; `auto` takes an accelerator where there is one."""
    threads: Semantic[Annotated[int, Field(ge=1, le=1024)] | Literal["auto"]] = "auto"
    """CPU threads of one operation; the sums of one thread and of two differ in their last bits."""
    expert_dispatch: Semantic[Literal["auto", "grouped", "sliced"]] = "auto"
    """How tokens meet their experts: in torch's grouped product, or expert by expert. `auto` takes the faster."""
    deterministic: Semantic[bool] = False
    """Refuse operations whose result changes from run to run; on the CPU there is nothing to refuse."""
    compile: Semantic[bool] = False
    """Compile the model with torch.compile; needs a C++ compiler."""
    activation_checkpointing: Safe[bool] = False
    """Compute activations again in the backward pass: less memory, about a third more time."""

    @property
    def means(self) -> Means:
        """Of resolved settings alone."""
        if self.threads == "auto" or self.precision == "auto" or self.micro_batch_size == "auto":
            raise ValueError("settings with `auto` have to be resolved first")
        experts = None if self.expert_dispatch == "auto" else self.expert_dispatch
        return Means(self.threads, self.precision, self.micro_batch_size, experts)

    def __post_init__(self) -> None:
        if self.micro_batch_size != "auto" and self.micro_batch_size > self.batch_size:
            raise ValueError(f"micro_batch_size: must be at most batch_size, which is {self.batch_size}")


def total_steps(
    length: LengthConfig, *, steps_per_epoch: float, tokens_per_step: float, steps_per_minute: float | None = None
) -> int:
    """Updates of a run, at least one; `minutes` needs the measured rate."""
    if length.steps is not None:
        return length.steps
    if length.epochs is not None:
        return _whole(length.epochs * steps_per_epoch)
    if length.tokens is not None:
        return _whole(length.tokens / tokens_per_step)
    if steps_per_minute is None:
        raise ValueError("a length in minutes needs the measured rate of updates")
    assert length.minutes is not None  # the settings class requires exactly one of the four
    return max(1, int(length.minutes * steps_per_minute))


def _whole(steps: float) -> int:
    """Up to a whole number, but not because of the last bits of a product."""
    return max(1, ceil(steps - 1e-6))
