"""Values in float32, or as wide as they are: for sums and powers, which half precision would round away."""

import torch
from torch import Tensor


def widened(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
