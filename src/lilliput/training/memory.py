"""Memory of training: freed pages that are kept, and activations that are computed again instead of held."""

import ctypes
import sys
from functools import partial

from torch.utils.checkpoint import checkpoint

from lilliput.config.errors import Exit, LilliputError
from lilliput.models.contract import LanguageModel

# glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_KEPT = 32 << 20  # the most that it accepts


def keep_freed_memory() -> bool:
    """Ask the C library to keep what is freed: training frees and takes the same sizes at each update, and pages that
    went back to the system come again filled with zeros, one fault each. False where the library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    settings = {M_MMAP_THRESHOLD: LARGEST_KEPT, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 << 20}
    return mallopt is not None and all(mallopt(name, value) for name, value in settings.items())


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
