"""Activation checkpointing: blocks keep their inputs alone and compute the rest again in the backward pass."""

from functools import partial

from torch.utils.checkpoint import checkpoint

from lilliput.config.errors import Exit, LilliputError
from lilliput.models.contract import LanguageModel


def checkpoint_activations(model: LanguageModel) -> None:
    """Wrap every block of `model.blocks` in place; names of modules and parameters stay.

    Dropout draws the same masks again: torch's generator states are kept with the inputs.
    Raises `LilliputError` (recipe) for a family without blocks.
    """
    blocks = getattr(model, "blocks", None)
    if blocks is None:
        raise LilliputError(
            f"training.activation_checkpointing: {type(model).__name__} has no list of blocks",
            "set training.activation_checkpointing=false",
            Exit.RECIPE,
        )
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=True)
