"""Llama: RMS norms, rotary positions, grouped-query attention and SwiGLU (arXiv 2302.13971, 2307.09288)."""

from typing import Literal

from pydantic import Field

from lilliput.config.settings import Fatal, settings
from lilliput.models.contract import Preset
from lilliput.models.decoder import Block, Decoder, from_hub, to_hub
from lilliput.nn.attention import refuse_heads
from lilliput.nn.feed_forward import SwiGLU
from lilliput.nn.grouped_query import GroupedQueryAttention

__all__ = ["PRESETS", "Llama", "LlamaConfig", "from_hub", "to_hub"]


@settings
class LlamaConfig:
    family: Fatal[Literal["llama"]] = "llama"
    dim: Fatal[int] = Field(gt=0)
    """Width of the residual stream."""
    num_layers: Fatal[int] = Field(gt=0)
    """Blocks, each attention and a feed-forward."""
    num_heads: Fatal[int] = Field(gt=0)
    """Query heads, each dim / num_heads wide; that width has to be even."""
    num_kv_heads: Fatal[int | None] = Field(default=None, gt=0)
    """Key and value heads, each shared by num_heads / num_kv_heads query heads; null = num_heads."""
    ffn_dim: Fatal[int] = Field(gt=0)
    """Inner width of the SwiGLU feed-forward."""
    max_positions: Fatal[int | None] = Field(default=None, gt=0)
    """Tokens a sequence may have; null = the training context length."""
    norm_eps: Fatal[float] = Field(default=1e-6, gt=0)
    """Added to the mean square in norms."""
    rope_theta: Fatal[float] = Field(default=10_000.0, gt=1)
    """Base of the rotary frequencies."""
    attention_bias: Fatal[bool] = False
    """Biases in the four projections of attention."""
    window: Fatal[int | None] = Field(default=None, gt=0)
    """Tokens each token sees, itself included; null = all before it."""
    tied: Fatal[bool] = False
    """The head uses the embedding's weights."""

    def __post_init__(self) -> None:
        refuse_heads(self.dim, self.num_heads, self.num_kv_heads, rotary=True)

    def build(self, vocab_size: int) -> "Llama":
        return Llama(self, vocab_size)


class Llama(Decoder):
    config: LlamaConfig

    def __init__(self, config: LlamaConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size, (_block(config, layer) for layer in range(config.num_layers)))


def _block(config: LlamaConfig, layer: int) -> Block:
    attention = GroupedQueryAttention(
        config.dim,
        config.num_heads,
        config.num_kv_heads,
        layer,
        window=config.window,
        bias=config.attention_bias,
    )
    return Block(attention, SwiGLU(config.dim, config.ffn_dim), config.dim, config.norm_eps)


def _dense(name: str, dim: int, num_layers: int, num_heads: int, ffn_dim: int) -> dict[str, Preset]:
    """TardBot's dense models: every layer sees a window of 1,024 tokens, and the widths make its sizes true."""
    shape = LlamaConfig(
        dim=dim,
        num_layers=num_layers,
        num_heads=num_heads,
        ffn_dim=ffn_dim,
        max_positions=4096,
        window=1024,
        tied=True,
    )
    return {f"tardbot/{name}": Preset(shape, 32_000, "TardBot, dense")}


PRESETS = {
    "octo/base": Preset(
        LlamaConfig(dim=768, num_layers=12, num_heads=12, num_kv_heads=3, ffn_dim=3072, max_positions=4096),
        50_257,
        "Octo's base model",
    ),
    **_dense("dense_25m", 320, 10, 5, 1088),
    **_dense("dense_40m", 384, 12, 6, 1472),
    **_dense("dense_65m", 480, 12, 8, 2240),
    **_dense("dense_75m", 512, 12, 8, 2496),
    **_dense("dense_175m", 576, 16, 9, 4864),
}
