"""Sampling: from logits to the next token, as pure functions with draws that know only their own sample."""

import math
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Display, settings
from lilliput.tokens.order import hash64

# Shapes: B samples, V vocabulary, C candidates (V, or top_k where that is smaller), best first


@settings
class SamplingConfig:
    """How the next token is chosen, in this order: repetition penalty, temperature, top-k, top-p, min-p, draw."""

    temperature: Display[float] = Field(default=1.0, ge=0)
    """Divides the logits: below 1 is safer, above 1 is wilder, 0 is greedy."""
    top_k: Display[int] = Field(default=50, ge=0)
    """Keep the k most likely tokens; 0 keeps all."""
    top_p: Display[float] = Field(default=0.9, gt=0, le=1)
    """Keep the most likely tokens up to and including the one that brings their sum to p; 1 keeps all."""
    min_p: Display[float] = Field(default=0.0, ge=0, le=1)
    """Keep tokens at least this share as likely as the most likely one; 0 keeps all."""
    repetition_penalty: Display[float] = Field(default=1.0, gt=0)
    """Makes tokens that already stand in the text less likely when above 1 (CTRL, arXiv 1909.05858)."""
    greedy: Display[bool] = False
    """Always take the most likely token."""
    seed: Display[int] = 0
    """The same seed, model and prompt give the same text, whatever else is in the batch."""
    max_tokens: Display[int] = Field(default=100, gt=0)
    """Tokens to write at most, the prompt not counted."""
    stop: Display[tuple[str, ...]] = ()
    """Texts that end a sample where they first appear; they are not part of it."""

    def __post_init__(self) -> None:
        if "" in self.stop:
            raise ValueError("stop: an empty text would stop before the first token")

    @property
    def is_greedy(self) -> bool:
        return self.greedy or self.temperature == 0


@dataclass(frozen=True)
class Candidates:
    ids: Tensor  # (B, C)
    probabilities: Tensor  # (B, C) float64, falling; 0 = cut; rows sum to 1


def penalise(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Logits (B, V) with those of `seen` (B, V) tokens lowered: positive ones divided, negative ones multiplied."""
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def candidates(logits: Tensor, config: SamplingConfig) -> Candidates:
    """The tokens of logits (B, V) that may be drawn, with their probabilities.

    Each cut reads the probabilities that the cut before it left, and the most likely token is always kept.
    """
    keep = min(config.top_k or logits.shape[-1], logits.shape[-1])
    values, ids = torch.topk(logits.detach().float(), keep, dim=-1)  # (B, C), best first
    values, ids = values.cpu(), ids.cpu()  # the same draws on every device; MPS has no float64
    _refuse_infinite(values[:, 0])
    behind = values.double() - values[:, :1].double()  # first, so that no temperature overflows
    probabilities = (behind / (config.temperature or 1.0)).softmax(-1)
    probabilities = _normalised(_up_to(probabilities, config.top_p))
    likely = probabilities >= config.min_p * probabilities[:, :1]
    return Candidates(ids, _normalised(probabilities * likely))


def choose(logits: Tensor, config: SamplingConfig, uniforms: Tensor) -> Tensor:
    """One token (B,) for each row of logits (B, V); uniforms (B,) in [0, 1) decide unless the choice is greedy."""
    if config.is_greedy:
        return likeliest(logits)
    found = candidates(logits, config)
    total = found.probabilities.cumsum(-1)  # (B, C)
    at = torch.searchsorted(total, uniforms.double()[:, None] * total[:, -1:], right=True)  # (B, 1)
    last = (found.probabilities > 0).sum(-1, keepdim=True) - 1  # rounding may not reach past what was kept
    return found.ids.gather(-1, at.minimum(last))[:, 0]


def uniform(seed: int, sample: int, position: int) -> float:
    """The draw in [0, 1) for the token at `position` of a sample: a hash, so that it depends on nothing else."""
    return (hash64("sample", seed, sample, position) >> 11) / 2.0**53


def likeliest(logits: Tensor) -> Tensor:
    """The token (B,) with the highest of logits (B, V)."""
    values, ids = logits.max(dim=-1)
    _refuse_infinite(values)
    return ids.cpu()


def _refuse_infinite(best: Tensor) -> None:
    """Of the best logits (B,): a diverged model's are infinite or no numbers."""
    if not all(map(math.isfinite, best.tolist())):
        raise LilliputError("the model's logits are not finite", "use an earlier checkpoint of the run", Exit.DIVERGED)


def _up_to(probabilities: Tensor, share: float) -> Tensor:
    """Keep probabilities (B, C), best first, until their sum reaches `share`; the one that crosses it stays."""
    before = probabilities.cumsum(-1) - probabilities
    return probabilities * ((before < share) | (share == 1))


def _normalised(probabilities: Tensor) -> Tensor:
    return probabilities / probabilities.sum(-1, keepdim=True)
