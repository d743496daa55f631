"""The rhythm of a run: what happens every so many updates, as a recipe sets it."""

from typing import Literal

from pydantic import Field

from lilliput.config.settings import Display, Safe, Semantic, settings


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


def due(step: int, every: int, total: int) -> bool:
    """True on each multiple of `every`, and always on the last step; never where `every` is 0 or less."""
    return every > 0 and (step % every == 0 or step == total)
