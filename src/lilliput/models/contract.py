"""What every model family promises: features in training and in stepwise decoding, never a loss."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from lilliput.config.errors import Exit, LilliputError
from lilliput.nn.state import State

# Shapes: B batch, T time, D dim, V vocab


class ModelSettings(Protocol):
    """What a family's settings class offers beside its own fields."""

    @property
    def family(self) -> str: ...

    @property
    def max_positions(self) -> int | None:
        """None = the training context length, filled in by the recipe."""
        ...

    def build(self, vocab_size: int) -> "LanguageModel": ...


@dataclass(frozen=True)
class Preset:
    """A named shape of a family; the nominal vocabulary serves printed counts only."""

    config: Any
    nominal_vocab: int
    note: str = ""


@dataclass(frozen=True)
class Output:
    features: Tensor  # (B, T, D), what the head reads
    aux: dict[str, Tensor] = field(default_factory=dict)
    """Auxiliary losses by name, already weighted; added to the objective, logged beside the loss."""
    monitors: dict[str, Tensor] = field(default_factory=dict)
    """Detached scalars for the log."""
    state: State | None = None


class LanguageModel(nn.Module):
    """Tokens to features; `head` turns features into logits."""

    config: Any
    vocab_size: int
    head: nn.Module  # (..., D) -> (..., V)

    def forward(self, tokens: Tensor, *, documents: Tensor | None = None, state: State | None = None) -> Output:
        """Features of tokens (B, T). `documents` (B, T) keeps packed texts apart; -1 is invisible.

        With a `state`, tokens continue what the state remembers and the state is updated in place.
        """
        raise NotImplementedError

    def new_state(self, batch: int, length: int) -> State:
        """What decoding `length` tokens for `batch` sequences remembers."""
        raise NotImplementedError

    def lr_scales(self) -> dict[str, float]:
        """Parameter-name prefix -> learning-rate factor."""
        return {}

    def flops_per_token(self, context: int) -> int:
        """Floating-point operations of one forward pass, per token, at a context length."""
        raise NotImplementedError

    @property
    def has_experts(self) -> bool:
        """Whether tokens are sent to experts, which can be done in more than one way."""
        return False

    def remarks(self) -> Sequence[str]:
        """What is worth a warning to whoever trains a model of these settings."""
        return ()

    def idle_parameters(self) -> int:
        """Parameters that a token does not pass through, as the experts it was not sent to."""
        return 0


def refuse_length(config: ModelSettings, length: int) -> None:
    """Refuse a sequence of more tokens than the model has positions for."""
    if config.max_positions is not None and length > config.max_positions:
        raise LilliputError(
            f"a sequence of {length} tokens does not fit `model.max_positions` = {config.max_positions}",
            "shorten it, or train a model with more positions",
            Exit.RECIPE,
        )
