"""HGRN-bit: gated linear recurrences and SwiGLU of ternary weights and 8-bit activations (arXiv 2406.02528)."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lilliput.config.settings import Fatal, Semantic, settings
from lilliput.models.contract import LanguageModel, Output, Preset, refuse_length
from lilliput.nn.bitlinear import BitLinear
from lilliput.nn.mlgru import FeedForwardRule, MLGRUBlock, Shape, ffn_width, ternary_monitors
from lilliput.nn.recurrence import Course, Mode, RecurrentState
from lilliput.nn.state import State

# Shapes: B batch, T time, D dim, S state width, V vocab


@settings
class HGRNBitConfig:
    family: Fatal[Literal["hgrn_bit"]] = "hgrn_bit"
    dim: Fatal[int] = Field(gt=0)
    """Width of the residual stream."""
    num_layers: Fatal[int] = Field(gt=0)
    """Blocks, each a gated linear recurrence and a feed-forward."""
    num_heads: Fatal[int] = Field(default=1, gt=0)
    """Groups of state channels; they change nothing, as each channel recurs alone. Has to divide their number."""
    expand_ratio: Fatal[int] = Field(default=1, gt=0)
    """Width of the recurrent state, in dims."""
    hidden_ratio: Fatal[int] = Field(default=4, gt=0)
    """Inner width of the feed-forward, in dims; see `ffn_rule`."""
    ffn_rule: Fatal[FeedForwardRule] = "literal"
    """`literal`: hidden_ratio x dim; `swiglu`: two thirds of it, up to a multiple of 256, as matmulfreellm does."""
    ffn_dim: Fatal[int | None] = Field(default=None, gt=0)
    """Inner width of the feed-forward as a number; null = by hidden_ratio and ffn_rule."""
    short_conv: Fatal[bool] = False
    """A causal convolution of width 4 before the recurrence."""
    lower_bounds: Fatal[bool] = False
    """Learned floors under the forget gates, higher in later layers."""
    attn_mode: Semantic[Mode] = "chunk"
    """How the recurrence is computed, there being no attention: in two levels, or token by token; equal but for
    rounding."""
    max_positions: Fatal[int | None] = Field(default=None, gt=0)
    """Tokens a sequence may have; null = the training context length."""
    norm_eps: Fatal[float] = Field(default=1e-6, gt=0)
    """Added to the mean square in the norms of the blocks."""
    bitlinear_eps: Fatal[float] = Field(default=1e-6, gt=0)
    """Added to the mean square in the norm of each ternary layer."""

    def __post_init__(self) -> None:
        width = self.expand_ratio * self.dim
        if width % self.num_heads:
            fitting = ", ".join(str(n) for n in range(1, width + 1) if width % n == 0)
            raise ValueError(
                f"num_heads ({self.num_heads}) must divide expand_ratio x dim ({width}); it may be {fitting}"
            )

    @property
    def shape(self) -> Shape:
        ffn_dim = self.ffn_dim or ffn_width(self.dim, self.hidden_ratio, self.ffn_rule)
        return Shape(
            dim=self.dim,
            state_dim=self.expand_ratio * self.dim,
            ffn_dim=ffn_dim,
            short_conv=self.short_conv,
            mode=self.attn_mode,
            bitlinear_eps=self.bitlinear_eps,
            norm_eps=self.norm_eps,
        )

    def build(self, vocab_size: int) -> "HGRNBit":
        return HGRNBit(self, vocab_size)


class HGRNBit(LanguageModel):
    config: HGRNBitConfig
    head: BitLinear

    def __init__(self, config: HGRNBitConfig, vocab_size: int) -> None:
        super().__init__()
        self.config, self.vocab_size, shape = config, vocab_size, config.shape
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.lower_bounds = (
            nn.Parameter(torch.zeros(config.num_layers, shape.state_dim)) if config.lower_bounds else None
        )
        self.blocks = nn.ModuleList(MLGRUBlock(shape, layer) for layer in range(config.num_layers))
        self.norm = nn.RMSNorm(config.dim, config.norm_eps)
        self.head = BitLinear(config.dim, vocab_size, config.bitlinear_eps)  # ternary, so never tied to the embedding
        self._start()

    def _start(self) -> None:
        """Deviation 0.02, for `down` over sqrt(2 x layers); a mixer draws its own."""
        nn.init.normal_(self.embed.weight, std=0.02)
        for name, weight in self.blocks.named_parameters():
            if name.endswith("down.weight"):
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * self.config.num_layers))

    def forward(self, tokens: Tensor, *, documents: Tensor | None = None, state: State | None = None) -> Output:
        refuse_length(self.config, tokens.shape[1])
        course = Course(documents, state if isinstance(state, RecurrentState) else None)
        x = self.embed(tokens)  # (B, T, D)
        for block, floor in zip(self.blocks, self._floors(), strict=True):
            x = block(x, course, floor)
        return Output(self.norm(x), monitors=self._monitors(course) if self.training else {}, state=state)

    def _floors(self) -> list[Tensor | None]:
        """(S,) per layer: the first one's is 0, each next one's is higher (HGRN, arXiv 2311.04823)."""
        if self.lower_bounds is None:
            return [None] * self.config.num_layers
        shares = self.lower_bounds.to(torch.promote_types(self.lower_bounds.dtype, torch.float32)).softmax(dim=0)
        return list((shares.cumsum(dim=0) - shares[0]).unbind())

    def _monitors(self, course: Course) -> dict[str, Tensor]:
        return {f"forget.{layer}": mean for layer, mean in course.forget.items()} | ternary_monitors(self)

    def new_state(self, batch: int, length: int) -> RecurrentState:
        refuse_length(self.config, length)
        return RecurrentState(self.config.num_layers, batch, self.embed.weight.device)

    def flops_per_token(self, context: int) -> int:
        """Products alone: what a channel's recurrence takes does not grow with the context."""
        shape = self.config.shape
        matrices = 4 * shape.dim * shape.state_dim + 3 * shape.dim * shape.ffn_dim
        return 2 * (self.config.num_layers * matrices + shape.dim * self.vocab_size)


PRESETS = {
    "simplified/flat_small": Preset(HGRNBitConfig(dim=256, num_layers=4), 256, "for bytes"),
    "simplified/flat": Preset(HGRNBitConfig(dim=512, num_layers=6), 256, "for bytes; the guide's flat model"),
    "simplified/flat_large": Preset(HGRNBitConfig(dim=768, num_layers=10), 256, "for bytes"),
}
