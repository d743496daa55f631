"""GPT-2: learned positions, layer norms before each part, biases, GELU, a tied head (Radford et al., 2019)."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lilliput.config.errors import Exit, LilliputError
from lilliput.config.settings import Fatal, Semantic, settings
from lilliput.models.contract import LanguageModel, Output, Preset, refuse_length
from lilliput.nn.attention import Sight, attend, refuse_heads
from lilliput.nn.feed_forward import FeedForward
from lilliput.nn.projections import attention_heads
from lilliput.nn.state import KVCache, State

# Shapes: B batch, T time, D dim, H heads, E head dim, V vocab


@settings
class GPT2Config:
    family: Fatal[Literal["gpt2"]] = "gpt2"
    dim: Fatal[int] = Field(gt=0)
    """Width of the residual stream."""
    num_layers: Fatal[int] = Field(gt=0)
    """Blocks, each attention and a feed-forward."""
    num_heads: Fatal[int] = Field(gt=0)
    """Attention heads, each dim / num_heads wide."""
    ffn_dim: Fatal[int | None] = Field(default=None, gt=0)
    """Inner width of the feed-forward; null = 4 x dim."""
    max_positions: Fatal[int | None] = Field(default=None, gt=0)
    """Positions with a learned embedding; null = the training context length."""
    activation: Fatal[Literal["gelu_tanh", "gelu"]] = "gelu_tanh"
    """GELU by its tanh approximation, as OpenAI's GPT-2, or exact."""
    norm_eps: Fatal[float] = Field(default=1e-5, gt=0)
    """Added to the variance in layer norms."""
    bias: Fatal[bool] = True
    """Biases in norms, feed-forwards and attention outputs."""
    qkv_bias: Fatal[bool] = True
    """Biases in query, key and value projections."""
    tied: Fatal[bool] = True
    """The head uses the embedding's weights."""
    dropout: Semantic[float] = Field(default=0.0, ge=0, lt=1)
    """Share of embeddings, attention weights and each part's output that training drops."""

    def __post_init__(self) -> None:
        refuse_heads(self.dim, self.num_heads)

    def build(self, vocab_size: int) -> "GPT2":
        return GPT2(self, vocab_size)


class Attention(nn.Module):
    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim, self.dropout = layer, config.dim // config.num_heads, config.dropout
        self.query = nn.Linear(config.dim, config.dim, bias=config.qkv_bias)
        self.key = nn.Linear(config.dim, config.dim, bias=config.qkv_bias)
        self.value = nn.Linear(config.dim, config.dim, bias=config.qkv_bias)
        self.out = nn.Linear(config.dim, config.dim, bias=config.bias)

    def forward(self, x: Tensor, sight: Sight) -> Tensor:
        q, k, v = attention_heads(x, self.query, self.key, self.value, self.head_dim)
        dropout = self.dropout if self.training else 0.0
        return self.out(attend(q, k, v, sight, self.layer, dropout=dropout))  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.dim, config.norm_eps, bias=config.bias)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = nn.LayerNorm(config.dim, config.norm_eps, bias=config.bias)
        inner = config.ffn_dim or 4 * config.dim
        self.feed_forward = FeedForward(config.dim, inner, config.activation, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()

    def forward(self, x: Tensor, sight: Sight) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), sight))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))  # type: ignore[no-any-return]


class GPT2(LanguageModel):
    config: GPT2Config
    head: nn.Linear

    def __init__(self, config: GPT2Config, vocab_size: int) -> None:
        super().__init__()
        if config.max_positions is None:
            raise LilliputError(
                "`model.max_positions` is not set, and gpt2 learns one embedding per position",
                "set it to the longest sequence the model will see, such as `model.max_positions=256`",
                Exit.RECIPE,
            )
        self.config, self.vocab_size = config, vocab_size
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.embed_position = nn.Embedding(config.max_positions, config.dim)
        self.dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.norm = nn.LayerNorm(config.dim, config.norm_eps, bias=config.bias)
        self.head = nn.Linear(config.dim, vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.embed.weight
        self._start()

    def _start(self) -> None:
        """Deviation 0.02, for residual projections over sqrt(2 x layers); biases at zero."""
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.config.num_layers) if residual else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, *, documents: Tensor | None = None, state: State | None = None) -> Output:
        refuse_length(self.config, tokens.shape[1])
        sight = Sight(tokens, documents, state if isinstance(state, KVCache) else None)
        x = self.dropout(self.embed(tokens) + self.embed_position(sight.positions))  # (B, T, D)
        for block in self.blocks:
            x = block(x, sight)
        return Output(self.norm(x), state=state)

    def new_state(self, batch: int, length: int) -> KVCache:
        refuse_length(self.config, length)
        return KVCache([None] * self.config.num_layers, batch, length, self.embed.weight.device)

    def flops_per_token(self, context: int) -> int:
        dim, inner = self.config.dim, self.config.ffn_dim or 4 * self.config.dim
        seen = 2 * context * dim  # queries times keys, weights times values
        return 2 * (self.config.num_layers * (4 * dim**2 + 2 * dim * inner + seen) + dim * self.vocab_size)


# our block part -> transformers' GPT2LMHeadModel, whose linears are stored [in, out]
HUB_PARTS = {
    "attention_norm": "ln_1",
    "attention.out": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.up": "mlp.c_fc",
    "feed_forward.down": "mlp.c_proj",
}
HUB_NAMES = {
    "embed.weight": "transformer.wte.weight",
    "embed_position.weight": "transformer.wpe.weight",
    "norm.weight": "transformer.ln_f.weight",
    "norm.bias": "transformer.ln_f.bias",
    "head.weight": "lm_head.weight",
}


def to_hub(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors by name under transformers' names; absent biases become zeros, which its model always has."""
    named = {HUB_NAMES[name]: tensor for name, tensor in found.items() if name in HUB_NAMES}
    named.setdefault("transformer.ln_f.bias", torch.zeros_like(found["norm.weight"]))
    for layer in range(sum(name.endswith("attention_norm.weight") for name in found)):
        ours, theirs = f"blocks.{layer}.", f"transformer.h.{layer}."
        for part, hub in HUB_PARTS.items():
            weight = found[f"{ours}{part}.weight"]
            named[f"{theirs}{hub}.weight"] = weight.t()
            named[f"{theirs}{hub}.bias"] = found.get(f"{ours}{part}.bias", weight.new_zeros(weight.shape[0]))
        triple = [f"{ours}attention.{part}" for part in ("query", "key", "value")]
        weights = [found[f"{part}.weight"] for part in triple]
        biases = [found.get(f"{part}.bias", weights[0].new_zeros(len(weights[0]))) for part in triple]
        named[f"{theirs}attn.c_attn.weight"] = torch.cat(weights).t()
        named[f"{theirs}attn.c_attn.bias"] = torch.cat(biases)
    return named


def from_hub(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_hub`, for a model with all biases."""
    named = {ours: found[theirs] for ours, theirs in HUB_NAMES.items() if theirs in found}
    for layer in range(sum(name.endswith("ln_1.weight") for name in found)):
        ours, theirs = f"blocks.{layer}.", f"transformer.h.{layer}."
        for part, hub in HUB_PARTS.items():
            named[f"{ours}{part}.weight"] = found[f"{theirs}{hub}.weight"].t()
            named[f"{ours}{part}.bias"] = found[f"{theirs}{hub}.bias"]
        for kind in ("weight", "bias"):
            parts = found[f"{theirs}attn.c_attn.{kind}"].chunk(3, dim=-1)  # (D, 3 D) or (3 D,)
            for part, tensor in zip(("query", "key", "value"), parts, strict=True):
                named[f"{ours}attention.{part}.{kind}"] = tensor.t()  # a vector stays as it is
    return named


PRESETS = {
    "lab/nano": Preset(
        GPT2Config(dim=160, num_layers=6, num_heads=5, max_positions=256), 50_257, "the learning lab's small model"
    ),
    "lab/small": Preset(
        GPT2Config(dim=512, num_layers=8, num_heads=8, max_positions=512), 50_257, "the learning lab's middle model"
    ),
    "lab/medium": Preset(
        GPT2Config(dim=768, num_layers=12, num_heads=12, max_positions=1024), 50_257, "the learning lab's large model"
    ),
    "gpt2/124m": Preset(
        GPT2Config(dim=768, num_layers=12, num_heads=12, max_positions=1024), 50_257, "OpenAI's smallest GPT-2"
    ),
}
