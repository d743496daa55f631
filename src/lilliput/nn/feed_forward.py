"""Feed-forward blocks: a plain one with a choice of activation, and SwiGLU."""

import torch.nn.functional as F
from torch import Tensor, nn

from lilliput.nn.activations import ACTIVATIONS, Activation
from lilliput.nn.projections import projected

# Shapes: D dim, F ffn dim


class FeedForward(nn.Module):
    """Up to F, an activation, down to D."""

    def __init__(self, dim: int, ffn_dim: int, activation: Activation, *, bias: bool = False) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(dim, ffn_dim, bias=bias), nn.Linear(ffn_dim, dim, bias=bias)
        self.activate = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.activate(self.up(x)))  # type: ignore[no-any-return]


class SwiGLU(nn.Module):
    """A gate through SiLU times a linear branch (arXiv 2002.05202)."""

    def __init__(self, dim: int, ffn_dim: int) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(dim, ffn_dim, bias=False), nn.Linear(dim, ffn_dim, bias=False)
        self.down = nn.Linear(ffn_dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = projected(x, self.gate, self.up)
        return self.down(F.silu(gate) * up)  # type: ignore[no-any-return]

    def flops_per_token(self) -> int:
        return 2 * sum(part.weight.numel() for part in (self.gate, self.up, self.down))
