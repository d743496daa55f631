"""AdamW (Loshchilov and Hutter, arXiv 1711.05101): its settings, and torch's fused class."""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from lilliput.config.settings import Fatal, Semantic, settings

# Where torch has the whole update as one kernel over many tensors
FUSED = ("cpu", "cuda", "mps")


@settings
class Adam:
    """Values of the update rule."""

    lr: Semantic[float] = Field(default=3e-4, gt=0, lt=1)
    """Peak learning rate, reached at the end of warm-up."""
    betas: Semantic[tuple[float, float]] = (0.9, 0.95)
    """How much of the running mean of gradients, and of their squares, an update keeps."""
    eps: Semantic[float] = Field(default=1e-8, gt=0)
    """Added to the root of the mean square."""
    weight_decay: Semantic[float] = Field(default=0.1, ge=0)
    """Share of a weight, times the learning rate, taken off at each update; never of norms, biases, embeddings."""

    def __post_init__(self) -> None:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("betas: each is at least 0 and below 1")


@settings
class AdamWConfig(Adam):
    kind: Fatal[Literal["adamw"]] = "adamw"
    clip: Semantic[float] = Field(default=1.0, ge=0)
    """Largest gradient norm; longer gradients are scaled down to it. 0 = never."""
    decay_embeddings: Semantic[bool] = False
    """Let weight decay act on embeddings too."""


def adamw(groups: list[dict[str, Any]], config: Adam) -> torch.optim.AdamW:
    """torch's AdamW over groups that carry `params`, `lr` and `weight_decay`."""
    parameters: list[nn.Parameter] = [parameter for group in groups for parameter in group["params"]]
    fused = all(parameter.device.type in FUSED for parameter in parameters)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=fused)
