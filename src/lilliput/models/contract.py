"""What every model family promises: features in training and in stepwise decoding, never a loss."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from lilliput.nn.state import State

# Shapes: B batch, T time, D dim, V vocab


class ModelSettings(Protocol):
    """What a family's settings class offers beside its own fields."""

    family: Any
    max_positions: Any
    """int or None; None = the training context length, filled in by the recipe."""

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
