"""The root-mean-square norm without parameters (arXiv 1910.07467); `nn.RMSNorm` is the one with a scale."""

import torch.nn.functional as F
from torch import Tensor


def rms(x: Tensor, eps: float = 1e-6) -> Tensor:
    """Divide x (..., D) by its root mean square."""
    return F.rms_norm(x, x.shape[-1:], eps=eps)
